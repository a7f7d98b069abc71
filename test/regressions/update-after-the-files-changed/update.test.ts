/**
 * An update of records that a reload had just overruled, or whose records the files now stated themselves, was
 * confirmed and then dropped: the journal still had the set from before the reload, so the new set named the records of
 * the old files. The model of the whole found it: an update can come between a reload and the cleaning of the journal.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { Current } from '../../../cli/serve/generation.ts';
import { createUpdates } from '../../../cli/serve/updates.ts';
import { createAlarms } from '../../../config/alarms.ts';
import { zoneRecords } from '../../../server/transfer/answer-update.ts';
import { parseName } from '../../../wire/name.ts';
import { formatRdata, parseRdataText } from '../../../wire/rdata.ts';
import { CLASS, TYPE } from '../../../wire/types.ts';
import { viewImage } from '../../../zones/image/image.ts';
import { createPartStore } from '../../../zones/image/part-store.ts';
import { loadWorld, type LoadedGeneration } from '../../../zones/load-generation.ts';
import { folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const APEX = parseName('example.com.');
const WWW = parseName('www.example.com.');
const zone = (address: string): string =>
  `zone: example.com\nnameservers: [ns.example.net.]\nrecords: { www: { A: ${address} } }\n`;

test.each([
  ['files that overrule the last update, then a removal', '192.0.2.3', undefined],
  ['files that overrule the last update, then a change', '192.0.2.3', '192.0.2.4'],
  ['files that state what the last update set, then a removal', '192.0.2.2', undefined],
  ['files that state what the last update set, then a change', '192.0.2.2', '192.0.2.4'],
])('%s: in force, and after the next load too', async (_title, inFiles, wanted) => {
  using folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml':
      'geo: { databases: [small.mmdb] }\nstate_dir: state\nstatus: { token: "${TOKEN}" }\nupdates: [{ token: status.token }]\n',
    'zones/example.com.yaml': zone('192.0.2.1'),
  });
  const state = join(folder.path, 'state');
  mkdirSync(state);
  let loaded: LoadedGeneration;
  const load = (): void => {
    const input = { file: undefined, cwd: folder.path, env: { TOKEN: 'secret' }, cores: 1 };
    const store = createPartStore((octets) => new SharedArrayBuffer(octets));
    const outcome = loadWorld(input, store, undefined, new Map());
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    loaded = outcome.value.world.generation;
  };
  load();
  const updates = createUpdates({
    ...{ stateDir: state, alarms: createAlarms(), log: pino({ level: 'silent' }), stopping: () => false },
    current: () => ({ settings: loaded.settings, catalog: loaded.catalog, loaded }) as unknown as Current,
    update: async (keep) => {
      await keep();
      load();
      return { ok: true, generation: 1, warnings: [] };
    },
    ...{ histories: { expect: () => undefined, changed: () => undefined }, events: { add: () => undefined } },
  });
  const set = async (address: string | undefined): Promise<void> => {
    const all = { name: WWW, type: TYPE.A, class: CLASS.ANY, ttlSeconds: 0, data: new Uint8Array(0) };
    const added = { ...all, class: CLASS.IN, ttlSeconds: 300 };
    const outcome = await updates.change({
      apex: APEX,
      update: {
        zone: { name: APEX, type: TYPE.SOA, class: CLASS.IN },
        prerequisites: [],
        updates: [all, ...(address === undefined ? [] : [{ ...added, data: parseRdataText(TYPE.A, address, APEX) }])],
      },
      permit: () => () => true,
      sender: { key: 'k.', peer: Uint8Array.of(192, 0, 2, 1) },
    });
    expect(outcome.kind).toBe('done');
  };
  const served = (): readonly string[] => {
    const records = zoneRecords(viewImage(loaded.image, loaded.atlas), APEX);
    return (records?.setsOf(WWW)?.get(TYPE.A)?.data ?? []).map((data) => formatRdata(TYPE.A, data));
  };
  await set('192.0.2.2');
  writeFileSync(join(folder.path, 'zones/example.com.yaml'), zone(inFiles));
  load();
  expect(served()).toEqual([inFiles]);
  // Before the journal is compared with the files.
  await set(wanted);
  const expected = wanted === undefined ? [] : [wanted];
  expect(served()).toEqual(expected);
  await updates.followFiles();
  load();
  expect(served()).toEqual(expected);
  await updates.stop();
});
