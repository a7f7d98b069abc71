/**
 * The steering tables of an image: services, VIPs and maps, as the packet path reads them. Rows of 32-bit
 * words; zones/image/compile-services.ts writes them.
 *
 *     services   one row per service (SERVICE)
 *     vips       one row per VIP, by slot (VIP)
 *     regions    one row per region of a service (REGION): "local" numbers count from 0 within the service
 *     program    the steps of all services (program.ts): (OP, argument, argument) each
 *     orderings  preferences: n, then n pairs (entry, end of its group), and shortcuts; see ordering.ts
 *     maps       one row per steering map (MAP): which ordering an address gets
 *     otherOf    one word per service: index in `others` of its first row; -1 if it has no other types, such as TXT
 *     others     one row per other type of a service (OTHER), those of a service together; and lists that rows lead to
 *     aliases    one row per service of another zone that aliases of a zone lead to (ALIAS)
 */

import { viewAtlas, type AtlasView } from '../geo/atlas-view.ts';
import { MAX_OTHER_TYPES } from '../wire/limits.ts';

export const SERVICE = {
  FIRST_SLOT: 0,
  VIP_COUNT: 1,
  TTL_MIN: 2,
  TTL_MAX: 3,
  ANSWERS: 4,
  /** ALL_DOWN */
  ALL_DOWN: 5,
  FIRST_REGION: 6,
  REGION_COUNT: 7,
  FIRST_STEP: 8,
  STEP_COUNT: 9,
  /** Row in maps for A and CNAME; -1 if no step depends on the client's place. */
  MAP: 10,
  /** RRsets of a static answer when all are down: A, AAAA, CNAME, in rows from the zone's row; -1 for none. */
  STATIC_A: 11,
  STATIC_AAAA: 12,
  STATIC_CNAME: 13,
  /** HAS bits over all its VIPs, and TRAIT bits. */
  HAS: 14,
  /** MAP for AAAA: different from that for A if a region has VIPs of only one family. */
  MAP_AAAA: 15,
  /** The largest TTL of its answers, which signatures have as original TTL (RFC 4034 3.1.4). */
  TTL_SIGNED: 16,
  /**
   * Index in `others` of the list of services that its VIPs lead to, directly or over others: their number, then their
   * numbers of services. -1 if there are none.
   */
  INNER_AT: 17,
  WORDS: 18,
} as const;

/** Bits of the column HAS, above those of HAS. */
export const TRAIT = {
  /** One of its regions has a `min_healthy`, so that the regions' weights count. */
  WEIGHS_REGIONS: 16,
  /** It has `shed`, so that the pressures of its VIPs count. */
  SHEDS: 32,
  /** `sticky` can have two VIPs or more to order in an answer of A or CNAME. */
  STICKS: 64,
  /** The same in an answer of AAAA. */
  STICKS_AAAA: 128,
  /** `partial: serve_all`: a region is served whole while one of its VIPs is up. */
  WHOLE_REGIONS: 256,
  /** One of its VIPs is another service. */
  NESTS: 512,
} as const;

export const ALL_DOWN = { SERVE_ALL: 0, NONE: 1, STATIC: 2 } as const;

/**
 * The record types of a VIP or a service: A, AAAA, CNAME and SVCB, and from FIRST_OTHER on a bit for each other type of
 * the service, in the order of its OTHER rows. SVCB is HTTPS too: a VIP has both, if it has A, or AAAA in a service
 * without A; so they are steered like A (MAP, STICKS).
 */
export const HAS = { A: 1, AAAA: 2, CNAME: 4, SVCB: 8, FIRST_OTHER: 0x1_0000 } as const;

/** The number of bits below FIRST_OTHER. */
const OTHER_SHIFT = 16;
/** The bits of other types: of MAX_OTHER_TYPES (wire/limits.ts). */
export const OTHERS = 0x7fff_0000;

/** Columns of a row for another type of a service. */
export const OTHER = {
  TYPE: 0,
  /** As SERVICE.MAP. */
  MAP: 1,
  /** 1: `sticky` can have two VIPs or more to order. */
  STICKS: 2,
  /** RRset of a static answer when all are down, in rows from the zone's row; -1 for none. */
  STATIC: 3,
  /**
   * Index in `others` of a list by local number of the VIP, with one entry more: where in `others` its records start,
   * and end with those of the next. Each record is an RRset, in rows from the zone's row: the same one for equal
   * records.
   */
  STARTS_AT: 4,
  /** 1: two VIPs have a record in common, so that an answer with both must have it once (RFC 2181 5). */
  SHARES: 5,
  WORDS: 6,
} as const;

