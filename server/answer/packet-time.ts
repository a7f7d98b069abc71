/**
 * Time for the packet path, as 32-bit integers, because V8 allocates other numbers on the heap. Compute differences as
 * `(later - earlier) | 0`, which is correct across a wraparound.
 */
export type PacketClock = {
  /** Milliseconds of a monotonic clock. */
  readonly ms: () => number;
  /** The low 32 bits of the seconds since 1970; up to one second late. */
  readonly seconds: () => number;
};

/** How long the time of day is cached: each read allocates a number. */
const KNOWN_MS = 1000;

export function createClock(): PacketClock {
  const ms = (): number => performance.now() | 0;
  let seconds = 0;
  let askedAt = ms() - KNOWN_MS;
  return {
    ms,
    seconds: () => {
      const now = ms();
      if (((now - askedAt) | 0) >= KNOWN_MS) {
        askedAt = now;
        seconds = Math.floor(Date.now() / 1000) | 0;
      }
      return seconds;
    },
  };
}
