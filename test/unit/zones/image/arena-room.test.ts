/**
 * A first load of many zones writes one arena: its size is estimated from their records. An arena that fills up would
 * be copied to a larger one, and both would be in memory.
 */
import { expect, test } from 'vitest';
import { loadGeneration } from '../../../../zones/load-generation.ts';
import { folderOf, NO_GEOGRAPHY } from '../../../support/pharos.ts';

const ZONES = 10;
const RECORDS = 9000;
/** Smaller memories are for other tables. */
const LARGE_OCTETS = 4 * 1024 * 1024;

test('ten zones of 9,000 records are written into one arena', () => {
  const zones = Array.from({ length: ZONES }, (_, zone): [string, string][] => [
    [`zones/z${zone}.yaml`, `zone: z${zone}.example\nnameservers: [ns]\nrecords: { ns: { A: 192.0.2.1 } }\ninclude: [z${zone}.db]\n`], // prettier-ignore
    [`zones/z${zone}.db`, `$TTL 60\n$GENERATE 1-${RECORDS} host-$ A 10.0.0.1\n`],
  ]);
  using folder = folderOf({ ...NO_GEOGRAPHY, ...Object.fromEntries(zones.flat()) });
  const sizes: number[] = [];
  const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 }, (octets) => {
    sizes.push(octets);
    return new SharedArrayBuffer(octets);
  });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics.slice(0, 3)));
  expect(outcome.value.catalog.zones.map(({ records }) => records)).toStrictEqual(Array.from({ length: ZONES }, () => RECORDS + 3)); // prettier-ignore
  expect(sizes.filter((octets) => octets >= LARGE_OCTETS)).toHaveLength(1);
  // Memory that is not written is not resident, but the estimate should not be far off either.
  expect(Math.max(...sizes)).toBeLessThan(ZONES * RECORDS * 250);
});
