/**
 * The algorithms that sign (IANA DNS Security Algorithm Numbers; RFC 8624 3.1): how each stores keys and makes
 * signatures.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  verify,
  type KeyObject,
  type webcrypto,
} from 'node:crypto';
import { get16 } from '../wire/octets.ts';
import { signData } from './sign-data.ts';

/** The fields of a private key file (`Private-key-format: v1.3`), in octets, by name. */
export type PrivateFields = ReadonlyMap<string, Buffer>;

export type Algorithm = {
  readonly number: number;
  /** As in private key files. */
  readonly mnemonic: string;
  /** The private key. Throws if a field is missing or has the wrong length. */
  readonly read: (fields: PrivateFields, publicKey: Uint8Array) => KeyObject;
  readonly sign: (data: Uint8Array, key: KeyObject) => Uint8Array;
  /** Length of a signature by the key with this public key. */
  readonly signatureOctets: (publicKey: Uint8Array) => number;
  /** A rough time that a signature takes on one core. */
  readonly microseconds: number;
  /** A new private key. */
  readonly make: () => KeyObject;
  /** Whether a private key is of this algorithm. */
  readonly fits: (key: KeyObject) => boolean;
  /** The fields of its private key file, and the public key field of its DNSKEY data. */
  readonly write: (key: KeyObject) => { readonly fields: PrivateFields; readonly publicKey: Uint8Array };
  /** `publicKey` is the public key field of DNSKEY data. */
  readonly verify: (data: Uint8Array, publicKey: Uint8Array, signature: Uint8Array) => boolean;
};

function field(fields: PrivateFields, name: string): Buffer {
  const value = fields.get(name);
  if (!value) throw new Error(`the field ${name} is missing`);
  return value;
}

function withOctets(value: Buffer, name: string, octets: number): string {
  if (value.length === octets) return value.toString('base64url');
  throw new Error(`the field ${name} has ${value.length} octets instead of ${octets}`);
}

/** A number in `octets` octets. BIND writes numbers without their leading zeros; a JSON Web Key must have them. */
function numberField(fields: PrivateFields, name: string, octets: number): string {
  const value = field(fields, name);
  const first = value.findIndex((octet) => octet !== 0);
  const digits = value.subarray(first < 0 ? value.length : first);
  const zeros = Buffer.alloc(Math.max(0, octets - digits.length));
  return withOctets(Buffer.concat([zeros, digits]), name, octets);
}

function ecdsa(
  { number, mnemonic, microseconds }: Pick<Algorithm, 'number' | 'mnemonic' | 'microseconds'>,
  curve: string,
  hash: string,
  octets: number,
): Algorithm {
  const dsaEncoding = 'ieee-p1363'; // RFC 6605 4: r and s, without ASN.1
  const point = (publicKey: Uint8Array): webcrypto.JsonWebKey => {
    if (publicKey.length !== 2 * octets) throw new Error(`the public key does not have ${2 * octets} octets`);
    const x = base64Url(publicKey.subarray(0, octets));
    return { kty: 'EC', crv: curve, x, y: base64Url(publicKey.subarray(octets)) };
  };
  return {
    ...{ number, mnemonic, microseconds },
    signatureOctets: () => 2 * octets,
    read: (fields, publicKey) => {
      const d = numberField(fields, 'PrivateKey', octets);
      return createPrivateKey({ key: { ...point(publicKey), d }, format: 'jwk' });
    },
    sign: (data, key) => signData(number, data, key),
    make: () => generateKeyPairSync('ec', { namedCurve: curve }).privateKey,
    fits: (key) => key.asymmetricKeyType === 'ec' && key.export({ format: 'jwk' }).crv === curve,
    write: (key) => {
      const { d, x, y } = key.export({ format: 'jwk' });
      return { fields: new Map([['PrivateKey', octetsOf(d)]]), publicKey: Buffer.concat([octetsOf(x), octetsOf(y)]) };
    },
    verify: (data, publicKey, signature) =>
      verify(hash, data, { key: publicFrom(point(publicKey)), dsaEncoding }, signature),
  };
}

