/**
 * The last step of compiling a zone: writes its part into an arena and places data that a query reads in sequence side
 * by side, so that it shares cache lines. With a million names most reads miss the cache, and a miss costs as much as a
 * hundred instructions.
 */
import { fold } from '../../wire/name-hash.ts';
import { type Arena, reserve } from './arena.ts';
import type { Building } from './compile-zone.ts';
import { writePlain } from './encode-rrset.ts';
import { HEAD, NODE, nodeWord, PATCH, ROW_OCTETS, ROW_WORDS, RRSET, rrsetWord, ZONE } from './image.ts';
import { isSetPair } from './signed-rows.ts';

const PAIRS_A_ROW = ROW_WORDS / 2;
const ZONE_ROWS = ZONE.WORDS / ROW_WORDS;

/** The rows of a part, from the zone's row, and the sizes of what follows them. */
export type Arrangement = {
  readonly rowOfNode: Int32Array;
  readonly rowOfRrset: Int32Array;
  readonly firstNode: number;
  readonly nodesEnd: number;
  readonly tableAt: number;
  readonly chainAt: number;
  readonly patchesAt: number;
  readonly extrasAt: number;
  readonly pointersAt: number;
  readonly bytesAt: number;
  /** Octets of the whole part. */
  readonly octets: number;
};

/** Assigns a row to every node and RRset of a zone. */
export function arrange(building: Building): Arrangement {
  const { nodes, rrsets, answers, table, chain, patches, extras, pointers, bytes, apexNode } = building;
  const rowOfNode = new Int32Array(nodes.length / ROW_WORDS);
  const rowOfRrset = new Int32Array(rrsets.length / ROW_WORDS).fill(-1);
  let row = ZONE_ROWS;
  for (let rrset = 0; rrset < answers; rrset++) rowOfRrset[rrset] = row++;
  // A node and its first RRset share a cache line.
  row += row & 1;
  const firstNode = row;
  let nodeOctets = 0;
  const place = (node: number): void => {
    nodeOctets += nodeWord(nodes.array, node, NODE.NAME_AND_FLAGS) & 0xff;
    rowOfNode[node] = row++;
    const first = nodeWord(nodes.array, node, NODE.FIRST_RRSET);
    const end = first + nodeWord(nodes.array, node, NODE.RRSET_COUNT);
    for (let rrset = first; rrset < end; rrset++) {
      rowOfRrset[rrset] = row++;
      if (rrsetWord(rrsets.array, rrset, RRSET.WIRE_AT) < 0) {
        nodeOctets += rrsetWord(rrsets.array, rrset, RRSET.WIRE_OCTETS);
      }
    }
    row += row & 1;
  };
  // Transfers begin with the apex.
  place(apexNode);
  for (let node = 0; node < rowOfNode.length; node++) if (node !== apexNode) place(node);
  const nodesEnd = row;
  for (let rrset = 0; rrset < rowOfRrset.length; rrset++) if (rowOfRrset[rrset] === -1) rowOfRrset[rrset] = row++;
  const tableAt = row * ROW_WORDS;
  const chainAt = tableAt + table.length;
  // Patches and extras are pairs.
  const patchesAt = chainAt + chain.length + (chain.length & 1);
  const extrasAt = patchesAt + patches.length;
  const pointersAt = extrasAt + extras.length;
  const bytesAt = (pointersAt + (pointers?.length ?? 0)) * 4;
  const octets = bytesAt + bytes.length + nodeOctets;
  return {
    rowOfNode,
    rowOfRrset,
    firstNode,
    nodesEnd,
    tableAt,
    chainAt,
    patchesAt,
    extrasAt,
    pointersAt,
    bytesAt,
    octets,
  };
}

/**
 * Writes a zone's part into the arena and returns the zone's row. Numbers of nodes and RRsets become distances of rows.
 * Undefined if the arena is full.
 */
