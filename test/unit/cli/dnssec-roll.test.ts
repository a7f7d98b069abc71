/**
 * Key rolls, with resolvers that keep what they have seen until its TTL ends: at no time a chain from a DS over a
 * DNSKEY set to data is broken (docs/dnssec.md#roll-a-key, RFC 7583).
 */
import type { KeyObject } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { dnssecRetire } from '../../../cli/dnssec-retire.ts';
import { dnssecRoll } from '../../../cli/dnssec-roll.ts';
import { dnssecDs, dnssecImport, dnssecStatus } from '../../../cli/dnssec.ts';
import { ALGORITHMS } from '../../../dnssec/algorithms.ts';
import { dnskeyData, dsData, keyTag } from '../../../dnssec/dnskey.ts';
import { makeKey, readKeys, setTimes, type ZoneKey } from '../../../dnssec/key-files.ts';
import { rolesOf } from '../../../dnssec/key-times.ts';
import { parseName } from '../../../wire/name.ts';
import { T } from '../../support/message.ts';
import { folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';
import { createDice, printedSeed, type Dice } from '../../support/random.ts';

const APEX = parseName('example.com.');
const DNSKEY = 48;
const START = 1_796_000_000;
const DATA_TTL = 5400;
const DS_TTL = 7200;
const KEY_TTL = 3600;
const STEP = 600;

const ZONE = `
zone: example.com
dnssec: true
soa: { expire: 1d }
nameservers: [ns.example.net.]
services:
  www: { ttl: { min: 5, max: ${DATA_TTL} }, vips: { a: { A: 192.0.2.1 } } }
`;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
  vi.setSystemTime(START * 1000);
});
afterEach(() => {
  vi.useRealTimers();
});

/** A name server with these sets, by type; `isParent`: its answers are authoritative. */
async function nameServer(sets: Map<number, readonly Uint8Array[]>) {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const asked: number[] = [];
  socket.on('message', (query, { port, address }) => {
    const end = query.indexOf(0, 12) + 5;
    const type = query.readUInt16BE(end - 4);
    asked.push(type);
    const records = sets.get(type) ?? [];
    const head = Buffer.from(query.subarray(0, end));
    head.writeUInt16BE(0x8400, 2);
    head.writeUInt16BE(records.length, 6);
    head.writeUInt16BE(0, 10);
    const fixed = (octets: number): Buffer => {
      const out = Buffer.from([0xc0, 12, type >> 8, type & 255, 0, 1, 0, 0, DS_TTL >> 8, DS_TTL & 255, 0, 0]);
      out.writeUInt16BE(octets, 10);
      return out;
    };
    socket.send(Buffer.concat([head, ...records.flatMap((data) => [fixed(data.length), data])]), port, address);
  });
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      socket.close();
      await once(socket, 'close');
    },
  };
}

/** A folder with a signed zone, and the commands in it. */
function zoneFolder({ config = '' } = {}) {
  const folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': `${String(NO_GEOGRAPHY['pharos.yaml'])}${config}`,
    'zones/example.com.yaml': ZONE,
  });
  const keys = join(folder.path, 'state', 'keys');
  const lines: string[] = [];
  const say = (line: string): void => void lines.push(line);
  const output = { out: say, error: say, style: (_: string, text: string) => text };
  const options = { zone: 'example.com', config: join(folder.path, 'pharos.yaml'), json: false };
  return {
    folder,
    keys,
    lines,
    output: output as unknown as Parameters<typeof dnssecRoll>[1],
    options,
    read: () => readKeys(keys, APEX).keys,
    [Symbol.dispose]: () => {
      folder[Symbol.dispose]();
    },
  };
}

type Zone = ReturnType<typeof zoneFolder>;

function roll(zone: Zone, more: { zsk?: boolean; algorithm?: string } = {}): number {
  return dnssecRoll({ ...zone.options, zsk: more.zsk ?? false, algorithm: more.algorithm }, zone.output);
}

