/**
 * PH380 rejected RRsets of over 65,023 octets, although a message has 65,535 in all.
 */
import { expect, test } from 'vitest';
import { mostRrsetOctets } from '../../../wire/response.ts';
import { T } from '../../support/message.ts';
import { answering, mistakesOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const OWNER = 'big.example.com';
const MOST = mostRrsetOctets(OWNER.length + 2);

/**
 * A zone with a set of TXT records that takes this many octets in a message, of which 12 are the head of each record.
 */
function zoneWith(octets: number) {
  const records: string[] = [];
  for (let left = octets, i = 0; left > 0; i++) {
    const text = left <= 268 ? left - 13 : left - 268 < 20 ? 200 : 255;
    records.push(`big TXT "${String(i).padStart(text, 'x')}"`);
    left -= text + 13;
  }
  return {
    ...NO_GEOGRAPHY,
    'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns.example.net.]\ninclude: [big.db]\n',
    'zones/big.db': `${records.join('\n')}\n`,
  };
}

test('the largest is answered completely over TCP, with the options of a resolver', () => {
  expect(MOST).toBeGreaterThan(65_400);
  const { ask } = answering(zoneWith(MOST));
  const edns = { options: [{ code: 10, data: Buffer.from('0123456789abcdef', 'hex') }] };
  for (const options of [{}, { edns: {} }, { edns }]) {
    const { tc, answer } = ask(OWNER, T.TXT, { ...options, overTcp: true });
    expect([tc, answer.reduce((sum, { data }) => sum + 12 + data.length / 2, 0)]).toEqual([false, MOST]);
  }
});

test('one octet more is a mistake', () => {
  expect(mistakesOf(zoneWith(MOST + 1))).toEqual([expect.stringContaining(`PH380`)]);
  expect(mistakesOf(zoneWith(MOST + 1))[0]).toContain(`${MOST} octets`);
});
