import { describe, expect, test } from 'vitest';
import { buildAtlas } from '../../../geo/atlas.ts';
import { lookupClass } from '../../../geo/find-class.ts';
import { latencyKinds, type LatencyUse } from '../../../geo/latency-classes.ts';
import { createLatencyBuilder, latencyOf, networkRow, type LatencyTable } from '../../../geo/latency-table.ts';
import { addressWords } from '../../../geo/prefix-table.ts';
import { formatPrefix, inPrefix, parseAddress, type Prefix } from '../../../wire/address.ts';
import { createDice, printedSeed, type Dice } from '../../support/random.ts';

const REGIONS = ['seoul', 'dublin', 'virginia', 'sydney'];

type Row = { readonly prefix: Prefix; readonly ms: ReadonlyMap<string, number> };

/** Networks that nest and touch; few different times, so that some are equal and some are just within reach. */
function randomRows(dice: Dice, count: number): Row[] {
  const rows = new Map<string, Row>();
  while (rows.size < count) {
    const v4 = dice.chance(0.5);
    const bytes = Uint8Array.from({ length: v4 ? 4 : 16 }, (_, at) =>
      at < 1 ? 32 : dice.chance(0.4) ? dice.below(4) : 0,
    );
    const bits = dice.chance(0.05) ? 0 : 3 + dice.below(v4 ? 30 : 126);
    const prefix = {
      bytes: bytes.map((octet, at) => octet & (0xff00 >> Math.min(8, Math.max(0, bits - at * 8)))),
      bits,
    };
    const ms = new Map(dice.sample(REGIONS, 1 + dice.below(4)).map((region) => [region, 5 * dice.below(8)]));
    rows.set(formatPrefix(prefix), { prefix, ms });
  }
  return [...rows.values()];
}

function tableOf(rows: readonly Row[]): LatencyTable {
  const builder = createLatencyBuilder();
  for (const { prefix, ms } of rows) {
    const row = builder.network(addressWords(prefix.bytes), prefix.bits);
    for (const [region, time] of ms) builder.set(row, builder.column(region), time, 0);
  }
  return builder.done();
}

function timesOf(table: LatencyTable, row: number): Map<string, number> {
  return new Map(
    table.regions.flatMap((region, column) => {
      const ms = latencyOf(table, row, column);
      return ms === undefined ? [] : [[region, ms] as const];
    }),
  );
}

/**
 * docs/steering.md#latency, for every set of regions that could be up: the least, and those at most `within` slower.
 */
function answers(times: ReadonlyMap<string, number>, { regions, withinMs }: LatencyUse): string[] {
  return Array.from({ length: 2 ** regions.length }, (_, up) => {
    const known = regions.filter((region, bit) => (up >> bit) % 2 === 1 && times.has(region));
    const least = Math.min(...known.map((region) => times.get(region) ?? Infinity));
    return known.filter((region) => (times.get(region) ?? Infinity) <= least + withinMs).join();
  });
}

describe('every row of a kind gives the same answers', () => {
  const seed = printedSeed('kinds of rows');
  test.for([0, 1, 2, 3, 4, 5, 6, 7])('table %i', (number) => {
    const dice = createDice(seed + number);
    const rows = randomRows(dice, 400);
    const table = tableOf(rows);
    const uses = Array.from({ length: 1 + dice.below(3) }, () => ({
      regions: dice.sample([...REGIONS, 'unmeasured'], 1 + dice.below(4)),
      withinMs: dice.pick([0, 4, 5, 10]),
    }));
    const { rowOf, tree } = latencyKinds(table, uses);
    const atlas = buildAtlas([], [], new Map(), [tree]);
    for (let turn = 0; turn < 600; turn++) {
      const near = dice.pick(rows).prefix;
      const address = near.bytes.map((octet, at) =>
        at * 8 >= near.bits || dice.chance(0.02) ? dice.below(256) : octet,
      );
      const where = `${formatPrefix({ bytes: address, bits: address.length * 8 })} PHAROS_SEED=${seed}`;
      const found = rows
        .filter(({ prefix }) => inPrefix(address, prefix))
        .toSorted((a, b) => b.prefix.bits - a.prefix.bits)[0];
      expect(networkRow(table, address)?.network, where).toBe(found && formatPrefix(found.prefix));
      const bits = address.length * 8;
      const root = bits === 32 ? atlas.v4Root : atlas.v6Root;
      const cls = Math.floor(lookupClass(atlas.nodes, root, address, 0, bits) / 256);
      const kind = atlas.locations[cls]?.latency[0] ?? 0;
      expect(kind > 0, where).toBe(found !== undefined);
      if (!found) continue;
      expect(timesOf(table, networkRow(table, address)?.row ?? -1), where).toEqual(found.ms);
      const representative = timesOf(table, rowOf[kind] ?? -1);
      for (const use of uses) expect(answers(representative, use), where).toEqual(answers(found.ms, use));
    }
  });
});

test('100,000 networks with different times are a few kinds', () => {
  const dice = createDice(7);
  const builder = createLatencyBuilder();
  const columns = ['seoul', 'dublin', 'virginia'].map((region) => builder.column(region));
  for (let number = 0; number < 100_000; number++) {
    const row = builder.network(Uint32Array.of(0x0a00_0000 + number * 256), 24);
    for (const column of columns) builder.set(row, column, dice.below(1e9) / 4e6, 0);
  }
  const { rowOf } = latencyKinds(builder.done(), [{ regions: ['seoul', 'dublin', 'virginia'], withinMs: 10 }]);
  // 6 orders, and in each of them the regions within reach of each other.
  expect(rowOf.length - 1).toBeLessThanOrEqual(6 * 5);
});

test('the tree of a table has leaves where networks of one kind meet', () => {
  const rows = Array.from({ length: 256 }, (_, octet): Row => {
    const bytes = parseAddress(`192.0.2.${octet}`) ?? new Uint8Array(4);
    return {
      prefix: { bytes, bits: 32 },
      ms: new Map([
        ['seoul', octet],
        ['dublin', octet + 1],
      ]),
    };
  });
  const { tree } = latencyKinds(tableOf(rows), [{ regions: ['seoul', 'dublin'], withinMs: 0 }]);
  const atlas = buildAtlas([], [], new Map(), [tree]);
  expect(lookupClass(atlas.nodes, atlas.v4Root, Uint8Array.of(192, 0, 2, 77), 0, 32) & 0xff).toBe(24);
});
