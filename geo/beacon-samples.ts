/**
 * Samples of round-trip times from users' browsers, and their medians by /24 and /48, by AS and by country
 * (docs/latency.md#what-counts). Pure: the time is an argument, in ms since 1970.
 *
 * A source is an IPv4 address or an IPv6 /64. It has one sample per region, the last. The median of a network counts
 * each source once. The median of an AS or a country counts each block of networks once: a host can only report from
 * its own addresses, so it has little influence even if it has many addresses in one block.
 */
import { MAX_BEACON_SOURCES } from '../config/limits.ts';
import { formatAddress, parsePrefix } from '../wire/address.ts';
import { get8 } from '../wire/octets.ts';
import { getOr } from './get-or.ts';
import {
  MAX_BEACON_NETWORKS,
  MAX_BEACON_SAMPLES,
  MAX_NETWORKS_A_BLOCK,
  MIN_AS_NETWORKS,
  MIN_COUNTRY_ASES,
  MIN_COUNTRY_BLOCKS,
} from './latency-limits.ts';
import { createLatencyBuilder, type LatencyTable } from './latency-table.ts';
import { addressWords } from './prefix-table.ts';

/** The client that sent samples. `address` has 4 or 16 octets. */
export type SampleOrigin = { readonly address: Uint8Array; readonly country: string; readonly asn: number };

/** One network as saved on disk: per region, samples of (source within the network, ms, time) in order of arrival. */
export type SavedNetwork = {
  readonly network: string;
  readonly country: string;
  readonly asn: number;
  readonly samples: Readonly<Record<string, readonly (readonly [number, number, number])[]>>;
};

/** The time of the oldest sample that counts, and the number of sources that a figure needs. */
export type FigureRules = { readonly sinceMs: number; readonly minSources: number };

export type BeaconSamples = {
  /** False if the IPv6 block already has its largest number of networks. */
  add(origin: SampleOrigin, samples: ReadonlyMap<string, number>, nowMs: number): boolean;
  /** Removes samples from before that time. */
  expire(sinceMs: number): void;
  /** Medians with enough sources. `sources` counts sources for a network, and blocks for an AS or a country. */
  figures(rules: FigureRules): LatencyTable;
  /** `figures` in turns: awaits `pause` between them, so that the thread can do other work. */
  figuresInTurns(rules: FigureRules, pause: () => Promise<unknown>): Promise<LatencyTable>;
  /** The numbers of networks and samples. */
  size(): { readonly networks: number; readonly samples: number };
  save(): Iterable<SavedNetwork>;
  /** Restores saved networks. Those that do not fit are skipped. */
  restore(saved: Iterable<SavedNetwork>, nowMs: number): void;
};

type Sample = { readonly source: number; readonly ms: number; readonly atMs: number };
type Network = {
  /** The address of the network; the octets after the prefix are 0. */
  readonly bytes: Uint8Array;
  country: string;
  asn: number;
  /** The oldest sample first. */
  readonly regions: Map<string, Sample[]>;
};

/** Networks per turn: a few milliseconds of work. */
const NETWORKS_A_TURN = 250;

/** The samples that are kept. */
type Store = {
  /** By network, in order of the last sample, oldest first. */
  readonly networks: Map<string, Network>;
  /** The number of networks per block. */
  readonly blocks: Map<string, number>;
  /** The number of samples. */
  kept: number;
};

export function createBeaconSamples(): BeaconSamples {
  const store: Store = { networks: new Map(), blocks: new Map(), kept: 0 };
  return {
    add: (origin, samples, nowMs) => add(store, origin, samples, nowMs),
    expire: (sinceMs) => {
      expire(store, sinceMs);
    },
    figures: (rules) => {
      const sum = createFigures(rules);
      for (const network of store.networks.values()) sum.add(network);
      return sum.done();
    },
    figuresInTurns: (rules, pause) => figuresInTurns(store, rules, pause),
    size: () => ({ networks: store.networks.size, samples: store.kept }),
    save: () => save(store),
    restore: (saved, nowMs) => {
      for (const network of saved) restoreNetwork(store, network, nowMs);
    },
  };
}

function add(
  store: Store,
  { address, country, asn }: SampleOrigin,
  samples: ReadonlyMap<string, number>,
  nowMs: number,
): boolean {
  const { bytes, source } = splitAddress(address);
  const network = heard(store, bytes);
  if (!network) return false;
  network.country = country;
  network.asn = asn;
  for (const [region, ms] of samples) put(store, network, region, { source, ms, atMs: nowMs });
  makeRoom(store);
  return true;
}

