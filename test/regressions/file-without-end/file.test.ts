/**
 * If a configuration file was a pipe, a device or a socket, the compile thread waited for it without end, every later
 * reload waited for that one, and SIGTERM did not end the server. A file that is not a regular file is now an error at
 * once, wherever it is named.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { folderOf } from '../../support/pharos.ts';
import { run as pharos, serve } from '../../support/process.ts';

const ZONE = 'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\n';
const files = {
  'pharos.yaml': 'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: secret }\nfiles: anywhere\n',
  'zones/example.com.yaml': ZONE,
};
const pipe = (path: string): void => {
  execFileSync('mkfifo', [path]);
};
const device = (path: string): void => {
  symlinkSync('/dev/zero', path);
};

const headers = { authorization: 'Bearer secret' };

describe.each([
  ['pipe', pipe],
  ['device', device],
])('a %s', (what, make) => {
  test('in place of a zone, a reload is rejected, and neither the next reload nor SIGTERM waits for it', async () => {
    using folder = folderOf(files);
    await using server = await serve([], { cwd: folder.path });
    const reload = async (): Promise<Response> =>
      await fetch(`${server.api}/api/v1/reload`, { method: 'POST', headers });
    make(join(folder.path, 'zones/example.net.yaml'));
    const refused = await reload();
    expect([refused.status, await refused.text()]).toEqual([
      422,
      expect.stringContaining(`it is a ${what}, not a regular file`),
    ]);
    rmSync(join(folder.path, 'zones/example.net.yaml'));
    expect((await reload()).status).toBe(200);
    expect((await server.stop()).code).toBe(0);
  });

  test.each([
    ['pharos.yaml', {}, 'PH001'],
    ['zones/bulk.db', { 'zones/example.com.yaml': `${ZONE}include: [bulk.db]\n` }, 'PH300'],
    [
      'zones/rtt.csv',
      {
        'zones/example.com.yaml': `${ZONE}services: { www: { vips: { a: { region: x, A: 192.0.2.1 } }, steer: [latency: { table: rtt.csv }] } }\nregions: { x: { at: KR } }\n`,
      },
      'PH410',
    ],
    ['geo.mmdb', { 'pharos.yaml': 'geo: { databases: [geo.mmdb] }\n' }, 'PH400'],
    ['key.pem', { 'pharos.yaml': 'tls: { cert: key.pem, key: key.pem }\n' }, 'PH060'],
    [
      'state/serials.json',
      { 'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns.example.net.]\n' },
      'PH382',
    ],
  ])('as %s is a diagnostic of check', async (path, more, code) => {
    using folder = folderOf({ ...files, ...more });
    mkdirSync(join(folder.path, 'state'));
    rmSync(join(folder.path, path), { force: true });
    make(join(folder.path, path));
    const { stdout, stderr } = await pharos(['check', 'pharos.yaml'], { cwd: folder.path });
    expect(`${stdout}${stderr}`).toMatch(new RegExp(`${code}: .*it is a ${what}, not a regular file`));
  });

  test('among the state files counts as a broken file', async () => {
    using folder = folderOf(files);
    mkdirSync(join(folder.path, 'state'));
    for (const name of ['health', 'overrides', 'weights']) make(join(folder.path, 'state', `${name}.json`));
    await using server = await serve([], { cwd: folder.path });
    const { code, stdout } = await server.stop();
    expect(code).toBe(0);
    expect(stdout).toContain(`it is a ${what}, not a regular file`);
  });

  test.each([
    ['bind', 'PH300'],
    ['route53', 'PH500'],
    ['octodns', 'PH500'],
  ])('cannot be imported as %s', async (format, code) => {
    using folder = folderOf({});
    make(join(folder.path, 'source'));
    const { stderr, code: exit } = await pharos(['import', format, 'source', '--zone', 'example.com'], {
      cwd: folder.path,
    });
    expect(exit).toBe(1);
    expect(stderr).toMatch(new RegExp(`${code}: .*it is a ${what}, not a regular file`));
  });
});

test('a file that is too large is reported', async () => {
  using folder = folderOf({ ...files, 'pharos.yaml': 'tls: { cert: big.pem, key: big.pem }\n' });
  writeFileSync(join(folder.path, 'big.pem'), Buffer.alloc(1024 * 1024 + 1));
  const { stdout, stderr } = await pharos(['check', 'pharos.yaml'], { cwd: folder.path });
  expect(`${stdout}${stderr}`).toContain('it is larger than 1 MiB');
});
