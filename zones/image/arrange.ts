/**
 * The last step of compiling: places data that a query reads in sequence side by side, so that it shares cache lines. With
 * a million names most reads miss the cache, and a miss costs as much as a hundred instructions.
 */
import { SERVICE, VIP } from '../../steering/plan.ts';
import type { BuildingPlan } from './compile-services.ts';
import type { Building } from './compile-zone.ts';
import { NODE, RRSET, ZONE, nodeWord, rrsetWord } from './image.ts';

export type Arranged = {
  /** Rows of nodes, each followed by the rows of its RRsets; then the RRsets without a node. */
  readonly rows: Int32Array;
  /** End of the rows with nodes, in words. */
  readonly nodeWords: number;
  readonly bytes: Uint8Array;
};

/** Replaces the numbers of nodes and RRsets by row numbers, everywhere in `building` and `plan`. */
export function arrange(building: Building, plan: BuildingPlan): Arranged {
  const bytes = gatherBytes(building);
  const nodeCount = building.nodes.length / NODE.WORDS;
  const rowOfNode = new Int32Array(nodeCount);
  const rowOfRrset = new Int32Array(building.rrsets.length / RRSET.WORDS).fill(-1);
  let row = 0;
  for (let node = 0; node < nodeCount; node++) {
    rowOfNode[node] = row++;
    eachRrset(building, node, (rrset) => {
      rowOfRrset[rrset] = row++;
    });
    // A node and its first RRset share a cache line.
    row += row & 1;
  }
  const nodeWords = row * NODE.WORDS;
  for (let rrset = 0; rrset < rowOfRrset.length; rrset++) if (rowOfRrset[rrset] === -1) rowOfRrset[rrset] = row++;
  const rows = new Int32Array(row * NODE.WORDS);
  move(building.nodes.array, rows, rowOfNode);
  move(building.rrsets.array, rows, rowOfRrset);

  for (const at of rowOfNode) {
    renumber(rows, at * NODE.WORDS + NODE.WILDCARD, rowOfNode);
    renumber(rows, at * NODE.WORDS + NODE.PARENT_CUT, rowOfNode);
    renumber(rows, at * NODE.WORDS + NODE.FIRST_RRSET, rowOfRrset);
  }
  const { table, zones, extras } = building;
  for (let at = 1; at < table.length; at += 2)
    if (table[at] !== 0) table[at] = (rowOfNode[(table[at] ?? 0) - 1] ?? 0) + 1;
  for (let at = 0; at < zones.length; at += ZONE.WORDS) {
    renumber(zones.array, at + ZONE.APEX_NODE, rowOfNode);
    renumber(zones.array, at + ZONE.NEGATIVE_SOA, rowOfRrset);
  }
  for (let at = 0; at < extras.length; at += 2) renumber(extras.array, at, rowOfRrset);
  for (let at = 0; at < plan.vips.length; at += VIP.WORDS) {
    for (const column of [VIP.RRSET_A, VIP.RRSET_AAAA, VIP.RRSET_CNAME])
      renumber(plan.vips.array, at + column, rowOfRrset);
  }
  for (let at = 0; at < plan.services.length; at += SERVICE.WORDS) {
    for (const column of [SERVICE.STATIC_A, SERVICE.STATIC_AAAA, SERVICE.STATIC_CNAME]) {
      renumber(plan.services.array, at + column, rowOfRrset);
    }
  }
  return { rows, nodeWords, bytes };
}

function eachRrset({ nodes }: Building, node: number, visit: (rrset: number) => void): void {
  const first = nodeWord(nodes.array, node, NODE.FIRST_RRSET);
  const count = nodeWord(nodes.array, node, NODE.RRSET_COUNT);
  for (let rrset = first; rrset < first + count; rrset++) visit(rrset);
}

/** Rows of nodes and of RRsets have the same width. */
function move(from: Int32Array, to: Int32Array, rowOf: Int32Array): void {
  for (let number = 0; number < rowOf.length; number++) {
    const source = number * NODE.WORDS;
    const target = (rowOf[number] ?? 0) * NODE.WORDS;
    for (let word = 0; word < NODE.WORDS; word++) to[target + word] = from[source + word] ?? 0;
  }
}

/** -1 means none. */
function renumber(words: Int32Array, at: number, rowOf: Int32Array): void {
  const number = words[at] ?? -1;
  if (number >= 0) words[at] = rowOf[number] ?? -1;
}

/** Places a name before its RRsets: after the comparison of the name, the first RRset is in the same cache line or the next. */
function gatherBytes(building: Building): Uint8Array {
  const { nodes, rrsets, bytes } = building;
  const gathered = new Uint8Array(bytes.length);
  let end = 0;
  const gather = (rows: Int32Array, column: number, octets: number): void => {
    const from = rows[column] ?? 0;
    for (let i = 0; i < octets; i++) gathered[end + i] = bytes.array[from + i] ?? 0;
    rows[column] = end;
    end += octets;
  };
  const isGathered = new Uint8Array(rrsets.length / RRSET.WORDS);
  const gatherRrset = (rrset: number): void => {
    const row = rrset * RRSET.WORDS;
    if (isGathered[rrset] === 0)
      gather(rrsets.array, row + RRSET.WIRE_AT, rrsetWord(rrsets.array, rrset, RRSET.WIRE_OCTETS));
    isGathered[rrset] = 1;
  };
  for (let node = 0; node * NODE.WORDS < nodes.length; node++) {
    const row = node * NODE.WORDS;
    gather(nodes.array, row + NODE.NAME_AT, nodeWord(nodes.array, node, NODE.NAME_AND_FLAGS) & 0xff);
    eachRrset(building, node, gatherRrset);
  }
  // RRsets without a node: SOAs of negative answers, answers of services.
  for (let rrset = 0; rrset < isGathered.length; rrset++) gatherRrset(rrset);
  return gathered;
}
