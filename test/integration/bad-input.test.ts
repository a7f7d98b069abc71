/**
 * Every mistake of an operator at a start gives one clear message with a place and a hint and exit code 1, and nothing
 * stays half started.
 */
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { folderOf, type Files } from '../support/pharos.ts';
import { has, PHAROS, run, serve } from '../support/process.ts';

const CONFIG = 'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0 }\n';
const ZONE = 'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\n';
const good: Files = { 'pharos.yaml': CONFIG, 'zones/example.com.yaml': ZONE };
const config = (more: string): Files => ({ ...good, 'pharos.yaml': CONFIG + more });
const zoneFile = (text: string): Files => ({ ...good, 'zones/example.com.yaml': text });

const MISTAKES: readonly { what: string; files: Files; args?: string[]; says: RegExp; hint: RegExp }[] = [
  {
    what: 'an unknown key',
    files: config('worker: 2\n'),
    says: /^pharos\.yaml:3:1 error PH\d{3}: .*worker/,
    hint: /workers/,
  },
  {
    what: 'a value of the wrong kind',
    files: config('workers: many\n'),
    says: /^pharos\.yaml:3:10 error PH\d{3}: .*many/,
    hint: /auto|number/,
  },
  {
    what: 'a missing configuration',
    files: good,
    args: ['nope.yaml'],
    says: /^nope\.yaml error PH001/,
    hint: /check/,
  },
  { what: 'an empty folder', files: {}, says: /error PH031: there is neither/, hint: /zones/ },
  {
    what: 'what is not YAML',
    files: zoneFile('zone: [example.com\nrecords: {}\n'),
    says: /^zones\/example\.com\.yaml:\d+:\d+ error PH002/,
    hint: /brackets/,
  },
  {
    what: 'a region that nobody defines',
    files: zoneFile(`${ZONE}services: { www: { vips: { a: { region: seol, A: 192.0.2.1 } } } }\n`),
    says: /^zones\/example\.com\.yaml:4:\d+ error PH\d{3}: .*seol/,
    hint: /region/,
  },
  {
    what: 'an include that is not there',
    files: zoneFile(`${ZONE}include: [bulk.db]\n`),
    says: /bulk\.db/,
    hint: /./,
  },
  {
    what: 'a database that is none',
    files: { ...config('geo: { databases: [./geo.mmdb] }\n'), 'geo.mmdb': 'not an mmdb' },
    says: /^(?:pharos\.yaml|geo\.mmdb):\d+:\d+ error PH40\d/,
    hint: /./,
  },
];

describe.each(['check', 'serve'])('pharos %s', (command) => {
  test.each(MISTAKES)('$what: place, code, hint, exit code 1', async ({ files, args = [], says, hint }) => {
    using folder = folderOf(files);
    const { code, stdout, stderr } = await run([command, ...args], { cwd: folder.path });
    const report = command === 'check' ? stdout : stderr;
    expect(report).toMatch(says);
    expect(report.split('\n').slice(1).join('\n')).toMatch(hint);
    expect(stdout + stderr).not.toMatch(/\n\s+at /);
    expect(code).toBe(1);
  });
});

test('wrong usage ends with 2', async () => {
  expect(await run(['serv'])).toMatchObject({ code: 2, stderr: expect.stringContaining('serve') as string });
  expect((await run(['serve', '--nope'])).code).toBe(2);
  expect((await run([])).code).toBe(2);
});

describe('a port that is taken', () => {
  const expectInUse = async (port: number, transport: string): Promise<void> => {
    using folder = folderOf({ ...good, 'pharos.yaml': `listen: 127.0.0.1:${port}\nstatus: off\n` });
    const { code, stdout, stderr } = await run(['serve'], { cwd: folder.path });
    expect(stderr).toBe(
      `pharos: 127.0.0.1:${port} (${transport}) is in use\n` +
        `    "ss -lpn${transport === 'UDP' ? 'u' : 't'} sport = ${port}" shows the process that uses it; stop that process, or listen on another address\n` +
        '    if a server with this state_dir uses it, "pharos serve --takeover" takes over from it without losing a query\n',
    );
    expect(stdout).toBe('');
    expect(code).toBe(1);
  };

  test('for UDP only', async () => {
    const port = await freePort();
    const socket = createSocket('udp4').bind(port, '127.0.0.1');
    await once(socket, 'listening');
    await expectInUse(port, 'UDP');
    // Nothing is half started: TCP of that port is free.
    const tcp = createServer().listen(port, '127.0.0.1');
    await once(tcp, 'listening');
    tcp.close();
    socket.close();
  });

  test('for TCP only', async () => {
    const port = await freePort();
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    await expectInUse(port, 'TCP');
    const udp = createSocket('udp4').bind(port, '127.0.0.1');
    await once(udp, 'listening');
    udp.close();
    server.close();
  });

  test('by another Pharos, which continues', async () => {
    using folder = folderOf(good);
    await using first = await serve([], { cwd: folder.path });
    await expectInUse(first.port, 'UDP');
    expect((await fetch(`${first.api}/readyz`)).status).toBe(200);
  });

  test('for the status server: DNS is not served either', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    using folder = folderOf({
      ...good,
      'pharos.yaml': `listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:${port} }\n`,
    });
    const { code, stdout, stderr } = await run(['serve'], { cwd: folder.path });
    expect(stderr).toMatch(new RegExp(`^pharos: 127\\.0\\.0\\.1:${port} \\(TCP\\) is in use\\n {4}\\S`));
    expect(stdout).not.toContain('serving');
    expect(code).toBe(1);
    server.close();
  });
});

/** A sandbox may allow every user to bind every port. */
function firstFreeForAll(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
  } catch {
    return 1024;
  }
}
const isRoot = process.getuid?.() === 0;
const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all', '--bounding-set=-all'];
const canDrop = isRoot && has('setpriv') && spawnSync('setpriv', [...nobody, 'test', '-x', PHAROS]).status === 0;

test.skipIf(firstFreeForAll() <= 53 || !(canDrop || !isRoot))('no permission for port 53', async () => {
  using folder = folderOf({ ...good, 'pharos.yaml': 'listen: 127.0.0.1:53\nstatus: off\n' });
  chmodSync(folder.path, 0o755);
  const { code, stderr } = canDrop
    ? await run([...nobody, PHAROS, 'serve'], { cwd: folder.path, command: 'setpriv' })
    : await run(['serve'], { cwd: folder.path });
  expect(stderr).toMatch(/^pharos: no permission for port 53: cannot listen on 127\.0\.0\.1:53 \(UDP\)\n {4}\S/);
  expect(code).toBe(1);
});
