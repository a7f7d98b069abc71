/**
 * From one state of a service to another: what share of its clients moves, from where to where, by country. What
 * simulate and diff show; plain JSON, in shares from 0 to 1.
 */
import { isInhabited, type JointClass } from './address-space.ts';
import { createLandings, LANDING, outcomeOf, type Landing, type Seat } from './expected-shares.ts';
import { getOr } from '../../geo/get-or.ts';
import { placeAt } from '../../geo/location.ts';
import { HAS, SERVICE, VIP, serviceWord, vipWord } from '../../steering/plan.ts';
import { scaleOf, type Scale, type Weighing } from './client-weights.ts';

/**
 * Shares of its capacity: now; when what was cached has expired, with those shed that are shed now; and at rest, when
 * the loads have changed who is shed. `settled` is null where they come to no rest.
 */
export type VipLoad = { readonly before: number; readonly at_once: number; readonly settled: number | null };

/** `from` and `to` are the names of `vips`, NODATA or STATIC. */
export type Move = { readonly from: string; readonly to: string; readonly share: number };

export type Traffic = {
  /** `www.example.com` */
  readonly service: string;
  /** Query types that this is about: A and AAAA apart only where they have different VIPs. */
  readonly types: readonly string[];
  readonly weighed: Scale['weighed'];
  /** Share of the clients that moves. */
  readonly moved: number;
  /**
   * Whether some that have IPv6 addresses move. How many is not said: databases give space that nobody uses to
   * whoever is next to it, so that a small country may have more of it than all others.
   */
  readonly ipv6: boolean;
  /** Share of the clients to whom no candidate is left, so that `when_all_down` decides. */
  readonly stranded: { readonly before: number; readonly after: number };
  readonly vips: readonly {
    readonly vip: string;
    readonly region: string;
    readonly data: string;
    readonly before: number;
    readonly after: number;
    /** Null where none is known. */
    readonly load: VipLoad | null;
  }[];
  /** Whether the loads come to rest; null where none is known, so that `after` is with whom the VIPs shed now. */
  readonly settles: boolean | null;
  /** Largest first, as in all lists below. */
  readonly moves: readonly Move[];
  /** The same by the VIPs' regions, without what stays in its region. */
  readonly regions: readonly Move[];
  /** Those of whose clients some move; '' is no known country. `clients` and `moved` are shares of all clients. */
  readonly countries: readonly {
    readonly country: string;
    readonly clients: number;
    readonly moved: number;
    readonly moves: readonly Move[];
  }[];
};

export const NODATA = '(no data)';
export const STATIC = '(static answer)';

/** The HAS bits worth telling apart, with the names of the types that each is about. */
export function typesOf({ side, service }: Omit<Seat, 'has'>): { readonly has: number; readonly types: string[] }[] {
  const { plan } = side.steerer;
  const first = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  const count = serviceWord(plan.services, service, SERVICE.VIP_COUNT);
  const has = Array.from({ length: count }, (_, vip) => vipWord(plan.vips, first + vip, VIP.HAS));
  if (has.some((bits) => (bits & HAS.CNAME) !== 0)) return [{ has: HAS.CNAME, types: ['CNAME'] }];
  const both = HAS.A | HAS.AAAA;
  if (has.every((bits) => bits === both)) return [{ has: HAS.A, types: ['A', 'AAAA'] }];
  const any = has.reduce((a, b) => a | b, 0);
  return [
    ...((any & HAS.A) === 0 ? [] : [{ has: HAS.A, types: ['A'] }]),
    ...((any & HAS.AAAA) === 0 ? [] : [{ has: HAS.AAAA, types: ['AAAA'] }]),
  ];
}

/** Clients that have one outcome before, one after, and a country. */
type Group = { readonly before: number; readonly after: number; readonly country: string; v4: number; v6: boolean };

/** Share of clients that were at one place and are at another, or the same. */
type Flow<Place> = { readonly from: Place; readonly to: Place; readonly share: number };
/** Places are told apart by what clients get: a VIP of another name has not moved them. */
type Spot = { readonly name: string; readonly region: string; readonly data: string };

/** Clients of one outcome before and one after; `sizes` is how many, by the VIP where those are who are sent there before. */
export type Crowd = { readonly before: number; readonly after: number; readonly sizes: Float64Array };

