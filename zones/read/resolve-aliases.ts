/**
 * Finds what aliases lead to (docs/alias.md): along CNAMEs, DNAMEs and other aliases within the zones, to records or to
 * a service.
 */
import { serialize } from 'node:v8';
import type { Report } from '../../config/diagnostics.ts';
import { MAX_ALIAS_LINKS } from '../../config/limits.ts';
import { parseAddress } from '../../wire/address.ts';
import { MAX_NAME_OCTETS } from '../../wire/limits.ts';
import { canonical, formatName, isWildcard, nameKey, type Name } from '../../wire/name.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import type { ForeignAddresses } from '../foreign-names.ts';
import type { HeldSet } from '../journal/record-set.ts';
import {
  hasData,
  innerServices,
  otherTypes,
  type AliasAnswer,
  type AliasModel,
  type AliasSet,
  type ServiceModel,
  type ZoneModel,
  type ZoneSummary,
} from './model.ts';
import { createNameTable, findName, rowsByNode } from './name-table.ts';
import { ownerOf, rdataOf, type RecordStore, recordTtl, recordType } from './record-store.ts';

/** What a zone has at a name. */
export type HeldName =
  /** `owner`: the name, or the wildcard that stands for it. */
  | { readonly kind: 'exists'; readonly owner: Name; readonly sets: ReadonlyMap<number, HeldSet> }
  /** By a DNAME. Undefined: the name would be too long. */
  | { readonly kind: 'renamed'; readonly to: Name | undefined; readonly ttlSeconds: number }
  | { readonly kind: 'delegated' }
  | { readonly kind: 'absent' };

/** A zone that aliases may lead to. */
export type AliasZone = {
  readonly summary: ZoneSummary;
  /** Undefined: `findServed` finds its names. */
  readonly model: ZoneModel | undefined;
};

export type AliasZones = {
  /** By `nameKey` of the apex. */
  readonly zones: ReadonlyMap<string, AliasZone>;
  /** Finds a name in the zones that were not read again. */
  readonly findServed: (name: Name) => HeldName;
  /** The addresses of a name outside the zones, in canonical text, as they were found last. */
  readonly foreign: (name: string) => ForeignAddresses | undefined;
};

/** Finds what each of the aliases leads to, and reports those that lead nowhere. */
export function createAliasResolver(
  all: AliasZones,
): (aliases: readonly AliasModel[], report: Report) => AliasAnswer[] {
  const views = new Map<string, ZoneView>();
  const viewOf = (name: Name): ZoneView | undefined => {
    for (let at = 0; ; at += (name[at] ?? 0) + 1) {
      const key = nameKey(name.subarray(at));
      const known = views.get(key);
      if (known) return known;
      const zone = all.zones.get(key);
      if (zone) {
        const view = createView(zone, all.findServed);
        views.set(key, view);
        return view;
      }
      if (name[at] === 0 || at >= name.length) return undefined;
    }
  };
  return (aliases, report) => aliases.map((alias) => follow(alias, viewOf, all.foreign, report));
}

type ZoneView = {
  readonly key: string;
  readonly apex: Name;
  readonly aliasAt: ReadonlyMap<string, AliasModel>;
  readonly serviceAt: ReadonlyMap<string, ServiceModel>;
  readonly find: (name: Name) => HeldName;
};

function createView({ summary, model }: AliasZone, findServed: AliasZones['findServed']): ZoneView {
  const apex = canonical(summary.apex);
  const aliasAt = new Map((summary.aliases ?? []).map((alias) => [nameKey(alias.owner), alias]));
  const serviceAt = new Map(summary.services.map((service) => [nameKey(service.owner), service]));
  const find = model ? finderIn(model, [...aliasAt.values(), ...serviceAt.values()].map(({ owner }) => owner)) : findServed; // prettier-ignore
  return { key: nameKey(apex), apex, aliasAt, serviceAt, find };
}

