/**
 * The atlas: the address space, divided into classes of addresses that no map can distinguish. It is built once for all
 * services. Each service has a SteeringMap of it: an outcome per class, and a bit per group of classes.
 */
import type { At } from '../config/settings.ts';
import type { Prefix } from '../wire/address.ts';
import { centroidOf, continentOf } from './countries.ts';
import { recordKey, type DatabaseTree } from './database.ts';
import { ATLAS, atlasWord, FOUND, MAX_START_BITS, OUTCOME_LIMIT } from './find-class.ts';
import { groupNodes } from './groups.ts';
import {
  hasPlace,
  NOTHING,
  NOWHERE,
  withCentroid,
  type DatabaseRecord,
  type Location,
  type Places,
} from './location.ts';
import { buildNetworkTrie } from './network-trie.ts';
import { filled } from './prefix-table.ts';
import type { Trie } from './trie-builder.ts';

/**
 * A binary trie. A code is a node (>= 0) or a class (`~class`, < 0). The children of a node have greater numbers than
 * the node, and are never both the same class. Class 0 is NOWHERE.
 */
export type Atlas = {
  /** One row per node: ATLAS in find-class.ts. */
  readonly nodes: Int32Array;
  readonly v4Root: number;
  readonly v6Root: number;
  /** How many databases it was made from. */
  readonly databases: number;
  /** By class. */
  readonly locations: readonly Location[];
  /** The locations without the kinds of latency tables. */
  readonly places: Places;
  /** The groups that are not classes, one pair per group: see groups.ts. */
  readonly groups: Int32Array;
};

/** The outcomes of one service for an atlas. */
export type SteeringMap = {
  /** By class; less than OUTCOME_LIMIT. */
  readonly outcomes: Int32Array;
  /** One bit per group (group 0 is the lowest bit of word 0): 1 if its classes have more than one outcome. */
  readonly mixed: Int32Array;
  /** By the first bits of an address, IPv4 first: see MAX_START_BITS. The length is twice a power of two. */
  readonly starts: Int32Array;
};

/**
 * Merges the databases field by field: country, subdivision and point come from the first database that has any of
 * them, the AS from the first that has one. `operator` gives networks (indexes into `networks`) a country or a point,
 * which takes precedence over all databases. The most specific network decides; a point has no country. `latency` has
 * one tree per latency table; the location of an address has its kinds.
 *
 * IPv4 addresses inside IPv6 ones (::/96, and ::ffff:0:0/96, 2002::/16, 2001::/32 where a database aliases
 * them) are NOWHERE unless listed: callers look up the embedded IPv4 address.
 */
export function buildAtlas(
  databases: readonly DatabaseTree[],
  networks: readonly Prefix[],
  operator: ReadonlyMap<number, At>,
  latency: readonly Trie[] = [],
): Atlas {
  const listed = buildNetworkTrie(networks);
  const sources = [...databases, ...latency, listed];
  const trees = sources.map((source) => source.nodes);
  const width = trees.length;
  const classes = createClasses(databases, latency.length, listed.sets, operator);
  let nodes = new Int32Array(1 << 16);
  let count = 0;
  /** The code of each tree at each depth of the walk. A leaf has the same code at all greater depths. */
  const codes = new Int32Array(129 * width);

  const walk = (depth: number): number => {
    const base = depth * width;
    let leaf = true;
    for (let tree = 0; tree < width; tree++) leaf &&= (codes[base + tree] ?? 0) < 0;
    if (leaf) return ~classes.classOf(codes, base);
    const node = count++;
    if (count * ATLAS.WORDS > nodes.length) {
      const wider = new Int32Array(nodes.length * 2);
      wider.set(nodes);
      nodes = wider;
    }
    step(base, 0);
    const left = walk(depth + 1);
    step(base, 1);
    const right = walk(depth + 1);
    if (left < 0 && left === right) {
      // Both children became one leaf, so this node is the last one and can be removed.
      count = node;
      return left;
    }
    nodes[node * ATLAS.WORDS + ATLAS.LEFT] = left;
    nodes[node * ATLAS.WORDS + ATLAS.RIGHT] = right;
    return node;
  };
  const step = (base: number, bit: number): void => {
    for (let tree = 0; tree < width; tree++) {
      const code = codes[base + tree] ?? 0;
      codes[base + width + tree] = code < 0 ? code : (trees[tree]?.[code * 2 + bit] ?? 0);
    }
  };

  codes.set(sources.map((source) => source.v4Root));
  const v4Root = walk(0);
  codes.set(sources.map((source) => source.v6Root));
  const v6Root = walk(0);
  nodes = nodes.slice(0, count * ATLAS.WORDS);
  const { locations } = classes;
  const groups = groupNodes(nodes, locations.length);
  return { nodes, v4Root, v6Root, databases: databases.length, locations, places: classes.places(), groups };
}

/**
 * Numbers the distinct locations of all combinations of records, kinds and networks: one code per tree, in tree order.
 */
