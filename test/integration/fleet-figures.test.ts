/**
 * What nodes of a fleet share beside votes and orders, over a real nats-server: loads, answers, browsers' latencies.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HAS_NATS, startNats, type NatsServer } from '../support/nats.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { dig, eventually, serve, type Served } from '../support/process.ts';

const TOKEN = 'a-token-of-tests-0123456789';
const REGIONS = { a: 'seoul', b: 'dublin' } as const;
type Name = keyof typeof REGIONS;
const NAMES = Object.keys(REGIONS) as Name[];
/** Counts are sent every 30 s. */

const folder = folderOf({});
const folders: ReturnType<typeof folderOf>[] = [];
const nodes = new Map<Name, Served>();
let nats: NatsServer;
let backend: Server;
let load = 0.9;

const node = (name: Name): Served => {
  const found = nodes.get(name);
  if (found === undefined) throw new Error(`${name} does not run`);
  return found;
};

async function call(name: Name, method: string, path: string, body?: unknown): Promise<unknown> {
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
  const text = body === undefined ? {} : { body: JSON.stringify(body) };
  const reply = await fetch(`${node(name).api}${path}`, { method, headers, ...text });
  const value = await reply.text();
  expect(reply.ok, `${path}: ${value}`).toBe(true);
  return value === '' ? undefined : JSON.parse(value);
}

describe.skipIf(!HAS_NATS)('nodes of a fleet share', () => {
  beforeAll(async () => {
    nats = await startNats({ folder: folder.path });
    backend = createServer((_, reply) => reply.end(JSON.stringify({ load }))).listen(0, '127.0.0.1');
    await once(backend, 'listening');
    const address = backend.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    for (const name of NAMES) {
      const own = folderOf({
        ...NO_GEOGRAPHY,
        'pharos.yaml': `listen: 127.0.0.1:0
workers: 1
geo: { databases: [small.mmdb] }
status: { listen: 127.0.0.1:0, token: ${TOKEN} }
regions: { seoul: { at: KR }, dublin: { at: IE } }
fleet: { name: test, servers: ["${nats.url}"], node: ${name}, region: ${REGIONS[name]} }
`,
        'zones/example.com.yaml': `zone: example.com
nameservers: [ns.example.org.]
services:
  www:
    ttl: 1
    shed: { low: 80%, high: 95% }
    check: { type: http, port: ${String(port)}, load_path: load, interval: 1s, timeout: 900ms, from: [seoul] }
    vips:
      first: { region: seoul, A: 192.0.2.1, probe: "127.0.0.1", capacity: 1 }
      second: { region: dublin, A: 192.0.2.2, probe: "127.0.0.1", capacity: 1 }
`,
      });
      folders.push(own);
      nodes.set(name, await serve([], { cwd: own.path }));
    }
  });

  afterAll(async () => {
    for (const each of nodes.values()) await each.stop('SIGKILL');
    await nats[Symbol.asyncDispose]();
    backend.closeAllConnections();
    backend.close();
    for (const each of [...folders, folder]) each[Symbol.dispose]();
  });

  test('loads that only one of them reads', async () => {
    const loads = async (name: Name): Promise<readonly unknown[]> =>
      ((await call(name, 'GET', '/api/v1/health/www.example.com')) as { readonly load: unknown }[]).map(
        (vip) => vip.load,
      );
    for (const name of NAMES) await eventually(() => loads(name), (all) => all.every((each) => each === 0.9)); // prettier-ignore
    load = 0.2;
    for (const name of NAMES) await eventually(() => loads(name), (all) => all.every((each) => each === 0.2)); // prettier-ignore
  });

  test('answers, by which simulate weighs on any node', async () => {
    for (let query = 0; query < 50; query++) await dig(node('a').port, 'www.example.com', 'A');
    const weighed = async (): Promise<unknown> =>
      JSON.stringify(await call('b', 'POST', '/api/v1/simulate', { down: ['www.example.com/first'], weigh: 'served' }));
    await eventually(weighed, (text) => String(text).includes('"served"'));
  });
});
