/**
 * A reload that added or changed `geo.refresh` had no effect: the databases were checked as set at the start, or never.
 * And the message about settings that need a restart was wrong: it named `limits.rrl`, which applies at once, left out
 * `log.level`, and called `state_dir` by a name that no file has.
 */
import { copyFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bundledDatabasePath } from '../../../geo/geography.ts';
import { folderOf } from '../../support/pharos.ts';
import { serve, type Served } from '../../support/process.ts';

const ZONE = 'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\n';
const HEAD = 'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: secret }\n';

async function reload({ api }: Served): Promise<readonly { readonly code: string; readonly message: string }[]> {
  const headers = { authorization: 'Bearer secret' };
  const response = await fetch(`${api}/api/v1/reload`, { method: 'POST', headers });
  expect(response.status).toBe(200);
  return ((await response.json()) as { warnings: { code: string; message: string }[] }).warnings;
}

test.each([
  ['none', ''],
  ['another one', ', refresh: "0 0 1 1 *"'],
])('geo.refresh of a reload takes effect, after %s', async (_, before) => {
  const refreshing = (refresh: string): string => `${HEAD}geo: { databases: [places.mmdb]${refresh} }\n`;
  using folder = folderOf({ 'pharos.yaml': refreshing(before), 'zones/example.com.yaml': ZONE });
  const places = join(folder.path, 'places.mmdb');
  copyFileSync(bundledDatabasePath(), places);
  await using server = await serve([], { cwd: folder.path });

  writeFileSync(join(folder.path, 'pharos.yaml'), refreshing(', refresh: "* * * * * *"'));
  await reload(server);
  utimesSync(places, 1_000_000_000, 1_000_000_000);
  await server.until(/a geo database changed[^]*"generation":2,[^]*nothing has changed/);
});

test('a reload warns of settings that take effect at the next start, by their names, and of no others', async () => {
  using folder = folderOf({ 'pharos.yaml': HEAD, 'zones/example.com.yaml': ZONE });
  await using server = await serve([], { cwd: folder.path });
  const warnings = (): string[] =>
    [...server.stdout().matchAll(/"msg":"([^"]*) changed in the configuration/g)].map(([, names = '']) => names);

  writeFileSync(join(folder.path, 'pharos.yaml'), `${HEAD}limits: { rrl: 50, slip: 3 }\n`);
  expect(await reload(server)).toEqual([]);
  expect(warnings()).toEqual([]);
  writeFileSync(
    join(folder.path, 'pharos.yaml'),
    `${HEAD}limits: { tcp_clients: 5 }\nlog: { level: warn }\nstate_dir: elsewhere\nregions: { seoul: { at: KR } }\nfleet: { name: test, servers: ["nats://127.0.0.1:4222"], region: seoul }\n`,
  );
  const names = 'state_dir, fleet, limits.tcp_clients, log.level';
  const message = `${names} changed in the configuration: this takes effect at the next start`;
  expect(await reload(server)).toMatchObject([{ code: 'PH432', message }]);
  expect(warnings()).toEqual([names]);
  // It lasts until the settings are those of the start again.
  writeFileSync(join(folder.path, 'pharos.yaml'), `${HEAD}log: { level: warn }\n`);
  expect(await reload(server)).toMatchObject([{ message: expect.stringMatching(/^log\.level changed/) as string }]);
  writeFileSync(join(folder.path, 'pharos.yaml'), HEAD);
  expect(await reload(server)).toEqual([]);
});
