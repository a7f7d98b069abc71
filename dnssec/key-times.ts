/**
 * What each key of a zone does at a time: whether its DNSKEY is in the zone, what it signs, and whether the parent
 * should have its DS (RFC 7583 3.1; the times are those of `dnssec-settime`).
 */
import type { KeyTimes, ZoneKey } from './key-files.ts';

type Timed = { readonly times: KeyTimes };

/**
 * The keys that sign at a time. A key with a time of publication but without one of activation does not sign. A key
 * whose `Inactive` is after its `Delete` signs until then: that is how an algorithm leaves a zone (RFC 6781 4.1.4).
 */
export function activeKeys<K extends Timed>(keys: readonly K[], nowSeconds: number): readonly K[] {
  return keys.filter(({ times: { publish, activate, inactive, delete: deleted } }) => {
    const begin = activate ?? (publish === undefined ? 0 : Infinity);
    return begin <= nowSeconds && nowSeconds < (inactive ?? deleted ?? Infinity);
  });
}

/** Whether the key's DNSKEY is in the zone at a time. */
export function isPublished({ times: { publish, activate, delete: deleted } }: Timed, nowSeconds: number): boolean {
  return (publish ?? activate ?? 0) <= nowSeconds && nowSeconds < (deleted ?? Infinity);
}

/** The next time at which a key changes its state; Infinity without one. */
export function nextEvent(keys: readonly Timed[], nowSeconds: number): number {
  const times = keys.flatMap(({ times: each }) => Object.values(each));
  return Math.min(...times.flatMap((time) => (time !== undefined && time > nowSeconds ? time : [])), Infinity);
}

export type KeyRoles = {
  /** Their DNSKEYs are in the zone. */
  readonly published: readonly ZoneKey[];
  /** They sign something. */
  readonly active: readonly ZoneKey[];
  /** They sign DNSKEY, CDS and CDNSKEY. */
  readonly forKeys: readonly ZoneKey[];
  /** They sign everything else. */
  readonly forData: readonly ZoneKey[];
  /** CDS and CDNSKEY name them. */
  readonly forParent: readonly ZoneKey[];
};

export function rolesOf(keys: readonly ZoneKey[], nowSeconds: number): KeyRoles {
  const published = keys.filter((key) => isPublished(key, nowSeconds));
  const active = activeKeys(keys, nowSeconds);
  // A DNSKEY that is not in the zone cannot verify a signature of the DNSKEY set.
  const forKeys = ofOneKind(
    active.filter((key) => published.includes(key)),
    true,
  );
  const marked = forKeys.filter(({ isEntryPoint }) => isEntryPoint);
  const points = marked.length > 0 ? marked : forKeys;
  const synced = points.filter(({ times: { syncPublish, syncDelete } }) => {
    return (syncPublish ?? 0) <= nowSeconds && nowSeconds < (syncDelete ?? Infinity);
  });
  return {
    ...{ published, active, forKeys, forData: ofOneKind(active, false) },
    forParent: synced.length > 0 ? synced : points,
  };
}

/**
 * The keys of one kind of each algorithm, or all keys of an algorithm that has only the other kind: each algorithm must
 * sign everything (RFC 6840 5.11).
 */
function ofOneKind(keys: readonly ZoneKey[], wantsEntryPoints: boolean): readonly ZoneKey[] {
  const byAlgorithm = Map.groupBy(keys, ({ algorithm }) => algorithm.number);
  return [...byAlgorithm.values()].flatMap((each) => {
    const wanted = each.filter(({ isEntryPoint }) => isEntryPoint === wantsEntryPoints);
    return wanted.length > 0 ? wanted : each;
  });
}
