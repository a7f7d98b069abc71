/**
 * Overlays a latency table with figures from users' browsers, and decides whether figures changed enough to do so
 * again.
 */
import { get8 } from '../wire/octets.ts';
import { NOTICEABLE_MS, NOTICEABLE_SHARE } from './latency-limits.ts';
import { latencyOf, sourcesOf, type LatencyBuilder, type LatencyTable } from './latency-table.ts';
import { entryOf, type PrefixTable } from './prefix-table.ts';

/**
 * Figures of browsers for a network, an AS or a country replace the file's times for it, region by region. All other
 * times of the file stay.
 */
export function overlay(builder: LatencyBuilder, figures: LatencyTable): void {
  for (const { row, rowFor } of rowsOf(figures)) {
    figures.regions.forEach((region, column) => {
      const ms = latencyOf(figures, row, column);
      if (ms === undefined) return;
      builder.set(rowFor(builder), builder.column(region), ms, sourcesOf(figures, row, column));
    });
  }
}

/** Whether a figure was added, removed, or changed enough to matter for steering. */
export function isNoticeable(before: LatencyTable, after: LatencyTable): boolean {
  if (cellsOf(before) !== cellsOf(after)) return true;
  const columns = after.regions.map((region) => before.regions.indexOf(region));
  for (const { row, rowIn } of rowsOf(after)) {
    const old = rowIn(before);
    for (let column = 0; column < columns.length; column++) {
      const ms = latencyOf(after, row, column);
      if (ms === undefined) continue;
      const was = latencyOf(before, old, columns[column] ?? -1);
      if (was === undefined) return true;
      const change = Math.abs(ms - was);
      if (change > NOTICEABLE_MS && change > NOTICEABLE_SHARE * was) return true;
    }
  }
  return false;
}

function cellsOf({ ms }: LatencyTable): number {
  let cells = 0;
  for (const one of ms) if (!Number.isNaN(one)) cells++;
  return cells;
}

/** A row of a table, its row in another table or -1, and its row in a builder. */
type Row = {
  readonly row: number;
  readonly rowIn: (table: LatencyTable) => number;
  readonly rowFor: (builder: LatencyBuilder) => number;
};

function* rowsOf({ v4, v6, asns, countries }: LatencyTable): Iterable<Row> {
  yield* networksOf(v4, (table) => table.v4);
  yield* networksOf(v6, (table) => table.v6);
  for (const [asn, row] of asns) {
    yield { row, rowIn: (table) => table.asns.get(asn) ?? -1, rowFor: (builder) => builder.asn(asn) };
  }
  for (const [code, row] of countries) {
    yield { row, rowIn: (table) => table.countries.get(code) ?? -1, rowFor: (builder) => builder.country(code) };
  }
}

function* networksOf(prefixes: PrefixTable, same: (table: LatencyTable) => PrefixTable): Iterable<Row> {
  const { words, keys, bits, values } = prefixes;
  for (let entry = 0; entry < prefixes.count; entry++) {
    const length = get8(bits, entry);
    yield {
      row: values[entry] ?? 0,
      rowIn: (table) => same(table).values[entryOf(same(table), keys, entry * words, length)] ?? -1,
      rowFor: (builder) => builder.network(keys.slice(entry * words, (entry + 1) * words), length),
    };
  }
}
