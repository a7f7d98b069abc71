/**
 * The intermediate form between another system's files and zone YAML: records, services, and a note for every
 * difference.
 */
import { plainText } from '../../config/plain-text.ts';
import { formatName, isWithin, nameKey, type Name } from '../../wire/name.ts';
import { typeText } from '../../wire/types.ts';
import {
  addRecord,
  createRecordStore,
  ownerOf,
  ownerStart,
  rdataOf,
  recordTtl,
  recordType,
  trimStore,
  type RecordStore,
} from '../../zones/read/record-store.ts';

/** A value that YAML can express. */
export type DraftValue = string | number | boolean | readonly DraftValue[] | { readonly [key: string]: DraftValue };

/**
 * `changed`: it is in the zone, but does not mean exactly the same, or needs a review. `dropped`: it is not in the
 * zone. `owner` is relative to the zone, `@` for the apex; a note without an owner is about the whole zone.
 */
export type Note = {
  readonly kind: 'changed' | 'dropped';
  readonly owner: string | undefined;
  readonly message: string;
};

/** Part of the note about a record that was dropped because its owner is not in the zone. */
export const OUT_OF_ZONE = 'out of the zone';

/** `known`: the data as text, once there are too many to compare each. */
export type Rrset = {
  readonly type: number;
  readonly ttlSeconds: number;
  readonly rdata: Uint8Array[];
  known: Set<string> | undefined;
};

/** Records of an RRset that are compared one by one, which needs less memory than a set. */
const MAX_COMPARED = 32;

/** `rrsets` has each type once. A list, since a map for each of many owners needs much memory. */
export type OwnerDraft = { readonly owner: Name; readonly rrsets: Rrset[] };

/** The keys of a VIP in a zone file, and a comment. Names in `CNAME` end with a dot. */
export type VipDraft = {
  readonly name: string;
  readonly region?: string;
  readonly A?: string;
  readonly AAAA?: string;
  readonly CNAME?: string;
  /** The service that answers in its place, relative to the zone. */
  readonly service?: string;
  /** Of other types. */
  readonly rrsets?: readonly Pick<Rrset, 'type' | 'rdata'>[];
  readonly weight?: number;
  readonly probe?: string;
  /** A check, its name, or `none`. */
  readonly check?: DraftValue;
  readonly comment?: string;
};

export type ServiceDraft = {
  readonly owner: Name;
  /** Seconds, or a range in seconds. */
  readonly ttl: number | { readonly min: number; readonly max: number };
  readonly check?: DraftValue;
  readonly vips: readonly VipDraft[];
  /** Steps; empty for the default. */
  readonly steer: readonly DraftValue[];
  readonly answers?: number | 'all';
  readonly whenAllDown?: DraftValue;
  readonly partial?: 'serve_all';
  /** Names in the source for what other services may have too. */
  readonly hints?: { readonly map?: string; readonly template?: string };
  /** The template that it is written with; `hasTtl`: the TTL is that of the template. */
  readonly template?: { readonly name: string; readonly hasTtl: boolean };
};

/** A name that answers with the addresses of another one. */
export type AliasDraft = { readonly owner: Name; readonly target: Name; readonly ttlSeconds: number };

/** A whole service that several names share. */
export type TemplateDraft = Omit<ServiceDraft, 'owner' | 'hints' | 'template'>;

export type RegionDraft = { readonly at?: string; readonly min_healthy?: string };

export type ZoneDraft = {
  readonly apex: Name;
  /** The source that the first line of the YAML names: `bind, db.example.com`. */
  readonly source: string;
  /** By `nameKey`, in the order of the source. */
  readonly owners: Map<string, OwnerDraft>;
  /** The records, while they are not in `owners` (`packOwners`). */
  packed: RecordStore | undefined;
  readonly services: Map<string, ServiceDraft>;
  /** By `nameKey` of the owner. */
  readonly aliases: Map<string, AliasDraft>;
  readonly regions: Map<string, RegionDraft>;
  readonly checks: Map<string, DraftValue>;
  /** Bodies of `geo` steps. */
  readonly maps: Map<string, DraftValue>;
  readonly templates: Map<string, TemplateDraft>;
  readonly notes: Note[];
  /** What `notes` has, as text. */
  readonly noted: Set<string>;
};

