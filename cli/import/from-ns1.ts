/**
 * NS1: records of its API with their filter chains, as `GET /v1/zones/ZONE/DOMAIN/TYPE` returns them, and the zone
 * itself.
 */
import type { Report } from '../../config/diagnostics.ts';
import { isWithin, nameKey, type Name } from '../../wire/name.ts';
import { TYPE, typeNumber, typeText } from '../../wire/types.ts';
import { addAlias, createDraft, note, OUT_OF_ZONE, type DraftValue, type ZoneDraft } from './draft.ts';
import { ns1Chain, type Ns1Chain } from './ns1-filters.ts';
import { ns1Keys } from './ns1-places.ts';
import { addPooledService, type MemberPool, type PoolMember } from './pooled-service.ts';
import { filesIn, readJson } from './read-documents.ts';
import { addText, fieldsOf, listOf, numberOf, readData, textOf, wholeName, type Fields } from './values.ts';

const DEFAULT_TTL_SECONDS = 3600;

/** A record: its data in presentation format, each with the metadata that applies to it. */
type Ns1Record = {
  readonly owner: Name;
  readonly type: string;
  readonly ttlSeconds: number;
  readonly answers: readonly { readonly value: string; readonly meta: Fields }[];
  readonly filters: readonly Fields[];
};

/** Returns the zone that `apex` names, or the one of all records. */
export function fromNs1(path: string, apex: Name | undefined, report: Report): ZoneDraft | undefined {
  const written: Fields[] = [];
  for (const file of filesIn(path, /\.json$/)) {
    const document = readJson(file, report, 'save the response of the API of NS1');
    if (!document) return undefined;
    written.push(...listOf(document.content).map(fieldsOf));
  }
  const zones = written.filter((fields) => Array.isArray(fields['records']));
  const named = written.flatMap((fields) => textOf(fields['zone']) ?? [])[0];
  const zone = apex ?? (named === undefined ? undefined : wholeName(named));
  const records = [...written, ...zones.flatMap((fields) => listOf(fields['records']).map(fieldsOf))].filter(
    (fields) => textOf(fields['domain']) !== undefined && textOf(fields['type']) !== undefined,
  );
  if (records.length === 0 || !zone) {
    const hint =
      'save the responses of GET /v1/zones/ZONE and of GET /v1/zones/ZONE/DOMAIN/TYPE for each record with filters';
    report.error('PH501', `${path} has no records of a zone of NS1`, { file: path }, hint);
    return undefined;
  }
  const draft = createDraft(zone, `NS1, ${path}`);
  for (const server of zones.flatMap((fields) => listOf(fields['dns_servers']))) {
    const text = textOf(server);
    if (text !== undefined) addText(draft, zone, TYPE.NS, DEFAULT_TTL_SECONDS, text.replace(/\.?$/, '.'));
  }
  const byOwner = new Map<string, Map<string, Ns1Record>>();
  for (const fields of records) {
    const record = recordOf(draft, fields);
    if (!record) continue;
    const own = byOwner.get(nameKey(record.owner)) ?? new Map<string, Ns1Record>();
    // The zone has a summary of each record. The record itself has its filters.
    if (!own.has(record.type)) own.set(record.type, record);
    byOwner.set(nameKey(record.owner), own);
  }
  for (const own of byOwner.values()) addOwner(draft, [...own.values()]);
  return draft;
}

function recordOf(draft: ZoneDraft, fields: Fields): Ns1Record | undefined {
  const owner = wholeName(textOf(fields['domain']) ?? '');
  const type = (textOf(fields['type']) ?? '').toUpperCase();
  if (!owner || !isWithin(owner, draft.apex)) {
    note(
      draft,
      'dropped',
      owner,
      owner ? `${type} ${OUT_OF_ZONE}` : `${textOf(fields['domain']) ?? ''}, which is not a domain name`,
    );
    return undefined;
  }
  const link = textOf(fields['link']);
  if (link !== undefined && link !== '')
    note(draft, 'dropped', owner, `${type}: a link to ${link}; import that record`);
  const regions = fieldsOf(fields['regions']);
  const answers = listOf(fields['answers'])
    .map(fieldsOf)
    .map((answer) => ({
      value: presentation(
        type,
        listOf(answer['answer']).map((part) => textOf(part) ?? ''),
      ),
      meta: {
        ...fieldsOf(fields['meta']),
        ...fieldsOf(fieldsOf(regions[textOf(answer['region']) ?? ''])['meta']),
        ...fieldsOf(answer['meta']),
      },
    }));
  const short = listOf(fields['short_answers']).map((text) => ({
    value: presentation(type, (textOf(text) ?? '').split(' ')),
    meta: {},
  }));
  const isSummary = fields['answers'] === undefined;
  if (isSummary && (numberOf(fields['tier']) ?? 1) > 1) {
    note(draft, 'changed', owner, `${type} has filters that are not in these files: all its answers are records`);
  }
  return {
    owner,
    type,
    ttlSeconds: numberOf(fields['ttl']) ?? DEFAULT_TTL_SECONDS,
    answers: isSummary ? short : answers,
    filters: listOf(fields['filters'])
      .map(fieldsOf)
      .filter((each) => each['disabled'] !== true),
  };
}

