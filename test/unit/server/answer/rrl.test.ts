/**
 * Token buckets: a limit of answers per second, for each network and kind.
 */
import { describe, expect, test } from 'vitest';
import { createLimiter, KIND, takeAnswerToken, VERDICT, type Limiter } from '../../../../server/answer/rrl.ts';
import { parseAddress } from '../../../../wire/address.ts';

const { SEND, DROP, SLIP } = VERDICT;
const limiter = (perSecond: number, slip = 2): Limiter => createLimiter({ perSecond, slip }, Int32Array.of(1, 2));

function take(table: Limiter, from: string | Uint8Array, nowMs: number, kind: number = KIND.DATA): number {
  const peer = typeof from === 'string' ? (parseAddress(from) ?? new Uint8Array(0)) : from;
  return takeAnswerToken(table, kind, peer, 0, peer.length === 4 ? 4 : 16, nowMs | 0);
}

/** How many of `asked` answers at this time are sent complete. */
function sent(table: Limiter, from: string, nowMs: number, asked: number, kind?: number): number {
  const peer = parseAddress(from) ?? new Uint8Array(0);
  let count = 0;
  for (let n = 0; n < asked; n++) if (take(table, peer, nowMs, kind) === SEND) count++;
  return count;
}

test.each([1, 5, 1000, 1_000_000])('%i per second: as many at once, and as many every second', (perSecond) => {
  const table = limiter(perSecond);
  const start = 12_345;
  expect(sent(table, '192.0.2.1', start, perSecond + 10)).toBe(perSecond);
  expect(sent(table, '192.0.2.1', start + 1000, perSecond + 10)).toBe(perSecond);
  expect(sent(table, '192.0.2.1', start + 60_000, perSecond + 10), 'a bucket holds one second').toBe(perSecond);
});

test('the rest of a second is not saved', () => {
  const table = limiter(10);
  expect(sent(table, '192.0.2.1', 0, 3)).toBe(3);
  expect(sent(table, '192.0.2.1', 500, 50)).toBe(10);
  expect(sent(table, '192.0.2.1', 700, 50)).toBe(2);
  expect(sent(table, '192.0.2.1', 700, 50)).toBe(0);
});

test('in a steady stream of twice the limit, half is sent', () => {
  const table = limiter(50);
  let total = 0;
  for (let ms = 0; ms < 10_000; ms += 10) total += sent(table, '192.0.2.1', ms, 1);
  expect(total).toBe(500 + 49);
});

test('a stream at the limit is never cut, however it falls into milliseconds', () => {
  const table = limiter(7);
  for (let n = 0; n < 1000; n++) expect(take(table, '192.0.2.1', Math.ceil((n * 1000) / 7)), `${n}`).toBe(SEND);
});

test.each([
  ['the same /24', '192.0.2.1', '192.0.2.255', true],
  ['another /24', '192.0.2.1', '192.0.3.1', false],
  ['another /24, differing at its start', '192.0.2.1', '193.0.2.1', false],
  ['the same /56', '2001:db8:1:100::1', '2001:db8:1:1ff:ffff::', true],
  ['another /56', '2001:db8:1:100::1', '2001:db8:1:200::1', false],
  ['another /56, differing at its start', '2001:db8:1:100::1', '3001:db8:1:100::1', false],
  ['a prefix of the other family', '1.2.3.4', '1:203::', false],
  ['a prefix of zeros of the other family', '0.0.0.1', '::1', false],
])('%s', (_, first, second, together) => {
  const table = limiter(1);
  expect(take(table, first, 0)).toBe(SEND);
  expect(take(table, second, 0)).toBe(together ? DROP : SEND);
});

test('each kind of answer has a separate limit', () => {
  const table = limiter(1);
  for (const kind of Object.values(KIND)) expect(take(table, '192.0.2.1', 0, kind), `${kind}`).toBe(SEND);
  for (const kind of Object.values(KIND)) expect(take(table, '192.0.2.1', 0, kind), `${kind}`).toBe(DROP);
});

test.each<[number, number[]]>([
  [0, [DROP, DROP, DROP, DROP, DROP, DROP]],
  [1, [SLIP, SLIP, SLIP, SLIP, SLIP, SLIP]],
  [2, [DROP, SLIP, DROP, SLIP, DROP, SLIP]],
  [3, [DROP, DROP, SLIP, DROP, DROP, SLIP]],
])('slip %i', (slip, wanted) => {
  const table = limiter(1, slip);
  take(table, '192.0.2.1', 0);
  expect(wanted.map(() => take(table, '192.0.2.1', 0))).toEqual(wanted);
});

test('the clock may wrap', () => {
  const table = limiter(10);
  const border = 2 ** 31;
  expect(sent(table, '192.0.2.1', border - 100, 20)).toBe(10);
  expect(sent(table, '192.0.2.1', border + 100, 20)).toBe(2);
});

describe('a flood from a million networks', () => {
  const peer = (n: number): Uint8Array => Uint8Array.of(10 + (n >> 16), n >> 8, n, 1);
  test('does not free the flooded one, nor take more memory', () => {
    const table = limiter(5);
    const { byteLength } = table.entries;
    let answered = 0;
    for (let n = 0; n < 1_000_000; n++) {
      take(table, peer(n), n >> 10);
      // The victim is one in 64 packets: never the oldest of its set.
      if ((n & 63) === 0) answered += sent(table, '192.0.2.1', n >> 10, 1);
    }
    // 976 ms: 5 at once and 4 more.
    expect(answered).toBeLessThanOrEqual(10);
    expect(table.entries.byteLength).toBe(byteLength);
  });

  test('replaces the entries of others', () => {
    const table = limiter(1);
    expect([take(table, '192.0.2.1', 0), take(table, '192.0.2.1', 0)]).toEqual([SEND, DROP]);
    for (let n = 0; n < 1_000_000; n++) take(table, peer(n), 1);
    expect([take(table, '192.0.2.1', 2), take(table, '192.0.2.1', 2)]).toEqual([SEND, DROP]);
  });

  test('networks are spread evenly', () => {
    const table = limiter(1);
    for (let n = 0; n < 20_000; n++) take(table, peer(n), 0);
    // 20,000 in 16,384 sets of four: nearly all are still there.
    let known = 0;
    for (let n = 0; n < 20_000; n++) if (take(table, peer(n), 0) !== SEND) known++;
    expect(known).toBeGreaterThan(19_500);
  });
});