export function createDraft(apex: Name, source: string): ZoneDraft {
  return {
    apex,
    source,
    owners: new Map(),
    packed: undefined,
    services: new Map(),
    aliases: new Map(),
    regions: new Map(),
    checks: new Map(),
    maps: new Map(),
    templates: new Map(),
    notes: [],
    noted: new Set(),
  };
}

/** `www`, `@`, or the absolute name with its final dot if it is not in the zone. */
export function relativeName(name: Name, apex: Name): string {
  const from = name.length - apex.length;
  if (apex.length === 1 && name.length > 1) return `${formatName(name)}.`;
  if (!isWithin(name, apex)) return name.length === 1 ? '.' : `${formatName(name)}.`;
  if (from === 0) return '@';
  // Letters are not escaped, so the end of the text is as long as the apex, whatever its case.
  return formatName(name).slice(0, -formatName(apex).length - 1);
}

/** The same for names in data. Responses keep their case, so a name is shortened only if its case is not lost. */
export function relativeTarget(name: Name, apex: Name): string {
  const isSame = Buffer.compare(name.subarray(Math.max(0, name.length - apex.length)), apex) === 0;
  if (isSame) return relativeName(name, apex);
  return name.length === 1 ? '.' : `${formatName(name)}.`;
}

/** Adds a note, unless the same message about the same owner is there already. */
export function note(draft: ZoneDraft, kind: Note['kind'], owner: Name | undefined, text: string): void {
  const message = plainText(text);
  const relative = owner && relativeName(owner, draft.apex);
  const key = JSON.stringify([relative, message]);
  if (draft.noted.has(key)) return;
  draft.noted.add(key);
  draft.notes.push({ kind, owner: relative, message });
}

/** Lines of notes per zone: a list that is longer is not read. `--json` has all notes. */
const MAX_NOTE_LINES = 200;
/** Owners that a line for notes with the same words names. Of fewer owners, each has its own line. */
const MAX_OWNERS = 3;

/** Notes as lines in the order of the first with the same words. `hidden`: notes that have no line. */
export function noteLines(notes: readonly Note[]): {
  readonly lines: readonly { readonly kind: Note['kind']; readonly text: string }[];
  readonly hidden: number;
} {
  const groups = new Map<string, Note[]>();
  for (const each of notes) {
    const key = JSON.stringify([each.kind, each.message]);
    const group = groups.get(key);
    if (group) group.push(each);
    else groups.set(key, [each]);
  }
  const lines: { readonly kind: Note['kind']; readonly text: string; readonly notes: number }[] = [];
  for (const group of groups.values()) {
    const owners = group.flatMap(({ owner }) => owner ?? []);
    const [first] = group;
    if (first && owners.length > MAX_OWNERS) {
      const named = `${owners.slice(0, MAX_OWNERS).join(', ')} and ${owners.length - MAX_OWNERS} more`;
      lines.push({ kind: first.kind, text: `${named}: ${first.message}`, notes: group.length });
    } else {
      for (const { kind, owner, message } of group) {
        lines.push({ kind, text: owner === undefined ? message : `${owner}: ${message}`, notes: 1 });
      }
    }
  }
  const hidden = lines.slice(MAX_NOTE_LINES).reduce((sum, { notes: count }) => sum + count, 0);
  return { lines: lines.slice(0, MAX_NOTE_LINES), hidden };
}

/**
 * Moves the records of a draft into columns, which need a tenth of the memory. For a draft that waits for others:
 * nothing is added to it any more.
 */
export function packOwners(draft: ZoneDraft): void {
  const store = createRecordStore();
  for (const { owner, rrsets } of draft.owners.values()) {
    for (const { type, ttlSeconds, rdata } of rrsets) {
      for (const each of rdata) addRecord(store, owner, type, ttlSeconds, each, 0, 0);
    }
  }
  trimStore(store);
  draft.packed = store;
  draft.owners.clear();
}

