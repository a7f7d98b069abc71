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
 */

import { viewAtlas, type AtlasView } from '../geo/atlas-view.ts';

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
  WORDS: 16,
} as const;

/** Bits of the column HAS, above those of HAS. */
export const TRAIT = {
  /** One of its regions has a `min_healthy`, so that the regions' weights count. */
  WEIGHS_REGIONS: 8,
  /** It has `shed`, so that the pressures of its VIPs count. */
  SHEDS: 16,
  /** `sticky` can have two VIPs or more to order in an answer of A or CNAME. */
  STICKS: 32,
  /** The same in an answer of AAAA. */
  STICKS_AAAA: 64,
} as const;

export const ALL_DOWN = { SERVE_ALL: 0, NONE: 1, STATIC: 2 } as const;

/** The record types of a VIP or a service. */
export const HAS = { A: 1, AAAA: 2, CNAME: 4 } as const;

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
  WORDS: 7,
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

/** A column of a region's row. `region` is the row in the table, not the local number. */
export function regionWord(regions: Int32Array, region: number, column: number): number {
  return regions[region * REGION.WORDS + column] ?? -1;
}

/** A word of `orderings`; ordering.ts draws them. */
export function orderingWord(orderings: Int32Array, at: number): number {
  return orderings[at] ?? 0;
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
export function mapNumber({ services }: SteeringTables, service: number, has: number): number {
  return serviceWord(services, service, has === HAS.AAAA ? SERVICE.MAP_AAAA : SERVICE.MAP);
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