function retire(zone: Zone, key: string, parent: string | undefined, servers: readonly string[] = []): Promise<number> {
  return dnssecRetire({ ...zone.options, key, parent, servers }, zone.output);
}

/** What resolvers can see of a zone at one time. Keys are identified by their file. */
type Seen = { readonly ds: readonly ZoneKey[]; readonly roles: ReturnType<typeof rolesOf> };

const same = (a: ZoneKey) => (b: ZoneKey) => Buffer.from(a.dnskey).equals(b.dnskey);

/** Why a resolver that has these three sets would find the zone bogus. */
function fault(ds: Seen, keys: Seen, data: Seen): string | undefined {
  const { published, forKeys } = keys.roles;
  const trusted = ds.ds.filter((key) => published.some(same(key)) && forKeys.some(same(key)));
  if (trusted.length === 0) return 'no DS leads to a key that signs the DNSKEY set';
  if (!data.roles.forData.some((key) => published.some(same(key)))) return 'no signature is by a key of the DNSKEY set';
  // A strict validator (harden-algo-downgrade) needs every algorithm of the DS in the signatures.
  for (const { algorithm } of ds.ds) {
    if (!forKeys.some((key) => key.algorithm === algorithm))
      return `the DNSKEY set is not signed by ${algorithm.number}`;
    if (!data.roles.forData.some((key) => key.algorithm === algorithm))
      return `data is not signed by ${algorithm.number}`;
  }
  for (const { algorithm } of published) {
    if (!data.roles.forData.some((key) => key.algorithm === algorithm))
      return `data is not signed by ${algorithm.number}`;
  }
  return undefined;
}

/**
 * Runs a roll to its end: operator and parent act late, at random. Returns what resolvers could see, by step: one
 * object while it is the same.
 */
async function rollToEnd(zone: Zone, dice: Dice, more: { zsk?: boolean; algorithm?: string }): Promise<Seen[]> {
  const sets = new Map<number, readonly Uint8Array[]>();
  await using parent = await nameServer(sets);
  const olds = zone.read();
  const old = olds.find(({ isEntryPoint }) => isEntryPoint !== (more.zsk ?? false)) ?? olds[0];
  if (!old) throw new Error('no key');
  const points = rolesOf(olds, START).forParent;
  const seen: Seen[] = [];
  let ds = points;
  let served = olds;
  let reloadAt = Infinity;
  let parentAt = Infinity;
  let isRetired = false;
  let left = Infinity;
  for (let step = 0; left > 0; step++, left--) {
    const now = START + step * STEP;
    vi.setSystemTime(now * 1000);
    if (step === 20) {
      expect(roll(zone, more)).toBe(0);
      reloadAt = now + dice.below(5) * STEP;
    }
    if (now >= reloadAt) {
      served = zone.read();
      reloadAt = Infinity;
    }
    const roles = rolesOf(served, now);
    const wanted = roles.forParent;
    if (parentAt === Infinity && wanted.map(({ file }) => file).join() !== ds.map(({ file }) => file).join()) {
      parentAt = now + dice.below(20) * STEP;
    }
    if (now >= parentAt) {
      ds = wanted;
      parentAt = Infinity;
    }
    sets.set(T.DS, ds.map(({ dnskey }) => dsData(APEX, dnskey))); // prettier-ignore
    if (step > 20 && !isRetired && dice.chance(0.4)) {
      isRetired = (await retire(zone, String(old.tag), parent.address)) === 0;
      if (isRetired) {
        reloadAt = now + dice.below(5) * STEP;
        left = 400;
      }
    }
    const [sight, last] = [{ ds, roles }, seen.at(-1)];
    seen.push(last !== undefined && shownKeys(last) === shownKeys(sight) ? last : sight);
    if (step > 1500) throw new Error(`the roll does not end: ${zone.lines.at(-1) ?? ''}`);
  }
  return seen;
}

/** All keys of what is seen, each by its file. */
function shownKeys({ ds, roles }: Seen): string {
  const lists = [ds, roles.published, roles.active, roles.forKeys, roles.forData, roles.forParent];
  return lists.map((keys) => keys.map(({ file }) => file).join()).join(' ');
}