/** The draft with its records in `owners` again, in the same order. They are released with the result. */
export function withOwners(draft: ZoneDraft): ZoneDraft {
  const { packed: store } = draft;
  if (!store) return draft;
  const owners = new Map<string, OwnerDraft>();
  let at = -1;
  let rrsets: Rrset[] = [];
  for (let row = 0; row < store.count; row++) {
    if (ownerStart(store, row) !== at) {
      at = ownerStart(store, row);
      rrsets = [];
      const owner = ownerOf(store, row);
      owners.set(nameKey(owner), { owner, rrsets });
    }
    const type = recordType(store, row);
    const last = rrsets.at(-1);
    if (last?.type === type) last.rdata.push(rdataOf(store, row));
    else rrsets.push({ type, ttlSeconds: recordTtl(store, row), rdata: [rdataOf(store, row)], known: undefined });
  }
  return { ...draft, owners, packed: undefined };
}

/** The number of records. */
export function countRecords({ owners, packed }: ZoneDraft): number {
  const count = ({ rrsets }: OwnerDraft): number => rrsets.reduce((sum, { rdata }) => sum + rdata.length, 0);
  return [...owners.values()].reduce((sum, owner) => sum + count(owner), packed?.count ?? 0);
}

/** RFC 2181 5 and 5.2: equal records are kept once, and an RRset has one TTL, here that of its first record. */
export function addDraftRecord(
  draft: ZoneDraft,
  owner: Name,
  type: number,
  ttlSeconds: number,
  rdata: Uint8Array,
): void {
  const key = nameKey(owner);
  const known = draft.owners.get(key);
  const rrset = known && rrsetOf(known, type);
  if (!rrset) {
    const added: Rrset = { type, ttlSeconds, rdata: [rdata], known: undefined };
    if (known) known.rrsets.push(added);
    else draft.owners.set(key, { owner, rrsets: [added] });
    return;
  }
  if (rrset.ttlSeconds !== ttlSeconds) {
    const message = `${typeText(type)} records with different TTLs, ${rrset.ttlSeconds} and ${ttlSeconds}: all get the first`;
    note(draft, 'changed', owner, message);
  }
  if (isKnown(rrset, rdata)) note(draft, 'dropped', owner, `a duplicate ${typeText(type)} record`);
  else rrset.rdata.push(rdata);
}

export function rrsetOf({ rrsets }: OwnerDraft, type: number): Rrset | undefined {
  return rrsets.find((each) => each.type === type);
}

/** Whether the RRset has this data. If not, the caller adds it. */
function isKnown(rrset: Rrset, rdata: Uint8Array): boolean {
  if (rrset.rdata.length < MAX_COMPARED) return rrset.rdata.some((each) => Buffer.compare(each, rdata) === 0);
  const textOf = (octets: Uint8Array): string => Buffer.from(octets).toString('latin1');
  rrset.known ??= new Set(rrset.rdata.map(textOf));
  const before = rrset.known.size;
  return rrset.known.add(textOf(rdata)).size === before;
}

/** Adds a service. If its owner already has one, the first is kept and this one becomes a note. */
export function addService(draft: ZoneDraft, service: ServiceDraft): void {
  const key = nameKey(service.owner);
  if (draft.services.has(key)) note(draft, 'dropped', service.owner, 'a second dynamic record at this name');
  else draft.services.set(key, service);
}

/** Adds a check, unless the draft has an equal one, and returns its name. */
export function addCheck({ checks }: ZoneDraft, kind: string, check: DraftValue): string {
  const known = [...checks].find(([, each]) => JSON.stringify(each) === JSON.stringify(check));
  if (known) return known[0];
  const name = checks.size === 0 ? kind : `${kind}-${checks.size + 1}`;
  checks.set(name, check);
  return name;
}

/**
 * Adds an ALIAS. `word`: how the source calls it. If its owner already has one, the first is kept and this one becomes
 * a note.
 */
export function addAlias(draft: ZoneDraft, owner: Name, ttlSeconds: number, target: Name, word = 'ALIAS'): void {
  const key = nameKey(owner);
  if (!isWithin(owner, draft.apex)) note(draft, 'dropped', owner, `${word} ${OUT_OF_ZONE}`);
  else if (draft.aliases.has(key)) note(draft, 'dropped', owner, `${word} ${formatName(target)}: a second one`);
  else draft.aliases.set(key, { owner: owner.slice(), target: target.slice(), ttlSeconds });
}
