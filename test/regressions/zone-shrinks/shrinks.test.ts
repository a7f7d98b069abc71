/**
 * Half of a zone file is still valid YAML, and a folder that lost a file is a configuration with one zone less: both
 * were served at once. Now a reload in which a zone loses more than `reload.max_shrink`, or everything, is rejected
 * unless it is forced.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderOf } from '../../support/pharos.ts';
import { run as pharos, serve } from '../../support/process.ts';

const zone = (records: number): string =>
  `zone: example.com\nnameservers: [ns.example.net.]\nrecords:\n  a: { TXT: here }\n` +
  Array.from({ length: records - 1 }, (_, index) => `  host${index}: { A: 192.0.2.1 }\n`).join('');
const small = 'zone: example.net\nnameservers: [ns.example.net.]\nrecords: { a: { A: [192.0.2.1, 192.0.2.2] } }\n';
const files = {
  'pharos.yaml': 'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: secret }\n',
  'zones/example.com.yaml': zone(100),
  'zones/example.net.yaml': small,
};

test('a reload that loses most of a zone, or a zone, needs --force', async () => {
  using folder = folderOf(files);
  await using server = await serve([], { cwd: folder.path });
  const write = (name: string, text: string): void => {
    writeFileSync(join(folder.path, 'zones', name), text);
  };
  const reload = async (...flags: string[]) =>
    await pharos(['reload', '--api', server.api, '--token', 'secret', ...flags], { cwd: folder.path });

  write('example.com.yaml', zone(49));
  const refused = await reload();
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/PH384: the zone example\.com would lose/)]);
  expect(refused.stderr).toContain('pharos reload --force');
  const status = (await (await fetch(`${server.api}/api/v1/status`)).json()) as { alarms: { code: string }[] };
  expect(status.alarms.map(({ code }) => code)).toContain('reload_refused');

  write('example.com.yaml', zone(50));
  expect((await reload()).code).toBe(0);

  // Two records of a small zone are not a significant loss; all of them are.
  write('example.net.yaml', small.replace('[192.0.2.1, 192.0.2.2]', '192.0.2.1'));
  expect((await reload()).code).toBe(0);
  write('example.net.yaml', small.replace(/records:.*/, ''));
  expect((await reload()).stderr).toMatch(/PH384: the zone example\.net would lose all/);
  rmSync(join(folder.path, 'zones/example.net.yaml'));
  expect((await reload()).stderr).toMatch(/PH384: the zone example\.net is gone/);

  write('example.com.yaml', zone(2));
  const forced = await reload('--force');
  expect([forced.stderr, forced.code]).toEqual(['', 0]);
  await server.stop();
});

test('max_shrink: 100% allows everything', async () => {
  using folder = folderOf({ ...files, 'pharos.yaml': `${files['pharos.yaml']}reload: { max_shrink: 100% }\n` });
  await using server = await serve([], { cwd: folder.path });
  rmSync(join(folder.path, 'zones/example.net.yaml'));
  writeFileSync(join(folder.path, 'zones/example.com.yaml'), zone(1));
  const headers = { authorization: 'Bearer secret' };
  expect((await fetch(`${server.api}/api/v1/reload`, { method: 'POST', headers })).status).toBe(200);
  await server.stop();
});
