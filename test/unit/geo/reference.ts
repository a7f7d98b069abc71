/**
 * The simple way to locate an address and to find a scope: compare it with every network. The fast code of geo/atlas.ts
 * and geo/find-class.ts must give the same.
 */
import type { At } from '../../../config/settings.ts';
import { centroidOf, continentOf } from '../../../geo/countries.ts';
import { hasPlace, NOTHING, readRecord, type Location } from '../../../geo/location.ts';
import { inPrefix, parsePrefix, type Prefix } from '../../../wire/address.ts';
import type { MmdbValue } from '../../support/mmdb.ts';

/** Later networks override earlier ones, as in writeMmdb. */
export type DatabaseText = readonly (readonly [string, MmdbValue])[];

const rowPrefixes = new Map<string, Prefix>();

/** `prefixOf` of a row, parsed once: each address is compared with all rows. */
function rowPrefix(text: string): Prefix {
  const known = rowPrefixes.get(text) ?? prefixOf(text);
  rowPrefixes.set(text, known);
  return known;
}

export function locate(
  address: Uint8Array,
  databases: readonly DatabaseText[],
  networks: readonly Prefix[],
  operator: ReadonlyMap<number, At>,
): Location {
  const records = databases.map((rows) => {
    const row = rows.findLast(([text]) => inPrefix(address, rowPrefix(text)));
    return row ? readRecord(row[1]) : NOTHING;
  });
  const containing = networks
    .map((prefix, index) => ({ prefix, index }))
    .filter(({ prefix }) => inPrefix(address, prefix))
    .toSorted((a, b) => b.prefix.bits - a.prefix.bits || a.index - b.index)
    .map(({ index }) => index);
  const asn = records.find((record) => record.asn !== 0)?.asn ?? 0;
  const at = containing.map((index) => operator.get(index)).find((value) => value !== undefined);
  if (at?.kind === 'point') {
    return { ...NOTHING, latitude: at.latitude, longitude: at.longitude, asn, networks: containing, latency: [] };
  }
  if (at) {
    const { latitude, longitude } = centroidOf(at.country) ?? NOTHING;
    const continent = continentOf(at.country);
    return {
      country: at.country,
      subdivision: '',
      city: '',
      area: '',
      continent,
      latitude,
      longitude,
      asn,
      networks: containing,
      latency: [],
    };
  }
  const place = records.find(hasPlace) ?? NOTHING;
  const middle = Number.isNaN(place.latitude) ? centroidOf(place.country) : undefined;
  return {
    ...place,
    latitude: middle?.latitude ?? place.latitude,
    longitude: middle?.longitude ?? place.longitude,
    asn,
    networks: containing,
    latency: [],
  };
}

/**
 * The length of the shortest prefix around `address` in which `outcomeOf` is the same everywhere. It can change only
 * where a network begins or ends, so only those addresses are examined.
 */
export function scopeOf(
  address: Uint8Array,
  networks: readonly Prefix[],
  outcomeOf: (address: Uint8Array) => number,
): number {
  const size = address.length * 8;
  const edges = networks
    .filter(({ bytes }) => bytes.length === address.length)
    .flatMap(({ bytes, bits }) => {
      const first = toBigInt(bytes);
      return [first, first + (1n << BigInt(size - bits))];
    });
  const outcomes = new Map<bigint, number>();
  /** The same edges are inside many prefixes. */
  const outcomeAt = (value: bigint): number => {
    const known = outcomes.get(value) ?? outcomeOf(fromBigInt(value, address.length));
    outcomes.set(value, known);
    return known;
  };
  const outcome = outcomeOf(address);
  for (let bits = 0; bits < size; bits++) {
    const span = 1n << BigInt(size - bits);
    const first = (toBigInt(address) / span) * span;
    const inside = [first, ...edges.filter((edge) => edge > first && edge < first + span)];
    if (inside.every((value) => outcomeAt(value) === outcome)) return bits;
  }
  return size;
}

export function prefixOf(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (!prefix) throw new Error(`${text} is not a network`);
  return prefix;
}

function toBigInt(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}

function fromBigInt(value: bigint, octets: number): Uint8Array {
  return Uint8Array.from(Buffer.from(value.toString(16).padStart(octets * 2, '0'), 'hex'));
}
