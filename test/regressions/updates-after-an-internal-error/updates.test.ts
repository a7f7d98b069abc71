/**
 * An unexpected error between two batches of updates, or in one, ended the work on updates for good: each later update
 * waited for ever. Now it is logged, the updates of the batch are told, and the next one is processed.
 */
import { expect, test } from 'vitest';
import type { Current } from '../../../cli/serve/generation.ts';
import { createUpdates, type AskedUpdate, type UpdatesOptions } from '../../../cli/serve/updates.ts';
import { parseName } from '../../../wire/name.ts';
import { answering, folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const REFUSAL = { rcode: 7 };
const apex = parseName('example.com.');

test.each(['a job', 'a batch'])('%s fails, and the next update is processed', async (what) => {
  using folder = folderOf({});
  const { generation } = answering({
    ...NO_GEOGRAPHY,
    'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns.example.net.]\n',
  });
  const current = { loaded: generation, catalog: generation.catalog, settings: { transfer: {}, updates: [] } };
  let isBroken = true;
  const errors: unknown[] = [];
  const fails = (): never => {
    throw new Error('unexpected');
  };
  const updates = createUpdates({
    current: () => current as unknown as Current,
    stateDir: folder.path,
    update: async (keep: () => Promise<unknown>) => {
      if (isBroken) fails();
      await keep();
      return { ok: true };
    },
    ...{ histories: { expect: () => undefined }, events: {}, alarms: {} },
    // A batch asks for this after its update could not be kept.
    stopping: () => isBroken && fails(),
    log: { info: () => undefined, warn: () => undefined, error: ({ err }: { err: unknown }) => errors.push(err) },
  } as unknown as UpdatesOptions);
  const asked = (permit: () => unknown): AskedUpdate => ({ apex, permit }) as unknown as AskedUpdate;
  if (what === 'a job') {
    updates.reopen();
    await updates.join();
  } else {
    const settled = await Promise.all([updates.change(asked(fails)), updates.change(asked(fails))]);
    expect(settled).toMatchObject([{ kind: 'not kept' }, { kind: 'not kept' }]);
  }
  isBroken = false;
  expect(await updates.change(asked(() => REFUSAL))).toMatchObject({ kind: 'refused', refusal: REFUSAL });
  expect(errors.length).toBeGreaterThan(0);
  await updates.stop();
});