function createClasses(
  databases: readonly DatabaseTree[],
  tables: number,
  sets: readonly (readonly number[])[],
  operator: ReadonlyMap<number, At>,
): { readonly locations: Location[]; places(): Places; classOf(codes: Int32Array, base: number): number } {
  const locations: Location[] = [NOWHERE];
  const places: Location[] = [NOWHERE];
  const placeNumbers = new Map<string, number>();
  const numbers = [0];
  const noKinds = new Array<number>(tables).fill(0);
  const byPlace = new Map<string, number>([[`${recordKey(NOTHING)}|0|${noKinds.join()}`, 0]]);
  const last = databases.length + tables;
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
      // Both are below 2^26: no file has more records, and memory cannot hold more pairs.
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
      const kinds = noKinds.map((_, table) => ~(codes[base + databases.length + table] ?? -1));
      const where = `${recordKey(merged)}|${set}`;
      const key = `${where}|${kinds.join()}`;
      found = byPlace.get(key);
      if (found === undefined) {
        const location = { ...merged, networks: sets[set] ?? [], latency: kinds };
        found = locations.push(location) - 1;
        byPlace.set(key, found);
        const placeKey = `${where}|${kinds.some((kind) => kind > 0)}`;
        let place = placeNumbers.get(placeKey);
        if (place === undefined) placeNumbers.set(placeKey, (place = places.push(location) - 1));
        numbers.push(place);
      }
      ends.set(joined, found);
    }
    return found;
  };
  const share = (): Places => {
    const memory = new SharedArrayBuffer(numbers.length * Int32Array.BYTES_PER_ELEMENT);
    return { places, placeOf: filled(new Int32Array(memory), numbers) };
  };
  return { locations, places: share, classOf };
}

function placeOf(at: At): DatabaseRecord {
  if (at.kind === 'point') return { ...NOTHING, latitude: at.latitude, longitude: at.longitude };
  const { latitude, longitude } = centroidOf(at.country) ?? NOTHING;
  return { ...NOTHING, country: at.country, continent: continentOf(at.country), latitude, longitude };
}

/** The memory for the starts of all maps. With few maps, most addresses are found by their start alone. */
const STARTS_OCTETS = 32 * 1024 * 1024;

/** The number of bits of an address that select a start, if there are `maps` maps. */
export function startBitsFor(maps: number): number {
  const rows = STARTS_OCTETS / (2 * Int32Array.BYTES_PER_ELEMENT * Math.max(1, maps));
  return Math.min(MAX_START_BITS, Math.max(0, Math.floor(Math.log2(rows))));
}

/**
 * Compiles a map in time proportional to the number of groups. Throws RangeError if an outcome is not an integer from 0
 * to OUTCOME_LIMIT - 1, which is a mistake of the caller.
 */
export function compileMap(
  atlas: Atlas,
  outcomeOf: (location: Location, cls: number) => number,
  startBits: number,
): SteeringMap {
  const { nodes, locations, groups } = atlas;
  const classes = locations.length;
  const count = classes + groups.length / 2;
  // The outcome of each group, or MIXED.
  const of = new Int32Array(count);
  const outcomes = new Int32Array(classes);
  for (let cls = 0; cls < classes; cls++) {
    const outcome = outcomeOf(locations[cls] ?? NOWHERE, cls);
    if (!Number.isInteger(outcome) || outcome < 0 || outcome >= OUTCOME_LIMIT) {
      throw new RangeError(`outcome ${outcome} is not below ${OUTCOME_LIMIT}`);
    }
    outcomes[cls] = outcome;
    of[cls] = outcome;
  }
  const mixed = new Int32Array((count + 31) >>> 5);
  for (let group = classes, pair = 0; group < count; group++, pair += 2) {
    const outcome = of[groups[pair] ?? 0] ?? MIXED;
    of[group] = outcome === of[groups[pair + 1] ?? 0] ? outcome : MIXED;
    if (of[group] === MIXED) mixed[group >>> 5] = (mixed[group >>> 5] ?? 0) | (1 << (group & 31));
  }
  const rows = 1 << startBits;
  const starts = new Int32Array(2 * rows);
  const fill = (code: number, depth: number, row: number): void => {
    const outcome = of[code < 0 ? ~code : atlasWord(nodes, code, ATLAS.GROUP)] ?? MIXED;
    if (outcome !== MIXED) {
      starts.fill(FOUND | (outcome * 256 + depth), row, row + (rows >> depth));
    } else if (depth === startBits) {
      starts[row] = code;
    } else {
      fill(atlasWord(nodes, code, ATLAS.LEFT), depth + 1, row);
      fill(atlasWord(nodes, code, ATLAS.RIGHT), depth + 1, row + (rows >> (depth + 1)));
    }
  };
  fill(atlas.v4Root, 0, 0);
  fill(atlas.v6Root, 0, rows);
  return { outcomes, mixed, starts };
}

/** Marks a group with more than one outcome. */
const MIXED = -1;
