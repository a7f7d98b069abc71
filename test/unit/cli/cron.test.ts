/**
 * When a cron line is due: day of month and weekday as in crontab(5).
 */
import { expect, test } from 'vitest';
import { cronExpressions } from '../../../cli/cron.ts';

test.each([
  ['0 22 * * *', ['0 22 * * *']],
  ['0 22 1 * *', ['0 22 1 * *']],
  ['0 22 * * 5', ['0 22 * * 5']],
  ['0 22 1 * 5', ['0 22 1 * *', '0 22 * * 5']],
  ['30 0 22 1,15 * mon-fri', ['30 0 22 1,15 * *', '30 0 22 * * mon-fri']],
  ['  0  22 1 *  5 ', ['0 22 1 * *', '0 22 * * 5']],
  ['0 22 */2 * 5', ['0 22 */2 * 5']],
  ['0 22 1 * */2', ['0 22 1 * */2']],
  ['0 22 ? * 5', ['0 22 ? * 5']],
  ['0 22 1-31 * 5', ['0 22 1-31 * *', '0 22 * * 5']],
  ['0 22 1 * 0-7', ['0 22 1 * *', '0 22 * * 0-7']],
  ['@daily', ['@daily']],
])('%s', (line, wanted) => {
  expect(cronExpressions(line)).toEqual(wanted);
});
