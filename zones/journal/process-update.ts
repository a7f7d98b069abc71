/**
 * Dynamic updates as RFC 2136 3 states them, as a pure function: prerequisites, permission, scan, and changes, all or
 * nothing.
 */
import { FIXED_TYPES } from '../../config/read-updates.ts';
import { MAX_TTL_SECONDS } from '../../wire/limits.ts';
import { isWithin, canonical, nameKey, type Name } from '../../wire/name.ts';
import { BESIDE_CNAME } from '../../wire/rdata/table.ts';
import { mostRrsetOctets } from '../../wire/response.ts';
import { CLASS, EDE, isMetaType, RCODE, TYPE, typeText } from '../../wire/types.ts';
import { isValidData, type UpdateMessage, type UpdateRecord } from '../../wire/update.ts';
import { dataKey, type HeldSet } from './record-set.ts';

/** The sets of a name, by type. */
export type SetsOfName = ReadonlyMap<number, HeldSet>;

export type UpdatedZone = {
  /** Canonical. */
  readonly apex: Name;
  /** The sets of a canonical name; undefined without records. */
  readonly setsOf: (name: Name) => SetsOfName | undefined;
  /** Whether the name is steered. */
  readonly isSteered: (name: Name) => boolean;
  /** Whether the sender may change the records of a name and type. */
  readonly mayChange: (name: Name, type: number) => boolean;
};

export type UpdateRefusal = {
  readonly rcode: number;
  readonly info?: { readonly code: number; readonly text: string };
  /** True: the sender may not change these records. */
  readonly isForbidden?: boolean;
};

/** The sets of the names that change, by `nameKey`. */
export type NameChange = { readonly name: Name; readonly sets: SetsOfName };

export type Processed =
  | { readonly ok: true; readonly changes: readonly NameChange[] }
  | { readonly ok: false; readonly refusal: UpdateRefusal };

/** Processes an update of a zone. It changes nothing: it returns what must change. */
export function processUpdate({ prerequisites, updates }: UpdateMessage, zone: UpdatedZone): Processed {
  const refusal = checkPrerequisites(prerequisites, zone) ?? checkPermission(updates, zone) ?? scan(updates, zone);
  if (refusal) return { ok: false, refusal };
  const changes = apply(updates, zone);
  return changes.some(isTooLarge) ? { ok: false, refusal: TOO_LARGE } : { ok: true, changes };
}

const TOO_LARGE: UpdateRefusal = {
  rcode: RCODE.SERVFAIL,
  info: { code: EDE.PROHIBITED, text: 'the records of a name and type do not fit into a message' },
};

/** Whether a set may not fit into a message: the compile step would refuse the zone. */
function isTooLarge({ name, sets }: NameChange): boolean {
  const most = mostRrsetOctets(name.length);
  return [...sets.values()].some(
    ({ data }) => data.reduce((sum, { length }) => sum + RECORD_HEAD_OCTETS + length, 0) > most,
  );
}

/** Owner pointer, type, class, TTL, length. */
const RECORD_HEAD_OCTETS = 12;

const FORMERR: UpdateRefusal = { rcode: RCODE.FORMERR };
const NOTZONE: UpdateRefusal = { rcode: RCODE.NOTZONE };

/** RFC 2136 3.2. */
function checkPrerequisites(records: readonly UpdateRecord[], zone: UpdatedZone): UpdateRefusal | undefined {
  /** Sets that must be equal, by name and type. */
  const wanted = new Map<string, { name: Name; type: number; data: Uint8Array[] }>();
  for (const record of records) {
    const { type, ttlSeconds, data } = record;
    const name = canonical(record.name);
    if (ttlSeconds !== 0) return FORMERR;
    if (!isWithin(name, zone.apex)) return NOTZONE;
    const sets = zone.setsOf(name);
    if (record.class === CLASS.IN) {
      if (isMetaType(type)) return FORMERR;
      const key = `${nameKey(name)}/${type}`;
      const set = wanted.get(key) ?? { name, type, data: [] };
      set.data.push(data);
      wanted.set(key, set);
      continue;
    }
    if ((record.class !== CLASS.ANY && record.class !== CLASS.NONE) || data.length > 0) return FORMERR;
    if (type !== TYPE.ANY && isMetaType(type)) return FORMERR;
    const isThere = type === TYPE.ANY ? sets !== undefined : sets?.has(type) === true;
    const mustBe = record.class === CLASS.ANY;
    if (isThere === mustBe) continue;
    if (type === TYPE.ANY) return { rcode: mustBe ? RCODE.NXDOMAIN : RCODE.YXDOMAIN };
    return { rcode: mustBe ? RCODE.NXRRSET : RCODE.YXRRSET };
  }
  for (const { name, type, data } of wanted.values()) {
    const keys = (all: readonly Uint8Array[]): string =>
      [...new Set(all.map((each) => dataKey(type, each)))].sort().join('\0\n');
    if (keys(zone.setsOf(name)?.get(type)?.data ?? []) !== keys(data)) return { rcode: RCODE.NXRRSET };
  }
  return undefined;
}

