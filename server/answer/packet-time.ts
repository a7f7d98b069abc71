/**
 * Time for the packet path: integers of 32 bits, since other numbers would be boxed. Differences are right over the
 * wrap, as `(later - earlier) | 0`.
 */
export type PacketClock = {
  /** Milliseconds from some point on; never back. */
  readonly ms: () => number;
  /** Seconds since 1970, the low 32 bits; up to a second late. */
  readonly seconds: () => number;
};

/** How long the time of day is taken for known: asking for it makes an object each time. */
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
