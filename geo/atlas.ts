/**
 * The atlas: the address space cut into classes of addresses that no map can tell apart. It is built once
 * for all services; what a service makes of it is a SteeringMap, a number a class and a bit a node.
 */
import type { At } from '../config/settings.ts';
import type { Prefix } from '../wire/address.ts';
import { centroidOf, continentOf } from './countries.ts';
import { recordKey, type Database } from './database.ts';
import { hasPlace, NOTHING, NOWHERE, withCentroid, type DatabaseRecord, type Location } from './location.ts';
import { OUTCOME_LIMIT } from './lookup.ts';
import { buildNetworkTrie } from './network-trie.ts';

/**
 * A binary trie. A code is a node (>= 0) or a class (`~class`, < 0). A node's children have greater
 * numbers than it, and are never the same class both. Class 0 is NOWHERE.
 */
export type Atlas = {
  /** Two per node: the code for bit 0 and for bit 1. */
  readonly nodes: Int32Array;
  readonly v4Root: number;
  readonly v6Root: number;
  /** By class. */
  readonly locations: readonly Location[];
};

/** What a service makes of an atlas. */
export type SteeringMap = {
  /** By class; less than OUTCOME_LIMIT. */
  readonly outcomes: Uint32Array;
  /** A bit a node (node 0 is the lowest bit of word 0): every address below has the same outcome. */
  readonly uniform: Uint32Array;
};

/**
 * Merges the databases field by field: country, subdivision and point come from the first that knows any
 * of them, the AS from the first that knows it. `operator` puts a network of `networks` (by index) at a
 * country or a point ahead of all databases, the most specific one first; a point has no country.
 *
 * IPv4 addresses inside IPv6 ones (::/96, and ::ffff:0:0/96, 2002::/16, 2001::/32 where a database aliases
 * them) are NOWHERE unless listed: whoever has such an address looks up the IPv4 one.
 */
export function buildAtlas(
  databases: readonly Database[],
  networks: readonly Prefix[],
  operator: ReadonlyMap<number, At>,
): Atlas {
  const listed = buildNetworkTrie(networks);
  const trees = [...databases.map((database) => database.nodes), listed.nodes];
  const width = trees.length;
  const classes = createClasses(databases, listed.sets, operator);
  let nodes = new Int32Array(1 << 16);
  let count = 0;
  /** The code of each tree at each depth of the walk; a leaf stays what it is further down. */
  const codes = new Int32Array(129 * width);

  const walk = (depth: number): number => {
    const base = depth * width;
    let leaf = true;
    for (let tree = 0; tree < width; tree++) leaf &&= (codes[base + tree] ?? 0) < 0;
    if (leaf) return ~classes.classOf(codes, base);
    const node = count++;
    if (count * 2 > nodes.length) {
      const wider = new Int32Array(nodes.length * 2);
      wider.set(nodes);
      nodes = wider;
    }
    step(base, 0);
    const left = walk(depth + 1);
    step(base, 1);
    const right = walk(depth + 1);
    if (left < 0 && left === right) {
      // All below became this one leaf, so this node is the last there is.
      count = node;
      return left;
    }
    nodes[node * 2] = left;
    nodes[node * 2 + 1] = right;
    return node;
  };
  const step = (base: number, bit: number): void => {
    for (let tree = 0; tree < width; tree++) {
      const code = codes[base + tree] ?? 0;
      codes[base + width + tree] = code < 0 ? code : (trees[tree]?.[code * 2 + bit] ?? 0);
    }
  };

  codes.set([...databases.map((database) => database.v4Root), listed.v4Root]);
  const v4Root = walk(0);
  codes.set([...databases.map((database) => database.v6Root), listed.v6Root]);
  const v6Root = walk(0);
  return { nodes: nodes.slice(0, count * 2), v4Root, v6Root, locations: classes.locations };
}

