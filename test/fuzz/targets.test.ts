/**
 * Every fuzz target, for some seconds with a new seed, and every input that once failed. `npm run fuzz` tries more.
 */
import { describe, expect, test } from 'vitest';
import { deepTrials, printedSeed } from '../support/random.ts';
import { TARGETS } from './all-targets.ts';
import { crashersOf, fuzz, tryInput } from './fuzz-target.ts';

describe.each(TARGETS.map((target) => [target.name, target] as const))('%s', (name, target) => {
  test('random inputs', async () => {
    const seed = printedSeed(`fuzz: ${name}`);
    const { failure } = await fuzz(target, { seed, inputs: deepTrials(target.trials / 4, target.trials) });
    if (failure) expect.fail(`${failure.error}\ninput: ${JSON.stringify(failure.input)}`);
  });

  const crashers = crashersOf(name);
  test.runIf(crashers.length > 0)('inputs that once failed', async () => {
    const opened = await target.open();
    try {
      for (const { file, input } of crashers) {
        await tryInput(opened, input).catch((error: unknown) => {
          expect.fail(`${file}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
        });
      }
    } finally {
      await opened.close?.();
    }
  });
});
