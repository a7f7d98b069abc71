/**
 * Sends random hostile text through every way by which text of targets, files and clients enters: stored text has no
 * character that moves a cursor, breaks a line or reverses its direction.
 */
import { Buffer } from 'node:buffer';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createDraft, note } from '../../../cli/import/draft.ts';
import { lineOf } from '../../../cli/serve/query-log.ts';
import { createAlarms } from '../../../config/alarms.ts';
import { createReport, formatDiagnostic, type Diagnostic } from '../../../config/diagnostics.ts';
import { describeError, ProbeFailure } from '../../../health/checks/probe.ts';
import { systemClock } from '../../../health/clock.ts';
import { openStateStore } from '../../../health/state-file.ts';
import { TRANSPORT } from '../../../server/contract.ts';
import { problem } from '../../../status/problem.ts';
import { parseAddress } from '../../../wire/address.ts';
import { loadGeneration } from '../../../zones/load-generation.ts';
import { folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';
import { serve } from '../../support/process.ts';
import { createDice, printedSeed, type Dice } from '../../support/random.ts';

const UNSAFE = [
  ...Array.from({ length: 0x20 }, (_, code) => code),
  ...Array.from({ length: 0x21 }, (_, index) => 0x7f + index),
  ...[0x061c, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069],
].map((code) => String.fromCharCode(code));
const isUnsafe = (letter: string): boolean => UNSAFE.includes(letter);

/** Text with many such characters, and letters of several scripts that must stay. */
function hostile(dice: Dice, without: readonly string[] = []): string {
  const letters = [...UNSAFE.filter((letter) => !without.includes(letter)), 'a', 'é', '서', 'ש', '\\', '"', '[2J'];
  return Array.from({ length: 4 + dice.below(24) }, () => dice.pick(letters)).join('');
}

/** Every text within a value, keys too. */
function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [key, ...textsOf(inner)]);
}

function expectPlain(value: unknown, what: string): void {
  for (const text of textsOf(value))
    expect(Array.from(text).filter(isUnsafe), `${what}: ${JSON.stringify(text)}`).toEqual([]);
}

const ROUNDS = 200;

test('diagnostics, alarms, problems, reasons of probes, notes of imports', () => {
  const dice = createDice(printedSeed('plain text of every room'));
  for (let round = 0; round < ROUNDS; round++) {
    const text = hostile(dice);
    const report = createReport();
    report.error('PH001', text, { file: text, line: 1, column: 1, excerpt: text }, text);
    expectPlain(report.diagnostics, 'diagnostic');
    for (const line of report.diagnostics.map(formatDiagnostic)) expectPlain(line.split('\n'), 'formatted');

    const alarms = createAlarms();
    const changes: unknown[] = [];
    alarms.watch((change) => changes.push(change));
    alarms.raise('state_lost', text, text);
    expectPlain(alarms.list(), 'alarm');
    alarms.retain('state_lost', new Set([text]));
    expect(alarms.list()).toHaveLength(1);
    alarms.clear('state_lost', text);
    expect(alarms.list()).toEqual([]);
    expectPlain(changes, 'change of an alarm');

    expectPlain(problem(400, text, { parameter: text, hint: text }), 'problem');
    expectPlain(describeError(new ProbeFailure(text)), 'reason of a probe');
    const draft = createDraft(new Uint8Array([0]), 'test');
    note(draft, 'changed', undefined, text);
    expectPlain(draft.notes, 'note of an import');
  }
});

test('state files', () => {
  const dice = createDice(printedSeed('plain text of state files'));
  for (let round = 0; round < ROUNDS / 4; round++) {
    const text = hostile(dice);
    const since = '2026-01-01T00:00:00.000Z';
    using folder = folderOf({
      'health.json': JSON.stringify({
        version: 1,
        targets: [{ target: text, address: '192.0.2.1:80', probed: 'up', since }, text],
      }),
      'overrides.json': JSON.stringify({
        version: 1,
        overrides: [{ target: text, state: 'down', reason: text, since }, { target: text }],
      }),
      'weights.json': JSON.stringify({ version: 1, weights: [{ target: text, weight: 1, reason: text, since }] }),
    });
    const alarms = createAlarms();
    const store = openStateStore(folder.path, systemClock, alarms);
    expect(alarms.list()).toHaveLength(2);
    expect([store.states.size, store.overrides.length, store.weights.length]).toEqual([1, 1, 1]);
    expectPlain([[...store.states], store.overrides, store.weights, alarms.list()], 'state');
  }
});

