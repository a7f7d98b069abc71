/** The audit log: its lines, its file, and a disk that is full. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createAuditLog, type AuditLog } from '../../../../cli/serve/audit-log.ts';
import { createAlarms } from '../../../../config/alarms.ts';
import type { Settings } from '../../../../config/settings.ts';
import type { AuditedRequest } from '../../../../status/audit.ts';
import { createEventLog } from '../../../../status/events.ts';
import { PATIENCE_MS } from '../../../support/patience.ts';

let folder: string;
let file: string;
let settings: Settings['log']['audit'];
let audit: AuditLog;
let alarms: ReturnType<typeof createAlarms>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pharos-audit-'));
  file = join(folder, 'state', 'audit.log');
  settings = { file, isRotated: true };
  alarms = createAlarms();
  audit = createAuditLog({ settings: () => settings, alarms, node: () => 'ams1', retryMs: 10, maxLines: 3 });
});
afterEach(async () => {
  await audit.stop();
  rmSync(folder, { recursive: true });
});

const request: AuditedRequest = {
  who: 'alice',
  peer: '192.0.2.7',
  method: 'PUT',
  url: '/api/v1/overrides/www.example.com/a',
  body: { state: 'drain' },
  status: 200,
  outcome: 'done',
  detail: null,
};
const lines = (path = file): object[] =>
  !existsSync(path)
    ? []
    : readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as object);

it('has a line for each request, and for each change', async () => {
  const events = createEventLog();
  events.subscribe(audit.event);
  audit.request(request);
  const target = 'www.example.com/a';
  const at = '2026-11-20T21:00:00.000Z';
  events.addHealth(
    { at, kind: 'override', target, from: 'up', to: 'drain', reason: 'kernel', who: 'alice' },
    undefined,
  );
  const update = { zone: 'example.com.', key: 'acme', peer: '192.0.2.9', sets: [], more: 0 };
  events.add({ at, kind: 'update', message: 'm', to: 'done', who: 'acme', update });
  events.addHealth({ at, kind: 'state', target, from: 'up', to: 'down', reason: 'a probe' }, undefined);
  await vi.waitFor(() => {
    expect(lines()).toMatchObject([
      { node: 'ams1', kind: 'request', who: 'alice', peer: '192.0.2.7', outcome: 'done', body: { state: 'drain' } },
      { at, node: 'ams1', kind: 'override', who: 'alice', target, from: 'up', to: 'drain', reason: 'kernel' },
      { at, node: 'ams1', kind: 'update', who: 'acme', update, to: 'done' },
    ]);
  }, PATIENCE_MS);
  expect(lines()).toHaveLength(3);
  expect(statSync(file).mode & 0o007).toBe(0);
});

it('keeps lines while the disk is full, raises the alarm, and counts what it drops', async () => {
  settings = { file: '/dev/full', isRotated: false };
  for (let count = 0; count < 5; count++) audit.request({ ...request, status: 200 + count });
  await vi.waitFor(() => {
    expect(alarms.list()).toMatchObject([{ code: 'audit_not_written' }]);
  }, PATIENCE_MS);
  expect(alarms.list()[0]?.message).toContain('ENOSPC');
  expect(audit.dropped()).toBe(2);
  settings = { file, isRotated: true };
  await vi.waitFor(() => {
    expect(lines()).toMatchObject([{ status: 200 }, { status: 201 }, { status: 202 }, { kind: 'dropped', lines: 2 }]);
    // It ends when the write has returned: a reader may be earlier.
    expect(alarms.list()).toEqual([]);
  }, PATIENCE_MS);
});

it('writes the last lines at the stop', async () => {
  audit.request(request);
  await audit.stop();
  expect(lines()).toHaveLength(1);
});

it('writes nothing where it is off', async () => {
  settings = undefined;
  audit.request(request);
  await audit.stop();
  expect(existsSync(file)).toBe(false);
});

it.each([
  ['its own file', true],
  ['a file of the operator', false],
])('rotates %s: %s', async (_title, isRotated) => {
  file = join(folder, 'audit.log');
  settings = { file, isRotated };
  writeFileSync(file, '');
  truncateSync(file, 10 * 1024 * 1024);
  audit.request(request);
  await audit.stop();
  expect(existsSync(`${file}.1`)).toBe(isRotated);
});
