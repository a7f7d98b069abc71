/**
 * Client weights: how many clients an address represents. Simulate and diff weigh the address space by them.
 */
import { hasBits } from '../../steering/plan.ts';
import { vipData } from '../vip-data.ts';
import type { JointClass } from './address-space.ts';
import type { CountedClients } from './client-counts.ts';
import { MIN_SAMPLES, samplesIn, scaleCountries, type Cell } from './country-scale.ts';
import type { Seat } from './expected-shares.ts';
import { numberAt } from './numbers.ts';

export type Weighing = {
  readonly classes: readonly JointClass[];
  /** Counts of a running server: answers by slot (before the change), and the clients of a service by its name. */
  readonly counted:
    { readonly served: Float64Array; readonly clients?: (service: string) => CountedClients } | undefined;
  /**
   * `auto` and `served` use clients by country if there are MIN_SAMPLES. Else `auto` uses answers if there are
   * MIN_SERVED.
   */
  readonly by: 'auto' | 'addresses' | 'served';
};

/** With this many answers, the answers of a service say more about its clients than addresses do. */
const MIN_SERVED = 1000;

export type Scale = {
  /**
   * Clients are weighed by IPv4 addresses, or by addresses scaled to the answers of each VIP, or scaled to the
   * countries of sampled clients.
   */
  readonly weighed: 'addresses' | 'served' | 'countries';
  /** Clients per address of this country that is sent to this spot; arbitrary unit. */
  readonly of: (spot: Spot, country: string) => number;
};

/** A VIP's data and region. */
type Spot = { readonly region: string; readonly data: string };
type Group = { readonly country: string; readonly v4: number };

/** `spotsOf` gives the share of a group's clients at each spot before the change. */
export function scaleOf<G extends Group>(
  { side, service }: Seat,
  { counted, by }: Weighing,
  groups: readonly G[],
  spotsOf: (group: G) => ReadonlyMap<Spot, number>,
): Scale {
  const { catalog } = side.generation;
  const { plan } = side.steerer;
  const info = catalog.services[service];
  if (counted === undefined || by === 'addresses' || !info) return PLAIN;
  const answers = new Map<string, number>();
  for (const vip of catalog.vips.slice(info.firstSlot, info.firstSlot + info.vipCount)) {
    for (const data of new Set(hasBits(plan, service).map((bit) => vipData(plan, vip, bit)))) {
      if (data !== undefined) answers.set(data, (answers.get(data) ?? 0) + (counted.served[vip.slot] ?? 0));
    }
  }
  const crowds = groups.flatMap((group) =>
    [...spotsOf(group)].map(([spot, share]) => ({ spot, country: group.country, addresses: group.v4 * share })),
  );
  return (
    scaleByCountry(crowds, answers, counted.clients?.(info.name)) ??
    scaleByAnswers(crowds, answers, by === 'served' ? 1 : MIN_SERVED) ??
    PLAIN
  );
}

const PLAIN: Scale = { weighed: 'addresses', of: () => 1 };

/** Addresses of a country that get the same VIP. */
type Crowd = { readonly spot: Spot; readonly country: string; readonly addresses: number };

/** `answers` by data. Undefined if too few clients were sampled. */
function scaleByCountry(
  crowds: readonly Crowd[],
  answers: ReadonlyMap<string, number>,
  clients: CountedClients | undefined,
): Scale | undefined {
  if (clients === undefined || clients.samples < MIN_SAMPLES) return undefined;
  const keyOf = (country: string, region: string): string => `${country} ${region}`;
  const cells = new Map<string, Cell>();
  const served = new Map<string, number>();
  const seen = new Set<string>();
  for (const { spot, country, addresses } of crowds) {
    const { data, region } = spot;
    const key = keyOf(country, region);
    cells.set(key, { country, region, addresses: (cells.get(key)?.addresses ?? 0) + addresses });
    if (seen.has(data)) continue;
    seen.add(data);
    served.set(region, (served.get(region) ?? 0) + (answers.get(data) ?? 0));
  }
  const all = [...cells.values()];
  if (samplesIn(all, clients) < MIN_SAMPLES) return undefined;
  const scales = scaleCountries(all, clients, served);
  const byKey = new Map([...cells.keys()].map((key, index) => [key, numberAt(scales, index)]));
  return { weighed: 'countries', of: ({ region }, country) => byKey.get(keyOf(country, region)) ?? 0 };
}

/** `answers` by data. Undefined if there are fewer than `least`. */
function scaleByAnswers(
  crowds: readonly Crowd[],
  answers: ReadonlyMap<string, number>,
  least: number,
): Scale | undefined {
  const sizes = new Map<string, number>();
  for (const { spot, addresses } of crowds) sizes.set(spot.data, (sizes.get(spot.data) ?? 0) + addresses);
  // Answers of VIPs that no longer get clients do not show where these clients are now.
  let counted = 0;
  let known = 0;
  for (const [data, size] of sizes) {
    if (size === 0 || !answers.has(data)) continue;
    counted += answers.get(data) ?? 0;
    known += size;
  }
  if (counted < least) return undefined;
  return {
    weighed: 'served',
    of: ({ data }) => {
      const own = sizes.get(data) ?? 0;
      if (own === 0) return 0;
      return answers.has(data) ? (answers.get(data) ?? 0) / own : counted / known;
    },
  };
}
