/**
 * DNS over TLS with independent programs: certificates of openssl, queries by kdig, handshakes by `openssl s_client`
 * (Debian: openssl, knot-dnsutils).
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeMessage, encodeQuery, T } from '../support/message.ts';
import { folderOf } from '../support/pharos.ts';
import { eventually, has, run, serve, type Served } from '../support/process.ts';
import { framed, tlsClient } from '../unit/server/client.ts';

const CONFIG = [
  'listen: 127.0.0.1:0',
  'tls: { listen: [127.0.0.1:0, "[::1]:0"], cert: tls.pem, key: tls.key }',
  'status: { listen: 127.0.0.1:0, token: secret }',
].join('\n');
const ZONE = 'zone: example.com\nnameservers: [ns1]\nrecords:\n  ns1: { A: 192.0.2.53 }\n';
const many = Array.from({ length: 120 }, (_, index) => `    - ${String(index).padStart(100, 'x')}`);
const FILES = {
  'pharos.yaml': CONFIG,
  'zones/example.com.yaml': [ZONE, '  www: { A: 192.0.2.80 }', '  long:', '   TXT:', ...many, ''].join('\n'),
};

function openssl(folder: string, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

/** A certificate of a new authority: `NAME.ca.pem`, `NAME.pem`, `NAME.key`. */
function certify(folder: string, name: string, dns: string): void {
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const authority = ['-x509', ...ec, '-keyout', `${name}.ca.key`, '-out', `${name}.ca.pem`, '-subj', `/CN=${name} CA`];
  openssl(folder, 'req', ...authority);
  const signed = ['-CA', `${name}.ca.pem`, '-CAkey', `${name}.ca.key`, '-addext', `subjectAltName=DNS:${dns}`];
  const own = ['-x509', ...ec, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${dns}`, ...signed];
  openssl(folder, 'req', ...own);
}

function install(folder: string, name: string): void {
  for (const kind of ['pem', 'key']) copyFileSync(join(folder, `${name}.${kind}`), join(folder, `tls.${kind}`));
}

/** A folder with two certificates, and a server with the first of them. */
async function serving() {
  const folder = folderOf(FILES);
  certify(folder.path, 'one', 'ns1.example.com');
  certify(folder.path, 'two', 'ns2.example.com');
  install(folder.path, 'one');
  const server = await serve([], { cwd: folder.path });
  const [, v4 = '', v6 = ''] = await server.until(/"tls":\["127\.0\.0\.1:(\d+)","\[::1\]:(\d+)"\]/);
  return {
    server,
    path: folder.path,
    v4,
    v6,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

/** The output of kdig over TLS for `www.example.com`. */
async function kdig(port: string, ...more: readonly string[]): Promise<string> {
  const fixed = ['@127.0.0.1', '-p', port, '+tls', '+retry=0', '+timeout=60'];
  const { stdout, stderr } = await run([...fixed, ...more], { command: 'kdig' });
  return `${stdout}${stderr}`;
}

async function reload(server: Served): Promise<number> {
  const response = await fetch(`${server.api}/api/v1/reload`, {
    method: 'POST',
    headers: { authorization: 'Bearer secret' },
  });
  return response.status;
}

async function metrics({ api }: Served): Promise<string> {
  return (await fetch(`${api}/metrics`)).text();
}

describe.skipIf(!has('kdig') || !has('openssl'))('pharos serve with tls', () => {
  let running: Awaited<ReturnType<typeof serving>>;
  beforeAll(async () => {
    running = await serving();
  });
  afterAll(async () => {
    expect((await running.server.stop()).code).toBe(0);
    await running[Symbol.asyncDispose]();
  });

  test('kdig gets the answer, and verifies the certificate', async () => {
    const { v4, path, server } = running;
    expect(await kdig(v4, 'www.example.com')).toMatch(
      /TLS session \(TLS1\.3\)[\s\S]*status: NOERROR[\s\S]*192\.0\.2\.80/,
    );
    const verified = [`+tls-ca=${join(path, 'one.ca.pem')}`, 'www.example.com'];
    expect(await kdig(v4, '+tls-hostname=ns1.example.com', ...verified)).toContain('192.0.2.80');
    expect(await kdig(v4, '+tls-hostname=ns2.example.com', ...verified)).not.toContain('192.0.2.80');
    // More than UDP carries, so the answerer must know that this is a stream.
    const long = await kdig(v4, 'long.example.com', 'TXT');
    expect(long).toMatch(/status: NOERROR/);
    expect(long).toMatch(/ANSWER: 120/);
    expect(long).not.toMatch(/Flags:[^;]* tc/);
    const status = (await (await fetch(`${server.api}/api/v1/status`)).json()) as { listen_tls: string[] };
    expect(status.listen_tls).toEqual(['127.0.0.1:0', '[::1]:0']);
    expect(await metrics(server)).toMatch(/pharos_queries_total\{transport="tls",family="ipv4"\} [1-9]/);
  });

  test('one connection takes several queries, also over IPv6', async () => {
    const names = ['www.example.com', 'ns1.example.com', 'nowhere.example.com'];
    const both = await kdig(running.v4, '+keepopen', ...names);
    expect(both.match(/status: (NOERROR|NXDOMAIN)/g)).toHaveLength(3);
    const { stdout } = await run(['@::1', '-p', running.v6, '+tls', '+short', 'www.example.com'], { command: 'kdig' });
    expect(stdout.trim()).toBe('192.0.2.80');
  });

  test.each([
    ['-tls1_2', 'TLSv1.2'],
    ['-tls1_3', 'TLSv1.3'],
  ])('openssl s_client %s -alpn dot: agreed, with a strong cipher', (flag, version) => {
    const connect = ['s_client', '-connect', `127.0.0.1:${running.v4}`, '-servername', 'any.example.net'];
    const client = spawnSync('openssl', [...connect, flag, '-alpn', 'dot'], { input: '', encoding: 'utf8' });
    expect(client.stdout).toContain('ALPN protocol: dot');
    expect(client.stdout).toMatch(new RegExp(`New, ${version.replace('.', '\\.')}, Cipher is .*(GCM|POLY1305)`));
    expect(client.stdout).not.toMatch(/Compression: (?!NONE)/);
  });

  test.each([
    ['TLS 1.1', ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0']],
    ['only another protocol', ['-alpn', 'h2']],
  ])('%s is refused', (_title, flags) => {
    const connect = ['s_client', '-connect', `127.0.0.1:${running.v4}`, ...flags];
    const client = spawnSync('openssl', connect, { input: '', encoding: 'utf8' });
    expect(client.status).not.toBe(0);
    expect(client.stdout).not.toContain('BEGIN CERTIFICATE');
  });

  test('renegotiation is refused', async () => {
    const connect = ['s_client', '-connect', `127.0.0.1:${running.v4}`, '-tls1_2', '-msg'];
    const client = spawnSync('openssl', connect, { input: 'R\n', encoding: 'utf8' });
    expect(`${client.stdout}${client.stderr}`).toMatch(/RENEGOTIATING[\s\S]*no.renegotiation/i);
    expect(await kdig(running.v4, '+short', 'www.example.com')).toContain('192.0.2.80');
  });

  test('a reload applies a new certificate, rejects a bad one, and cuts no connection', async () => {
    await using own = await serving();
    const { path, server, v4 } = own;
    const holds = async (name: 'one' | 'two'): Promise<boolean> => {
      const host = name === 'one' ? 'ns1.example.com' : 'ns2.example.com';
      const verify = [`+tls-ca=${join(path, `${name}.ca.pem`)}`, `+tls-hostname=${host}`, '+short', 'www.example.com'];
      return (await kdig(v4, ...verify)).trim() === '192.0.2.80';
    };
    using open = await tlsClient({ host: '127.0.0.1', port: Number(v4) });
    const ask = async (): Promise<number | undefined> => {
      open.socket.write(framed(encodeQuery('www.example.com', T.A)));
      const response = await open.receive();
      return response && decodeMessage(response).answer.length;
    };
    expect(await ask()).toBe(1);
    expect([await holds('one'), await holds('two')]).toEqual([true, false]);

    install(path, 'two');
    expect(await reload(server)).toBe(200);
    expect([await holds('one'), await holds('two')]).toEqual([false, true]);

    copyFileSync(join(path, 'one.key'), join(path, 'tls.key'));
    expect(await reload(server)).toBe(422);
    expect(server.stdout()).toContain('PH063');
    expect(await holds('two')).toBe(true);
    expect(await metrics(server)).toContain('pharos_config_last_reload_successful 0');

    install(path, 'one');
    server.child.kill('SIGHUP');
    await eventually(() => holds('one'), Boolean);
    expect(await ask()).toBe(1);

    writeFileSync(
      join(path, 'pharos.yaml'),
      CONFIG.replace('listen: [127.0.0.1:0, "[::1]:0"]', 'listen: 127.0.0.1:1853'),
    );
    expect(await reload(server)).toBe(200);
    expect(server.stdout()).toContain('tls.listen changed in the configuration: this takes effect at the next start');
    expect(await ask()).toBe(1);
  });

  test.skipIf(!has('dnsperf'))('dnsperf loses nothing over several connections', async () => {
    using queries = folderOf({ queries: 'www.example.com A\nlong.example.com TXT\nnowhere.example.com A\n' });
    const where = ['-m', 'dot', '-s', '127.0.0.1', '-p', running.v4, '-d', join(queries.path, 'queries')];
    const { stdout } = await run([...where, '-c', '8', '-T', '1', '-n', '1000'], { command: 'dnsperf' });
    expect(stdout).toMatch(/Queries completed:\s+3000 /);
    expect(stdout).toMatch(/Queries lost:\s+0 /);
  });

  test('check and serve say what is wrong with the files', async () => {
    using folder = folderOf(FILES);
    for (const command of ['check', 'serve']) {
      const { code, stdout, stderr } = await run([command], { cwd: folder.path });
      expect(code).toBe(1);
      expect(`${stdout}${stderr}`).toMatch(/pharos\.yaml:2:\d+ error PH060: the certificate tls\.pem cannot be read/);
      expect(`${stdout}${stderr}`).toMatch(/PH060: the key tls\.key cannot be read: there is no such file/);
    }
  });
});
