/**
 * Simulate over the API ran in the control thread and took a second for a region of a thousand services. Two clients
 * that repeated it kept probes and states waiting, and failover was 20 s late. Now it runs in a separate thread.
 */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { runServer } from '../../../cli/serve/run-server.ts';
import { folderOf } from '../../support/pharos.ts';

const SERVICES = Array.from(
  { length: 1500 },
  (_, n) =>
    `  s${n}: { vips: { a: { region: seoul, A: 10.1.${n >> 8}.${n & 255} }, b: { region: dublin, A: 10.2.${n >> 8}.${n & 255} } }, steer: [nearest, weighted] }\n`,
).join('');

test('a target that fails is down before any of two loops of simulate has its reply', async () => {
  const sockets = new Set<Socket>();
  const target = createServer((socket) => sockets.add(socket.on('error', () => undefined))).listen(0, '127.0.0.1');
  await once(target, 'listening');
  const { port } = target.address() as { port: number };
  using folder = folderOf({
    'pharos.yaml': [
      'listen: "127.0.0.1:0"',
      'workers: 1',
      'status: { listen: "127.0.0.1:0", token: secret }',
      'regions: { seoul: { at: KR }, dublin: { at: IE } }',
      // Only the end of the connection starts another probe: it is noticed as soon as the control thread runs.
      `checks: { web: { type: tcp, port: ${port}, interval: 1h, fast: 100ms, timeout: 10s, fall: 1, rise: 1 } }\n`,
    ].join('\n'),
    'zones/example.com.yaml': `zone: example.com\nnameservers: [ns.example.net.]\nservices:\n  www: { check: web, vips: { a: { A: 127.0.0.1 } } }\n${SERVICES}`,
  });
  const input = { file: undefined, cwd: folder.path, env: {}, cores: 1 };
  const server = await runServer(input, () => Promise.resolve(pino({ level: 'silent' })));
  const url = `http://127.0.0.1:${server.status?.port ?? 0}`;
  const gone = new AbortController();
  let replies = 0;
  const ask = async (): Promise<void> => {
    while (!gone.signal.aborted) {
      const body = JSON.stringify({ down: ['@seoul'] });
      const reply = await fetch(`${url}/api/v1/simulate`, { method: 'POST', body, signal: gone.signal });
      replies++;
      expect(reply.status).toBe(200);
      await reply.body?.cancel();
    }
  };
  const stateOf = async (): Promise<string | undefined> => {
    const reply = await fetch(`${url}/api/v1/health/www.example.com`);
    const [vip] = (await reply.json()) as { readonly probed: string }[];
    return vip?.probed;
  };
  try {
    expect(await stateOf()).toBe('up');
    const loops = [ask(), ask()].map((loop) => loop.catch((error: unknown) => { expect(gone.signal.aborted, String(error)).toBe(true); })); // prettier-ignore
    await (await fetch(`${url}/healthz`)).text();
    target.close();
    replies = 0;
    for (const socket of sockets) socket.destroy();
    while ((await stateOf()) !== 'down');
    expect(replies).toBe(0);
    gone.abort();
    await Promise.all(loops);
  } finally {
    gone.abort();
    await server.stop();
    for (const socket of sockets) socket.destroy();
    target.close();
  }
});
