/**
 * Faults of NATS and of the network between nodes, with real servers: what docs/reliability.md says of each. The nodes
 * run in this process; links that delay, swallow or cut are wires of the test.
 */
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { describe, expect, test } from 'vitest';
import { openLink, type NatsLink } from '../../fleet/nats-link.ts';
import { createOrderBook } from '../../fleet/order-book.ts';
import { bucketName } from '../../fleet/order-bucket.ts';
import { createOrderStore, type OrderStore } from '../../fleet/order-store.ts';
import { systemClock, type Clock } from '../../health/clock.ts';
import { PROBED } from '../../health/health-table.ts';
import { agreed, decided, openFleetLab, order, says, together, works } from '../support/fleet-node.ts';
import { freePort } from '../support/free-port.ts';
import { HAS_NATS, type NatsServer } from '../support/nats.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { eventually } from '../support/process.ts';
import { createDice, printedSeed } from '../support/random.ts';
import { openWire } from '../support/wire.ts';

const STREAM = `KV_${bucketName('test')}`;
const url = (port: number): string => `nats://127.0.0.1:${String(port)}`;

/** What an operator's `nats` command does. */
async function byHand<T>(
  server: NatsServer,
  run: (manager: JetStreamManager, on: NatsConnection) => Promise<T>,
): Promise<T> {
  const connection = await connect({ servers: server.url });
  try {
    return await run(await jetstreamManager(connection, { timeout: PATIENCE_MS }), connection);
  } finally {
    await connection.close();
  }
}

