/**
 * Size limits: RRsets are complete or absent (RFC 2181 9), additional data are omitted first and without TC, TCP
 * carries 65,535 octets, pointers lead back (RFC 1035 4.1.4). The decoder rejects messages with other pointers.
 */
import { expect, test } from 'vitest';
import { encodeQuery, decodeMessage, T } from '../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../support/pharos.ts';

const addresses = (count: number): string =>
  Array.from({ length: count }, (_, i) => `10.0.${i >> 8}.${i & 255}`).join(', ');
const texts = (octets: number): string =>
  `'${Array.from({ length: octets >> 8 }, (_, i) => `"${String.fromCharCode(97 + (i % 26)).repeat(255)}"`).join(' ')}'`;
const hosts = Array.from({ length: 40 }, (_, i) => `h${i}.hosts: { A: 192.0.2.${i}, AAAA: "2001:db8::${i}" }`);

const { exchange } = answering({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1.example.net.]
records:
  ${Array.from({ length: 80 }, (_, i) => `a${i + 1}: { A: [${addresses(i + 1)}] }`).join('\n  ')}
  ${hosts.join('\n  ')}
  mail: { MX: [${hosts.map((_, i) => `${i} h${i}.hosts`).join(', ')}] }
  sub: { NS: [${hosts
    .slice(0, 13)
    .map((_, i) => `ns${i}.sub`)
    .join(', ')}] }
  ${hosts
    .slice(0, 13)
    .map((_, i) => `ns${i}.sub: { A: 192.0.2.${i}, AAAA: "2001:db8::${i}" }`)
    .join('\n  ')}
  huge: { TXT: [${texts(60_000)}] }
  wide: { A: [${addresses(4000)}] }
  chain: { CNAME: a80 }
`,
});

function ask(name: string, type: number, size: number, overTcp = false) {
  const octets = exchange(encodeQuery(`${name}.example.com`, type, size > 0 ? { edns: { size } } : {}), { overTcp });
  if (!octets) throw new Error('no response');
  return { octets: octets.length, message: decodeMessage(octets) };
}

test.each([0, 512, 600, 900, 1231, 1232, 4096])(
  'size %i: an RRset is complete or TC is set, at every length',
  (size) => {
    const limit = size === 0 ? 512 : Math.min(size, 1232);
    for (let count = 1; count <= 80; count++) {
      const { octets, message } = ask(`a${count}`, T.A, size);
      const whole = ask(`a${count}`, T.A, size, true).octets;
      expect(octets, `${count}`).toBeLessThanOrEqual(limit);
      expect([message.tc, message.answer.length], `${count}`).toEqual(whole <= limit ? [false, count] : [true, 0]);
      expect(message.edns !== undefined, 'OPT stays (RFC 6891 7)').toBe(size > 0);
    }
  },
);

test('additional data of an answer are omitted first, RRset by RRset and without TC', () => {
  const whole = ask('mail', T.MX, 1232, true);
  expect([whole.message.answer.length, whole.message.additional.length]).toEqual([40, 80]);
  const { octets, message } = ask('mail', T.MX, 1232);
  expect([message.tc, message.answer.length]).toEqual([false, 40]);
  expect(message.additional.length).toBeLessThan(80);
  expect(octets).toBeGreaterThan(1232 - 28);
});

test('a referral without room for its glue has TC (RFC 9471 3.1), and is complete over TCP', () => {
  const { message } = ask('www.sub', T.A, 0);
  expect([message.tc, message.authority.length]).toEqual([true, 13]);
  const { message: whole } = ask('www.sub', T.A, 0, true);
  expect([whole.tc, whole.authority.length, whole.additional.length]).toEqual([false, 13, 26]);
});

test('a chain keeps the links that fit', () => {
  const { message } = ask('chain', T.A, 0);
  expect([message.tc, message.answer.map(({ type }) => type)]).toEqual([true, [T.CNAME]]);
});

test.each([
  ['huge', T.TXT, 1],
  ['wide', T.A, 4000],
])('over TCP %s is complete', (name, type, records) => {
  const { octets, message } = ask(name, type, 0, true);
  expect([message.tc, message.answer.length]).toEqual([false, records]);
  expect(octets).toBeGreaterThan(59_000);
  expect(ask(name, type, 65_535).message).toMatchObject({ tc: true, answer: [] });
});
