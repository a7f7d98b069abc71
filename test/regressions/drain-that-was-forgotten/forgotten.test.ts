/**
 * A drain without an end was forgotten, and a service ran with one VIP for weeks. No alarm said so, because a drain is
 * intended. Now the alarm `drained_long` is raised after a day.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { serveAlarmed } from '../../support/alarmed-server.ts';

const HOUR_MS = 3_600_000;

test('the alarm names the target, the duration, the reason, and how to clear it', async () => {
  const since = (hours: number): string => new Date(Date.now() - hours * HOUR_MS).toISOString();
  const overrides = [
    { target: 'www.example.com/a', state: 'drain', reason: 'kernel', since: since(75), by: 'operator' },
    { target: 'www.example.com/b', state: 'drain', since: since(23), by: 'operator' },
  ];
  await using alarmed = await serveAlarmed({
    prepare: (stateDir) => {
      writeFileSync(join(stateDir, 'overrides.json'), JSON.stringify({ version: 1, overrides }));
    },
  });
  const message =
    'www.example.com/a has been drained for 3 d (kernel). If the override is no longer needed, clear it: pharos auto www.example.com/a';
  expect(await alarmed.alarm('drained_long')).toMatchObject({
    severity: 'warning',
    subject: 'www.example.com/a',
    message,
  });
  expect(alarmed.logged('drained_long')).toEqual([`warn: ${message}`]);

  await alarmed.api('DELETE', '/api/v1/overrides/www.example.com/a');
  await alarmed.over('drained_long');
});
