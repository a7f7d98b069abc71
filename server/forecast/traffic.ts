/**
 * Compares two states of a service: the share of its clients that moves, from where to where, by country. Simulate and
 * diff show the result, which is plain JSON with shares from 0 to 1.
 */
import { getOr } from '../../geo/get-or.ts';
import { placeAt } from '../../geo/location.ts';
import { hasBits, HAS, SERVICE, VIP, serviceWord, vipWord } from '../../steering/plan.ts';
import { typeOfBit, vipData } from '../vip-data.ts';
import { isInhabited, type JointClass } from './address-space.ts';
import { scaleOf, type Scale, type Weighing } from './client-weights.ts';
import { createLandings, hasStatic, LANDING, outcomeOf, type Landing, type Seat } from './expected-shares.ts';
import { addAt } from './numbers.ts';

/**
 * Load as a share of the VIP's capacity. `before`: now. `at_once`: when cached answers have expired, with the present
 * pressures. `settled`: when the pressures have followed the loads; null if the loads do not settle.
 */
export type VipLoad = { readonly before: number; readonly at_once: number; readonly settled: number | null };

/** `from` and `to` are the names of `vips`, NODATA or STATIC. */
export type Move = { readonly from: string; readonly to: string; readonly share: number };

export type Traffic = {
  /** `www.example.com` */
  readonly service: string;
  /** Record types of this entry: A and AAAA are separate only if they have different VIPs. */
  readonly types: readonly string[];
  readonly weighed: Scale['weighed'];
  /** Share of the clients that moves. */
  readonly moved: number;
  /**
   * Whether IPv6 clients move. There is no share for IPv6: databases assign unused space to neighbouring networks, so a
   * small country may have more of it than all others.
   */
  readonly ipv6: boolean;
  /** Share of the clients without a candidate, for which `when_all_down` decides. */
  readonly stranded: { readonly before: number; readonly after: number };
  readonly vips: readonly {
    readonly vip: string;
    readonly region: string;
    readonly data: string;
    readonly before: number;
    readonly after: number;
    /** Null if no load is known. */
    readonly load: VipLoad | null;
  }[];
  /** Whether the loads settle; null if no load is known: then `after` uses the present pressures. */
  readonly settles: boolean | null;
  /** Largest first, as in all lists below. */
  readonly moves: readonly Move[];
  /** The same by the VIPs' regions, without moves inside a region. */
  readonly regions: readonly Move[];
  /** Countries whose clients move; '' is an unknown country. `clients` and `moved` are shares of all clients. */
  readonly countries: readonly {
    readonly country: string;
    readonly clients: number;
    readonly moved: number;
    readonly moves: readonly Move[];
  }[];
};

export const NODATA = '(no data)';
export const STATIC = '(static answer)';

/**
 * The HAS bits that can differ in their traffic, each with the names of its record types: types that the same VIPs have
 * are one.
 */
export function typesOf({ side, service }: Omit<Seat, 'has'>): { readonly has: number; readonly types: string[] }[] {
  const { plan } = side.steerer;
  const first = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  const count = serviceWord(plan.services, service, SERVICE.VIP_COUNT);
  const has = Array.from({ length: count }, (_, vip) => vipWord(plan.vips, first + vip, VIP.HAS));
  if (has.some((bits) => (bits & HAS.CNAME) !== 0)) return [{ has: HAS.CNAME, types: ['CNAME'] }];
  const both = HAS.A | HAS.AAAA;
  const areBoth = has.every((bits) => (bits & both) === both);
  const found: { readonly has: number; readonly types: string[] }[] = [];
  for (const bit of hasBits(plan, service)) {
    if (bit === HAS.SVCB) continue;
    const name = typeOfBit(plan, service, bit);
    const same = found.find((entry) =>
      bit === HAS.AAAA
        ? areBoth
        : bit >= HAS.FIRST_OTHER &&
          has.every((bits) => ((bits & bit) === 0) === ((bits & entry.has) === 0)) &&
          hasStatic(side.steerer, service, bit) === hasStatic(side.steerer, service, entry.has),
    );
    if (same) same.types.push(name);
    else found.push({ has: bit, types: [name] });
  }
  return found;
}

/** Clients with the same outcome before, the same outcome after, and the same country. */
type Group = { readonly before: number; readonly after: number; readonly country: string; v4: number; v6: boolean };

/** Share of clients that move from one place to another, or stay. */
type Flow<Place> = { readonly from: Place; readonly to: Place; readonly share: number };
/** Places are identified by the data that clients get: clients of a renamed VIP have not moved. */
type Spot = { readonly name: string; readonly region: string; readonly data: string };

/**
 * Clients with the same outcomes before and after. `sizes` is their number if their VIP before is the one of the index.
 */
export type Crowd = { readonly before: number; readonly after: number; readonly sizes: Float64Array };

/** The weighted clients of a service by outcomes; sizes have an arbitrary unit. */
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
    for (const [vip, spot] of vips.entries()) addAt(sizes, vip, v4 * scale.of(spot, country));
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

/** At least the number of outcomes of a map (geo/find-class.ts: 2^22), so that a pair of outcomes fits one number. */
const OUTCOMES = 2 ** 22;

export function groupsOf(before: Seat, after: Seat, classes: readonly JointClass[]): Group[] {
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
  // If the databases have no IPv4 addresses, every address counts, because no better measure is known.
  (inhabited.some(({ v4 }) => v4 > 0) ? inhabited : classes).forEach(add);
  return [...groups.values()];
}

/** Maps the landings of both sides to spots, each with one name. */
export function createSpots(
  before: Seat,
  after: Seat,
): { all: Spot[]; before: (landing: Landing) => Map<Spot, number>; after: (landing: Landing) => Map<Spot, number> } {
  const spotsBefore = vipSpots(before);
  const spotsAfter = vipSpots(after);
  const dataOf = new Map<string, Set<string>>();
  for (const { name, data } of [...spotsBefore, ...spotsAfter]) {
    getOr(dataOf, name, () => new Set<string>()).add(data);
  }
  // Equal data is one spot, with its name after the change. One name with different data is two spots.
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

/** By local number; `data` is '' for VIPs that do not have the type. */
function vipSpots({ side, service, has }: Seat): Spot[] {
  const { catalog } = side.generation;
  const info = catalog.services[service];
  if (!info) return [];
  return catalog.vips.slice(info.firstSlot, info.firstSlot + info.vipCount).map((vip) => ({
    name: vip.name,
    region: catalog.regions[vip.region]?.name ?? '',
    data: vipData(side.steerer.plan, vip, has) ?? '',
  }));
}

/**
 * The fewest moves that lead from one distribution to the other: clients stay where they can, and what a place loses is
 * distributed over the places that gain, in proportion. `sticky` does this when a VIP fails. `weighted` draws for each
 * query, so there the result is the difference between the two states.
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
 * Rounds to six significant digits, because further digits show rounding errors of sums. Fixed decimals would be too
 * coarse: moves of small countries are shown as shares of the country.
 */
function round(share: number): number {
  return share < ROUNDING ? 0 : Number(share.toPrecision(6));
}

/** Smaller values are rounding errors of sums. */
const ROUNDING = 1e-12;
