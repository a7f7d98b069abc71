/**
 * `failover`: regions or VIPs in a list, the same for all clients.
 */
import type { PlacedRegion, Preference } from './place.ts';

export type FailoverStep = {
  /** `vip` is an index into the service's VIPs. A name that is both means the VIP's region first named so: region. */
  readonly order: readonly (
    { readonly kind: 'region'; readonly region: string } | { readonly kind: 'vip'; readonly vip: number }
  )[];
};

/** In order. A region that none of the service's VIPs is in has no local number, and is passed over (PH211). */
export function failoverPreferences({ order }: FailoverStep, regions: readonly PlacedRegion[]): Preference[] {
  const local = new Map(regions.map((region, number) => [region.name, number]));
  return order
    .flatMap((entry) => (entry.kind === 'vip' ? ~entry.vip : (local.get(entry.region) ?? [])))
    .map((region, index) => ({ region, end: index + 1, detail: 0 }));
}
