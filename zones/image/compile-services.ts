/**
 * Services into the image's steering tables (steering/plan.ts): VIPs, regions, steps, and the maps that tell
 * which ordering a client's place gives.
 */
import type { Report } from '../../config/diagnostics.ts';
import type { Atlas } from '../../geo/atlas.ts';
import { compileMap } from '../../geo/atlas.ts';
import type { Location } from '../../geo/location.ts';
import {
  isPlaceStep,
  orderingWords,
  shortcutWords,
  preparePlaceStep,
  type PlaceContext,
  type PlaceStepSpec,
  type Preference,
} from '../../steering/place.ts';
import { ALL_DOWN, HAS, MAP, OP, REGION, SERVICE, TRAIT, VIP } from '../../steering/plan.ts';
import type { StepSpec } from '../../steering/steps.ts';
import { parseAddress } from '../../wire/address.ts';
import { MAX_VIPS } from '../../wire/limits.ts';
import { canonical, type Name } from '../../wire/name.ts';
import { TYPE } from '../../wire/types.ts';
import { ensureName, isElsewhere, type Building } from './compile-zone.ts';
import { encodeRrset } from './encode-rrset.ts';
import { NODE } from './image.ts';
import type { RegionInfo } from '../catalog.ts';
import type { ServiceModel, VipModel } from '../read/model.ts';
import { hashText } from '../../wire/name-hash.ts';
import { createWords, pushWords, reserveWords, type Words } from './growable.ts';

/** The steering tables under construction. */
export type BuildingPlan = {
  readonly services: Words;
  readonly vips: Words;
  readonly regions: Words;
  readonly program: Words;
  readonly orderings: Words;
  readonly maps: Words;
  readonly mapWords: Words;
  /** Maps by what they depend on: services with equal steps and regions share one. */
  readonly mapOf: Map<string, number>;
  /** Orderings by content. */
  readonly orderingOf: Map<string, number>;
};

export function createPlan(): BuildingPlan {
  return {
    services: createWords(),
    vips: createWords(),
    regions: createWords(),
    program: createWords(),
    orderings: createWords(),
    maps: createWords(16),
    mapWords: createWords(),
    mapOf: new Map(),
    orderingOf: new Map(),
  };
}

/** What services are compiled with. `regionNumber` gives a region's number in the catalog within the zone. */
export type ServiceContext = {
  readonly atlas: Atlas;
  /** Of every map: see startBitsFor. */
  readonly startBits: number;
  readonly regions: readonly RegionInfo[];
  readonly regionNumber: (name: string | undefined) => number;
  readonly place: Omit<PlaceContext, 'regions'>;
  readonly report: Report;
};

