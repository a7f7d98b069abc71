/**
 * The records of zones for the API: lists of them, and changes, which are processed as dynamic updates are.
 */
import { FIXED_TYPES, ruleCovers, ruleIsFor } from '../../config/read-updates.ts';
import { TOKEN_NAME, type UpdateRule } from '../../config/settings.ts';
import { labelsBelow, listRecords, zoneRecords } from '../../server/transfer/answer-update.ts';
import type { ListedSet, ListFilter, AskedChange, RecordKeeper, RecordOutcome } from '../../status/runtime.ts';
import { formatName, nameKey, type Name } from '../../wire/name.ts';
import { BESIDE_CNAME } from '../../wire/rdata/table.ts';
import { CLASS, EDE, RCODE, TYPE, typeText } from '../../wire/types.ts';
import type { UpdateRecord } from '../../wire/update.ts';
import { viewImage } from '../../zones/image/image.ts';
import type { DynamicRecords } from '../../zones/journal/journal-file.ts';
import type { UpdatedZone, UpdateRefusal } from '../../zones/journal/process-update.ts';
import { digestOfData, setKey, type HeldSet } from '../../zones/journal/record-set.ts';
import type { Current } from './generation.ts';
import type { ProcessedZone, Unfit, UpdateOutcome, Updates } from './updates.ts';

/** Rows of a list after which other work of the thread is done. */
const ROWS_AT_ONCE = 200;

export function createRecordKeeper(
  current: () => Current,
  updates: Pick<Updates, 'change' | 'journaled'>,
): RecordKeeper {
  return {
    list: (apex, filter) => {
      const { loaded, settings } = current();
      const image = viewImage(loaded.image, loaded.atlas);
      const zone = zoneRecords(image, apex);
      if (!zone) return undefined;
      const takesChanges = settings.updates?.some((rule) => ruleIsFor(rule, apex)) ?? false;
      const journal = takesChanges ? updates.journaled(apex) : undefined;
      const { name } = filter;
      const rows = name ? rowsOfName(name, zone.setsOf(name)) : listRecords(image, apex);
      return {
        serial: zone.serial,
        takesChanges,
        sets: listed(rows, journal, filter),
      };
    },
    change: async (asked) =>
      outcomeOf(asked, await updates.change(askedUpdate(asked, () => permitted(asked, current())))),
  };
}

type Row = HeldSet & { readonly name: Name; readonly type: number };

function* rowsOfName(name: Name, sets: ReadonlyMap<number, HeldSet> | undefined): Generator<Row> {
  for (const [type, set] of sets ?? []) if (type !== TYPE.NSEC) yield { name, type, ...set };
}

/** Yields undefined now and then. */
function* listed(
  rows: Iterable<Row>,
  journal: DynamicRecords | undefined,
  { name, type }: ListFilter,
): Generator<ListedSet | undefined> {
  let count = 0;
  for (const row of rows) {
    if (++count % ROWS_AT_ONCE === 0) yield undefined;
    if (type !== undefined && row.type !== type) continue;
    const dynamic = journal?.sets.get(setKey(row.name, row.type));
    const isDynamic =
      dynamic !== undefined && digestOfData(row.type, row.data) === digestOfData(row.type, dynamic.data);
    const source = isDynamic ? 'dynamic' : FIXED_TYPES.has(row.type) ? 'server' : 'file';
    yield { ...row, source, replacesFile: isDynamic && dynamic.base !== '' };
  }
  const key = name && nameKey(name);
  for (const set of journal?.sets.values() ?? []) {
    const isWanted = (type === undefined || set.type === type) && (key === undefined || nameKey(set.name) === key);
    if (set.data.length === 0 && isWanted) yield { ...set, source: 'dynamic', replacesFile: true };
  }
}

/** What the sender of a change may change. */
function permitted(
  { zone, who, peer }: AskedChange,
  { settings: { updates = [] } }: Current,
): UpdatedZone['mayChange'] | UpdateRefusal {
  const prohibited = (text: string): UpdateRefusal => ({ rcode: RCODE.REFUSED, info: { code: EDE.PROHIBITED, text } });
  const rules = updates.filter((rule) => ruleIsFor(rule, zone));
  if (rules.length === 0)
    return prohibited(
      `no rule of updates covers the zone ${formatName(zone)}; add one to pharos.yaml (docs/updates.md), and reload`,
    );
  const own = rules.filter((rule: UpdateRule) => rule.token === who && ruleIsFor(rule, zone, peer));
  if (own.length > 0) return (name, type) => own.some((rule) => ruleCovers(rule, labelsBelow(name, zone), type));
  return () => who === TOKEN_NAME && rules.every((rule) => rule.token !== who);
}