/** The last field of these types is a name, which is absolute. */
const NAMES: ReadonlySet<string> = new Set(['CNAME', 'ALIAS', 'NS', 'PTR', 'MX', 'SRV', 'DNAME', 'AFSDB']);

function presentation(type: string, parts: readonly string[]): string {
  const text = parts.join(' ');
  if (type === 'TXT' || type === 'SPF') return `"${text.replace(/["\\]/g, '\\$&')}"`;
  return NAMES.has(type) ? text.replace(/\.?$/, '.') : text;
}

function addOwner(draft: ZoneDraft, records: readonly Ns1Record[]): void {
  const chosen = records.filter((record) => isAddress(record) && record.filters.length > 0);
  // The addresses of a name are all in its service, or none.
  const steered = chosen.length === 0 ? [] : records.filter(isAddress);
  const filtersOf = ({ filters }: Ns1Record): string => JSON.stringify(filters);
  const first = steered[0] ?? records.find(isChosen);
  for (const record of records) {
    if (steered.includes(record)) continue;
    const isAlike = first !== undefined && filtersOf(record) === filtersOf(chosen[0] ?? first);
    if (isChosen(record) && isAlike) steered.push(record);
    else addStatic(draft, record);
  }
  if (!first) return;
  const { owner, filters } = chosen[0] ?? first;
  if (steered.some((record) => filtersOf(record) !== JSON.stringify(filters))) {
    const types = steered.map(({ type }) => type).join(' and ');
    note(draft, 'changed', owner, `${types} have different filters: all get those of ${(chosen[0] ?? first).type}`);
  }
  const ttls = steered.map(({ ttlSeconds }) => ttlSeconds);
  const ttl = Math.min(...ttls);
  if (ttls.some((each) => each !== ttl)) {
    note(draft, 'changed', owner, `its types have different TTLs: all get the smallest, ${ttl}`);
  }
  addChain(draft, owner, ttl, steered, ns1Chain(draft, owner, filters));
}

function isAddress({ type }: Ns1Record): boolean {
  return type === 'A' || type === 'AAAA' || type === 'CNAME';
}

/** Whether filters choose among the answers of another type. One that only puts them in order does not. */
function isChosen(record: Ns1Record): boolean {
  const { type, filters, answers } = record;
  if (isAddress(record) || UNSTEERED.has(type) || typeNumber(type) === undefined || answers.length < 2) return false;
  return filters.some((filter) => !ORDERING.has(textOf(filter['filter']) ?? ''));
}

/** The types that a service cannot have. */
const UNSTEERED: ReadonlySet<string> = new Set(['SOA', 'NS', 'DS', 'DNAME', 'ALIAS']);
const ORDERING: ReadonlySet<string> = new Set(['shuffle', 'weighted_shuffle', 'sticky', 'weighted_sticky', 'priority']);

function addStatic(draft: ZoneDraft, { owner, type, ttlSeconds, answers, filters }: Ns1Record): void {
  const number = typeNumber(type);
  const isApexSoa = number === TYPE.SOA || (number === TYPE.NS && nameKey(owner) === nameKey(draft.apex));
  const target = type === 'ALIAS' && answers.length === 1 ? wholeName(answers[0]?.value ?? '') : undefined;
  if (target) {
    addAlias(draft, owner, ttlSeconds, target);
    return;
  }
  if (number === undefined) {
    const advice = type === 'ALIAS' ? 'it needs one name; choose one of its answers' : 'not a type of DNS';
    note(draft, 'dropped', owner, `${type} ${answers.map(({ value }) => value).join(', ')}: ${advice}`);
    return;
  }
  if (filters.length > 0 && answers.length > 1) {
    const isOrder = filters.every((filter) => ORDERING.has(textOf(filter['filter']) ?? ''));
    const why = isOrder ? 'they only put its answers in order; all' : 'they differ from those of its addresses: all';
    note(draft, 'changed', owner, `the filters of ${typeText(number)}: ${why} are records`);
  }
  if (number === TYPE.SOA) return;
  for (const { value } of answers) {
    // Those of the zone's own list are there already.
    const known = draft.owners.get(nameKey(owner));
    if (isApexSoa && known?.rrsets.some(({ type: each }) => each === number)) return;
    addText(draft, owner, number, ttlSeconds, value);
  }
}

