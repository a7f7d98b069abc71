/**
 * Answers, packet by packet (docs/steering.md, docs/dns.md).
 */
import { describe, expect, test } from 'vitest';
import { FORCED, PROBED } from '../../../../health/health-table.ts';
import { parseAddress } from '../../../../wire/address.ts';
import {
  decodeMessage,
  encodeQuery,
  subnetOption,
  T,
  wireName,
  type DecodedMessage,
} from '../../../support/message.ts';
import { writeMmdb } from '../../../support/mmdb.ts';
import { answering } from '../../../support/pharos.ts';

const ZONE = `
zone: example.com
nameservers: [ns1, ns2]
ttl: 300
soa: { contact: hostmaster, serial: 7, negative_ttl: 60 }
regions:
  seoul: { at: KR }
  virginia: { at: US }
records:
  ns1: { A: 192.0.2.53 }
  ns2: { A: 198.51.100.53, AAAA: "2001:db8::53" }
  "@": { MX: [10 mail, 20 mail.example.net.], TXT: ["v=spf1 -all"] }
  mail: { ttl: 1h, A: [192.0.2.25, 192.0.2.26] }
  "*.dev": { CNAME: www }
  deep.er.ent: { TXT: x }
  sub: { NS: [ns.sub, ns.elsewhere.net.], DS: "1 13 2 ${'ab'.repeat(32)}" }
  ns.sub: { A: 192.0.2.60, AAAA: "2001:db8::60" }
  old: { DNAME: new.example.com. }
  gone: { DNAME: . }
  a.new: { A: 192.0.2.70 }
  chain: { CNAME: chain2 }
  chain2: { CNAME: mail }
  loop: { CNAME: loop2 }
  loop2: { CNAME: loop }
  out: { CNAME: www.example.net. }
  broken: { CNAME: nothere }
  apexward: { CNAME: "@" }
  www: { TXT: beside }
services:
  www:
    ttl: 20
    vips:
      seoul-a: { region: seoul, A: 203.0.113.10, AAAA: "2001:db8:1::10" }
      virginia-a: { region: virginia, A: 198.51.100.10 }
    steer: [{ geo: { KR: seoul, default: [virginia, seoul] } }]
  named:
    vips: { one: { CNAME: one.cdn.example.net. }, two: { CNAME: mail } }
    steer: [{ failover: [two, one] }]
  sorry:
    vips: { only: { A: 203.0.113.20 } }
    when_all_down: { CNAME: mail }
  none:
    vips: { only: { A: 203.0.113.21 } }
    when_all_down: none
  many:
    vips: { ${Array.from({ length: 60 }, (_, i) => `v${i}: { A: 203.0.113.${i + 100} }`).join(', ')} }
    steer: [all]
`;
const FILES = {
  'pharos.yaml': 'geo: { databases: [small.mmdb] }\n',
  'small.mmdb': writeMmdb([
    ['1.208.0.0/12', { country: { iso_code: 'KR' } }],
    ['8.8.8.0/24', { country: { iso_code: 'US' } }],
  ]),
  'zones/example.com.yaml': ZONE,
};
const server = answering(FILES);
const { ask } = server;

const NAME = { NOERROR: 0, FORMERR: 1, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, YXDOMAIN: 6, BADVERS: 16 } as const;

/** `name type` of each record. */
function shape({ answer, authority, additional }: DecodedMessage): {
  answer: string[];
  authority: string[];
  additional: string[];
} {
  const names = new Map<number, string>(Object.entries(T).map(([name, number]) => [number, name]));
  const of = (records: DecodedMessage['answer']): string[] =>
    records.map(({ name, type }) => `${name.replace(/example\.com\.$/, '') || '@'} ${names.get(type) ?? type}`);
  return { answer: of(answer), authority: of(authority), additional: of(additional) };
}

