/**
 * Answers of signed zones (docs/dnssec.md), each validated by a slow validator: random zones, names, types and states.
 */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeKey, readKeys } from '../../../../dnssec/key-files.ts';
import { FORCED, PROBED } from '../../../../health/health-table.ts';
import { SIGNATURES_PER_SECOND } from '../../../../server/answer/compact.ts';
import { createRareSetMemory, putRareSet, takeWishes } from '../../../../server/answer/rare-sets.ts';
import { COUNTER } from '../../../../server/counters.ts';
import { formatName, parseName } from '../../../../wire/name.ts';
import { formatRdata } from '../../../../wire/rdata.ts';
import { RCODE, TYPE } from '../../../../wire/types.ts';
import { createPartStore } from '../../../../zones/image/part-store.ts';
import { loadGeneration, loadWorld } from '../../../../zones/load-generation.ts';
import { signSets } from '../../../../zones/sign-sets.ts';
import { subnetOption, T, type DecodedMessage } from '../../../support/message.ts';
import { answering, answeringFrom, folderOf, NO_GEOGRAPHY, type Answering } from '../../../support/pharos.ts';
import { randomName, randomZone, ZONE_LABELS } from '../../../support/random-zone.ts';
import { createDice, moreThan, printedSeed, trials, type Dice } from '../../../support/random.ts';
import { validate, type ValidatorKey } from '../../../support/validator.ts';

const APEX = 'example.com.';
const NOW = Math.floor(Date.now() / 1000);

/** A signed zone with a key of its own, answered in-process. */
function signed(zone: string): { readonly server: Answering; readonly keys: readonly ValidatorKey[] } {
  using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone });
  const keys = join(folder.path, 'state', 'keys');
  makeKey(keys, parseName(APEX), NOW);
  const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return { server: answeringFrom(outcome.value), keys: readKeys(keys, parseName(APEX)).keys };
}

function askSigned(server: Answering, name: string, type: number): DecodedMessage {
  return server.ask(name, type, { overTcp: true, edns: { dnssecOk: true } });
}

/** Random states, so that answers have other sets, or none. */
function shake(server: Answering, dice: Dice): void {
  for (const { target } of server.generation.catalog.vips) {
    server.set(target, {
      probed: dice.pick([PROBED.UP, PROBED.UP, PROBED.DOWN]),
      forced: dice.pick([FORCED.NONE, FORCED.NONE, FORCED.DOWN]),
    });
  }
}

