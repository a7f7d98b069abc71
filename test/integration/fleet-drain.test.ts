/**
 * Drains of a fleet with three servers as processes and a real NATS server: whatever happens in the middle, `safe_at`
 * is never earlier than the latest node, and a node that has not confirmed is named.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { encodeQuery } from '../../bench/packets.ts';
import { ask } from '../../bench/read-response.ts';
import type { FleetDocument } from '../../status/fleet-document.ts';
import {
  FLEET_SERVERS,
  FLEET_TOKEN,
  fleetServer,
  type FleetServer,
  type FleetServerName,
} from '../support/fleet-server.ts';
import { HAS_NATS, startNats, type NatsServer } from '../support/nats.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { folderOf } from '../support/pharos.ts';
import { eventually, start } from '../support/process.ts';

const [FIRST, SECOND, THIRD] = ['192.0.2.1', '192.0.2.2', '192.0.2.3'];
const TTL_SECONDS = 3;
const ZONE = `zone: example.com
nameservers: [ns]
records: { ns: { A: 192.0.2.53 } }
services:
  www:
    ttl: ${String(TTL_SECONDS)}
    vips: { first: { A: ${FIRST} }, second: { A: ${SECOND} }, third: { A: ${THIRD} } }
    steer: [{ failover: [first, second, third] }]
`;
const TARGET = 'www.example.com/first';
const PATH = `/api/v1/overrides/${TARGET}`;

type Drain = { readonly safe_at: string | null; readonly waiting_for: readonly string[]; readonly revision: number };

const folder = folderOf({});
const servers = new Map<FleetServerName, FleetServer>();
let nats: NatsServer;

const at = (name: FleetServerName): FleetServer => {
  const found = servers.get(name);
  if (found === undefined) throw new Error(`no server ${name}`);
  return found;
};
const answer = async (name: FleetServerName): Promise<string> =>
  (await ask(at(name).served().port, encodeQuery('www.example.com', 'A'), PATIENCE_MS))?.addresses[0] ?? '';
const fleetOf = async (name: FleetServerName): Promise<FleetDocument> =>
  (await at(name).call('GET', '/api/v1/fleet')).value as FleetDocument;
const drainOf = async (name: FleetServerName, target = TARGET): Promise<Drain | undefined> =>
  (await fleetOf(name)).drains.find((each) => each.target === target);
const drain = async (name: FleetServerName, path = PATH): Promise<Drain> =>
  (await at(name).call('PUT', path, { state: 'drain' })).value as Drain;

const isSafe = (found: Drain | undefined): boolean => typeof found?.safe_at === 'string';

async function everywhere(address: string, names = FLEET_SERVERS): Promise<void> {
  for (const name of names)
    await eventually(
      () => answer(name),
      (found) => found === address,
    );
}

/** Until each of these hears the others. */
async function together(names = FLEET_SERVERS): Promise<void> {
  for (const name of names) {
    await eventually(
      () => fleetOf(name),
      ({ nodes }) => names.every((other) => nodes.some((each) => each.node === other && each.state !== 'lost')),
    );
  }
}

