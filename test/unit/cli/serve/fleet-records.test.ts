import { expect, test } from 'vitest';
import {
  createFleetRecords,
  entryForOrder,
  readZoneOrder,
  writeZoneOrder,
} from '../../../../cli/serve/fleet-records.ts';
import { orderKey, OrderOvertaken, type OrderEntry } from '../../../../fleet/order-book.ts';
import type { OrderBase } from '../../../../fleet/order-store.ts';
import type { Fleet } from '../../../../fleet/start-fleet.ts';
import type { ZoneRecords } from '../../../../server/transfer/answer-update.ts';
import { nameKey, parseName } from '../../../../wire/name.ts';
import type { DynamicRecords } from '../../../../zones/journal/journal-file.ts';
import { digestOfData, setKey, type DynamicSet } from '../../../../zones/journal/record-set.ts';
import { createDice, printedSeed } from '../../../support/random.ts';

const A = 1;
const apex = parseName('example.com.');
const key = orderKey('records', 'example.com');
const of = (name: string, octet: number, base = ''): DynamicSet => ({
  ...{
    name: parseName(`${name}.example.com.`),
    type: A,
    base,
    ttlSeconds: 60,
    data: [Uint8Array.of(192, 0, 2, octet)],
  },
});
const records = (...sets: readonly DynamicSet[]): DynamicRecords => ({
  serial: 7,
  sets: new Map(sets.map((set) => [setKey(set.name, set.type), set])),
});
const orderOf = (found: DynamicRecords, revision = 1) => {
  const order = readZoneOrder({ order: writeZoneOrder(apex, found), revision });
  if (!order) throw new Error('the order cannot be read');
  return order;
};
/** A zone whose files have these records. */
const zone = (serial: number, ...sets: readonly DynamicSet[]): ZoneRecords =>
  ({
    serial,
    setsOf: (name: Uint8Array) => new Map(sets.filter((set) => nameKey(set.name) === nameKey(name)).map((set) => [set.type, set])), // prettier-ignore
    isSteered: (name: Uint8Array) => nameKey(name) === nameKey(parseName('app.example.com.')),
  }) as unknown as ZoneRecords;

test('what is written can be read', () => {
  const found = orderOf(records(of('a', 1), { ...of('b', 2, 'base'), data: [] }), 9);
  expect(found).toEqual({ apex, revision: 9, records: records(of('a', 1), { ...of('b', 2, 'base'), data: [] }) });
});

test('too many records are not kept', () => {
  const dice = createDice(printedSeed('fleet-records'));
  const data = Array.from({ length: 60_000 }, () => Uint8Array.from({ length: 20 }, () => dice.below(256)));
  expect(() => writeZoneOrder(apex, records({ ...of('a', 1), data }))).toThrow('too many dynamic records');
});

test.each([
  ['no object', 'text'],
  ['no text', { zone: 'example.com.', packed: 1 }],
  ['not packed', { zone: 'example.com.', packed: 'AAAA' }],
  ['an A record of one octet', writeZoneOrder(apex, records({ ...of('a', 1), data: [Uint8Array.of(1)] }))],
  ['a type that no record has', writeZoneOrder(apex, records({ ...of('a', 1), type: 0x1_0000 }))],
  ['a type that answers only have', writeZoneOrder(apex, records({ ...of('a', 1), type: 41 }))],
  ['an SOA', writeZoneOrder(apex, records({ ...of('a', 1), type: 6, data: [] }))],
  ['a negative TTL', writeZoneOrder(apex, records({ ...of('a', 1), ttlSeconds: -1 }))],
  ['a name of another zone', writeZoneOrder(apex, records({ ...of('a', 1), name: parseName('a.example.org.') }))],
  ['no name', { ...writeZoneOrder(apex, records()), zone: `${'a'.repeat(64)}.com.` }],
  ['cut', { zone: 'example.com.', packed: writeZoneOrder(apex, records(of('a', 1))).packed.slice(0, 20) }],
])('an order that is damaged: %s', (_, order) => {
  expect(readZoneOrder({ order, revision: 1 })).toBeUndefined();
});

test('the journal gets the difference, and the files win', () => {
  const base = digestOfData(A, [Uint8Array.of(192, 0, 2, 9)]);
  const order = orderOf(records(of('new', 1), of('kept', 2), of('file', 3, base), of('other', 4, base), of('app', 5)));
  const files = zone(100, of('file', 9), of('other', 8));
  const entry = entryForOrder(order, records(of('kept', 2), of('gone', 6)), files);
  // `other` has different records in the files here, and `app` is steered.
  expect(entry).toEqual({
    serial: 101,
    sets: [of('new', 1), of('file', 3, base), { ...of('gone', 6), isForgotten: true }],
  });
  expect(entryForOrder(orderOf(records(of('kept', 2))), records(of('kept', 2)), files)).toBeUndefined();
});