const soa = ['@ SOA'];
describe('sections of static answers', () => {
  test.each([
    ['mail.example.com', T.A, 0, true, { answer: ['mail. A', 'mail. A'], authority: [], additional: [] }],
    [
      'example.com',
      T.NS,
      0,
      true,
      { answer: ['@ NS', '@ NS'], authority: [], additional: ['ns1. A', 'ns2. A', 'ns2. AAAA'] },
    ],
    ['example.com', T.MX, 0, true, { answer: ['@ MX', '@ MX'], authority: [], additional: ['mail. A', 'mail. A'] }],
    ['mail.example.com', T.AAAA, 0, true, { answer: [], authority: soa, additional: [] }],
    ['er.ent.example.com', T.A, 0, true, { answer: [], authority: soa, additional: [] }],
    ['nothere.example.com', T.A, 3, true, { answer: [], authority: soa, additional: [] }],
    ['x.deep.er.ent.example.com', T.A, 3, true, { answer: [], authority: soa, additional: [] }],
    ['*.dev.example.com', T.CNAME, 0, true, { answer: ['*.dev. CNAME'], authority: [], additional: [] }],
    ['x.y.dev.example.com', T.MX, 0, true, { answer: ['x.y.dev. CNAME'], authority: soa, additional: [] }],
    [
      'sub.example.com',
      T.A,
      0,
      false,
      { answer: [], authority: ['sub. NS', 'sub. NS'], additional: ['ns.sub. A', 'ns.sub. AAAA'] },
    ],
    [
      'x.y.sub.example.com',
      T.DS,
      0,
      false,
      { answer: [], authority: ['sub. NS', 'sub. NS'], additional: ['ns.sub. A', 'ns.sub. AAAA'] },
    ],
    ['sub.example.com', T.DS, 0, true, { answer: ['sub. DS'], authority: [], additional: [] }],
    ['example.com', T.DS, 0, true, { answer: [], authority: soa, additional: [] }],
    [
      'chain.example.com',
      T.A,
      0,
      true,
      { answer: ['chain. CNAME', 'chain2. CNAME', 'mail. A', 'mail. A'], authority: [], additional: [] },
    ],
    ['chain.example.com', T.CNAME, 0, true, { answer: ['chain. CNAME'], authority: [], additional: [] }],
    [
      'chain.example.com',
      T.AAAA,
      0,
      true,
      { answer: ['chain. CNAME', 'chain2. CNAME'], authority: soa, additional: [] },
    ],
    ['loop.example.com', T.A, 0, true, { answer: ['loop. CNAME', 'loop2. CNAME'], authority: [], additional: [] }],
    ['out.example.com', T.A, 0, true, { answer: ['out. CNAME'], authority: [], additional: [] }],
    ['broken.example.com', T.A, 3, true, { answer: ['broken. CNAME'], authority: soa, additional: [] }],
    ['apexward.example.com', T.TXT, 0, true, { answer: ['apexward. CNAME', '@ TXT'], authority: [], additional: [] }],
    [
      'a.old.example.com',
      T.A,
      0,
      true,
      { answer: ['old. DNAME', 'a.old. CNAME', 'a.new. A'], authority: [], additional: [] },
    ],
    ['b.old.example.com', T.A, 3, true, { answer: ['old. DNAME', 'b.old. CNAME'], authority: soa, additional: [] }],
    ['x.a.old.example.com', T.A, 3, true, { answer: ['old. DNAME', 'x.a.old. CNAME'], authority: soa, additional: [] }],
    ['old.example.com', T.A, 0, true, { answer: [], authority: soa, additional: [] }],
    [
      'www.gone.example.com',
      T.A,
      0,
      true,
      { answer: ['gone. DNAME', 'www.gone. CNAME'], authority: [], additional: [] },
    ],
    ['www.example.com', T.TXT, 0, true, { answer: ['www. TXT'], authority: [], additional: [] }],
    ['www.example.com', T.MX, 0, true, { answer: [], authority: soa, additional: [] }],
    ['named.example.com', T.TXT, 0, true, { answer: ['named. CNAME'], authority: soa, additional: [] }],
    [
      'named.example.com',
      T.A,
      0,
      true,
      { answer: ['named. CNAME', 'mail. A', 'mail. A'], authority: [], additional: [] },
    ],
    ['named.example.com', T.ANY, 0, true, { answer: ['named. CNAME'], authority: [], additional: [] }],
    ['www.example.org', T.A, 5, false, { answer: [], authority: [], additional: [] }],
  ])('%s %i', (name, type, rcode, aa, sections) => {
    const response = ask(name, type);
    expect({ rcode: response.rcode, aa: response.aa, ...shape(response) }).toEqual({ rcode, aa, ...sections });
  });

  test('the SOA of a negative answer has the lesser of its TTL and MINIMUM, and the zone as owner', () => {
    for (const name of ['nothere', 'broken', 'b.old', 'chain']) {
      const [record] = ask(`${name}.example.com`, T.AAAA).authority;
      expect([record?.name, record?.ttl], name).toEqual(['example.com.', 60]);
      expect(record?.data.startsWith(wireName('ns1.example.com').toString('hex')), name).toBe(true);
    }
  });

  test('the question is returned byte for byte, and owners point to it', () => {
    const query = encodeQuery('MaIl.ExAmPlE.cOm', T.A, { flags: 0x0110 });
    const response = server.exchange(query);
    expect(response?.subarray(12, query.length)).toEqual(query.subarray(12));
    expect(response?.readUInt16BE(query.length)).toBe(0xc00c);
  });

  test('QR and AA are set, RD is copied; RA, Z, AD and CD are clear', () => {
    expect(ask('mail.example.com', T.A, { flags: 0x01_f0 & 0x01ff }).flags).toBe(0x8500);
    expect(ask('mail.example.com', T.A, { flags: 0 }).flags).toBe(0x8400);
  });

  test('a DNAME whose result is too long is YXDOMAIN, with the DNAME', () => {
    const long = `${'x'.repeat(63)}.${'x'.repeat(63)}.${'x'.repeat(63)}.${'x'.repeat(40)}`;
    const files = {
      ...FILES,
      'zones/example.com.yaml': ZONE.replace('DNAME: new.example.com.', 'DNAME: ffffffffffffffff.example.com.'),
    };
    const response = answering(files).ask(`${long}.old.example.com`, T.A);
    expect([response.rcode, shape(response).answer]).toEqual([NAME.YXDOMAIN, ['old. DNAME']]);
  });

  test('DS of an apex comes from the parent zone if both are served, also at the end of a chain', () => {
    const child =
      'zone: sub.example.com\nnameservers: [ns]\nsoa: { negative_ttl: 30 }\nrecords: { ns: { A: 192.0.2.60 }, up: { CNAME: "@" } }';
    const both = answering({ ...FILES, 'zones/sub.example.com.yaml': child });
    expect(shape(both.ask('sub.example.com', T.DS)).answer).toEqual(['sub. DS']);
    expect(shape(both.ask('up.sub.example.com', T.DS)).answer).toEqual(['up.sub. CNAME', 'sub. DS']);
    expect(shape(both.ask('x.sub.example.com', T.DS))).toEqual({ answer: [], authority: ['sub. SOA'], additional: [] });
    expect(both.ask('sub.example.com', T.NS).aa).toBe(true);
    const withoutDs = { ...FILES, 'zones/example.com.yaml': ZONE.replace(/, DS: "[^"]+"/, '') };
    const insecure = answering({ ...withoutDs, 'zones/sub.example.com.yaml': child });
    expect(shape(insecure.ask('up.sub.example.com', T.DS))).toEqual({
      answer: ['up.sub. CNAME'],
      authority: ['@ SOA'],
      additional: [],
    });
  });
});

describe('steered answers', () => {
  const KR = subnetOption(parseAddress('1.208.0.0') ?? new Uint8Array(4), 24);
  const private10 = subnetOption(parseAddress('10.1.2.0') ?? new Uint8Array(4), 24);
  const subnet = (option: typeof KR) => ({ edns: { options: [option] } });

  test('the subnet decides before the resolver; a private one does not', () => {
    const fromUs = { from: '8.8.8.8' };
    expect(ask('www.example.com', T.A, { ...fromUs, ...subnet(KR) }).answer[0]?.data).toBe('cb00710a');
    expect(ask('www.example.com', T.A, { from: '1.208.0.1' }).answer[0]?.data).toBe('cb00710a');
    expect(ask('www.example.com', T.A, { ...fromUs, ...subnet(private10) }).answer[0]?.data).toBe('c633640a');
    expect(ask('www.example.com', T.A, fromUs).answer[0]?.data).toBe('c633640a');
  });

  test('the scope is 0 if the answer does not depend on the client', () => {
    expect(ask('mail.example.com', T.A, subnet(KR)).edns?.scope).toBe(0);
    expect(ask('many.example.com', T.A, subnet(KR)).edns?.scope).toBe(0);
    expect(ask('www.example.com', T.A, subnet(KR)).edns?.scope).toBeGreaterThan(0);
    expect(ask('nothere.example.com', T.A, subnet(KR)).edns?.scope).toBe(0);
    expect(ask('www.example.com', T.TXT, subnet(KR)).edns?.scope).toBe(0);
  });

  test('a subnet of family 0 asks that none be used (dig +subnet=0)', () => {
    const response = ask('www.example.com', T.A, {
      from: '8.8.8.8',
      edns: { options: [{ code: 8, data: Buffer.alloc(4) }] },
    });
    expect([response.rcode, Buffer.from(response.edns?.options[0]?.data ?? []).toString('hex')]).toEqual([
      0,
      '00000000',
    ]);
  });

  test('a TTL is that of the service, AAAA only if a VIP has one, ANY is one RRset', () => {
    expect(ask('www.example.com', T.A).answer.map(({ ttl }) => ttl)).toEqual([20]);
    expect(shape(ask('www.example.com', T.AAAA, subnet(KR))).answer).toEqual(['www. AAAA']);
    expect(shape(ask('www.example.com', T.ANY, subnet(KR))).answer).toEqual(['www. A']);
    expect(shape(ask('many.example.com', T.AAAA))).toEqual({ answer: [], authority: soa, additional: [] });
  });

  test('when_all_down: serve_all, none, and a static CNAME that is followed, but not for ANY', () => {
    const down = answering(FILES);
    for (const target of [
      'www.example.com/seoul-a',
      'www.example.com/virginia-a',
      'sorry.example.com/only',
      'none.example.com/only',
    ]) {
      down.set(target, { probed: PROBED.DOWN });
    }
    expect(down.ask('www.example.com', T.A, subnet(KR)).answer[0]?.data).toBe('cb00710a');
    expect(shape(down.ask('none.example.com', T.A))).toEqual({ answer: [], authority: soa, additional: [] });
    expect(shape(down.ask('sorry.example.com', T.A)).answer).toEqual(['sorry. CNAME', 'mail. A', 'mail. A']);
    expect(shape(down.ask('sorry.example.com', T.ANY)).answer).toEqual(['sorry. CNAME']);
  });

  test('serve_all ignores probes before it ignores an operator', () => {
    const down = answering(FILES);
    down.set('www.example.com/seoul-a', { forced: FORCED.DRAIN });
    down.set('www.example.com/virginia-a', { probed: PROBED.DOWN });
    expect(down.ask('www.example.com', T.A, subnet(KR)).answer[0]?.data).toBe('c633640a');
    down.set('www.example.com/virginia-a', { forced: FORCED.DOWN });
    expect(down.ask('www.example.com', T.A, subnet(KR)).answer[0]?.data).toBe('cb00710a');
  });
});

describe('EDNS', () => {
  test.each([
    ['no EDNS', undefined, 512],
    ['a size below 512 counts as 512', 100, 512],
    ['the size offered', 800, 800],
    ['no more than 1232', 4096, 1232],
  ])('%s: no response is longer', (_, size, limit) => {
    const edns = size === undefined ? {} : { edns: { size } };
    const query = encodeQuery('many.example.com', T.A, edns);
    const response = server.exchange(query) ?? Buffer.alloc(0);
    const room = Math.min(limit, 12 + query.length + 60 * 16);
    expect(response.length).toBeLessThanOrEqual(limit);
    const decoded = ask('many.example.com', T.A, edns);
    expect(decoded.tc).toBe(room === limit && limit < 1000);
    expect(ask('many.example.com', T.A, { ...edns, overTcp: true }).answer).toHaveLength(60);
  });

  test('OPT only for clients that sent one; its own version and size', () => {
    expect(ask('mail.example.com', T.A).edns).toBeUndefined();
    expect(ask('mail.example.com', T.A, { edns: { dnssecOk: true } }).edns).toMatchObject({
      version: 0,
      size: 1232,
      dnssecOk: true,
      options: [],
    });
  });

  test('another version is BADVERS, with nothing else', () => {
    const response = ask('mail.example.com', T.A, { edns: { version: 1, options: [{ code: 8, data: Buffer.of(9) }] } });
    expect([response.rcode, response.answer.length, response.edns?.version, response.edns?.options]).toEqual([
      NAME.BADVERS,
      0,
      0,
      [],
    ]);
  });

  test('unknown options are ignored; NSID and subnet are returned if requested', () => {
    const named = answering(FILES, { nsid: Buffer.from('ams1') });
    const options = [
      { code: 65_001, data: Buffer.of(1, 2) },
      { code: 3, data: Buffer.alloc(0) },
    ];
    expect(named.ask('mail.example.com', T.A, { edns: { options } }).edns?.options).toEqual([
      { code: 3, data: Buffer.from('ams1') },
    ]);
    expect(ask('mail.example.com', T.A, { edns: { options } }).edns?.options).toEqual([]);
  });

  test.each([
    ['too short', '000100'],
    ['family 3', '00030000'],
    ['more bits than the family has', '00012100c000020100'],
    ['a scope in a query', '00011808c00002'],
    ['too few octets', '00011800c000'],
    ['too many octets', '00011800c0000201'],
    ['bits behind the prefix', '00011700c00003'],
    ['family 0 with a prefix', '00000800c0'],
  ])('a malformed subnet is FORMERR: %s', (_, data) => {
    const response = ask('mail.example.com', T.A, { edns: { options: [{ code: 8, data: Buffer.from(data, 'hex') }] } });
    expect([response.rcode, response.edns?.options]).toEqual([NAME.FORMERR, []]);
  });

  test('an extended error says why a query is refused', () => {
    expect(ask('www.example.org', T.A, { edns: {} }).edns?.error).toBe(20);
    expect(ask('example.com', T.AXFR, { edns: {} })).toMatchObject({ rcode: NAME.REFUSED, edns: { error: 21 } });
  });
});

describe('messages that are not simple queries', () => {
  const plain = encodeQuery('mail.example.com', T.A);
  const changed = (change: (message: Buffer) => unknown): Buffer => {
    const message = Buffer.from(plain);
    change(message);
    return message;
  };
  test.each([
    ['a response is never answered', changed((m) => m.writeUInt8(0x80, 2)), undefined],
    ['a header alone', changed((m) => m.writeUInt16BE(0, 4)).subarray(0, 12), { rcode: 1, question: false }],
    ['less than a header', plain.subarray(0, 11), undefined],
    ['two questions', changed((m) => m.writeUInt16BE(2, 4)), { rcode: 1, question: false }],
    ['a question that ends early', plain.subarray(0, -1), { rcode: 1, question: false }],
    ['a pointer in the question', changed((m) => m.writeUInt16BE(0xc00c, 12)), { rcode: 1, question: false }],
    ['a label type that is not one', changed((m) => m.writeUInt8(0x44, 12)), { rcode: 1, question: false }],
    ['NOTIFY', changed((m) => m.writeUInt8(0x20, 2)), { rcode: 4, question: true }],
    ['UPDATE', changed((m) => m.writeUInt8(0x28, 2)), { rcode: 4, question: true }],
    ['an unknown opcode', changed((m) => m.writeUInt8(0x78, 2)), { rcode: 4, question: true }],
    ['a missing record', changed((m) => m.writeUInt16BE(1, 10)), { rcode: 1, question: true }],
  ])('%s', (_, message, expected) => {
    const response = server.exchange(message);
    const got = response && { rcode: response.readUInt8(3) & 15, question: response.readUInt16BE(4) === 1 };
    expect(got).toEqual(expected);
    if (response)
      expect([response.readUInt16BE(0), response.readUInt8(2) & 0xf8]).toEqual([
        0x1234,
        0x80 | (message.readUInt8(2) & 0x78),
      ]);
  });

  test.each([
    ['NOTIFY', 0x2000, 1, NAME.NOTIMP],
    ['no question', 0, 0, NAME.FORMERR],
  ])('OPT comes back also with %s (RFC 6891 6.1.1)', (_, flags, questions, rcode) => {
    const asked = encodeQuery('mail.example.com', T.A, { flags, edns: {} });
    const message = questions === 1 ? asked : Buffer.concat([asked.subarray(0, 12), asked.subarray(-11)]);
    message.writeUInt16BE(questions, 4);
    expect(decodeMessage(server.exchange(message) ?? Buffer.alloc(0))).toMatchObject({ rcode, edns: { version: 0 } });
  });

  test("two OPT records, or one that is not the root's, are FORMERR", () => {
    const twice = encodeQuery('mail.example.com', T.A, { edns: {} });
    const opt = twice.subarray(-11);
    const message = Buffer.concat([twice, opt]);
    message.writeUInt16BE(2, 10);
    expect((server.exchange(message)?.readUInt8(3) ?? 0) & 15).toBe(NAME.FORMERR);
    const owned = Buffer.concat([twice.subarray(0, -11), Buffer.of(1, 0x61), opt]);
    expect((server.exchange(owned)?.readUInt8(3) ?? 0) & 15).toBe(NAME.FORMERR);
  });

  test('the longest possible name is answered', () => {
    const name = `${'a.'.repeat(121)}example.com`;
    expect(wireName(name)).toHaveLength(255);
    expect(ask(name, T.A, { edns: {} }).rcode).toBe(NAME.NXDOMAIN);
    expect((server.exchange(encodeQuery(`a.${name}`, T.A))?.readUInt8(3) ?? 0) & 15).toBe(NAME.FORMERR);
  });

  test('version.bind and hostname.bind are refused unless configured, and never exceed the limit', () => {
    const ch = { class: 3 };
    expect(ask('version.bind', T.TXT, ch).rcode).toBe(NAME.REFUSED);
    const told = answering(FILES, { version: Buffer.from('v'.repeat(255)), nsid: Buffer.from('n'.repeat(128)) });
    expect(told.ask('VERSION.bind', T.TXT, ch).answer[0]?.data).toBe(
      `ff${Buffer.from('v'.repeat(255)).toString('hex')}`,
    );
    expect(told.ask('id.server', T.TXT, ch).answer[0]?.data).toBe(`80${Buffer.from('n'.repeat(128)).toString('hex')}`);
    expect(told.ask('other.bind', T.TXT, ch).rcode).toBe(NAME.REFUSED);
    const options = [
      { code: 3, data: Buffer.alloc(0) },
      subnetOption(parseAddress('2001:db8::') ?? new Uint8Array(16), 128),
    ];
    const query = encodeQuery('version.server', T.TXT, { ...ch, edns: { size: 512, options } });
    expect(told.exchange(query)?.length).toBeLessThanOrEqual(512);
  });

  test('other classes are refused', () => {
    expect(ask('mail.example.com', T.A, { class: 4 }).rcode).toBe(NAME.REFUSED);
    expect(ask('mail.example.com', T.A, { class: 255 }).rcode).toBe(NAME.REFUSED);
  });
});
