/**
 * Cookies, keepalive and padding in answers: which clients get them, over which transport, and how much room they take.
 */
import { describe, expect, test } from 'vitest';
import { answer } from '../../../../server/answer/answer.ts';
import { packetOf, TRANSPORT } from '../../../../server/contract.ts';
import { COUNTER } from '../../../../server/counters.ts';
import { ASKS, createQuery } from '../../../../wire/query.ts';
import { createResponse, finishResponse, startResponse } from '../../../../wire/response.ts';
import { decodeMessage, encodeQuery, subnetOption, T, type Option } from '../../../support/message.ts';
import { answering, NO_GEOGRAPHY, type AskOptions } from '../../../support/pharos.ts';

const [NOERROR, FORMERR, NOTIMP, BADVERS, BADCOOKIE] = [0, 1, 4, 16, 23];
const [COOKIE, KEEPALIVE, PADDING] = [10, 11, 12];
const SECRET = Buffer.alloc(16, 7);
const addresses = (count: number): string =>
  Array.from({ length: count }, (_, i) => `10.0.${i >> 8}.${i & 255}`).join();
const strings = (octets: number): string =>
  Array.from(
    { length: Math.ceil(octets / 201) },
    (_, i) => `"${'x'.repeat(Math.min(200, octets - i * 201 - 1))}"`,
  ).join(' ');
const FILES = {
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1]
records:
  ns1: { A: 192.0.2.53 }
  ${Array.from({ length: 80 }, (_, i) => `a${i + 1}: { A: [${addresses(i + 1)}] }`).join('\n  ')}
  huge: { TXT: ['${strings(60_000)}'] }
