/**
 * A label of GeoDNS with its places, as records or as a service.
 */
import { MAX_ANSWERS } from '../../wire/limits.ts';
import { formatName, type Name } from '../../wire/name.ts';
import { TYPE_NUMBERS } from '../../wire/types.ts';
import { countryOf } from './address-places.ts';
import { addCheck, note, type DraftValue, type ZoneDraft } from './draft.ts';
import { addPooledService, type MemberPool, type PoolMember } from './pooled-service.ts';
import { addText, fieldsOf, listOf, nameIn, numberOf, readData, textOf, type Fields } from './values.ts';

/** What a label may leave out. */
export type GeodnsZone = {
  readonly draft: ZoneDraft;
  readonly ttlSeconds: number;
  readonly maxHosts: number;
  readonly isClosest: boolean;
};

/** The data of a label for clients of a place. `keys`: those of a `geo` step. */
export type LabelPlace = { readonly name: string; readonly keys: readonly string[]; readonly data: Fields };

/**
 * The values of one type. `isSplit`: an answer has only some of them, by weight, which GeoDNS calls `max_hosts`.
 */
type Values = { readonly type: string; readonly list: readonly Weighed[]; readonly isSplit: boolean };
type Weighed = { readonly text: string; readonly weight: number };

/** `places`: the most specific first. Of several with one key, the first that has the type counts. */
export function addGeodnsLabel(zone: GeodnsZone, owner: Name, data: Fields, places: readonly LabelPlace[]): void {
  const { draft } = zone;
  const typesOf = (fields: Fields): readonly string[] => Object.keys(fields).filter((key) => !SETTINGS.has(key));
  const own = typesOf(data).map((type) => valuesOf(zone, owner, type, data));
  const placed = places.map((place) => ({
    ...place,
    values: typesOf(place.data)
      .map((type) => valuesOf(zone, owner, type, place.data))
      .filter(({ type, list }) => list.length > 0 && isSteerable(draft, owner, type, place.name)),
  }));
  const steered = new Set(placed.flatMap(({ values }) => values.map(({ type }) => type)));
  const [ttl, check] = [ttlOf(zone, data), checkOf(draft, owner, data)];
  const isClosest = data['closest'] === undefined ? zone.isClosest : textOf(data['closest']) === 'true';
  const addresses = own.filter(({ type }) => type === 'a' || type === 'aaaa');
  if (steered.size === 0 && isClosest && addresses.some(({ isSplit }) => isSplit)) {
    addRecords(draft, owner, ttl, own.filter((each) => !addresses.includes(each))); // prettier-ignore
    const members = addresses.flatMap((each) => membersOf(draft, owner, each, '', check));
    addClosest(draft, owner, ttl, members, maxHostsOf(zone, data), check);
    return;
  }
  for (const { type, isSplit } of own) if (isSplit || (check !== undefined && COLUMNS.has(type))) steered.add(type);
  // The addresses of a name are all in its service, or none.
  if (steered.has('a') || steered.has('aaaa')) for (const { type } of addresses) steered.add(type);
  addRecords(draft, owner, ttl, own.filter(({ type }) => !steered.has(type))); // prettier-ignore
  if (steered.size === 0) return;
  const rest = own.filter(({ type, list }) => steered.has(type) && list.length > 0);
  const all = [
    ...placed.map((place) => ({ ...place, check: checkOf(draft, owner, place.data) })),
    ...(rest.length > 0 ? [{ name: 'default', keys: ['default'], data, values: rest, check }] : []),
  ];
  const pools = all.map(({ name, values, check: ofPool }): MemberPool => {
    return { name, members: values.flatMap((each) => membersOf(draft, owner, each, name, ofPool)) };
  });
  const geo: Record<string, string[]> = {};
  const keyTtls: Record<string, number> = {};
  for (const { name, keys, data: fields } of all) {
    for (const key of keys) {
      if (!geo[key] && ttlOf(zone, fields) !== ttl) keyTtls[key] = ttlOf(zone, fields);
      geo[key] = [...(geo[key] ?? []), name];
    }
  }
  addPooledService(draft, {
    owner,
    ttl,
    pools,
    ...(placed.length === 0 ? {} : { geo, keyTtls }),
    ...choiceOf(zone, owner, all),
    // Without a healthy value, GeoDNS has no data.
    whenAllDown: all.some((each) => each.check !== undefined) ? 'none' : undefined,
  });
}

const SETTINGS: ReadonlySet<string> = new Set(['ttl', 'max_hosts', 'alias', 'health', 'test', 'closest']);