/** The names of the fields in private key files and in JSON Web Keys. */
const RSA_FIELDS = [
  ['Modulus', 'n'],
  ['PublicExponent', 'e'],
  ['PrivateExponent', 'd'],
  ['Prime1', 'p'],
  ['Prime2', 'q'],
  ['Exponent1', 'dp'],
  ['Exponent2', 'dq'],
  ['Coefficient', 'qi'],
] as const;

function rsa(number: number, mnemonic: string, hash: string): Algorithm {
  return {
    ...{ number, mnemonic },
    // A key of 2048 bits.
    microseconds: 1000,
    signatureOctets: (publicKey) => rsaParts(publicKey).modulus.length,
    read: (fields) => {
      const key: webcrypto.JsonWebKey = { kty: 'RSA' };
      for (const [name, part] of RSA_FIELDS) key[part] = base64Url(field(fields, name));
      return createPrivateKey({ key, format: 'jwk' });
    },
    sign: (data, key) => signData(number, data, key),
    make: () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
    fits: (key) => key.asymmetricKeyType === 'rsa',
    write: (key) => {
      const jwk = key.export({ format: 'jwk' });
      const exponent = octetsOf(jwk.e);
      return {
        fields: new Map(RSA_FIELDS.map(([name, part]) => [name, octetsOf(jwk[part])])),
        publicKey: Buffer.concat([Uint8Array.of(exponent.length), exponent, octetsOf(jwk.n)]),
      };
    },
    verify: (data, publicKey, signature) => verify(hash, data, publicFrom(rsaNumbers(publicKey)), signature),
  };
}

/** RFC 3110 2: the length of the exponent in 1 or 3 octets, the exponent, the modulus. */
function rsaParts(publicKey: Uint8Array): { readonly exponent: Uint8Array; readonly modulus: Uint8Array } {
  const isLong = publicKey[0] === 0;
  const at = isLong ? 3 : 1;
  const octets = isLong ? get16(publicKey, 1) : (publicKey[0] ?? 0);
  return { exponent: publicKey.subarray(at, at + octets), modulus: publicKey.subarray(at + octets) };
}

function rsaNumbers(publicKey: Uint8Array): webcrypto.JsonWebKey {
  const { exponent, modulus } = rsaParts(publicKey);
  return { kty: 'RSA', e: base64Url(exponent), n: base64Url(modulus) };
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
  microseconds: 45,
  signatureOctets: () => 64,
  read: (fields, publicKey) => {
    const d = withOctets(field(fields, 'PrivateKey'), 'PrivateKey', 32);
    return createPrivateKey({ key: { ...edwardsPoint(publicKey), d }, format: 'jwk' });
  },
  sign: (data, key) => signData(15, data, key),
  make: () => generateKeyPairSync('ed25519').privateKey,
  fits: (key) => key.asymmetricKeyType === 'ed25519',
  write: (key) => {
    const { d, x } = key.export({ format: 'jwk' });
    return { fields: new Map([['PrivateKey', octetsOf(d)]]), publicKey: octetsOf(x) };
  },
  verify: (data, publicKey, signature) => verify(null, data, publicFrom(edwardsPoint(publicKey)), signature),
};

export const ECDSA_P256 = 13;

/** By number. */
export const ALGORITHMS: ReadonlyMap<number, Algorithm> = new Map(
  [
    rsa(8, 'RSASHA256', 'sha256'),
    ecdsa({ number: ECDSA_P256, mnemonic: 'ECDSAP256SHA256', microseconds: 40 }, 'P-256', 'sha256', 32),
    ecdsa({ number: 14, mnemonic: 'ECDSAP384SHA384', microseconds: 500 }, 'P-384', 'sha384', 48),
    ED25519,
  ].map((algorithm) => [algorithm.number, algorithm]),
);

function base64Url(octets: Uint8Array): string {
  return Buffer.from(octets).toString('base64url');
}

function octetsOf(text: string | undefined): Buffer {
  return Buffer.from(text ?? '', 'base64url');
}