// Nearly all of their time is waiting.
describe.skipIf(!HAS_NATS).concurrent('faults of a fleet', () => {
  test('kill -9 of NATS with the loss of its data undoes nothing, and what nodes know is written back', async () => {
    await using lab = openFleetLab();
    const server = await lab.nats();
    const nodes = ['a', 'b'].map((name) => lab.join({ name, servers: [server.url] }));
    const [a, b] = nodes;
    await works(nodes);
    if (a === undefined || b === undefined) throw new Error('two nodes');
    const drained = await order(a, 'state.x', { target: 'x', state: 'drain' });
    const cleared = await order(b, 'state.y', { target: 'y', cleared: true });
    await agreed(nodes, 'state.y', cleared);
    const before = a.orders.length;

    await server.kill();
    await server.start({ lose: true });
    // A newcomer knows nothing; the others do.
    const c = lab.join({ name: 'c', servers: [server.url] });
    await agreed([a, b, c], 'state.x', drained);
    await agreed([a, b, c], 'state.y', cleared);
    expect(a.orders.slice(before)).toEqual([]);
    // The new bucket counts from 1 again; a new order is newer than all that is known.
    expect(await order(c, 'state.x', { target: 'x', cleared: true })).toBeGreaterThan(cleared);
    await works([a, b, c]);
  });

  test('a bucket or a watch that is deleted by hand is made anew, and no order is missed', async () => {
    await using lab = openFleetLab();
    const server = await lab.nats();
    const nodes = ['a', 'b'].map((name) => lab.join({ name, servers: [server.url] }));
    const [a, b] = nodes;
    await works(nodes);
    if (a === undefined || b === undefined) throw new Error('two nodes');
    await byHand(server, async (manager) => {
      for await (const { name } of manager.consumers.list(STREAM)) await manager.consumers.delete(STREAM, name);
    });
    await agreed(nodes, 'state.watch', await order(a, 'state.watch'));
    await byHand(server, (manager) => manager.streams.delete(STREAM));
    await agreed(nodes, 'state.bucket', await order(b, 'state.bucket'));
    // What the deleted bucket had is in the new one.
    await eventually(
      () => byHand(server, async (manager) => (await manager.streams.info(STREAM)).state.messages),
      (messages) => messages === 4,
    );
  });

  test('NATS that cannot be reached at the start delays a node by fleet.wait, and no longer', async () => {
    await using lab = openFleetLab();
    let nowMs = 0;
    const timers: { dueMs: number; run: () => void }[] = [];
    const clock: Clock = {
      now: () => nowMs,
      wall: () => nowMs,
      after: (delayMs, run) => {
        const timer = { dueMs: nowMs + delayMs, run };
        timers.push(timer);
        return () => void timers.splice(timers.indexOf(timer), 1);
      },
    };
    const pass = (ms: number): void => {
      nowMs += ms;
      for (const { run } of timers.filter(({ dueMs }) => dueMs <= nowMs)) run();
    };
    const server = await lab.nats();
    // One server refuses connections, and one takes them and says nothing.
    server.freeze();
    for (const servers of [[url(await freePort())], [server.url]]) {
      timers.splice(0);
      const node = lab.join({
        name: `n${String(servers[0]?.length)}${String(servers[0])}`.replaceAll(/\W/g, ''),
        servers,
        clock,
        waitMs: 3000,
      });
      let hasJoined = false;
      void node.fleet.joined.then(() => {
        hasJoined = true;
      });
      pass(2999);
      await new Promise(setImmediate);
      expect(hasJoined).toBe(false);
      pass(1);
      await node.fleet.joined;
      expect(node.fleet.isConnected()).toBe(false);
    }
    server.thaw();
  });

  test('connections that are half open or cut one way: the others count without the node, and it comes back', async () => {
    await using lab = openFleetLab();
    const server = await lab.nats();
    await using up = await openWire(server.port);
    await using down = await openWire(server.port);
    await using both = await openWire(server.port);
    const [a, b, c, d] = [
      lab.join({ name: 'a', servers: [server.url] }),
      lab.join({ name: 'b', servers: [url(up.port)] }),
      lab.join({ name: 'c', servers: [url(down.port)] }),
      lab.join({ name: 'd', servers: [url(both.port)] }),
    ];
    await works([a, b, c, d]);
    up.swallow('up');
    down.swallow('down');
    both.swallow();
    // What b sends is lost, and what c is sent.
    await eventually(
      () => Promise.resolve([a, b, c, d].map((node) => [...node.heard()].sort())),
      (heard) => JSON.stringify(heard) === '[["c"],["a","c"],[],[]]',
    );
    for (const node of [a, c]) node.vote(PROBED.DOWN, 'refused');
    await decided([a, b], PROBED.DOWN);
    // Its own vote is the only one that d has.
    expect(d.verdict()).toBe(PROBED.UP);
    const kept = await order(a, 'state.meanwhile');
    // The client's pings find that nothing comes back.
    await eventually(
      () => Promise.resolve([b, c, d].map(({ fleet }) => fleet.isConnected())),
      (connected) => !connected.includes(true),
    );
    for (const wire of [up, down, both]) wire.mend();
    await agreed([a, b, c, d], 'state.meanwhile', kept);
    // Two of four regions say down: a tie, and up wins where states differ.
    await decided([a, b, c, d], PROBED.UP);
  });

  test('a server that freezes is a server that is lost; when it thaws, all goes on', async () => {
    await using lab = openFleetLab();
    const server = await lab.nats();
    const nodes = ['a', 'b', 'c'].map((name) => lab.join({ name, servers: [server.url] }));
    await works(nodes);
    server.freeze();
    await eventually(
      () => Promise.resolve(nodes.map((node) => node.heard())),
      (heard) => heard.flat().length === 0,
    );
    nodes[0]?.vote(PROBED.DOWN, 'timeout');
    expect(nodes.map((node) => node.verdict())).toEqual([PROBED.DOWN, PROBED.UP, PROBED.UP]);
    server.thaw();
    await works(nodes);
    await decided(nodes, PROBED.UP);
  });

  test('over slow links that lose a tenth of all segments, nodes stay fresh, agree, and exchange orders', async () => {
    await using lab = openFleetLab();
    const dice = createDice(printedSeed('lossy links'));
    const server = await lab.nats();
    const loss = { share: 0.1, stallMs: 300, dice };
    await using slow = await openWire(server.port, { delayMs: 40, loss });
    const nodes = ['a', 'b', 'c'].map((name) => lab.join({ name, servers: [url(slow.port)] }));
    await works(nodes);
    for (const node of nodes.slice(1)) node.vote(PROBED.DOWN, 'refused');
    await decided(nodes, PROBED.DOWN);
    for (const node of nodes) node.vote(PROBED.UP, '');
    await decided(nodes, PROBED.UP);
    expect(nodes.flatMap(({ lines }) => lines.filter((line) => line.includes('not connected')))).toEqual([]);
  });

  test('a hundred nodes that reconnect at once have a hundred watches', async () => {
    await using lab = openFleetLab();
    const server = await lab.nats();
    let ready = 0;
    const open = (_: unknown, at: number): { link: NatsLink; store: OrderStore } => {
      const node = `n${String(at)}`;
      const store = createOrderStore({
        fleet: 'test',
        domain: undefined,
        node,
        book: createOrderBook(),
        now: () => new Date(0).toISOString(),
        taken: () => undefined,
        warn: () => undefined,
      });
      const login = { credentials: undefined, user: undefined, password: undefined, token: undefined, nkey: undefined };
      const link = openLink({
        settings: { servers: [server.url], login, tls: undefined, name: 'test', node },
        warn: () => undefined,
        connected: (isConnected) => {
          const connection = link.connection();
          if (!isConnected || connection === undefined) store.detach();
          else void store.attach(connection).then(() => (ready += 1));
        },
      });
      return { link, store };
    };
    const nodes = Array.from({ length: 100 }, open);
    const watches = (): Promise<number> =>
      byHand(server, async (manager) => (await manager.streams.info(STREAM)).state.consumer_count);
    try {
      for (const lose of [false, false, true]) {
        await eventually(
          () => Promise.resolve(ready),
          (count) => count >= 100,
        );
        await eventually(watches, (count) => count === 100);
        ready = 0;
        await server.kill();
        // Each detaches before it attaches again.
        await eventually(
          () => Promise.resolve(nodes.filter(({ link }) => link.connection()).length),
          (up) => up === 0,
        );
        ready = 0;
        await server.start({ lose });
      }
      await eventually(
        () => Promise.resolve(ready),
        (count) => count >= 100,
      );
      await eventually(watches, (count) => count === 100);
    } finally {
      for (const { store } of nodes) store.close();
      await Promise.all(nodes.map(({ link }) => link.close()));
    }
  });

  test('votes of a node with another check do not count', async () => {
    await using lab = openFleetLab();
    const server = await lab.nats();
    const nodes = ['a', 'b'].map((name) => lab.join({ name, servers: [server.url] }));
    const other = lab.join({ name: 'c', servers: [server.url], check: 'another check', config: 'two' });
    await together([...nodes, other]);
    other.vote(PROBED.DOWN, 'refused');
    nodes[0]?.vote(PROBED.DOWN, 'refused');
    await eventually(
      () => Promise.resolve(nodes[1]?.fleet.votes('www/a')?.voters),
      (voters) => voters?.some(({ node, vote }) => node === 'a' && vote === 2) === true,
    );
    // One of two regions: a tie. With the vote of c, it were down.
    expect(nodes.map((node) => node.verdict())).toEqual([PROBED.UP, PROBED.UP]);
    await decided([other], PROBED.DOWN);
  });

  test('a clock that is an hour off raises an alarm on all nodes, and changes nothing else', async () => {
    await using lab = openFleetLab();
    const server = await lab.nats();
    const clock: Clock = { ...systemClock, wall: () => Date.now() + 3_600_000 };
    const nodes = [
      ...['a', 'b'].map((name) => lab.join({ name, servers: [server.url] })),
      lab.join({ name: 'c', servers: [server.url], clock }),
    ];
    await works(nodes);
    for (const node of nodes.slice(1)) node.vote(PROBED.DOWN, 'refused');
    await decided(nodes, PROBED.DOWN);
    await eventually(
      () =>
        Promise.resolve(
          nodes.map(({ alarms }) =>
            alarms
              .list()
              .map(({ code, subject }) => `${code} ${String(subject)}`)
              .sort(),
          ),
        ),
      (all) => JSON.stringify(all) === '[["clock_skew c"],["clock_skew c"],["clock_skew a","clock_skew b"]]',
    );
  });

  test('votes of another version, and votes in the name of another node, are not counted', async () => {
    await using lab = openFleetLab();
    const server = await lab.nats();
    const nodes = ['a', 'b'].map((name) => lab.join({ name, servers: [server.url] }));
    await together(nodes);
    const connection = await connect({ servers: server.url });
    try {
      connection.publish('pharos.test.vote.newer', Uint8Array.of(2, 0, 0, 0, 0));
      const stolen = Promise.withResolvers<Uint8Array>();
      connection.subscribe('pharos.test.vote.b', { callback: (_, { data }) => { stolen.resolve(data); } }); // prettier-ignore
      connection.publish('pharos.test.vote.thief', await stolen.promise);
      for (const name of ['newer', 'thief']) {
        for (const node of nodes) await says(node, `fleet: votes of ${name} cannot be read and do not count`);
      }
    } finally {
      await connection.close();
    }
    expect(nodes.map((node) => node.heard())).toEqual([['b'], ['a']]);
    expect(nodes.map(({ fleet }) => fleet.known())).toEqual([['b'], ['a']]);
  });
});
