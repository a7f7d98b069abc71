/**
 * A server that had made the first key of a zone refused every update of it until a reload: an update reads no files,
 * so it used the keys as they were before.
 */
import { expect, test } from 'vitest';
import { folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';
import { dig, serve } from '../../support/process.ts';

test('an update after the start that made the key is signed', async () => {
  using folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': `listen: 127.0.0.1:0
status: { listen: 127.0.0.1:0, token: 9d1f0c77ab3e5528 }
state_dir: state
geo: { databases: [small.mmdb] }
updates: [{ token: status.token }]
`,
    'zones/example.com.yaml': `zone: example.com\nnameservers: [ns1]\ndnssec: true\nrecords: { ns1: { A: 192.0.2.1 } }\n`,
  });
  await using server = await serve([], { cwd: folder.path });
  const reply = await fetch(`${server.api}/api/v1/records/example.com/new/A`, {
    method: 'PUT',
    headers: { authorization: 'Bearer 9d1f0c77ab3e5528' },
    body: '{"ttl": 60, "records": ["192.0.2.9"]}',
  });
  expect([reply.status, await reply.text()]).toEqual([200, expect.stringContaining('192.0.2.9')]);
  expect(await dig(server.port, 'new.example.com', 'RRSIG')).toContain('A 13 3 60');
});