/** RFC 2136 3.3, and the records that no update may change. */
function checkPermission(updates: readonly UpdateRecord[], zone: UpdatedZone): UpdateRefusal | undefined {
  for (const { name: written, type, class: of } of updates) {
    const name = canonical(written);
    // The scan below answers NOTZONE.
    if (!isWithin(name, zone.apex)) continue;
    const isApex = name.length === zone.apex.length;
    const deletesAll = of === CLASS.ANY && type === TYPE.ANY;
    const held = [...(zone.setsOf(name)?.keys() ?? [])].filter((each) => !FIXED_TYPES.has(each) && !(isApex && each === TYPE.NS)); // prettier-ignore
    if (zone.isSteered(name)) return refuse('a steered name is not changed by updates');
    if (!deletesAll && FIXED_TYPES.has(type)) return refuse(`${typeText(type)} is not changed by updates`);
    if (isApex && type === TYPE.NS) return refuse('NS of the zone itself is not changed by updates');
    const types = deletesAll ? held : [type];
    const denied = types.find((each) => !zone.mayChange(name, each));
    // Whoever may change nothing at a name does not learn whether it exists.
    if (
      denied !== undefined ||
      (deletesAll && types.length === 0 && !zone.mayChange(name, TYPE.TXT) && !zone.mayChange(name, TYPE.A))
    ) {
      return { ...refuse('updates forbids this key to change this name and type'), isForbidden: true };
    }
  }
  return undefined;
}

function refuse(text: string): UpdateRefusal {
  return { rcode: RCODE.REFUSED, info: { code: EDE.PROHIBITED, text } };
}

/** RFC 2136 3.4.1. */
function scan(updates: readonly UpdateRecord[], zone: UpdatedZone): UpdateRefusal | undefined {
  for (const { name, type, class: of, ttlSeconds, data } of updates) {
    if (!isWithin(canonical(name), zone.apex)) return NOTZONE;
    if (of === CLASS.IN) {
      if (isMetaType(type) || ttlSeconds > MAX_TTL_SECONDS || !isValidData(type, data)) return FORMERR;
    } else if (of === CLASS.ANY) {
      if (ttlSeconds !== 0 || data.length > 0 || (isMetaType(type) && type !== TYPE.ANY)) return FORMERR;
    } else if (of !== CLASS.NONE || ttlSeconds !== 0 || isMetaType(type)) return FORMERR;
  }
  return undefined;
}

/** RFC 2136 3.4.2. */
function apply(updates: readonly UpdateRecord[], zone: UpdatedZone): readonly NameChange[] {
  const changed = new Map<string, { readonly name: Name; readonly sets: Map<number, HeldSet> }>();
  for (const record of updates) {
    const name = canonical(record.name);
    const key = nameKey(name);
    let at = changed.get(key);
    if (!at) changed.set(key, (at = { name, sets: new Map(zone.setsOf(name)) }));
    if (record.class === CLASS.IN) add(at.sets, record);
    else if (record.class === CLASS.ANY) removeSets(at.sets, record.type, name.length === zone.apex.length);
    else removeOne(at.sets, record);
  }
  return [...changed.values()];
}

function add(sets: Map<number, HeldSet>, { type, ttlSeconds, data }: UpdateRecord): void {
  const others = [...sets.keys()].filter((each) => !BESIDE_CNAME.has(each));
  // RFC 2136 3.4.2.2: an owner with a CNAME has nothing else, and such a record is ignored.
  if (type === TYPE.CNAME ? others.length > 0 : !BESIDE_CNAME.has(type) && sets.has(TYPE.CNAME)) {
    return;
  }
  const before = type === TYPE.CNAME || type === TYPE.DNAME ? [] : (sets.get(type)?.data ?? []);
  const key = dataKey(type, data);
  // A record that is there is replaced: it may differ in the case of names. All have the same TTL (RFC 2181 5.2).
  sets.set(type, { ttlSeconds, data: [...before.filter((each) => dataKey(type, each) !== key), data] });
}

function removeSets(sets: Map<number, HeldSet>, type: number, isApex: boolean): void {
  if (type !== TYPE.ANY) {
    sets.delete(type);
    return;
  }
  for (const each of [...sets.keys()]) {
    if (!FIXED_TYPES.has(each) && !(isApex && each === TYPE.NS)) sets.delete(each);
  }
}

function removeOne(sets: Map<number, HeldSet>, { type, data }: UpdateRecord): void {
  const set = sets.get(type);
  if (!set) return;
  const key = dataKey(type, data);
  const left = set.data.filter((each) => dataKey(type, each) !== key);
  if (left.length === 0) sets.delete(type);
  else sets.set(type, { ttlSeconds: set.ttlSeconds, data: left });
}
