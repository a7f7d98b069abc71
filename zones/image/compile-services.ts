/**
 * Compiles services into the image's steering tables (steering/plan.ts): VIPs, regions, steps, and the maps from a
 * client's location to an ordering.
 */
import type { Report } from '../../config/diagnostics.ts';
import type { Atlas, SteeringMap } from '../../geo/atlas.ts';
import { compileMap } from '../../geo/atlas.ts';
import type { Location } from '../../geo/location.ts';
import { withoutSharedMap } from '../../steering/geo-step.ts';
import {
  orderingWords,
  shortcutWords,
  type PlaceContext,
  type PlacedRegion,
  type PlaceStep,
  type Preference,
} from '../../steering/place.ts';
import { plainFrom } from '../../steering/plain.ts';
import { ALL_DOWN, HAS, MAP, OTHER, REGION, SERVICE, TRAIT, VIP } from '../../steering/plan.ts';
import { OP } from '../../steering/program.ts';
import { givesTtls, traitsOf, ttlBounds, type StepSpec, type StepTraits } from '../../steering/steps.ts';
import { MAX_VIPS } from '../../wire/limits.ts';
import { hashText } from '../../wire/name-hash.ts';
import { typeText } from '../../wire/types.ts';
import type { RegionInfo } from '../catalog.ts';
import {
  hasData,
  innerServices,
  otherTypes,
  otherTypesOfVip,
  rdataOfType,
  type ServiceModel,
  type VipModel,
} from '../read/model.ts';
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
  readonly otherOf: Words;
  readonly others: Words;
  readonly aliases: Words;
  /** Maps by their inputs: services with equal steps and regions share one. */
  readonly mapOf: Map<string, number>;
  /** By map: whether locations have an answer at all. */
  readonly reachOf: Map<number, Reach>;
  /** Orderings by content. */
  readonly orderingOf: Map<string, number>;
  /** Maps of an earlier plan that may be used again, and those of this plan. By `keyForLater`. */
  readonly kept: ReadonlyMap<string, KeptMap>;
  readonly made: Map<string, MadeMap>;
};

/** The orderings of a map's outcomes, one list per step that depends on the place, and their shortcuts, as words. */
type Outcomes = {
  readonly orderings: (readonly (readonly number[])[])[];
  readonly shortcuts: (readonly number[] | undefined)[];
  readonly reach: Reach;
};

type MadeMap = Outcomes & { readonly number: number };

/** A map that a later plan with the same atlas and number of start bits may use again. */
export type KeptMap = Outcomes & SteeringMap;

type Reach = {
  /** While no VIP is down, clients of some places have data and those of others have none. */
  readonly differsWhenUp: boolean;
  /**
   * Clients of some places can be sent to a region that others cannot: with the other regions down, only they have
   * data.
   */
  readonly differsWhenDown: boolean;
};