/** The clients of a service as they are weighed, wherever they are; sizes are in any unit. */
export function crowdsOf(before: Seat, after: Seat, weighing: Weighing): Crowd[] {
  const groups = groupsOf(before, after, weighing.classes);
  const landing = createLandings(before.side, before.service, before.has);
  const spots = createSpots(before, after);
  const scale = scaleOf(before, weighing, groups, (group) => spots.before(landing(group.before)));
  const vips = vipSpots(before);
  const crowds = new Map<number, Crowd>();
  for (const { before: from, after: to, country, v4 } of groups) {
    if (v4 === 0) continue;
    const make = (): Crowd => ({ before: from, after: to, sizes: new Float64Array(vips.length) });
    const { sizes } = getOr(crowds, from * OUTCOMES + to, make);
    for (const [vip, spot] of vips.entries()) sizes[vip] = (sizes[vip] ?? 0) + v4 * scale.of(spot, country);
  }
  return [...crowds.values()];
}

export function trafficOf(before: Seat, after: Seat, types: readonly string[], weighing: Weighing): Traffic {
  const groups = groupsOf(before, after, weighing.classes);
  const landingBefore = createLandings(before.side, before.service, before.has);
  const landingAfter = createLandings(after.side, after.service, after.has);
  const spots = createSpots(before, after);
  const flowsOf = remember((pair) => {
    const [from, to] = [landingBefore(Math.floor(pair / OUTCOMES)), landingAfter(pair % OUTCOMES)];
    return flows(spots.before(from), spots.after(to));
  });
  const pairOf = ({ before: from, after: to }: Group): number => from * OUTCOMES + to;
  const scale = scaleOf(before, weighing, groups, (group) => spots.before(landingBefore(group.before)));

  const vips = new Map<string, { spot: Spot; before: number; after: number }>();
  const moves = new Map<string, Move>();
  const regions = new Map<string, Move>();
  const countries = new Map<string, { clients: number; moved: number; moves: Map<string, Move> }>();
  const stranded = { before: 0, after: 0 };
  const all = { clients: 0, moved: 0, ipv6: false };
  for (const spot of spots.all) vips.set(spot.data, { spot, before: 0, after: 0 });
  for (const group of groups) {
    const country = getOr(countries, group.country, () => ({ clients: 0, moved: 0, moves: new Map<string, Move>() }));
    const wasStranded = landingBefore(group.before).stranded;
    const isStranded = landingAfter(group.after).stranded;
    for (const { from, to, share } of flowsOf(pairOf(group))) {
      const clients = group.v4 * share * scale.of(from, group.country);
      all.clients += clients;
      country.clients += clients;
      if (wasStranded) stranded.before += clients;
      if (isStranded) stranded.after += clients;
      getOr(vips, from.data, () => ({ spot: from, before: 0, after: 0 })).before += clients;
      getOr(vips, to.data, () => ({ spot: to, before: 0, after: 0 })).after += clients;
      if (from.data === to.data) continue;
      all.moved += clients;
      all.ipv6 ||= group.v6;
      country.moved += clients;
      add(moves, from.name, to.name, clients);
      add(country.moves, from.name, to.name, clients);
      if (from.region !== to.region) add(regions, from.region, to.region, clients);
    }
  }
  const shareOf = (clients: number): number => (all.clients === 0 ? 0 : round(clients / all.clients));
  const listed = (found: ReadonlyMap<string, Move>): Move[] =>
    [...found.values()]
      .map((move) => ({ ...move, share: shareOf(move.share) }))
      .filter(({ share }) => share > 0)
      .sort((a, b) => b.share - a.share);
  return {
    service: after.side.generation.catalog.services[after.service]?.name ?? '',
    types,
    weighed: scale.weighed,
    moved: shareOf(all.moved),
    ipv6: all.ipv6,
    stranded: { before: shareOf(stranded.before), after: shareOf(stranded.after) },
    vips: [...vips.values()].map(({ spot, before: was, after: is }) => ({
      vip: spot.name,
      region: spot.region,
      data: spot.data,
      before: shareOf(was),
      after: shareOf(is),
      load: null,
    })),
    settles: null,
    moves: listed(moves),
    regions: listed(regions),
    countries: [...countries]
      .filter(([, { moved }]) => shareOf(moved) > 0)
      .map(([country, found]) => ({
        country,
        clients: shareOf(found.clients),
        moved: shareOf(found.moved),
        moves: listed(found.moves),
      }))
      .sort((a, b) => b.moved - a.moved || (a.country < b.country ? -1 : 1)),
  };
}

/** More than a map has outcomes (geo/find-class.ts: 2^22), so that two of them are one number. */
const OUTCOMES = 2 ** 22;

