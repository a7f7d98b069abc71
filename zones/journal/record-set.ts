/**
 * The records of one name and type that dynamic updates have set, and the records that they replace.
 */
import { createHash } from 'node:crypto';
import { nameKey, type Name } from '../../wire/name.ts';
import { namesIn } from '../../wire/rdata.ts';

export type HeldSet = { readonly ttlSeconds: number; readonly data: readonly Uint8Array[] };

/** What updates have made of the records of a name and type. */
export type DynamicSet = HeldSet & {
  readonly name: Name;
  readonly type: number;
  /**
   * `digestOfData` of the records in the files when the first update changed them. If they differ now, the files win.
   */
  readonly base: string;
};

/** What became of a set of the journal when the files of its zone were read. */
export type JoinedSet = {
  readonly set: DynamicSet;
  /**
   * `used`: it is served. `overruled`: the files have other records now, and win. `adopted`: the files state the same,
   * so that the journal need not have it.
   */
  readonly state: 'used' | 'overruled' | 'adopted';
  /** Absolute paths of the files with records of the name and type. */
  readonly files: readonly string[];
};

/** A text that is equal for equal sets with an equal past. */
export function markOfSet({ name, type, base, ttlSeconds, data }: DynamicSet): string {
  return `${setKey(name, type)} ${base} ${ttlSeconds} ${digestOfData(type, data)}`;
}

/** Sums by set: sets stay the same objects from one update to the next. */
const sums = new WeakMap<DynamicSet, Uint32Array>();

/**
 * A digest of sets in any order, so that an update of one set needs only that set; empty without sets. Each set counts
 * with its records as they are.
 */
export function digestOfSets(sets: Iterable<DynamicSet>): string {
  const sum = new Uint32Array(4);
  let isEmpty = true;
  for (const set of sets) {
    isEmpty = false;
    let own = sums.get(set);
    if (!own) {
      const digest = createHash('sha256').update(markOfSet(set)).digest();
      own = Uint32Array.from({ length: 4 }, (_, at) => digest.readUInt32LE(at * 4));
      sums.set(set, own);
    }
    for (let at = 0; at < 4; at++) sum[at] = (sum[at] ?? 0) + (own[at] ?? 0);
  }
  return isEmpty ? '' : [...sum].map((each) => each.toString(16).padStart(8, '0')).join('');
}

/** A key for the sets of a zone. */
export function setKey(name: Name, type: number): string {
  return `${nameKey(name)}/${type}`;
}

/** A digest of records in any order; empty without records. Case in names does not matter. */
export function digestOfData(type: number, data: readonly Uint8Array[]): string {
  if (data.length === 0) return '';
  const hash = createHash('sha256');
  for (const each of data.map((octets) => dataKey(type, octets)).sort())
    hash.update(`${each.length} ${each}`, 'latin1');
  return hash.digest('base64url').slice(0, 22);
}

/** Record data for comparisons: RFC 4034 6.2 compares the names in it without case. */
export function dataKey(type: number, octets: Uint8Array): string {
  const text = Buffer.from(octets).toString('latin1');
  return namesIn(type, octets, 0).length === 0 ? text : text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
