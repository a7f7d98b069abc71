/**
 * Regional front ends as targets of Pharos, with the files of deploy/front-ends: nginx for Seoul, HAProxy for Virginia.
 * LVS needs a kernel with ip_vs, so its file is only read by keepalived.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { dig, eventually, has, PHAROS, ROOT, serve, start } from '../support/process.ts';

const FILES = `${ROOT}deploy/front-ends`;
const [SEOUL, VIRGINIA] = ['203.0.113.10', '198.51.100.10'];

/** The application of a region: it answers `/slow` when it is told to. */
async function startApp() {
  const waiting: (() => void)[] = [];
  const server = createServer((request, response) => {
    if (request.url === '/slow') waiting.push(() => void response.end('done'));
    else response.end('ok');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    at: `127.0.0.1:${typeof address === 'object' ? String(address?.port) : ''}`,
    waiting,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      if (server.listening) await once(server, 'close');
    },
  };
}

/** The files of deploy/front-ends with ports of this machine. */
function localFiles(folder: string, apps: readonly [string, string], ports: readonly [number, number]) {
  const nginx = readFileSync(join(FILES, 'nginx.conf'), 'utf8')
    .replace('10.1.0.11:8080', apps[0])
    .replace(/ +server 10\.1\.0\.12.*\n/, '')
    .replace('listen 80;', `listen 127.0.0.1:${ports[0]};`)
    .replaceAll('/run/pharos-drain', join(folder, 'drain'));
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  );
  const haproxy = readFileSync(join(FILES, 'haproxy.cfg'), 'utf8')
    .replace('10.1.0.11:8080', apps[1])
    .replace(/ +server app2.*\n/, '')
    .replace('bind :80', `bind 127.0.0.1:${ports[1]}`)
    .replaceAll('/run/haproxy/admin.sock', join(folder, 'admin.sock'));
  return {
    'nginx-main.conf': `daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr warn;
events { worker_connections 64; }
http { access_log off; ${paths.join(' ')} include ${folder}/nginx.conf; }
`,
    'nginx.conf': nginx,
    'haproxy.cfg': haproxy,
  };
}

const settings = (token: string, ports: readonly [number, number]) => ({
  ...NO_GEOGRAPHY,
  'pharos.yaml': `${String(NO_GEOGRAPHY['pharos.yaml'])}listen: 127.0.0.1:0
workers: 1
status: { listen: "127.0.0.1:0", token: ${token} }
health: { suspect: 100% }
`,
  'zones/example.com.yaml': `zone: example.com
nameservers: [ns1]
records: { ns1: { A: 192.0.2.53 } }
regions: { seoul: {}, virginia: {} }
checks: { web: { type: http, path: /health, host: www.example.com, interval: 1s, fast: 100ms, fall: 2, rise: 2 } }
services:
  www:
    ttl: 1
    check: web
    vips:
      seoul-a: { region: seoul, A: ${SEOUL}, probe: "127.0.0.1:${ports[0]}" }
      virginia-a: { region: virginia, A: ${VIRGINIA}, probe: "127.0.0.1:${ports[1]}" }
    steer: [{ failover: [seoul, virginia] }]
`,
});

