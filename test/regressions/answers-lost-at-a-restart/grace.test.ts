/**
 * SIGTERM closed the sockets at once, before a router or load balancer could move clients away; a second SIGTERM killed
 * the process. systemd was not told when the server was ready, reloading or stopping.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodeMessage, encodeQuery, T } from '../../support/message.ts';
import { PATIENCE_MS } from '../../support/patience.ts';
import { folderOf } from '../../support/pharos.ts';
import { eventually, serve, type Served } from '../../support/process.ts';
import { hasManager, startManager } from '../../support/service-manager.ts';

const files = (settings = ''): Record<string, string> => ({
  'pharos.yaml': `listen: 127.0.0.1:0\nworkers: 1\nstatus: { listen: 127.0.0.1:0 }\n${settings}`,
  'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\n',
});

async function ask({ port }: Served): Promise<string> {
  const socket = createSocket('udp4');
  try {
    socket.send(encodeQuery('ns1.example.com', T.A), port, '127.0.0.1');
    const [message] = (await once(socket, 'message', { signal: AbortSignal.timeout(PATIENCE_MS) })) as [Buffer];
    return Buffer.from(decodeMessage(message).answer[0]?.data ?? '', 'hex').join('.');
  } finally {
    socket.close();
  }
}
const readyz = async ({ api }: Served): Promise<number> => (await fetch(`${api}/readyz`)).status;

test('after SIGTERM it is not ready at once, answers for shutdown.grace, and a second SIGTERM changes nothing', async () => {
  using folder = folderOf(files('shutdown: { grace: 3s }\n'));
  await using server = await serve([], { cwd: folder.path });
  await eventually(
    () => readyz(server),
    (code) => code === 200,
  );
  const begin = performance.now();
  server.child.kill('SIGTERM');
  await server.until(/answering for 3 s more/);
  expect(await readyz(server)).toBe(503);
  expect(await ask(server)).toBe('192.0.2.53');
  server.child.kill('SIGTERM');
  expect(await ask(server)).toBe('192.0.2.53');
  expect((await server.finished).code).toBe(0);
  expect(performance.now() - begin).toBeGreaterThan(2900);
});

test('a second SIGINT ends the grace time', async () => {
  using folder = folderOf(files('shutdown: { grace: 10m }\n'));
  await using server = await serve([], { cwd: folder.path });
  server.child.kill('SIGINT');
  await server.until(/answering for 600 s more/);
  expect((await server.stop('SIGINT')).code).toBe(0);
});

describe.skipIf(!hasManager)('sd_notify', () => {
  test.each(['a path', 'an abstract name'])('by %s: ready, reloading, refused, stopping', async (kind) => {
    using folder = folderOf(files('shutdown: { grace: 0s }\n'));
    const socket = kind === 'a path' ? join(folder.path, 'notify') : `@pharos-test-${process.pid}`;
    await using manager = await startManager(socket);
    await using server = await serve([], { cwd: folder.path, env: { NOTIFY_SOCKET: socket } });
    await manager.until(/"READY=1\\nSTATUS=Serving 1 zone, generation 1"/);
    writeFileSync(join(folder.path, 'zones/example.com.yaml'), 'zone: example.com\nnameservers: { a: b }\n');
    server.child.kill('SIGHUP');
    await manager.until(/"RELOADING=1\\nMONOTONIC_USEC=\d+\\nSTATUS=[^"]*"\n"READY=1\\nSTATUS=Reload rejected; /);
    expect((await server.stop()).code).toBe(0);
    await manager.until(/"STOPPING=1\\nSTATUS=Stopping\\nEXTEND_TIMEOUT_USEC=\d+"/);
  });
});
