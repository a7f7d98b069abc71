/**
 * A generation as the thread of simulate takes it over. The catalog is packed where it is compiled: copying that of
 * thousands of VIPs to another thread would hold the control thread up.
 */
import { deserialize, serialize } from 'node:v8';
import type { LoadedGeneration } from './load-generation.ts';

/** What forecasts are made from. */
export type ForecastGeneration = Pick<LoadedGeneration, 'catalog' | 'image' | 'atlas' | 'locations'>;

/** All of it is shared memory. */
export type PackedGeneration = {
  readonly image: SharedArrayBuffer;
  readonly atlas: SharedArrayBuffer;
  readonly placeOf: Int32Array;
  /** The catalog and the places. */
  readonly packed: SharedArrayBuffer;
};

type Packed = Pick<ForecastGeneration, 'catalog'> & Pick<ForecastGeneration['locations'], 'places'>;

export function packGeneration({ catalog, image, atlas, locations }: ForecastGeneration): PackedGeneration {
  const octets = serialize({ catalog, places: locations.places } satisfies Packed);
  const packed = new SharedArrayBuffer(octets.length);
  new Uint8Array(packed).set(octets);
  return { image, atlas, placeOf: locations.placeOf, packed };
}

export function unpackGeneration({ image, atlas, placeOf, packed }: PackedGeneration): ForecastGeneration {
  const { catalog, places } = deserialize(Buffer.from(new Uint8Array(packed))) as Packed;
  return { catalog, image, atlas, locations: { places, placeOf } };
}
