/**
 * If one RRset of the additional section did not fit, the RRsets after it were left out too, although there was room.
 */
import { expect, test } from 'vitest';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

const large = Array.from({ length: 60 }, (_, i) => `192.0.2.${i}`).join(', ');
const { ask } = answering({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1.example.net.]
records:
  "@": { MX: [10 large, 20 small] }
  sub: { NS: [large, small] }
  large: { A: [${large}] }
  small: { A: 198.51.100.1 }
`,
});
const fitted = (name: string, type: number) => {
  const { tc, additional } = ask(name, type);
  return [tc, additional.map((record) => record.name)];
};

test('an answer has what fits, and no TC for optional data', () => {
  expect(fitted('example.com', T.MX)).toEqual([false, ['small.example.com.']]);
});

test('a referral has what fits, and TC as RFC 9471 3.1 requires', () => {
  expect(fitted('www.sub.example.com', T.A)).toEqual([true, ['small.example.com.']]);
});
