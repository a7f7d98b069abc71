/**
 * An atlas in one block of shared memory, as threads share it and as it is kept on disk (config/cache-entry.ts):
 *
 *     header of a cache entry, then PACKED (atlas-view.ts), together 128 octets
 *     nodes      as in Atlas; no row crosses a cache line
 *     groups     as in Atlas
 *     places     by class: its number in the list of places
 *     kinds      by class: one number per latency table
 *     list       the list of places as JSON, one PlaceRow each
 */
import { allocateEntry } from '../config/entry-header.ts';
import type { Continent } from '../config/settings.ts';
import { PACKED, PACKED_NODES_AT, packedHeader, viewAtlas } from './atlas-view.ts';
import type { Atlas } from './atlas.ts';
import { NOWHERE, type Area, type Location, type Places } from './location.ts';

/** Allocates shared memory of this many octets, all 0. */
export type Allocate = (octets: number) => SharedArrayBuffer;

/** A place as JSON has it; null for NaN. */
type PlaceRow = readonly [
  country: string,
  subdivision: string,
  city: string,
  area: Area | '',
  continent: Continent | '',
  latitude: number | null,
  longitude: number | null,
  asn: number,
  networks: readonly number[],
  latency: readonly number[],
];

/** Packs an atlas under a key (of 32 octets). */
export function packAtlas(atlas: Atlas, key: Uint8Array, allocate: Allocate): SharedArrayBuffer {
  const { nodes, groups, locations, places } = atlas;
  const tables = locations.at(-1)?.latency.length ?? 0;
  const list = Buffer.from(JSON.stringify(places.places.map(rowOf)));
  const words = nodes.length + groups.length + locations.length * (1 + tables);
  const memory = allocateEntry(PACKED.WORDS * 4 + words * 4 + list.length, key, allocate);
  const header = packedHeader(memory);
  header[PACKED.V4_ROOT] = atlas.v4Root;
  header[PACKED.V6_ROOT] = atlas.v6Root;
  header[PACKED.NODE_WORDS] = nodes.length;
  header[PACKED.GROUP_WORDS] = groups.length;
  header[PACKED.CLASSES] = locations.length;
  header[PACKED.TABLES] = tables;
  header[PACKED.LIST_OCTETS] = list.length;
  header[PACKED.DATABASES] = atlas.databases;
  const sections = sectionsOf(memory);
  sections.nodes.set(nodes);
  sections.groups.set(groups);
  sections.placeOf.set(places.placeOf);
  locations.forEach(({ latency }, cls) => {
    sections.kinds.set(latency, cls * tables);
  });
  sections.list.set(list);
  return memory;
}

/** The atlas in this memory. Its arrays are views of it. */
export function unpackAtlas(memory: SharedArrayBuffer): Atlas {
  const { nodes, groups, placeOf, kinds, list, tables } = sectionsOf(memory);
  const rows = JSON.parse(Buffer.from(list).toString()) as readonly PlaceRow[];
  const places: Places = { places: rows.map(placeFrom), placeOf };
  const locations = Array.from(placeOf, (number, cls): Location => {
    const place = places.places[number] ?? NOWHERE;
    // Without latency tables, each class is a place.
    if (tables === 0 || cls === 0) return place;
    return { ...place, latency: [...kinds.subarray(cls * tables, (cls + 1) * tables)] };
  });
  return { ...viewAtlas(memory), nodes, groups, locations, places };
}

type Sections = {
  readonly nodes: Int32Array;
  readonly groups: Int32Array;
  readonly placeOf: Int32Array;
  readonly kinds: Int32Array;
  readonly list: Uint8Array;
  readonly tables: number;
};

/** Locates the parts by the numbers in the header. */
function sectionsOf(memory: SharedArrayBuffer): Sections {
  const header = packedHeader(memory);
  const size = (column: number): number => header[column] ?? 0;
  const [classes, tables] = [size(PACKED.CLASSES), size(PACKED.TABLES)];
  let end = PACKED_NODES_AT;
  const words = (count: number): Int32Array => {
    const view = new Int32Array(memory, end, count);
    end += view.byteLength;
    return view;
  };
  const nodes = words(size(PACKED.NODE_WORDS));
  const groups = words(size(PACKED.GROUP_WORDS));
  const placeOf = words(classes);
  const kinds = words(classes * tables);
  return { nodes, groups, placeOf, kinds, list: new Uint8Array(memory, end, size(PACKED.LIST_OCTETS)), tables };
}

function rowOf(place: Location): PlaceRow {
  const { country, subdivision, city, area, continent, latitude, longitude, asn, networks, latency } = place;
  return [country, subdivision, city, area, continent, orNull(latitude), orNull(longitude), asn, networks, latency];
}

function placeFrom(row: PlaceRow): Location {
  const [country, subdivision, city, area, continent, latitude, longitude, asn, networks, latency] = row;
  return {
    country,
    subdivision,
    city,
    area,
    continent,
    latitude: latitude ?? Number.NaN,
    longitude: longitude ?? Number.NaN,
    asn,
    networks,
    latency,
  };
}

function orNull(degrees: number): number | null {
  return Number.isNaN(degrees) ? null : degrees;
}
