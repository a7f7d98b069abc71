/**
 * Reads octets, and reads and writes 16-bit numbers in network order. A DataView would have to be created for each
 * buffer. Octets after the end of a buffer are read as 0.
 *
 * The packet path reads single octets of messages and names by index. If all rooms shared one reader, V8 could not
 * specialise it for their kinds of arrays, and each query would cost more.
 */

export function get8(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

export function get16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/** Writes the low 16 bits of `value`. */
export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value;
}

/** Copies `length` octets. */
export function copyOctets(from: Uint8Array, fromAt: number, length: number, to: Uint8Array, toAt: number): void {
  for (let i = 0; i < length; i++) to[toAt + i] = from[fromAt + i] ?? 0;
}