/** The types that are columns of a VIP. GeoDNS limits their number also without weights. */
const COLUMNS: ReadonlySet<string> = new Set(['a', 'aaaa', 'cname']);
const STEERED: ReadonlySet<string> = new Set([...COLUMNS, 'mx', 'txt', 'spf', 'srv', 'ptr']);

function isSteerable(draft: ZoneDraft, owner: Name, type: string, place: string): boolean {
  if (STEERED.has(type)) return true;
  note(draft, 'dropped', owner, `${type.toUpperCase()} for ${place}: not steered by place`);
  return false;
}

function maxHostsOf({ maxHosts }: GeodnsZone, data: Fields): number {
  return Math.max(1, numberOf(data['max_hosts']) ?? maxHosts);
}

/** A label has the TTL of the zone, not that of the label without the place. */
function ttlOf({ ttlSeconds }: GeodnsZone, data: Fields): number {
  const own = numberOf(data['ttl']) ?? 0;
  return own > 0 ? own : ttlSeconds;
}

/** The step and the number of answers of a service. GeoDNS has a limit for each place. */
function choiceOf(
  zone: GeodnsZone,
  owner: Name,
  pools: readonly { readonly data: Fields; readonly values: readonly Values[] }[],
): { readonly steps: readonly DraftValue[]; readonly answers?: number } {
  const limits = pools.flatMap(({ data, values }) =>
    values.flatMap(({ type, list, isSplit }) =>
      type === 'cname' ? [] : isSplit ? maxHostsOf(zone, data) : COLUMNS.has(type) ? list.length : 1,
    ),
  );
  const isSplit = pools.some(({ values }) => values.some((each) => each.isSplit));
  if (!isSplit) return { steps: ['all'] };
  const wanted = Math.max(1, ...limits);
  const splitAt = new Set(
    pools.flatMap(({ data, values }) =>
      values.some((each) => each.isSplit && each.type !== 'cname') ? maxHostsOf(zone, data) : [],
    ),
  );
  const answers = Math.min(MAX_ANSWERS, wanted);
  if (wanted > MAX_ANSWERS) {
    note(zone.draft, 'changed', owner, `max_hosts ${wanted}: at most ${MAX_ANSWERS} are answered`);
  } else if (splitAt.size > 0 && (splitAt.size > 1 || !splitAt.has(answers))) {
    note(zone.draft, 'changed', owner, `its places have different max_hosts: everywhere up to ${answers} are answered`);
  }
  return { steps: ['weighted'], ...(limits.length === 0 ? {} : { answers }) };
}

/** The values of a type, with names that are absolute. What cannot be read becomes a note. */
function valuesOf(zone: GeodnsZone, owner: Name, type: string, data: Fields): Values {
  const { draft } = zone;
  const written = data[type];
  const isMap = type === 'ns' && !Array.isArray(written) && typeof written === 'object';
  const entries = isMap ? Object.keys(fieldsOf(written)) : listOf(written);
  const list = entries.flatMap((each): Weighed[] => {
    const [first, second] = Array.isArray(each) ? (each as readonly unknown[]) : [each, undefined];
    const text = TYPE_NUMBERS.has(type.toUpperCase()) ? textOfValue(draft, type, first) : undefined;
    const weight = numberOf(second) ?? numberOf(fieldsOf(first)['weight']) ?? 0;
    if (text !== undefined) return [{ text, weight }];
    note(draft, 'dropped', owner, `${type.toUpperCase()} ${JSON.stringify(each)}, which is not read`);
    return [];
  });
  if (list.some((_, at) => fieldsOf(entries[at])['health'] !== undefined)) {
    note(draft, 'dropped', owner, `the health of single ${type.toUpperCase()} records: give their VIPs a check`);
  }
  const isWeighed = list.some(({ weight }) => weight > 0);
  const most = type === 'cname' ? 1 : maxHostsOf(zone, data);
  const isSplit = (isWeighed || COLUMNS.has(type)) && STEERED.has(type) && list.length > most;
  return { type, isSplit, list: isSplit ? withChances(list, most) : list.map((each) => ({ ...each, weight: 1 })) };
}

/** Values of weight 0 fill the answer behind all others. */
function withChances(list: readonly Weighed[], most: number): readonly Weighed[] {
  const heavy = list.filter(({ weight }) => weight > 0).length;
  if (heavy === 0) return list.map((each) => ({ ...each, weight: 1 }));
  if (heavy === list.length || heavy >= most) return list;
  return list.map(({ text, weight }) => ({ text, weight: weight === 0 ? 1 : weight * FAR_MORE }));
}
const FAR_MORE = 1000;

