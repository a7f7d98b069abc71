/**
 * The queries of ISC's genreport and the DNS Flag Day checks (RFC 6891, RFC 7873, RFC 8906): every result must be ok.
 */
import { expect, test } from 'vitest';
import { decodeMessage, encodeQuery, subnetOption, T, type QueryOptions } from '../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../support/pharos.ts';

const big = Array.from({ length: 8 }, (_, i) => `"${String(i).repeat(200)}"`).join(' ');
// As by default: without configured secrets the server makes one.
const cookieSecrets = [Buffer.alloc(16, 7)];
const { exchange } = answering(
  {
    ...NO_GEOGRAPHY,
    'zones/example.com.yaml': `zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 }, big: { TXT: ['${big}'] } }\n`,
  },
  { cookieSecrets },
);
const [BADVERS, NOERROR, NOTIMP, FORMERR] = [16, 0, 4, 1];
const ZONE = 'example.com';
const UNKNOWN_OPTION = { code: 100, data: Buffer.of(1, 2, 3) };
const COOKIE = { code: 10, data: Buffer.from('0011223344556677', 'hex') };
const NSID = { code: 3, data: Buffer.alloc(0) };
const EXPIRE = { code: 9, data: Buffer.alloc(0) };
const SUBNET = subnetOption(Buffer.of(192, 0, 2, 1), 24);

type Check = {
  readonly name: string;
  readonly options?: QueryOptions;
  readonly type?: number;
  readonly owner?: string;
  readonly rcode?: number;
  /** No response is expected. */
  readonly empty?: boolean;
};

/** Names of the checks are genreport's. */
const CHECKS: readonly Check[] = [
  { name: 'dns' },
  { name: 'aa', options: { flags: 0x0400 } },
  { name: 'ad', options: { flags: 0x0020 } },
  { name: 'cd', options: { flags: 0x0010 } },
  { name: 'ra', options: { flags: 0x0080 } },
  { name: 'rd', options: { flags: 0x0100 } },
  { name: 'tc', options: { flags: 0x0200 } },
  { name: 'zflag', options: { flags: 0x0040 } },
  { name: 'opcode', options: { flags: 15 << 11 }, rcode: NOTIMP, empty: true },
  { name: 'opcodeflg', options: { flags: (15 << 11) | 0x07f0 }, rcode: NOTIMP, empty: true },
  { name: 'type666', type: 666, empty: true },
  { name: 'edns', options: { edns: {} } },
  { name: 'edns1', options: { edns: { version: 1 } }, rcode: BADVERS, empty: true },
  { name: 'edns100', options: { edns: { version: 100 } }, rcode: BADVERS, empty: true },
  { name: 'edns@512', options: { edns: { size: 512 } }, owner: 'big.example.com', type: T.TXT, empty: true },
  { name: 'ednsopt', options: { edns: { options: [UNKNOWN_OPTION] } } },
  { name: 'edns1opt', options: { edns: { version: 1, options: [UNKNOWN_OPTION] } }, rcode: BADVERS, empty: true },
  { name: 'do', options: { edns: { dnssecOk: true } } },
  { name: 'edns1do', options: { edns: { version: 1, dnssecOk: true } }, rcode: BADVERS, empty: true },
  { name: 'docd', options: { flags: 0x0010, edns: { dnssecOk: true } } },
  { name: 'ednsflags', options: { edns: {} } },
  { name: 'edns1flags', options: { edns: { version: 1 } }, rcode: BADVERS, empty: true },
  { name: 'optlist', options: { edns: { options: [NSID, SUBNET, EXPIRE, COOKIE] } } },
  { name: 'ednsnsid', options: { edns: { options: [NSID] } } },
  { name: 'ednscookie', options: { edns: { options: [COOKIE] } } },
  { name: 'ednsexpire', options: { edns: { options: [EXPIRE] } } },
  { name: 'ednssubnet', options: { edns: { options: [SUBNET] } } },
  { name: 'ednspadding', options: { edns: { options: [{ code: 12, data: Buffer.alloc(40) }] } } },
];

