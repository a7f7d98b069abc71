/** What Stryker's process and the thread with the tests tell each other. */

export const CHANNEL = 'pharos-mutation';

/** What Stryker's instrumented code reads and writes, as `globalThis.__stryker__`. */
export type StrykerNamespace = {
  activeMutant?: string | undefined;
  currentTestId?: string | undefined;
  hitCount?: number | undefined;
  hitLimit?: number | undefined;
  mutantCoverage?: { static: Record<string, number>; perTest: Record<string, Record<string, number>> };
};

export type Order =
  /** Run all tests and note which code each test runs. */
  | { readonly kind: 'dry' }
  | {
      readonly kind: 'mutant';
      readonly mutant: string;
      /** The tests that run its code, in the order to run them; undefined: all. */
      readonly tests: readonly string[] | undefined;
      readonly hitLimit: number | undefined;
      /** For all tests together. */
      readonly timeoutMs: number;
    }
  | { readonly kind: 'end' };

export type Outcome = { readonly id: string; readonly ms: number; readonly failure: string | undefined };

export type Reply =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'dry';
      readonly outcomes: readonly Outcome[];
      readonly coverage: StrykerNamespace['mutantCoverage'];
    }
  | {
      readonly kind: 'mutant';
      /** How many tests ran. */
      readonly ran: number;
      readonly killer: Outcome | undefined;
      /** The code of the mutant ran far more often than without it: a loop that does not end. */
      readonly isEndless: boolean;
      /** A test has not ended in time. It may still run. */
      readonly isLate: boolean;
      /** The test fails without the mutant too: an earlier mutant has left something behind. */
      readonly isSpoiled: boolean;
    };

/** The tests of a thread, without what Stryker sends: the mutant that is active while modules are loaded. */
export const FIRST_MUTANT = 'PHAROS_FIRST_MUTANT';