/** `mapWords`: the expected number of words of all maps, so that megabytes are not copied again and again. */
export function createPlan(kept: BuildingPlan['kept'] = new Map(), mapWords?: number): BuildingPlan {
  return {
    services: createWords(),
    vips: createWords(),
    regions: createWords(),
    program: createWords(),
    orderings: createWords(),
    maps: createWords(16),
    mapWords: createWords(mapWords),
    otherOf: createWords(16),
    others: createWords(16),
    aliases: createWords(16),
    mapOf: new Map(),
    reachOf: new Map(),
    orderingOf: new Map(),
    kept,
    made: new Map(),
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
  /** The number of a service of the same zone. */
  readonly serviceNumber: (service: ServiceModel) => number;
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
  const { serviceNumber } = context;
  const local = localRegions(model, context);
  const firstRegion = plan.regions.length / REGION.WORDS;
  const regionOf = model.vips.map((vip) => local.indexOf(context.regionNumber(vip.region)));
  for (const [region, number] of local.entries()) {
    const minHealthy = context.regions[number]?.minHealthy ?? 0;
    pushWords(plan.regions, number, Math.round(minHealthy * 1e6), regionOf.indexOf(region));
  }
  const firstSlot = plan.vips.length / VIP.WORDS;
  const types = otherTypes(model);
  let has = 0;
  for (const [index, vip] of model.vips.entries()) {
    has |= hasOf(vip, types);
    const region = regionOf[index] ?? 0;
    pushWords(
      plan.vips,
      region,
      hasOf(vip, types),
      nextAnswer(),
      nextAnswer(),
      nextAnswer(),
      hashText(Buffer.from(vip.name.toLowerCase())),
      regionOf.indexOf(region, index + 1),
      nextAnswer(),
      nextAnswer(),
      vip.inner ? serviceNumber(vip.inner) : -1,
    );
  }
  const steps = compileSteps(plan, model, types, local, regionOf, context);
  warnNoDataByPlace(plan, model, has, steps, context.report);
  warnWithoutCities(model, context);
  const at = reserveWords(plan.services, SERVICE.WORDS);
  const row = plan.services.array.subarray(at, at + SERVICE.WORDS);
  row[SERVICE.FIRST_SLOT] = firstSlot;
  row[SERVICE.VIP_COUNT] = model.vips.length;
  row[SERVICE.TTL_MIN] = model.ttl.minSeconds;
  row[SERVICE.TTL_MAX] = model.ttl.maxSeconds;
  row[SERVICE.TTL_SIGNED] = ttlBounds(model.ttl, model.steps).most;
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
  compileOthers(plan, model, types, steps.others, nextAnswer);
  const inner = innerServices(model);
  row[SERVICE.INNER_AT] =
    inner.length === 0 ? -1 : pushWords(plan.others, inner.length, ...inner.map((each) => serviceNumber(each)));
  const weighsRegions = local.some((number) => (context.regions[number]?.minHealthy ?? 0) > 0);
  row[SERVICE.HAS] =
    has |
    (weighsRegions ? TRAIT.WEIGHS_REGIONS : 0) |
    (model.shed === undefined ? 0 : TRAIT.SHEDS) |
    (model.partial === 'serve_all' ? TRAIT.WHOLE_REGIONS : 0) |
    (inner.length > 0 ? TRAIT.NESTS : 0) |
    (steps.sticks ? TRAIT.STICKS : 0) |
    (steps.sticksAaaa ? TRAIT.STICKS_AAAA : 0);
}

/** Adds the rows of the other types, and their records. */
function compileOthers(
  plan: BuildingPlan,
  { vips }: ServiceModel,
  types: readonly number[],
  steps: CompiledSteps['others'],
  nextAnswer: () => number,
): void {
  const { others } = plan;
  const first = reserveWords(others, types.length * OTHER.WORDS);
  pushWords(plan.otherOf, types.length === 0 ? -1 : first);
  types.forEach((type, number) => {
    const records = vips.map((vip) => rdataOfType(vip, type).map(nextAnswer));
    const all = records.flat();
    const startsAt = reserveWords(others, vips.length + 1);
    for (const [vip, own] of records.entries()) {
      others.array[startsAt + vip] = others.length;
      pushWords(others, ...own);
    }
    others.array[startsAt + vips.length] = others.length;
    const row = first + number * OTHER.WORDS;
    const { map = -1, sticks = false } = steps[number] ?? {};
    others.array[row + OTHER.TYPE] = type;
    others.array[row + OTHER.MAP] = map;
    others.array[row + OTHER.STICKS] = sticks ? 1 : 0;
    others.array[row + OTHER.STATIC] = nextAnswer();
    others.array[row + OTHER.STARTS_AT] = startsAt;
    others.array[row + OTHER.SHARES] = new Set(all).size < all.length ? 1 : 0;
  });
}

const citiesKnown = new WeakMap<Atlas, boolean>();

function warnWithoutCities(model: ServiceModel, { atlas, report }: CompileContext): void {
  const [city, ...others] = model.steps.flatMap((step) => traitsOf(step).cities ?? []);
  if (city === undefined) return;
  const known = citiesKnown.get(atlas) ?? atlas.places.places.some((place) => place.city !== '');
  citiesKnown.set(atlas, known);
  if (known) return;
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  const message = `service ${model.name}: no database has cities, so no client matches ${city}${more}`;
  report.warning('PH409', message, model.place, 'add a database with cities to geo.databases, such as GeoLite2-City');
}

/**
 * Resolvers cache a negative answer for all their clients (RFC 7871 7.4), so one client without data hides the data
 * from the others. A step that leaves locations out (`geo` without default) has a separate warning (PH214).
 */
function warnNoDataByPlace(
  { reachOf }: BuildingPlan,
  model: ServiceModel,
  has: number,
  { map, mapAaaa, others }: CompiledSteps,
  report: Report,
): void {
  if (model.steps.some((step) => traitsOf(step).leavesPlacesOut)) return;
  const withholds = model.steps.some((step) => traitsOf(step).withholds);
  const down = model.whenAllDown;
  const families = [
    { type: 'A', bit: HAS.A, number: map, own: down.kind === 'static' && down.a.length > 0 },
    { type: 'AAAA', bit: HAS.AAAA, number: mapAaaa, own: down.kind === 'static' && down.aaaa.length > 0 },
    { type: 'CNAME', bit: HAS.CNAME, number: map, own: down.kind === 'static' },
    ...otherTypes(model).map((type, index) => ({
      type: typeText(type),
      bit: HAS.FIRST_OTHER << index,
      number: others[index]?.map ?? -1,
      own: down.kind === 'static' && rdataOfType(down, type).length > 0,
    })),
  ];
  const types = families.filter(({ bit, number, own }) => {
    const reach = reachOf.get(number);
    if ((has & bit) === 0 || reach === undefined) return false;
    // `when_all_down` gives no answer to clients of a key with `none`.
    if (withholds && reach.differsWhenUp) return true;
    if (own || (down.kind === 'static' && down.cname !== undefined)) return false;
    return reach.differsWhenUp || (down.kind !== 'serve_all' && reach.differsWhenDown);
  });
  if (types.length === 0) return;
  const always = types.some(({ number }) => reachOf.get(number)?.differsWhenUp === true);
  const names = types.map(({ type }) => type).join(' and ');
  const when = always ? '' : ' while their regions are down';
  const message = `service ${model.name}: clients of some places get no ${names}${when}, and others do; resolvers cache "no data" for all their clients`;
  const hint = withholds
    ? 'instead of none, lead the key to a VIP, such as a page that says why there is no service'
    : always
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

/** `types`: the other types of the service. */
function hasOf(vip: VipModel, types: readonly number[]): number {
  const addresses = (hasData(vip, 'a') ? HAS.A : 0) | (hasData(vip, 'aaaa') ? HAS.AAAA : 0);
  const others = otherTypesOfVip(vip).reduce((bits, type) => bits | (HAS.FIRST_OTHER << types.indexOf(type)), 0);
  return addresses | (hasData(vip, 'cname') ? HAS.CNAME : 0) | (hasData(vip, 'svcb') ? HAS.SVCB : 0) | others;
}

type CompiledSteps = {
  readonly first: number;
  /** For A and CNAME, and for AAAA. */
  readonly map: number;
  readonly mapAaaa: number;
  /** See TRAIT. */
  readonly sticks: boolean;
  readonly sticksAaaa: boolean;
  /** The same for each other type. */
  readonly others: readonly { readonly map: number; readonly sticks: boolean }[];
};

/** `regionOf` has the local region of each VIP. */
function compileSteps(
  plan: BuildingPlan,
  model: ServiceModel,
  types: readonly number[],
  local: readonly number[],
  regionOf: readonly number[],
  context: CompileContext,
): CompiledSteps {
  const first = plan.program.length / OP.WORDS;
  const regions = placedRegions(local, context);
  const chain: ChainStep[] = [];
  let places = 0;
  for (const step of model.steps) {
    const traits = traitsOf(step);
    const { action, leaves, weighs } = traits;
    switch (action.by) {
      case 'place':
        pushWords(plan.program, OP.PLACE, places++, givesTtls(traits) ? 1 : 0);
        chain.push({ by: 'place', step, leaves, prepare: action.prepare, hasTtls: givesTtls(traits) });
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
  const hasBits = model.vips.map((vip) => hasOf(vip, types));
  const has = hasBits.reduce((all, bits) => all | bits, 0);
  // A service without VIPs of a family has no answers of it and needs no map for it.
  const family = (...bits: number[]): readonly number[] => {
    const wanted = bits.find((bit) => (has & bit) !== 0) ?? has;
    return regionOf.filter((_, index) => ((hasBits[index] ?? 0) & wanted) !== 0);
  };
  const main = family(HAS.A, HAS.CNAME);
  const aaaa = family(HAS.AAAA);
  return {
    first,
    map: mapFor(plan, chain, main, local, context),
    mapAaaa: mapFor(plan, chain, aaaa, local, context),
    sticks: canStick(chain, main),
    sticksAaaa: canStick(chain, aaaa),
    others: types.map((_, number) => {
      const own = family(HAS.FIRST_OTHER << number);
      return { map: mapFor(plan, chain, own, local, context), sticks: canStick(chain, own) };
    }),
  };
}

/** The properties of a step that matter to other steps of its service. */
type ChainStep =
  | {
      readonly by: 'place';
      readonly step: StepSpec;
      readonly leaves: StepTraits['leaves'];
      readonly prepare: (context: PlaceContext) => PlaceStep;
      readonly hasTtls: boolean;
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
  return shared(plan, orderingWords(preferences, false));
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
  const relevant = chain.filter(({ by }) => by !== 'order');
  const key = keyText([relevant, leading, local, present]);
  const known = plan.mapOf.get(key);
  if (known !== undefined) return known;
  const regions = placedRegions(local, context);
  const laterKey = keyForLater(relevant, [leading, regions, present]);
  const kept = laterKey === undefined ? undefined : plan.kept.get(laterKey);
  const map = kept ?? makeMap(plan, relevant, { present, leading, place: { ...context.place, regions } }, context);
  // In the order in which making the map adds them.
  const orderingAt: number[] = [];
  const shortcutAt: number[] = [];
  map.orderings.forEach((orderings, outcome) => {
    for (const words of orderings) orderingAt.push(shared(plan, words));
    const words = map.shortcuts[outcome];
    shortcutAt.push(words === undefined ? -1 : shared(plan, words));
  });
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
  plan.reachOf.set(number, map.reach);
  if (laterKey !== undefined) {
    plan.made.set(laterKey, { number, orderings: map.orderings, shortcuts: map.shortcuts, reach: map.reach });
  }
  return number;
}

/**
 * The key by which a later plan finds a map; undefined if the map depends on a latency table, whose figures change. It
 * has the regions themselves, since another plan may number them differently.
 */
function keyForLater(relevant: readonly ChainStep[], more: readonly unknown[]): string | undefined {
  const hasTable = relevant.some((item) => item.by === 'place' && traitsOf(item.step).table !== undefined);
  return hasTable ? undefined : keyText([relevant, ...more]);
}

function keyText(parts: readonly unknown[]): string {
  return JSON.stringify(parts, (_, value: unknown) =>
    value instanceof Map
      ? [...(value as Map<unknown, unknown>)]
      : value instanceof Uint8Array
        ? [...value]
        : withoutSharedMap(value),
  );
}

/** Makes a map, and adds its orderings to the plan. */
function makeMap(
  plan: BuildingPlan,
  relevant: readonly ChainStep[],
  {
    present,
    leading,
    place,
  }: { readonly present: readonly number[]; readonly leading: number; readonly place: PlaceContext },
  { atlas, startBits }: CompileContext,
): KeptMap {
  const prepared = relevant.map((item) =>
    item.by === 'place' ? item.prepare(place) : item.by === 'list' ? item.regions : [],
  );
  const hasTtls = relevant.flatMap((item) => (item.by === 'place' ? item.hasTtls : []));
  const outcomeNumbers = new Map<string, number>();
  const orderings: (readonly (readonly number[])[])[] = [];
  const shortcuts: (readonly number[] | undefined)[] = [];
  const reaches = new Set<string>();
  const hasData = new Set<boolean>();
  const outcomeOf = (location: Location): number => {
    const plain = plainFrom(present);
    const preferences = prepared.flatMap((item) => {
      if (typeof item === 'function') return [plain.prefer(item(location))];
      plain.pass(item);
      return [];
    });
    const words = preferences.map((each, step) => orderingWords(each, hasTtls[step] === true));
    const text = words.map((each) => shared(plan, each)).join();
    let outcome = outcomeNumbers.get(text);
    if (outcome === undefined) {
      outcome = outcomeNumbers.size;
      outcomeNumbers.set(text, outcome);
      orderings.push(words);
      const leadingWords = shortcutWords(preferences.slice(0, leading));
      shortcuts.push(leadingWords);
      if (leadingWords !== undefined) shared(plan, leadingWords);
      reaches.add([...plain.reach()].sort((a, b) => a - b).join());
      hasData.add(plain.hasData());
    }
    return outcome;
  };
  const map = compileMap(atlas, outcomeOf, startBits);
  const reach = { differsWhenUp: hasData.size > 1, differsWhenDown: reaches.size > 1 };
  return { ...map, orderings, shortcuts, reach };
}

/** The maps of a plan for a later one. `maps` and `mapWords` are the plan's sections in shared memory. */
export function keepMaps({ made }: BuildingPlan, maps: Int32Array, mapWords: Int32Array): Map<string, KeptMap> {
  const part = (row: number, at: number, count: number): Int32Array => {
    const from = maps[row + at] ?? 0;
    return mapWords.subarray(from, from + (maps[row + count] ?? 0));
  };
  const kept = new Map<string, KeptMap>();
  for (const [key, { number, ...outcomes }] of made) {
    const row = number * MAP.WORDS;
    kept.set(key, {
      ...outcomes,
      outcomes: part(row, MAP.OUTCOMES_AT, MAP.OUTCOME_COUNT),
      mixed: part(row, MAP.MIXED_AT, MAP.MIXED_WORDS),
      starts: part(row, MAP.STARTS_AT, MAP.START_COUNT),
    });
  }
  return kept;
}

function appendWords(words: Words, values: Int32Array): number {
  const at = reserveWords(words, values.length);
  words.array.set(values, at);
  return at;
}