export function writePart(
  building: Building,
  {
    apexOctets,
    serial,
    spareOctets,
  }: { readonly apexOctets: number; readonly serial: number; readonly spareOctets: number },
  arrangement: Arrangement,
  arena: Arena,
): number | undefined {
  const allOctets = building.pointers ? roundToRows(arrangement.octets) + roundToRows(spareOctets) : 0;
  const zone = reserve(arena, Math.max(arrangement.octets, allOctets));
  if (zone === undefined) return undefined;
  const words = arena.words.subarray(zone * ROW_WORDS, zone * ROW_WORDS + Math.ceil(arrangement.octets / 4));
  const bytes = arena.bytes.subarray(zone * ROW_OCTETS, zone * ROW_OCTETS + arrangement.octets);
  const { rowOfNode, rowOfRrset, tableAt, chainAt, patchesAt, extrasAt, firstNode, nodesEnd } = arrangement;
  const headRows = ZONE.FIRST_HEAD / ROW_WORDS;
  words[ZONE.HEAD] = headRows;
  words[ZONE.FIRST_HEAD + HEAD.APEX_NODE] = firstNode - headRows;
  const negativeSoa = building.negativeSoa < 0 ? headRows : (rowOfRrset[building.negativeSoa] ?? 0);
  words[ZONE.FIRST_HEAD + HEAD.NEGATIVE_SOA] = negativeSoa - headRows;
  words[ZONE.FIRST_HEAD + HEAD.SERIAL] = serial | 0;
  words[ZONE.FIRST_HEAD + HEAD.MAX_LABELS] = building.maxLabels;
  words[ZONE.APEX_OCTETS] = apexOctets;
  words[ZONE.TABLE_AT] = tableAt;
  words[ZONE.TABLE_MASK] = building.mask;
  words[ZONE.NODES_END] = nodesEnd;
  words[ZONE.OCTETS] = arrangement.octets;
  words[ZONE.ALL_OCTETS] = allOctets;
  words[ZONE.CHAIN_AT] = chainAt;
  words[ZONE.CHAIN_COUNT] = building.chain.length;
  words[ZONE.COMPACT] = building.isCompact ? 1 : 0;
  writeRows(building, arrangement, words, bytes);
  writePointers(building, arrangement, words);
  const { table, chain, patches, extras } = building;
  let used = 0;
  for (const [index, node] of chain.entries()) words[chainAt + index] = rowOfNode[node] ?? 0;
  for (let at = 0; at < table.length; at += 2) {
    const node = (table[at + 1] ?? 0) - 1;
    if (node < 0) continue;
    used++;
    words[tableAt + at] = table[at] ?? 0;
    words[tableAt + at + 1] = rowOfNode[node] ?? 0;
  }
  words[ZONE.TABLE_USED] = used;
  words.set(patches.array.subarray(0, patches.length), patchesAt);
  for (let at = 0; at < extras.length; at += 2) {
    const extra = (extrasAt + at) / 2;
    words[extrasAt + at] = (rowOfRrset[extras.array[at] ?? 0] ?? 0) - Math.floor(extra / PAIRS_A_ROW);
    words[extrasAt + at + 1] = extras.array[at + 1] ?? 0;
  }
  return zone;
}

function roundToRows(octets: number): number {
  return Math.ceil(octets / ROW_OCTETS) * ROW_OCTETS;
}

/** Writes the pointers in the order of their hashes. */
function writePointers(
  { pointers, isLoose }: Building,
  { rowOfNode, pointersAt }: Arrangement,
  words: Int32Array,
): void {
  words[ZONE.LOOSE] = isLoose ? 1 : 0;
  words[ZONE.POINTERS_AT] = pointersAt;
  if (!pointers) return;
  const count = pointers.length / 2;
  words[ZONE.POINTER_COUNT] = count;
  const hashOf = (pointer: number): number => pointers.array[pointer * 2] ?? 0;
  const order = Int32Array.from({ length: count }, (_, pointer) => pointer).sort((a, b) => hashOf(a) - hashOf(b));
  let at = pointersAt;
  for (const pointer of order) {
    words[at++] = hashOf(pointer);
    words[at++] = rowOfNode[pointers.array[pointer * 2 + 1] ?? 0] ?? 0;
  }
}