/** A fleet with the orders of a bucket; NATS itself is in the integration test. */
function fleetWith(applied: readonly number[]) {
  const book = new Map<string, OrderEntry>();
  let acknowledged = 0;
  const peers = applied.map((each) => ({ isFresh: true, applied: each }));
  const fleet = {
    isConnected: () => true,
    orders: () => [...book.values()],
    orderOf: (of: string) => book.get(of),
    order: (at: string, order: unknown, base?: OrderBase) => {
      if ((book.get(at)?.revision ?? 0) !== base?.replaces) return Promise.reject(new OrderOvertaken());
      const entry: OrderEntry = { key: at, order, revision: base.after + 1, at: '', node: 'a' };
      book.set(at, entry);
      return Promise.resolve(entry);
    },
    acknowledge: () => (acknowledged += 1),
    peers: () => peers,
  };
  return { fleet: fleet as unknown as Fleet, book, peers, acknowledged: () => acknowledged };
}

test('an order that another node gave first overtakes, and stops updates until it is in force', async () => {
  const { fleet, book } = fleetWith([]);
  const own = createFleetRecords(fleet, () => undefined);
  const entry = { serial: 8, sets: [of('a', 1)] };
  expect(await own.give(apex, records(), [entry])).toBe('given');
  expect(own.obstacle(apex)).toBeUndefined();
  const foreign: OrderEntry = { key, order: writeZoneOrder(apex, records(of('b', 2))), revision: 5, at: '', node: 'b' };
  book.set(key, foreign);
  expect(await own.give(apex, records(of('a', 1)), [entry])).toBe('overtaken');
  expect(own.take(foreign)).toBe(true);
  expect(own.obstacle(apex)).toContain('not in force');
  expect(own.pending()).toBe(5);
  const next = own.next();
  if (!next) throw new Error('no order');
  own.inForce(next);
  expect([own.next(), own.pending(), own.obstacle(apex)]).toEqual([undefined, undefined, undefined]);
  expect(await own.give(apex, next.records, [{ serial: 9, sets: [of('c', 3)] }])).toBe('given');
  const last = book.get(key);
  expect(last && readZoneOrder(last)?.records.sets.size).toBe(2);
});

test('after a reload, orders in force are looked at again, and do not count as new', async () => {
  const { fleet, book } = fleetWith([]);
  const own = createFleetRecords(fleet, () => undefined);
  own.again();
  expect(own.next()).toBeUndefined();
  await own.give(apex, records(), [{ serial: 8, sets: [of('a', 1)] }]);
  own.again();
  expect([own.next()?.revision, own.pending(), own.obstacle(apex)]).toEqual([1, undefined, undefined]);
  const foreign: OrderEntry = { key, order: writeZoneOrder(apex, records(of('b', 2))), revision: 5, at: '', node: 'b' };
  book.set(key, foreign);
  own.take(foreign);
  own.again();
  expect([own.next()?.revision, own.pending()]).toEqual([5, 5]);
  const order = own.next();
  if (order) own.inForce(order);
  expect([order?.records, own.next(), own.pending()]).toEqual([records(of('b', 2)), undefined, undefined]);
  // The files do not permit more: the next reload looks again.
  own.again();
  expect([order && own.leave(order), own.next()]).toEqual([true, undefined]);
  const newer: OrderEntry = { ...foreign, revision: 6 };
  book.set(key, newer);
  own.take(newer);
  const failed = own.next();
  expect([failed && own.leave(failed), own.next()]).toEqual([false, failed]);
});

test('with a later order in the journal than the fleet has, the next update gives what the journal has', async () => {
  const { fleet, book } = fleetWith([]);
  const older: OrderEntry = { key, order: writeZoneOrder(apex, records(of('a', 1))), revision: 4, at: '', node: 'b' };
  book.set(key, older);
  const own = createFleetRecords(fleet, () => undefined);
  expect(own.next()?.revision).toBe(4);
  own.inForce({ apex, revision: 5 });
  own.again();
  expect([own.pending(), own.obstacle(apex)]).toEqual([undefined, undefined]);
  own.inForce({ apex, revision: 5 });
  expect(await own.give(apex, records(of('b', 2)), [{ serial: 9, sets: [of('c', 3)] }])).toBe('given');
  const given = book.get(key);
  expect(given?.revision).toBe(6);
  expect(given && [...(readZoneOrder(given)?.records.sets.values() ?? [])]).toEqual([of('b', 2), of('c', 3)]);
});

test('an order for another zone than its key says is not taken; one that fails lets others come first', () => {
  const other = parseName('example.net.');
  const { fleet } = fleetWith([]);
  const warnings: string[] = [];
  const own = createFleetRecords(fleet, (message) => warnings.push(message));
  const order = writeZoneOrder(apex, records(of('a', 1)));
  const wrong: OrderEntry = { key: orderKey('records', 'example.net'), order, revision: 1, at: '', node: 'b' };
  expect([own.take(wrong), own.next(), warnings.length]).toEqual([true, undefined, 1]);
  own.take({ ...wrong, key });
  own.take({ ...wrong, order: writeZoneOrder(other, { serial: 1, sets: new Map() }), revision: 2 });
  const failed = own.next();
  if (failed) own.postpone(failed);
  expect([failed?.apex, own.next()?.apex]).toEqual([apex, other]);
});

test('the answer waits until the nodes that are heard serve the update', async () => {
  const { fleet, peers } = fleetWith([0]);
  const own = createFleetRecords(fleet, () => undefined);
  await own.give(apex, records(), [{ serial: 8, sets: [of('a', 1)] }]);
  let isServed = false;
  const served = own.served().then(() => (isServed = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(isServed).toBe(false);
  for (const peer of peers) peer.applied = 1;
  await served;
});