/** What can be in a cache at a step: everything since the TTL, each once. */
function within(seen: readonly Seen[], step: number, ttl: number): ReadonlySet<Seen> {
  return new Set(seen.slice(Math.max(0, step - Math.ceil(ttl / STEP)), step + 1));
}

const KINDS: readonly [
  string,
  readonly { algorithm?: number; isEntryPoint?: boolean }[],
  { zsk?: boolean; algorithm?: string },
][] = [
  ['one key for everything', [{}], {}],
  ['one key without the SEP flag', [{ isEntryPoint: false }], {}],
  ['a key signing key', [{}, { isEntryPoint: false }], {}],
  ['a zone signing key', [{}, { isEntryPoint: false }], { zsk: true }],
  ['the algorithm, one key', [{ algorithm: 14 }], { algorithm: 'ecdsap256sha256' }],
  ['the algorithm, two keys', [{ algorithm: 8 }, { algorithm: 8, isEntryPoint: false }], { algorithm: '15' }],
];

describe('a roll', () => {
  test.each(KINDS)('%s: every resolver finds the zone secure at every time', async (_, wanted, more) => {
    const dice = createDice(printedSeed('roll'));
    using zone = zoneFolder();
    for (const each of wanted) makeKey(zone.keys, APEX, START - 1_000_000, each);
    const before = zone.read();
    const seen = await rollToEnd(zone, dice, more);
    for (const [step] of seen.entries()) {
      for (const ds of within(seen, step, DS_TTL)) {
        for (const keys of within(seen, step, KEY_TTL)) {
          for (const data of within(seen, step, DATA_TTL)) {
            const why = fault(ds, keys, data);
            if (why !== undefined) throw new Error(`step ${step}: ${why}\n${zone.lines.join('\n')}`);
          }
        }
      }
    }
    // It ended: what was rolled is gone, and nothing else.
    const end = seen.at(-1)?.roles;
    const stays = before.filter((key) => end?.published.some(same(key)));
    expect(stays).toHaveLength(wanted.length === 2 && more.algorithm === undefined ? 1 : 0);
    expect(end?.published).toHaveLength(wanted.length);
    expect(end?.active).toHaveLength(wanted.length);
    expect(new Set(end?.active.map(({ algorithm }) => algorithm.number)).size).toBe(1);
  });

  test('a zone signing key is published before it signs, and then only one signs', async () => {
    using zone = zoneFolder();
    for (const isEntryPoint of [true, false]) makeKey(zone.keys, APEX, START - 100_000, { isEntryPoint });
    const seen = await rollToEnd(zone, createDice(printedSeed('zsk')), { zsk: true });
    expect(new Set(seen.map(({ roles }) => roles.forData.length))).toEqual(new Set([1]));
    expect(Math.max(...seen.map(({ roles }) => roles.published.length))).toBe(3);
  });

  test('a second roll is refused while one is under way', () => {
    using zone = zoneFolder();
    makeKey(zone.keys, APEX, START - 100_000);
    expect([roll(zone), roll(zone)]).toEqual([0, 1]);
    expect(zone.lines.at(-1)).toContain('a roll is under way');
    expect(roll(zone, { algorithm: 'rot13' })).toBe(1);
  });

  test('without a zone signing key there is none to roll', () => {
    using zone = zoneFolder();
    makeKey(zone.keys, APEX, START - 100_000);
    expect(roll(zone, { zsk: true })).toBe(1);
    expect(zone.lines.at(-1)).toContain('leave --zsk out');
    expect(roll(zone, { algorithm: 'rot13' })).toBe(2);
  });
});

