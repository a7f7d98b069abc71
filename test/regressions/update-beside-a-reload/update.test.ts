/**
 * An update was compared with the zone that a reload was just replacing. If the reload brought other records of the
 * same name and type, the answered update was dropped: its journal named the records before them.
 */
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { prepare, type Current } from '../../../cli/serve/generation.ts';
import { createReloads } from '../../../cli/serve/reload.ts';
import { createAlarms } from '../../../config/alarms.ts';
import { loadPacked, NO_GEOGRAPHY } from '../../support/pharos.ts';

const ZONE = 'zone: example.com\nnameservers: [ns.example.net.]\nrecords: { www: { A: 192.0.2.1 } }\n';

test('an update is processed after the reload that is under way', async () => {
  const loaded = loadPacked({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': ZONE });
  let current: Current = prepare(loaded, 1, [], 1);
  const files = Promise.withResolvers<undefined>();
  const reloads = createReloads({
    ...{ alarms: createAlarms(), firstLoadMs: 0, warnings: [], threads: 1, log: pino({ level: 'silent' }) },
    input: { file: undefined, cwd: '/', env: {}, cores: 1 },
    current: () => current,
    activate: (next) => Promise.resolve(void (current = next)),
    measured: { figures: () => Promise.resolve(undefined), applied: () => undefined },
    changedInPlace: () => undefined,
    ...{ begins: () => undefined, tell: () => undefined, stopping: () => false },
    load: () => files.promise.then(() => ({ ok: true as const, value: { ...loaded }, diagnostics: [] })),
  });
  const reload = reloads.reload();
  let processedIn = 0;
  const update = reloads.update(() => {
    processedIn = current.number;
    return Promise.resolve({ files: [], inPlace: () => undefined });
  });
  files.resolve(undefined);
  await Promise.all([reload, update]);
  expect(processedIn).toBe(2);
});
