/**
 * A server started in the folder of its `pharos.yaml` used the defaults at a reload while that file was away (an editor
 * that writes a new one, an incomplete deployment): cookies, transfers, networks and regions were gone, and no message
 * said so. A server that started without the file still reads one that appears later.
 */
import { appendFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderOf } from '../../support/pharos.ts';
import { defaultAddresses, serve } from '../../support/process.ts';

const ZONE = {
  'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\n',
};
const SETTINGS = 'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: secret }\n';
const headers = { authorization: 'Bearer secret' };

test('a pharos.yaml that is gone is a mistake, and nothing changes', async () => {
  using folder = folderOf({ ...ZONE, 'pharos.yaml': SETTINGS });
  await using server = await serve([], { cwd: folder.path });
  const path = join(folder.path, 'pharos.yaml');
  renameSync(path, `${path}.away`);
  const refused = await fetch(`${server.api}/api/v1/reload`, { method: 'POST', headers });
  expect(refused.status).toBe(422);
  expect(await refused.json()).toMatchObject({
    generation: 1,
    diagnostics: [{ code: 'PH001', place: { file: 'pharos.yaml' } }],
  });
  renameSync(`${path}.away`, path);
  appendFileSync(path, 'dns: { nsid: changed }\n');
  const taken = await fetch(`${server.api}/api/v1/reload`, { method: 'POST', headers });
  expect(await taken.json()).toMatchObject({ generation: 2 });
});

test('a file that appears later is read', async () => {
  await using _ = await defaultAddresses();
  using folder = folderOf(ZONE);
  await using server = await serve([], { cwd: folder.path });
  writeFileSync(join(folder.path, 'pharos.yaml'), 'dns: { nsid: "" }\n');
  server.child.kill('SIGHUP');
  await server.until(/pharos\.yaml:1:14 error PH025/);
});
