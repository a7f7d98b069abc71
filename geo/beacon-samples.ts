/**
 * Round-trip times from users' browsers, and what they come to: medians by /24 and /48, by AS and by country
 * (SPEC 8). Pure: the time is an argument, in ms since 1970.
 *
 * A source is an address of IPv4 or a /64 of IPv6, and has one sample a region: its last. So a network's median is
 * one of its sources, each counted once. That of an AS or a country is one of its blocks of networks, each counted once:
 * a host can report from its own addresses alone, so it has few voices however many addresses it has in one place.
 */
import { MAX_BEACON_SOURCES } from '../config/limits.ts';
import { formatAddress, parsePrefix } from '../wire/address.ts';
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

/** Where samples come from; `address` has 4 or 16 octets. */
export type SampleOrigin = { readonly address: Uint8Array; readonly country: string; readonly asn: number };

/** One network as it is kept on disk: by region (source within the network, ms, time) in the order they came. */
export type SavedNetwork = {
  readonly network: string;
  readonly country: string;
  readonly asn: number;
  readonly samples: Readonly<Record<string, readonly (readonly [number, number, number])[]>>;
};

/** Since when samples count, and how many sources a figure needs. */
export type FigureRules = { readonly sinceMs: number; readonly minSources: number };

export type BeaconSamples = {
  /** False where a block of IPv6 has as many networks as it may. */
  add(origin: SampleOrigin, samples: ReadonlyMap<string, number>, nowMs: number): boolean;
  /** Lets go what came before. */
  expire(sinceMs: number): void;
  /** Medians with enough sources. `sources` of a network's row are sources, of an AS or a country blocks. */
  figures(rules: FigureRules): LatencyTable;
  /** The same for a thread that has other things to do: `pause` lets it. */
  figuresInTurns(rules: FigureRules, pause: () => Promise<unknown>): Promise<LatencyTable>;
  /** How much is kept. */
  size(): { readonly networks: number; readonly samples: number };
  save(): Iterable<SavedNetwork>;
  /** Takes over what was kept; what does not fit is left out. */
  restore(saved: Iterable<SavedNetwork>, nowMs: number): void;
};

type Sample = { readonly source: number; readonly ms: number; readonly atMs: number };
type Network = {
  /** The first octets of the address, the others 0. */
  readonly bytes: Uint8Array;
  country: string;
  asn: number;
  /** The oldest sample first. */
  readonly regions: Map<string, Sample[]>;
};

/** Networks summed up between two pauses: some milliseconds of work. */
const NETWORKS_A_TURN = 250;

export function createBeaconSamples(): BeaconSamples {
  /** By network; the one longest unheard first. */
  const networks = new Map<string, Network>();
  /** Networks a /32 of IPv6. */
  const blocks = new Map<string, number>();
  let kept = 0;

  const remove = (key: string, network: Network): void => {
    networks.delete(key);
    for (const samples of network.regions.values()) kept -= samples.length;
    const block = blockOf(network.bytes);
    const left = (blocks.get(block) ?? 0) - 1;
    if (left > 0) blocks.set(block, left);
    else blocks.delete(block);
  };
  /** The network as the one heard last; undefined where there is no room for it. */
  const heard = (bytes: Uint8Array): Network | undefined => {
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
  };
  const put = (network: Network, region: string, sample: Sample): void => {
    const samples = network.regions.get(region) ?? [];
    network.regions.set(region, samples);
    const before = samples.findIndex(({ source }) => source === sample.source);
    if (before >= 0) samples.splice(before, 1);
    else kept++;
    samples.push(sample);
    if (samples.length > MAX_BEACON_SOURCES) {
      samples.shift();
      kept--;
    }
  };
  const makeRoom = (): void => {
    for (const [key, network] of networks) {
      if (networks.size <= MAX_BEACON_NETWORKS && kept <= MAX_BEACON_SAMPLES) return;
      remove(key, network);
    }
  };

  return {
    add({ address, country, asn }, samples, nowMs) {
      const { bytes, source } = splitAddress(address);
      const network = heard(bytes);
      if (!network) return false;
      network.country = country;
      network.asn = asn;
      for (const [region, ms] of samples) put(network, region, { source, ms, atMs: nowMs });
      makeRoom();
      return true;
    },
    expire(sinceMs) {
      for (const [key, network] of networks) {
        for (const [region, samples] of network.regions) {
          const fresh = samples.filter(({ atMs }) => atMs >= sinceMs);
          kept -= samples.length - fresh.length;
          if (fresh.length === 0) network.regions.delete(region);
          else network.regions.set(region, fresh);
        }
        if (network.regions.size === 0) remove(key, network);
      }
    },
    figures(rules) {
      const sum = createFigures(rules);
      for (const network of networks.values()) sum.add(network);
      return sum.done();
    },
    async figuresInTurns(rules, pause) {
      const sum = createFigures(rules);
      // A list of its own: what is heard meanwhile changes the order.
      for (const [index, network] of [...networks.values()].entries()) {
        if (index % NETWORKS_A_TURN === NETWORKS_A_TURN - 1) await pause();
        sum.add(network);
      }
      return sum.done();
    },
    size: () => ({ networks: networks.size, samples: kept }),
    *save() {
      // A list of its own: what is heard meanwhile changes the order.
      for (const { bytes, country, asn, regions } of [...networks.values()]) {
        const samples = Object.fromEntries(
          [...regions].map(([region, list]) => [
            region,
            list.map(({ source, ms, atMs }): [number, number, number] => [source, ms, atMs]),
          ]),
        );
        yield { network: `${formatAddress(bytes)}/${networkBits(bytes)}`, country, asn, samples };
      }
    },
    restore(saved, nowMs) {
      for (const { network: text, country, asn, samples } of saved) {
        const prefix = parsePrefix(text);
        const network = prefix?.bits === networkBits(prefix?.bytes ?? []) ? heard(prefix.bytes) : undefined;
        if (!network) continue;
        network.country = country;
        network.asn = asn;
        for (const [region, list] of Object.entries(samples)) {
          // A clock that went back must not make samples that never age.
          for (const [source, ms, atMs] of list) put(network, region, { source, ms, atMs: Math.min(atMs, nowMs) });
        }
        makeRoom();
      }
    },
  };
}

