/**
 * Which region serves which country (docs/page.md): for one service, in three states of health: all VIPs up, now, and
 * if targets fail. The code that answers packets makes the decisions, as for simulate.
 */
import type { ForecastGeneration } from '../../zones/packed-generation.ts';
import { healthFor } from '../explain/explain-answer.ts';
import { readDown } from '../explain/explain-request.ts';
import { scaleOf, type Scale, type Weighing } from './client-weights.ts';
import { createLandings, createSide, LANDING, type Landing, type Seat } from './expected-shares.ts';
import { classesOf, type Live } from './simulate-failure.ts';
import { createSpots, flows, groupsOf, NODATA, STATIC, typesOf } from './traffic.ts';

/** `down` may be empty. */
export type MapRequest = { readonly map: string; readonly down: readonly string[] };

/** Shares are from 0 to 1. `region` may be NODATA, STATIC or empty. Largest first. */
export type RegionShare = { readonly region: string; readonly share: number };
/** `healthy`: all VIPs are up, without overrides. `then`: `now` with the targets of `down` failed. */
export type Moments<Value> = { readonly healthy: Value; readonly now: Value; readonly then: Value };

/** Plain JSON. */
export type ServiceMap = {
  readonly service: string;
  /** The record types that it is about. */
  readonly types: readonly string[];
  readonly weighed: Scale['weighed'];
  readonly down: readonly string[];
  /** Share of the clients that a VIP gets other than with all healthy; and other than now, if `down` fails. */
  readonly moved: { readonly now: number; readonly then: number };
  /** Share of the clients for which `when_all_down` decides. */
  readonly stranded: Moments<number>;
  readonly vips: readonly ({ readonly vip: string; readonly region: string } & Moments<number>)[];
  readonly regions: readonly ({
    readonly region: string;
    readonly at: { readonly latitude: number; readonly longitude: number } | null;
  } & Moments<number>)[];
  /** `clients` is the share of all clients; other shares are of the country. '' is an unknown country. */
  readonly countries: readonly ({ readonly country: string; readonly clients: number } & Moments<
    readonly RegionShare[]
  >)[];
};

export type Mapped =
  | { readonly ok: true; readonly map: ServiceMap }
  | { readonly ok: false; readonly parameter: string; readonly message: string };

type Sums = { clients: number; readonly by: Moments<Map<string, number>> };

/** The number of the service; undefined if there is none of this name. */
export function serviceNumber({ catalog }: Pick<ForecastGeneration, 'catalog'>, name: string): number | undefined {
  const found = catalog.services.findIndex((service) => service.name === name);
  return found < 0 ? undefined : found;
}

export function mapFrom(generation: ForecastGeneration, request: MapRequest, live: Live): Mapped {
  const service = serviceNumber(generation, request.map);
  if (service === undefined) {
    return { ok: false, parameter: 'service', message: `unknown service "${request.map}"` };
  }
  const down = request.down.length === 0 ? new Set<number>() : readDown(generation, request.down);
  if ('message' in down) return { ok: false, ...down };
  const sideOf = (failed: ReadonlySet<number>, health: Live['health'] | undefined): Seat['side'] =>
    createSide(generation, healthFor(generation, failed, health));
  const now = sideOf(new Set(), live.health);
  const { has = 0, types = [] } = typesOf({ side: now, service })[0] ?? {};
  const seats: Moments<Seat> = {
    healthy: { side: sideOf(new Set(), undefined), service, has },
    now: { side: now, service, has },
    then: { side: sideOf(down, live.health), service, has },
  };
  return { ok: true, map: mapOfSeats(seats, request.down, types, live) };
}

