/**
 * Random numbers for weighted draws: not cryptographic, fast, without allocation, and seeded so that tests can repeat a
 * run. The generator is sfc32 (C. Doty-Humphrey, PractRand).
 */
export type Random = { readonly state: Int32Array };

export function createRandom(seed: number): Random {
  const random = { state: Int32Array.of(seed, seed ^ 0x9e37_79b9, 0x6a09_e667, 1) };
  for (let i = 0; i < 12; i++) next32(random);
  return random;
}

/** 32 random bits as a signed number. */
export function next32({ state }: Random): number {
  const a = state[0] ?? 0;
  const b = state[1] ?? 0;
  const c = state[2] ?? 0;
  const counter = state[3] ?? 0;
  const result = (a + b + counter) | 0;
  state[0] = b ^ (b >>> 9);
  state[1] = (c + (c << 3)) | 0;
  state[2] = ((c << 21) | (c >>> 11)) + result;
  state[3] = counter + 1;
  return result;
}

/**
 * A whole number from 0 to `bound` - 1; `bound` is at most 2^31 (all weights of a service in hundredths). It is made of
 * 53 random bits, so that the chance of a value is off by at most one part in 2^22, and that of a VIP, which covers
 * many values, by 2^-53.
 */
export function below(random: Random, bound: number): number {
  const high = next32(random) >>> 5;
  const low = next32(random) >>> 6;
  return Math.floor(((high * 67_108_864 + low) / 9_007_199_254_740_992) * bound);
}
