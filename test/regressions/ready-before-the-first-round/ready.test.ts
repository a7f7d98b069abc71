/**
 * /readyz returned 200 after `health.wait`, although the first round of probes was still in progress: a longer check
 * had no result yet. Ready means zones loaded, sockets open, first round done, not shutting down
 * (docs/http-api.md#get-healthz-get-readyz).
 */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { folderOf } from '../../support/pharos.ts';
import { eventually, serve } from '../../support/process.ts';

test('open after health.wait, ready after the first round', async () => {
  const waiting: ServerResponse[] = [];
  const target = createServer((_, response) => waiting.push(response)).listen(0, '127.0.0.1');
  await once(target, 'listening');
  const address = target.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  using folder = folderOf({
    'pharos.yaml': 'listen: 127.0.0.1:0\nworkers: 1\nstatus: { listen: 127.0.0.1:0 }\nhealth: { wait: 50ms }\n',
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns1]
records: { ns1: { A: 192.0.2.53 } }
checks: { web: { type: http, port: ${port}, timeout: 60s } }
services: { www: { check: web, vips: { a: { A: 127.0.0.1 } } } }
`,
  });
  try {
    await using server = await serve([], { cwd: folder.path });
    const before = await fetch(`${server.api}/readyz`);
    expect(before.status).toBe(503);
    expect(await before.json()).toMatchObject({ missing: ['the first round of probes is under way'] });
    await eventually(
      () => Promise.resolve(waiting.length),
      (count) => count > 0,
    );
    for (const response of waiting) response.end();
    await eventually(
      async () => (await fetch(`${server.api}/readyz`)).status,
      (status) => status === 200,
    );
  } finally {
    target.close().closeAllConnections();
  }
});
