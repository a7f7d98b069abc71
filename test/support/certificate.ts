/**
 * X.509 certificates for tests (RFC 5280), made with Node.js only: enough of DER for a name, a time and a signature.
 */
import { createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';

export type Certificate = {
  /** PEM, without its issuer. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
};

export type CertificateOptions = {
  /** Common name, and the one DNS name it is valid for. */
  readonly name?: string;
  /** Without one it is self-signed. */
  readonly issuer?: Certificate & { readonly name: string };
  readonly from?: Date;
  readonly to?: Date;
  readonly key?: { readonly kind: 'ec' } | { readonly kind: 'rsa'; readonly bits: number };
};

const DAY_MS = 86_400_000;

export function makeCertificate(options: CertificateOptions = {}): Certificate & { readonly name: string } {
  const { name = 'ns1.example.com', issuer, key: kind = { kind: 'ec' } } = options;
  const now = Date.now();
  const { privateKey, publicKey } =
    kind.kind === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: kind.bits });
  const signer: string | KeyObject = issuer?.key ?? privateKey;
  const isEc = createPublicKey(signer).asymmetricKeyType === 'ec';
  // ecdsa-with-SHA256, sha256WithRSAEncryption.
  const algorithm = isEc
    ? der(0x30, oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))
    : der(0x30, oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b), der(0x05));
  const body = der(
    0x30,
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.of(1, ...crypto.getRandomValues(new Uint8Array(8)))),
    algorithm,
    distinguishedName(issuer?.name ?? name),
    der(0x30, time(options.from ?? new Date(now - DAY_MS)), time(options.to ?? new Date(now + 90 * DAY_MS))),
    distinguishedName(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(
      0xa3,
      der(
        0x30,
        // basicConstraints: CA, so that it may sign others; subjectAltName.
        der(0x30, oid(0x55, 0x1d, 0x13), der(0x04, der(0x30, issuer ? Buffer.alloc(0) : der(0x01, Buffer.of(0xff))))),
        der(0x30, oid(0x55, 0x1d, 0x11), der(0x04, der(0x30, der(0x82, Buffer.from(name))))),
      ),
    ),
  );
  const signature = der(0x03, Buffer.concat([Buffer.of(0), sign('sha256', body, signer)]));
  const base64 = der(0x30, body, algorithm, signature).toString('base64');
  return {
    name,
    cert: `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{64}/g, '$&\n').trimEnd()}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const octets = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...octets), content]);
}

function oid(...octets: readonly number[]): Buffer {
  return der(0x06, Buffer.from(octets));
}

function distinguishedName(name: string): Buffer {
  return der(0x30, der(0x31, der(0x30, oid(0x55, 0x04, 0x03), der(0x0c, Buffer.from(name)))));
}

/** GeneralizedTime: 20261120235959Z. */
function time(at: Date): Buffer {
  return der(0x18, Buffer.from(`${at.toISOString().replace(/[-:T]|\..*/g, '')}Z`));
}
