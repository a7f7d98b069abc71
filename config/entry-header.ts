/**
 * The header of a cache entry (cache-entry.ts) in memory. Imports nothing: the answering threads read an entry's
 * content.
 */

/** Columns of the header, in 32-bit words of this machine's byte order. */
export const ENTRY = { MAGIC: 0, CHECKSUM: 1, OCTETS: 2, KEY: 8, WORDS: 16 } as const;
/** The content of an entry begins here. */
export const ENTRY_HEADER_OCTETS = ENTRY.WORDS * 4;
/** `PHC1` on a little-endian machine. An entry of a machine with another byte order has another number. */
export const ENTRY_MAGIC = 0x3143_4850;
/** A SHA-256 digest. */
export const KEY_OCTETS = 32;

/** Memory for an entry with this many octets of content after its header. */
export function allocateEntry<Memory extends ArrayBufferLike>(
  octets: number,
  key: Uint8Array,
  allocate: (octets: number) => Memory,
): Memory {
  const memory = allocate(ENTRY_HEADER_OCTETS + octets);
  const header = new Int32Array(memory, 0, ENTRY.WORDS);
  header[ENTRY.MAGIC] = ENTRY_MAGIC;
  header[ENTRY.OCTETS] = memory.byteLength;
  keyOfEntry(memory).set(key);
  return memory;
}

/** The key of an entry, as a view of its memory. */
export function keyOfEntry(memory: ArrayBufferLike): Uint8Array {
  return new Uint8Array(memory, ENTRY.KEY * 4, KEY_OCTETS);
}