describe('signed answers', () => {
  test('random names cost no signature', () => {
    const { server, keys } = signed('zone: example.com\ndnssec: true\nnameservers: [ns.example.net.]\nrecords: { "*.w": { A: 192.0.2.1 } }\n'); // prettier-ignore
    const dice = createDice(printedSeed('random names'));
    for (let i = 0; i < 500; i++) {
      const name = `${randomName(dice, ['q', 'zz', '-', 'm1', 'w', `r${i}`])}.example.com.`;
      validate(askSigned(server, name, T.A), { name, type: T.A, apex: APEX, keys, nowSeconds: NOW });
    }
    expect(server.state.counters[COUNTER.SIGNED_ONLINE]).toBe(0);
  });

  test.each(['nsec', 'compact'])(
    'the answers of random zones are secure, in every state of their services: %s',
    (denial) => {
      const isCompact = denial === 'compact';
      const dice = createDice(printedSeed('signed answers'));
      const seen = new Map<string, number>();
      for (let round = 0; round < trials(40); round++) {
        const { text } = randomZone(dice, { dnssec: `{ denial: ${denial} }` });
        let zone: ReturnType<typeof signed>;
        try {
          zone = signed(text);
        } catch (error) {
          // Some random zones are refused, for example for CNAMEs in a circle or hidden names.
          if (/"severity":"error"/.test(String(error))) {
            seen.set('refused', (seen.get('refused') ?? 0) + 1);
            continue;
          }
          throw error;
        }
        const { server, keys } = zone;
        for (let query = 0; query < 60; query++) {
          if (query % 10 === 0) shake(server, dice);
          const name = `${dice.chance(0.05) ? '' : `${randomName(dice, [...ZONE_LABELS, 'x', 'aa', '-'])}.`}${APEX}`;
          const type = dice.pick([
            T.A,
            T.A,
            T.AAAA,
            T.HTTPS,
            TYPE.SVCB,
            T.TXT,
            T.TXT,
            T.MX,
            T.MX,
            T.CAA,
            T.CNAME,
            T.DS,
            T.NSEC,
            T.NS,
            T.SOA,
          ]);
          const compactOk = isCompact && dice.chance(0.3);
          const message = server.ask(name, type, { overTcp: true, edns: { dnssecOk: true, compactOk } });
          let kind: string;
          try {
            kind = validate(message, { name, type, apex: APEX, keys, nowSeconds: NOW, isCompact });
          } catch (error) {
            throw new Error(`${name} ${type}: ${String(error)}\n${text}\n${JSON.stringify(message, undefined, 1)}`, {
              cause: error,
            });
          }
          seen.set(kind, (seen.get(kind) ?? 0) + 1);
          if (!isCompact) expect(server.state.counters[COUNTER.SIGNED_ONLINE]).toBe(0);
          // The answer without DO is the same without what DNSSEC adds, except for the sets that chance chooses.
          const plain = server.ask(name, type, { overTcp: true, edns: {} });
          expect([
            message.rcode,
            isCompact && (type === T.NSEC || (!compactOk && kind === 'nxdomain')) ? RCODE.NXDOMAIN : -1,
          ]).toContain(plain.rcode);
          expect(plain.answer.some((each) => each.type === T.RRSIG)).toBe(false);
        }
      }
      for (const kind of ['answer', 'nxdomain', 'nodata', 'referral']) {
        expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(moreThan(20));
      }
    },
  );

  test('every VIP alone and every set of a service has signatures', () => {
    const { server, keys } = signed(`
zone: example.com
dnssec: true
nameservers: [ns.example.net.]
services:
  www:
    answers: 2
    vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2 }, c: { A: 192.0.2.3 }, d: { A: 192.0.2.4 } }
    steer: [weighted]
`);
    const sets = new Set<string>();
    for (let i = 0; i < 400; i++) {
      const message = askSigned(server, 'www.example.com.', T.A);
      validate(message, { name: 'www.example.com.', type: T.A, apex: APEX, keys, nowSeconds: NOW });
      const addresses = message.answer.filter(({ type }) => type === T.A);
      expect(addresses).toHaveLength(2);
      sets.add(addresses.map(({ data }) => data).sort().join(' ')); // prettier-ignore
    }
    expect(sets.size).toBe(6);
  });

  const many = (answers: string): string => {
    const vips = Array.from({ length: 40 }, (_, vip) => `v${vip}: { A: 192.0.2.${vip + 1}${vip > 33 ? `, AAAA: "2001:db8::${vip}"` : ''} }`); // prettier-ignore
    return `zone: example.com\ndnssec: true\nnameservers: [ns.example.net.]\nservices:\n  www: { answers: ${answers}, vips: { ${vips.join(', ')} }, steer: [weighted] }\n`;
  };
  const secureCount = (server: Answering, keys: readonly ValidatorKey[], type: number): number => {
    const message = askSigned(server, 'www.example.com.', type);
    validate(message, { name: 'www.example.com.', type, apex: APEX, keys, nowSeconds: NOW });
    return message.answer.filter((each) => each.type === type).length;
  };

  test.each(['nsec', 'compact'])('answers with the TTL of a key of geo, and those without an answer: %s', (denial) => {
    const { server, keys } = signed(`zone: example.com
dnssec: { denial: ${denial} }
nameservers: [ns.example.net.]
regions: { one: {}, two: {} }
services:
  "*.w": &service
    ttl: 20
    vips: { a: { region: one, A: 192.0.2.1 }, b: { region: two, A: 192.0.2.2 }, c: { region: two, A: 192.0.2.3 } }
    steer: [{ geo: { 1.0.0.0/8: { to: one, ttl: 10 }, 2.0.0.0/8: { to: two, ttl: 300 }, 3.0.0.0/8: none, default: [one, two] } }, all]
  www: *service
`);
    for (const name of [`www.${APEX}`, `x.w.${APEX}`]) {
      const ttls = [1, 2, 3, 4].map((octet) => {
        const options = [subnetOption(Uint8Array.of(octet, 0, 0, 1), 32)];
        const message = server.ask(name, T.A, { overTcp: true, edns: { dnssecOk: true, options } });
        const kind = validate(message, { name, type: T.A, apex: APEX, keys, nowSeconds: NOW, isCompact: denial === 'compact' }); // prettier-ignore
        expect(kind).toBe(octet === 3 ? 'nodata' : 'answer');
        return message.answer[0]?.ttl;
      });
      expect(ttls).toEqual([10, 300, undefined, 20]);
    }
  });

  test('an answer is cut to the VIPs whose signatures exist', () => {
    const { server, keys } = signed(many('3'));
    const sizes = new Set(Array.from({ length: 200 }, () => secureCount(server, keys, T.A)));
    expect([...sizes].every((size) => size >= 1 && size <= 3)).toBe(true);
    expect(sizes.has(1)).toBe(true);
    expect(server.ask('www.example.com.', T.A, { edns: {} }).answer).toHaveLength(3);
  });

  test('the set of all VIPs is signed, however many they are', () => {
    const { server, keys } = signed(many('all'));
    expect([secureCount(server, keys, T.A), secureCount(server, keys, T.AAAA)]).toEqual([40, 6]);
  });

  test('a set that is not signed is asked for once, and is served whole when it is signed', () => {
    using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': many('3') });
    const folderOfKeys = join(folder.path, 'state', 'keys');
    makeKey(folderOfKeys, parseName(APEX), NOW);
    const { keys } = readKeys(folderOfKeys, parseName(APEX));
    const outcome = loadWorld({ file: undefined, cwd: folder.path, env: {}, cores: 1 }, createPartStore((octets) => new SharedArrayBuffer(octets))); // prettier-ignore
    if (!outcome.ok) throw new Error('the zone has mistakes');
    const { world } = outcome.value;
    const rareSets = createRareSetMemory(1);
    const server = answeringFrom(world.generation, { rareSets });
    // The three heaviest VIPs are always the answer.
    for (const vip of [3, 35, 39]) server.set(`www.example.com/v${vip}`, { probed: PROBED.UP, weight: 100 });
    for (let vip = 0; vip < 40; vip++) if (![3, 35, 39].includes(vip)) server.set(`www.example.com/v${vip}`, { probed: PROBED.DOWN }); // prettier-ignore
    for (let i = 0; i < 10; i++) expect(secureCount(server, keys, T.A)).toBe(1);
    const wishes = takeWishes(rareSets, 100);
    expect(wishes).toEqual([{ root: 0, service: 0, type: T.A, vips: [3, 35, 39] }]);
    expect(takeWishes(rareSets, 100)).toEqual([]);
    const [first] = wishes;
    const [made] = signSets(world, wishes);
    if (!first || !made) throw new Error('the set was not signed');
    putRareSet(rareSets, first, made);
    for (let i = 0; i < 20; i++) expect(secureCount(server, keys, T.A)).toBe(3);
    expect(takeWishes(rareSets, 100)).toEqual([]);
    // A slot that is being written is not read.
    const words = new Int32Array(rareSets.table);
    const version = words.findIndex((word, at) => at % 128 === 0 && word !== 0);
    words[version] = 3;
    expect(secureCount(server, keys, T.A)).toBe(1);
    words[version] = 4;
    expect(secureCount(server, keys, T.A)).toBe(3);
    // Sets that cannot be signed: no such service, VIP, or data.
    const wrong = [{ root: 7, service: 7, type: T.A, vips: [1] }, { root: 0, service: 0, type: T.A, vips: [50] }, { root: 0, service: 0, type: T.AAAA, vips: [1, 2] }]; // prettier-ignore
    expect(signSets(world, wrong)).toEqual([undefined, undefined, undefined]);
  });

  test('a set of other types that is not signed is asked for, and signed with each record once', () => {
    const vips = Array.from(
      { length: 40 },
      (_, vip) => `v${vip}: { TXT: [same, t${vip}], MX: 10 m${vip}.example.net. }`,
    );
    const text = `zone: example.com\ndnssec: true\nnameservers: [ns.example.net.]\nservices: { www: { answers: 3, steer: [weighted], vips: { ${vips.join(', ')} } } }\n`; // prettier-ignore
    using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': text });
    const folderOfKeys = join(folder.path, 'state', 'keys');
    makeKey(folderOfKeys, parseName(APEX), NOW);
    const { keys } = readKeys(folderOfKeys, parseName(APEX));
    const outcome = loadWorld({ file: undefined, cwd: folder.path, env: {}, cores: 1 }, createPartStore((octets) => new SharedArrayBuffer(octets))); // prettier-ignore
    if (!outcome.ok) throw new Error('the zone has mistakes');
    const rareSets = createRareSetMemory(1);
    const server = answeringFrom(outcome.value.world.generation, { rareSets });
    for (let vip = 0; vip < 40; vip++) server.set(`www.example.com/v${vip}`, { probed: [3, 35, 39].includes(vip) ? PROBED.UP : PROBED.DOWN }); // prettier-ignore
    // One VIP alone is signed beforehand: two records.
    expect(secureCount(server, keys, T.TXT)).toBe(2);
    const wishes = takeWishes(rareSets, 100);
    expect(wishes).toEqual([{ root: 0, service: 0, type: T.TXT, vips: [3, 35, 39] }]);
    const [first] = wishes;
    const [made] = signSets(outcome.value.world, wishes);
    if (!first || !made) throw new Error('the set was not signed');
    putRareSet(rareSets, first, made);
    expect(secureCount(server, keys, T.TXT)).toBe(4);
    expect(secureCount(server, keys, T.MX)).toBe(1);
  });

  test('sets beyond the ring are counted, and the table is bounded', () => {
    const { server } = signed(many('3'));
    const rareSets = createRareSetMemory(1);
    const flooded = answeringFrom(server.generation, { rareSets });
    for (let i = 0; i < 500; i++) askSigned(flooded, 'www.example.com.', T.A);
    expect(flooded.state.counters[COUNTER.SETS_DROPPED]).toBeGreaterThan(300);
    expect(takeWishes(rareSets, 10)).toHaveLength(10);
    const octets = rareSets.table.byteLength;
    for (let vip = 0; vip < 40_000; vip++) {
      putRareSet(
        rareSets,
        { root: vip, service: vip, type: 1, vips: [vip % 256] },
        { records: 1, wire: new Uint8Array(100) },
      );
    }
    expect(rareSets.table.byteLength).toBe(octets);
  });

  test('static answers of when_all_down have signatures, also beside records of the name', () => {
    const { server, keys } = signed(`
zone: example.com
dnssec: true
nameservers: [ns.example.net.]
records: { www: { MX: 10 m.example.net. } }
services:
  www:
    vips: { a: { A: 192.0.2.1, AAAA: "2001:db8::1", TXT: up } }
    when_all_down: { A: 192.0.2.99, AAAA: "2001:db8::99", TXT: down }
`);
    const name = 'www.example.com.';
    const data = (): string[] =>
      [T.A, T.AAAA, T.TXT, T.MX].map((type) => {
        const message = askSigned(server, name, type);
        expect(validate(message, { name, type, apex: APEX, keys, nowSeconds: NOW })).toBe('answer');
        return formatRdata(type, Buffer.from(message.answer[0]?.data ?? '', 'hex'));
      });
    const mx = '10 m.example.net.';
    expect(data()).toEqual(['192.0.2.1', '2001:db8::1', '"up"', mx]);
    server.set('www.example.com/a', { probed: PROBED.DOWN });
    expect(data()).toEqual(['192.0.2.99', '2001:db8::99', '"down"', mx]);
  });

  test('a zone that is not signed has neither signatures nor NSECs, also with DO', () => {
    const server = answering({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns.example.net.]\nrecords: { www: { A: 192.0.2.1 }, "*.w": { A: 192.0.2.2 } }\n' }); // prettier-ignore
    const types = ['www', 'nope', 'x.w'].map((label) => {
      const { answer, authority } = askSigned(server, `${label}.example.com.`, T.A);
      return [...answer, ...authority].map(({ type }) => type);
    });
    expect(types).toEqual([[T.A], [T.SOA], [T.A]]);
  });

  test('a response that does not fit has TC', () => {
    const { server } = signed(`
zone: example.com
dnssec: true
nameservers: [ns.example.net.]
records:
  big: { TXT: ["${'x'.repeat(250)}", "${'y'.repeat(250)}"] }
`);
    const message = server.ask('big.example.com.', T.TXT, { edns: { dnssecOk: true, size: 560 } });
    expect(message.tc).toBe(true);
  });
});

describe('compact denial (RFC 9824)', () => {
  const ZONE = `zone: example.com
dnssec: { denial: compact }
soa: { expire: 4d, negative_ttl: 60 }
nameservers: [ns.example.net.]
records:
  www: { A: 192.0.2.1 }
  "*.wild": { MX: 10 www, A: 192.0.2.9 }
  a.ent: { TXT: x }
services:
  "*.s": { answers: 2, ttl: { min: 5, max: 300 }, vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2 }, c: { A: 192.0.2.3 } }, steer: [weighted] }
`;
  const made = (server: Answering): number => server.state.counters[COUNTER.SIGNED_ONLINE] ?? 0;
  const check = (message: DecodedMessage, keys: readonly ValidatorKey[], name: string, type: number): string =>
    validate(message, { name, type, apex: APEX, keys, nowSeconds: NOW, isCompact: true });

  test('a name that does not exist has NXNAME; the RCODE is NXDOMAIN for clients with CO, and without DO', () => {
    const { server, keys } = signed(ZONE);
    const name = 'nope.www.example.com.';
    const ask = (edns: Readonly<Record<string, boolean>>): DecodedMessage => server.ask(name, T.A, { edns });
    const message = ask({ dnssecOk: true });
    expect([check(message, keys, name, T.A), message.rcode, message.edns?.compactOk]).toEqual(['nxdomain', 0, false]);
    const [nsec] = message.authority.filter(({ type }) => type === T.NSEC);
    // \000.nope.www.example.com; RRSIG, NSEC, NXNAME. RFC 9077: the TTL is that of negative answers.
    expect([nsec?.name, nsec?.ttl, nsec?.data.slice(0, 4), nsec?.data.slice(-38)]).toEqual([name, 60, '0100', `0011${'00'.repeat(5)}03${'00'.repeat(10)}80`]); // prettier-ignore
    const withCo = ask({ dnssecOk: true, compactOk: true });
    expect([check(withCo, keys, name, T.A), withCo.rcode, withCo.edns?.compactOk]).toEqual(['nxdomain', 3, true]);
    const plain = ask({});
    expect([plain.rcode, plain.authority.map(({ type }) => type)]).toEqual([RCODE.NXDOMAIN, [T.SOA]]);
    expect(server.ask(name, T.A).rcode).toBe(RCODE.NXDOMAIN);
    expect(made(server)).toBe(1);
    const direct = server.ask(name, T.NSEC, { edns: { dnssecOk: true } });
    expect(direct.answer.map(({ type }) => type)).toEqual([T.NSEC, T.RRSIG]);
    const nxname = server.ask('www.example.com.', 128, { edns: { dnssecOk: true } });
    expect([nxname.rcode, nxname.edns?.options.map(({ data }) => Buffer.from(data).toString('hex'))]).toEqual([
      RCODE.FORMERR,
      ['001e'],
    ]);
  });

  test('names that exist cost no signature, and a wildcard costs one for each name and set', () => {
    const { server, keys } = signed(ZONE);
    const see = (name: string, type: number): string => check(askSigned(server, `${name}.example.com.`, type), keys, `${name}.example.com.`, type); // prettier-ignore
    for (let i = 0; i < 3; i++) {
      expect([see('www', T.A), see('www', T.AAAA), see('ent', T.A), see('a.ent', T.TXT), see('*.wild', T.TXT)]).toEqual(['answer', 'nodata', 'nodata', 'answer', 'nodata']); // prettier-ignore
    }
    expect(made(server)).toBe(0);
    for (let i = 0; i < 3; i++) expect([see('x.wild', T.MX), see('x.wild', T.TXT), see('y.wild', T.TXT)]).toEqual(['answer', 'nodata', 'nodata']); // prettier-ignore
    expect(made(server)).toBe(3);
    for (let i = 0; i < 60; i++) expect(see('x.s', T.A)).toBe('answer');
    expect(made(server)).toBe(6);
  });

  test('the NSEC of a wildcard is made for the name: right after it, with the types of the wildcard', () => {
    const { server, keys } = signed(ZONE);
    const name = 'x.wild.example.com.';
    const message = askSigned(server, name, T.TXT);
    expect(check(message, keys, name, T.TXT)).toBe('nodata');
    const data = message.authority.filter(({ type }) => type === T.NSEC).map((each) => Buffer.from(each.data, 'hex'));
    expect(data.map((each) => formatRdata(T.NSEC, each))).toEqual([`\\000.${name} A MX RRSIG NSEC`]);
  });

  test('records of a wildcard are signed with whole names, however they point at each other', () => {
    const { server, keys } = signed(`zone: example.com
dnssec: { denial: compact }
nameservers: [ns.example.net.]
records: { "*.m": { MX: [10 a.mail.example.net., 20 b.mail.example.net., 30 c.m, 40 d.c.m] } }
`);
    expect(check(askSigned(server, 'x.m.example.com.', T.MX), keys, 'x.m.example.com.', T.MX)).toBe('answer');
  });

  test('each set of a service at a wildcard has its own signatures, for each type', () => {
    const vips = Array.from({ length: 40 }, (_, vip) => `v${vip}: { A: 192.0.2.${vip + 1}, TXT: t${vip}, MX: 10 m${vip}.example.net. }`); // prettier-ignore
    const { server, keys } = signed(`zone: example.com
dnssec: { denial: compact }
nameservers: [ns.example.net.]
services: { "*.s": { answers: 2, vips: { ${vips.join(', ')} }, steer: [weighted] } }
`);
    const name = 'x.s.example.com.';
    for (const up of [[1, 33], [1], [33], [34], [33, 34], [2, 33], [2, 33, 34]]) {
      for (let vip = 0; vip < 40; vip++) server.set(`*.s.example.com/v${vip}`, { probed: up.includes(vip) ? PROBED.UP : PROBED.DOWN }); // prettier-ignore
      for (const type of [T.A, T.TXT, T.MX])
        expect(check(askSigned(server, name, type), keys, name, type)).toBe('answer');
    }
  });

  test('what does not fit, with its signatures, has TC', () => {
    const { server } = signed(`zone: example.com
dnssec: { denial: compact }
nameservers: [ns.example.net.]
records: { "*.big": { TXT: ["${'x'.repeat(180)}", "${'y'.repeat(180)}"] } }
`);
    const ask = (label: string): DecodedMessage => server.ask(`${label}.example.com.`, T.TXT, { edns: { dnssecOk: true, size: 512 } }); // prettier-ignore
    const long = Array.from({ length: 3 }, () => 'n'.repeat(63)).join('.');
    expect(['x.big', long].map((label) => ask(label).tc)).toEqual([true, true]);
    expect(ask('short').tc).toBe(false);
  });

  test('a thread that cannot sign for a zone refuses what it would have to sign', () => {
    using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': ZONE, 'zones/example.net.yaml': ZONE.replace('example.com', 'example.net').replace('ns.example.net.', 'ns.example.org.') }); // prettier-ignore
    for (const apex of [APEX, 'example.net.']) makeKey(join(folder.path, 'state', 'keys'), parseName(apex), NOW);
    const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    const { online } = outcome.value;
    const other = online.filter(({ apex }) => formatName(apex) === 'example.net');
    for (const keys of [other, []]) {
      const server = answeringFrom(outcome.value, { online: keys });
      for (const label of ['nope', 'x.wild', 'x.s']) {
        const { rcode, flags, answer, authority } = askSigned(server, `${label}.${APEX}`, T.A);
        expect([rcode, flags & 0x0600, answer, authority]).toEqual([RCODE.REFUSED, 0, [], []]);
      }
      expect(server.state.counters[COUNTER.SIGNING_REFUSED]).toBe(3);
      expect(askSigned(server, `www.${APEX}`, T.A).rcode).toBe(RCODE.NOERROR);
      expect(askSigned(server, 'nope.example.net.', T.A).rcode).toBe(keys === other ? RCODE.NOERROR : RCODE.REFUSED);
    }
  });

  test('random names cost no more than the budget of the thread; the others are refused', () => {
    using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': ZONE });
    makeKey(join(folder.path, 'state', 'keys'), parseName(APEX), NOW);
    const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
    if (!outcome.ok) throw new Error('the zone has mistakes');
    let ms = 5000;
    const server = answeringFrom(outcome.value, {}, 1, { ms: () => ms, seconds: () => NOW });
    const dice = createDice(printedSeed('random names'));
    const flood = (count: number): number => {
      let refused = 0;
      for (let i = 0; i < count; i++) {
        const name = `${Array.from({ length: 12 }, () => dice.below(16).toString(16)).join('')}${dice.pick(['', '.www', '.wild', '.s'])}.example.com.`;
        const message = askSigned(server, name, dice.pick([T.A, T.TXT]));
        if (message.rcode !== RCODE.REFUSED) continue;
        refused++;
        expect([message.answer, message.authority, message.edns?.options.map(({ code, data }) => [code, Buffer.from(data).toString('hex')])]).toEqual([[], [], [[15, '000e']]]); // prettier-ignore
      }
      return refused;
    };
    expect(flood(SIGNATURES_PER_SECOND)).toBe(0);
    expect(flood(500)).toBeGreaterThan(450);
    expect(made(server)).toBe(SIGNATURES_PER_SECOND);
    expect(server.state.counters[COUNTER.SIGNING_REFUSED]).toBeGreaterThan(450);
    // Names that exist are answered meanwhile.
    expect(askSigned(server, 'www.example.com.', T.A).rcode).toBe(RCODE.NOERROR);
    ms += 1000;
    expect(flood(100)).toBe(0);
  });
});
