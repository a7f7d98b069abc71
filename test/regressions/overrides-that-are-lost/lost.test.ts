/**
 * A file of overrides that could not be read gave a line in the log, and drained VIPs got clients again. Now the alarm
 * `state_lost` lasts until an operator has removed the kept file.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { alarmEvents, serveAlarmed } from '../../support/alarmed-server.ts';

const TORN = '{"version": 1, "overrides": [{"target": "www.exam';

test('the alarm names both files, is logged once, and ends when the file is removed', async () => {
  await using alarmed = await serveAlarmed({
    prepare: (stateDir) => {
      writeFileSync(join(stateDir, 'overrides.json'), TORN);
    },
  });
  const file = join(alarmed.stateDir, 'overrides.json');
  const alarm = await alarmed.alarm('state_lost');
  expect(alarm).toMatchObject({ severity: 'critical', subject: file });
  expect(alarm.message).toContain(`${file} cannot be used: `);
  expect(alarm.message).toContain(`The file is kept as ${file}.bad`);
  expect(readFileSync(`${file}.bad`, 'utf8')).toBe(TORN);
  expect(alarmed.server.stdout().split(' cannot be used: ')).toHaveLength(2);
  expect(alarmed.logged('state_lost')).toEqual([`error: ${alarm.message}`]);
  expect(await alarmEvents(alarmed)).toEqual(['raised state_lost']);

  rmSync(`${file}.bad`);
  await alarmed.over('state_lost');
  expect(alarmed.logged('state_lost').at(-1)).toBe(`info: alarm over: state_lost ${file}`);
});
