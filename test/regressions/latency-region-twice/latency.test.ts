/**
 * A region defined in pharos.yaml and in a zone had two columns in a latency table: its times were written into one,
 * and read from the other.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { T } from '../../support/message.ts';
import { answering } from '../../support/pharos.ts';

const file = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');

test('a region that is defined twice is measured once', () => {
  const server = answering({
    'pharos.yaml': 'regions: { seoul: { at: KR }, dublin: { at: IE } }\n',
    'zones/example.com.yaml': file('example.com.yaml'),
    'zones/rtt.csv': file('rtt.csv'),
  });
  expect(server.ask('www.example.com', T.A, { from: '1.208.0.1' }).answer.map(({ data }) => data)).toEqual([
    'cb007102',
  ]);
});
