/**
 * A zone whose signatures take long is served unsigned, or as it was signed last, until other threads have made them
 * (docs/dnssec.md#large-zones).
 */
import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { dnskeyData, keyTag } from '../../../dnssec/dnskey.ts';
import { readKeys } from '../../../dnssec/key-files.ts';
import { nameKey, parseName } from '../../../wire/name.ts';
import { createPartStore, type PartStore } from '../../../zones/image/part-store.ts';
import { formatEntry, journalPath } from '../../../zones/journal/journal-file.ts';
import { loadWorld, type World } from '../../../zones/load-generation.ts';
import { signPostponed, type PostponedZones } from '../../../zones/postponed.ts';
import { T } from '../../support/message.ts';
import { answeringFrom, folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';
import { LONG_TESTS } from '../../support/random.ts';
import { validate, type ValidatorKey } from '../../support/validator.ts';

const APEX = parseName('example.com.');
const NAMES = 1200;
const NOW = Math.floor(Date.now() / 1000);

/** A short RSA key: the estimate for RSA is long, and the signatures are fast. */
function makeRsaKey(folder: string): void {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const { n = '', e = '', d = '', p = '', q = '', dp = '', dq = '', qi = '' } = privateKey.export({ format: 'jwk' });
  const octets = (text: string): Buffer => Buffer.from(text, 'base64url');
  const { n: modulus = '', e: exponent = '' } = publicKey.export({ format: 'jwk' });
  const key = Buffer.concat([Buffer.of(octets(exponent).length), octets(exponent), octets(modulus)]);
  const name = `Kexample.com.+008+${String(keyTag(dnskeyData(1, 8, key))).padStart(5, '0')}`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.key`), `example.com. IN DNSKEY 257 3 8 ${key.toString('base64')}\n`);
  const fields = { Modulus: n, PublicExponent: e, PrivateExponent: d, Prime1: p, Prime2: q, Exponent1: dp, Exponent2: dq, Coefficient: qi }; // prettier-ignore
  const lines = Object.entries(fields).map(([field, text]) => `${field}: ${octets(text).toString('base64')}`);
  const text = ['Private-key-format: v1.3', 'Algorithm: 8 (RSASHA256)', ...lines, ''].join('\n');
  writeFileSync(join(folder, `${name}.private`), text, { mode: 0o600 });
}

function zoneText(lifetime: string, address: string): string {
  const records = Array.from({ length: NAMES }, (_, i) => `  h${i}: { A: ${address} }`);
  return `zone: example.com\ndnssec: { lifetime: ${lifetime} }\nsoa: { expire: 4d }\nnameservers: [ns.example.net.]\nrecords:\n${records.join('\n')}\n`;
}

type Loading = { readonly store: PartStore; readonly postponed: PostponedZones };

function loadNext(cwd: string, before: World | undefined, { store, postponed }: Loading): World {
  const outcome = loadWorld({ file: undefined, cwd, env: {}, cores: 2 }, store, before, postponed);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.value.world;
}

/** Signs in the background. Returns the progress that was told. */
async function sign(postponed: PostponedZones): Promise<readonly (readonly [number, number])[]> {
  const told: (readonly [number, number])[] = [];
  const { promise, resolve } = Promise.withResolvers<undefined>();
  signPostponed(postponed, 2, {
    progress: (zones) => {
      for (const { made, total } of zones) told.push([made, total]);
    },
    done: () => {
      resolve(undefined);
    },
  });
  await promise;
  return told;
}

function judge(world: World, keys: readonly ValidatorKey[], name: string, type: number): string {
  const server = answeringFrom(world.generation);
  const message = server.ask(name, type, { overTcp: true, edns: { dnssecOk: true } });
  if (![...message.answer, ...message.authority].some((each) => each.type === T.RRSIG)) return 'unsigned';
  return validate(message, { name, type, apex: 'example.com.', keys, nowSeconds: NOW });
}

test.runIf(LONG_TESTS)('a zone is served unsigned, then signed; when all is signed again, as signed last', async () => {
  using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zoneText('14d', '192.0.2.1') });
  const [file, folderOfKeys] = [join(folder.path, 'zones/example.com.yaml'), join(folder.path, 'state/keys')];
  makeRsaKey(folderOfKeys);
  const { keys } = readKeys(folderOfKeys, APEX);
  const loading = {
    store: createPartStore((octets) => new SharedArrayBuffer(octets)),
    postponed: new Map(),
  } as Loading;
  const first = loadNext(folder.path, undefined, loading);
  expect(judge(first, keys, 'h7.example.com.', T.A)).toBe('unsigned');
  expect(first.generation.catalog.zones[0]?.signing).toBeUndefined();

  const told = await sign(loading.postponed);
  expect(told[0]?.[0]).toBe(0);
  expect(told.at(-1)).toEqual([told[0]?.[1], told[0]?.[1]]);
  const signed = loadNext(folder.path, first, loading);
  expect(loading.postponed.size).toBe(0);
  for (const name of ['h7', 'h1199', 'nope']) {
    expect(judge(signed, keys, `${name}.example.com.`, T.A)).toBe(name === 'nope' ? 'nxdomain' : 'answer');
  }
  expect(signed.generation.catalog.zones[0]?.serial).toBeGreaterThan(first.generation.catalog.zones[0]?.serial ?? 0);
  // Only the SOA was signed in the load: its serial changed.
  expect(signed.compiled.get(file)?.signer?.state.made).toBe(1);

  writeFileSync(file, zoneText('20d', '192.0.2.2'));
  const last = loadNext(folder.path, signed, loading);
  expect(last.generation.catalog).toEqual(signed.generation.catalog);
  expect(answeringFrom(last.generation).ask('h7.example.com.', T.A).answer[0]?.data).toBe('c0000201');
  // Without a change, nothing starts again.
  const again = loadNext(folder.path, last, loading);
  expect(loading.postponed.size).toBe(1);
  await sign(loading.postponed);
  const next = loadNext(folder.path, again, loading);
  expect(judge(next, keys, 'h7.example.com.', T.A)).toBe('answer');
  expect(answeringFrom(next.generation).ask('h7.example.com.', T.A).answer[0]?.data).toBe('c0000202');
});

test('a zone that an earlier process signed is not served unsigned: its signatures are made at the start', () => {
  using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zoneText('14d', '192.0.2.1') });
  makeRsaKey(join(folder.path, 'state/keys'));
  const { keys } = readKeys(join(folder.path, 'state/keys'), APEX);
  const serials = new Map([[nameKey(APEX), { serial: 7, digest: '', keys: keys.map(({ tag }) => `8/${tag}`) }]]);
  const store = createPartStore((octets) => new SharedArrayBuffer(octets));
  const postponed: PostponedZones = new Map();
  const outcome = loadWorld({ file: undefined, cwd: folder.path, env: {}, cores: 2, serials }, store, undefined, postponed); // prettier-ignore
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  expect(postponed.size).toBe(0);
  expect(judge(outcome.value.world, keys, 'h7.example.com.', T.A)).toBe('answer');
});

test('an update is refused while signatures are made, and is signed before it is served', async () => {
  const key = '{ algorithm: hmac-sha256, secret: MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE= }';
  using folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': `${String(NO_GEOGRAPHY['pharos.yaml'])}state_dir: state\ntransfer: { keys: { k: ${key} } }\nupdates: [{ key: k }]\n`,
    'zones/example.com.yaml': zoneText('14d', '192.0.2.1'),
    'state/journal/.keep': '',
  });
  const [file, folderOfKeys] = [join(folder.path, 'zones/example.com.yaml'), join(folder.path, 'state/keys')];
  makeRsaKey(folderOfKeys);
  const { keys } = readKeys(folderOfKeys, APEX);
  const store = createPartStore((octets) => new SharedArrayBuffer(octets));
  const postponed: PostponedZones = new Map();
  const input = { file: undefined, cwd: folder.path, env: {}, cores: 2 };
  const addName = (serial: number, name: string): void => {
    const set = { name: parseName(name, APEX), type: T.A, base: '', ttlSeconds: 60, data: [Uint8Array.of(192, 0, 2, serial)] }; // prettier-ignore
    appendFileSync(journalPath(join(folder.path, 'state'), APEX), formatEntry({ serial, sets: [set] }));
  };
  const update = (before: World) => loadWorld({ ...input, updated: [file] }, store, before, postponed);
  const first = loadNext(folder.path, undefined, { store, postponed });
  addName(1, 'new');
  const refused = update(first);
  expect(refused.diagnostics.filter(({ severity }) => severity === 'error').map(({ code }) => code)).toEqual(['PH431']);
  await sign(postponed);
  const signed = loadNext(folder.path, first, { store, postponed });
  addName(2, 'newer');
  const updated = update(signed);
  if (!updated.ok) throw new Error(JSON.stringify(updated.diagnostics));
  const { world } = updated.value;
  for (const name of ['new', 'newer', 'h7']) expect(judge(world, keys, `${name}.example.com.`, T.A)).toBe('answer');
  expect(judge(world, keys, 'newest.example.com.', T.A)).toBe('nxdomain');
  expect(postponed.size).toBe(0);
});
