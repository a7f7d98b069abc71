/**
 * Groups the rows of a latency table into kinds that no service can distinguish. Only the order of the regions and the
 * ties within `within` matter, so a million networks with different times make a few hundred kinds.
 */
import { latencyOf, type LatencyTable } from './latency-table.ts';
import { buildPrefixTree } from './prefix-tree.ts';
import type { Trie } from './trie-builder.ts';

/** How a service uses a table: its regions, and the difference in ms up to which two regions are a tie. */
export type LatencyUse = { readonly regions: readonly string[]; readonly withinMs: number };

export type LatencyKinds = {
  /** One row of each kind; all rows of a kind are equivalent. -1 for kind 0, which has no row. */
  readonly rowOf: Int32Array;
  readonly tree: Trie;
};

/** The kinds for all uses together, and the addresses that have them. */
export function latencyKinds(table: LatencyTable, uses: readonly LatencyUse[]): LatencyKinds {
  const kindOf = new Int32Array(table.rows);
  let count = 1;
  for (const use of distinct(table, uses)) {
    const patterns = patternsOf(table, use);
    const kinds = new Map<number, number>();
    for (let row = 0; row < table.rows; row++) {
      // Both are below 2^26: memory cannot hold more rows.
      const pair = (kindOf[row] ?? 0) * 0x400_0000 + (patterns[row] ?? 0);
      let kind = kinds.get(pair);
      if (kind === undefined) kinds.set(pair, (kind = kinds.size));
      kindOf[row] = kind;
    }
    count = kinds.size;
  }
  const rowOf = new Int32Array(count + 1).fill(-1);
  for (let row = table.rows - 1; row >= 0; row--) rowOf[(kindOf[row] ?? 0) + 1] = row;
  return { rowOf, tree: buildPrefixTree(table.v4, table.v6, (row) => (kindOf[row] ?? 0) + 1) };
}

type Use = { readonly columns: readonly number[]; readonly withinMs: number };

/** The distinct uses, with columns for regions. */
function distinct({ regions }: LatencyTable, uses: readonly LatencyUse[]): Use[] {
  const found = new Map<string, Use>();
  for (const { regions: names, withinMs } of uses) {
    const columns = [...new Set(names.map((name) => regions.indexOf(name)))].filter((column) => column >= 0);
    columns.sort((a, b) => a - b);
    found.set(`${columns.join()}/${withinMs}`, { columns, withinMs });
  }
  return [...found.values()];
}

/**
 * One number per row. Rows have equal numbers if their measured regions have the same order and the same ties: for each
 * region, the last of the slower ones within `withinMs`. Regions with equal times are always tied, so their order has
 * no meaning; here it is the order of the columns.
 */
function patternsOf(table: LatencyTable, { columns, withinMs }: Use): Int32Array {
  const patterns = new Map<string, number>();
  const found = new Int32Array(table.rows);
  const order = new Uint16Array(columns.length);
  const times = new Float64Array(columns.length);
  const words: number[] = [];
  for (let row = 0; row < table.rows; row++) {
    let known = 0;
    for (const column of columns) {
      const ms = latencyOf(table, row, column);
      if (ms === undefined) continue;
      let at = known++;
      for (; at > 0 && (times[at - 1] ?? 0) > ms; at--) {
        times[at] = times[at - 1] ?? 0;
        order[at] = order[at - 1] ?? 0;
      }
      times[at] = ms;
      order[at] = column;
    }
    words.length = 0;
    let end = 0;
    for (let index = 0; index < known; index++) {
      const reach = (times[index] ?? 0) + withinMs;
      while (end < known && (times[end] ?? 0) <= reach) end++;
      words.push(order[index] ?? 0, end);
    }
    const text = String.fromCharCode(...words);
    let pattern = patterns.get(text);
    if (pattern === undefined) patterns.set(text, (pattern = patterns.size));
    found[row] = pattern;
  }
  return found;
}