/** Asks every server as fast as it answers; resolves to when each last named the target, of Date.now(). */
function watchAnswers(address: string): { stop(): Promise<ReadonlyMap<FleetServerName, number>> } {
  const lastMs = new Map<FleetServerName, number>();
  let isOver = false;
  const watch = async (name: FleetServerName): Promise<void> => {
    while (!isOver) {
      const askedMs = Date.now();
      if ((await answer(name)) === address) lastMs.set(name, askedMs);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const all = Promise.all(FLEET_SERVERS.map(watch));
  return {
    stop: async () => {
      isOver = true;
      await all;
      return lastMs;
    },
  };
}

const lost = (fleet: FleetDocument, name: FleetServerName): boolean =>
  fleet.nodes.some(({ node, state }) => node === name && state === 'lost');

describe.skipIf(!HAS_NATS)('drains of a fleet', () => {
  beforeAll(async () => {
    nats = await startNats({ folder: folder.path });
    for (const name of FLEET_SERVERS) servers.set(name, fleetServer(name, nats.url, ZONE));
    await Promise.all([...servers.values()].map((server) => server.start()));
  });

  beforeEach(async () => {
    await together();
    for (const vip of ['first', 'second']) await at('a').call('DELETE', `/api/v1/overrides/www.example.com/${vip}`);
    await everywhere(FIRST);
  });

  afterAll(async () => {
    for (const server of servers.values()) await server.close();
    await nats.kill();
    folder[Symbol.dispose]();
  });

  test('--wait ends when the last answer of the last node has expired, not before', async () => {
    const watching = watchAnswers(FIRST);
    const args = ['drain', TARGET, '--wait', '--api', at('b').served().api, '--token', FLEET_TOKEN];
    const { code, stdout } = await start(args).finished;
    const endMs = Date.now();
    const lastMs = await watching.stop();
    expect([code, stdout]).toEqual([0, expect.stringContaining('Safe to stop now, on all nodes.')]);
    expect(lastMs.size).toBe(3);
    for (const ms of lastMs.values()) expect(endMs).toBeGreaterThanOrEqual(ms + TTL_SECONDS * 1000);
  });

  test('a node that keeps its own order says so, and how to clear it', async () => {
    const pharos = (...args: readonly string[]) =>
      start([...args, '--api', at('a').served().api, '--token', FLEET_TOKEN]).finished;
    await pharos('up', TARGET, '--local');
    await pharos('weight', TARGET, '7', '--local');
    const own = `this node keeps its own order on ${TARGET}, and the other nodes follow this one`;
    for (const [args, kind, clears] of [
      [['weight', TARGET, '0'], 'Warning', `weight ${TARGET} auto`],
      [['weight', TARGET, 'auto'], 'Warning', `weight ${TARGET} auto`],
      [['up', TARGET], 'Warning', `auto ${TARGET}`],
      [['drain', TARGET], 'Not safe to stop', `auto ${TARGET}`],
      [['auto', TARGET], 'Warning', `auto ${TARGET}`],
    ] as const) {
      const { code, stdout, stderr } = await pharos(...args);
      const clear = `"pharos ${clears} --local" clears the own order`;
      expect([args, code, stdout, stderr]).toEqual([args, 0, '', expect.stringContaining(`${kind}: ${own}; ${clear}`)]);
    }
    const drain = await pharos('drain', 'www.example.com/@seoul', '--force');
    expect(drain.stdout).not.toContain('On all nodes of the fleet.');
    await pharos('auto', 'www.example.com/@seoul');
    expect((await pharos('weight', TARGET, 'auto', '--local')).stdout).toContain('weight of the zone file again');
    expect((await pharos('auto', TARGET, '--local')).stdout).toContain('override cleared');
    expect(await pharos('up', TARGET)).toMatchObject({ code: 0, stdout: `${TARGET} is forced up\n`, stderr: '' });
  });

  test('a node that is stopped is named, --wait ends with 1, and safe_at is never earlier than that node', async () => {
    at('c').served().child.kill('SIGSTOP');
    try {
      const args = ['drain', TARGET, '--wait', '--api', at('a').served().api, '--token', FLEET_TOKEN];
      const { code, stdout, stderr } = await start(args).finished;
      expect([code, stderr]).toEqual([
        1,
        expect.stringContaining('c has not confirmed the drain, and may still answer with'),
      ]);
      expect(stdout).toContain('\nNot yet on all nodes of the fleet: not confirmed by c.\n');
      expect(await drainOf('b')).toMatchObject({ safe_at: null, waiting_for: ['c'] });
    } finally {
      at('c').served().child.kill('SIGCONT');
    }
    const watching = watchAnswers(FIRST);
    await everywhere(SECOND);
    await eventually(
      () => drainOf('a'),
      (found) => isSafe(found),
    );
    const found = await drainOf('a');
    const lastMs = await watching.stop();
    for (const ms of lastMs.values())
      expect(Date.parse(found?.safe_at ?? '')).toBeGreaterThanOrEqual(ms + TTL_SECONDS * 1000);
  });

  test('a node that is killed before it confirms is named; after its start it answers without the target', async () => {
    await at('c').served().stop('SIGKILL');
    await eventually(
      () => fleetOf('a'),
      (fleet) => lost(fleet, 'c'),
    );
    expect(await drain('a')).toMatchObject({ safe_at: null, waiting_for: ['c'] });
    await at('c').start();
    // Its first answer already obeys: a node starts with the orders of the fleet.
    expect(await answer('c')).toBe(SECOND);
    await eventually(
      () => drainOf('a'),
      (found) => found?.waiting_for.length === 0,
    );
  });

  test('a node that is killed after it has confirmed keeps what it said', async () => {
    const { revision } = await drain('a');
    await eventually(
      () => drainOf('b'),
      (found) => isSafe(found),
    );
    await at('c').served().stop('SIGKILL');
    await eventually(
      () => fleetOf('b'),
      (fleet) => lost(fleet, 'c'),
    );
    expect(await drainOf('b')).toMatchObject({ waiting_for: [], revision, safe_at: expect.any(String) as string });
    await at('c').start();
    expect(await answer('c')).toBe(SECOND);
  });

  test('NATS lost before a node has heard of the drain: it is named until NATS is back', async () => {
    at('c').served().child.kill('SIGSTOP');
    await drain('a');
    await nats.kill();
    at('c').served().child.kill('SIGCONT');
    // The order may have reached the socket of the stopped node before NATS was killed: then it is obeyed.
    const hasHeard = (await answer('c')) === SECOND;
    await eventually(
      () => fleetOf('a'),
      (fleet) => lost(fleet, 'c') && lost(fleet, 'b'),
    );
    if (!hasHeard) expect(await drainOf('a')).toMatchObject({ safe_at: null, waiting_for: ['c'] });
    // All that NATS had is lost as well: the nodes bring it back.
    await nats.start({ lose: true });
    await everywhere(SECOND);
    await eventually(
      () => drainOf('a'),
      (found) => found?.waiting_for.length === 0,
    );
  });

  test('two drains at two nodes at once: of one target one order holds, of two targets both', async () => {
    const both = await Promise.all([drain('a'), drain('b')]);
    const revision = Math.max(...both.map((each) => each.revision));
    for (const name of FLEET_SERVERS) {
      await eventually(
        () => drainOf(name),
        (found) => found?.revision === revision && found.safe_at !== null,
      );
    }
    await Promise.all([drain('c'), drain('b', '/api/v1/overrides/www.example.com/second')]);
    await everywhere(THIRD);
    expect((await fleetOf('a')).drains.map(({ target }) => target).sort()).toEqual([TARGET, 'www.example.com/second']);
  });

  test('a node that is told otherwise for itself is not safe, whatever the fleet says', async () => {
    await drain('a');
    await eventually(
      () => drainOf('a'),
      (found) => isSafe(found),
    );
    await at('c').call('PUT', `${PATH}?scope=node`, { state: 'up' });
    expect(await answer('c')).toBe(FIRST);
    await eventually(
      () => drainOf('a'),
      (found) => found?.safe_at === null,
    );
    await at('c').call('DELETE', `${PATH}?scope=node`);
    expect(await answer('c')).toBe(SECOND);
    await eventually(
      () => drainOf('a'),
      (found) => isSafe(found),
    );
  });
});
