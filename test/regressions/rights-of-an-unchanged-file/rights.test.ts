/**
 * A reload took a zone whose private key had become readable for all users: the files of the zone had the same content,
 * so they were not examined again. A start refused it.
 */
import { chmodSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';
import { serve } from '../../support/process.ts';

test('a reload refuses a private key that other users may read, although its content is the same', async () => {
  using folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml':
      'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: "${TOKEN}" }\ngeo: { databases: [small.mmdb] }\nstate_dir: state\n',
    'zones/example.com.yaml':
      'zone: example.com\ndnssec: true\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\n',
  });
  await using server = await serve([], { cwd: folder.path, env: { TOKEN: 'secret' } });
  const reload = async (): Promise<unknown> => {
    const reply = await fetch(`${server.api}/api/v1/reload`, {
      method: 'POST',
      headers: { authorization: 'Bearer secret' },
    });
    const { diagnostics = [] } = (await reply.json()) as { diagnostics?: { code: string }[] };
    return [reply.status, ...diagnostics.map(({ code }) => code)];
  };
  const keys = join(folder.path, 'state', 'keys');
  const [name = ''] = readdirSync(keys).filter((each) => each.endsWith('.private'));
  // The first one reads the files of the key that the start has made.
  expect(await reload()).toEqual([200]);
  chmodSync(join(keys, name), 0o644);
  expect(await reload()).toEqual([422, 'PH390']);
  chmodSync(join(keys, name), 0o600);
  expect(await reload()).toEqual([200]);
});
