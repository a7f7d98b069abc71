/**
 * An override that could not be written to `state_dir` applied, and was gone after a restart: only a line in the log
 * reported it. Now the alarm `state_not_saved` lasts until a write succeeds.
 */
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { serveAlarmed } from '../../support/alarmed-server.ts';

test('the alarm lasts until the file is written, and is logged once however often a write fails', async () => {
  await using alarmed = await serveAlarmed();
  const file = join(alarmed.stateDir, 'overrides.json');
  // Blocks the temporary file, whichever user runs the test.
  mkdirSync(`${file}.tmp`);
  for (const name of ['a', 'b']) {
    const body = { state: 'drain', force: true };
    expect(await alarmed.api('PUT', `/api/v1/overrides/www.example.com/${name}`, body)).toMatchObject({ saved: false });
  }
  const alarm = await alarmed.alarm('state_not_saved');
  expect(alarm).toMatchObject({ severity: 'critical', subject: file });
  expect(alarm.message).toMatch(/overrides\.json could not be written: EISDIR.* Trying again every 5 s\./);
  expect(alarmed.server.stdout().split(' could not be written: ')).toHaveLength(2);

  rmdirSync(`${file}.tmp`);
  await alarmed.over('state_not_saved');
  expect(readFileSync(file, 'utf8')).toContain('www.example.com/b');
  expect(alarmed.logged('state_not_saved')).toEqual([
    expect.stringMatching(/^error: .*overrides\.json could not be written/),
    `info: alarm over: state_not_saved ${file}`,
  ]);
});
