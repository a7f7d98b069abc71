/**
 * Measured round-trip times by network, AS and country (docs/latency.md#tables), for millions of networks. They come
 * from a file (read-latency.ts), from users' browsers (overlay-latency.ts), or from both. The table is in shared
 * memory, because explain in the control thread reads it too.
 */
import { formatAddress } from '../wire/address.ts';
import { get8 } from '../wire/octets.ts';
import { getOr } from './get-or.ts';
import { longestMatch, entryAddress, createPrefixTable, filled, type PrefixTable } from './prefix-table.ts';

/** Times in rows, one number per region. The values of the prefix tables and maps are row numbers. */
export type LatencyTable = {
  /** The columns of a row: the regions with measurements. */
  readonly regions: readonly string[];
  readonly v4: PrefixTable;
  readonly v6: PrefixTable;
  readonly asns: ReadonlyMap<number, number>;
  /** ISO 3166-1 alpha-2. */
  readonly countries: ReadonlyMap<string, number>;
  readonly rows: number;
  /** Milliseconds by row * regions.length + column; NaN if not measured. */
  readonly ms: Float64Array;
  /**
   * The number of browser sources of each of `ms`. 0 for a time from the file. Empty if all times are from the file.
   */
  readonly sources: Uint16Array;
};

export type LatencyBuilder = {
  /** The row of a network (in words, as in a prefix table), of an AS, or of a country. It is added if missing. */
  network(key: Uint32Array, bits: number): number;
  asn(asn: number): number;
  country(code: string): number;
  column(region: string): number;
  /** Sets a time. Returns whether it replaces an earlier one. */
  set(row: number, column: number, ms: number, sources: number): boolean;
  done(): LatencyTable;
};

export function createLatencyBuilder(): LatencyBuilder {
  const v4 = createPrefixTable(1);
  const v6 = createPrefixTable(4);
  const asns = new Map<number, number>();
  const countries = new Map<string, number>();
  const columns = new Map<string, number>();
  let rows = 0;
  /** The capacity of a row in columns. */
  let stride = 4;
  let capacity = 64;
  let ms: Float64Array = new Float64Array(capacity * stride).fill(Number.NaN);
  let sources: Uint16Array | undefined;

  const resize = (toStride: number, toCapacity: number): void => {
    const moved = new Float64Array(toStride * toCapacity).fill(Number.NaN);
    const movedSources = sources && new Uint16Array(toStride * toCapacity);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < stride; column++) {
        moved[row * toStride + column] = ms[row * stride + column] ?? Number.NaN;
        if (movedSources) movedSources[row * toStride + column] = sources?.[row * stride + column] ?? 0;
      }
    }
    ms = moved;
    sources = movedSources;
    stride = toStride;
    capacity = toCapacity;
  };
  const add = (): number => {
    if (rows === capacity) resize(stride, capacity * 2);
    return rows++;
  };
  return {
    network: (key, bits) => (key.length === 1 ? v4 : v6).getOrAdd(key, bits, add),
    asn: (asn) => getOr(asns, asn, add),
    country: (code) => getOr(countries, code, add),
    column: (region) =>
      getOr(columns, region, () => {
        if (columns.size === stride) resize(stride * 2, capacity);
        return columns.size;
      }),
    set(row, column, value, count) {
      const at = row * stride + column;
      const repeated = !Number.isNaN(ms[at] ?? Number.NaN);
      ms[at] = value;
      if (count > 0) sources ??= new Uint16Array(ms.length);
      if (sources) sources[at] = Math.min(count, 0xffff);
      return repeated;
    },
    done() {
      resize(columns.size, rows);
      return {
        regions: [...columns.keys()],
        v4: v4.done(),
        v6: v6.done(),
        asns,
        countries,
        rows,
        ms: filled(new Float64Array(new SharedArrayBuffer(ms.byteLength)), ms),
        sources: filled(new Uint16Array(new SharedArrayBuffer(sources?.byteLength ?? 0)), sources ?? []),
      };
    },
  };
}

/** Milliseconds from a row's clients to a region (its column); undefined if not measured. */
export function latencyOf(table: LatencyTable, row: number, column: number): number | undefined {
  const ms = column < 0 || row < 0 ? undefined : table.ms[row * table.regions.length + column];
  return ms === undefined || Number.isNaN(ms) ? undefined : ms;
}

/** The number of browser sources of a time. 0 for a time from the file. */
export function sourcesOf(table: LatencyTable, row: number, column: number): number {
  return table.sources[row * table.regions.length + column] ?? 0;
}

/**
 * The row of the most specific network that contains the address, and the network as text. Undefined if there is none.
 */
export function networkRow(
  { v4, v6 }: LatencyTable,
  address: Uint8Array,
): { readonly row: number; readonly network: string } | undefined {
  const prefixes = address.length === 4 ? v4 : v6;
  const entry = longestMatch(prefixes, address);
  if (entry < 0) return undefined;
  const network = `${formatAddress(entryAddress(prefixes, entry))}/${get8(prefixes.bits, entry)}`;
  return { row: prefixes.values[entry] ?? 0, network };
}
