/**
 * The hash of a canonical name in the image's table: a polynomial, modulo 2^32, over the hashes of its labels. A name
 * is read from left to right. The sums at each label give the hash of every suffix without another pass. The search for
 * the closest encloser needs these hashes.
 *
 *     sum(a.b.c)    = h(a)·F² + h(b)·F + h(c)        sum(b.c) = sum(a.b.c) − sum(a)·F²
 *
 * A label is hashed in words of four octets, its length octet first. The last word is padded with zeros.
 */

import { MAX_LABELS } from './limits.ts';

/** FNV's prime. It is odd, so none of its powers is 0 modulo 2^32. */
const FACTOR = 0x0100_0193;

const POWERS = new Int32Array(MAX_LABELS + 1);
POWERS[0] = 1;
for (let i = 1; i <= MAX_LABELS; i++) POWERS[i] = Math.imul(POWERS[i - 1] ?? 0, FACTOR);

/** Adds one little-endian word to the hash of a label. The hash of no words is 0. */
export function hashWord(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e37_79b1);
  return mixed ^ (mixed >>> 15);
}

/** Adds one label on the right to a sum. The sum of no labels is 0. */
export function addLabel(sum: number, labelHash: number): number {
  return (Math.imul(sum, FACTOR) + labelHash) | 0;
}

/**
 * Hash of the last `labels` labels of a name. `sum` is the sum of the name, `before` the sum of the labels before
 * these.
 */
export function hashSuffix(sum: number, before: number, labels: number): number {
  return finish((sum - Math.imul(before, POWERS[labels] ?? 0)) | 0);
}

/** Hash of the label whose length octet is at `at`. */
export function hashLabel(bytes: Uint8Array, at: number): number {
  const end = at + (bytes[at] ?? 0) + 1;
  let hash = 0;
  for (let word = at; word < end; word += 4) {
    let value = 0;
    for (let i = Math.min(word + 4, end) - 1; i >= word; i--) value = (value << 8) | (bytes[i] ?? 0);
    hash = hashWord(hash, value);
  }
  return hash;
}

/** Hash of the canonical name at `at`. */
export function hashName(bytes: Uint8Array, at: number): number {
  let sum = 0;
  for (let label = at; bytes[label] !== 0; label += (bytes[label] ?? 0) + 1)
    sum = addLabel(sum, hashLabel(bytes, label));
  return finish(sum);
}

/** Octets with A-Z as a-z. The length octet of a label is at most 63, so it stays as it is. */
const FOLDED = new Uint8Array(256);
for (let octet = 0; octet < 256; octet++) FOLDED[octet] = octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet;

/** RFC 4343: A-Z is a-z. */
export function fold(octet: number): number {
  return FOLDED[octet] ?? 0;
}

/** Hash of the canonical form of the name at `at`, which may be in any case. */
export function hashFoldedName(bytes: Uint8Array, at: number): number {
  let sum = 0;
  for (let octets = bytes[at] ?? 0; octets !== 0; octets = bytes[at] ?? 0) {
    const end = at + octets + 1;
    let hash = 0;
    for (; at + 4 <= end; at += 4) {
      const low = fold(bytes[at] ?? 0) | (fold(bytes[at + 1] ?? 0) << 8);
      const high = fold(bytes[at + 2] ?? 0) | (fold(bytes[at + 3] ?? 0) << 8);
      hash = hashWord(hash, low | (high << 16));
    }
    if (at < end) {
      let value = 0;
      for (let i = end - 1; i >= at; i--) value = (value << 8) | fold(bytes[i] ?? 0);
      hash = hashWord(hash, value);
      at = end;
    }
    sum = addLabel(sum, hash);
  }
  return finish(sum);
}

/** Hash of a text that is not a name: the polynomial over its octets. */
export function hashText(bytes: Uint8Array): number {
  let sum = 0;
  for (const octet of bytes) sum = addLabel(sum, octet);
  return finish(sum);
}

/** Spreads the high bits over those that choose the row of the table (MurmurHash3's finaliser, shortened). */
function finish(sum: number): number {
  const mixed = Math.imul(sum ^ (sum >>> 16), 0x85eb_ca6b);
  return mixed ^ (mixed >>> 13);
}