function follow(
  alias: AliasModel,
  viewOf: (name: Name) => ZoneView | undefined,
  foreign: AliasZones['foreign'],
  report: Report,
): AliasAnswer {
  const own = formatName(alias.owner);
  const watched = new Set<string>();
  const path: string[] = [];
  const seen = new Set([nameKey(alias.owner)]);
  let name = canonical(alias.target);
  let mostSeconds = alias.ttlSeconds ?? Infinity;
  // Updates may change CNAMEs, and must not make the files invalid.
  let isByFiles = true;
  const nothing = (message: string, hint: string): AliasAnswer => {
    if (isByFiles) report.error('PH452', message, alias.place, hint);
    else report.warning('PH453', message, alias.place, hint);
    return { kind: 'nothing', watched: [...watched], path };
  };
  for (;;) {
    path.push(formatName(name));
    const way = path.join(' -> ');
    if (seen.has(nameKey(name)))
      return nothing(`the ALIAS of ${own} leads back to itself: ${way}`, 'point it at the name with the addresses');
    if (path.length > MAX_ALIAS_LINKS) {
      const hint = `at most ${MAX_ALIAS_LINKS} names may be on the way: point it nearer to the addresses`;
      return nothing(`the ALIAS of ${own} leads over too many names: ${way}`, hint);
    }
    seen.add(nameKey(name));
    const zone = viewOf(name);
    if (!zone) return foreignAnswer(name, mostSeconds, { watched: [...watched], path }, foreign);
    watch(watched, name, zone.apex);
    const found = zone.find(name);
    if (found.kind === 'delegated') return foreignAnswer(name, mostSeconds, { watched: [...watched], path }, foreign);
    if (found.kind === 'renamed') {
      isByFiles = false;
      mostSeconds = Math.min(mostSeconds, found.ttlSeconds);
      if (!found.to) return nothing(`the ALIAS of ${own} leads to a name that is too long: ${way}`, 'see its DNAME');
      name = canonical(found.to);
      continue;
    }
    const key = found.kind === 'exists' ? nameKey(found.owner) : '';
    const service = zone.serviceAt.get(key);
    if (service) {
      const beside = viewOf(alias.owner)?.find(canonical(alias.owner));
      const obstacle = obstacleOf(service, beside?.kind === 'exists' ? beside.sets : new Map());
      if (obstacle !== undefined) return nothing(`the ALIAS of ${own} leads to the service ${service.name}, ${obstacle.why}`, obstacle.hint); // prettier-ignore
      return { kind: 'service', service, zone: zone.key, watched: [...watched], path };
    }
    const next = zone.aliasAt.get(key);
    if (next) {
      mostSeconds = Math.min(mostSeconds, next.ttlSeconds ?? Infinity);
      name = canonical(next.target);
      continue;
    }
    const sets = found.kind === 'exists' ? found.sets : new Map<number, HeldSet>();
    const cname = sets.get(TYPE.CNAME);
    const [target] = cname?.data ?? [];
    if (cname && target) {
      isByFiles = false;
      mostSeconds = Math.min(mostSeconds, cname.ttlSeconds);
      name = canonical(target);
      continue;
    }
    const addresses = [TYPE.A, TYPE.AAAA].flatMap((type): AliasSet | [] => {
      const set = sets.get(type);
      return set ? { type, ttlSeconds: Math.min(set.ttlSeconds, mostSeconds), data: set.data } : [];
    });
    if (addresses.length > 0)
      return { kind: 'records', sets: addresses, foreign: undefined, watched: [...watched], path };
    // An update may add them, or have removed them.
    isByFiles = false;
    const what = found.kind === 'absent' ? 'does not exist' : 'has no A or AAAA records';
    return nothing(
      `the ALIAS of ${own} leads to ${formatName(name)}, which ${what}`,
      'add some, or point it elsewhere',
    );
  }
}

