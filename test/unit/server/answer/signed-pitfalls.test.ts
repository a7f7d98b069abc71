/**
 * Mistakes that other signing servers made, one test each. test/conformance/signed.test.ts has those that need several
 * zones (aliases to other signed and unsigned zones, parent and child both here), test/unit/cli/dnssec-roll.test.ts
 * those of keys with equal tags, signed.test.ts the truncated response, test/unit/dnssec/key-files.test.ts a clock
 * behind.
 */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { makeKey, readKeys } from '../../../../dnssec/key-files.ts';
import { parseName } from '../../../../wire/name.ts';
import { loadGeneration } from '../../../../zones/load-generation.ts';
import { T, type DecodedMessage } from '../../../support/message.ts';
import { answeringFrom, folderOf, NO_GEOGRAPHY, type Answering } from '../../../support/pharos.ts';
import { validate, type ValidatorKey } from '../../../support/validator.ts';

const APEX = 'example.com.';
const NOW = Math.floor(Date.now() / 1000);
const [DNSKEY, CDS, CDNSKEY] = [48, 59, 60];

const ZONE = `
zone: example.com
dnssec: true
soa: { expire: 4d, negative_ttl: 30 }
nameservers: [ns1]
records:
  ns1: { A: 192.0.2.53 }
  mail: { A: [192.0.2.1, 192.0.2.2] }
  "*.wild": { A: 192.0.2.9 }
  _443._tcp.host.wild: { TXT: an empty name hides the wildcard }
  cut: { NS: ns.cut }
  ns.cut: { A: 192.0.2.60 }
  safe: { NS: ns1, DS: "1 13 2 ${'ab'.repeat(32)}" }
  to-cut: { CNAME: a.cut }
  d: { DNAME: wild }
  rare: { TYPE65535: '\\# 2 abcd' }
services:
  www: { ttl: { min: 5, max: 300 }, vips: { a: { A: 192.0.2.11 }, b: { A: 192.0.2.12 } }, answers: all }
`;

function serving() {
  using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': ZONE });
  const folderOfKeys = join(folder.path, 'state', 'keys');
  makeKey(folderOfKeys, parseName(APEX), NOW);
  const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  const server = answeringFrom(outcome.value);
  const { keys } = readKeys(folderOfKeys, parseName(APEX));
  return { server, keys };
}

let server: Answering;
let keys: readonly ValidatorKey[];
beforeAll(() => {
  ({ server, keys } = serving());
});

function ask(label: string, type: number): DecodedMessage {
  return server.ask(`${label}${APEX}`, type, { overTcp: true, edns: { dnssecOk: true } });
}

/** Asks, and validates the response. */
function kindOf(label: string, type: number): string {
  return validate(ask(label, type), { name: `${label}${APEX}`, type, apex: APEX, keys, nowSeconds: NOW });
}

const typesIn = (records: DecodedMessage['answer']): number[] => [...new Set(records.map(({ type }) => type))].sort((a, b) => a - b); // prettier-ignore

