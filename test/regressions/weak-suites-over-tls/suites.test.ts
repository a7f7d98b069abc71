/**
 * DNS over TLS accepted OpenSSL's defaults: with TLS 1.2 also CBC, static RSA and DHE. RFC 9325 4.2: ephemeral elliptic
 * curves and AES in GCM.
 */
import { afterEach, expect, test } from 'vitest';
import { makeCertificate } from '../../support/certificate.ts';
import { framed, query } from '../../unit/server/client.ts';
import { serveStream } from '../../unit/server/io/stream-server.ts';

const CERTIFICATES = { ECDSA: makeCertificate(), RSA: makeCertificate({ key: { kind: 'rsa', bits: 2048 } }) };
type Kind = keyof typeof CERTIFICATES;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function connect(kind: Kind, ciphers: string, version: 'TLSv1.2' | 'TLSv1.3'): Promise<number | undefined> {
  const served = await serveStream({ tls: CERTIFICATES[kind] });
  closers.push(() => served[Symbol.asyncDispose]());
  const client = await served.tlsClient({ ciphers, minVersion: version, maxVersion: version });
  client.socket.write(framed(query(7)));
  return (await client.receive())?.readUInt16BE();
}

test.each<[Kind, string]>([
  ['ECDSA', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
  ['ECDSA', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
  ['RSA', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ['RSA', 'ECDHE-RSA-AES256-GCM-SHA384'],
])('%s: %s is accepted', async (kind, suite) => {
  expect(await connect(kind, suite, 'TLSv1.2')).toBe(7);
});

test.each(['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'])(
  '%s is accepted',
  async (suite) => {
    expect(await connect('ECDSA', suite, 'TLSv1.3')).toBe(7);
  },
);

test.each<[Kind, string]>([
  ['ECDSA', 'ECDHE-ECDSA-AES128-SHA'],
  ['ECDSA', 'ECDHE-ECDSA-AES256-SHA384'],
  ['RSA', 'ECDHE-RSA-AES128-SHA256'],
  ['RSA', 'ECDHE-RSA-AES256-SHA'],
  ['RSA', 'DHE-RSA-AES128-GCM-SHA256'],
  ['RSA', 'AES128-GCM-SHA256'],
  ['RSA', 'AES128-SHA'],
])('%s: %s is refused', async (kind, suite) => {
  await expect(connect(kind, `${suite}:@SECLEVEL=0`, 'TLSv1.2')).rejects.toThrow(/handshake failure|ECONNRESET/);
});