async function fetchPage(port: number, path: string): Promise<{ status: number; body: string }> {
  const request = get({ host: '127.0.0.1', port, path, agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, body: await text(response) };
}

/** A command on HAProxy's socket. */
async function tell(socket: string, command: string): Promise<string> {
  const connection = connect(socket);
  connection.end(`${command}\n`);
  return text(connection);
}

describe.skipIf(!['nginx', 'haproxy', 'dig'].every(has))('regional front ends', () => {
  test('are drained by themselves, by Pharos, or together, and a request in flight is finished', async () => {
    await using seoul = await startApp();
    await using virginia = await startApp();
    const ports = [await freePort(), await freePort()] as const;
    const token = 'front-ends-of-two-regions';
    using folder = folderOf(settings(token, ports));
    for (const [name, content] of Object.entries(localFiles(folder.path, [seoul.at, virginia.at], ports))) {
      writeFileSync(join(folder.path, name), content);
    }
    await using nginx = start(['-c', join(folder.path, 'nginx-main.conf'), '-e', 'stderr'], { command: 'nginx' });
    await using haproxy = start(['-db', '-f', join(folder.path, 'haproxy.cfg')], { command: 'haproxy' });
    for (const port of ports) {
      const health = (): Promise<number> =>
        fetchPage(port, '/health').then(
          ({ status }) => status,
          () => 0,
        );
      await eventually(health, (status) => status === 200);
    }
    await using server = await serve([], { cwd: folder.path });
    const answers = (address: string): Promise<number> =>
      eventually(
        () => dig(server.port, 'www.example.com'),
        (answer) => answer === address,
      );
    await answers(SEOUL);

    // The front end drains itself: its health check fails, and it still serves those who have its address.
    writeFileSync(join(folder.path, 'drain'), '');
    await answers(VIRGINIA);
    expect(await fetchPage(ports[0], '/')).toEqual({ status: 200, body: 'ok' });
    rmSync(join(folder.path, 'drain'));
    await answers(SEOUL);

    // No server of the region answers: the front end is there, and its health check fails.
    await seoul[Symbol.asyncDispose]();
    await answers(VIRGINIA);

    // The same switch of HAProxy. Both regions are down now: answers go on as if both were up.
    const admin = join(folder.path, 'admin.sock');
    await tell(admin, 'disable server drain/switch');
    await answers(SEOUL);
    expect(await fetchPage(ports[1], '/health')).toEqual({ status: 503, body: 'draining' });
    expect(await fetchPage(ports[1], '/')).toEqual({ status: 200, body: 'ok' });
    await tell(admin, 'enable server drain/switch');
    await answers(VIRGINIA);
    await nginx.stop();

    // Together: first the answers, then, when those have expired, the connections.
    const slow = fetchPage(ports[1], '/slow');
    await eventually(
      () => Promise.resolve(virginia.waiting.length),
      (length) => length === 1,
    );
    const drain = start(['drain', 'www.example.com/@virginia', '--force', '--wait', '--api', server.api], {
      command: PHAROS,
      env: { PHAROS_TOKEN: token },
    });
    expect(await drain.finished).toMatchObject({ code: 0 });
    haproxy.child.kill('SIGUSR1');
    const refused = (): Promise<boolean> =>
      fetchPage(ports[1], '/').then(
        () => false,
        () => true,
      );
    await eventually(refused, (isRefused) => isRefused);
    virginia.waiting[0]?.();
    expect(await slow).toEqual({ status: 200, body: 'done' });
    await haproxy.finished;
  });
});

describe.skipIf(!has('keepalived'))('keepalived reads', () => {
  /** What it has to say about a file. It ends itself by a signal, so the output decides. */
  const mistakesIn = (file: string): string => {
    const options = { encoding: 'utf8', timeout: PATIENCE_MS } as const;
    const { stdout, stderr } = spawnSync(
      'setsid',
      ['--wait', 'keepalived', '--config-test', '--log-console', '-f', file],
      options,
    );
    return `${stdout}${stderr}`.replace(/^Terminated\n/m, '');
  };

  test.each(['front-ends/keepalived-lvs.conf', 'keepalived/keepalived.conf'])('%s', (name) => {
    const file = `${ROOT}deploy/${name}`;
    expect(mistakesIn(file).replaceAll(/^.*WARNING - (?:script|default user).*\n/gm, '')).toBe('');
    using folder = folderOf({ 'broken.conf': readFileSync(file, 'utf8').replace('advert_int', 'advert_time') });
    expect(mistakesIn(join(folder.path, 'broken.conf'))).toContain("Unknown keyword 'advert_time'");
  });
});
