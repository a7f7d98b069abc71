/**
 * Compiles services into the image's steering tables (steering/plan.ts): VIPs, regions, steps, and the maps from a
 * client's location to an ordering.
 */
import type { Report } from '../../config/diagnostics.ts';
import type { Atlas } from '../../geo/atlas.ts';
import { compileMap } from '../../geo/atlas.ts';
import type { Location } from '../../geo/location.ts';
import {
  orderingWords,
  shortcutWords,
  type PlaceContext,
  type PlacedRegion,
  type PlaceStep,
  type Preference,
} from '../../steering/place.ts';
import { plainFrom } from '../../steering/plain.ts';
import { ALL_DOWN, HAS, MAP, REGION, SERVICE, TRAIT, VIP } from '../../steering/plan.ts';
import { OP } from '../../steering/program.ts';
import { traitsOf, type StepSpec, type StepTraits } from '../../steering/steps.ts';
import { MAX_VIPS } from '../../wire/limits.ts';
import { hashText } from '../../wire/name-hash.ts';
import type { RegionInfo } from '../catalog.ts';
import type { ServiceModel, VipModel } from '../read/model.ts';
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
  /** Maps by their inputs: services with equal steps and regions share one. */
  readonly mapOf: Map<string, number>;
  /** By map: whether locations have an answer at all. */
  readonly reachOf: Map<number, Reach>;
  /** Orderings by content. */
  readonly orderingOf: Map<string, number>;
};

type Reach = {
  /** While no VIP is down, clients of some places have data and those of others have none. */
  readonly differsWhenUp: boolean;
  /**
   * Clients of some places can be sent to a region that others cannot: with the other regions down, only they have
   * data.
   */
  readonly differsWhenDown: boolean;
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
    reachOf: new Map(),
    orderingOf: new Map(),
  };
}

/**
 * The inputs for compiling services. `regionNumber` returns a region's number in the catalog, by its name in the zone.
 */
export type CompileContext = {
  readonly atlas: Atlas;
  /** The same for every map: see startBitsFor. */
  readonly startBits: number;
  readonly regions: readonly RegionInfo[];
  readonly regionNumber: (name: string | undefined) => number;
  readonly place: Omit<PlaceContext, 'regions'>;
  readonly report: Report;
};

/**
 * Adds a service with its VIPs. `nextAnswer` returns the RRsets of its zone's services, one after the other
 * (ServiceAnswers).
 */
export function compileService(
  plan: BuildingPlan,
  model: ServiceModel,
  nextAnswer: () => number,
  context: CompileContext,
): void {
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
      nextAnswer(),
      nextAnswer(),
      nextAnswer(),
      hashText(Buffer.from(vip.name.toLowerCase())),
      regionOf.indexOf(region, index + 1),
    );
  }
  const steps = compileSteps(plan, model, local, regionOf, context);
  warnNoDataByPlace(plan, model, has, steps, context.report);
  const at = reserveWords(plan.services, SERVICE.WORDS);
  const row = plan.services.array.subarray(at, at + SERVICE.WORDS);
  row[SERVICE.FIRST_SLOT] = firstSlot;
  row[SERVICE.VIP_COUNT] = model.vips.length;
  row[SERVICE.TTL_MIN] = model.ttl.minSeconds;
  row[SERVICE.TTL_MAX] = model.ttl.maxSeconds;
  row[SERVICE.ANSWERS] = Math.min(model.answers, MAX_VIPS);
  row[SERVICE.ALL_DOWN] = { serve_all: ALL_DOWN.SERVE_ALL, none: ALL_DOWN.NONE, static: ALL_DOWN.STATIC }[
    model.whenAllDown.kind
  ];
  row[SERVICE.FIRST_REGION] = firstRegion;
  row[SERVICE.REGION_COUNT] = local.length;
  row[SERVICE.FIRST_STEP] = steps.first;
  row[SERVICE.STEP_COUNT] = model.steps.length;
  row[SERVICE.MAP] = steps.map;
  row[SERVICE.MAP_AAAA] = steps.mapAaaa;
  row[SERVICE.STATIC_A] = nextAnswer();
  row[SERVICE.STATIC_AAAA] = nextAnswer();
  row[SERVICE.STATIC_CNAME] = nextAnswer();
  const weighsRegions = local.some((number) => (context.regions[number]?.minHealthy ?? 0) > 0);
  row[SERVICE.HAS] =
    has |
    (weighsRegions ? TRAIT.WEIGHS_REGIONS : 0) |
    (model.shed === undefined ? 0 : TRAIT.SHEDS) |
    (steps.sticks ? TRAIT.STICKS : 0) |
    (steps.sticksAaaa ? TRAIT.STICKS_AAAA : 0);
}

