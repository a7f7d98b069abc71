/** The history over restarts: what one run keeps, the next one shows. */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createHistoryFile, type HistoryFile } from '../../../../cli/serve/history-file.ts';
import { createAlarms } from '../../../../config/alarms.ts';
import { createHistory, HISTORY_MINUTES, type History, type PastState } from '../../../../status/history.ts';
import { LONG_TESTS } from '../../../support/random.ts';

const MINUTE = 60_000;
const START = Date.parse('2026-11-20T21:00:00Z');
let folder: string;
let path: string;
let wallMs: number;
let alarms: ReturnType<typeof createAlarms>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pharos-history-'));
  path = join(folder, 'state/history.log');
  wallMs = START;
  alarms = createAlarms();
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

type Run = {
  readonly history: History;
  readonly file: HistoryFile;
  readonly states: Map<string, Exclude<PastState, 'none'>>;
};

/** A process: its monotonic clock begins at 0. */
async function begin(states: readonly string[] = ['www/a'], maxOctets?: number): Promise<Run> {
  const began = wallMs;
  const run = new Map<string, Exclude<PastState, 'none'>>(states.map((target) => [target, 'up']));
  const file = createHistoryFile({ file: path, alarms, mayWrite: () => true, wallMs: () => wallMs, ...(maxOctets === undefined ? {} : { maxOctets }) }); // prettier-ignore
  const history = createHistory({
    targets: () => [...run.keys()],
    stateOf: (target) => run.get(target),
    recent: () => ({ queriesPerSecond: 5, nxdomainPerSecond: 1, servfailPerSecond: 0 }),
    keep: file.keep,
    nowMs: () => wallMs - began,
  });
  await history.look();
  await history.restore(await file.open());
  return { history, file, states: run };
}
async function pass({ history, file }: Run, minutes: number): Promise<void> {
  for (let minute = 0; minute < minutes; minute++) {
    wallMs += MINUTE;
    await history.look();
    // A minute is long enough to write.
    if (minute % 100 === 99) await file.written();
  }
}
const shown = ({ history }: Run, target = 'www/a'): string =>
  history
    .of(target)
    .map(({ state, minutes }) => `${state} ${minutes}`)
    .join(', ');

it('shows after a restart what was before it, and the minutes between as not seen', async () => {
  const first = await begin(['www/a', 'www/b']);
  await pass(first, 3);
  first.states.set('www/a', 'down');
  await pass(first, 2);
  first.states.set('www/a', 'up');
  await pass(first, 10);
  expect(shown(first)).toBe('none 1424, up 4, down 2, up 10');
  first.history.stop();
  await first.file.written();
  wallMs += 5 * MINUTE;
  const second = await begin(['www/a', 'www/new']);
  expect(shown(second)).toBe('none 1419, up 4, down 2, up 10, none 4, up 1');
  expect(shown(second, 'www/new')).toBe('none 1439, up 1');
  await pass(second, 1);
  expect(shown(second)).toBe('none 1418, up 4, down 2, up 10, none 4, up 2');
});

it('loses only the minute in which the process was killed', async () => {
  const first = await begin();
  await pass(first, 5);
  first.states.set('www/a', 'drain');
  await pass(first, 5);
  await first.file.written();
  // Killed: nothing is called any more. The last line was cut.
  appendFileSync(path, '{"m":29');
  const second = await begin();
  expect(shown(second)).toBe('none 1429, up 6, drain 4, up 1');
  await pass(second, 2);
  second.states.set('www/a', 'down');
  await pass(second, 2);
  await second.file.written();
  const third = await begin();
  expect(shown(third)).toBe('none 1425, up 6, drain 4, up 3, down 1, up 1');
  expect(readFileSync(path, 'utf8')).not.toContain('{"m":29{');
});

it('keeps the rates too', async () => {
  const first = await begin();
  await pass(first, 3);
  await first.file.written();
  const second = await begin();
  expect(second.history.traffic().queries).toHaveLength(3);
});

it.runIf(LONG_TESTS)('forgets what is older than a day, and keeps two files of a day at most', async () => {
  const first = await begin();
  await pass(first, 2 * HISTORY_MINUTES + 100);
  first.states.set('www/a', 'down');
  await pass(first, 1);
  first.states.set('www/a', 'up');
  await pass(first, 1);
  await first.file.written();
  const lines = (file: string): number => readFileSync(file, 'utf8').split('\n').length - 1;
  expect([lines(`${path}.1`), lines(path)]).toEqual([HISTORY_MINUTES, 102]);
  const second = await begin();
  expect(shown(second)).toBe('up 1438, down 1, up 1');
  wallMs += (HISTORY_MINUTES - 2) * MINUTE;
  expect(shown(await begin())).toBe('down 1, none 1438, up 1');
});

it('writes as much as has changed', async () => {
  const targets = Array.from({ length: 5000 }, (_, number) => `www/vip-${number}`);
  const run = await begin(targets);
  await pass(run, 1);
  await run.file.written();
  const full = statSync(path).size;
  await pass(run, 10);
  await run.file.written();
  expect((statSync(path).size - full) / 10).toBeLessThan(50);
  run.states.set('www/vip-7', 'down');
  await pass(run, 2);
  await run.file.written();
  expect(readFileSync(path, 'utf8').trim().split('\n').at(-1)).toContain('"s":{"down":[7]}');
});

it('is bounded by octets too: then less than a day is kept', async () => {
  const targets = Array.from({ length: 50 }, (_, number) => `www/vip-${number}`);
  const run = await begin(targets, 10_000);
  for (let minute = 0; minute < 300; minute++) {
    for (const target of targets) run.states.set(target, minute % 2 === 0 ? 'down' : 'up');
    await pass(run, 1);
  }
  await run.file.written();
  expect(statSync(path).size).toBeLessThan(11_000);
  expect(statSync(`${path}.1`).size).toBeLessThan(11_000);
  const next = shown(await begin(targets, 10_000), 'www/vip-3');
  expect(next).toMatch(/^none 1\d{3}, .*down 1, up 1, down 1, up 1/);
});

it('begins anew where the file is damaged, or the clock was set back', async () => {
  const first = await begin();
  await pass(first, 3);
  await first.file.written();
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, `${text.split('\n')[0] ?? ''}\nnonsense\n{"m":1}\n[]\n{"m":1,"r":[1],"s":{"down":["x"]}}\n`);
  expect(shown(await begin())).toBe('none 1436, up 1, none 2, up 1');
  writeFileSync(path, text);
  wallMs -= 1000 * MINUTE;
  expect(shown(await begin())).toBe('none 1439, up 1');
});

it('says that it is not saved, and writes later what waited', async () => {
  writeFileSync(join(folder, 'state'), 'not a folder');
  const run = await begin();
  await pass(run, 2);
  await run.file.written();
  expect(alarms.list()).toMatchObject([{ code: 'state_not_saved', subject: path }]);
  rmSync(join(folder, 'state'));
  await pass(run, 1);
  await run.file.written();
  expect(alarms.list()).toEqual([]);
  expect(existsSync(path)).toBe(true);
  expect(shown(await begin())).toBe('none 1436, up 4');
});
