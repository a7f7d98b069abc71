/**
 * At a takeover, the old server waited until an update was in force, but not until the fleet had it. If the fleet did
 * not take it, the old server cut the journal, although the new one may have written to it.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Current } from '../../../cli/serve/generation.ts';
import { createUpdates, type AskedUpdate, type UpdatesOptions } from '../../../cli/serve/updates.ts';
import { OrderNotKept } from '../../../fleet/order-book.ts';
import { parseName } from '../../../wire/name.ts';
import { CLASS, TYPE } from '../../../wire/types.ts';
import { journalPath } from '../../../zones/journal/journal-file.ts';
import { answering, folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const apex = parseName('example.com.');

test('the old server ends what it does with the journal, and begins nothing, before the new one has it', async () => {
  using folder = folderOf({});
  const { generation } = answering({
    ...NO_GEOGRAPHY,
    'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns.example.net.]\n',
  });
  const current = { loaded: generation, catalog: generation.catalog, settings: { transfer: {}, updates: [] } };
  const asked = Promise.withResolvers<undefined>();
  const fleetSays = Promise.withResolvers<never>();
  let kept = 0;
  const updates = createUpdates({
    current: () => current as unknown as Current,
    stateDir: folder.path,
    update: async (keep: () => Promise<{ readonly files: readonly string[] }>) => {
      if ((await keep()).files.length > 0) kept++;
      return { ok: true };
    },
    fleet: {
      ...{ obstacle: () => undefined, next: () => undefined, revisionOf: () => 0 },
      give: () => {
        asked.resolve(undefined);
        return fleetSays.promise;
      },
    },
    ...{ histories: { expect: () => undefined }, events: {}, alarms: {}, stopping: () => true },
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  } as unknown as UpdatesOptions);
  const add = (label: string): AskedUpdate => {
    const record = { name: parseName(`${label}.example.com.`), type: TYPE.A, class: CLASS.IN, ttl: 60, data: Uint8Array.of(192, 0, 2, 1) }; // prettier-ignore
    const update = { zone: { name: apex, type: TYPE.SOA, class: CLASS.IN }, prerequisites: [], updates: [record] };
    return { apex, update, permit: () => () => true, sender: {} } as unknown as AskedUpdate;
  };
  const journal = (): number => readFileSync(journalPath(folder.path, apex)).length;

  const first = updates.change(add('one'));
  await asked.promise;
  expect(journal()).toBeGreaterThan(0);
  let isHeld = false;
  const holding = updates.hold().then(() => {
    isHeld = true;
  });
  const second = updates.change(add('two'));
  await new Promise((turn) => setImmediate(turn));
  expect(isHeld).toBe(false);
  fleetSays.reject(new OrderNotKept('NATS cannot be reached'));
  await holding;
  expect(await first).toMatchObject({ kind: 'not kept' });
  expect([kept, journal()]).toEqual([2, 0]);
  await updates.stop();
  expect(await second).toMatchObject({ kind: 'not kept' });
});