export const VIP = {
  /** Local number of its region. */
  REGION: 0,
  HAS: 1,
  /** RRsets of one record each, in rows from the zone's row; -1 for none. */
  RRSET_A: 2,
  RRSET_AAAA: 3,
  RRSET_CNAME: 4,
  /** Hash of its name, for rendezvous: the same on every node. */
  HASH: 5,
  /** The next VIP of its region in the order of the file, by local number; -1 after the last. */
  NEXT: 6,
  /** Like RRSET_A. */
  RRSET_HTTPS: 7,
  RRSET_SVCB: 8,
  /** The number of the service that answers in its place; -1: it has records itself. */
  INNER: 9,
  WORDS: 10,
} as const;

export const REGION = {
  /** Number in the catalog. */
  GLOBAL: 0,
  /** Share of the region's weight that must be up, in millionths. */
  MIN_HEALTHY_MILLIONTHS: 1,
  /** Local number of its first VIP, which leads to the others (VIP.NEXT). */
  FIRST_VIP: 2,
  WORDS: 3,
} as const;

/**
 * A column of a service's row: `serviceWord(services, service, SERVICE.ANSWERS)`. Inlined by V8, like all readers of
 * rows.
 */
export function serviceWord(services: Int32Array, service: number, column: number): number {
  return services[service * SERVICE.WORDS + column] ?? -1;
}

/** A column of a VIP's row. */
export function vipWord(vips: Int32Array, slot: number, column: number): number {
  return vips[slot * VIP.WORDS + column] ?? -1;
}

/** A word of `others` or `otherOf`. */
export function otherWord(words: Int32Array, at: number): number {
  return words[at] ?? -1;
}

/** Index in `others` of the row for a bit of HAS from FIRST_OTHER on. */
export function otherRow({ otherOf }: SteeringTables, service: number, has: number): number {
  return otherWord(otherOf, service) + (31 - OTHER_SHIFT - Math.clz32(has)) * OTHER.WORDS;
}

/** A column of the row for a bit of HAS from FIRST_OTHER on. */
export function otherColumn(tables: SteeringTables, service: number, has: number, column: number): number {
  return otherWord(tables.others, otherRow(tables, service, has) + column);
}

/** The HAS bit for another type of a service; 0 if its VIPs do not have the type. */
export function otherBit({ services, otherOf, others }: SteeringTables, service: number, type: number): number {
  let left = serviceWord(services, service, SERVICE.HAS) & OTHERS;
  for (let row = otherWord(otherOf, service); left !== 0; row += OTHER.WORDS) {
    const bit = left & -left;
    if (otherWord(others, row + OTHER.TYPE) === type) return bit;
    left ^= bit;
  }
  return 0;
}

/** The type of a bit of HAS from FIRST_OTHER on. */
export function otherType(plan: SteeringTables, service: number, has: number): number {
  return otherColumn(plan, service, has, OTHER.TYPE);
}

/** Index in `others` of the first record of a VIP for the type of a row. Those of the next VIP follow the last. */
export function firstRecord(others: Int32Array, row: number, vip: number): number {
  return otherWord(others, otherWord(others, row + OTHER.STARTS_AT) + vip);
}

/** The records of a VIP for a bit of HAS from FIRST_OTHER on: RRsets, in rows from the zone's row. */
export function vipRecords(plan: SteeringTables, service: number, has: number, vip: number): Int32Array {
  const { others } = plan;
  const row = otherRow(plan, service, has);
  return others.subarray(firstRecord(others, row, vip), firstRecord(others, row, vip + 1));
}

/** The HAS bits of a service, one by one. */
export function hasBits({ services }: SteeringTables, service: number): number[] {
  const has = serviceWord(services, service, SERVICE.HAS);
  const others = Array.from({ length: MAX_OTHER_TYPES }, (_, number) => HAS.FIRST_OTHER << number);
  return [HAS.A, HAS.AAAA, HAS.CNAME, HAS.SVCB, ...others].filter((bit) => (has & bit) !== 0);
}

/**
 * The RRset of the static answer of `when_all_down` for a bit of HAS, in rows from the zone's row; -1 for none. A CNAME
 * (STATIC_CNAME), which answers every type, does not count.
 */
export function staticRrset(plan: SteeringTables, service: number, has: number): number {
  if (has >= HAS.FIRST_OTHER) return otherColumn(plan, service, has, OTHER.STATIC);
  // The static answer has no HTTPS or SVCB records that are made from VIPs.
  if (has === HAS.SVCB) return -1;
  return serviceWord(plan.services, service, has === HAS.AAAA ? SERVICE.STATIC_AAAA : SERVICE.STATIC_A);
}

/** Number of a service's VIPs that have data for a bit of HAS. */
export function countWith({ services, vips }: SteeringTables, service: number, has: number): number {
  const first = serviceWord(services, service, SERVICE.FIRST_SLOT);
  const end = first + serviceWord(services, service, SERVICE.VIP_COUNT);
  let count = 0;
  for (let slot = first; slot < end; slot++) if ((vipWord(vips, slot, VIP.HAS) & has) !== 0) count++;
  return count;
}

