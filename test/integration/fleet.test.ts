/**
 * Three nodes of a fleet with a real nats-server (Debian: nats-server). The check runs a command that each node finds
 * in its own folder, so that each node can see another state of the same target.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FleetDocument } from '../../status/fleet-document.ts';
import { freePort } from '../support/free-port.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { dig, eventually, has, serve, start, type Served } from '../support/process.ts';
import { findProgram } from '../support/server-process.ts';

const TOKEN = 'a-token-of-tests-0123456789';
const REGIONS = { a: 'seoul', b: 'dublin', c: 'virginia' } as const;
type Name = keyof typeof REGIONS;
const NAMES = Object.keys(REGIONS) as Name[];
const [FIRST, SECOND] = ['192.0.2.1', '192.0.2.2'];
/** Heartbeats and commands of a busy machine. */

const folder = folderOf({});
let natsPort = 0;
let nats: ChildProcess;
const nodes = new Map<Name, Served>();

async function startNats(store: string): Promise<void> {
  const args = ['-js', '-sd', join(folder.path, store), '-a', '127.0.0.1', '-p', String(natsPort)];
  nats = spawn(findProgram('nats-server') ?? 'nats-server', args, { stdio: 'ignore' });
  await eventually(
    () =>
      new Promise<boolean>((resolve) => {
        const socket = createConnection(natsPort, '127.0.0.1', () => {
          socket.destroy();
          resolve(true);
        }).on('error', () => {
          resolve(false);
        });
      }),
    (isOpen) => isOpen,
  );
}

async function stopNats(): Promise<void> {
  const gone = once(nats, 'exit');
  nats.kill('SIGKILL');
  await gone;
}

const folders = new Map<Name, ReturnType<typeof folderOf>>();
const flag = (name: Name): string => join(folders.get(name)?.path ?? '', 'down');

async function startNode(name: Name): Promise<void> {
  const files = {
    ...NO_GEOGRAPHY,
    'pharos.yaml': `listen: 127.0.0.1:0
workers: 1
geo: { databases: [small.mmdb] }
status: { listen: 127.0.0.1:0, token: ${TOKEN} }
health: { suspect: 0% }
regions: { seoul: { at: KR }, dublin: { at: IE }, virginia: { at: US } }
fleet: { name: test, servers: ["nats://127.0.0.1:${natsPort}"], node: ${name}, region: ${REGIONS[name]} }
`,
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns]
records: { ns: { A: 192.0.2.53 } }
checks: { flag: { type: exec, command: [look], interval: 1s, fast: 200ms, timeout: 60s, fall: 2, rise: 1 } }
services:
  www:
    ttl: 1
    vips:
      first: { region: seoul, A: ${FIRST} }
      second: { region: dublin, A: ${SECOND} }
    check: flag
    steer: [{ failover: [seoul, dublin] }]
  pushed:
    ttl: 1
    check: { type: push, expires: 10m }
    vips: { first: { A: ${FIRST} }, second: { A: ${SECOND} } }
    steer: [{ failover: [first, second] }]
  plain:
    ttl: 1
    vips: { first: { A: ${FIRST} }, second: { A: ${SECOND} } }
    steer: [{ failover: [first, second] }]
`,
  };
  const own = folderOf(files);
  const script = join(own.path, 'look');
  writeFileSync(script, `#!/bin/sh\ntest ! -e ${own.path}/down\n`, { mode: 0o755 });
  folders.set(name, own);
  nodes.set(name, await serve([], { cwd: own.path, env: { PATH: `${own.path}:${process.env['PATH'] ?? ''}` } }));
}

const node = (name: Name): Served => {
  const found = nodes.get(name);
  if (found === undefined) throw new Error(`${name} does not run`);
  return found;
};
const answers = (name: Name, service: string): Promise<string> => dig(node(name).port, `${service}.example.com`, 'A');

async function call(
  name: Name,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; value: unknown }> {
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
  const text = body === undefined ? {} : { body: JSON.stringify(body) };
  const reply = await fetch(`${node(name).api}${path}`, { method, headers, ...text });
  return { status: reply.status, value: await reply.json() };
}

const fleetOf = async (name: Name): Promise<FleetDocument> =>
  (await call(name, 'GET', '/api/v1/fleet')).value as FleetDocument;

const targetOf = (fleet: FleetDocument, target: string) => fleet.targets.find((each) => each.target === target);

