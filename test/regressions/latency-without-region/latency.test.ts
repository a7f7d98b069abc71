/**
 * A VIP without a region has no column in a latency table; column -1 of a row is the last one of the row before, so
 * measurements of other networks and regions decided about it.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { T } from '../../support/message.ts';
import { answering } from '../../support/pharos.ts';

const file = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');

test('a VIP without a region is never the nearest by measurement', () => {
  const server = answering({ 'zones/example.com.yaml': file('example.com.yaml'), 'zones/rtt.csv': file('rtt.csv') });
  expect(server.ask('www.example.com', T.A, { from: '1.208.0.1' }).answer.map(({ data }) => data)).toEqual([
    'cb007102',
  ]);
});
