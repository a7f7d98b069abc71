/**
 * `host: www.example.com.`, with the final dot that names have in zone files, was put into SNI and the Host header
 * unchanged. SNI has no final dot (RFC 6066 3): servers refused the handshake, and healthy VIPs were down.
 */
import dns from 'node:dns';
import { createSecureServer } from 'node:http2';
import { createServer } from 'node:https';
import { syncBuiltinESMExports } from 'node:module';
import type { PeerCertificate } from 'node:tls';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { apiAt } from '../../../cli/api-client.ts';
import { headers, host } from '../../../config/check-fields.ts';
import type { CheckSpec } from '../../../config/check-kinds.ts';
import { createReport, formatDiagnostic } from '../../../config/diagnostics.ts';
import type { Read } from '../../../config/fields.ts';
import { urlWithoutFinalDot } from '../../../config/host-name.ts';
import { parseYaml } from '../../../config/parse-yaml.ts';
import { runProbe } from '../../../health/checks/run-probe.ts';
import { tlsOptions } from '../../../health/checks/tls-options.ts';
import {
  grpcCheck,
  httpCheck,
  listen,
  never,
  selfSigned,
  tlsCheck,
  type TestServer,
} from '../../unit/health/support.ts';

const seen: { sni: string[]; host: string[] } = { sni: [], host: [] };
let https: TestServer;
let http2: TestServer;
beforeAll(async () => {
  // Resolvers differ in whether they know `localhost.`. Another test may have loaded the modules that ask them.
  const found = (_: string, { all }: { all?: boolean }, done: (...found: readonly unknown[]) => void): void => {
    if (all === true) done(null, [{ address: '127.0.0.1', family: 4 }]);
    else done(null, '127.0.0.1', 4);
  };
  vi.spyOn(dns, 'lookup').mockImplementation(found as typeof dns.lookup);
  syncBuiltinESMExports();
  const options = {
    ...selfSigned('DNS:localhost'),
    SNICallback: (name: string, done: (error: Error | null) => void) => {
      seen.sni.push(name);
      done(null);
    },
  };
  https = await listen(
    createServer(options, (request, response) => {
      seen.host.push(request.headers.host ?? '');
      response.end();
    }),
  );
  http2 = await listen(
    createSecureServer(options, (request, response) => {
      seen.host.push(String(request.headers[':authority']));
      response.end();
    }),
  );
});
afterAll(async () => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
  await https.close();
  await http2.close();
});

function read<T>(reader: Read<T>, text: string): T | string[] {
  const report = createReport();
  const node = parseYaml('pharos.yaml', text, {}, report);
  const value = node && reader(node, 'host', report);
  return value ?? report.diagnostics.map(formatDiagnostic);
}

test.each([
  ['www.example.com.', 'www.example.com'],
  ['www.example.com', 'www.example.com'],
  ['192.0.2.1', '192.0.2.1'],
  ['localhost.', 'localhost'],
])('host: %s is read as %s', (text, wanted) => {
  expect(read(host, `"${text}"`)).toBe(wanted);
});

test.each(['.', '..', 'www..example', 'www.example..', `${'x'.repeat(64)}.example`])('host: %s is an error', (text) => {
  expect(read(host, `"${text}"`)).toEqual([expect.stringContaining('PH047')]);
});

test('a Host among the headers', () => {
  const text = '{ Host: "www.example.com.:8443", host: www.example.com., X-Name: www.example.com. }';
  const found = read(headers, text).map((each) => (typeof each === 'string' ? each : [each.name, each.value]));
  expect(found).toEqual([
    ['Host', 'www.example.com:8443'],
    ['host', 'www.example.com'],
    ['X-Name', 'www.example.com.'],
  ]);
});

test.each([
  ['https', httpCheck({ kind: 'https', insecure: true }) as CheckSpec, () => https.port],
  ['tls', tlsCheck({ insecure: true }) as CheckSpec, () => https.port],
  ['grpc', grpcCheck({ tls: true, insecure: true }) as CheckSpec, () => http2.port],
])('%s: a target with a final dot is resolved with it, and named without it', async (kind, spec, port) => {
  seen.sni = [];
  seen.host = [];
  await runProbe({ host: 'localhost.', port: port() }, spec, never);
  expect(seen.sni).toEqual(['localhost']);
  if (kind !== 'tls') expect(seen.host).toEqual([`localhost:${String(port())}`]);
});

test('the certificate must be valid for the name without the dot', () => {
  const { servername, checkServerIdentity } = tlsOptions('192.0.2.1', { host: 'www.example.com.', insecure: false });
  expect(servername).toBe('www.example.com');
  const certificate = { subject: { CN: 'www.example.com' }, subjectaltname: 'DNS:www.example.com' };
  expect(checkServerIdentity?.('', certificate as unknown as PeerCertificate)).toBeUndefined();
});

test.each([
  ['https://hooks.example.net./a?b=c.', 'https://hooks.example.net/a?b=c.'],
  ['https://hooks.example.net.:8443/a', 'https://hooks.example.net:8443/a'],
  ['https://hooks.example.net', 'https://hooks.example.net'],
])('the URL %s', (url, wanted) => {
  expect(urlWithoutFinalDot(url)).toBe(wanted);
});

test('--api', () => {
  expect(apiAt('https://pharos.example.com.:8053/', undefined)).toEqual({
    ok: true,
    api: { url: 'https://pharos.example.com:8053', token: undefined },
  });
});