function askedUpdate(asked: AskedChange, permit: () => UpdatedZone['mayChange'] | UpdateRefusal) {
  const { zone: apex, name, type, change, serial, isDryRun, who, peer } = asked;
  const record = (of: number, ttlSeconds = 0, data: Uint8Array = new Uint8Array(0)): UpdateRecord => ({
    ...{ name, type, class: of, ttlSeconds, data },
  });
  const updates =
    change.kind === 'delete'
      ? (change.data?.map((data) => record(CLASS.NONE, 0, data)) ?? [record(CLASS.ANY)])
      : [
          ...(change.kind === 'set' ? [record(CLASS.ANY)] : []),
          ...change.data.map((data) => record(CLASS.IN, change.ttlSeconds, data)),
        ];
  return {
    apex,
    update: { zone: { name: apex, type: TYPE.SOA, class: CLASS.IN }, prerequisites: [], updates },
    ...{ permit, serial, isDryRun, sender: { token: who, peer } },
    refuse: (held: ProcessedZone) => unfit(asked, held),
  };
}

/** What RFC 2136 does not refuse, and HTTP does. */
function unfit({ name, type, change, exists }: AskedChange, { setsOf }: ProcessedZone): Unfit | undefined {
  const sets = setsOf(name);
  const set = sets?.get(type);
  const what = `${formatName(name)} ${typeText(type)}`;
  if (exists === true && !set) return { kind: 'precondition', why: `${what} does not exist` };
  if (exists === false && set) return { kind: 'precondition', why: `${what} exists` };
  if (change.kind === 'delete') {
    if (!set) return { kind: 'absent', why: `${what} does not exist` };
    const known = new Set(set.data.map((each) => digestOfData(type, [each])));
    if (!change.data || change.data.some((each) => known.has(digestOfData(type, [each])))) return undefined;
    return { kind: 'absent', why: `${what} has no such record` };
  }
  const others = [...(sets?.keys() ?? [])].filter((each) => each !== type && !BESIDE_CNAME.has(each));
  if (type === TYPE.CNAME && others.length > 0) {
    const types = others.map(typeText).join(' and ');
    return { kind: 'conflict', why: `${formatName(name)} has ${types} records, and a CNAME cannot be beside others` };
  }
  if (type !== TYPE.CNAME && !BESIDE_CNAME.has(type) && sets?.has(TYPE.CNAME) === true) {
    return { kind: 'conflict', why: `${formatName(name)} is a CNAME, and no other records can be beside it` };
  }
  const isSingle = type === TYPE.CNAME || type === TYPE.DNAME;
  const all = new Set([...change.data, ...(change.kind === 'add' ? (set?.data ?? []) : [])].map((each) => digestOfData(type, [each]))); // prettier-ignore
  if (isSingle && all.size > 1) return { kind: 'conflict', why: `a name has one ${typeText(type)} at most` };
  return undefined;
}

function outcomeOf({ zone, name, type, who }: AskedChange, outcome: UpdateOutcome): RecordOutcome {
  switch (outcome.kind) {
    case 'done':
      return { ok: true, serial: outcome.serial, changes: outcome.changes };
    case 'unfit':
      return { ok: false, kind: outcome.unfit.kind, why: outcome.unfit.why };
    case 'other serial':
      return { ok: false, kind: 'precondition', why: `the serial of ${formatName(zone)} is ${outcome.serial}`, serial: outcome.serial }; // prettier-ignore
    case 'not kept':
      return { ok: false, kind: outcome.isInvalid ? 'invalid' : 'not kept', why: outcome.why };
    case 'refused': {
      const { rcode, info, isForbidden = false } = outcome.refusal;
      if (rcode === RCODE.NOTAUTH) return { ok: false, kind: 'unknown zone', why: 'the zone is not served here' };
      if (isForbidden) {
        const why = `no rule of updates lets the token ${who} change ${formatName(name)} ${typeText(type)}`;
        return { ok: false, kind: 'forbidden', why };
      }
      if (rcode === RCODE.REFUSED) return { ok: false, kind: 'conflict', why: info?.text ?? 'refused' };
      return { ok: false, kind: 'invalid', why: info?.text ?? 'the records are not valid' };
    }
  }
}