`,
};
const server = answering(FILES, { cookieSecrets: [SECRET], nsid: Buffer.from('n'.repeat(20)) });
const plain = answering(FILES);

const clientCookie = Buffer.from('0011223344556677', 'hex');
const cookie = (data: Uint8Array): Option => ({ code: COOKIE, data });
const CLIENT = cookie(clientCookie);

function ask(options: readonly Option[], more: AskOptions = {}, name = 'ns1.example.com', type: number = T.A) {
  const octets = server.exchange(encodeQuery(name, type, { ...more, edns: { ...more.edns, options } }), more);
  if (!octets) throw new Error('no response');
  return { octets, ...decodeMessage(octets) };
}

function given(response: ReturnType<typeof decodeMessage>, code: number): Buffer | undefined {
  const found = response.edns?.options.filter((option) => option.code === code) ?? [];
  expect(found.length).toBeLessThan(2);
  return found[0] && Buffer.from(found[0].data);
}

const cookieFor = (more: AskOptions = {}): Buffer => given(ask([CLIENT], more), COOKIE) ?? Buffer.alloc(0);
/** Only header and OPT. */
function bare(options: readonly Option[], flags = 0): Buffer {
  const query = encodeQuery('.', T.A, { flags, edns: { options } });
  const message = Buffer.concat([query.subarray(0, 12), query.subarray(17)]);
  message.writeUInt16BE(0, 4);
  return message;
}

describe('cookies (RFC 7873)', () => {
  test.each<[string, AskOptions]>([
    ['UDP', {}],
    ['TCP', { overTcp: true }],
    ['TLS', { overTls: true }],
    ['UDP over IPv6', { from: '2001:db8::1' }],
  ])('over %s, a client cookie is returned with a server cookie, which is accepted', (_, more) => {
    const full = cookieFor(more);
    expect(full.subarray(0, 8)).toEqual(clientCookie);
    expect([full.length, ...full.subarray(8, 12)]).toEqual([24, 1, 0, 0, 0]);
    expect(Math.abs(full.readUInt32BE(12) - Date.now() / 1000)).toBeLessThan(5);
    const again = ask([cookie(full)], more);
    expect([again.rcode, given(again, COOKIE)]).toEqual([NOERROR, full]);
  });

  test.each<[string, number, number]>([
    ['nothing', 0, FORMERR],
    ['7 octets', 7, FORMERR],
    ['a client cookie', 8, NOERROR],
    ['9 octets', 9, FORMERR],
    ['15 octets', 15, FORMERR],
    ['a server cookie of 8', 16, NOERROR],
    ['a server cookie of 32', 40, NOERROR],
    ['41 octets', 41, FORMERR],
  ])('%s: RFC 7873 5.2.2', (_, length, rcode) => {
    const response = ask([cookie(Buffer.alloc(length, 1))]);
    expect([response.rcode, given(response, COOKIE)?.length]).toEqual([rcode, rcode === NOERROR ? 24 : undefined]);
  });

  test('of two the first counts, even if the second is malformed', () => {
    const response = ask([CLIENT, cookie(Buffer.alloc(3)), cookie(Buffer.alloc(8, 1))]);
    expect(response.rcode).toBe(NOERROR);
    expect(given(response, COOKIE)?.subarray(0, 8)).toEqual(clientCookie);
  });

  test('a query with an invalid cookie is answered too, with a valid cookie', () => {
    const response = ask([cookie(Buffer.concat([clientCookie, Buffer.alloc(16, 1)]))]);
    expect([response.rcode, response.answer.length]).toEqual([NOERROR, 1]);
    expect(given(response, COOKIE)).toEqual(cookieFor());
  });

  test.each([
    ['another opcode', { flags: 4 << 11 }, NOTIMP, true],
    ['another EDNS version, whose options may be others', { edns: { version: 1 } }, BADVERS, false],
  ])('with %s', (_, more, rcode, has) => {
    const response = ask([CLIENT], more);
    expect([response.rcode, given(response, COOKIE) !== undefined]).toEqual([rcode, has]);
  });

  test('the response may be written over the query, as UDP does it', () => {
    const query = encodeQuery('a60.example.com', T.A, { edns: { options: [cookie(cookieFor())] } });
    const buffer = Buffer.alloc(1232);
    query.copy(buffer);
    const peer = Uint8Array.of(192, 0, 2, 1);
    const length = answer(server.state, { ...packetOf(buffer, peer, TRANSPORT.UDP, buffer), length: query.length });
    expect(given(decodeMessage(buffer.subarray(0, length)), COOKIE)).toEqual(cookieFor());
  });

  test('without secrets there are none', () => {
    const response = plain.exchange(encodeQuery('ns1.example.com', T.A, { edns: { options: [CLIENT] } }));
    expect(response && given(decodeMessage(response), COOKIE)).toBeUndefined();
    expect(decodeMessage(plain.exchange(bare([CLIENT])) ?? Buffer.alloc(0)).rcode).toBe(FORMERR);
  });
});

describe('a query for a cookie alone (RFC 7873 5.4)', () => {
  test.each<[string, () => readonly Option[], number]>([
    ['a client cookie', () => [CLIENT], NOERROR],
    ['a valid server cookie', () => [cookie(cookieFor())], NOERROR],
    ['one that is not', () => [cookie(Buffer.concat([clientCookie, Buffer.alloc(16)]))], BADCOOKIE],
    ['a malformed one', () => [cookie(Buffer.alloc(5))], FORMERR],
    ['none', () => [], FORMERR],
  ])('with %s', (_, options, rcode) => {
    const response = decodeMessage(server.exchange(bare(options())) ?? Buffer.alloc(0));
    expect([response.rcode, response.question, response.answer, response.authority]).toEqual([
      rcode,
      undefined,
      [],
      [],
    ]);
    expect(given(response, COOKIE)).toEqual(rcode === FORMERR ? undefined : cookieFor());
  });

  test('with another opcode it is NOTIMP', () => {
    expect(decodeMessage(server.exchange(bare([CLIENT], 2 << 11)) ?? Buffer.alloc(0)).rcode).toBe(NOTIMP);
  });
});

test.each([
  ['a cookie', ASKS.COOKIE, 28],
  ['keepalive', ASKS.KEEPALIVE, 6],
  ['both', ASKS.COOKIE | ASKS.KEEPALIVE, 34],
  ['padding, which takes the rest', ASKS.PADDING, 0],
])('room for %s', (_, gives, octets) => {
  const query = createQuery();
  const response = createResponse();
  query.hasEdns = true;
  response.gives = gives;
  startResponse(response, query, new Uint8Array(12), 0, new Uint8Array(12), 0, true, new Uint8Array(0));
  expect(response.limit).toBe(65_535 - 11 - octets);
});

test('cookie, NSID and subnet have their room: an RRset is complete or TC is set, at every length', () => {
  const options = [CLIENT, { code: 3, data: Buffer.alloc(0) }, subnetOption(Uint8Array.of(192, 0, 2, 0), 24)];
  const taken = 28 + 24 + 11;
  for (const size of [512, 700, 1232]) {
    for (let count = 1; count <= 80; count++) {
      const more = { edns: { size } };
      const { octets, tc, answer, edns } = ask(options, more, `a${count}.example.com`);
      const fits = 12 + 16 + `a${count}`.length - 1 + 5 + 16 * count + 11 + taken - 1 <= size;
      expect([tc, answer.length, edns?.options.length], `${size} ${count}`).toEqual([!fits, fits ? count : 0, 3]);
      expect(octets.length, `${size} ${count}`).toBeLessThanOrEqual(size);
    }
  }
});

describe('keepalive (RFC 7828)', () => {
  server.state.counters[COUNTER.STREAM_IDLE] = 100;
  const empty: Option = { code: KEEPALIVE, data: Buffer.alloc(0) };
  const filled: Option = { code: KEEPALIVE, data: Buffer.of(0, 9) };

  test.each<[string, readonly Option[], AskOptions, number, number | undefined]>([
    ['TCP: the idle timeout', [empty], { overTcp: true }, NOERROR, 100],
    ['TLS: the idle timeout', [empty], { overTls: true }, NOERROR, 100],
    ['TCP without the option: nothing', [], { overTcp: true }, NOERROR, undefined],
    ['UDP: nothing', [empty], {}, NOERROR, undefined],
    ['TCP, and a timeout in the query: FORMERR', [filled], { overTcp: true }, FORMERR, undefined],
    ['TLS, and a timeout in the query: FORMERR', [filled], { overTls: true }, FORMERR, undefined],
    ['UDP, and a timeout in the query: ignored', [filled], {}, NOERROR, undefined],
  ])('over %s', (_, options, more, rcode, value) => {
    const response = ask(options, more);
    expect([response.rcode, given(response, KEEPALIVE)?.readUInt16BE(0)]).toEqual([rcode, value]);
  });
});

describe('padding (RFC 7830, RFC 8467)', () => {
  const wanted: Option = { code: PADDING, data: Buffer.alloc(30) };

  test('over TLS every response is a multiple of 468 octets, and the padding is zeros', () => {
    const lengths = new Set<number>();
    for (let count = 1; count <= 80; count++) {
      // Earlier content of the buffer must not show.
      ask([], { overTcp: true }, 'huge.example.com', T.TXT);
      const response = ask([wanted, CLIENT], { overTls: true }, `a${count}.example.com`);
      expect(response.octets.length % 468, `${count}`).toBe(0);
      expect(
        given(response, PADDING)?.every((octet) => octet === 0),
        `${count}`,
      ).toBe(true);
      expect(response.edns?.options.at(-1)?.code, 'it stands last').toBe(PADDING);
      lengths.add(response.octets.length);
    }
    expect([...lengths]).toEqual([468, 936, 1404]);
  });

  test.each<[string, readonly Option[], AskOptions]>([
    ['TLS without the option', [], { overTls: true }],
    ['TCP', [wanted], { overTcp: true }],
    ['UDP', [wanted], {}],
  ])('none over %s', (_, options, more) => {
    const response = ask(options, more);
    expect([response.rcode, given(response, PADDING)]).toEqual([NOERROR, undefined]);
  });

  // Without OPT: 65,535 less its 11 octets. The padding's own head has 4.
  test.each([
    [65_505, 65_520],
    [65_506, 65_535],
    [65_519, 65_535],
    [65_520, 65_535],
    [65_521, 65_532],
    [65_524, 65_535],
  ])('%i octets before OPT: %i in all', (before, all) => {
    const query = createQuery();
    const response = createResponse();
    const tx = new Uint8Array(65_536).fill(0xaa);
    response.gives = ASKS.PADDING;
    query.hasEdns = true;
    startResponse(response, query, tx, 0, tx, 0, true, new Uint8Array(0));
    response.length = before;
    expect(finishResponse(response, query, new Uint8Array(0))).toBe(all);
    expect(tx[65_535], 'the octet behind the longest message').toBe(0xaa);
  });
});
