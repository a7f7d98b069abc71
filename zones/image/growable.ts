/**
 * Growable typed arrays, for tables whose final size the compiler does not know yet.
 */
export type Words = { array: Int32Array; length: number };
export type Bytes = { array: Uint8Array; length: number };

export function createWords(capacity = 1024): Words {
  return { array: new Int32Array(capacity), length: 0 };
}

/** Adds room for `count` words and returns their index. */
export function reserveWords(words: Words, count: number): number {
  const at = words.length;
  words.length += count;
  if (words.length > words.array.length) {
    const wider = new Int32Array(Math.max(words.array.length * 2, words.length));
    wider.set(words.array);
    words.array = wider;
  }
  return at;
}

export function pushWords(words: Words, ...values: number[]): number {
  const at = reserveWords(words, values.length);
  for (let i = 0; i < values.length; i++) words.array[at + i] = values[i] ?? 0;
  return at;
}

export function createBytes(capacity = 4096): Bytes {
  return { array: new Uint8Array(capacity), length: 0 };
}

export function reserveBytes(bytes: Bytes, count: number): number {
  const at = bytes.length;
  bytes.length += count;
  if (bytes.length > bytes.array.length) {
    const wider = new Uint8Array(Math.max(bytes.array.length * 2, bytes.length));
    wider.set(bytes.array);
    bytes.array = wider;
  }
  return at;
}
