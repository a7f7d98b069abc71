/**
 * Announces that it begins, searches with an expression that takes some milliseconds, and reports the result; as
 * often as its argument says.
 */
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { bodyMatcher } from '../../../health/checks/body-match.ts';
import { createDice } from '../../support/random.ts';

const rounds = Number(process.argv[2]);
const dice = createDice(1);
// About ten milliseconds: each `a` may be the right one, and only the end decides.
const received = Buffer.from(`${Array.from({ length: 3000 }, () => 'ab'[dice.below(2)]).join('')}!`);
for (let round = 0; round < rounds; round++) {
  await once(process.stdin, 'data');
  const matcher = bodyMatcher({ kind: 'regex', source: '[ab]*a[ab]{30}$', flags: '' });
  writeSync(1, 'begins\n');
  try {
    writeSync(1, `found: ${String(matcher.test(received))}\n`);
  } catch (error) {
    writeSync(1, `${String(error)}\n`);
  }
}
process.exit();