test('files of the configuration: YAML, master files, tables, their names', () => {
  const dice = createDice(printedSeed('plain text of files'));
  const diagnosticsOf = (files: Record<string, string>): readonly Diagnostic[] => {
    using folder = folderOf({ ...NO_GEOGRAPHY, ...files });
    return loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 }).diagnostics;
  };
  const zone = 'zone: example.com\nnameservers: [ns.example.net.]\n';
  let told = 0;
  for (let round = 0; round < ROUNDS / 8; round++) {
    const [text, quoted] = [hostile(dice), JSON.stringify(hostile(dice))];
    const name = hostile(dice, ['\0']).replaceAll('/', '').slice(0, 20);
    const all = [
      diagnosticsOf({ 'zones/a.yaml': `${zone}${text}` }),
      diagnosticsOf({ 'zones/a.yaml': `${zone}${quoted}: ${quoted}\n` }),
      diagnosticsOf({ 'zones/a.yaml': `${zone}records: { ${quoted}: { A: ${quoted} }, www: { CAA: ${quoted} } }\n` }),
      diagnosticsOf({ 'zones/a.yaml': `${zone}services: { www: { check: ${quoted}, vips: { ${quoted}: 1 } } }\n` }),
      diagnosticsOf({ 'zones/a.yaml': `${zone}include: [${quoted}]\n` }),
      diagnosticsOf({ 'zones/a.yaml': `${zone}include: [a.db]\n`, 'zones/a.db': `www 300 A ${text}\n` }),
      diagnosticsOf({ [`zones/${name}.yaml`]: 'zone: [\n' }),
    ];
    told += all.flat().length;
    expectPlain(all, 'diagnostic of a file');
  }
  expect(told).toBeGreaterThan(ROUNDS / 8);
});

test('log lines of everything, and query names', () => {
  const seed = printedSeed('plain text of the log');
  const dice = createDice(seed);
  const log = new URL('../../../cli/serve/log.ts', import.meta.url).href;
  const texts = Array.from({ length: ROUNDS }, () => hostile(dice));
  const program = `import { createLog } from ${JSON.stringify(log)}; const log = await createLog('info');
    for (const text of ${JSON.stringify(texts)}) log.info({ [text]: text, list: [text], err: new Error(text) }, text);`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const lines = stdout.trimEnd().split('\n');
  expect(lines).toHaveLength(texts.length);
  for (const line of lines) {
    // Diagnostics and stack traces have lines and tabs.
    const kept = textsOf(JSON.parse(line)).map((text) => text.replaceAll(/[\n\t]/g, ''));
    expectPlain(kept, 'log line');
  }

  for (let round = 0; round < ROUNDS; round++) {
    const label = Buffer.from(hostile(dice)).subarray(0, 63);
    const query = Buffer.concat([
      Buffer.from([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, label.length]),
      label,
      Buffer.from([0, 0, 1, 0, 1]),
    ]);
    const client = parseAddress('192.0.2.1') ?? new Uint8Array(4);
    const sample = {
      timeMs: 0,
      client,
      transport: TRANSPORT.UDP,
      query,
      queryOctets: query.length,
      response: query,
      responseOctets: query.length,
    };
    expectPlain(lineOf(sample), 'query log');
  }
});

test('the API: what it receives, stores and shows', async () => {
  const dice = createDice(printedSeed('plain text of the API'));
  using folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml':
      'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: secret }\ngeo: { databases: [small.mmdb] }\n',
    'zones/example.com.yaml':
      'zone: example.com\nnameservers: [ns.example.net.]\nservices: { www: { vips: { a: { A: 192.0.2.1 } } } }\n',
  });
  const since = '2026-01-01T00:00:00.000Z';
  mkdirSync(join(folder.path, 'state'));
  const saved = [{ target: 'www.example.com/a', state: 'down', reason: hostile(dice), since }];
  writeFileSync(join(folder.path, 'state/overrides.json'), JSON.stringify({ version: 1, overrides: saved }));
  await using server = await serve([], { cwd: folder.path });
  const headers = { authorization: 'Bearer secret', 'content-type': 'application/json' };
  const ask = async (path: string, options: RequestInit = {}): Promise<void> => {
    const reply = await fetch(`${server.api}${path}`, { headers, ...options });
    const body = await reply.text();
    const isJson = /json/.test(reply.headers.get('content-type') ?? '');
    expectPlain(isJson ? JSON.parse(body) : body.replaceAll(/[\n\t]/g, ''), path);
  };
  await ask('/api/v1/status');
  for (let round = 0; round < 10; round++) {
    const text = hostile(dice);
    const inPath = encodeURIComponent(text);
    const body = JSON.stringify({ state: 'drain', weight: 3, reason: text, healthy: true, [text]: text });
    const good = JSON.stringify({ state: 'down', reason: text });
    await ask(`/api/v1/overrides/www.example.com/a`, { method: 'PUT', body: good });
    await ask(`/api/v1/weights/www.example.com/a`, {
      method: 'PUT',
      body: JSON.stringify({ weight: 3, reason: text }),
    });
    for (const path of ['overrides', 'weights', 'push']) {
      await ask(`/api/v1/${path}/${inPath}`, { method: 'PUT', body });
      await ask(`/api/v1/${path}/www.example.com/a`, { method: 'PUT', body });
    }
    await ask('/api/v1/simulate', { method: 'POST', body: JSON.stringify({ down: [text] }) });
    await ask(`/api/v1/explain?name=${inPath}&type=${inPath}&client=${inPath}`);
    await ask(`/api/v1/${inPath}`);
    await ask(`/api/v1/health/${inPath}`);
    await ask('/api/v1/reload', { method: 'POST', body: text });
  }
  for (const path of ['/api/v1/status', '/api/v1/health', '/api/v1/events', '/', '/metrics']) await ask(path);
  const { stdout } = await server.stop();
  for (const line of stdout.trimEnd().split('\n')) {
    expectPlain(
      textsOf(JSON.parse(line)).map((text) => text.replaceAll(/[\n\t]/g, '')),
      'log',
    );
  }
});
