/**
 * Signatures by the digest of what they sign, in two arrays: a zone of a million names has two million signatures,
 * which would be too many objects.
 *
 *     entry   digest (16 octets), length of the signature (2 octets), signature
 */
import { get16, put16 } from '../wire/octets.ts';

export type SignatureStore = {
  /** The entries one after the other, and after them free space. */
  octets: Uint8Array;
  used: number;
  count: number;
  /** Open addressing by the first octets of the digest: position of the entry + 1, or 0. At most half full. */
  index: Int32Array;
};

export const DIGEST_OCTETS = 16;
const HEAD_OCTETS = DIGEST_OCTETS + 2;
const LEAST_ENTRIES = 64;
const USUAL_ENTRY_OCTETS = HEAD_OCTETS + 64;

export function createSignatureStore(entries = LEAST_ENTRIES): SignatureStore {
  return {
    octets: new Uint8Array(entries * USUAL_ENTRY_OCTETS),
    used: 0,
    count: 0,
    index: new Int32Array(indexSize(entries)),
  };
}

/** A store with the entries of `octets`, which must be whole. */
export function storeFrom(octets: Uint8Array, count: number): SignatureStore {
  const store: SignatureStore = { octets, used: octets.length, count, index: new Int32Array(indexSize(count)) };
  for (let at = 0, left = count; left > 0; left--) {
    insert(store.index, octets, at);
    at += HEAD_OCTETS + get16(octets, at + DIGEST_OCTETS);
  }
  return store;
}

/** A power of two. */
function indexSize(entries: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(LEAST_ENTRIES, entries) * 2));
}

/** The signature for the digest at `digest[at...]`: a view of the store. */
export function findSignature(
  { index, octets }: SignatureStore,
  digest: Uint8Array,
  at: number,
): Uint8Array | undefined {
  const mask = index.length - 1;
  for (let slot = hashAt(digest, at) & mask; ; slot = (slot + 1) & mask) {
    const entry = (index[slot] ?? 0) - 1;
    if (entry < 0) return undefined;
    if (!isSame(octets, entry, digest, at)) continue;
    const start = entry + HEAD_OCTETS;
    return octets.subarray(start, start + get16(octets, entry + DIGEST_OCTETS));
  }
}

/** Adds a signature, unless the store has one for the digest. */
export function addSignature(store: SignatureStore, digest: Uint8Array, at: number, signature: Uint8Array): void {
  if (findSignature(store, digest, at)) return;
  const octets = HEAD_OCTETS + signature.length;
  if (store.used + octets > store.octets.length) {
    const larger = new Uint8Array(Math.max(store.octets.length * 2, store.used + octets));
    larger.set(store.octets.subarray(0, store.used));
    store.octets = larger;
  }
  if (store.count * 2 >= store.index.length) {
    const larger = new Int32Array(store.index.length * 2);
    for (const entry of store.index) if (entry !== 0) insert(larger, store.octets, entry - 1);
    store.index = larger;
  }
  const entry = store.used;
  for (let i = 0; i < DIGEST_OCTETS; i++) store.octets[entry + i] = digest[at + i] ?? 0;
  put16(store.octets, entry + DIGEST_OCTETS, signature.length);
  store.octets.set(signature, entry + HEAD_OCTETS);
  insert(store.index, store.octets, entry);
  store.used += octets;
  store.count++;
}

function insert(index: Int32Array, octets: Uint8Array, entry: number): void {
  const mask = index.length - 1;
  let slot = hashAt(octets, entry) & mask;
  while (index[slot] !== 0) slot = (slot + 1) & mask;
  index[slot] = entry + 1;
}

function hashAt(octets: Uint8Array, at: number): number {
  return get16(octets, at) | (get16(octets, at + 2) << 16);
}

function isSame(octets: Uint8Array, at: number, other: Uint8Array, otherAt: number): boolean {
  for (let i = 0; i < DIGEST_OCTETS; i++) if (octets[at + i] !== other[otherAt + i]) return false;
  return true;
}
