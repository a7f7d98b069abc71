/** Orders on nodes of a fleet: local ones, results of schedules, nodes that are forgotten. NATS is a list in memory. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { Current } from '../../../../cli/serve/generation.ts';
import { createOrderGiver } from '../../../../cli/serve/give-orders.ts';
import { createScheduleOrders } from '../../../../cli/serve/schedule-orders.ts';
import { applySchedule } from '../../../../cli/serve/schedules.ts';
import { createAlarms } from '../../../../config/alarms.ts';
import { createOrderBook, OrderNotKept, type OrderEntry } from '../../../../fleet/order-book.ts';
import type { Fleet, OrderTaker } from '../../../../fleet/start-fleet.ts';
import { startHealth, type Health } from '../../../../health/engine.ts';
import { createHealthTable } from '../../../../health/health-table.ts';
import { createManualClock, vip } from '../../health/support.ts';

const TARGETS = ['www.example.com/a', 'www.example.com/b'] as const;
const [A, B] = TARGETS;
const folder = mkdtempSync(join(tmpdir(), 'pharos-fleet-orders-'));
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  rmSync(folder, { recursive: true, force: true });
});

type Change = { readonly target: string; readonly weight?: number | 'auto'; readonly state?: 'drain' | 'down' };
type Heard = { readonly node: string; readonly isFresh: boolean };

/** What NATS does: gives an order its revision, and tells all nodes that are connected. */
function createBucket() {
  const stored: OrderEntry[] = [];
  const nodes = new Set<(entry: OrderEntry) => void>();
  return {
    stored,
    nodes,
    put: (key: string, order: unknown, node: string): OrderEntry => {
      const entry = {
        key,
        order: JSON.parse(JSON.stringify(order)) as unknown,
        revision: stored.length + 1,
        at: '',
        node,
      };
      stored.push(entry);
      for (const tell of nodes) tell(entry);
      return entry;
    },
  };
}

function startNode(name: string, bucket: ReturnType<typeof createBucket>) {
  const clock = createManualClock();
  const book = createOrderBook();
  let taker: OrderTaker | undefined;
  let isConnected = true;
  const peers: Heard[] = [];
  const known = new Set<string>();
  const hear = (entry: OrderEntry): void => {
    if (book.take(entry)) taker?.ordered(entry);
  };
  const join = (): void => {
    isConnected = true;
    bucket.nodes.add(hear);
    for (const entry of bucket.stored) hear(entry);
  };
  const fleet = {
    node: name,
    obey: (by: OrderTaker) => {
      taker = by;
      join();
    },
    order: (key: string, order: unknown) =>
      isConnected ? Promise.resolve(bucket.put(key, order, name)) : Promise.reject(new OrderNotKept('no NATS')),
    orders: book.entries,
    orderOf: book.get,
    acknowledge: () => undefined,
    peers: () => peers,
    known: () => [...known],
    forget: (node: string) => known.delete(node),
  } as unknown as Fleet;
  const reasons: string[] = [];
  const health: Health = startHealth({
    stateDir: folderFor(name),
    clock,
    log: (event) => {
      if ('reason' in event) reasons.push(event.reason);
    },
    warn: () => undefined,
    alarms: createAlarms(() => clock.wall()),
    suspect: () => 0,
  });
  stops.push(() => health.stop());
  health.configure(TARGETS.map((target, slot) => vip({ slot, target })), createHealthTable(2), 2); // prettier-ignore
  const schedules = createScheduleOrders({ fleet, health: () => health, clock, random: () => 0.5 });
  const catalog = { regions: [{ name: '' }], vips: TARGETS.map((target) => ({ target, region: 0 })) };
  const orders = createOrderGiver({
    fleet,
    health: () => health,
    schedules,
    current: () => ({ catalog }) as unknown as Current,
    wallMs: () => clock.wall(),
    warn: expect.unreachable,
  });
  return {
    clock,
    orders,
    health,
    reasons,
    known,
    peers,
    join,
    leave: () => {
      isConnected = false;
      bucket.nodes.delete(hear);
    },
    /** Runs a schedule, as its cron line would. */
    run: (...changes: readonly Change[]) => {
      const set = changes.map((change) => ({ weight: undefined, state: undefined, ...change, place: { file: '' } }));
      applySchedule({ at: '0 22 * * *', timezone: undefined, set }, schedules, () => undefined);
    },
    state: (target: string): string => health.overrides().find((each) => each.target === target)?.state ?? 'auto',
    weight: (target: string): number | undefined => health.weights().find((each) => each.target === target)?.weight,
  };
}

const folderFor = (name: string): string => join(folder, name);