async function everywhere<T>(ask: (name: Name) => Promise<T>, holds: (value: T) => boolean): Promise<void> {
  for (const name of NAMES) await eventually(() => ask(name), holds);
}

describe.skipIf(!has('nats-server') && findProgram('nats-server') === undefined)('a fleet of three', () => {
  beforeAll(async () => {
    natsPort = await freePort();
    await startNats('js');
    await Promise.all(NAMES.map(startNode));
    await everywhere(fleetOf, ({ nodes: all }) => all.length === 3 && all.every(({ state }) => state !== 'lost'));
  });

  afterAll(async () => {
    for (const each of nodes.values()) await each.stop('SIGKILL');
    await stopNats();
    for (const own of folders.values()) own[Symbol.dispose]();
    folder[Symbol.dispose]();
  });

  test('one node that sees a target down takes it down nowhere; two do everywhere', async () => {
    await everywhere(
      fleetOf,
      (fleet) => targetOf(fleet, 'www.example.com/first')?.voters.every(({ vote }) => vote === 'up') === true,
    );
    writeFileSync(flag('a'), '');
    const votesOfA = (fleet: FleetDocument) =>
      targetOf(fleet, 'www.example.com/first')?.voters.find((voter) => voter.node === 'a')?.vote;
    await everywhere(fleetOf, (fleet) => votesOfA(fleet) === 'down');
    await everywhere(fleetOf, (fleet) => targetOf(fleet, 'www.example.com/first')?.verdict === 'up');
    expect(await answers('a', 'www')).toBe(FIRST);
    writeFileSync(flag('b'), '');
    await everywhere(fleetOf, (fleet) => targetOf(fleet, 'www.example.com/first')?.verdict === 'down');
    rmSync(flag('a'));
    rmSync(flag('b'));
    await everywhere(fleetOf, (fleet) => targetOf(fleet, 'www.example.com/first')?.verdict === 'up');
  });

  test('a drain that one node takes holds on all of them, and is safe when all have confirmed it', async () => {
    await call('b', 'PUT', '/api/v1/overrides/plain.example.com/first', { state: 'drain', reason: 'kernel' });
    await everywhere(
      (name) => answers(name, 'plain'),
      (text) => text === SECOND,
    );
    await everywhere(fleetOf, ({ drains }) => drains.some(({ safe_at: safeAt }) => safeAt !== null));
    const listed = await call('c', 'GET', '/api/v1/overrides');
    expect(listed.value).toMatchObject([{ target: 'plain.example.com/first', state: 'drain', reason: 'kernel' }]);
    const back = await call('c', 'DELETE', '/api/v1/overrides/plain.example.com/first');
    expect(back.status).toBe(200);
    await everywhere(
      (name) => answers(name, 'plain'),
      (text) => text === FIRST,
    );
  });

  test('a node that does not answer is named, and the drain is not safe until it has confirmed', async () => {
    node('c').child.kill('SIGSTOP');
    try {
      await eventually(
        () => fleetOf('a'),
        ({ nodes: all }) => all.some((each) => each.node === 'c' && each.state === 'lost'),
      );
      const { value } = await call('a', 'PUT', '/api/v1/overrides/plain.example.com/first', { state: 'drain' });
      expect(value).toMatchObject({ scope: 'fleet', safe_at: null, waiting_for: ['c'] });
    } finally {
      node('c').child.kill('SIGCONT');
    }
    await eventually(
      () => fleetOf('a'),
      ({ drains }) => drains.some((drain) => drain.safe_at !== null && drain.waiting_for.length === 0),
    );
    expect(await answers('c', 'plain')).toBe(SECOND);
    await call('b', 'DELETE', '/api/v1/overrides/plain.example.com/first');
    await everywhere(
      (name) => answers(name, 'plain'),
      (text) => text === FIRST,
    );
  });

  test('an order to one node alone holds there until it is given back; then the order of the fleet does', async () => {
    const target = 'plain.example.com/first';
    await call('a', 'PUT', `/api/v1/overrides/${target}?scope=node`, { state: 'up' });
    await call('b', 'PUT', `/api/v1/overrides/${target}`, { state: 'down' });
    for (const name of ['b', 'c'] as const) await eventually(() => answers(name, 'plain'), (text) => text === SECOND); // prettier-ignore
    await eventually(() => fleetOf('a'), ({ nodes: all }) => new Set(all.map((each) => each.applied_revision)).size === 1); // prettier-ignore
    expect(await answers('a', 'plain')).toBe(FIRST);
    await call('a', 'DELETE', `/api/v1/overrides/${target}?scope=node`);
    await eventually(() => answers('a', 'plain'), (text) => text === SECOND); // prettier-ignore
    await call('a', 'DELETE', `/api/v1/overrides/${target}`);
    await everywhere((name) => answers(name, 'plain'), (text) => text === FIRST); // prettier-ignore
  });

  test('a drain does not wait for a node that was forgotten, until it is heard again', async () => {
    const isLost = ({ nodes: all }: FleetDocument): boolean => all.some((each) => each.node === 'c' && each.state === 'lost'); // prettier-ignore
    expect((await call('b', 'DELETE', '/api/v1/fleet/nodes/c')).status).toBe(409);
    node('c').child.kill('SIGSTOP');
    try {
      for (const name of ['a', 'b'] as const) await eventually(() => fleetOf(name), isLost);
      await call('a', 'PUT', '/api/v1/overrides/plain.example.com/first', { state: 'drain' });
      expect((await fleetOf('a')).drains[0]?.waiting_for).toEqual(['c']);
      const { code, stdout } = await start(['fleet', 'forget', 'c', '--api', node('b').api, '--token', TOKEN]).finished;
      expect([code, stdout]).toEqual([0, 'c: forgotten by all nodes, until it is heard again\n']);
      await eventually(() => fleetOf('a'), ({ drains }) => drains[0]?.waiting_for.length === 0); // prettier-ignore
      expect((await fleetOf('a')).nodes.map((each) => each.node)).toEqual(['a', 'b']);
    } finally {
      node('c').child.kill('SIGCONT');
    }
    await everywhere(fleetOf, ({ nodes: all }) => all.length === 3 && all.every(({ state }) => state !== 'lost'));
    await call('b', 'DELETE', '/api/v1/overrides/plain.example.com/first');
    await everywhere((name) => answers(name, 'plain'), (text) => text === FIRST); // prettier-ignore
  });

  test('a report to one node reaches all of them', async () => {
    await call('b', 'PUT', '/api/v1/push/pushed.example.com/second', { healthy: true });
    await call('b', 'PUT', '/api/v1/push/pushed.example.com/first', { healthy: false });
    await everywhere(
      (name) => answers(name, 'pushed'),
      (text) => text === SECOND,
    );
  });

  test('without NATS, nodes answer alone and refuse orders of the fleet; what the bucket lost is written back', async () => {
    await call('a', 'PUT', '/api/v1/weights/www.example.com/first', { weight: 7 });
    const weights = async (name: Name): Promise<string> =>
      JSON.stringify((await call(name, 'GET', '/api/v1/weights')).value);
    await everywhere(weights, (text) => text.includes('"weight":7'));
    await stopNats();
    const alarms = async (name: Name): Promise<string> =>
      JSON.stringify((await call(name, 'GET', '/api/v1/status')).value);
    await everywhere(alarms, (text) => text.includes('"code":"alone"'));
    expect((await call('a', 'GET', '/readyz')).status).toBe(200);
    expect(await answers('a', 'www')).toBe(FIRST);
    const refused = await call('a', 'PUT', '/api/v1/overrides/plain.example.com/first', { state: 'down' });
    expect(refused.status).toBe(503);
    expect(await answers('a', 'plain')).toBe(FIRST);
    const local = await call('a', 'PUT', '/api/v1/overrides/plain.example.com/first?scope=node', { state: 'down' });
    expect(local).toMatchObject({ status: 200, value: { scope: 'node' } });
    expect([await answers('a', 'plain'), await answers('b', 'plain')]).toEqual([SECOND, FIRST]);
    await call('a', 'DELETE', '/api/v1/overrides/plain.example.com/first?scope=node');

    // A server that has lost its data.
    await startNats('js-empty');
    await everywhere(alarms, (text) => !text.includes('"code":"alone"'));
    await eventually(
      () => call('b', 'DELETE', '/api/v1/weights/www.example.com/first'),
      ({ status }) => status === 200,
    );
    await everywhere(weights, (text) => text === '[]');
  });

  test('pharos fleet prints the nodes', async () => {
    const { code, stdout } = await start(['fleet', '--api', node('a').api, '--token', TOKEN, '--all']).finished;
    expect(code).toBe(0);
    expect(stdout).toMatch(/Fleet test, seen by a \(seoul\): 3 of 3 nodes heard/);
    expect(stdout).toMatch(/www\.example\.com\/first +up/);
  });
});