/** Adds a service with its VIPs and returns its number. The zone's static records must be in the image already. */
export function compileService(
  building: Building,
  plan: BuildingPlan,
  model: ServiceModel,
  apex: Name,
  zone: number,
  context: ServiceContext,
): number {
  const service = plan.services.length / SERVICE.WORDS;
  const local = localRegions(model, context);
  const firstRegion = plan.regions.length / REGION.WORDS;
  const regionOf = model.vips.map((vip) => local.indexOf(context.regionNumber(vip.region)));
  for (const [region, number] of local.entries()) {
    const minHealthy = context.regions[number]?.minHealthy ?? 0;
    pushWords(plan.regions, number, Math.round(minHealthy * 1e6), regionOf.indexOf(region));
  }
  const firstSlot = plan.vips.length / VIP.WORDS;
  let has = 0;
  for (const [index, vip] of model.vips.entries()) {
    has |= hasOf(vip);
    const region = regionOf[index] ?? 0;
    pushWords(
      plan.vips,
      region,
      hasOf(vip),
      rrset(building, TYPE.A, vip.a, apex),
      rrset(building, TYPE.AAAA, vip.aaaa, apex),
      rrset(building, TYPE.CNAME, vip.cname, apex),
      hashText(Buffer.from(vip.name.toLowerCase())),
      regionOf.indexOf(region, index + 1),
    );
  }
  const steps = compileSteps(plan, model, local, context);
  const down = model.whenAllDown;
  const fallback = down.kind === 'static' ? down : undefined;
  const at = reserveWords(plan.services, SERVICE.WORDS);
  const row = plan.services.array.subarray(at, at + SERVICE.WORDS);
  row[SERVICE.FIRST_SLOT] = firstSlot;
  row[SERVICE.VIP_COUNT] = model.vips.length;
  row[SERVICE.TTL_MIN] = model.ttl.minSeconds;
  row[SERVICE.TTL_MAX] = model.ttl.maxSeconds;
  row[SERVICE.ANSWERS] = Math.min(model.answers, MAX_VIPS);
  row[SERVICE.ALL_DOWN] = { serve_all: ALL_DOWN.SERVE_ALL, none: ALL_DOWN.NONE, static: ALL_DOWN.STATIC }[down.kind];
  row[SERVICE.FIRST_REGION] = firstRegion;
  row[SERVICE.REGION_COUNT] = local.length;
  row[SERVICE.FIRST_STEP] = steps.first;
  row[SERVICE.STEP_COUNT] = model.steps.length;
  row[SERVICE.MAP] = steps.map;
  row[SERVICE.STATIC_A] = staticRrset(building, TYPE.A, fallback?.a ?? [], model, apex);
  row[SERVICE.STATIC_AAAA] = staticRrset(building, TYPE.AAAA, fallback?.aaaa ?? [], model, apex);
  row[SERVICE.STATIC_CNAME] = rrset(building, TYPE.CNAME, fallback?.cname, apex, model.ttl.minSeconds);
  row[SERVICE.HAS] = has;
  const weighsRegions = local.some((number) => (context.regions[number]?.minHealthy ?? 0) > 0);
  row[SERVICE.TRAITS] = (weighsRegions ? TRAIT.WEIGHS_REGIONS : 0) | (model.shed === undefined ? 0 : TRAIT.SHEDS);
  const owner = canonical(model.owner);
  if (isElsewhere(building, owner, apex, zone)) {
    const message = `service ${model.name} is at or below the apex of another zone that is served here: it is never answered`;
    context.report.error('PH381', message, model.place, "move it to that zone's file, or remove one of the two");
    return service;
  }
  const node = ensureName(building, owner, zone);
  building.nodes.array[node * NODE.WORDS + NODE.SERVICE] = service;
  return service;
}

/** Catalog numbers of the service's regions, in the order of its VIPs: the index is the local number. */
function localRegions(model: ServiceModel, context: Pick<ServiceContext, 'regionNumber'>): number[] {
  return [...new Set(model.vips.map((vip) => context.regionNumber(vip.region)))];
}

function hasOf(vip: VipModel): number {
  return (vip.a ? HAS.A : 0) | (vip.aaaa ? HAS.AAAA : 0) | (vip.cname ? HAS.CNAME : 0);
}

/** A VIP's TTL is written when it is served; a static answer has its own. */
function rrset(building: Building, type: number, rdata: Uint8Array | undefined, apex: Name, ttlSeconds = 0): number {
  return rdata ? (encodeRrset(building, type, ttlSeconds, [rdata], apex) ?? -1) : -1;
}

function staticRrset(
  building: Building,
  type: number,
  texts: readonly string[],
  model: ServiceModel,
  apex: Name,
): number {
  const rdata = texts.flatMap((text) => parseAddress(text) ?? []);
  return rdata.length > 0 ? (encodeRrset(building, type, model.ttl.minSeconds, rdata, apex) ?? -1) : -1;
}

function compileSteps(
  plan: BuildingPlan,
  model: ServiceModel,
  local: readonly number[],
  context: ServiceContext,
): { first: number; map: number } {
  const first = plan.program.length / OP.WORDS;
  const placeSteps: PlaceStepSpec[] = [];
  for (const step of model.steps) {
    if (isPlaceStep(step)) {
      pushWords(plan.program, OP.PLACE, placeSteps.length, 0);
      placeSteps.push(step);
    } else {
      pushWords(plan.program, ...compileStep(plan, step, local, context));
    }
  }
  const other = model.steps.findIndex((step) => !isPlaceStep(step));
  const leading = other < 0 ? placeSteps.length : other;
  return { first, map: placeSteps.length > 0 ? mapFor(plan, placeSteps, leading, local, context) : -1 };
}