type Answer = {
  readonly member: PoolMember;
  readonly keys: readonly string[];
  readonly at: string | undefined;
  readonly priority: number;
};

function answersOf(draft: ZoneDraft, owner: Name, records: readonly Ns1Record[], chain: Ns1Chain): readonly Answer[] {
  return records.flatMap(({ type, answers }) =>
    answers.flatMap(({ value, meta }): Answer[] => {
      const content = contentOf(draft, owner, type, value);
      if (!content) return [];
      const up = meta['up'];
      if (chain.usesUp && textOf(up) === 'false') {
        note(draft, 'dropped', owner, `${value}, which is down ("up": false)`);
        return [];
      }
      if (chain.usesUp && typeof up === 'object' && up !== null) {
        note(draft, 'changed', owner, 'its answers are up or down by a feed of NS1: give the service a check');
      }
      const [latitude, longitude] = [textOf(meta['latitude']), textOf(meta['longitude'])];
      const weight = Number(textOf(meta['weight']) ?? 1);
      return [
        {
          member: { ...content, weight: chain.usesWeights && Number.isFinite(weight) ? weight : 1 },
          keys: chain.usesPlaces ? ns1Keys(draft, owner, meta) : [],
          at:
            chain.usesDistance && latitude !== undefined && longitude !== undefined
              ? `${latitude},${longitude}`
              : undefined,
          priority: chain.usesPriority ? (numberOf(meta['priority']) ?? 0) : 0,
        },
      ];
    }),
  );
}

/** An address or name, or a record of another type. Undefined, with a note, for one with a mistake. */
function contentOf(
  draft: ZoneDraft,
  owner: Name,
  type: string,
  value: string,
): Pick<PoolMember, 'value' | 'rrsets'> | undefined {
  const number = typeNumber(type);
  if (type === 'A' || type === 'AAAA' || type === 'CNAME' || number === undefined) return { value };
  const rdata = readData(draft, owner, number, value);
  return rdata && { rrsets: [{ type: number, rdata: [rdata] }] };
}

function addChain(draft: ZoneDraft, owner: Name, ttl: number, records: readonly Ns1Record[], chain: Ns1Chain): void {
  const answers = answersOf(draft, owner, records, chain);
  const isOrdered = chain.step === 'all' && chain.first === 1 && !chain.usesPlaces && !chain.usesDistance;
  const groups = Map.groupBy(answers, ({ member, ...where }) =>
    JSON.stringify(isOrdered ? [where.priority, answers.findIndex((each) => each.member === member)] : where),
  );
  const pools = [...groups.values()].map((group, at): MemberPool & Omit<Answer, 'member'> => {
    const [first] = group;
    const { keys = [], priority = 0, at: position } = first ?? {};
    const place = keys[0]?.toLowerCase() ?? (position === undefined ? 'answers' : 'site');
    const name = `${place}-${at + 1}`;
    return { name, at: position, keys, priority, members: group.map(({ member }) => member) };
  });
  const inOrder = pools.toSorted((a, b) => a.priority - b.priority);
  const geo: Record<string, string[]> = {};
  for (const { name, keys } of inOrder) for (const key of keys) geo[key] = [...(geo[key] ?? []), name];
  const elsewhere = inOrder.filter(({ keys }) => keys.length === 0);
  const isPlaced = Object.keys(geo).length > 0;
  if (isPlaced) {
    if (elsewhere.length === 0) {
      note(
        draft,
        'changed',
        owner,
        'no answer without a place: for clients of other places, the first that is up is used',
      );
    }
    geo['default'] = (elsewhere.length > 0 ? elsewhere : inOrder).map(({ name }) => name);
  }
  const distance: readonly DraftValue[] = pools.some(({ at }) => at !== undefined) ? ['nearest'] : [];
  addPooledService(draft, {
    owner,
    ttl,
    pools,
    ...(isPlaced ? { geo } : {}),
    ...(!isPlaced && distance.length === 0 && pools.length > 1 ? { failover: inOrder.map(({ name }) => name) } : {}),
    steps: isOrdered ? [] : [...distance, chain.step],
    answers: isOrdered ? undefined : answersLeft(chain),
  });
}

/** As `answers` of a service. */
function answersLeft({ step, first }: Ns1Chain): number | 'all' | undefined {
  if (step === 'all') return first;
  return first === 1 ? undefined : (first ?? 'all');
}