/** A value in presentation format. */
function textOfValue(draft: ZoneDraft, type: string, written: unknown): string | undefined {
  const fields = fieldsOf(written);
  const value = textOf(written) ?? textOf(fields[type]);
  const field = (key: string, otherwise: string): string => textOf(fields[key]) ?? otherwise;
  switch (type) {
    case 'a':
    case 'aaaa':
      return textOf(fields['ip']) ?? value;
    case 'cname':
      return value === undefined ? undefined : absolute(draft, value);
    case 'mx':
      return value === undefined ? undefined : `${field('preference', '0')} ${dotted(value)}`;
    case 'srv': {
      const target = textOf(fields['target']);
      if (target === undefined) return undefined;
      return `${field('priority', '0')} ${field('srv_weight', '0')} ${field('port', '0')} ${absolute(draft, target)}`;
    }
    case 'txt':
    case 'spf':
      return value === undefined || value === '' ? undefined : `"${value.replace(/["\\]/g, '\\$&')}"`;
    case 'ns':
    case 'ptr':
      return value === undefined ? undefined : dotted(value);
    default:
      return value;
  }
}

/** In CNAME and SRV, a name without a final dot is relative to the zone. */
function absolute({ apex }: ZoneDraft, text: string): string {
  const name = nameIn(text, apex);
  return name ? `${formatName(name)}.` : text;
}

/** GeoDNS takes other names as absolute. */
function dotted(name: string): string {
  return name.replace(/\.?$/, '.');
}

/** The members of a pool with these values. Those of other types are one member, unless an answer has only some. */
function membersOf(
  draft: ZoneDraft,
  owner: Name,
  { type, list, isSplit }: Values,
  pool: string,
  check: string | undefined,
): readonly PoolMember[] {
  if (COLUMNS.has(type)) {
    const name = list.length === 1 ? { name: pool } : {};
    return list.map(({ text, weight }) => ({ value: text, weight, check, ...name }));
  }
  const number = TYPE_NUMBERS.get(type.toUpperCase()) ?? 0;
  const read = list.flatMap(({ text, weight }) => {
    const rdata = readData(draft, owner, number, text, draft.apex);
    return rdata ? [{ rdata, weight }] : [];
  });
  if (read.length === 0) return [];
  const name = `${pool}-${type}`;
  if (!isSplit) return [{ name, rrsets: [{ type: number, rdata: read.map(({ rdata }) => rdata) }] }];
  return read.map(({ rdata, weight }, at) => {
    return { name: `${name}-${at + 1}`, weight, rrsets: [{ type: number, rdata: [rdata] }] };
  });
}

/** All values are always answered. */
function addRecords(draft: ZoneDraft, owner: Name, ttl: number, values: readonly Values[]): void {
  for (const { type, list } of values) {
    const number = TYPE_NUMBERS.get(type.toUpperCase());
    if (number === undefined) continue; // a note was added
    for (const { text } of list) addText(draft, owner, number, ttl, text, draft.apex);
  }
}

/** `closest`: the addresses that are nearest to the client. */
function addClosest(
  draft: ZoneDraft,
  owner: Name,
  ttl: number,
  members: readonly PoolMember[],
  maxHosts: number,
  check: string | undefined,
): void {
  const places = Map.groupBy(members, ({ value }) => (value === undefined ? undefined : countryOf(value)) ?? '');
  note(
    draft,
    'changed',
    owner,
    `closest becomes nearest: the regions have the positions of the countries of the addresses; of the nearest one, up to ${maxHosts} are answered`,
  );
  addPooledService(draft, {
    owner,
    ttl,
    pools: [...places].map(([country, own]) => ({
      name: country === '' ? 'elsewhere' : country.toLowerCase(),
      at: country === '' ? undefined : country,
      members: own.map((member) => ({ ...member, check })),
    })),
    steps: ['nearest', 'weighted'],
    answers: Math.max(1, Math.min(MAX_ANSWERS, maxHosts)),
  });
}

/** `health` of a label. */
function checkOf(draft: ZoneDraft, owner: Name, data: Fields): string | undefined {
  const health = fieldsOf(data['health'] ?? data['test']);
  const type = textOf(health['type']);
  if (type === undefined) return undefined;
  const port = numberOf(health['port']);
  if (type !== 'tcp' || port === undefined) {
    note(draft, 'changed', owner, `the health check of the type ${type} has no equivalent: give the service a check`);
    return undefined;
  }
  const seconds = (key: string, otherwise: number): string => `${numberOf(health[key]) ?? otherwise}s`;
  return addCheck(draft, 'tcp', {
    type: 'tcp',
    port,
    interval: seconds('frequency', 30),
    fast: seconds('retry_time', 5),
    timeout: seconds('timeout', 5),
    rise: 1,
    fall: Math.max(1, numberOf(health['retries']) ?? 3),
  });
}