/** Writes the rows, and the octets of each right after those of the row before. */
function writeRows(building: Building, arrangement: Arrangement, words: Int32Array, bytes: Uint8Array): void {
  const { nodes, rrsets, answers, names, store, apexNode } = building;
  const { rowOfNode, rowOfRrset, patchesAt, extrasAt, nodesEnd } = arrangement;
  const encoded = building.bytes.array;
  let end = arrangement.bytesAt;
  const writeRrset = (rrset: number): void => {
    const row = rowOfRrset[rrset] ?? 0;
    const to = row * ROW_WORDS;
    const octets = rrsetWord(rrsets.array, rrset, RRSET.WIRE_OCTETS);
    words[to + RRSET.TYPE] = rrsetWord(rrsets.array, rrset, RRSET.TYPE);
    words[to + RRSET.COUNT] = rrsetWord(rrsets.array, rrset, RRSET.COUNT);
    words[to + RRSET.WIRE_AT] = end - row * ROW_OCTETS;
    words[to + RRSET.WIRE_OCTETS] = octets;
    const pairs = row * PAIRS_A_ROW;
    words[to + RRSET.FIRST_PATCH] = patchesAt / PATCH.WORDS + rrsetWord(rrsets.array, rrset, RRSET.FIRST_PATCH) - pairs;
    words[to + RRSET.PATCH_COUNT] = rrsetWord(rrsets.array, rrset, RRSET.PATCH_COUNT);
    const extra = rrsetWord(rrsets.array, rrset, RRSET.FIRST_EXTRA);
    const isSignature = isSetPair(rrsetWord(rrsets.array, rrset, RRSET.TYPE));
    words[to + RRSET.FIRST_EXTRA] = isSignature ? extra : extrasAt / 2 + extra - pairs;
    words[to + RRSET.EXTRA_COUNT] = rrsetWord(rrsets.array, rrset, RRSET.EXTRA_COUNT);
    const at = rrsetWord(rrsets.array, rrset, RRSET.WIRE_AT);
    if (at < 0) writePlain(store, ~at, bytes, end);
    // Most are short, and a loop is faster than a view of each.
    else if (octets > 256) bytes.set(encoded.subarray(at, at + octets), end);
    else for (let i = 0; i < octets; i++) bytes[end + i] = encoded[at + i] ?? 0;
    end += octets;
  };
  const writeNode = (node: number): void => {
    const row = rowOfNode[node] ?? 0;
    const to = row * ROW_WORDS;
    const wildcard = nodeWord(nodes.array, node, NODE.WILDCARD);
    const first = nodeWord(nodes.array, node, NODE.FIRST_RRSET);
    const count = nodeWord(nodes.array, node, NODE.RRSET_COUNT);
    const nameAndFlags = nodeWord(nodes.array, node, NODE.NAME_AND_FLAGS);
    words[to + NODE.NAME_AT] = end - row * ROW_OCTETS;
    words[to + NODE.NAME_AND_FLAGS] = nameAndFlags;
    const nsec = nodeWord(nodes.array, node, NODE.NSEC);
    words[to + NODE.NSEC] = nsec === 0 ? 0 : (rowOfRrset[nsec - 1] ?? 0) - row;
    words[to + NODE.RRSET_COUNT] = count;
    words[to + NODE.CHILDREN] = nodeWord(nodes.array, node, NODE.CHILDREN);
    words[to + NODE.WILDCARD] = wildcard < 0 ? 0 : (rowOfNode[wildcard] ?? 0) - row;
    words[to + NODE.SERVICE] = nodeWord(nodes.array, node, NODE.SERVICE);
    const nameAt = nodeWord(nodes.array, node, NODE.NAME_AT);
    const octets = nameAndFlags & 0xff;
    for (let i = 0; i < octets; i++) bytes[end + i] = fold(names.array[nameAt + i] ?? 0);
    end += octets;
    for (let rrset = first; rrset < first + count; rrset++) writeRrset(rrset);
  };
  writeNode(apexNode);
  for (let node = 0; node < rowOfNode.length; node++) if (node !== apexNode) writeNode(node);
  // RRsets without a node: answers of services, the SOA of negative answers.
  for (let rrset = 0; rrset < answers; rrset++) writeRrset(rrset);
  for (let rrset = answers; rrset < rowOfRrset.length; rrset++) {
    if ((rowOfRrset[rrset] ?? 0) >= nodesEnd) writeRrset(rrset);
  }
}
