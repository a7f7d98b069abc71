/**
 * Answers beyond the limit: what is sent instead, which clients are exempt, and what is counted.
 */
import { expect, test } from 'vitest';
import { COUNTER } from '../../../../server/counters.ts';
import { decodeMessage, encodeQuery, T, type DecodedMessage, type Option } from '../../../support/message.ts';
import { answering, NO_GEOGRAPHY, type Answering, type AskOptions } from '../../../support/pharos.ts';

const BADCOOKIE = 23;
const ZONE = `
zone: example.com
nameservers: [ns1]
records:
  ns1: { A: 192.0.2.53 }
  sub: { NS: [ns.sub] }
  ns.sub: { A: 192.0.2.60 }
`;
/** The clock does not move, however slow the machine is. */
const limited = (perSecond: number, slip: number): Answering =>
  answering(
    { ...NO_GEOGRAPHY, 'zones/example.com.yaml': ZONE },
    { cookieSecrets: [Buffer.alloc(16, 7)], rrl: { perSecond, slip } },
    1,
    { ms: () => 1000, seconds: () => 1_800_000_000 },
  );

type Asked = { readonly name?: string; readonly type?: number; readonly options?: readonly Option[] };

function ask({ exchange }: Answering, { name = 'ns1.example.com', type = T.A, options }: Asked, more: AskOptions = {}) {
  const response = exchange(encodeQuery(name, type, options ? { edns: { options } } : {}), more);
  return response && decodeMessage(response);
}

const counted = ({ state }: Answering): number => state.counters[COUNTER.RATE_LIMITED] ?? 0;
const cookie = (data: Uint8Array): Option => ({ code: 10, data });
const CLIENT = cookie(Buffer.alloc(8, 1));
const cookieOf = (response: DecodedMessage | undefined): Option => {
  const found = response?.edns?.options.find(({ code }) => code === 10);
  if (!found) throw new Error('no cookie');
  return cookie(Buffer.from(found.data));
};

test.each<[string, Asked]>([
  ['data', {}],
  ['a referral', { name: 'www.sub.example.com' }],
  ['no data', { type: T.TXT }],
  ['no such name', { name: 'nothere.example.com' }],
  ['EDNS without a cookie', { options: [] }],
])('%s: beyond the limit every second one is dropped, every second one is TC without records', (_, asked) => {
  const server = limited(3, 2);
  const [whole, ...rest] = Array.from({ length: 9 }, () => ask(server, asked));
  expect(rest.slice(0, 2)).toEqual([whole, whole]);
  for (const [index, response] of rest.slice(2).entries()) {
    if (index % 2 === 0) expect(response).toBeUndefined();
    else {
      expect(response).toMatchObject({ tc: true, rcode: 0, aa: whole?.aa, question: whole?.question });
      expect([response?.answer, response?.authority, response?.additional]).toEqual([[], [], []]);
      expect(response?.edns !== undefined).toBe(asked.options !== undefined);
    }
  }
  expect(counted(server)).toBe(6);
});

test('an error is as short as TC: every second one beyond the limit is sent unchanged', () => {
  const server = limited(1, 2);
  const responses = Array.from({ length: 5 }, () => ask(server, { name: 'www.example.org' }));
  expect(responses.map((response) => response?.rcode)).toEqual([5, undefined, 5, undefined, 5]);
  expect(responses.some((response) => response?.tc)).toBe(false);
  expect(counted(server), 'what was sent was not limited').toBe(2);
});

test('kinds are counted separately', () => {
  const server = limited(1, 0);
  const kinds: Asked[] = [{}, { name: 'www.sub.example.com' }, { type: T.TXT }, { name: 'x.example.com' }];
  const twice = [...kinds, { name: 'example.org' }].flatMap((asked) => [ask(server, asked), ask(server, asked)]);
  expect(twice.map((response) => response !== undefined)).toEqual(twice.map((_, index) => index % 2 === 0));
});

test('a client cookie gets BADCOOKIE with a cookie instead of TC, and a valid cookie is not limited', () => {
  const server = limited(1, 2);
  const first = ask(server, { options: [CLIENT] });
  expect(first?.answer.length).toBe(1);
  expect(ask(server, { options: [CLIENT] })).toBeUndefined();
  const refused = ask(server, { options: [CLIENT] });
  expect(refused).toMatchObject({ rcode: BADCOOKIE, tc: false, aa: false, answer: [], authority: [], additional: [] });
  expect(cookieOf(refused)).toEqual(cookieOf(first));
  for (let n = 0; n < 50; n++) expect(ask(server, { options: [cookieOf(refused)] })?.answer.length).toBe(1);
  expect(counted(server)).toBe(2);
  expect(server.state.counters[COUNTER.RCODE_EXTENDED], 'BADCOOKIE has more than 4 bits').toBe(1);
});

test('a cookie made for another address does not count', () => {
  const server = limited(1, 0);
  const taken = cookieOf(ask(server, { options: [CLIENT] }, { from: '198.51.100.1' }));
  const answers = [0, 1, 2].map(() => ask(server, { options: [taken] }));
  expect(answers.map((response) => response !== undefined)).toEqual([true, false, false]);
});

test.each<[string, AskOptions]>([
  ['TCP', { overTcp: true }],
  ['TLS', { overTls: true }],
])('%s has no limit', (_, more) => {
  const server = limited(1, 0);
  for (let n = 0; n < 50; n++) expect(ask(server, {}, more)?.answer.length).toBe(1);
  expect(counted(server)).toBe(0);
});

test('other networks are not affected', () => {
  const server = limited(1, 0);
  for (let n = 0; n < 5; n++) ask(server, {}, { from: '192.0.2.200' });
  expect(ask(server, {}, { from: '192.0.2.1' })).toBeUndefined();
  expect(ask(server, {}, { from: '192.0.3.1' })?.answer.length).toBe(1);
  expect(ask(server, {}, { from: '2001:db8::1' })?.answer.length).toBe(1);
});
