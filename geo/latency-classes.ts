/**
 * Rows of a latency table that no service can tell apart. Of a million networks, each with times of its own, a few
 * hundred kinds are left: what counts is the order of the regions and who is within reach of whom.
 */
import { latencyOf, type LatencyTable } from './latency-table.ts';
import { buildPrefixTree } from './prefix-tree.ts';
import type { Trie } from './trie-builder.ts';

/** How a service reads a table: its regions, and how much slower than the best is as good. */
export type LatencyUse = { readonly regions: readonly string[]; readonly withinMs: number };

export type LatencyKinds = {
  /** A row of each kind, -1 for kind 0: no row. Any row of a kind stands for all of it. */
  readonly rowOf: Int32Array;
  readonly tree: Trie;
};

/** Kinds by all uses together, and where on the net they are. */
export function latencyKinds(table: LatencyTable, uses: readonly LatencyUse[]): LatencyKinds {
  const kindOf = new Int32Array(table.rows);
  let count = 1;
  for (const use of distinct(table, uses)) {
    const patterns = patternsOf(table, use);
    const kinds = new Map<number, number>();
    for (let row = 0; row < table.rows; row++) {
      // Both are below 2^26: there is not room for more rows.
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

/** Uses by columns, each once. */
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
 * A number a row, equal where the measured regions have the same order and the same groups: for each of them, up to
 * which the next ones are within reach. Regions with equal times are always in each other's group, so that their order
 * says nothing; here it is that of the columns.
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
