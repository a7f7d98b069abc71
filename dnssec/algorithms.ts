/**
 * The algorithms that sign (IANA DNS Security Algorithm Numbers; RFC 8624 3.1): how each stores keys and makes
 * signatures.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
  type KeyObject,
  type webcrypto,
} from 'node:crypto';
import { get16 } from '../wire/octets.ts';

/** The fields of a private key file (`Private-key-format: v1.3`), in octets, by name. */
export type PrivateFields = ReadonlyMap<string, Buffer>;

export type Algorithm = {
  readonly number: number;
  /** As in private key files. */
  readonly mnemonic: string;
  /** The private key. Throws if a field is missing or has the wrong length. */
  readonly read: (fields: PrivateFields, publicKey: Uint8Array) => KeyObject;
  readonly sign: (data: Uint8Array, key: KeyObject) => Uint8Array;
  /** `publicKey` is the public key field of DNSKEY data. */
  readonly verify: (data: Uint8Array, publicKey: Uint8Array, signature: Uint8Array) => boolean;
};

function field(fields: PrivateFields, name: string, octets?: number): string {
  const value = fields.get(name);
  if (!value) throw new Error(`the field ${name} is missing`);
  if (octets !== undefined && value.length !== octets) {
    throw new Error(`the field ${name} has ${value.length} octets instead of ${octets}`);
  }
  return value.toString('base64url');
}

function ecdsa(number: number, mnemonic: string, curve: string, hash: string, octets: number): Algorithm {
  const dsaEncoding = 'ieee-p1363'; // RFC 6605 4: r and s, without ASN.1
  const point = (publicKey: Uint8Array): webcrypto.JsonWebKey => {
    if (publicKey.length !== 2 * octets) throw new Error(`the public key does not have ${2 * octets} octets`);
    const x = base64Url(publicKey.subarray(0, octets));
    return { kty: 'EC', crv: curve, x, y: base64Url(publicKey.subarray(octets)) };
  };
  return {
    number,
    mnemonic,
    read: (fields, publicKey) => {
      const d = field(fields, 'PrivateKey', octets);
      return createPrivateKey({ key: { ...point(publicKey), d }, format: 'jwk' });
    },
    sign: (data, key) => sign(hash, data, { key, dsaEncoding }),
    verify: (data, publicKey, signature) =>
      verify(hash, data, { key: publicFrom(point(publicKey)), dsaEncoding }, signature),
  };
}

function rsa(number: number, mnemonic: string, hash: string): Algorithm {
  return {
    number,
    mnemonic,
    read: (fields) => {
      const jwk = {
        kty: 'RSA',
        n: field(fields, 'Modulus'),
        e: field(fields, 'PublicExponent'),
        d: field(fields, 'PrivateExponent'),
        p: field(fields, 'Prime1'),
        q: field(fields, 'Prime2'),
        dp: field(fields, 'Exponent1'),
        dq: field(fields, 'Exponent2'),
        qi: field(fields, 'Coefficient'),
      };
      return createPrivateKey({ key: jwk, format: 'jwk' });
    },
    sign: (data, key) => sign(hash, data, key),
    verify: (data, publicKey, signature) => verify(hash, data, publicFrom(rsaNumbers(publicKey)), signature),
  };
}

/** RFC 3110 2: the length of the exponent in 1 or 3 octets, the exponent, the modulus. */
function rsaNumbers(publicKey: Uint8Array): webcrypto.JsonWebKey {
  const isLong = publicKey[0] === 0;
  const at = isLong ? 3 : 1;
  const octets = isLong ? get16(publicKey, 1) : (publicKey[0] ?? 0);
  const e = base64Url(publicKey.subarray(at, at + octets));
  return { kty: 'RSA', e, n: base64Url(publicKey.subarray(at + octets)) };
}

function publicFrom(key: webcrypto.JsonWebKey): KeyObject {
  return createPublicKey({ key, format: 'jwk' });
}

function edwardsPoint(publicKey: Uint8Array): webcrypto.JsonWebKey {
  return { kty: 'OKP', crv: 'Ed25519', x: base64Url(publicKey) };
}

const ED25519: Algorithm = {
  number: 15,
  mnemonic: 'ED25519',
  read: (fields, publicKey) => {
    const d = field(fields, 'PrivateKey', 32);
    return createPrivateKey({ key: { ...edwardsPoint(publicKey), d }, format: 'jwk' });
  },
  sign: (data, key) => sign(null, data, key),
  verify: (data, publicKey, signature) => verify(null, data, publicFrom(edwardsPoint(publicKey)), signature),
};

export const ECDSA_P256 = 13;

/** By number. */
export const ALGORITHMS: ReadonlyMap<number, Algorithm> = new Map(
  [
    rsa(8, 'RSASHA256', 'sha256'),
    ecdsa(ECDSA_P256, 'ECDSAP256SHA256', 'P-256', 'sha256', 32),
    ecdsa(14, 'ECDSAP384SHA384', 'P-384', 'sha384', 48),
    ED25519,
  ].map((algorithm) => [algorithm.number, algorithm]),
);

/** A new key pair for ECDSA with P-256: the private scalar, and the public key as in DNSKEY data (RFC 6605 4). */
export function makeP256(): { readonly privateKey: Buffer; readonly publicKey: Buffer } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { d = '', x = '', y = '' } = privateKey.export({ format: 'jwk' });
  const octets = (text: string): Buffer => Buffer.from(text, 'base64url');
  return { privateKey: octets(d), publicKey: Buffer.concat([octets(x), octets(y)]) };
}

function base64Url(octets: Uint8Array): string {
  return Buffer.from(octets).toString('base64url');
}
