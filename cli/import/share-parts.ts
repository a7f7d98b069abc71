/**
 * Writes parts that services repeat once: equal `geo` steps become shared maps, and equal services become templates, in
 * the zone or, for all zones, in pharos.yaml.
 */
import type { DraftValue, RegionDraft, ServiceDraft, TemplateDraft, ZoneDraft } from './draft.ts';
import { fieldsOf } from './values.ts';

/** The content of pharos.yaml. */
export type SharedDraft = Pick<ZoneDraft, 'regions' | 'checks' | 'maps' | 'templates'>;

/** A shorter part is not worth a name. */
const LEAST_CHARACTERS = 60;

/** `isJoint`: zones may share parts. Returns those parts; undefined if there are none. */
export function shareParts(drafts: readonly ZoneDraft[], isJoint: boolean): SharedDraft | undefined {
  const joint = isJoint ? jointParts(drafts) : undefined;
  for (const draft of drafts) shareIn([draft], draft, () => true);
  return joint;
}

function jointParts(drafts: readonly ZoneDraft[]): SharedDraft | undefined {
  const regions = agreed(drafts.map((draft) => draft.regions), joinRegions); // prettier-ignore
  const checks = agreed(drafts.map((draft) => draft.checks), (one, other) => isSame(one, other) ? one : undefined); // prettier-ignore
  const shared: SharedDraft = { regions, checks, maps: new Map(), templates: new Map() };
  shareIn(drafts, shared, (names) => names.every((name) => regions.has(name) || checks.has(name)));
  if (shared.maps.size + shared.templates.size === 0) return undefined;
  for (const draft of drafts) {
    for (const name of regions.keys()) draft.regions.delete(name);
    for (const name of checks.keys()) draft.checks.delete(name);
  }
  return shared;
}

/** The parts that all zones that have them agree on. */
function agreed<Part>(
  all: readonly ReadonlyMap<string, Part>[],
  join: (one: Part, other: Part) => Part | undefined,
): Map<string, Part> {
  const parts = new Map<string, Part | undefined>();
  for (const [name, part] of all.flatMap((each) => [...each])) {
    const known = parts.get(name);
    parts.set(name, !parts.has(name) ? part : known === undefined ? undefined : join(known, part));
  }
  return new Map([...parts].flatMap(([name, part]) => (part === undefined ? [] : [[name, part] as const])));
}

