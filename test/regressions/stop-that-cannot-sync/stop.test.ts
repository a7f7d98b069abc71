/**
 * A stop in which fsync of stderr failed never ended: a handler that native code (koffi) runs at the end of a process
 * waits for a lock that it has itself. The process ends without such handlers now, so most stops have no fsync at all.
 */
import { expect, test } from 'vitest';
import { FAULTS } from '../../faults/faults-library.ts';
import { runFaults } from '../../faults/run-faults.ts';
import { has } from '../../support/process.ts';

test.skipIf(!has('cc'))('a stop ends although fsync fails, whichever it is', async () => {
  const [fault] = FAULTS.filter(({ call }) => call === 'fsync');
  if (!fault) throw new Error('no such fault');
  const trials = [0, 1, 2, 3, 4].map((before) => ({ phase: 'stop' as const, fault: { ...fault, before } }));
  const outcomes = await runFaults(trials, () => undefined);
  expect(outcomes.map(({ outcome, problem }) => problem ?? outcome)).toEqual(trials.map(() => 'ended with 0'));
});
