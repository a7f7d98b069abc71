/**
 * An `https` check of a port that speaks plain HTTP gave OpenSSL's own line as the reason, with its numbers, files and
 * line break: `write EPROTO 4093A4B4697F0000:error:0A00010B:SSL routines:tls_validate_record_header:wrong version ...`.
 * And the reason listed all names of a certificate, perhaps thousands.
 */
import { createServer } from 'node:http';
import * as https from 'node:https';
import * as tls from 'node:tls';
import { afterAll, expect, test } from 'vitest';
import type { CheckSpec } from '../../../config/check-kinds.ts';
import { runProbe } from '../../../health/checks/run-probe.ts';
import { grpcCheck, httpCheck, listen, never, selfSigned, tlsCheck } from '../../unit/health/support.ts';

const trusted = tls.getCACertificates('default');
afterAll(() => {
  tls.setDefaultCACertificates(trusted);
});

async function reasonsOf(server: Parameters<typeof listen>[0], checks: readonly CheckSpec[]): Promise<string[]> {
  const served = await listen(server);
  try {
    const results = checks.map((check) => runProbe({ host: '127.0.0.1', port: served.port }, check, never));
    return (await Promise.all(results)).map(({ reason }) => reason);
  } finally {
    await served.close();
  }
}

test('plain HTTP where TLS or gRPC is expected, in words', async () => {
  const server = createServer((_, response) => response.end());
  const checks = [httpCheck({ kind: 'https' }), tlsCheck(), grpcCheck({ tls: true }), grpcCheck()];
  const [last, ...others] = (await reasonsOf(server, checks)).reverse();
  expect(others).toEqual(Array.from({ length: 3 }, () => 'TLS failed (wrong version number)'));
  expect(last).toBe('not HTTP/2 (protocol error)');
});

test('for a certificate with other names, the reason names three of them', async () => {
  const names = Array.from({ length: 50 }, (_, index) => `DNS:n${index}.example.net`);
  const certificate = selfSigned(names.join(','));
  tls.setDefaultCACertificates([certificate.cert]);
  const server = https.createServer(certificate, (_, response) => response.end());
  const host = 'www.example.com';
  expect(await reasonsOf(server, [httpCheck({ kind: 'https', host }), tlsCheck({ host })])).toEqual(
    Array.from({ length: 2 }, () => `certificate: it is for n0.example.net, n1.example.net, n2.example.net and 47 more, not for ${host}`),
  ); // prettier-ignore
});
