/**
 * EDNS options that only streams have, read by kdig: keepalive (RFC 7828) and padding (RFC 7830).
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeCertificate } from '../support/certificate.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { run, serve, type Served } from '../support/process.ts';

const { cert, key } = makeCertificate();
const FILES = {
  'pharos.yaml': [
    NO_GEOGRAPHY['pharos.yaml'],
    'listen: 127.0.0.1:0',
    'tls: { listen: 127.0.0.1:0, cert: tls.pem, key: tls.pem }',
    'status: { listen: 127.0.0.1:0 }',
    '',
  ].join('\n'),
  'small.mmdb': NO_GEOGRAPHY['small.mmdb'] ?? '',
  'tls.pem': `${cert}\n${key}`,
  'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\n',
};

let server: Served;
let tlsPort = '';
let folder: ReturnType<typeof folderOf>;
beforeAll(async () => {
  folder = folderOf(FILES);
  server = await serve([], { cwd: folder.path });
  tlsPort = (await server.until(/"tls":\["127\.0\.0\.1:(\d+)"\]/))[1] ?? '';
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

async function kdig(...args: readonly string[]): Promise<string> {
  const port = args.includes('+tls') ? tlsPort : String(server.port);
  const fixed = ['@127.0.0.1', '-p', port, 'ns1.example.com', '+retry=0', '+timeout=60', '+edns'];
  const { stdout, stderr } = await run([...fixed, ...args], { command: 'kdig' });
  expect(stderr).toBe('');
  expect(stdout).not.toContain('WARNING');
  expect(stdout).toContain('192.0.2.53');
  return stdout;
}

test('padding over TLS', async () => {
  const text = await kdig('+tls', '+padding=128');
  expect(text).toMatch(/PADDING: \d+ B/);
  expect(text).toMatch(/Received 468 B/);
});

test('no padding over TCP', async () => {
  expect(await kdig('+tcp', '+padding=128')).not.toContain('PADDING');
});

// 1024 clients are allowed, and one is connected: the idle timeout is 10 s.
test.each(['+tcp', '+tls'])('%s: keepalive is the idle timeout', async (transport) => {
  expect(await kdig(transport, '+ednsopt=11')).toMatch(/Option \(11\): 0064|KEEPALIVE: 10/);
});

test('cookies work without any configuration', async () => {
  expect(await kdig('+tcp', '+cookie')).toContain('COOKIE: ');
});