function restoreNetwork(store: Store, { network: text, country, asn, samples }: SavedNetwork, nowMs: number): void {
  const prefix = parsePrefix(text);
  const network = prefix?.bits === networkBits(prefix?.bytes ?? []) ? heard(store, prefix.bytes) : undefined;
  if (!network) return;
  network.country = country;
  network.asn = asn;
  for (const [region, list] of Object.entries(samples)) {
    // If the clock was set back, samples from the future would never expire.
    for (const [source, ms, atMs] of list) put(store, network, region, { source, ms, atMs: Math.min(atMs, nowMs) });
  }
  makeRoom(store);
}

/** Finds or adds the network and makes it the most recent one. Undefined if its block is full. */
function heard({ networks, blocks }: Store, bytes: Uint8Array): Network | undefined {
  const key = Buffer.from(bytes).toString('latin1');
  const known = networks.get(key);
  if (known) {
    networks.delete(key);
    networks.set(key, known);
    return known;
  }
  const block = blockOf(bytes);
  const count = blocks.get(block) ?? 0;
  if (count >= MAX_NETWORKS_A_BLOCK) return undefined;
  blocks.set(block, count + 1);
  const network: Network = { bytes, country: '', asn: 0, regions: new Map() };
  networks.set(key, network);
  return network;
}

/** Adds a sample. It replaces the one that its source had for this region, or the oldest one of a full region. */
function put(store: Store, network: Network, region: string, sample: Sample): void {
  const samples = network.regions.get(region) ?? [];
  network.regions.set(region, samples);
  const before = samples.findIndex(({ source }) => source === sample.source);
  if (before >= 0) samples.splice(before, 1);
  else store.kept++;
  samples.push(sample);
  if (samples.length > MAX_BEACON_SOURCES) {
    samples.shift();
    store.kept--;
  }
}

/** Removes the networks that were silent the longest while there are too many. */
function makeRoom(store: Store): void {
  for (const [key, network] of store.networks) {
    if (store.networks.size <= MAX_BEACON_NETWORKS && store.kept <= MAX_BEACON_SAMPLES) return;
    remove(store, key, network);
  }
}

function remove(store: Store, key: string, network: Network): void {
  const { networks, blocks } = store;
  networks.delete(key);
  for (const samples of network.regions.values()) store.kept -= samples.length;
  const block = blockOf(network.bytes);
  const left = (blocks.get(block) ?? 0) - 1;
  if (left > 0) blocks.set(block, left);
  else blocks.delete(block);
}

function expire(store: Store, sinceMs: number): void {
  for (const [key, network] of store.networks) {
    for (const [region, samples] of network.regions) {
      const fresh = samples.filter(({ atMs }) => atMs >= sinceMs);
      store.kept -= samples.length - fresh.length;
      if (fresh.length === 0) network.regions.delete(region);
      else network.regions.set(region, fresh);
    }
    if (network.regions.size === 0) remove(store, key, network);
  }
}

async function figuresInTurns(
  { networks }: Store,
  rules: FigureRules,
  pause: () => Promise<unknown>,
): Promise<LatencyTable> {
  const sum = createFigures(rules);
  // Copied, because samples that arrive during the loop change the order.
  for (const [index, network] of [...networks.values()].entries()) {
    if (index % NETWORKS_A_TURN === NETWORKS_A_TURN - 1) await pause();
    sum.add(network);
  }
  return sum.done();
}

function* save({ networks }: Store): Iterable<SavedNetwork> {
  // Copied, because samples that arrive during the loop change the order.
  for (const { bytes, country, asn, regions } of [...networks.values()]) {
    const samples = Object.fromEntries(
      [...regions].map(([region, list]) => [
        region,
        list.map(({ source, ms, atMs }): [number, number, number] => [source, ms, atMs]),
      ]),
    );
    yield { network: `${formatAddress(bytes)}/${networkBits(bytes)}`, country, asn, samples };
  }
}

/** /24 and /48. */
function networkBits({ length }: { readonly length: number }): number {
  return length === 4 ? 24 : 48;
}

