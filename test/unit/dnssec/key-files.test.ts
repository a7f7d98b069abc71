/**
 * Key files of BIND, and what keeps a zone from being signed (docs/dnssec.md, docs/diagnostics.md).
 */
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ALGORITHMS } from '../../../dnssec/algorithms.ts';
import { dnskeyData, dsData, keyTag } from '../../../dnssec/dnskey.ts';
import { makeKey, readKeys, setTimes } from '../../../dnssec/key-files.ts';
import { activeKeys, isPublished, rolesOf } from '../../../dnssec/key-times.ts';
import { createZoneSigner } from '../../../dnssec/zone-signer.ts';
import { parseName } from '../../../wire/name.ts';
import { formatRdata, parseRdataText } from '../../../wire/rdata.ts';
import { TYPE } from '../../../wire/types.ts';
import { loadGeneration } from '../../../zones/load-generation.ts';
import { folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const APEX = parseName('example.com.');
const NOW = 1_796_000_000;

const ZONE = 'zone: example.com\ndnssec: DNSSEC\nsoa: { expire: 4d }\nnameservers: [ns.example.net.]\n';

/** The codes for a zone with this `dnssec` and these records. */
function codesOf(dnssec: string, { makes = false, more = '', config = '' } = {}): readonly string[] {
  using folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': `${String(NO_GEOGRAPHY['pharos.yaml'])}${config}`,
    'zones/example.com.yaml': ZONE.replace('DNSSEC', dnssec) + more,
  });
  const cache = { user: undefined, keepsInState: makes, version: 'test' };
  const { diagnostics } = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1, cache });
  return diagnostics.map(({ code }) => code);
}

describe('dnskey', () => {
  test('the key tag and the DS are those of RFC 6605 6.1', () => {
    const dnskey = parseRdataText(
      TYPE.DNSKEY,
      '257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==',
      APEX,
    );
    expect(keyTag(dnskey)).toBe(55648);
    const ds = '55648 13 2 b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17';
    expect(dsData(parseName('example.net.'), dnskey)).toEqual(parseRdataText(TYPE.DS, ds, APEX));
  });
});

describe('key files', () => {
  test('a new key signs everything, and only its owner may read it', () => {
    using folder = folderOf({});
    const keys = join(folder.path, 'keys');
    makeKey(keys, APEX, NOW);
    const { keys: found, faults } = readKeys(keys, APEX);
    expect(faults).toEqual([]);
    expect(found.map(({ algorithm, isEntryPoint }) => [algorithm.number, isEntryPoint])).toEqual([[13, true]]);
    expect(statSync(found[0]?.file ?? '').mode & 0o777).toBe(0o600);
    expect(statSync(keys).mode & 0o777).toBe(0o700);
    expect(readKeys(keys, parseName('example.net.')).keys).toEqual([]);
  });

  test('a private key that others may read, or that belongs to another public key, is a fault', () => {
    using folder = folderOf({});
    makeKey(folder.path, APEX, NOW);
    const file = join(folder.path, readdirSync(folder.path).find((name) => name.endsWith('.private')) ?? '');
    chmodSync(file, 0o640);
    expect(readKeys(folder.path, APEX).faults.map(({ why }) => why)).toEqual([
      'other users may read it: run chmod 600',
    ]);
    chmodSync(file, 0o600);
    const other = dnskeyData(1, 13, new Uint8Array(64).fill(7));
    const line = `example.com. IN DNSKEY 257 3 13 ${Buffer.from(other.subarray(4)).toString('base64')}\n`;
    writeFileSync(file.replace('.private', '.key'), line);
    expect(readKeys(folder.path, APEX).faults).toHaveLength(1);
  });

  test('times decide whether a key is published and signs', () => {
    using folder = folderOf({});
    makeKey(folder.path, APEX, NOW);
    const [made] = readKeys(folder.path, APEX).keys;
    if (!made) throw new Error('no key');
    setTimes(made, { inactive: NOW + 100, delete: NOW + 200 });
    const { keys } = readKeys(folder.path, APEX);
    const [key] = keys;
    if (!key) throw new Error('no key');
    const at = (seconds: number) => [isPublished(key, NOW + seconds), activeKeys(keys, NOW + seconds).length];
    expect([-1, 0, 99, 100, 199, 200].map(at)).toEqual([
      ...[[false, 0], [true, 1], [true, 1], [true, 0], [true, 0], [false, 0]], // prettier-ignore
    ]);
    expect(readFileSync(key.file, 'utf8')).toContain('Private-key-format: v1.3');
  });
});

