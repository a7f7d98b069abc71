/**
 * Tables of millions of networks with one number per network, in flat arrays of shared memory, so that threads share
 * them without copying.
 */
import { get8 } from '../wire/octets.ts';

/** Networks of one family. Entries are in the order in which they were added. */
export type PrefixTable = {
  /** 32-bit words of an address: 1 for IPv4, 4 for IPv6. */
  readonly words: 1 | 4;
  readonly count: number;
  /** `words` per entry, in the order of the address. Bits after the prefix are 0. */
  readonly keys: Uint32Array;
  /** Length of each entry's prefix. */
  readonly bits: Uint8Array;
  /** The number of each entry. */
  readonly values: Int32Array;
  /** Open addressing: entry + 1; 0 is free. The length is a power of two; at most half is in use. */
  readonly slots: Int32Array;
  /** The prefix lengths in the table, longest first. */
  readonly lengths: readonly number[];
};

export type PrefixTableBuilder = {
  /**
   * The value of the network `key[0..words-1]`/`bits`. If the network is new, `create` returns its value. Bits after
   * the prefix must be 0.
   */
  getOrAdd(key: Uint32Array, bits: number, create: () => number): number;
  done(): PrefixTable;
};

const FIRST_ENTRIES = 64;

export function createPrefixTable(words: 1 | 4): PrefixTableBuilder {
  let keys = new Uint32Array(FIRST_ENTRIES * words);
  let lengths = new Uint8Array(FIRST_ENTRIES);
  let values = new Int32Array(FIRST_ENTRIES);
  let slots = new Int32Array(FIRST_ENTRIES * 2);
  let count = 0;

  const widen = (): void => {
    keys = filled(new Uint32Array(keys.length * 2), keys);
    lengths = filled(new Uint8Array(lengths.length * 2), lengths);
    values = filled(new Int32Array(values.length * 2), values);
    slots = new Int32Array(slots.length * 2);
    for (let entry = 0; entry < count; entry++) {
      slots[slotOf(slots, keys, lengths, words, keys, entry * words, get8(lengths, entry))] = entry + 1;
    }
  };
  return {
    getOrAdd(key, bits, create) {
      let slot = slotOf(slots, keys, lengths, words, key, 0, bits);
      const known = (slots[slot] ?? 0) - 1;
      if (known >= 0) return values[known] ?? 0;
      if (count === lengths.length) {
        widen();
        slot = slotOf(slots, keys, lengths, words, key, 0, bits);
      }
      for (let word = 0; word < words; word++) keys[count * words + word] = key[word] ?? 0;
      lengths[count] = bits;
      const value = create();
      values[count] = value;
      slots[slot] = ++count;
      return value;
    },
    done: () => ({
      words,
      count,
      keys: filled(new Uint32Array(new SharedArrayBuffer(count * words * 4)), keys.subarray(0, count * words)),
      bits: filled(new Uint8Array(new SharedArrayBuffer(count)), lengths.subarray(0, count)),
      values: filled(new Int32Array(new SharedArrayBuffer(count * 4)), values.subarray(0, count)),
      slots: filled(new Int32Array(new SharedArrayBuffer(slots.byteLength)), slots),
      lengths: [...new Set(lengths.subarray(0, count))].sort((a, b) => b - a),
    }),
  };
}

/** Copies `from` into `to` and returns `to`. */
export function filled<A extends { set(from: ArrayLike<number>): void }>(to: A, from: ArrayLike<number>): A {
  to.set(from);
  return to;
}

/** The slot of an entry, or the free slot for it. */
function slotOf(
  slots: Int32Array,
  keys: Uint32Array,
  lengths: Uint8Array,
  words: number,
  key: Uint32Array,
  at: number,
  bits: number,
): number {
  let hash = Math.imul(bits + 1, 0x9e37_79b1);
  for (let word = 0; word < words; word++) {
    hash = Math.imul(hash ^ (key[at + word] ?? 0), 0x85eb_ca6b);
    hash ^= hash >>> 15;
  }
  const mask = slots.length - 1;
  for (let slot = Math.imul(hash, 0xc2b2_ae35) >>> 0; ; slot++) {
    const entry = (slots[slot & mask] ?? 0) - 1;
    if (entry < 0) return slot & mask;
    if (lengths[entry] !== bits) continue;
    let word = 0;
    while (word < words && keys[entry * words + word] === key[at + word]) word++;
    if (word === words) return slot & mask;
  }
}

/** The entry of the longest prefix that contains the address (4 or 16 octets, of the table's family), or -1. */
export function longestMatch(table: PrefixTable, address: Uint8Array): number {
  const { words } = table;
  if (address.length !== words * 4) return -1;
  const whole = addressWords(address);
  const key = new Uint32Array(words);
  for (const length of table.lengths) {
    for (let word = 0; word < words; word++) key[word] = masked(whole[word] ?? 0, length - word * 32);
    const entry = entryOf(table, key, 0, length);
    if (entry >= 0) return entry;
  }
  return -1;
}

/** The entry of exactly this network, or -1. */
export function entryOf(
  { words, slots, keys, bits }: PrefixTable,
  key: Uint32Array,
  at: number,
  length: number,
): number {
  return (slots[slotOf(slots, keys, bits, words, key, at, length)] ?? 0) - 1;
}

/** The first `bits` bits of a word: all for 32 and more, none for 0 and less. */
function masked(word: number, bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? word : (word & (0xffff_ffff << (32 - bits))) >>> 0;
}

/** An address of 4 or 16 octets as 32-bit words in network order. */
export function addressWords(address: Uint8Array): Uint32Array {
  const view = new DataView(address.buffer, address.byteOffset, address.byteLength);
  return Uint32Array.from({ length: address.length / 4 }, (_, word) => view.getUint32(word * 4));
}

/** An entry's address, 4 or 16 octets. */
export function entryAddress({ words, keys }: PrefixTable, entry: number): Uint8Array {
  const bytes = new Uint8Array(words * 4);
  const view = new DataView(bytes.buffer);
  for (let word = 0; word < words; word++) view.setUint32(word * 4, keys[entry * words + word] ?? 0);
  return bytes;
}