/** The network, and the source in it: the last octet of an IPv4 address, or the number of the IPv6 /64. */
function splitAddress(address: Uint8Array): { readonly bytes: Uint8Array; readonly source: number } {
  const octets = networkBits(address) / 8;
  const bytes = address.map((octet, at) => (at < octets ? octet : 0));
  const source = octets === 3 ? get8(address, 3) : get8(address, 6) * 256 + get8(address, 7);
  return { bytes, source };
}

/** The block that limits a holder: an IPv6 /32, or an IPv4 /16, which cannot have more networks than are allowed. */
function blockOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, bytes.length === 4 ? 2 : 4)).toString('latin1');
}

/** Medians of the networks of an AS or a country, for one region. A block is one voice: the median of its networks. */
type Voices = { readonly blocks: Map<string, number[]>; readonly asns: Set<number> };

/** The conditions, beside `minSources`, for the figure of an AS or a country. */
type Evidence = {
  /** The number of leading octets of an address that identify its block. */
  readonly octets: (bytes: Uint8Array) => number;
  readonly minVoices: number;
  /** Checked only if the database has AS numbers. */
  readonly minAsns: number;
};

/** Blocks of an AS: IPv4 /24s, and IPv6 /40s, since a single host can have many /48s. */
const AS_EVIDENCE: Evidence = {
  octets: ({ length }) => (length === 4 ? 3 : 5),
  minVoices: MIN_AS_NETWORKS,
  minAsns: 0,
};
/** Blocks of a country: IPv4 /16s and IPv6 /32s, of several holders. */
const COUNTRY_EVIDENCE: Evidence = {
  octets: ({ length }) => (length === 4 ? 2 : 4),
  minVoices: MIN_COUNTRY_BLOCKS,
  minAsns: MIN_COUNTRY_ASES,
};

/** Collects networks into a table of figures. */
function createFigures({ sinceMs, minSources }: FigureRules): { add(network: Network): void; done(): LatencyTable } {
  const builder = createLatencyBuilder();
  const asns = new Map<number, Map<string, Voices>>();
  const countries = new Map<string, Map<string, Voices>>();

  const put = (rowOf: () => number, regions: ReadonlyMap<string, Voices>, evidence: Evidence): void => {
    for (const [region, { blocks, asns: holders }] of regions) {
      if (blocks.size < Math.max(minSources, evidence.minVoices)) continue;
      // A single holder could lie. Without AS numbers, the holders are unknown.
      if (holders.size > 0 && holders.size < evidence.minAsns) continue;
      builder.set(rowOf(), builder.column(region), medianOf([...blocks.values()].map(medianOf)), blocks.size);
    }
  };
  return {
    add({ bytes, country, asn, regions }) {
      for (const [region, samples] of regions) {
        const times = samples.flatMap(({ atMs, ms }) => (atMs >= sinceMs ? [ms] : []));
        if (times.length === 0) continue;
        const median = medianOf(times);
        if (times.length >= minSources) {
          const row = builder.network(addressWords(bytes), networkBits(bytes));
          builder.set(row, builder.column(region), median, times.length);
        }
        if (asn !== 0) speak(voicesOf(asns, asn, region), bytes, asn, median, AS_EVIDENCE);
        if (country !== '') speak(voicesOf(countries, country, region), bytes, asn, median, COUNTRY_EVIDENCE);
      }
    },
    done() {
      for (const [asn, regions] of asns) put(() => builder.asn(asn), regions, AS_EVIDENCE);
      for (const [country, regions] of countries) put(() => builder.country(country), regions, COUNTRY_EVIDENCE);
      return builder.done();
    },
  };
}

function speak({ blocks, asns }: Voices, bytes: Uint8Array, asn: number, ms: number, { octets }: Evidence): void {
  const block = Buffer.from(bytes.subarray(0, octets(bytes))).toString('latin1');
  getOr(blocks, `${bytes.length} ${block}`, (): number[] => []).push(ms);
  if (asn !== 0) asns.add(asn);
}

function voicesOf<K>(all: Map<K, Map<string, Voices>>, key: K, region: string): Voices {
  const regions = getOr(all, key, () => new Map<string, Voices>());
  return getOr(regions, region, (): Voices => ({ blocks: new Map(), asns: new Set() }));
}

/**
 * The median, rounded to 0.1 ms, the resolution of browsers' clocks. For an even number, the mean of the middle two.
 */
function medianOf(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? 0;
  const median = sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? 0) + high) / 2;
  return Math.round(median * 10) / 10;
}