describe('retire', () => {
  test('refuses while a secondary does not have the new key, and counts from then', async () => {
    const sets = new Map<number, readonly Uint8Array[]>();
    await using secondary = await nameServer(sets);
    await using parent = await nameServer(new Map());
    using zone = zoneFolder({ config: `transfer: { notify: ["${secondary.address}"] }\n` });
    const old = makeKey(zone.keys, APEX, START - 100_000);
    roll(zone);
    const retireOld = (): Promise<number> => retire(zone, String(old.tag), parent.address);
    expect(await retireOld()).toBe(1);
    expect(zone.lines.at(-1)).toContain('Earliest: ');
    vi.setSystemTime((START + 100_000) * 1000);
    expect(await retireOld()).toBe(1);
    expect(zone.lines.at(-1)).toMatch(/does not serve the zone\. Earliest: /);
    sets.set(DNSKEY, zone.read().map(({ dnskey }) => dnskey)); // prettier-ignore
    expect(await retireOld()).toBe(1);
    expect(zone.lines.at(-1)).toContain('resolvers may not have key');
    vi.setSystemTime((START + 100_000 + DATA_TTL + 3600) * 1000);
    expect(await retireOld()).toBe(0);
    expect(secondary.asked).toContain(T.SOA);
  });

  test('in a fleet, asks the other nodes', async () => {
    using zone = zoneFolder({
      config: 'regions: { here: {} }\nfleet: { name: f, servers: ["nats://127.0.0.1:4222"], region: here, node: n }\n',
    });
    const old = makeKey(zone.keys, APEX, START - 100_000);
    roll(zone);
    vi.setSystemTime((START + 100_000) * 1000);
    expect(await retire(zone, String(old.tag), '127.0.0.1:1')).toBe(1);
    expect(zone.lines.at(-1)).toContain('--server');
    await using node = await nameServer(new Map([[DNSKEY, zone.read().map(({ dnskey }) => dnskey)]]));
    await using parent = await nameServer(new Map());
    expect(await retire(zone, String(old.tag), parent.address, [node.address])).toBe(0);
  });

  test('refuses while the parent has the old DS, or not the new one', async () => {
    const sets = new Map<number, readonly Uint8Array[]>();
    await using parent = await nameServer(sets);
    using zone = zoneFolder();
    const old = makeKey(zone.keys, APEX, START - 100_000);
    roll(zone);
    const made = zone.read().find((key) => key.tag !== old.tag);
    if (!made) throw new Error('no key');
    vi.setSystemTime((START + 100_000) * 1000);
    for (const [keys, why] of [
      [[old], 'the parent has no DS for key'],
      [[old, made], 'still has the DS of key'],
    ] as const) {
      sets.set(T.DS, keys.map(({ dnskey }) => dsData(APEX, dnskey))); // prettier-ignore
      expect(await retire(zone, String(old.tag), parent.address)).toBe(1);
      expect(zone.lines.at(-1)).toContain(why);
    }
    sets.set(T.DS, [dsData(APEX, made.dnskey)]);
    expect(await retire(zone, String(old.tag), parent.address)).toBe(0);
    expect(await retire(zone, String(made.tag), parent.address)).toBe(1);
    expect(zone.lines.at(-1)).toContain('no other key would sign');
  });
});

describe('CDS', () => {
  test('names the new key only when resolvers have it, and then not the old one', async () => {
    using zone = zoneFolder();
    const old = makeKey(zone.keys, APEX, START - 100_000);
    roll(zone);
    const keys = zone.read();
    const named = (at: number): boolean[] => rolesOf(keys, at).forParent.map((key) => key.tag === old.tag);
    expect([named(START), named(START + 3600 + DATA_TTL - 1), named(START + 3600 + DATA_TTL)]).toEqual([[true], [true], [false]]); // prettier-ignore
    dnssecDs(zone.options, zone.output);
    expect(zone.lines.at(-1)).toContain(` DS ${old.tag} `);
    await dnssecStatus(zone.options, zone.output);
    expect(zone.lines.join('\n')).toContain('CDS names it');
  });
});

