/**
 * A generation in the form that the simulate thread takes over. The compile thread packs the catalog, because copying
 * the catalog of thousands of VIPs to another thread would block the control thread.
 */
import { deserialize, serialize } from 'node:v8';
import type { ImageMemory } from './image/image.ts';
import type { LoadedGeneration } from './load-generation.ts';

/** The parts of a generation that a forecast needs. */
export type ForecastGeneration = Pick<LoadedGeneration, 'catalog' | 'image' | 'atlas' | 'locations'>;

/** Its large parts are shared memory. */
export type PackedGeneration = {
  readonly image: ImageMemory;
  readonly atlas: SharedArrayBuffer;
  readonly placeOf: Int32Array;
  /** The catalog and the places. */
  readonly packed: SharedArrayBuffer;
};

/** A generation, also in packed form for threads that start later. */
export type CompiledGeneration = LoadedGeneration & { readonly packed: PackedGeneration };

type Packed = Pick<ForecastGeneration, 'catalog'> & Pick<ForecastGeneration['locations'], 'places'>;

export function packGeneration({ catalog, image, atlas, locations }: ForecastGeneration): PackedGeneration {
  // A forecast needs no zones, so that the pack stays the same while only records change.
  const octets = serialize({ catalog: { ...catalog, zones: [] }, places: locations.places } satisfies Packed);
  const packed = new SharedArrayBuffer(octets.length);
  new Uint8Array(packed).set(octets);
  return { image, atlas, placeOf: locations.placeOf, packed };
}

export function unpackGeneration({ image, atlas, placeOf, packed }: PackedGeneration): ForecastGeneration {
  const { catalog, places } = deserialize(Buffer.from(new Uint8Array(packed))) as Packed;
  return { catalog, image, atlas, locations: { places, placeOf } };
}
