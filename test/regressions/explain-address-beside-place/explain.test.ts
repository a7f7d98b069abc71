/**
 * `--country` and `--at` beside `--client`: the address was shown, but its networks were ignored. The same beside
 * `--resolver`, if the resolver's address is the one that counts.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { explainFrom } from '../../../server/explain/explain-answer.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

const zone = readFileSync(new URL('example.com.yaml', import.meta.url), 'utf8');
const { generation } = answering({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone });

test.each([
  [{ country: 'IE' }, 'b'],
  [{ country: 'IE', client: '198.51.100.7' }, 'a'],
  [{ country: 'IE', client: '192.0.2.7' }, 'b'],
  [{ at: '53,-6', client: '198.51.100.7' }, 'a'],
  [{ at: '53,-6', client: '192.0.2.7' }, 'c'],
  [{ country: 'IE', resolver: '198.51.100.7' }, 'a'],
  [{ country: 'IE', resolver: '198.51.100.7', client: '10.0.0.1' }, 'a'],
  [{ country: 'IE', resolver: '198.51.100.7', client: '192.0.2.7' }, 'b'],
  [{ client: '198.51.100.7' }, 'a'],
])('%j: %s', (client, vip) => {
  const explained = explainFrom(generation, { name: 'www.example.com', type: 'A', ...client });
  expect(explained.ok && explained.trace.answer.vips).toEqual([vip]);
});
