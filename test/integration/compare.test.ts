/**
 * `pharos compare` as a command, between servers that run: what it finds, where its names come from, and its exit
 * codes.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { folderOf, NO_GEOGRAPHY, type Files } from '../support/pharos.ts';
import { has, run, type Finished } from '../support/process.ts';
import { runDaemon, runNsd, runPharos, type Running } from '../support/run.ts';

const ZONE = `zone: example.com
ttl: 300
nameservers: [ns1]
soa: { serial: 7 }
regions: { seoul: { at: KR }, dublin: { at: IE } }
records:
  ns1: { A: 192.0.2.53 }
  mail: { A: [192.0.2.25, 192.0.2.26], MX: 10 mail }
  "*.dev": { TXT: hello }
  a.b.c: { A: 192.0.2.1 }
  only: { A: 192.0.2.2 }
  sub: { NS: [ns.sub] }
  ns.sub: { A: 192.0.2.60 }
  large: { TXT: [${Array.from({ length: 12 }, (_, index) => `"${String(index).padStart(200, 'x')}"`).join(', ')}] }
services:
  www:
    ttl: 20
    vips:
      a: { region: seoul, A: 203.0.113.10, weight: 4 }
      b: { region: seoul, A: 203.0.113.11 }
      d: { region: dublin, A: 203.0.113.20 }
    steer: [{ geo: { KR: seoul, default: dublin } }, weighted]
`;

function files(zone: string): Files {
  return { ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone };
}

function addressOf({ endpoints }: Running): string {
  const [endpoint] = endpoints;
  return `127.0.0.1:${endpoint?.port ?? 0}`;
}

type Document = {
  readonly same: boolean;
  readonly clients: number;
  readonly names: number;
  readonly varying: number;
  readonly differences: readonly {
    readonly kind: string;
    readonly name: string;
    readonly type: string;
    readonly a: string;
    readonly b: string;
    readonly client: string | null;
  }[];
};

async function compare(
  servers: readonly Running[],
  ...args: string[]
): Promise<Pick<Finished, 'code'> & { readonly document: Document }> {
  const addresses = servers.flatMap((server) => ['--server', addressOf(server)]);
  const { code, stdout, stderr } = await run([
    'compare',
    ...addresses,
    'example.com',
    '--json',
    '--timeout',
    '10s',
    ...args,
  ]);
  expect(stderr).toBe('');
  return { code, document: JSON.parse(stdout) as Document };
}

describe('between two servers of Pharos', () => {
  test('equal ones have no difference, although answers vary and some need TCP', async () => {
    using folder = folderOf(files(ZONE));
    await using one = await runPharos(files(ZONE));
    await using two = await runPharos(files(ZONE));
    const { code, document } = await compare([one, two], '--config', `${folder.path}/pharos.yaml`);
    expect(document).toMatchObject({ same: true, differences: [], clients: 1 });
    expect(document.varying).toBeGreaterThanOrEqual(1);
    expect(code).toBe(0);
  });

  test('every change is found, with its kind', async () => {
    const changed = ZONE.replace('192.0.2.26', '192.0.2.27')
      .replace(/ {2}only.*\n/, '')
      .replace('weight: 4', 'weight: 1')
      .replace('192.0.2.60', '192.0.2.61')
      .replace('MX: 10 mail', 'ttl: 60, MX: 10 mail')
      .replace('serial: 7', 'serial: 8')
      .replace('KR: seoul, default: dublin', 'default: dublin')
      .replace('steer: [', 'answers: 1\n    steer: [');
    using folder = folderOf({ ...files(ZONE), clients: '192.0.2.1 # in Korea\n198.51.100.1\n' });
    await using one = await runPharos(files(ZONE));
    await using two = await runPharos(files(changed));
    const { code, document } = await compare(
      [one, two],
      '--config',
      `${folder.path}/pharos.yaml`,
      '--clients',
      `${folder.path}/clients`,
    );
    const found = document.differences.map(({ kind, name, type, a, b }) => [kind, name, type, a, b].join(' | '));
    expect(found).toEqual(
      expect.arrayContaining([
        'name | only.example.com | A | 192.0.2.2 | NXDOMAIN',
        'records | mail.example.com | A | 192.0.2.25, 192.0.2.26 | 192.0.2.25, 192.0.2.27',
        'ttl | mail.example.com | MX | TTL of MX 300 | TTL of MX 60',
        'glue | sub.example.com | NS | 192.0.2.60 | 192.0.2.61',
        'serial | example.com | SOA | serial 7 | serial 8',
      ]),
    );
    const steered = document.differences.filter(({ name, kind }) => name === 'www.example.com' && kind === 'choices');
    expect(steered[0]).toMatchObject({
      a: '203.0.113.10, 203.0.113.11',
      b: '203.0.113.20',
      client: '192.0.2.0/24 (in Korea)',
    });
    expect(code).toBe(1);
    const few = await compare(
      [one, two],
      '--config',
      `${folder.path}/zones/example.com.yaml`,
      '--ignore',
      'serial,ttl,scope',
      '--sample',
      '0',
    );
    expect(few.document.differences.map(({ kind }) => kind)).not.toEqual(expect.arrayContaining(['serial']));
    expect(few.document.clients).toBe(0);
  });

  test('other weights are found by the shares of answers', async () => {
    using folder = folderOf({ ...files(ZONE), clients: '192.0.2.1\n' });
    await using one = await runPharos(files(ZONE));
    await using two = await runPharos(files(ZONE.replace('weight: 4', 'weight: 1')));
    const { code, document } = await compare(
      [one, two],
      '--config',
      `${folder.path}/pharos.yaml`,
      '--clients',
      `${folder.path}/clients`,
      '--repeat',
      '400',
    );
    expect(new Set(document.differences.map(({ kind, name }) => `${kind} ${name}`.toLowerCase()))).toEqual(
      new Set(['shares www.example.com']),
    );
    expect(code).toBe(1);
  });
});

const MASTER = `$TTL 300
@ SOA ns1 host 7 7200 1800 1209600 60
@ NS ns1
ns1 A 192.0.2.53
www A 192.0.2.1
`;

describe.skipIf(!has('nsd'))('between servers of others', () => {
  test('NSD: names of a master file, and of a transfer with a key', async () => {
    const secret = Buffer.from('a secret for the transfer').toString('base64');
    using folder = folderOf({ db: MASTER });
    await using one = await runNsd({ 'example.com': MASTER });
    await using two = await runDaemon({
      command: ['/usr/sbin/nsd', '-d', '-c'],
      zones: { 'example.com': `${MASTER}more A 192.0.2.2\n` },
      configure: (path, port) => [
        'server:',
        `  ip-address: 127.0.0.1@${port}`,
        ...['server-count: 1', 'username: ""', 'chroot: ""', 'database: ""', 'verbosity: 2'].map((line) => `  ${line}`),
        ...[
          `zonesdir: "${path}"`,
          `pidfile: "${path}/pid"`,
          `xfrdfile: "${path}/xfrd"`,
          `zonelistfile: "${path}/list"`,
          `xfrdir: "${path}"`,
        ].map((line) => `  ${line}`),
        'remote-control:',
        '  control-enable: no',
        'key:',
        ...['name: mover', 'algorithm: hmac-sha512', `secret: "${secret}"`].map((line) => `  ${line}`),
        'zone:',
        ...['name: example.com', 'zonefile: example.com.zone', 'provide-xfr: 127.0.0.1 mover'].map(
          (line) => `  ${line}`,
        ),
      ],
      isReady: (output) => /nsd started/.test(output),
      isBroken: (output) => /error/.test(output),
    });
    const master = await compare([one, two], '--file', `${folder.path}/db`, '--sample', '0');
    expect(master).toMatchObject({ code: 0, document: { same: true, names: 3 } });
    const servers = [one, two].flatMap((server) => ['--server', addressOf(server)]);
    const moved = await run(['compare', ...servers, 'example.com', '--axfr', '--sample', '0', '--json'], {
      env: { PHAROS_TSIG: `hmac-sha512:mover:${secret}` },
    });
    expect(moved.stderr).toMatch(/no transfer of example\.com from 127\.0\.0\.1:\d+: (?:REFUSED|NOTAUTH)/);
    const document = JSON.parse(moved.stdout) as Document;
    expect(document.differences).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ kind: 'name', name: 'more.example.com', type: 'A', a: 'NXDOMAIN', b: '192.0.2.2' }),
      ]),
    );
    const wrong = await run(['compare', ...servers, 'example.com', '--axfr', '--tsig', `mover:${secret}`]);
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
  });
});

describe('what cannot be compared', () => {
  test.each<[title: string, args: readonly string[], code: number, error: RegExp]>([
    ['one server', ['--server', '127.0.0.1', 'example.com', '--axfr'], 2, /two servers are needed/],
    [
      'no names',
      ['--server', '127.0.0.1', '--server', '127.0.0.2', 'example.com'],
      2,
      /--config FILE, --file FILE, or --axfr/,
    ],
    ['an unknown kind', ['--ignore', 'order', 'example.com'], 2, /Expected kinds/],
    ['a key without a secret', ['--axfr', '--tsig', 'mover', 'example.com'], 2, /invalid key for --tsig/],
    ['no zone', [], 2, /missing required argument/],
    [
      'nothing listens',
      ['--server', '127.0.0.1:9', '--server', '127.0.0.1:9', 'example.com', '--axfr'],
      1,
      /cannot reach 127\.0\.0\.1:9/,
    ],
    [
      'a name without an address',
      ['--server', 'x.invalid', '--server', '127.0.0.1', 'example.com', '--axfr'],
      1,
      /cannot find the address of x\.invalid/,
    ],
  ])('%s', async (_title, args, code, error) => {
    const finished = await run(['compare', ...args]);
    expect(finished.stderr).toMatch(error);
    expect(finished).toMatchObject({ code, stdout: '' });
  });

  test('a server that stops in between', async () => {
    await using one = await runPharos(files(ZONE));
    const silent = createSocket('udp4');
    silent.once('message', (message, { port, address }) => {
      message.writeUInt16BE(0x8400, 2);
      silent.send(message, port, address);
    });
    silent.bind(0, '127.0.0.1');
    await once(silent, 'listening');
    using folder = folderOf(files(ZONE));
    const args = ['--server', addressOf(one), '--server', `127.0.0.1:${silent.address().port}`];
    const { code, stdout } = await run([
      'compare',
      ...args,
      'example.com',
      '--config',
      `${folder.path}/pharos.yaml`,
      '--timeout',
      '20ms',
    ]);
    silent.close();
    expect(stdout).toMatch(
      /B 127\.0\.0\.1:\d+ no longer answers \(no response within 0\.06 s\): the comparison ended early/,
    );
    expect(code).toBe(1);
  });
});