describe('keys with the same tag', () => {
  /** The PEM files of two keys with one tag. Some hundred tries find them, as there are 65,536 tags. */
  function twins(folder: string): string[] {
    const p256 = ALGORITHMS.get(13);
    if (!p256) throw new Error('no algorithm');
    const found = new Map<number, KeyObject>();
    for (;;) {
      const key = p256.make();
      const tag = keyTag(dnskeyData(1, 13, p256.write(key).publicKey));
      const other = found.get(tag);
      found.set(tag, key);
      if (!other) continue;
      return [other, key].map((each, index) => {
        const file = join(folder, `${index}.pem`);
        writeFileSync(file, each.export({ type: 'pkcs8', format: 'pem' }));
        return file;
      });
    }
  }

  test('are both used, and commands name them by their files', async () => {
    using zone = zoneFolder();
    using made = folderOf({});
    const files = twins(made.path);
    expect(dnssecImport({ ...zone.options, files, zsk: false }, zone.output)).toBe(0);
    vi.setSystemTime((START + 100_000) * 1000);
    const keys = zone.read();
    expect(new Set(keys.map(({ tag }) => tag)).size).toBe(1);
    expect(keys).toHaveLength(2);
    expect(readdirSync(zone.keys).filter((name) => name.endsWith('-2.private'))).toHaveLength(1);
    const [first, second] = keys;
    if (!first || !second) throw new Error('no keys');
    await using parent = await nameServer(new Map([[T.DS, [dsData(APEX, second.dnskey)]]]));
    expect(await retire(zone, String(first.tag), parent.address)).toBe(1);
    expect(zone.lines.at(-1)).toContain('several keys have the tag');
    // The parent has the DS of the second key, which has the same tag.
    expect(await retire(zone, second.file, parent.address)).toBe(1);
    expect(await retire(zone, first.file, parent.address)).toBe(0);
    expect(dnssecImport({ ...zone.options, files, zsk: false }, zone.output)).toBe(1);
    expect(zone.lines.at(-1)).toContain('is there already');
  });
});

describe('--json', () => {
  const time = (seconds: number): string => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
  /** The document that a command printed, which prints nothing else. */
  async function documentOf(zone: Zone, command: () => number | Promise<number>): Promise<unknown> {
    zone.lines.length = 0;
    expect(await command()).toBe(0);
    expect(zone.lines).toHaveLength(1);
    return JSON.parse(zone.lines[0] ?? '');
  }
  const ofKey = ({ tag, algorithm, isEntryPoint, file }: ZoneKey) => ({ tag, algorithm: algorithm.number, entry_point: isEntryPoint, file }); // prettier-ignore

  test('of roll and retire: the keys, and what to do next', async () => {
    using zone = zoneFolder();
    const old = makeKey(zone.keys, APEX, START - 100_000);
    const options = { ...zone.options, json: true };
    const begun = await documentOf(zone, () =>
      dnssecRoll({ ...options, zsk: false, algorithm: undefined }, zone.output),
    );
    const [made] = zone.read().filter(({ tag }) => tag !== old.tag);
    if (!made) throw new Error('no key');
    const sync = START + 3600 + DATA_TTL;
    const fromParent = expect.stringMatching(new RegExp(`^${made.tag} 13 2 `)) as unknown;
    expect(begun).toEqual({
      zone: 'example.com',
      made: [expect.objectContaining({ ...ofKey(made), state: 'active', sync_publish: time(sync) })],
      old: expect.objectContaining({ ...ofKey(old), state: 'active', sync_delete: time(sync) }) as unknown,
      next: [
        { step: 'reload', not_before: null },
        { step: 'replace_ds', not_before: time(sync), ds: [fromParent] },
        { step: 'retire', not_before: null, key: String(old.tag) },
      ],
    });
    vi.setSystemTime((START + 100_000) * 1000);
    await using parent = await nameServer(new Map([[T.DS, [dsData(APEX, made.dnskey)]]]));
    const retireOptions = { ...options, key: String(old.tag), parent: parent.address, servers: [] };
    const ended = await documentOf(zone, () => dnssecRetire(retireOptions, zone.output));
    const end = time(START + 100_000 + DS_TTL);
    expect(ended).toEqual({
      zone: 'example.com',
      retired: [expect.objectContaining({ ...ofKey(old), state: 'active', inactive: end, delete: end })],
      signing: expect.objectContaining(ofKey(made)) as unknown,
      next: [{ step: 'reload', not_before: null }],
    });
    // The files have the times that were printed.
    const shown = (await documentOf(zone, () => dnssecStatus(options, zone.output))) as { keys: unknown };
    expect(shown.keys).toEqual(expect.arrayContaining((ended as { retired: unknown[] }).retired));
  });

  test('of a roll of a zone signing key: no DS', async () => {
    using zone = zoneFolder();
    makeKey(zone.keys, APEX, START - 100_000, { isEntryPoint: true });
    const old = makeKey(zone.keys, APEX, START - 100_000, { isEntryPoint: false });
    const roll = { ...zone.options, json: true, zsk: true, algorithm: undefined };
    expect(await documentOf(zone, () => dnssecRoll(roll, zone.output))).toMatchObject({
      made: [{ entry_point: false, state: 'published' }],
      old: ofKey(old),
      next: [{ step: 'reload' }, { step: 'retire', not_before: time(START + 3600 + KEY_TTL), key: String(old.tag) }],
    });
  });

  test('of import: also what was imported before a mistake', async () => {
    using zone = zoneFolder();
    using made = folderOf({});
    const key = makeKey(made.path, APEX, START - 100_000);
    const options = { ...zone.options, json: true, zsk: false };
    const files = [key.file, join(made.path, 'none.pem')];
    expect(dnssecImport({ ...options, files }, zone.output)).toBe(1);
    expect(zone.lines[0]).toContain('pharos dnssec import: ');
    const [imported] = zone.read();
    expect(JSON.parse(zone.lines[1] ?? '')).toEqual({
      zone: 'example.com',
      imported: [expect.objectContaining({ from: key.file, tag: key.tag, file: imported?.file, state: 'active' })],
    });
    using other = zoneFolder();
    expect(
      await documentOf(other, () =>
        dnssecImport({ ...other.options, json: true, zsk: false, files: [key.file] }, other.output),
      ),
    ).toMatchObject({ imported: [{ tag: key.tag }] });
  });
});