test.each(CHECKS)('$name: ok', ({ name, options = {}, type = T.SOA, owner = ZONE, rcode = NOERROR, empty = false }) => {
  const query = encodeQuery(owner, type, options);
  // The undefined flags beside DO (RFC 6891 6.1.4): the last 15 bits of OPT's TTL.
  if (name.endsWith('flags')) query.writeUInt16BE(0x0080, query.length - 4);
  const octets = exchange(query);
  if (!octets) throw new Error('timeout');
  const response = decodeMessage(octets);
  expect(response.rcode, 'rcode').toBe(rcode);
  expect(response.answer.length === 0, 'no answer').toBe(empty);
  expect(response.flags & 0x00f0, 'RA, Z, AD and CD are clear').toBe(0);
  expect(response.rd, 'RD as asked').toBe(((options.flags ?? 0) & 0x0100) !== 0);
  expect(octets.length).toBeLessThanOrEqual(options.edns?.size ?? (options.edns ? 1232 : 512));
  if (rcode === NOERROR) expect(response.aa, 'AA').toBe(true);
  // OPT only to clients that sent one; version 0; no unknown option echoed.
  expect(response.edns !== undefined, 'OPT').toBe(options.edns !== undefined);
  if (!response.edns) return;
  expect(response.edns.version).toBe(0);
  expect(response.edns.dnssecOk).toBe(options.edns?.dnssecOk ?? false);
  expect(query.readUInt16BE(query.length - 4) === 0 || octets.readUInt16BE(octets.length - 4) !== 0x0080).toBe(true);
  const given = response.edns.options.map(({ code }) => code);
  expect(given).not.toContain(UNKNOWN_OPTION.code);
  // The options that the server returns: a cookie and the subnet's scope. NSID is not configured, EXPIRE is for the SOA
  // of secondaries.
  const wanted = (options.edns?.version ?? 0) === 0 ? (options.edns?.options ?? []) : [];
  expect(given).toEqual([8, 10].filter((code) => wanted.some((option) => option.code === code)));
});

test('edns@512: what does not fit is truncated with TC, and complete over TCP', () => {
  const query = encodeQuery('big.example.com', T.TXT, { edns: { size: 512 } });
  const [udp, tcp] = [exchange(query), exchange(query, { overTcp: true })].map(
    (octets) => octets && decodeMessage(octets),
  );
  expect([udp?.tc, udp?.answer.length, tcp?.tc, tcp?.answer.length]).toEqual([true, 0, false, 1]);
});

test.each([0, 1, 100, 511])('a size of %i counts as 512 (RFC 6891 6.2.3)', (size) => {
  const octets = exchange(encodeQuery(ZONE, T.SOA, { edns: { size } }));
  expect(octets && decodeMessage(octets)).toMatchObject({ rcode: NOERROR, tc: false });
});

/** RFC 7871 6, 7.1.2, 7.2.1. */
test.each<[string, number[], number]>([
  ['family 1, 24 bits', [0, 1, 24, 0, 192, 0, 2], NOERROR],
  ['no bits', [0, 1, 0, 0], NOERROR],
  ['family 0 without an address', [0, 0, 0, 0], NOERROR],
  ['family 2, 56 bits', [0, 2, 56, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0], NOERROR],
  ['a scope in a query', [0, 1, 24, 24, 192, 0, 2], FORMERR],
  ['a bit beyond the prefix', [0, 1, 23, 0, 192, 0, 3], FORMERR],
  ['more bits than the family has', [0, 1, 33, 0, 192, 0, 2, 1, 0], FORMERR],
  ['an unknown family', [0, 3, 8, 0, 1], FORMERR],
  ['an address that is too short', [0, 1, 24, 0, 192, 0], FORMERR],
  ['an address that is too long', [0, 1, 24, 0, 192, 0, 2, 0], FORMERR],
  ['no room for its fixed part', [0, 1, 24], FORMERR],
])('client subnet with %s', (_, octets, rcode) => {
  const response = exchange(encodeQuery(ZONE, T.SOA, { edns: { options: [{ code: 8, data: Buffer.from(octets) }] } }));
  expect(response && decodeMessage(response).rcode).toBe(rcode);
});

/** The content of the option, and the RCODE over UDP and over TCP. */
test.each<[string, number, number[], number, number]>([
  ['7873 5.2.2: no client cookie', 10, [], FORMERR, FORMERR],
  ['7873 5.2.2: half a client cookie', 10, [1, 2, 3, 4], FORMERR, FORMERR],
  ['7873 5.2.2: a server cookie that is too short', 10, Array<number>(12).fill(1), FORMERR, FORMERR],
  ['7873 5.2.2: a server cookie that is too long', 10, Array<number>(41).fill(1), FORMERR, FORMERR],
  ['7873 5.2.4: a server cookie of another client', 10, Array<number>(24).fill(1), NOERROR, NOERROR],
  ['7828 3.2.1: keepalive', 11, [], NOERROR, NOERROR],
  ['7828 3.2.1: a timeout from the client', 11, [0, 100], NOERROR, FORMERR],
  ['7830 3: padding of any content', 12, [1, 2, 3], NOERROR, NOERROR],
])('RFC %s', (_, code, octets, udp, tcp) => {
  const query = encodeQuery(ZONE, T.SOA, { edns: { options: [{ code, data: Buffer.from(octets) }] } });
  for (const [overTcp, rcode] of [
    [false, udp],
    [true, tcp],
  ] as const) {
    const response = exchange(query, { overTcp });
    expect(response && decodeMessage(response).rcode, overTcp ? 'TCP' : 'UDP').toBe(rcode);
  }
});
