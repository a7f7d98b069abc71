/**
 * The health table: what answering threads know of each VIP. Shared memory with one writer, the control
 * thread; every other thread only loads. Two 32-bit words a VIP ("slot"), states first, then weights:
 *
 *     state word   31 ............................ 8 | 7 ..... 5 | 4 .. 2 | 1 .. 0
 *                  seconds the state cannot flip     |  zero     | forced | probed
 *     weight word  the effective weight, 0 to 65535
 *
 * A generation of the configuration has its own table, so a slot never means two things.
 */

/** What the probes say. */
export const PROBED = { UNKNOWN: 0, UP: 1, DOWN: 2 } as const;
export type Probed = (typeof PROBED)[keyof typeof PROBED];

/** What an operator says; it sits above the probed state. */
export const FORCED = { NONE: 0, UP: 1, DOWN: 2, DRAIN: 3 } as const;
export type Forced = (typeof FORCED)[keyof typeof FORCED];

/** Seconds of a state that nothing can flip: a VIP without check, or one forced. */
export const NEVER_SECONDS = 0xff_ffff;

export type HealthTable = { readonly slots: number; readonly states: Int32Array; readonly weights: Int32Array };

export function createHealthTable(slots: number): SharedArrayBuffer {
  return new SharedArrayBuffer(Math.max(1, slots) * 8);
}

export function viewHealthTable(memory: SharedArrayBuffer, slots: number): HealthTable {
  return { slots, states: new Int32Array(memory, 0, slots), weights: new Int32Array(memory, slots * 4, slots) };
}

export function packState(probed: Probed, forced: Forced, holdSeconds: number): number {
  return (Math.min(Math.max(0, Math.floor(holdSeconds)), NEVER_SECONDS) << 8) | (forced << 2) | probed;
}

export function probedOf(word: number): Probed {
  return (word & 3) as Probed;
}

export function forcedOf(word: number): Forced {
  return ((word >> 2) & 7) as Forced;
}

export function holdSecondsOf(word: number): number {
  return word >>> 8;
}

/** Up, or not yet known, or not checked; not drained or forced down (SPEC 4). */
export function isAvailable(word: number): boolean {
  const forced = (word >> 2) & 7;
  if (forced === FORCED.NONE) return (word & 3) !== PROBED.DOWN;
  return forced === FORCED.UP;
}
