/**
 * `failover`: regions or VIPs in a list, the same for all clients.
 */
import type { PlacedRegion, Preference } from './place.ts';

export type FailoverStep = {
  /** `vip` is an index into the service's VIPs. A name of both a region and a VIP means the region. */
  readonly order: readonly (
    { readonly kind: 'region'; readonly region: string } | { readonly kind: 'vip'; readonly vip: number }
  )[];
};

/** The entries in order. A region without a VIP of the service has no local number and is skipped (PH211). */
export function failoverPreferences({ order }: FailoverStep, regions: readonly PlacedRegion[]): Preference[] {
  const local = new Map(regions.map((region, number) => [region.name, number]));
  return order
    .flatMap((entry) => (entry.kind === 'vip' ? ~entry.vip : (local.get(entry.region) ?? [])))
    .map((region, index) => ({ region, end: index + 1, detail: 0 }));
}
