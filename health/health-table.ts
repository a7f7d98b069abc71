/**
 * The health table: the state of each VIP for the answering threads. It is shared memory with one writer, the control
 * thread; all other threads only load. It has four 32-bit words per VIP ("slot"): all states, then all weights, and so
 * on:
 *
 *     state word     31 ............................ 8 | 7 ..... 5 | 4 .. 2 | 1 .. 0
 *                    seconds the state cannot flip     |  zero     | forced | probed
 *     weight word    the effective weight, 0 to 65535; in a service that ramps in hundredths, 0 to 6553500
 *     withheld word  what a ramp withholds from the weight, in the same unit: weight + withheld is the full weight
 *     pressure word  0: takes every client; FULL and more: takes none; between, the share of clients that it sheds
 *
 * Threads read weights without converting them, so all VIPs of a service always use the same unit. If the unit changed
 * when a ramp begins, a thread could for a moment read a mix of both units. Each generation of the configuration has
 * its own table, so a slot never has two meanings.
 */

/** The probed state. */
export const PROBED = { UNKNOWN: 0, UP: 1, DOWN: 2 } as const;
export type Probed = (typeof PROBED)[keyof typeof PROBED];

/** The operator's override. It takes precedence over the probed state. */
export const FORCED = { NONE: 0, UP: 1, DOWN: 2, DRAIN: 3 } as const;
export type Forced = (typeof FORCED)[keyof typeof FORCED];

/** Seconds for which a state cannot flip, if nothing can flip it: the VIP has no check, or its state is forced. */
export const NEVER_SECONDS = 0xff_ffff;

/**
 * Of the weight words of a service with `ramp`: 1 % of a weight of 1 is 1, so that no ramp rounds a VIP to 0, which is
 * standby. 256 VIPs of weight 65535 in hundredths are below 2^31, so that sums stay small integers.
 */
export const RAMP_UNIT = 100;

/** The pressure at which a VIP sheds every client. */
export const FULL = 65_536;

export type HealthTable = {
  readonly slots: number;
  readonly states: Int32Array;
  readonly weights: Int32Array;
  readonly withheld: Int32Array;
  readonly pressures: Int32Array;
};

export function createHealthTable(slots: number): SharedArrayBuffer {
  return new SharedArrayBuffer(Math.max(1, slots) * 16);
}

export function viewHealthTable(memory: SharedArrayBuffer, slots: number): HealthTable {
  const words = (column: number): Int32Array => new Int32Array(memory, column * slots * 4, slots);
  return { slots, states: words(0), weights: words(1), withheld: words(2), pressures: words(3) };
}

/** A VIP's state word. Inlined by V8, like the readers of the other words. */
export function stateAt({ states }: Pick<HealthTable, 'states'>, slot: number): number {
  return states[slot] ?? 0;
}

export function weightAt({ weights }: Pick<HealthTable, 'weights'>, slot: number): number {
  return weights[slot] ?? 0;
}

export function withheldAt({ withheld }: Pick<HealthTable, 'withheld'>, slot: number): number {
  return withheld[slot] ?? 0;
}

export function pressureAt({ pressures }: Pick<HealthTable, 'pressures'>, slot: number): number {
  return pressures[slot] ?? 0;
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

/** Drained or forced down by an operator. */
export function isForcedOut(word: number): boolean {
  const forced = forcedOf(word);
  return forced === FORCED.DOWN || forced === FORCED.DRAIN;
}

/** Up, or not yet known, or not checked; not drained or forced down (docs/steering.md#candidates). */
export function isAvailable(word: number): boolean {
  const forced = (word >> 2) & 7;
  if (forced === FORCED.NONE) return (word & 3) !== PROBED.DOWN;
  return forced === FORCED.UP;
}
