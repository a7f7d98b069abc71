/**
 * Server cookies against the examples of RFC 9018, appendix A, and at the limits of validity.
 */
import { expect, test } from 'vitest';
import { createCookies, settleCookie } from '../../../../server/answer/cookies.ts';
import { parseAddress } from '../../../../wire/address.ts';
import { createQuery } from '../../../../wire/query.ts';
import { createResponse } from '../../../../wire/response.ts';

const OLD = 'e5e973e5a6b2a43f48e7dc849e37bfcf';
const OTHER = 'dd3bdf9344b678b185a6f5cb60fca715';
const NEW = '445536bcd2513298075a5d379663c962';
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

/** The cookie that a client with `cookie` gets at `now`, and whether its own was valid. */
function settle(secrets: readonly string[], from: string, now: number, cookie: string): [string, boolean] {
  const query = createQuery();
  query.cookie.set(hex(cookie));
  query.cookieOctets = cookie.length / 2;
  const response = createResponse();
  // Not at the start of its buffer, as in the packet loops.
  const address = parseAddress(from) ?? new Uint8Array(0);
  const peer = Uint8Array.of(9, 9, ...address);
  const octets = address.length === 4 ? 4 : 16;
  const valid = settleCookie(createCookies(secrets.map(hex)), query, response, peer, 2, octets, now | 0);
  return [Buffer.from(response.cookie).toString('hex'), valid];
}

test.each([
  [
    'A.1: a new client',
    [OLD],
    '198.51.100.100',
    1559731985,
    '2464c4abcf10c957',
    '',
    false,
    '010000005cf79f111f8130c3eee29480',
  ],
  [
    'A.2: its cookie is 40 minutes old',
    [OLD],
    '198.51.100.100',
    1559734385,
    '2464c4abcf10c957',
    '010000005cf79f111f8130c3eee29480',
    true,
    '010000005cf7a871d4a564a1442aca77',
  ],
  [
    'A.3: reserved octets are not zero',
    [OLD],
    '203.0.113.203',
    1559734700,
    'fc93fc62807ddb86',
    '01abcdef5cf78f71a314227b6679ebf5',
    false,
    '010000005cf7a9acf73a7810aca2381e',
  ],
  [
    'A.3: the cookie that it had, while that was valid',
    [OLD],
    '203.0.113.203',
    1559728000,
    'fc93fc62807ddb86',
    '01abcdef5cf78f71a314227b6679ebf5',
    true,
    '01abcdef5cf78f71a314227b6679ebf5',
  ],
  [
    'A.4: IPv6, and a replaced secret',
    [NEW, OTHER],
    '2001:db8:220:1:59de:d0f4:8769:82b8',
    1559741961,
    '22681ab97d52c298',
    '010000005cf7c57926556bd0934c72f8',
    true,
    '010000005cf7c609a6bb79d16625507a',
  ],
] as const)('%s', (_, secrets, from, now, client, server, valid, wanted) => {
  expect(settle(secrets, from, now, client + server)).toEqual([client + wanted, valid]);
});

const CLIENT = '0011223344556677';
const FROM = '192.0.2.1';
const NOW = 1_800_000_000;
const made = (at = NOW, secrets: readonly string[] = [OLD], from = FROM): string =>
  settle(secrets, from, at, CLIENT)[0];

test.each<[string, number, boolean, 'echoed' | 'new']>([
  ['now', 0, true, 'echoed'],
  ['29:59 old', 1799, true, 'echoed'],
  ['30:00 old', 1800, true, 'new'],
  ['an hour old', 3600, true, 'new'],
  ['an hour and a second old', 3601, false, 'new'],
  ['five minutes ahead', -300, true, 'echoed'],
  ['five minutes and a second ahead', -301, false, 'new'],
])('a cookie from %s (RFC 9018 4.3)', (_, age, valid, kind) => {
  const sent = made(NOW - age);
  expect(settle([OLD], FROM, NOW, sent)).toEqual([kind === 'echoed' ? sent : made(), valid]);
});

test.each([
  ['over the end of 31 bits', 0x8000_0000],
  ['over the end of 32 bits, in 2106', 0x1_0000_0000],
])('time continues %s (RFC 1982)', (_, border) => {
  const sent = made(border - 10);
  expect(settle([OLD], FROM, border + 10, sent)).toEqual([sent, true]);
  expect(settle([OLD], FROM, border + 3600, sent)[1]).toBe(false);
});

test('a cookie of a secret that is not the first is valid, and is replaced by one of the first', () => {
  expect(settle([OLD, NEW], FROM, NOW, made(NOW, [NEW]))).toEqual([made(NOW, [OLD]), true]);
  expect(settle([NEW], FROM, NOW, made(NOW, [OLD]))[1]).toBe(false);
});

const altered = (cookie: string, at: number): string => {
  const octets = hex(cookie);
  octets[at] = (octets[at] ?? 0) ^ 1;
  return octets.toString('hex');
};

test('a cookie with a changed bit is not valid', () => {
  for (let at = 0; at < 24; at++) expect(settle([OLD], FROM, NOW, altered(made(), at))[1], `octet ${at}`).toBe(false);
});

test.each([
  ['another address', made(), '192.0.2.2'],
  ['the same octets as IPv6', made(), 'c000:201::'],
  ['version 2', `${CLIENT}02${made().slice(18)}`, FROM],
  ['a server cookie of 8 octets', made().slice(0, 32), FROM],
  ['a server cookie of 32 octets', `${made()}${'00'.repeat(16)}`, FROM],
  ['a server cookie of zeros', `${CLIENT}${'00'.repeat(16)}`, FROM],
])('%s is not valid, and the client gets a new one', (_, sent, from) => {
  expect(settle([OLD], from, NOW, sent)).toEqual([made(NOW, [OLD], from), false]);
});
