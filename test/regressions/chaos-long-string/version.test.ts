/**
 * A version of 255 octets made record data of 256 octets, whose length was written into one octet: the response had 256
 * octets that belonged to no record. With a small limit it was also longer than the client accepts.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { decodeMessage } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

const query = Buffer.from(readFileSync(new URL('query.hex', import.meta.url), 'utf8'), 'hex');

test('the longest possible version is one complete record, and fits', () => {
  const server = answering(
    { ...NO_GEOGRAPHY, 'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns.example.net.]\n' },
    { version: Buffer.from('v'.repeat(255)), nsid: Buffer.from('n'.repeat(128)) },
  );
  const response = server.exchange(query) ?? Buffer.alloc(0);
  expect(response.length).toBeLessThanOrEqual(512);
  expect(decodeMessage(response).answer.map(({ octets }) => octets)).toEqual([256]);
});
