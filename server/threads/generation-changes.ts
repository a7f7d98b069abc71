/**
 * Finds the differences between two generations. The compile thread posts only these, because copying the lists of ten
 * thousand zones takes longer than compiling one zone.
 */
import { changedEntries, withEntries } from '../../zones/layered-map.ts';
import type { CompiledGeneration } from '../../zones/packed-generation.ts';

/** Entries that differ from those of the previous list. */
type ListChanges<Item> = { readonly length: number; readonly at: readonly number[]; readonly items: readonly Item[] };

/** Whole values that differ; undefined for those that are the same in the previous generation. */
export type GenerationChanges = Partial<
  Pick<CompiledGeneration, 'settings' | 'knownDatabases' | 'atlas' | 'locations' | 'latencyTables'>
> &
  Pick<CompiledGeneration, 'databases' | 'online'> & {
    readonly arena?: SharedArrayBuffer;
    readonly root: number;
    readonly plan?: SharedArrayBuffer;
    /** The pack of `packed`. */
    readonly pack?: SharedArrayBuffer;
    readonly catalog?: Omit<CompiledGeneration['catalog'], 'zones'>;
    readonly zones: ListChanges<CompiledGeneration['catalog']['zones'][number]>;
    readonly paths: ListChanges<string>;
    readonly texts: ListChanges<string>;
    readonly serials: CompiledGeneration['serials'];
  };

/** `isSameSettings`: whether the settings are equal. They are different objects, because they were read again. */
export function changesOf(
  before: CompiledGeneration,
  next: CompiledGeneration,
  isSameSettings: boolean,
): GenerationChanges {
  const { catalog, image } = next;
  const ifNew = <Key extends 'atlas' | 'locations' | 'latencyTables'>(
    key: Key,
  ): Partial<Pick<CompiledGeneration, Key>> =>
    before[key] === next[key] ? {} : ({ [key]: next[key] } as Pick<CompiledGeneration, Key>);
  const isSamePlan = before.image.plan === image.plan;
  const areSameDatabases = isSameList(before.knownDatabases, next.knownDatabases);
  return {
    ...(isSameSettings ? {} : { settings: next.settings }),
    ...(areSameDatabases ? {} : { knownDatabases: next.knownDatabases }),
    ...ifNew('atlas'),
    ...ifNew('locations'),
    ...ifNew('latencyTables'),
    databases: next.databases,
    online: next.online,
    ...(before.image.arena === image.arena ? {} : { arena: image.arena }),
    root: image.root,
    ...(isSamePlan ? {} : { plan: image.plan, pack: next.packed.packed, catalog: withoutZones(catalog) }),
    zones: listChanges(before.catalog.zones, catalog.zones),
    paths: listChanges(before.files.paths, next.files.paths),
    texts: listChanges(before.files.texts, next.files.texts),
    serials: changedEntries(before.serials, next.serials),
  };
}

/** Builds the next generation. Unchanged parts are the same objects as in the previous generation. */
export function applyChanges(before: CompiledGeneration, changes: GenerationChanges): CompiledGeneration {
  const { settings, knownDatabases, atlas, locations, latencyTables, databases, online, arena, root, plan, pack } =
    changes;
  const zones = applyList(before.catalog.zones, changes.zones);
  const image = { arena: arena ?? before.image.arena, root, plan: plan ?? before.image.plan };
  const next = {
    settings: settings ?? before.settings,
    knownDatabases: knownDatabases ?? before.knownDatabases,
    atlas: atlas ?? before.atlas,
    locations: locations ?? before.locations,
    latencyTables: latencyTables ?? before.latencyTables,
    databases,
    online,
    image,
    catalog: { ...(changes.catalog ?? before.catalog), zones },
    files: {
      paths: applyList(before.files.paths, changes.paths),
      texts: applyList(before.files.texts, changes.texts),
    },
    serials: withEntries(before.serials, changes.serials),
  };
  const packed = pack ?? before.packed.packed;
  return { ...next, packed: { image, atlas: next.atlas, placeOf: next.locations.placeOf, packed } };
}

function withoutZones({
  services,
  vips,
  regions,
}: CompiledGeneration['catalog']): Omit<CompiledGeneration['catalog'], 'zones'> {
  return { services, vips, regions };
}

/** Whether two lists have the same items. */
export function isSameList<Item>(before: readonly Item[], next: readonly Item[]): boolean {
  return before === next || (before.length === next.length && next.every((item, index) => item === before[index]));
}

function listChanges<Item>(before: readonly Item[], next: readonly Item[]): ListChanges<Item> {
  const at: number[] = [];
  for (let index = 0; index < next.length; index++) if (next[index] !== before[index]) at.push(index);
  return { length: next.length, at, items: at.flatMap((index) => next[index] ?? []) };
}

function applyList<Item>(before: readonly Item[], { length, at, items }: ListChanges<Item>): readonly Item[] {
  if (at.length === 0 && length === before.length) return before;
  const next = before.slice(0, length);
  for (const [index, item] of items.entries()) next[at[index] ?? 0] = item;
  return next;
}