function mapOfSeats(seats: Moments<Seat>, down: readonly string[], types: readonly string[], live: Live): ServiceMap {
  const { service, side } = seats.now;
  const { catalog, atlas } = side.generation;
  const info = catalog.services[service];
  const vips = catalog.vips.slice(info?.firstSlot ?? 0, (info?.firstSlot ?? 0) + (info?.vipCount ?? 0));
  const weighing: Weighing = { classes: classesOf(atlas), counted: live, by: 'auto' };
  // The outcome of a place does not depend on health, so a group is the same in all three states.
  const groups = groupsOf(seats.now, seats.now, weighing.classes);
  const landings = ofMoments((moment) => createLandings(seats[moment].side, service, seats[moment].has));
  const spots = createSpots(seats.now, seats.now);
  const scale = scaleFor(seats.now, weighing, groups, landings.now, spots);
  const all = { clients: 0, movedNow: 0, movedThen: 0 };
  const stranded = { healthy: 0, now: 0, then: 0 };
  const byVip = ofMoments(() => new Map<number, number>());
  const countries = new Map<string, Sums>();
  const regionOf = (vip: number): string => catalog.regions[vips[vip]?.region ?? 0]?.name ?? '';
  for (const group of groups) {
    let clients = 0;
    for (const [spot, share] of spots.before(landings.now(group.before))) {
      clients += group.v4 * share * scale.of(spot, group.country);
    }
    if (clients === 0) continue;
    all.clients += clients;
    const sums = countries.get(group.country) ?? { clients: 0, by: ofMoments(() => new Map<string, number>()) };
    countries.set(group.country, sums);
    sums.clients += clients;
    const landed = ofMoments((moment) => landings[moment](group.before));
    for (const moment of MOMENTS) {
      if (landed[moment].stranded) stranded[moment] += clients;
      for (const { vip, share } of landed[moment].shares) {
        add(byVip[moment], vip, clients * share);
        add(
          sums.by[moment],
          vip === LANDING.NODATA ? NODATA : vip === LANDING.STATIC ? STATIC : regionOf(vip),
          clients * share,
        );
      }
    }
    all.movedNow += clients * movedBetween(spots.before(landed.healthy), spots.before(landed.now));
    all.movedThen += clients * movedBetween(spots.before(landed.now), spots.before(landed.then));
  }
  const part = (clients: number, of: number): number => (of === 0 ? 0 : Number((clients / of).toPrecision(6)));
  const shareOfAll = (clients: number): number => part(clients, all.clients);
  const regions = new Map(vips.map(({ region }) => [regionName(catalog, region), region]));
  return {
    service: info?.name ?? '',
    types,
    weighed: scale.weighed,
    down,
    moved: { now: shareOfAll(all.movedNow), then: shareOfAll(all.movedThen) },
    stranded: ofMoments((moment) => shareOfAll(stranded[moment])),
    vips: vips.map(({ name }, vip) => ({
      vip: name,
      region: regionOf(vip),
      ...ofMoments((moment) => shareOfAll(byVip[moment].get(vip) ?? 0)),
    })),
    regions: [...regions].map(([region, number]) => ({
      region,
      at: catalog.regions[number]?.point ?? null,
      ...ofMoments((moment) =>
        shareOfAll(
          vips.reduce((sum, vip, index) => sum + (vip.region === number ? (byVip[moment].get(index) ?? 0) : 0), 0),
        ),
      ),
    })),
    countries: [...countries]
      .map(([country, { clients, by }]) => ({
        country,
        clients: shareOfAll(clients),
        ...ofMoments((moment) => listed(by[moment], (own) => part(own, clients))),
      }))
      .sort((a, b) => b.clients - a.clients || (a.country < b.country ? -1 : 1)),
  };
}

const MOMENTS = ['healthy', 'now', 'then'] as const;

function ofMoments<Value>(make: (moment: keyof Moments<unknown>) => Value): Moments<Value> {
  return { healthy: make('healthy'), now: make('now'), then: make('then') };
}

type Groups = ReturnType<typeof groupsOf>;
type Spots = ReturnType<typeof createSpots>;

function scaleFor(
  now: Seat,
  weighing: Weighing,
  groups: Groups,
  landing: (outcome: number) => Landing,
  spots: Spots,
): Scale {
  return scaleOf(now, weighing, groups, (group) => spots.before(landing(group.before)));
}

/** The share that moves from one distribution to the other. */
function movedBetween<Spot>(before: ReadonlyMap<Spot, number>, after: ReadonlyMap<Spot, number>): number {
  return flows(before, after).reduce((sum, { from, to, share }) => (from === to ? sum : sum + share), 0);
}

function regionName({ regions }: ForecastGeneration['catalog'], number: number): string {
  return regions[number]?.name ?? '';
}

function add<Key>(sums: Map<Key, number>, key: Key, more: number): void {
  sums.set(key, (sums.get(key) ?? 0) + more);
}

function listed(sums: ReadonlyMap<string, number>, share: (clients: number) => number): readonly RegionShare[] {
  return [...sums]
    .map(([region, clients]) => ({ region, share: share(clients) }))
    .sort((a, b) => b.share - a.share || (a.region < b.region ? -1 : 1));
}
