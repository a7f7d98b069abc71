/**
 * A node processed an update while the order of another node came in: it answered SERVFAIL, as without NATS, although
 * the order was put in force a moment later. Now the update waits for it, so that of two updates with opposite
 * prerequisites one wins, and the other one is told why it does not.
 */
import { expect, test } from 'vitest';
import { createFleetRecords, writeZoneOrder } from '../../../cli/serve/fleet-records.ts';
import type { Current } from '../../../cli/serve/generation.ts';
import { createUpdates, type AskedUpdate, type UpdatesOptions } from '../../../cli/serve/updates.ts';
import { orderKey, type OrderEntry } from '../../../fleet/order-book.ts';
import type { Fleet } from '../../../fleet/start-fleet.ts';
import { parseName } from '../../../wire/name.ts';
import { answering, folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const apex = parseName('example.com.');
const REFUSAL = { rcode: 7 };
const ASKED = { apex, permit: () => REFUSAL } as unknown as AskedUpdate;

test.each([
  ['is put in force: the update is processed', undefined, { kind: 'refused', refusal: REFUSAL }],
  ['cannot be put in force: the update is not kept', 'the disk is full', { kind: 'not kept' }],
])('an order that comes while an update waits for its turn, and %s', async (_, failure, outcome) => {
  using folder = folderOf({});
  const { generation } = answering({
    ...NO_GEOGRAPHY,
    'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns.example.net.]\n',
  });
  const current = { loaded: generation, catalog: generation.catalog, settings: { transfer: {}, updates: [] } };
  let book: OrderEntry | undefined;
  const fleet = { isConnected: () => true, orders: () => [], orderOf: () => book, acknowledge: () => undefined };
  const records = createFleetRecords(fleet as unknown as Fleet, () => undefined);
  let turns = 0;
  const updates = createUpdates({
    current: () => current as unknown as Current,
    stateDir: folder.path,
    fleet: records,
    update: async (keep: () => Promise<unknown>) => {
      turns++;
      if (turns === 1) {
        const order = writeZoneOrder(apex, { serial: 7, sets: new Map() });
        book = { key: orderKey('records', 'example.com'), order, revision: 1, at: '', node: 'b' };
        records.take(book);
      } else if (turns === 2 && failure !== undefined) throw new Error(failure);
      await keep();
      return { ok: true };
    },
    ...{ histories: { expect: () => undefined }, events: {}, alarms: {}, stopping: () => false },
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  } as unknown as UpdatesOptions);
  await updates.join();
  expect(await updates.change(ASKED)).toMatchObject(outcome);
  // The update, the order, and the update again.
  expect(turns).toBe(3);
  await updates.stop();
});
