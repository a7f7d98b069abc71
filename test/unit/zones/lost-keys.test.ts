/**
 * Keys, signatures or the time are lost while the parent has a DS: a zone is never served unsigned or with another key
 * (docs/dnssec.md#what-goes-wrong).
 */
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { makeKey, readKeys } from '../../../dnssec/key-files.ts';
import { parseName } from '../../../wire/name.ts';
import { createPartStore } from '../../../zones/image/part-store.ts';
import { loadWorld, type LoadInput, type LoadedWorld } from '../../../zones/load-generation.ts';
import { formatSerials } from '../../../zones/serials.ts';
import { T } from '../../support/message.ts';
import { answeringFrom, folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';
import { validate } from '../../support/validator.ts';

const APEX = parseName('example.com.');
const DAY = 86_400;
const START = 1_796_000_000;
const ZONE = `zone: example.com\ndnssec: true\nsoa: { expire: 4d }\nnameservers: [ns.example.net.]\nrecords: { h1: { A: 192.0.2.1 } }\n`;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
  vi.setSystemTime(START * 1000);
});
afterEach(() => {
  vi.useRealTimers();
});

/** A server: each `start` is that of a process, with what the folder has. */
function serverIn(zone = ZONE) {
  const folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone });
  const state = join(folder.path, 'state');
  // As another user than root, the server keeps its cache in the state folder; root keeps it in its own.
  const cache = { user: join(folder.path, 'cache'), keepsInState: true, version: '1' };
  const input: LoadInput = { file: undefined, cwd: folder.path, env: {}, cores: 1, cache };
  const start = () => {
    const outcome = loadWorld(
      input,
      createPartStore((octets) => new SharedArrayBuffer(octets)),
      undefined,
      new Map(),
    );
    const codes = outcome.diagnostics.map(({ code }) => code);
    if (!outcome.ok) return { codes, loaded: undefined, diagnostics: outcome.diagnostics };
    mkdirSync(state, { recursive: true });
    writeFileSync(join(state, 'serials.json'), formatSerials(outcome.value.world.generation.serials));
    return { codes, loaded: outcome.value, diagnostics: outcome.diagnostics };
  };
  return {
    path: folder.path,
    keys: join(state, 'keys'),
    start,
    lose: (what: 'keys' | 'cache' | 'all') => {
      if (what === 'all') rmSync(state, { recursive: true });
      if (what === 'keys') rmSync(join(state, 'keys'), { recursive: true });
      if (what !== 'keys') for (const each of [join(state, 'cache'), cache.user]) rmSync(each, { recursive: true, force: true }); // prettier-ignore
    },
    [Symbol.dispose]: () => {
      folder[Symbol.dispose]();
    },
  };
}

/** What a validator that trusts these keys finds at a time. Throws if it is not secure. */
function judge(loaded: LoadedWorld | undefined, keys: ReturnType<typeof readKeys>['keys'], nowSeconds: number): string {
  if (!loaded) throw new Error('nothing is served');
  const server = answeringFrom(loaded.world.generation);
  const message = server.ask('h1.example.com.', T.A, { overTcp: true, edns: { dnssecOk: true } });
  if (!message.answer.some(({ type }) => type === T.RRSIG)) return 'unsigned';
  return validate(message, { name: 'h1.example.com.', type: T.A, apex: 'example.com.', keys, nowSeconds });
}

const serialOf = (loaded: LoadedWorld | undefined): number => loaded?.world.generation.catalog.zones[0]?.serial ?? 0;

describe('a signed zone', () => {
  test('gets a key once, and its DS is said', () => {
    using server = serverIn();
    const first = server.start();
    expect(first.codes).toEqual(['PH368']);
    const [key] = readKeys(server.keys, APEX).keys;
    expect(first.diagnostics[0]?.message).toContain(`${key?.tag ?? ''} 13 2 `);
    expect(server.start().codes).toEqual([]);
  });

  test('is not served with a new key, nor unsigned, if its keys are lost', () => {
    using server = serverIn();
    const before = server.start();
    const { keys } = readKeys(server.keys, APEX);
    const backup = join(server.path, 'backup');
    cpSync(server.keys, backup, { recursive: true });
    server.lose('keys');
    const lost = server.start();
    expect([lost.codes, lost.loaded]).toEqual([['PH369'], undefined]);
    expect(lost.diagnostics[0]?.message).toContain(String(keys[0]?.tag));
    // Another key does not help: the parent has the DS of the lost one.
    makeKey(server.keys, APEX, START);
    expect(server.start().codes).toEqual(['PH369']);
    server.lose('keys');
    cpSync(backup, server.keys, { recursive: true });
    const restored = server.start();
    expect([restored.codes, judge(restored.loaded, keys, START), serialOf(restored.loaded)]).toEqual([[], 'answer', serialOf(before.loaded)]); // prettier-ignore
  });

  test('may have other keys after it was insecure', () => {
    using server = serverIn();
    server.start();
    server.lose('keys');
    const file = join(server.path, 'zones/example.com.yaml');
    writeFileSync(file, ZONE.replace('dnssec: true\n', ''));
    expect(server.start().codes).toEqual([]);
    writeFileSync(file, ZONE);
    expect(server.start().codes).toEqual(['PH368']);
  });

  test('stays signed by the same key if the signatures are lost; the serial rises', () => {
    using server = serverIn();
    const before = server.start();
    const { keys } = readKeys(server.keys, APEX);
    vi.setSystemTime((START + DAY) * 1000);
    server.lose('cache');
    const after = server.start();
    expect([after.codes, judge(after.loaded, keys, START + DAY)]).toEqual([[], 'answer']);
    expect(serialOf(after.loaded)).toBeGreaterThan(serialOf(before.loaded));
  });
});

describe('a clock that is behind at the start', () => {
  test('is said; the signatures stay as they are', () => {
    using server = serverIn();
    makeKey(server.keys, APEX, START - 60 * DAY);
    server.start();
    const { keys } = readKeys(server.keys, APEX);
    vi.setSystemTime((START - 30 * DAY) * 1000);
    const behind = server.start();
    expect(behind.codes).toEqual(['PH393']);
    expect(judge(behind.loaded, keys, START + 60)).toBe('answer');
  });

  test('without signatures: nothing is signed before the key is valid', () => {
    using server = serverIn();
    server.start();
    server.lose('cache');
    vi.setSystemTime((START - 30 * DAY) * 1000);
    const behind = server.start();
    expect([behind.codes, behind.loaded]).toEqual([['PH392'], undefined]);
  });
});