describe('files of keys', () => {
  test('only their owner may read them after each command, and no command prints them', async () => {
    using zone = zoneFolder();
    using made = folderOf({});
    const old = makeKey(zone.keys, APEX, START - 100_000);
    const { file } = makeKey(made.path, APEX, START - 100_000, { algorithm: 15 });
    chmodSync(file, 0o644);
    expect(dnssecImport({ ...zone.options, files: [file], zsk: false }, zone.output)).toBe(0);
    const [imported] = zone.read().filter(({ algorithm }) => algorithm.number === 15);
    if (!imported) throw new Error('no key');
    setTimes(imported, { inactive: START });
    roll(zone);
    await using parent = await nameServer(new Map());
    vi.setSystemTime((START + 100_000) * 1000);
    await retire(zone, String(old.tag), parent.address);
    const secrets = readdirSync(zone.keys).filter((name) => name.endsWith('.private'));
    expect(secrets).toHaveLength(3);
    for (const name of secrets) expect(statSync(join(zone.keys, name)).mode & 0o777).toBe(0o600);
    expect(statSync(zone.keys).mode & 0o777).toBe(0o700);
    await dnssecStatus(zone.options, zone.output);
    await dnssecStatus({ ...zone.options, json: true }, zone.output);
    const told = zone.lines.join('\n');
    for (const name of secrets) {
      const secret = /PrivateKey: (\S+)/.exec(readFileSync(join(zone.keys, name), 'utf8'))?.[1] ?? 'none';
      expect(told).not.toContain(secret);
    }
  });

  test('a file that is not a key is refused without its contents', () => {
    using zone = zoneFolder();
    const file = join(zone.folder.path, 'x.pem');
    writeFileSync(file, '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n');
    expect(dnssecImport({ ...zone.options, files: [file], zsk: false }, zone.output)).toBe(1);
    expect(zone.lines.at(-1)).toContain('not a private key in PEM form');
    expect(zone.lines.at(-1)).not.toContain('c2VjcmV0');
  });
});
