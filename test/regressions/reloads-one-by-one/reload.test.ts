/**
 * Every SIGHUP and every POST caused its own reload, one after the other: five at once kept the server reading its
 * files for five times as long, and SIGTERM had to wait for all of them, each of which then failed with a stack trace.
 */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderOf } from '../../support/pharos.ts';
import { serve } from '../../support/process.ts';

const files = {
  'pharos.yaml': 'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: secret }\n',
  'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\n',
};

test('calls during a reload share the next one', async () => {
  using folder = folderOf(files);
  await using server = await serve([], { cwd: folder.path });
  const reload = async (): Promise<unknown> => {
    const headers = { authorization: 'Bearer secret' };
    return await (await fetch(`${server.api}/api/v1/reload`, { method: 'POST', headers })).json();
  };
  // So large that the first reload is in progress when the other calls arrive.
  const records = Array.from({ length: 200_000 }, (_, i) => `h${i} A 192.0.2.1\n`).join('');
  writeFileSync(join(folder.path, 'zones/large.db'), records);
  appendFileSync(join(folder.path, 'zones/example.com.yaml'), 'include: [large.db]\n');
  const replies = (await Promise.all([1, 2, 3, 4, 5, 6].map(reload))) as { generation: number }[];
  expect(replies.map(({ generation }) => generation)).toEqual([2, 2, 2, 2, 2, 2]);
  // The others share one, which finds no change.
  expect(server.stdout().match(/"msg":"(?:reloaded|nothing has changed)/g)).toHaveLength(2);
});

test('SIGTERM does not start the waiting ones, and this is not an error', async () => {
  using folder = folderOf(files);
  await using server = await serve([], { cwd: folder.path });
  const headers = { authorization: 'Bearer secret' };
  // Whether they get a reply depends on how far the server is.
  const asked = [1, 2, 3].map(() =>
    fetch(`${server.api}/api/v1/reload`, { method: 'POST', headers }).catch(() => undefined),
  );
  server.child.kill('SIGHUP');
  const { code, stdout } = await server.stop();
  await Promise.all(asked);
  expect(code).toBe(0);
  expect(stdout).toContain('"msg":"stopping"');
  expect(stdout).not.toContain('"level":"error"');
});
