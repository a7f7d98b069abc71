/**
 * SIGTERM while the sockets are closed for the first round of probes (`health.wait`, up to ten minutes) waited for the
 * end of the round, opened the sockets, and only then stopped.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { folderOf } from '../../support/pharos.ts';
import { start } from '../../support/process.ts';

test('stops at once, and has served nothing', async () => {
  const silent = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const address = silent.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  using folder = folderOf({
    'pharos.yaml': 'listen: 127.0.0.1:0\nworkers: 1\nstatus: off\nhealth: { wait: 10m }\n',
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns1]
records: { ns1: { A: 192.0.2.53 } }
checks: { web: { type: http, port: ${port}, timeout: 1m, interval: 10m } }
services: { www: { check: web, vips: { a: { A: 127.0.0.1 } } } }
`,
  });
  try {
    await using server = start(['serve'], { cwd: folder.path });
    // A probe is in progress, so the start waits.
    await once(silent, 'connection');
    const { code, stdout } = await server.stop();
    expect(code).toBe(0);
    expect(stdout).not.toContain('serving');
  } finally {
    silent.close();
  }
});
