/** Signed responses of several messages, as a client of a transfer verifies them (RFC 8945 5.3.1). */
import { expect, test } from 'vitest';
import { encodeQuery } from '../../../wire/message.ts';
import { parseName } from '../../../wire/name.ts';
import { createSigner, createVerifier, tsigOctets, type TsigKey } from '../../../wire/tsig.ts';

const KEY: TsigKey = {
  label: 'key',
  name: parseName('key.'),
  algorithm: 'hmac-sha256',
  secret: Buffer.from('a secret of some length'),
};
const NOW = 1_800_000_000;
const MAC = Buffer.alloc(32, 7);

/** Messages of a response that a server with this key signs. */
function signed(count: number, key = KEY, now = NOW): Uint8Array[] {
  const signer = createSigner(key, () => now, MAC);
  return Array.from({ length: count }, (_, index) => {
    const query = encodeQuery(parseName(`n${index}.`), 1);
    const message = new Uint8Array(query.length + tsigOctets(key));
    message.set(query);
    return message.subarray(0, signer.sign(message, query.length));
  });
}

function verdicts(messages: readonly Uint8Array[], now = NOW): readonly string[] {
  const verifier = createVerifier(KEY, MAC);
  return messages.map((message) => verifier.verify(message, now));
}

test('every message is signed', () => {
  expect(verdicts(signed(3))).toEqual(['valid', 'valid', 'valid']);
});

test('a message that was changed, lost, or comes out of order', () => {
  const [one, two, three] = signed(3);
  if (!one || !two || !three) throw new Error('three messages are needed');
  const changed = Uint8Array.from(two);
  changed[13] = (changed[13] ?? 0) ^ 1;
  expect(verdicts([one, changed])).toEqual(['valid', 'invalid']);
  expect(verdicts([one, three])).toEqual(['valid', 'invalid']);
  expect(verdicts([two])).toEqual(['invalid']);
});

test('another key, another request, another time', () => {
  expect(verdicts(signed(1, { ...KEY, secret: Buffer.from('other') }))).toEqual(['invalid']);
  expect(verdicts(signed(1, { ...KEY, name: parseName('other.') }))).toEqual(['invalid']);
  expect(createVerifier(KEY, Buffer.alloc(32, 8)).verify(signed(1)[0] ?? MAC, NOW)).toBe('invalid');
  expect(verdicts(signed(1), NOW + 301)).toEqual(['invalid']);
  expect(verdicts(signed(1), NOW + 300)).toEqual(['valid']);
});

test('the first message must be signed, and one of a hundred', () => {
  const plain = encodeQuery(parseName('n.'), 1);
  expect(verdicts([plain])).toEqual(['invalid']);
  const many = verdicts([...signed(1), ...Array.from({ length: 100 }, () => plain)]);
  expect(many.slice(1, 100)).toEqual(Array.from({ length: 99 }, () => 'unsigned'));
  expect(many.at(-1)).toBe('invalid');
});
