/** The countries of clients in the status document: bounded, and read back as far as they go. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CountedClients } from '../../../server/forecast/client-counts.ts';
import { createOctetsPool } from '../../../status/assemble-reply.ts';
import { clientsOf, writeStatus, type ClientsDocument, type StatusDocument } from '../../../status/status-document.ts';
import { createFakeRuntime, type FakeRuntime } from './fake-runtime.ts';

let fake: FakeRuntime;
beforeEach(async () => {
  fake = await createFakeRuntime();
});
afterEach(() => fake.stop());

async function shown(service: number, clients?: CountedClients): Promise<ClientsDocument | undefined> {
  if (clients) fake.knobs.clients.set('www.example.com', clients);
  const octets = createOctetsPool().take();
  await writeStatus(fake.runtime, octets);
  const document = JSON.parse(octets.all().toString()) as StatusDocument;
  return document.services[service]?.clients;
}

test('the largest twenty countries are named, the rest is one share', async () => {
  // C01 has one sample, C40 forty.
  const countries = new Map(Array.from({ length: 40 }, (_, n) => [`C${String(n + 1).padStart(2, '0')}`, n + 1]));
  const document = await shown(0, { samples: 820, countries, others: 0 });
  expect(document?.samples).toBe(820);
  expect(document?.countries).toHaveLength(20);
  expect(document?.countries[0]).toEqual({ country: 'C40', share: 0.04878 });
  expect(document?.countries.at(-1)).toEqual({ country: 'C21', share: 0.02561 });
  expect(document?.rest).toBe(0.256098);
  const read = document && clientsOf(document);
  expect(read?.samples).toBe(820);
  expect(read?.countries.get('C40')).toBeCloseTo(40, 2);
  expect(read?.others).toBeCloseTo(210, 2);
});

test('a service without queries has no countries', async () => {
  expect(await shown(1)).toEqual({ samples: 0, countries: [], rest: 0 });
});
