/**
 * A process that stands still (SIGSTOP), as a machine does that is suspended, moved or swapped out: afterwards no
 * healthy target has been taken down, and answers continue.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { dig, serve, type Served } from '../support/process.ts';

/** After it, the timers of the pause have run and the next probes have results. */
const AFTERWARDS_MS = 700;

/** Throws if `name` is not answered with `address` afterwards, or a target was taken down. */
export async function pauseServer(server: Served, ms: number, name: string, address: string): Promise<void> {
  server.child.kill('SIGSTOP');
  await delay(ms);
  server.child.kill('SIGCONT');
  await delay(AFTERWARDS_MS);
  const answer = await dig(server.port, name);
  if (answer !== address) throw new Error(`after a pause of ${ms} ms, ${name} is ${answer}, not ${address}`);
  if (server.stdout().includes('"msg":"down"')) throw new Error(`a target was taken down by a pause of ${ms} ms`);
}

/** A server with one healthy target, which stands still once. */
export async function pauseProcess(ms: number): Promise<void> {
  const target = createServer((_request, response) => response.end('ok')).listen(0, '127.0.0.1');
  await new Promise((listening) => target.once('listening', listening));
  const probe = `127.0.0.1:${(target.address() as AddressInfo).port}`;
  using folder = folderOf({
    'small.mmdb': NO_GEOGRAPHY['small.mmdb'] ?? '',
    'pharos.yaml': 'listen: "127.0.0.1:0"\nstatus: { listen: "127.0.0.1:0" }\ngeo: { databases: [small.mmdb] }\n',
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns1]
records: { ns1: { A: 192.0.2.53 } }
checks: { web: { type: http, path: /, interval: 1s, timeout: 1400ms, fast: 100ms, fall: 1, rise: 1 } }
services: { www: { check: web, vips: { a: { A: 192.0.2.10, probe: "${probe}" }, b: { A: 192.0.2.11, probe: "${probe}" } }, steer: [failover: [a, b]] } }
`,
  });
  try {
    await using server = await serve([], { cwd: folder.path });
    await pauseServer(server, ms, 'www.example.com', '192.0.2.10');
  } finally {
    target.close();
    target.closeAllConnections();
  }
}