/** Numbers the places that combinations of records and networks come to. */
function createClasses(
  databases: readonly Database[],
  sets: readonly (readonly number[])[],
  operator: ReadonlyMap<number, At>,
): { readonly locations: Location[]; classOf(codes: Int32Array, base: number): number } {
  const locations: Location[] = [NOWHERE];
  const byPlace = new Map<string, number>([[`${recordKey(NOTHING)}|0`, 0]]);
  const last = databases.length;
  // Pairs of numbers become one number, tree by tree: (record, record) -> pair, (pair, set) -> class.
  const pairs = Array.from({ length: last }, () => new Map<number, number>());
  const ends = new Map<number, number>();

  const merge = (codes: Int32Array, base: number): DatabaseRecord => {
    let place = NOTHING;
    let asn = 0;
    databases.forEach((database, tree) => {
      const record = database.records[~(codes[base + tree] ?? 0)] ?? NOTHING;
      if (!hasPlace(place) && hasPlace(record)) place = record;
      if (asn === 0) asn = record.asn;
    });
    const set = sets[~(codes[base + last] ?? 0)] ?? [];
    const own = set.find((network) => operator.has(network));
    const at = own === undefined ? undefined : operator.get(own);
    return { ...(at ? placeOf(at) : withCentroid(place)), asn };
  };

  const classOf = (codes: Int32Array, base: number): number => {
    let key = 0;
    for (let tree = 0; tree < last; tree++) {
      const record = ~(codes[base + tree] ?? 0);
      if (tree === 0) {
        key = record;
        continue;
      }
      const pair = pairs[tree] ?? new Map<number, number>();
      // Both are below 2^26: no file has more records, nor could this machine hold more pairs.
      const joined = key * 0x400_0000 + record;
      let id = pair.get(joined);
      if (id === undefined) pair.set(joined, (id = pair.size));
      key = id;
    }
    const set = ~(codes[base + last] ?? 0);
    const joined = key * 0x400_0000 + set;
    let found = ends.get(joined);
    if (found === undefined) {
      const merged = merge(codes, base);
      const place = `${recordKey(merged)}|${set}`;
      found = byPlace.get(place);
      if (found === undefined) {
        found = locations.push({ ...merged, networks: sets[set] ?? [] }) - 1;
        byPlace.set(place, found);
      }
      ends.set(joined, found);
    }
    return found;
  };
  return { locations, classOf };
}

function placeOf(at: At): DatabaseRecord {
  if (at.kind === 'point') return { ...NOTHING, latitude: at.latitude, longitude: at.longitude };
  const { latitude, longitude } = centroidOf(at.country) ?? NOTHING;
  return { ...NOTHING, country: at.country, continent: continentOf(at.country), latitude, longitude };
}

/**
 * Compiles a map in time proportional to the atlas' nodes. Throws RangeError when an outcome is not an
 * integer below OUTCOME_LIMIT: that is a mistake of the caller.
 */
export function compileMap(atlas: Atlas, outcomeOf: (location: Location, cls: number) => number): SteeringMap {
  const { nodes, locations } = atlas;
  const outcomes = new Uint32Array(locations.length);
  for (let cls = 0; cls < locations.length; cls++) {
    const outcome = outcomeOf(locations[cls] ?? NOWHERE, cls);
    if (!Number.isInteger(outcome) || outcome < 0 || outcome >= OUTCOME_LIMIT) {
      throw new RangeError(`outcome ${outcome} is not below ${OUTCOME_LIMIT}`);
    }
    outcomes[cls] = outcome;
  }
  const count = nodes.length / 2;
  const uniform = new Uint32Array((count + 31) >>> 5);
  // The outcome of all that a code stands for, or MIXED; codes begin at -classes, so that leaf and node are
  // read alike. A thousand services each walk all nodes: without branches that is four times quicker.
  const classes = locations.length;
  const below = new Int32Array(classes + count);
  for (let cls = 0; cls < classes; cls++) below[classes + ~cls] = outcomes[cls] ?? 0;
  let word = 0;
  // Children have greater numbers, so that they are done first.
  for (let node = count - 1; node >= 0; node--) {
    const left = below[classes + (nodes[node * 2] ?? 0)] ?? MIXED;
    const difference = left ^ (below[classes + (nodes[node * 2 + 1] ?? 0)] ?? MIXED);
    // All ones, which is MIXED, where the two differ.
    const both = left | ((difference | -difference) >> 31);
    below[classes + node] = both;
    word = (word << 1) | (~both >>> 31);
    if ((node & 31) === 0) {
      uniform[node >>> 5] = word;
      word = 0;
    }
  }
  return { outcomes, uniform };
}

/** No outcome: all bits set, as a signed number. */
const MIXED = -1;
