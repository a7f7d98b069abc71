/**
 * Seeded random numbers for tests. A run prints its seed; PHAROS_SEED repeats it.
 */
export type Dice = {
  /** A whole number from 0 to `bound` - 1. */
  readonly below: (bound: number) => number;
  /** A number from 0 to below 1. */
  readonly fraction: () => number;
  /** True in `share` of all cases. */
  readonly chance: (share: number) => boolean;
  readonly pick: <T>(items: readonly T[]) => T;
  /** `count` different items, or all if there are fewer. */
  readonly sample: <T>(items: readonly T[], count: number) => T[];
};

/**
 * The seed of this run, printed. `fixed`: the seed without PHAROS_SEED, for tests whose rate of failures by chance is
 * unknown; other tests have a new seed in each run, or that of PHAROS_RUN_SEED: CI gives one for each commit, so that
 * its run can be repeated.
 */
export function printedSeed(title: string, fixed?: number): number {
  const { PHAROS_SEED, PHAROS_RUN_SEED } = process.env;
  const seed = Number(PHAROS_SEED ?? fixed ?? PHAROS_RUN_SEED ?? Math.floor(Math.random() * 0x7fff_ffff));
  console.log(`${title}: PHAROS_SEED=${seed}`);
  return seed;
}

/** Whether this is a run of CI, which has the time for more random input than `npm test`. `.ci/run` sets it. */
export const IS_DEEP = process.env['PHAROS_DEEP'] === '1';

const { PHAROS_TRIALS } = process.env;

/** The share of their random input that tests take: 10 is ten times as much. */
const share = Number(PHAROS_TRIALS ?? (IS_DEEP ? 1 : 0.25));

/** Whether tests take all of their random input, as in CI. With less, rare kinds of input may be missing. */
export const ALL_TRIALS = share >= 1;

/** Whether long tests run: not in `npm run check`. */
export const LONG_TESTS = share >= 0.25;

/**
 * How many random cases to try where CI tries `all`: at least 1. `npm test` tries a quarter, `npm run check` a tenth;
 * PHAROS_TRIALS says another share.
 */
export function trials(all: number): number {
  return Math.max(1, Math.round(all * share));
}

/**
 * How many random cases to try in comparisons and fuzzing: `deep` in CI, `usual` in `npm test`, or PHAROS_TRIALS of
 * either.
 */
export function deepTrials(usual: number, deep: number): number {
  return Math.max(1, Math.round((IS_DEEP ? deep : usual) * Number(PHAROS_TRIALS ?? 1)));
}

/** How many cases of a kind must be exceeded: `all` with all trials, none with fewer, which may miss rare kinds. */
export function moreThan(all: number): number {
  return ALL_TRIALS ? all : -1;
}

/** Mulberry32 (T. Ettinger). */
export function createDice(seed: number): Dice {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x6d2b_79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (bound: number): number => Math.floor(next() * bound);
  const pick = <T>(items: readonly T[]): T => {
    if (items.length === 0) throw new Error('nothing to pick from');
    return items[below(items.length)] as T;
  };
  return {
    below,
    fraction: next,
    chance: (share) => next() < share,
    pick,
    sample: (items, count) => {
      const left = [...items];
      const taken = [];
      while (left.length > 0 && taken.length < count) taken.push(...left.splice(below(left.length), 1));
      return taken;
    },
  };
}