/** The answer of a name outside the zones. */
function foreignAnswer(
  name: Name,
  mostSeconds: number,
  way: Pick<AliasAnswer, 'watched' | 'path'>,
  foreignOf: AliasZones['foreign'],
): AliasAnswer {
  const foreign = formatName(name);
  const found = foreignOf(foreign);
  if (!found) return { kind: 'unresolved', foreign, ...way };
  const ttlSeconds = Math.min(found.ttlSeconds, mostSeconds);
  const setOf = (type: number, texts: readonly string[]): readonly AliasSet[] =>
    texts.length === 0 ? [] : [{ type, ttlSeconds, data: texts.flatMap((text) => parseAddress(text) ?? []) }];
  return { kind: 'records', sets: [...setOf(TYPE.A, found.a), ...setOf(TYPE.AAAA, found.aaaa)], foreign, ...way };
}

/** Whether two lists of answers are the same. */
export function isSameAnswers(
  before: readonly AliasAnswer[] | undefined,
  now: readonly AliasAnswer[] | undefined,
): boolean {
  if (before === now) return true;
  if (before?.length !== now?.length) return false;
  return before?.every((answer, index) => isSameAnswer(answer, now?.[index])) === true;
}

function isSameAnswer(before: AliasAnswer, now: AliasAnswer | undefined): boolean {
  if (now === undefined || before.path.join(' ') !== now.path.join(' ')) return false;
  if (before.watched.join('\n') !== now.watched.join('\n')) return false;
  if (before.kind === 'service' && now.kind === 'service' && before.service === now.service) return true;
  return serialize(before).equals(serialize(now));
}

/** Why an alias with records of these types cannot lead to a service; undefined if it can. */
function obstacleOf(
  service: ServiceModel,
  beside: ReadonlyMap<number, unknown>,
): { readonly why: string; readonly hint: string } | undefined {
  const { vips } = service;
  const twice = otherTypes(service).find((type) => beside.has(type));
  if (twice !== undefined) {
    const hint = `an ALIAS answers with all that the service steers: remove the ${typeText(twice)} records at its name`;
    return { why: `whose VIPs have ${typeText(twice)} records, as there are at the ALIAS`, hint };
  }
  if (vips.some((vip) => hasData(vip, 'cname')))
    return { why: 'which answers with CNAMEs', hint: 'an ALIAS answers with addresses: steer addresses, or use CNAME' };
  if ([service, ...innerServices(service)].some(({ whenAllDown: down }) => down.kind === 'static' && down.cname)) {
    const hint = 'an ALIAS answers with addresses: give addresses in when_all_down';
    return { why: 'whose when_all_down is a CNAME', hint };
  }
  if (vips.some((vip) => hasData(vip, 'svcb')) && (beside.has(TYPE.HTTPS) || beside.has(TYPE.SVCB))) {
    const hint = 'remove the HTTPS and SVCB records at the name of the ALIAS, or svcb of the service';
    return { why: 'which makes HTTPS and SVCB records, as there are at the ALIAS', hint };
  }
  return undefined;
}

/** Adds the name, the names above it up to the apex, and their wildcards: any of these may change what it has. */
function watch(watched: Set<string>, name: Name, apex: Name): void {
  for (let at = 0; name.length - at >= apex.length; at += (name[at] ?? 0) + 1) {
    const each = name.subarray(at);
    watched.add(nameKey(each));
    if (at > 0) watched.add(nameKey(Uint8Array.of(1, 0x2a, ...each)));
    if (each.length === 1) break;
  }
}

/** The name that a DNAME at `owner` makes of `name` (RFC 6672 2.3); undefined if it is too long. */
export function renamed(name: Name, owner: Name, target: Name): Name | undefined {
  const prefix = name.subarray(0, name.length - owner.length);
  return prefix.length + target.length > MAX_NAME_OCTETS ? undefined : Uint8Array.of(...prefix, ...target);
}

