/** Says that it begins, looks for an expression that takes some milliseconds, and says what came of it; seven times. */
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { bodyMatcher } from '../../../health/checks/body-match.ts';

// Each `a` is tried with each `b` behind it: a million steps or so, and no match.
const received = Buffer.from(`${'a'.repeat(1000)}${'b'.repeat(1000)}`);
for (let round = 0; round < 7; round++) {
  await once(process.stdin, 'data');
  const matcher = bodyMatcher({ kind: 'regex', source: 'a+b+c', flags: '' });
  writeSync(1, 'begins\n');
  try {
    writeSync(1, `found: ${String(matcher.test(received))}\n`);
  } catch (error) {
    writeSync(1, `${String(error)}\n`);
  }
}
process.exit();