function compileStep(
  plan: BuildingPlan,
  step: Exclude<StepSpec, PlaceStepSpec>,
  local: readonly number[],
  context: ServiceContext,
): [number, number, number] {
  switch (step.kind) {
    case 'failover': {
      const preferences = step.order
        .map((entry) => (entry.kind === 'vip' ? ~entry.vip : local.indexOf(context.regionNumber(entry.region))))
        // A region that none of the service's VIPs is in has no number here, and is passed over (PH211).
        .filter((entry, index) => step.order[index]?.kind === 'vip' || entry >= 0)
        .map((region, index) => ({ region, end: index + 1, detail: 0 }));
      return [OP.FAILOVER, ordering(plan, preferences), shortcut(plan, [preferences])];
    }
    case 'weighted':
      return [OP.WEIGHTED, 0, 0];
    case 'sticky':
      return [OP.STICKY, step.v4Bits, step.v6Bits];
    case 'all':
      return [OP.ALL, 0, 0];
  }
}

function ordering(plan: BuildingPlan, preferences: readonly Preference[]): number {
  return shared(plan, orderingWords(preferences));
}

/** Of the orderings of a service's first steps; -1 where there is none. */
function shortcut(plan: BuildingPlan, steps: readonly (readonly Preference[])[]): number {
  const words = shortcutWords(steps);
  return words === undefined ? -1 : shared(plan, words);
}

function shared(plan: BuildingPlan, words: readonly number[]): number {
  const key = words.join();
  const known = plan.orderingOf.get(key);
  if (known !== undefined) return known;
  const at = pushWords(plan.orderings, ...words);
  plan.orderingOf.set(key, at);
  return at;
}

/**
 * The map of a service's place-dependent steps: an outcome is one ordering for each of them. `leading` of them have no
 * other step in front.
 */
function mapFor(
  plan: BuildingPlan,
  steps: readonly PlaceStepSpec[],
  leading: number,
  local: readonly number[],
  context: ServiceContext,
): number {
  const key = JSON.stringify([steps, leading, local], (_, value: unknown) =>
    value instanceof Map ? [...(value as Map<unknown, unknown>)] : value instanceof Uint8Array ? [...value] : value,
  );
  const known = plan.mapOf.get(key);
  if (known !== undefined) return known;
  const regions = local.map((number) => context.regions[number] ?? { name: '', point: undefined });
  const prepared = steps.map((step) => preparePlaceStep(step, { ...context.place, regions }));
  const outcomeNumbers = new Map<string, number>();
  const orderingAt: number[] = [];
  const shortcutAt: number[] = [];
  const outcomeOf = (location: Location): number => {
    const preferences = prepared.map((step) => step(location));
    const offsets = preferences.map((each) => ordering(plan, each));
    const text = offsets.join();
    let outcome = outcomeNumbers.get(text);
    if (outcome === undefined) {
      outcome = outcomeNumbers.size;
      outcomeNumbers.set(text, outcome);
      orderingAt.push(...offsets);
      shortcutAt.push(shortcut(plan, preferences.slice(0, leading)));
    }
    return outcome;
  };
  const map = compileMap(context.atlas, outcomeOf, context.startBits);
  const outcomesAt = appendWords(plan.mapWords, map.outcomes);
  const mixedAt = appendWords(plan.mapWords, map.mixed);
  const startsAt = appendWords(plan.mapWords, map.starts);
  const orderingsAt = appendWords(plan.mapWords, Int32Array.from(orderingAt));
  const shortcutsAt = appendWords(plan.mapWords, Int32Array.from(shortcutAt));
  const at = pushWords(
    plan.maps,
    outcomesAt,
    map.outcomes.length,
    mixedAt,
    map.mixed.length,
    orderingsAt,
    orderingAt.length,
    startsAt,
    map.starts.length,
    shortcutsAt,
    shortcutAt.length,
    steps.length,
  );
  plan.mapOf.set(key, at / MAP.WORDS);
  return at / MAP.WORDS;
}

function appendWords(words: Words, values: Int32Array): number {
  const at = reserveWords(words, values.length);
  words.array.set(values, at);
  return at;
}