/**
 * The place of a service that VIPs of another one lead to, counted from 1, in the order of `innerServices`; 0 for the
 * service itself. Signatures of its sets have this number at names of the other one.
 */
export function innerPlace({ services, others }: SteeringTables, service: number, inner: number): number {
  if (inner === service) return 0;
  const at = serviceWord(services, service, SERVICE.INNER_AT);
  const count = at < 0 ? 0 : otherWord(others, at);
  for (let place = 1; place <= count; place++) if (otherWord(others, at + place) === inner) return place;
  return 0;
}

/** A column of a region's row. `region` is the row in the table, not the local number. */
export function regionWord(regions: Int32Array, region: number, column: number): number {
  return regions[region * REGION.WORDS + column] ?? -1;
}

/** A word of `orderings`; ordering.ts draws them. */
export function orderingWord(orderings: Int32Array, at: number): number {
  return orderings[at] ?? 0;
}

export const ALIAS = {
  /** Number of the service. */
  SERVICE: 0,
  /** What to add to the RRset columns of the service and its VIPs, to get the same RRsets in the zone of the alias. */
  SHIFT: 1,
  WORDS: 2,
} as const;

/** A column of an alias's row. */
export function aliasWord(aliases: Int32Array, alias: number, column: number): number {
  return aliases[alias * ALIAS.WORDS + column] ?? 0;
}

export const MAP = {
  /** Index in mapWords of the outcome of each class, and how many classes. */
  OUTCOMES_AT: 0,
  OUTCOME_COUNT: 1,
  /** Index in mapWords of the bitset of mixed groups, and its length in words. */
  MIXED_AT: 2,
  MIXED_WORDS: 3,
  /** Index in mapWords of the ordering offsets, `STEPS` of them per outcome, and their number. */
  ORDERINGS_AT: 4,
  ORDERING_COUNT: 5,
  /** Index in mapWords of the starts, and their number. */
  STARTS_AT: 6,
  START_COUNT: 7,
  /** Index in mapWords of the offset of each outcome's shortcut, -1 for none, and their number. */
  SHORTCUTS_AT: 8,
  SHORTCUT_COUNT: 9,
  STEPS: 10,
  WORDS: 11,
} as const;

export type SteeringTables = {
  readonly services: Int32Array;
  readonly vips: Int32Array;
  readonly regions: Int32Array;
  readonly program: Int32Array;
  readonly orderings: Int32Array;
  readonly maps: Int32Array;
  readonly otherOf: Int32Array;
  readonly others: Int32Array;
  readonly aliases: Int32Array;
};

export type MapView = {
  readonly outcomes: Int32Array;
  readonly mixed: Int32Array;
  readonly starts: Int32Array;
  /** Offsets into `orderings`: `steps` per outcome. */
  readonly orderingAt: Int32Array;
  readonly steps: number;
  /** Offset into `orderings` of each outcome's shortcut, -1 for none. */
  readonly shortcutAt: Int32Array;
};

export type SteeringPlan = SteeringTables & {
  readonly mapViews: readonly MapView[];
  readonly atlas: AtlasView;
};

/** Number of the map that decides answers of this HAS bit for the service; -1 if no step depends on the place. */
export function mapNumber(tables: SteeringTables, service: number, has: number): number {
  // Elsewhere, so that V8 inlines the usual case.
  if (has >= HAS.FIRST_OTHER) return otherColumn(tables, service, has, OTHER.MAP);
  return serviceWord(tables.services, service, has === HAS.AAAA ? SERVICE.MAP_AAAA : SERVICE.MAP);
}

/** The same map; undefined if no step depends on the place. */
export function mapOf(plan: SteeringPlan, service: number, has: number): MapView | undefined {
  const map = mapNumber(plan, service, has);
  // Reading element -1 of an array makes V8 look for a property of that name, which costs as much as a decision.
  return map < 0 ? undefined : plan.mapViews[map];
}

/** Answering threads do this between two batches: it creates a few views per map and reads none of the data. */
export function viewPlan(tables: SteeringTables, mapWords: Int32Array, atlas: SharedArrayBuffer): SteeringPlan {
  const { maps } = tables;
  const mapViews: MapView[] = [];
  for (let row = 0; row < maps.length; row += MAP.WORDS) {
    const view = (column: number): Int32Array => {
      const at = maps[row + column] ?? 0;
      return mapWords.subarray(at, at + (maps[row + column + 1] ?? 0));
    };
    mapViews.push({
      outcomes: view(MAP.OUTCOMES_AT),
      mixed: view(MAP.MIXED_AT),
      starts: view(MAP.STARTS_AT),
      orderingAt: view(MAP.ORDERINGS_AT),
      shortcutAt: view(MAP.SHORTCUTS_AT),
      steps: maps[row + MAP.STEPS] ?? 0,
    });
  }
  return { ...tables, mapViews, atlas: viewAtlas(atlas) };
}
