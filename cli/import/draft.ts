/**
 * The intermediate form between another system's files and zone YAML: records, services, and a note for every
 * difference.
 */
import { plainText } from '../../config/plain-text.ts';
import { formatName, isWithin, nameKey, type Name } from '../../wire/name.ts';
import { typeText } from '../../wire/types.ts';

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

export type Rrset = { readonly type: number; readonly ttlSeconds: number; readonly rdata: Uint8Array[] };

export type OwnerDraft = { readonly owner: Name; readonly rrsets: Map<number, Rrset> };

/** The keys of a VIP in a zone file, and a comment. Names in `CNAME` end with a dot. */
export type VipDraft = {
  readonly name: string;
  readonly region?: string;
  readonly A?: string;
  readonly AAAA?: string;
  readonly CNAME?: string;
  readonly weight?: number;
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
};

export type RegionDraft = { readonly at?: string; readonly min_healthy?: string };

export type ZoneDraft = {
  readonly apex: Name;
  /** The source that the first line of the YAML names: `bind, db.example.com`. */
  readonly source: string;
  /** By `nameKey`, in the order of the source. */
  readonly owners: Map<string, OwnerDraft>;
  readonly services: Map<string, ServiceDraft>;
  readonly regions: Map<string, RegionDraft>;
  readonly checks: Map<string, DraftValue>;
  readonly notes: Note[];
};

export function createDraft(apex: Name, source: string): ZoneDraft {
  return {
    apex,
    source,
    owners: new Map(),
    services: new Map(),
    regions: new Map(),
    checks: new Map(),
    notes: [],
  };
}

/** `www`, `@`, or the absolute name with its final dot if it is not in the zone. */
export function relativeName(name: Name, apex: Name): string {
  const from = name.length - apex.length;
  if (apex.length === 1 && name.length > 1) return `${formatName(name)}.`;
  if (!isWithin(name, apex)) return name.length === 1 ? '.' : `${formatName(name)}.`;
  return from === 0 ? '@' : formatName(Uint8Array.of(...name.subarray(0, from), 0));
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
  const known = draft.notes.some((each) => each.owner === relative && each.message === message);
  if (!known) draft.notes.push({ kind, owner: relative, message });
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
  const known = draft.owners.get(key) ?? { owner, rrsets: new Map<number, Rrset>() };
  draft.owners.set(key, known);
  const rrset = known.rrsets.get(type);
  if (!rrset) {
    known.rrsets.set(type, { type, ttlSeconds, rdata: [rdata] });
    return;
  }
  if (rrset.ttlSeconds !== ttlSeconds) {
    const message = `${typeText(type)} records with different TTLs, ${rrset.ttlSeconds} and ${ttlSeconds}: all get the first`;
    note(draft, 'changed', owner, message);
  }
  if (rrset.rdata.some((each) => Buffer.compare(each, rdata) === 0)) {
    note(draft, 'dropped', owner, `a duplicate ${typeText(type)} record`);
  } else rrset.rdata.push(rdata);
}

/** Adds a service. If its owner already has one, the first is kept and this one becomes a note. */
export function addService(draft: ZoneDraft, service: ServiceDraft): void {
  const key = nameKey(service.owner);
  if (draft.services.has(key)) note(draft, 'dropped', service.owner, 'a second dynamic record at this name');
  else draft.services.set(key, service);
}
