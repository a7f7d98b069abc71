/**
 * How long tests wait, in one place. No test judges how fast this machine is: these limits only end a test that waits
 * for something that does not happen, so they hold on a machine with thirty times as much work as cores.
 */

/** For one event: a line that a program prints, an answer, a state. */
export const PATIENCE_MS = 120_000;

/** For a whole test or hook, which waits for several. */
export const TEST_MS = 600_000;