/** /24 and /48. */
function networkBits({ length }: { readonly length: number }): number {
  return length === 4 ? 24 : 48;
}

/** The network, and which source in it: the last octet of IPv4, the number of the /64 of IPv6. */
function splitAddress(address: Uint8Array): { readonly bytes: Uint8Array; readonly source: number } {
  const octets = networkBits(address) / 8;
  const bytes = address.map((octet, at) => (at < octets ? octet : 0));
  const source = octets === 3 ? (address[3] ?? 0) : (address[6] ?? 0) * 256 + (address[7] ?? 0);
  return { bytes, source };
}

/** What one holder may have all of: a /32 of IPv6. Of IPv4 a /16, which has no more networks than are allowed. */
function blockOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, bytes.length === 4 ? 2 : 4)).toString('latin1');
}

/** Medians of the networks of an AS or a country, for one region. All of a block are one voice: the median of theirs. */
type Voices = { readonly blocks: Map<string, number[]>; readonly asns: Set<number> };

/** What a figure of many networks needs beside `minSources`. */
type Evidence = {
  /** Octets of an address that tell blocks apart. */
  readonly octets: (bytes: Uint8Array) => number;
  readonly minVoices: number;
  /** Counted only where the database has AS numbers. */
  readonly minAsns: number;
};

/** In an AS: /24s, and of IPv6 /40s, since a single host can have many /48s. */
const AS_EVIDENCE: Evidence = {
  octets: ({ length }) => (length === 4 ? 3 : 5),
  minVoices: MIN_AS_NETWORKS,
  minAsns: 0,
};
/** In a country: /16s and /32s of several holders. */
const COUNTRY_EVIDENCE: Evidence = {
  octets: ({ length }) => (length === 4 ? 2 : 4),
  minVoices: MIN_COUNTRY_BLOCKS,
  minAsns: MIN_COUNTRY_ASES,
};

/** Sums networks up to a table. */
function createFigures({ sinceMs, minSources }: FigureRules): { add(network: Network): void; done(): LatencyTable } {
  const builder = createLatencyBuilder();
  const asns = new Map<number, Map<string, Voices>>();
  const countries = new Map<string, Map<string, Voices>>();

  const put = (rowOf: () => number, regions: ReadonlyMap<string, Voices>, evidence: Evidence): void => {
    for (const [region, { blocks, asns: holders }] of regions) {
      if (blocks.size < Math.max(minSources, evidence.minVoices)) continue;
      // One holder alone may be one liar. Without AS numbers nobody knows who holds what.
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

/** To a tenth of a millisecond: browsers' clocks are no finer. Of an even number, the mean of the two in the middle. */
function medianOf(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? 0;
  const median = sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? 0) + high) / 2;
  return Math.round(median * 10) / 10;
}
