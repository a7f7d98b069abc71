/**
 * The PROXY protocol, spoken by kdig (UDP, TCP) and by HAProxy (TCP, TLS). A service that knows two networks shows
 * which client the server sees.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeCertificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { eventually, run, start, type Running } from '../support/process.ts';

const { cert, key } = makeCertificate();
const FILES = {
  'pharos.yaml': [
    NO_GEOGRAPHY['pharos.yaml'],
    'listen: [{ address: "127.0.0.1:0", proxy: [127.0.0.0/8] }, "127.0.0.1:0"]',
    'tls: { listen: { address: "127.0.0.1:0", proxy: 127.0.0.0/8 }, cert: tls.pem, key: tls.pem }',
    'status: { listen: 127.0.0.1:0, token: a-token-of-this-test-only }',
    '',
  ].join('\n'),
  'small.mmdb': NO_GEOGRAPHY['small.mmdb'] ?? '',
  'tls.pem': `${cert}\n${key}`,
  'zones/example.com.yaml': [
    'zone: example.com',
    'nameservers: [ns1]',
    'records: { ns1: { A: 192.0.2.53 } }',
    'regions: { inside: { at: KR }, outside: { at: US } }',
    'services:',
    '  www:',
    '    vips: { a: { region: inside, A: 192.0.2.1 }, b: { region: outside, A: 192.0.2.2 } }',
    '    steer: [geo: { 203.0.113.0/24: inside, "2001:db8::/32": inside, default: outside }]',
    '',
  ].join('\n'),
};
const INSIDE = '192.0.2.1\n';
const OUTSIDE = '192.0.2.2\n';

let server: Running;
let proxied = '';
let plain = '';
let tls = '';
let balancer: Running;
let balancedTcp = 0;
let balancedTls = 0;
let folder: ReturnType<typeof folderOf>;
beforeAll(async () => {
  folder = folderOf(FILES);
  server = start(['serve'], { cwd: folder.path });
  const started = await server.until(
    /"listen":\["[^"]*:(\d+)","[^"]*:(\d+)"\].*"tls":\["[^"]*:(\d+)"\].*"msg":"serving"/,
  );
  [, proxied = '', plain = '', tls = ''] = started;
  balancedTcp = await freePort();
  balancedTls = await freePort();
  const scratch = join(folder.path, 'haproxy');
  mkdirSync(scratch);
  const of = (name: string, port: number, target: string): string[] => [
    `listen ${name}`,
    `  bind 127.0.0.1:${port}`,
    `  server pharos 127.0.0.1:${target} send-proxy-v2`,
  ];
  const lines = [
    'defaults',
    '  mode tcp',
    '  timeout connect 5s',
    '  timeout client 20s',
    '  timeout server 20s',
    ...of('dns', balancedTcp, proxied),
    ...of('dot', balancedTls, tls),
    '',
  ];
  writeFileSync(join(scratch, 'haproxy.cfg'), lines.join('\n'));
  balancer = start(['-db', '-f', join(scratch, 'haproxy.cfg')], { command: '/usr/sbin/haproxy' });
  await eventually(
    () => kdig(balancedTcp, '+tcp', BRIEF),
    (answer) => answer !== '',
  );
});
afterAll(async () => {
  await balancer[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

/** The last argument counts: how long to wait for an answer that may not come. */
const BRIEF = '+timeout=2';

/** What the server answers; empty without an answer. */
async function kdig(port: number | string, ...args: readonly string[]): Promise<string> {
  const fixed = ['@127.0.0.1', '-p', String(port), 'www.example.com', '+short', '+retry=0', '+timeout=60'];
  const { stdout } = await run([...fixed, ...args], { command: 'kdig' });
  return stdout.startsWith(';;') ? '' : stdout;
}

test.each(['+notcp', '+tcp'])('kdig %s: the header names the client', async (transport) => {
  expect(await kdig(proxied, transport, '+proxy=203.0.113.7#4000-127.0.0.1#53')).toBe(INSIDE);
  expect(await kdig(proxied, transport, '+proxy=198.51.100.7#4000-127.0.0.1#53')).toBe(OUTSIDE);
  expect(await kdig(proxied, transport, '+proxy=2001:db8::7#4000-2001:db8::1#53')).toBe(INSIDE);
  // The client subnet of the client counts more than its address, as without a proxy.
  expect(await kdig(proxied, transport, '+proxy=203.0.113.7#4000-127.0.0.1#53', '+subnet=198.51.100.0/24')).toBe(
    OUTSIDE,
  );
});

test.each(['+notcp', '+tcp'])(
  'kdig %s: no answer without a header, and none with one where none is expected',
  async (transport) => {
    expect(await kdig(proxied, transport, BRIEF)).toBe('');
    expect(await kdig(plain, transport, '+proxy=203.0.113.7#4000-127.0.0.1#53', BRIEF)).not.toContain(INSIDE.trim());
    expect(await kdig(plain, transport)).toBe(OUTSIDE);
  },
);

test('HAProxy passes its client, before TCP and before TLS', async () => {
  expect(await kdig(balancedTcp, '+tcp')).toBe(OUTSIDE);
  expect(await kdig(balancedTls, '+tls')).toBe(OUTSIDE);
  expect(await kdig(balancedTls, '+tls', '+subnet=203.0.113.0/24')).toBe(INSIDE);
  expect(await kdig(tls, '+tls', BRIEF)).toBe('');
});
