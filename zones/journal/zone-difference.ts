/**
 * The difference between two versions of a zone (RFC 1995), and how differences are joined.
 */
/** Records in wire form: owner, type, class, TTL, length, data, without compression. */
export type ZoneDifference = {
  readonly soaBefore: Uint8Array;
  readonly soaAfter: Uint8Array;
  /** Without the SOA. */
  readonly removed: readonly Uint8Array[];
  readonly added: readonly Uint8Array[];
};

/** The octets of a difference. */
export function octetsOf({ soaBefore, soaAfter, removed, added }: ZoneDifference): number {
  return [soaBefore, soaAfter, ...removed, ...added].reduce((sum, { length }) => sum + length, 0);
}

/** Joins consecutive differences: a record that was added and removed again is in none of the lists. */
export function condense(differences: readonly ZoneDifference[]): ZoneDifference | undefined {
  const [first] = differences;
  const last = differences.at(-1);
  if (!first || !last) return undefined;
  const removed = new Map<string, Uint8Array>();
  const added = new Map<string, Uint8Array>();
  const move = (records: readonly Uint8Array[], from: Map<string, Uint8Array>, to: Map<string, Uint8Array>): void => {
    for (const record of records) {
      const key = Buffer.from(record).toString('latin1');
      if (!from.delete(key)) to.set(key, record);
    }
  };
  for (const difference of differences) {
    move(difference.removed, added, removed);
    move(difference.added, removed, added);
  }
  return {
    soaBefore: first.soaBefore,
    soaAfter: last.soaAfter,
    removed: [...removed.values()],
    added: [...added.values()],
  };
}