/** Finds names in a zone that was read now. `steered`: owners that may have no records. */
function finderIn(model: ZoneModel, steered: readonly Name[]): ZoneView['find'] {
  const { records: store } = model;
  const apex = canonical(model.apex);
  const table = model.owners ?? createNameTable(store);
  const others = new Set(steered.map(nameKey));
  let rows: { readonly first: Int32Array; readonly next: Int32Array } | undefined;
  let existing: ReadonlySet<string> | undefined;
  const setsOf = (name: Name): ReadonlyMap<number, HeldSet> | undefined => {
    const node = findName(table, name);
    if (node < 0) return others.has(nameKey(name)) ? new Map() : undefined;
    rows ??= rowsByNode(store, table);
    return setsIn(store, rows, node);
  };
  return (name) => {
    // From the apex downwards: what is above a name decides.
    for (const at of suffixesOf(name, apex)) {
      const above = name.subarray(at);
      const sets = setsOf(above);
      if (above.length > apex.length && sets?.has(TYPE.NS) === true) return { kind: 'delegated' };
      const dname = at > 0 ? sets?.get(TYPE.DNAME) : undefined;
      const [target] = dname?.data ?? [];
      if (dname && target) return { kind: 'renamed', to: renamed(name, above, target), ttlSeconds: dname.ttlSeconds };
    }
    const own = setsOf(name);
    if (own) return { kind: 'exists', owner: name, sets: own };
    existing ??= existingNames(store, steered, apex);
    if (existing.has(nameKey(name))) return { kind: 'exists', owner: name, sets: new Map() };
    // RFC 4592 3.3.1: only the wildcard at the closest encloser counts.
    const encloser = suffixesOf(name, apex).findLast((at) => at > 0 && existing?.has(nameKey(name.subarray(at))));
    const wildcard = Uint8Array.of(1, 0x2a, ...name.subarray(encloser ?? name.length - apex.length));
    const sets = isWildcard(wildcard) ? setsOf(wildcard) : undefined;
    return sets ? { kind: 'exists', owner: wildcard, sets } : { kind: 'absent' };
  };
}

/** The offsets of the suffixes of a name that are at or below the apex, from the apex to the name itself. */
function suffixesOf(name: Name, apex: Name): number[] {
  const offsets: number[] = [];
  for (let at = 0; name.length - at >= apex.length; at += (name[at] ?? 0) + 1) {
    offsets.unshift(at);
    if (name[at] === 0) break;
  }
  return offsets;
}

function setsIn(
  store: RecordStore,
  { first, next }: { readonly first: Int32Array; readonly next: Int32Array },
  node: number,
): ReadonlyMap<number, HeldSet> {
  const sets = new Map<number, { ttlSeconds: number; data: Uint8Array[] }>();
  for (let entry = first[node] ?? 0; entry !== 0; entry = next[entry - 1] ?? 0) {
    const type = recordType(store, entry - 1);
    // A copy: the store is released after the load.
    const data = rdataOf(store, entry - 1).slice();
    const known = sets.get(type);
    // RFC 2181 5: the TTL of the first record counts, and no record occurs twice.
    if (!known) sets.set(type, { ttlSeconds: recordTtl(store, entry - 1), data: [data] });
    else if (!known.data.some((each) => Buffer.compare(each, data) === 0)) known.data.push(data);
  }
  return sets;
}

/** All names of a zone, with empty non-terminals. */
function existingNames(store: RecordStore, steered: readonly Name[], apex: Name): ReadonlySet<string> {
  const names = new Set<string>();
  const add = (name: Name): void => {
    for (let at = 0; name.length - at >= apex.length; at += (name[at] ?? 0) + 1) {
      const key = nameKey(name.subarray(at));
      if (names.has(key)) return;
      names.add(key);
      if (name[at] === 0) return;
    }
  };
  for (let row = 0; row < store.count; row++) add(canonical(ownerOf(store, row)));
  for (const name of steered) add(canonical(name));
  return names;
}