/**
 * Resolvers cache a negative answer for all their clients (RFC 7871 7.4), so one client without data hides the data
 * from the others. A step that leaves locations out (`geo` without default) has a separate warning (PH214).
 */
function warnNoDataByPlace(
  { reachOf }: BuildingPlan,
  model: ServiceModel,
  has: number,
  { map, mapAaaa }: CompiledSteps,
  report: Report,
): void {
  if (model.steps.some((step) => traitsOf(step).leavesPlacesOut)) return;
  const down = model.whenAllDown;
  const families = [
    { type: 'A', bit: HAS.A, number: map, own: down.kind === 'static' && down.a.length > 0 },
    { type: 'AAAA', bit: HAS.AAAA, number: mapAaaa, own: down.kind === 'static' && down.aaaa.length > 0 },
    { type: 'CNAME', bit: HAS.CNAME, number: map, own: down.kind === 'static' },
  ];
  const types = families.filter(({ bit, number, own }) => {
    const reach = reachOf.get(number);
    if ((has & bit) === 0 || reach === undefined) return false;
    if (own || (down.kind === 'static' && down.cname !== undefined)) return false;
    return reach.differsWhenUp || (down.kind !== 'serve_all' && reach.differsWhenDown);
  });
  if (types.length === 0) return;
  const always = types.some(({ number }) => reachOf.get(number)?.differsWhenUp === true);
  const names = types.map(({ type }) => type).join(' and ');
  const when = always ? '' : ' while their regions are down';
  const message = `service ${model.name}: clients of some places get no ${names}${when}, and others do; resolvers cache "no data" for all their clients`;
  const hint = always
    ? `lead every key of geo to a region that has ${names}, or remove fence`
    : 'lead every key of geo to the same regions, or set when_all_down to serve_all or to an answer';
  report.warning('PH119', message, model.place, hint);
}

/** Catalog numbers of the service's regions, in the order of its VIPs; the index is the local number. */
function localRegions(model: ServiceModel, context: Pick<CompileContext, 'regionNumber'>): number[] {
  return [...new Set(model.vips.map((vip) => context.regionNumber(vip.region)))];
}

/** The regions in the form that steps need. */
function placedRegions(local: readonly number[], { regions }: Pick<CompileContext, 'regions'>): PlacedRegion[] {
  return local.map((number) => regions[number] ?? { name: '', point: undefined });
}

function hasOf(vip: Pick<VipModel, 'a' | 'aaaa' | 'cname'>): number {
  return (vip.a ? HAS.A : 0) | (vip.aaaa ? HAS.AAAA : 0) | (vip.cname ? HAS.CNAME : 0);
}

type CompiledSteps = {
  readonly first: number;
  /** For A and CNAME, and for AAAA. */
  readonly map: number;
  readonly mapAaaa: number;
  /** See TRAIT. */
  readonly sticks: boolean;
  readonly sticksAaaa: boolean;
};

/** `regionOf` has the local region of each VIP. */
function compileSteps(
  plan: BuildingPlan,
  model: ServiceModel,
  local: readonly number[],
  regionOf: readonly number[],
  context: CompileContext,
): CompiledSteps {
  const first = plan.program.length / OP.WORDS;
  const regions = placedRegions(local, context);
  const chain: ChainStep[] = [];
  let places = 0;
  for (const step of model.steps) {
    const { action, leaves, weighs } = traitsOf(step);
    switch (action.by) {
      case 'place':
        pushWords(plan.program, OP.PLACE, places++, 0);
        chain.push({ by: 'place', step, leaves, prepare: action.prepare });
        break;
      case 'list': {
        const preferences = action.preferences(regions);
        pushWords(plan.program, OP.FIXED, ordering(plan, preferences), shortcut(plan, [preferences]));
        const entries = preferences.map(({ region }) => region);
        chain.push({
          by: 'list',
          regions: entries.map((entry) => (entry < 0 ? (regionOf[~entry] ?? 0) : entry)),
          onlyVips: entries.every((entry) => entry < 0),
        });
        break;
      }
      case 'order':
        pushWords(plan.program, ...action.row);
        chain.push({ by: 'order', byClient: weighs === 'by client' });
        break;
    }
  }
  const has = model.vips.reduce((bits, vip) => bits | hasOf(vip), 0);
  // A service without VIPs of a family has no answers of it and needs no map for it.
  const family = (...bits: number[]): readonly number[] => {
    const wanted = bits.find((bit) => (has & bit) !== 0) ?? has;
    return regionOf.filter((_, index) => (hasOf(model.vips[index] ?? NO_VIP) & wanted) !== 0);
  };
  const main = family(HAS.A, HAS.CNAME);
  const aaaa = family(HAS.AAAA);
  return {
    first,
    map: mapFor(plan, chain, main, local, context),
    mapAaaa: mapFor(plan, chain, aaaa, local, context),
    sticks: canStick(chain, main),
    sticksAaaa: canStick(chain, aaaa),
  };
}

