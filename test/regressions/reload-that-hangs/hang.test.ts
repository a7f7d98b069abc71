/**
 * A compile thread waited for a file system that does not respond: every later reload waited for it, and so did
 * SIGTERM. Now it is abandoned after its time limit, with an alarm; later reloads work, up to three such threads; and
 * the server stops.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { prepare, type Current } from '../../../cli/serve/generation.ts';
import { createReloads, type Reloads } from '../../../cli/serve/reload.ts';
import { createAlarms, type Alarms } from '../../../config/alarms.ts';
import { loadInThread, LoadStuckError, type RunLoad } from '../../../server/threads/load-thread.ts';
import { loadGeneration, type LoadInput } from '../../../zones/load-generation.ts';
import { packGeneration } from '../../../zones/packed-generation.ts';
import { folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';
import { dig, eventually, serve } from '../../support/process.ts';

const ZONE = 'zone: example.com\nnameservers: [ns.example.net.]\nrecords: { www: { A: 192.0.2.1 } }\n';
const HANGING = new URL('./hanging-load.ts', import.meta.url);
const FREEZE = new URL('./freeze.ts', import.meta.url);

const makePipe = (folder: string): void => {
  execFileSync('mkfifo', [join(folder, 'pipe')]);
};
/** Releases every thread that waits for a writer. */
const openPipe = (folder: string): void => {
  closeSync(openSync(join(folder, 'pipe'), constants.O_RDWR | constants.O_NONBLOCK));
};

type Lab = { readonly reloads: Reloads; readonly alarms: Alarms; readonly use: (load: RunLoad) => void };

/** A thread that hangs, with a short time limit. */
const loadThatHangs: RunLoad = (input, options) => loadInThread(input, { ...options, limitMs: 200, entry: HANGING });

function labIn(cwd: string): Lab {
  const input: LoadInput = { file: undefined, cwd, env: {}, cores: 1 };
  const outcome = loadGeneration(input);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  let current: Current = prepare({ ...outcome.value, packed: packGeneration(outcome.value) }, 1, [], 1);
  let load: RunLoad = loadInThread;
  const alarms = createAlarms();
  const reloads = createReloads({
    alarms,
    firstLoadMs: 0,
    input,
    warnings: [],
    threads: 1,
    current: () => current,
    activate: (next) => {
      current = next;
      return Promise.resolve();
    },
    changedInPlace: () => undefined,
    measured: { figures: () => Promise.resolve(undefined), applied: () => undefined },
    begins: () => undefined,
    tell: () => undefined,
    stopping: () => false,
    log: pino({ level: 'silent' }),
    load: (loadInput, options) => load(loadInput, options),
  });
  return { reloads, alarms, use: (next) => (load = next) };
}

const codesOf = (alarms: Alarms): string[] => alarms.list().map(({ code }) => code);

test('raises reload_stuck; later reloads work and end the alarm', async () => {
  using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': ZONE });
  makePipe(folder.path);
  const { reloads, alarms, use } = labIn(folder.path);
  use(loadThatHangs);
  const stuck = await reloads.reload();
  expect([stuck.ok, JSON.stringify(stuck)]).toEqual([false, expect.stringContaining('reading the files took longer')]);
  expect(codesOf(alarms)).toEqual(['reload_stuck']);
  use(loadInThread);
  expect(await reloads.reload()).toMatchObject({ ok: true, generation: 2 });
  expect(codesOf(alarms)).toEqual([]);
  openPipe(folder.path);
});

test('three threads may hang: a further reload is rejected at once, and works when they are gone', async () => {
  using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': ZONE });
  const { reloads, alarms, use } = labIn(folder.path);
  const gone = Promise.withResolvers<undefined>();
  use(() => Promise.reject(new LoadStuckError(60, 'zones/frozen.yaml', gone.promise)));
  for (let round = 0; round < 3; round++) await reloads.reload();
  use(loadInThread);
  const refused = await reloads.reload();
  expect(JSON.stringify(refused)).toContain('3 earlier reloads still wait for a file');
  expect(codesOf(alarms)).toEqual(['reload_stuck']);
  gone.resolve(undefined);
  await gone.promise;
  expect(await reloads.reload()).toMatchObject({ ok: true, generation: 2 });
  expect(codesOf(alarms)).toEqual([]);
});

test('a stop does not wait for a thread that hangs', async () => {
  using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': ZONE });
  makePipe(folder.path);
  const { reloads, use } = labIn(folder.path);
  use((input, options) => loadInThread(input, { ...options, entry: HANGING }));
  const under = reloads.reload();
  reloads.stop();
  expect(await under).toMatchObject({ ok: false });
  openPipe(folder.path);
});

test.skipIf(process.platform === 'win32')('a server answers while a reload hangs, and SIGTERM ends it', async () => {
  using folder = folderOf({
    'pharos.yaml': 'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: secret }\n',
    'zones/example.com.yaml': ZONE,
  });
  makePipe(folder.path);
  const env = { NODE_OPTIONS: `--import ${FREEZE.href}` };
  await using server = await serve([], { cwd: folder.path, env });
  writeFileSync(join(folder.path, 'zones/frozen.yaml'), 'zone: example.net\n');
  const headers = { authorization: 'Bearer secret' };
  const reload = fetch(`${server.api}/api/v1/reload`, { method: 'POST', headers }).catch(() => undefined);
  await eventually(
    () => Promise.resolve(existsSync(join(folder.path, 'frozen'))),
    (frozen) => frozen,
  );
  expect(await dig(server.port, 'www.example.com')).toBe('192.0.2.1');
  expect((await fetch(`${server.api}/readyz`)).status).toBe(200);
  expect((await server.stop()).code).toBe(0);
  await reload;
});