function groupsOf(before: Seat, after: Seat, classes: readonly JointClass[]): Group[] {
  const groups = new Map<string, Group>();
  const add = (joint: JointClass): void => {
    const was = placeAt(before.side.generation.locations, joint.before);
    const is = placeAt(after.side.generation.locations, joint.after);
    const from = outcomeOf(before.side, before.service, before.has, joint.before);
    const to = outcomeOf(after.side, after.service, after.has, joint.after);
    const country = is.country === '' ? was.country : is.country;
    const group = getOr(groups, `${from} ${to} ${country}`, () => ({
      before: from,
      after: to,
      country,
      v4: 0,
      v6: false,
    }));
    group.v4 += joint.v4;
    group.v6 ||= joint.v6;
  };
  const inhabited = classes.filter(
    (joint) =>
      isInhabited(placeAt(before.side.generation.locations, joint.before)) ||
      isInhabited(placeAt(after.side.generation.locations, joint.after)),
  );
  // Databases that know nothing of IPv4: then every address counts, for no other measure is left.
  (inhabited.some(({ v4 }) => v4 > 0) ? inhabited : classes).forEach(add);
  return [...groups.values()];
}

/** Landings of both sides as spots with one name each. */
function createSpots(
  before: Seat,
  after: Seat,
): { all: Spot[]; before: (landing: Landing) => Map<Spot, number>; after: (landing: Landing) => Map<Spot, number> } {
  const spotsBefore = vipSpots(before);
  const spotsAfter = vipSpots(after);
  const dataOf = new Map<string, Set<string>>();
  for (const { name, data } of [...spotsBefore, ...spotsAfter]) {
    getOr(dataOf, name, () => new Set<string>()).add(data);
  }
  // The same data is the same spot, under the name that it has after; the same name with two data is two spots.
  const byData = new Map<string, Spot>();
  for (const spot of [...spotsAfter, ...spotsBefore]) {
    const name = (dataOf.get(spot.name)?.size ?? 0) > 1 ? `${spot.name} (${spot.data})` : spot.name;
    getOr(byData, spot.data, () => ({ ...spot, name }));
  }
  const nodata: Spot = { name: NODATA, region: NODATA, data: NODATA };
  const fixed: Spot = { name: STATIC, region: STATIC, data: STATIC };
  const read =
    (spots: readonly Spot[]) =>
    ({ shares }: Landing): Map<Spot, number> => {
      const found = new Map<Spot, number>();
      for (const { vip, share } of shares) {
        const known = byData.get(spots[vip]?.data ?? '') ?? nodata;
        const spot = vip === LANDING.STATIC ? fixed : vip === LANDING.NODATA ? nodata : known;
        found.set(spot, (found.get(spot) ?? 0) + share);
      }
      return found;
    };
  const order = new Set([...spotsBefore, ...spotsAfter].flatMap(({ data }) => byData.get(data) ?? []));
  return { all: [...order].filter(({ data }) => data !== ''), before: read(spotsBefore), after: read(spotsAfter) };
}

/** By local number; `data` is '' for those that do not have the type. */
function vipSpots({ side, service, has }: Seat): Spot[] {
  const { catalog } = side.generation;
  const info = catalog.services[service];
  if (!info) return [];
  return catalog.vips.slice(info.firstSlot, info.firstSlot + info.vipCount).map((vip) => ({
    name: vip.name,
    region: catalog.regions[vip.region]?.name ?? '',
    data: (has === HAS.A ? vip.a : has === HAS.AAAA ? vip.aaaa : vip.cname) ?? '',
  }));
}

/**
 * As few as must move: everybody stays where there is room for him, and what each place loses goes to those that gain,
 * in proportion. That is what `sticky` does when a VIP goes; of `weighted`, which draws for each query, it is how far
 * the two states are apart.
 */
export function flows<Place>(
  before: ReadonlyMap<Place, number>,
  after: ReadonlyMap<Place, number>,
): readonly Flow<Place>[] {
  const found: Flow<Place>[] = [];
  const gains = [...after].map(([to, share]) => ({ to, share: Math.max(0, share - (before.get(to) ?? 0)) }));
  const gained = gains.reduce((sum, { share }) => sum + share, 0);
  for (const [from, share] of before) {
    const stays = Math.min(share, after.get(from) ?? 0);
    if (stays > 0) found.push({ from, to: from, share: stays });
    const lost = share - stays;
    if (lost < ROUNDING) continue;
    for (const gain of gains) {
      if (gain.share > 0) found.push({ from, to: gain.to, share: (lost * gain.share) / gained });
    }
  }
  return found;
}

function add(moves: Map<string, Move>, from: string, to: string, share: number): void {
  const key = `${from}\n${to}`;
  moves.set(key, { from, to, share: (moves.get(key)?.share ?? 0) + share });
}

function remember<V>(make: (key: number) => V): (key: number) => V {
  const known = new Map<number, V>();
  return (key) => getOr(known, key, () => make(key));
}

/**
 * To six digits: beyond that, sums of thirds show. Not to a millionth of all clients: small countries have less, and their
 * moves are shown as parts of their own.
 */
function round(share: number): number {
  return share < ROUNDING ? 0 : Number(share.toPrecision(6));
}

/** What is below this is the rounding of sums. */
const ROUNDING = 1e-12;