describe('signatures', () => {
  const rule = {
    keys: '',
    lifetimeSeconds: 1000,
    refreshSeconds: 500,
    cds: 'publish' as const,
    denial: 'nsec' as const,
  };
  const set = { owner: APEX, type: TYPE.TXT, ttlSeconds: 300, rdata: [Uint8Array.of(1, 65)] };

  function signerAt(
    nowSeconds: number,
    { isShared = false, state = undefined as ReturnType<typeof createZoneSigner>['state'] | undefined } = {},
  ) {
    const cache = { read: [], write: [] };
    const signer = createZoneSigner({ apex: APEX, rule, keys, before: state, cache, nowSeconds, isShared });
    return { signer, data: Buffer.from(signer.sign(set)[0] ?? []) };
  }

  using folder = folderOf({});
  makeKey(folder.path, APEX, NOW - 10_000);
  const { keys } = readKeys(folder.path, APEX);

  test('are valid, from an hour ago until the lifetime less at most a tenth', () => {
    const { data } = signerAt(NOW);
    expect(data.readUInt32BE(12)).toBe(NOW - 3600);
    expect(data.readUInt32BE(8)).toBeGreaterThanOrEqual(NOW + 900);
    expect(data.readUInt32BE(8)).toBeLessThanOrEqual(NOW + 1000);
    const head = data.subarray(0, 18 + APEX.length);
    const signed = Buffer.concat([head, APEX, Buffer.from([0, 16, 0, 1, 0, 0, 1, 44, 0, 2, 1, 65])]);
    const [key] = keys;
    expect(ALGORITHMS.get(13)?.verify(signed, key?.dnskey.subarray(4) ?? head, data.subarray(head.length))).toBe(true);
  });

  test('are used again until the refresh, also when the clock goes back', () => {
    const first = signerAt(NOW);
    for (const later of [NOW + 499, NOW - 5000]) {
      const next = signerAt(later, { state: first.signer.state });
      expect(next.data).toEqual(first.data);
      expect(next.signer.state.made).toBe(0);
      expect(next.signer.epoch).toBe(first.signer.epoch);
      expect(next.signer.isClockBehind).toBe(later < NOW);
    }
    const refreshed = signerAt(NOW + 500, { state: first.signer.state });
    expect(refreshed.data.readUInt32BE(12)).toBe(NOW + 500 - 3600);
    expect(refreshed.signer.epoch).not.toBe(first.signer.epoch);
  });

  test('of a fleet keep their times when the clock goes back', () => {
    const { state } = signerAt(NOW, { isShared: true }).signer;
    const behind = signerAt(NOW - 10_000, { isShared: true, state });
    expect(behind.signer.isClockBehind).toBe(true);
    expect(behind.data).toEqual(signerAt(NOW, { isShared: true, state }).data);
  });

  test('of the DNSKEY set are by published keys, and of data by each algorithm', () => {
    using more = folderOf({});
    makeKey(more.path, APEX, NOW, { algorithm: 13 });
    makeKey(more.path, APEX, NOW, { algorithm: 13, isEntryPoint: false });
    makeKey(more.path, APEX, NOW, { algorithm: 15, times: { publish: NOW + 100, activate: NOW } });
    const all = readKeys(more.path, APEX).keys;
    const told = (at: number) => {
      const { published, forKeys, forData } = rolesOf(all, at);
      return [published, forKeys, forData].map((each) => each.map(({ algorithm }) => algorithm.number));
    };
    expect(told(NOW)).toEqual([[13, 13], [13], [13, 15]]);
    expect(told(NOW + 100)).toEqual([
      [13, 13, 15],
      [13, 15],
      [13, 15],
    ]);
  });

  test('of a key that is published and has no time of activation are not made', () => {
    using more = folderOf({});
    makeKey(more.path, APEX, NOW, { times: { publish: NOW } });
    expect(rolesOf(readKeys(more.path, APEX).keys, NOW)).toMatchObject({ published: [{}], active: [] });
  });

  test('cds: delete asks the parent to remove the DS (RFC 8078 4)', () => {
    const cache = { read: [], write: [] };
    const input = { apex: APEX, keys, before: undefined, cache, nowSeconds: NOW, isShared: false };
    const setsOf = (cds: 'publish' | 'delete' | 'none') =>
      createZoneSigner({ ...input, rule: { ...rule, cds } }).apexSets.filter(({ type }) => type !== TYPE.DNSKEY);
    expect(setsOf('none')).toEqual([]);
    expect(setsOf('publish').map(({ rdata }) => rdata[0]?.length)).toEqual([36, 68]);
    const texts = setsOf('delete').map(({ type, rdata }) => formatRdata(type, rdata[0] ?? new Uint8Array()));
    expect(texts).toEqual(['0 0 0 00', '0 3 0 AA==']);
  });

  test('of a fleet have the same times on every node', () => {
    const epochs = [0, 100, 200, 300, 400].map((later) => signerAt(NOW + later, { isShared: true }).signer);
    expect(new Set(epochs.map(({ epoch }) => epoch)).size).toBeLessThanOrEqual(2);
    for (const { refreshAt, describe: info } of epochs) expect(refreshAt).toBeLessThanOrEqual(info().signedAt + 500);
  });
});

