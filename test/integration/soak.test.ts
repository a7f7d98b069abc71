/**
 * A short soak: the installed server under load while targets fail and recover, files are reloaded, records updated and
 * orders given. No answer is lost or wrong, and no descriptor or thread is left behind. `npm run soak` takes longer.
 */
import { expect, test } from 'vitest';
import { runSoak } from '../soak/run-soak.ts';
import { IS_DEEP, printedSeed } from '../support/random.ts';

test('no answer is lost or wrong', async () => {
  const seed = printedSeed('soak');
  const tell = (line: string): void => {
    console.log(line);
  };
  const { problems, did, report } = await runSoak({
    minutes: IS_DEEP ? 2 : 0.4,
    rate: 300,
    reloadSeconds: 4,
    seed,
    tell,
  });
  expect(problems).toEqual([]);
  // It did what it is for.
  for (const times of [...Object.values(did), report.answered]) expect(times).toBeGreaterThan(0);
});