/** A position or threshold that only one of them states changes nothing for the other (gdnsd-service.ts). */
function joinRegions(one: RegionDraft, other: RegionDraft): RegionDraft | undefined {
  const both = { ...one, ...other };
  const agrees = (key: keyof RegionDraft): boolean => (one[key] ?? both[key]) === both[key];
  return agrees('at') && agrees('min_healthy') ? both : undefined;
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

type Use = { readonly draft: ZoneDraft; readonly key: string; readonly service: ServiceDraft };

/**
 * Moves what is repeated from the services of the drafts into `into`. `mayName`: whether a part there may name these.
 */
function shareIn(
  drafts: readonly ZoneDraft[],
  into: Pick<ZoneDraft, 'maps' | 'templates'>,
  mayName: (names: readonly string[]) => boolean,
): void {
  const services = (): Use[] =>
    drafts.flatMap((draft) =>
      [...draft.services].flatMap(([key, service]) =>
        service.template === undefined ? [{ draft, key, service }] : [],
      ),
    );
  const maps = repeated(
    services().flatMap((use) => use.service.steer.filter(isMap).map((step) => ({ use, part: step }))),
  );
  for (const { part, uses } of maps) {
    if (!mayName(regionsOfMap(part))) continue;
    const name = freeName(into.maps, uses[0]?.service.hints?.map ?? 'map');
    const { geo, ...options } = part;
    into.maps.set(name, { ...geo, ...options });
    for (const { draft, key } of uses) {
      const service = draft.services.get(key);
      const steer = service?.steer.map((step) => (isSame(step, part) ? { geo: `$${name}` } : step));
      if (service && steer) draft.services.set(key, { ...service, steer });
    }
  }
  const bodies = repeated(services().map((use) => ({ use, part: bodyOf(use.service) })));
  for (const { part, uses } of bodies) {
    const isWithin = part.steer.every((step) => !refersToMap(step) || into.maps.has(step.geo.slice(1)));
    if (!isWithin || !mayName([...part.vips.flatMap(({ region }) => region ?? []), ...checksOf(part)])) continue;
    const ttls = uses.map(({ service }) => service.ttl);
    const [ttl = 300] = ttls.toSorted((a, b) => timesIn(ttls, b) - timesIn(ttls, a));
    const name = freeName(into.templates, uses[0]?.service.hints?.template ?? 'service');
    into.templates.set(name, { ...part, ttl });
    for (const { draft, key, service } of uses) {
      draft.services.set(key, { ...service, template: { name, hasTtl: isSame(service.ttl, ttl) } });
    }
  }
}

function timesIn(list: readonly unknown[], value: unknown): number {
  return list.filter((each) => isSame(each, value)).length;
}

/** Parts that more than one service has. */
function repeated<Part>(
  found: readonly { readonly use: Use; readonly part: Part }[],
): { readonly part: Part; readonly uses: readonly Use[] }[] {
  const groups = [...Map.groupBy(found, ({ part }) => JSON.stringify(part))];
  return groups.flatMap(([text, group]) => {
    const [first] = group;
    if (!first || group.length < 2 || text.length < LEAST_CHARACTERS) return [];
    return [{ part: first.part, uses: group.map(({ use }) => use) }];
  });
}

type MapStep = { readonly geo: Readonly<Record<string, DraftValue>>; readonly [option: string]: DraftValue };

function isMap(step: DraftValue): step is MapStep {
  return (
    typeof step === 'object' &&
    'geo' in step &&
    typeof step.geo === 'object' &&
    Object.keys(step).every((key) => key === 'geo' || key === 'fence')
  );
}

function refersToMap(step: DraftValue): step is { readonly geo: string } {
  return typeof step === 'object' && 'geo' in step && typeof step.geo === 'string' && step.geo.startsWith('$');
}

function regionsOfMap({ geo }: MapStep): string[] {
  const regions = Object.values(geo).flatMap((value) => JSON.stringify(value).match(/"[^"]+"/g) ?? []);
  return [...new Set(regions.map((text) => text.slice(1, -1)))].filter((name) => name !== 'none');
}

/** Keys that each service has for itself. */
const OWN: ReadonlySet<string> = new Set(['owner', 'ttl', 'hints', 'template'] satisfies (keyof ServiceDraft)[]);

function bodyOf(service: ServiceDraft): Omit<TemplateDraft, 'ttl'> {
  return Object.fromEntries(Object.entries(service).filter(([key]) => !OWN.has(key))) as Omit<TemplateDraft, 'ttl'>;
}

/** Names of checks. A check that the service states itself may have others in it. */
function checksOf({ check, vips }: Omit<TemplateDraft, 'ttl'>): string[] {
  return [check, ...vips.map((vip) => vip.check)].flatMap((each) => {
    if (each === undefined || each === 'none') return [];
    if (typeof each === 'string') return [each];
    const members = ['all_of', 'any_of', 'of'].flatMap((key) => fieldsOf(each)[key] ?? []);
    return members.filter((member) => typeof member === 'string');
  });
}

/** A name for a shared part: letters, digits, `-`, `_` and `.`. */
function freeName(taken: ReadonlyMap<string, unknown>, wanted: string): string {
  const plain = wanted.replace(/[^\w.-]+/g, '-');
  let name = plain;
  for (let number = 2; taken.has(name); number++) name = `${plain}-${number}`;
  return name;
}