describe('diagnostics of signed zones', () => {
  test('a configuration without mistakes has none, except that a key is new', () => {
    // The key is new.
    expect(codesOf('true', { makes: true })).toEqual(['PH368']);
    expect(codesOf('{ lifetime: 20d, refresh: 10d, cds: false }', { makes: true })).toEqual(['PH368']);
    expect(codesOf('{ cds: delete }', { makes: true })).toEqual(['PH368']);
    // Without secondaries nobody serves signatures that have ended.
    expect(codesOf('{ lifetime: 5d }', { makes: true })).toEqual(['PH368']);
    expect(codesOf('{ cds: deleted }', { makes: true })).toEqual(['PH020']);
  });

  test.each([
    ['PH391', 'true', {}],
    ['PH390', '{ keys: ../pharos.yaml }', {}],
    ['PH394', '{ lifetime: 1d, refresh: 20h }', {}],
    ['PH395', '{ lifetime: 5d }', { makes: true, config: 'transfer: { allow: [{ from: 192.0.2.0/24 }] }\n' }],
    ['PH398', 'true', { more: 'records: { "@": { DNSKEY: "257 3 13 AAAA" } }\n' }],
    [
      'PH397',
      'true',
      {
        makes: true,
        config:
          'regions: { here: {} }\nfleet: { name: f, servers: ["nats://127.0.0.1:4222"], region: here, node: n }\n',
      },
    ],
  ])('%s', (code, dnssec, more) => {
    expect(codesOf(dnssec, more)).toContain(code);
  });

  test('PH392: keys that do not sign yet', () => {
    using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': ZONE.replace('DNSSEC', 'true') });
    const keys = join(folder.path, 'state', 'keys');
    makeKey(keys, APEX, Math.floor(Date.now() / 1000) + 1000);
    const load = () =>
      loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 }).diagnostics.map(({ code }) => code);
    expect(load()).toEqual(['PH392']);
  });
});
