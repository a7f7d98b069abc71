/**
 * The store of signatures against a map, and signatures that several threads make.
 */
import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { ALGORITHMS } from '../../../dnssec/algorithms.ts';
import { addJob, createOpenJobs, signatureOf } from '../../../dnssec/sign-jobs.ts';
import { signNow } from '../../../dnssec/sign-threads.ts';
import { addSignature, createSignatureStore, DIGEST_OCTETS, findSignature, storeFrom } from '../../../dnssec/signature-store.ts'; // prettier-ignore
import { createDice, printedSeed } from '../../support/random.ts';

test('a store has what was added, also when it is built from its octets', () => {
  const dice = createDice(printedSeed('signature store'));
  const known = new Map<string, Uint8Array>();
  const store = createSignatureStore();
  for (let i = 0; i < 3000; i++) {
    // Few values, so that many digests are equal at their start, and some are equal as a whole.
    const digest = Uint8Array.from({ length: DIGEST_OCTETS }, (_, at) => dice.below(at < 12 ? 2 : 4));
    const signature = Uint8Array.from({ length: dice.pick([64, 64, 96, 256]) }, () => dice.below(256));
    const key = digest.join(' ');
    if (!known.has(key)) known.set(key, signature);
    addSignature(store, digest, 0, signature);
  }
  const copy = storeFrom(store.octets.slice(0, store.used), store.count);
  expect([store.count, copy.count]).toEqual([known.size, known.size]);
  for (const [key, signature] of known) {
    const digest = Uint8Array.from(key.split(' '), Number);
    expect(findSignature(store, digest, 0)).toEqual(signature);
    expect(findSignature(copy, digest, 0)).toEqual(signature);
    expect(findSignature(store, digest.map((octet) => octet ^ 8), 0)).toBeUndefined(); // prettier-ignore
  }
});

test('every job of several threads is signed by its key', () => {
  const made = [13, 15].map((algorithm) => {
    const pair = algorithm === 13 ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
    const { x = '', y = '' } = pair.publicKey.export({ format: 'jwk' });
    return { algorithm, privateKey: pair.privateKey, publicKey: Buffer.concat([x, y].map((text) => Buffer.from(text, 'base64url'))) }; // prettier-ignore
  });
  const keys = made.map(({ algorithm, privateKey }) => ({ algorithm, privateKey, signatureOctets: 64 }));
  const open = createOpenJobs();
  const count = 5000;
  const dataOf = (job: number): Uint8Array => Buffer.from(`${'x'.repeat(job % 90)}${job}`);
  for (let job = 0; job < count; job++) addJob(open, dataOf(job), 0, dataOf(job).length, job % 2);
  const batch = signNow(open, keys, 2);
  for (let job = 0; job < count; job += 7) {
    const { algorithm = 0, publicKey = Buffer.of() } = made[job % 2] ?? {};
    expect(ALGORITHMS.get(algorithm)?.verify(dataOf(job), publicKey, signatureOf(batch, job)), String(job)).toBe(true);
  }
});