const NO_VIP = { a: undefined, aaaa: undefined, cname: undefined };

/** The properties of a step that matter to other steps of its service. */
type ChainStep =
  | {
      readonly by: 'place';
      readonly step: StepSpec;
      readonly leaves: StepTraits['leaves'];
      readonly prepare: (context: PlaceContext) => PlaceStep;
    }
  | { readonly by: 'list'; readonly regions: readonly number[]; readonly onlyVips: boolean }
  | { readonly by: 'order'; readonly byClient: boolean };

/**
 * Whether a step that orders by client (`sticky`) can have two VIPs to order. `regionOf` has the local region of each
 * VIP that has the type.
 */
function canStick(chain: readonly ChainStep[], regionOf: readonly number[]): boolean {
  let most = regionOf.length;
  for (const item of chain) {
    if (item.by === 'order') {
      if (item.byClient && most > 1) return true;
    } else if (item.by === 'list' && item.onlyVips) {
      most = Math.min(most, 1);
    } else if (item.by === 'list' || item.leaves === 'region') {
      const counts = [...Map.groupBy(regionOf, (region) => region).values()].map(({ length }) => length);
      most = Math.min(most, Math.max(0, ...counts));
    }
  }
  return false;
}

function ordering(plan: BuildingPlan, preferences: readonly Preference[]): number {
  return shared(plan, orderingWords(preferences));
}

/** The shortcut for the orderings of a service's first steps; -1 if there is none. */
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
 * The map of a service's location-dependent steps for answers of one type. An outcome is one ordering per such step, in
 * plain form (steering/plain.ts), so that locations with the same effect on the answer share an outcome. `regionOf` has
 * the local regions of the VIPs that have the type. -1 if no step depends on the location.
 */
function mapFor(
  plan: BuildingPlan,
  chain: readonly ChainStep[],
  regionOf: readonly number[],
  local: readonly number[],
  context: CompileContext,
): number {
  const steps = chain.filter(({ by }) => by === 'place').length;
  if (steps === 0) return -1;
  const present = [...new Set(regionOf)].sort((a, b) => a - b);
  const other = chain.findIndex(({ by }) => by !== 'place');
  const leading = other < 0 ? steps : other;
  const relevant = chain.filter((item) => item.by !== 'order');
  const key = JSON.stringify([relevant, leading, local, present], (_, value: unknown) =>
    value instanceof Map ? [...(value as Map<unknown, unknown>)] : value instanceof Uint8Array ? [...value] : value,
  );
  const known = plan.mapOf.get(key);
  if (known !== undefined) return known;
  const place = { ...context.place, regions: placedRegions(local, context) };
  const prepared = relevant.map((item) => (item.by === 'place' ? item.prepare(place) : item.regions));
  const outcomeNumbers = new Map<string, number>();
  const orderingAt: number[] = [];
  const shortcutAt: number[] = [];
  const reaches = new Set<string>();
  const hasData = new Set<boolean>();
  const outcomeOf = (location: Location): number => {
    const plain = plainFrom(present);
    const preferences = prepared.flatMap((item) => {
      if (typeof item === 'function') return [plain.prefer(item(location))];
      plain.pass(item);
      return [];
    });
    const offsets = preferences.map((each) => ordering(plan, each));
    const text = offsets.join();
    let outcome = outcomeNumbers.get(text);
    if (outcome === undefined) {
      outcome = outcomeNumbers.size;
      outcomeNumbers.set(text, outcome);
      orderingAt.push(...offsets);
      shortcutAt.push(shortcut(plan, preferences.slice(0, leading)));
      reaches.add([...plain.reach()].sort((a, b) => a - b).join());
      hasData.add(plain.hasData());
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
    steps,
  );
  const number = at / MAP.WORDS;
  plan.mapOf.set(key, number);
  plan.reachOf.set(number, { differsWhenUp: hasData.size > 1, differsWhenDown: reaches.size > 1 });
  return number;
}

function appendWords(words: Words, values: Int32Array): number {
  const at = reserveWords(words, values.length);
  words.array.set(values, at);
  return at;
}
