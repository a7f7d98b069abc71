/**
 * The steps of SPEC 4 as the zone file states them, with names resolved to indexes where a service knows
 * them. Each step's own file says what it does with the candidates.
 */
import type { Continent } from '../config/settings.ts';
import { formatPrefix, type Prefix } from '../wire/address.ts';

/** A key of a geo map, broadest last. `text` is what the operator wrote. */
export type GeoKey = { readonly text: string } & (
  | { readonly kind: 'network'; readonly prefix: Prefix }
  | { readonly kind: 'asn'; readonly asn: number }
  | { readonly kind: 'subdivision'; readonly subdivision: string }
  | { readonly kind: 'country'; readonly country: string }
  | { readonly kind: 'continent'; readonly continent: Continent }
  | { readonly kind: 'default' }
);

/** `regions` are names, in the operator's order; a service's `regions` list gives their indexes. */
export type StepSpec =
  | {
      readonly kind: 'geo';
      readonly map: readonly { readonly key: GeoKey; readonly regions: readonly string[] }[];
      readonly fence: boolean;
    }
  | { readonly kind: 'nearest'; readonly bias: ReadonlyMap<string, number>; readonly withinKm: number }
  | {
      readonly kind: 'latency';
      /** Absolute path of the CSV, or NO_TABLE. */
      readonly table: string;
      readonly withinMs: number;
    }
  | {
      readonly kind: 'failover';
      /** `vip` is an index into the service's VIPs. A name that is both means the VIP's region first named so: region. */
      readonly order: readonly (
        { readonly kind: 'region'; readonly region: string } | { readonly kind: 'vip'; readonly vip: number }
      )[];
    }
  | { readonly kind: 'weighted' }
  | { readonly kind: 'sticky'; readonly v4Bits: number; readonly v6Bits: number }
  | { readonly kind: 'all' };

/** The table of a `latency` step without one: only what browsers measured. No path is empty. */
export const NO_TABLE = '';

/** The same for keys that mean the same, whatever the operator wrote: `kr` and `KR`. */
export function identityOf(key: GeoKey): string {
  switch (key.kind) {
    case 'network':
      return formatPrefix(key.prefix);
    case 'asn':
      return `AS${key.asn}`;
    case 'subdivision':
      return key.subdivision;
    case 'country':
      return key.country;
    case 'continent':
      return key.continent;
    case 'default':
      return 'default';
  }
}