test('a local order holds against orders of the fleet until it is given back; then the fleet decides', async () => {
  const bucket = createBucket();
  const [one, two] = [startNode('one', bucket), startNode('two', bucket)];
  await one.orders.override(A, { state: 'up', forMs: undefined, reason: 'here' }, 'node');
  expect([one.state(A), two.state(A)]).toEqual(['up', 'auto']);
  const given = await two.orders.override('@seoul', undefined).catch(() => undefined);
  expect(given?.kind).toBe('unknown target');
  await two.orders.override(A, { state: 'drain', forMs: undefined, reason: undefined });
  await two.orders.override(B, { state: 'down', forMs: undefined, reason: undefined });
  expect([one.state(A), one.state(B), two.state(A)]).toEqual(['up', 'down', 'drain']);
  const kept = await one.orders.override(A, { state: 'down', forMs: undefined, reason: undefined });
  expect(kept).toMatchObject({ scope: 'fleet', targets: [], kept: [A] });
  await one.orders.override(A, undefined, 'node');
  expect([one.state(A), two.state(A)]).toEqual(['down', 'down']);
  await two.orders.override(A, undefined);
  expect([one.state(A), two.state(A)]).toEqual(['auto', 'auto']);

  await one.orders.weigh(A, { weight: 3, reason: undefined }, 'node');
  await two.orders.weigh(A, { weight: 9, reason: undefined });
  expect([one.weight(A), two.weight(A)]).toEqual([3, 9]);
  await one.orders.weigh(A, undefined, 'node');
  expect(one.weight(A)).toBe(9);
});

test('the reason of clearing an order is in the events of every node', async () => {
  const bucket = createBucket();
  const nodes = [startNode('one', bucket), startNode('two', bucket)] as const;
  await nodes[0].orders.override(A, { state: 'down', forMs: undefined, reason: 'kernel' });
  await nodes[1].orders.override(A, undefined, 'fleet', 'alice', 'kernel done');
  await nodes[0].orders.weigh(B, { weight: 3, reason: undefined });
  await nodes[1].orders.weigh(B, undefined, 'fleet', undefined, 'canary done');
  for (const { reasons } of nodes) {
    expect(reasons).toContain('override cleared: kernel done');
    expect(reasons).toContain('weight override cleared: canary done');
  }
});

test('a node that was down when a schedule ran comes to the state of the others', async () => {
  const bucket = createBucket();
  const [one, two] = [startNode('one', bucket), startNode('two', bucket)];
  for (const each of [one, two]) each.run({ target: A, weight: 0 }, { target: B, state: 'drain' });
  for (const each of [one, two]) await each.clock.advance(1000);
  // One node gave both results; the other one found them.
  expect(bucket.stored).toHaveLength(2);
  const late = startNode('late', bucket);
  expect([late.weight(A), late.state(B)]).toEqual([0, 'drain']);
  expect(late.health.overrides()[0]).toMatchObject({ by: 'schedule', reason: 'schedule "0 22 * * *"' });
  await two.orders.override(B, { state: 'up', forMs: undefined, reason: undefined });
  one.run({ target: B, state: 'down' });
  await one.clock.advance(60_000);
  expect([one, two, late].map((each) => each.state(B))).toEqual(['up', 'up', 'up']);
});

test('what schedules set without NATS is given to the fleet later, unless the fleet has a later result', async () => {
  const bucket = createBucket();
  const [one, two] = [startNode('one', bucket), startNode('two', bucket)];
  one.leave();
  two.leave();
  one.run({ target: A, weight: 5 });
  await one.clock.advance(20_000);
  expect([one.weight(A), bucket.stored.length]).toEqual([5, 0]);
  one.join();
  await one.clock.advance(20_000);
  two.join();
  expect(two.weight(A)).toBe(5);
  two.leave();
  two.run({ target: A, weight: 6 });
  await one.clock.advance(100_000);
  one.run({ target: A, weight: 'auto' });
  await one.clock.advance(10_000);
  two.join();
  await two.clock.advance(200_000);
  expect([one.weight(A), two.weight(A)]).toEqual([undefined, undefined]);
});

test('a node that left is forgotten by all; one that is heard is not', async () => {
  const bucket = createBucket();
  const [one, two] = [startNode('one', bucket), startNode('two', bucket)];
  for (const each of [one, two]) each.known.add('gone').add('alive');
  one.peers.push({ node: 'alive', isFresh: true });
  expect(await one.orders.forget('alive')).toBe('heard');
  expect(await one.orders.forget('never')).toBe('unknown');
  expect(await one.orders.forget('one')).toBe('heard');
  expect(await one.orders.forget('gone')).toBe('forgotten');
  expect([[...one.known], [...two.known]]).toEqual([['alive'], ['alive']]);
  two.leave();
  two.known.add('gone');
  await expect(two.orders.forget('gone')).rejects.toThrow(OrderNotKept);
  expect(await two.orders.forget('gone', 'node')).toBe('forgotten');
});