describe('pitfalls of signed answers', () => {
  test.each([
    ['a wildcard answer proves that the name itself does not exist', 'x.wild.', T.A, 'answer'],
    ['a wildcard without data of the type', 'x.wild.', T.TXT, 'nodata'],
    ['an empty name hides the wildcard', 'host.wild.', T.A, 'nodata'],
    ['a name below the empty name does not exist', 'y.host.wild.', T.A, 'nxdomain'],
    ['a DNAME with its CNAME, which is not signed', 'q.d.', T.A, 'answer'],
    ['a delegation without DS', 'a.cut.', T.A, 'referral'],
    ['a delegation with DS', 'a.safe.', T.A, 'referral'],
    ['the DS at a cut', 'safe.', T.DS, 'answer'],
    ['no DS at a cut', 'cut.', T.DS, 'nodata'],
    ['a referral after an alias', 'to-cut.', T.A, 'referral'],
    ['NXDOMAIN', 'nope.', T.A, 'nxdomain'],
  ])('%s', (_, label, type, kind) => {
    expect(kindOf(label, type)).toBe(kind);
  });

  test('with DS, a referral has no NSEC; NS and glue have no signatures', () => {
    expect(typesIn(ask('a.safe.', T.A).authority)).toEqual([T.NS, T.DS, T.RRSIG]);
    const { authority, additional } = ask('a.cut.', T.A);
    expect(typesIn(authority)).toEqual([T.NS, T.RRSIG, T.NSEC]);
    const covered = authority.filter(({ type }) => type === T.RRSIG).map(({ data }) => data.slice(0, 4));
    expect(covered).toEqual(['002f']);
    expect(typesIn(additional)).toEqual([T.A]);
  });

  test('names below a cut are not in the chain', () => {
    const messages = [ask('', T.NSEC), ask('mail.', T.NSEC), ask('a.cut.', T.A), ask('nope.', T.A)];
    const chain = messages.flatMap(({ answer, authority }) => [...answer, ...authority].filter(({ type }) => type === T.NSEC)); // prettier-ignore
    expect(chain.length).toBeGreaterThan(3);
    const below = Buffer.from('\x02ns\x03cut').toString('hex');
    expect(chain.filter(({ name, data }) => name.startsWith('ns.cut.') || data.includes(below))).toEqual([]);
  });

  test('the bitmap has windows up to TYPE65535', () => {
    expect(kindOf('rare.', 65_535)).toBe('answer');
    const nsec = ask('rare.', T.NSEC).answer.find(({ type }) => type === T.NSEC);
    expect(nsec?.data).toMatch(new RegExp(`ff20${'00'.repeat(31)}01$`));
  });

  test('ANY and RRSIG get one signed set', () => {
    expect(typesIn(ask('mail.', T.ANY).answer)).toEqual([T.A, T.RRSIG]);
    expect(ask('mail.', T.RRSIG).answer.map(({ type }) => type)).toEqual([T.RRSIG]);
  });

  test('the question has its case, and signatures hold for it', () => {
    const message = ask('MaIl.', T.A);
    expect(message.question?.toString('latin1')).toContain('MaIl');
    expect(kindOf('mail.', T.A)).toBe('answer');
  });

  test('DNSKEY, CDS and CDNSKEY have one TTL and signatures by the key for the DS', () => {
    for (const type of [DNSKEY, CDS, CDNSKEY]) {
      expect(kindOf('', type)).toBe('answer');
      expect(new Set(ask('', type).answer.map(({ ttl }) => ttl))).toEqual(new Set([3600]));
    }
  });

  test('a steered set has one TTL, at most that of its signature', () => {
    expect(kindOf('www.', T.A)).toBe('answer');
    expect(new Set(ask('www.', T.A).answer.map(({ ttl }) => ttl)).size).toBe(1);
  });

  test('AD and CD are 0 (RFC 4035 3.1.6), as with NSD and Knot', () => {
    const { flags } = server.ask(`mail.${APEX}`, T.A, { flags: 0x0130, edns: { dnssecOk: true } });
    expect(flags & 0x0030).toBe(0);
  });

  test('an answer without EDNS or without DO has no signatures', () => {
    for (const options of [{}, { edns: {} }]) {
      const { answer, authority } = server.ask(`mail.${APEX}`, T.A, { overTcp: true, ...options });
      expect(typesIn([...answer, ...authority])).toEqual([T.A]);
    }
    expect(typesIn(server.ask(`nope.${APEX}`, T.A, { overTcp: true }).authority)).toEqual([T.SOA]);
  });

  test('the TTL of an NSEC is the lesser of those of the SOA (RFC 9077)', () => {
    expect(new Set(ask('nope.', T.A).authority.map(({ ttl }) => ttl))).toEqual(new Set([30]));
  });
});
