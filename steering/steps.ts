/**
 * The steps of `steer`: the options of each kind, and one row per kind with the traits that the rest of the program
 * needs. The file of each step implements it.
 */
import { basename } from 'node:path';
import type { Prefix } from '../wire/address.ts';
import { failoverPreferences, type FailoverStep } from './failover-step.ts';
import { entryText, identityOf, prepareGeo, type GeoStep, type SharedMap } from './geo-step.ts';
import { prepareLatency, type LatencyStep } from './latency-step.ts';
import { prepareNearest, type NearestStep } from './nearest-step.ts';
import type { PlaceContext, PlacedRegion, PlaceStep, Preference } from './place.ts';
import { OP, type ProgramRow } from './program.ts';
import type { StickyStep } from './sticky-step.ts';

type StepOptions = {
  geo: GeoStep;
  nearest: NearestStep;
  latency: LatencyStep;
  failover: FailoverStep;
  weighted: unknown;
  sticky: StickyStep;
  all: unknown;
};

export type StepKind = keyof StepOptions;

/** The options of a step. Names that the service has are resolved to indexes. */
export type StepSpec<K extends StepKind = StepKind> = { [P in K]: { readonly kind: P } & StepOptions[P] }[K];

/** A step that a map may be shared by. */
export type MapStep = StepSpec<'geo'>;

/** The shared map of a step; undefined: the service states its options itself. */
export function sharedMapOf(step: StepSpec): SharedMap | undefined {
  return step.kind === 'geo' ? step.shared : undefined;
}

/** The steps of a service without `steer`. */
export const DEFAULT_STEPS: readonly StepSpec[] = [
  { kind: 'nearest', bias: new Map(), withinKm: 0 },
  { kind: 'weighted' },
];

/** The traits of a step that the rest of the program reads. */
export type StepTraits = {
  /** What the step does with the candidates, for the compiler of images. */
  readonly action:
    /** Keeps the first group of regions that has a candidate, in an order given by the client's place. `ttls`: the TTLs
     * that it may give to answers. */
    | {
        readonly by: 'place';
        readonly prepare: (context: PlaceContext) => PlaceStep;
        readonly ttls?: readonly number[];
      }
    /** Does the same with regions or VIPs in one order for all clients. `regions` are by local number. */
    | { readonly by: 'list'; readonly preferences: (regions: readonly PlacedRegion[]) => Preference[] }
    /** Keeps all candidates and orders them. */
    | { readonly by: 'order'; readonly row: ProgramRow };
  /** The most that the step leaves. `near`: one region, but all regions for clients whose place is unknown. */
  readonly leaves: 'vip' | 'region' | 'near' | 'any';
  /** Whether the step keeps all or none of the VIPs of a region. */
  readonly choosesRegions: boolean;
  /** What decides the order of a step that orders by weight: a random draw, or the client's network. */
  readonly weighs: 'by chance' | 'by client' | undefined;
  /** Whether an answer has all VIPs that the step leaves, so that later steps have no choice. */
  readonly servesAll: boolean;
  /** The only regions and VIPs that the step can keep; undefined: any. `hint` says how to add another. */
  readonly keepsOnly?: { readonly regions: readonly string[]; readonly vips: readonly number[]; readonly hint: string };
  /** Whether clients of some places get no region from the step; its reader warns of that. */
  readonly leavesPlacesOut?: boolean;
  /** Whether clients of some places get no answer, because the operator wrote so. */
  readonly withholds?: boolean;
  /** Keys that only a database with cities matches, as written. */
  readonly cities?: readonly string[];
  /** Networks that the step lists. */
  readonly networks?: readonly Prefix[];
  /** The measurements that the step reads: the path of the file, and the margin in ms above the best region. */
  readonly table?: { readonly path: string; readonly withinMs: number };
  /** The options as text, for `diff`. `vips` are the names of the service's VIPs. */
  readonly text: (vips: readonly string[]) => StepText;
};

/** The texts of options by their names. `entries` may be added and removed; `options` are always present. */
export type StepText = {
  readonly entries?: ReadonlyMap<string, string>;
  readonly options?: readonly (readonly [option: string, text: string])[];
};

const ROWS: { readonly [K in StepKind]: (step: StepSpec<K>) => StepTraits } = {
  geo: (step) => ({
    action: {
      by: 'place',
      prepare: (context) => prepareGeo(step, context),
      ttls: step.map.flatMap(({ ttlSeconds }) => ttlSeconds ?? []),
    },
    leaves: 'region',
    choosesRegions: true,
    weighs: undefined,
    servesAll: false,
    keepsOnly: {
      regions: [...new Set(step.map.flatMap(({ regions }) => regions))],
      vips: [],
      hint: 'add the region to a key, such as default: [...]',
    },
    leavesPlacesOut: step.map.every(({ key }) => key.kind !== 'default'),
    withholds: step.map.some(({ regions }) => regions.length === 0),
    cities: step.map.flatMap(({ key }) => (key.kind === 'city' ? [key.text] : [])),
    networks: step.map.flatMap(({ key }) => (key.kind === 'network' ? [key.prefix] : [])),
    text: () => ({
      entries: new Map(step.map.map((entry) => [`geo ${identityOf(entry.key)}`, entryText(entry)])),
      options: [['geo fence', String(step.fence)]],
    }),
  }),
  nearest: (step) => ({
    action: { by: 'place', prepare: (context) => prepareNearest(step, context) },
    leaves: step.withinKm > 0 ? 'any' : 'near',
    choosesRegions: true,
    weighs: undefined,
    servesAll: false,
    text: () => {
      const bias = [...step.bias].map(([region, points]) => `${region} ${points}`).join(', ');
      return { options: [['nearest', `within ${step.withinKm} km${bias === '' ? '' : `, bias ${bias}`}`]] };
    },
  }),
  latency: (step) => ({
    action: { by: 'place', prepare: (context) => prepareLatency(step, context) },
    leaves: step.withinMs > 0 ? 'any' : 'near',
    choosesRegions: true,
    weighs: undefined,
    servesAll: false,
    table: { path: step.table, withinMs: step.withinMs },
    text: () => ({ options: [['latency', `${basename(step.table)} within ${step.withinMs} ms`]] }),
  }),
  failover: (step) => ({
    action: { by: 'list', preferences: (regions) => failoverPreferences(step, regions) },
    leaves: step.order.every(({ kind }) => kind === 'vip') ? 'vip' : 'region',
    choosesRegions: step.order.every(({ kind }) => kind === 'region'),
    weighs: undefined,
    servesAll: false,
    keepsOnly: {
      regions: step.order.flatMap((entry) => (entry.kind === 'region' ? entry.region : [])),
      vips: step.order.flatMap((entry) => (entry.kind === 'vip' ? entry.vip : [])),
      hint: 'add it to the list',
    },
    text: (vips) => {
      const names = step.order.map((entry) => (entry.kind === 'region' ? entry.region : (vips[entry.vip] ?? '')));
      return { options: [['failover', names.join(', ')]] };
    },
  }),
  weighted: () => ({
    action: { by: 'order', row: [OP.WEIGHTED, 0, 0] },
    leaves: 'any',
    choosesRegions: false,
    weighs: 'by chance',
    servesAll: false,
    text: () => ({}),
  }),
  sticky: ({ v4Bits, v6Bits }) => ({
    action: { by: 'order', row: [OP.STICKY, v4Bits, v6Bits] },
    leaves: 'any',
    choosesRegions: false,
    weighs: 'by client',
    servesAll: false,
    text: () => ({ options: [['sticky', `v4 /${v4Bits}, v6 /${v6Bits}`]] }),
  }),
  all: () => ({
    action: { by: 'order', row: [OP.ALL, 0, 0] },
    leaves: 'any',
    choosesRegions: false,
    weighs: undefined,
    servesAll: true,
    text: () => ({}),
  }),
};

/** A shared map can be large, and many services use it, so its traits are found once. */
const knownTraits = new WeakMap<object, StepTraits>();

export function traitsOf<K extends StepKind>(step: StepSpec<K>): StepTraits {
  const known = knownTraits.get(step);
  if (known) return known;
  const traits = ROWS[step.kind](step);
  knownTraits.set(step, traits);
  return traits;
}

/** Whether the orderings of a step have TTLs. */
export function givesTtls({ action }: StepTraits): boolean {
  return action.by === 'place' && action.ttls !== undefined && action.ttls.length > 0;
}

/** The smallest and the largest TTL of answers: that of the service, and those that its steps give. */
export function ttlBounds(
  { minSeconds, maxSeconds }: { readonly minSeconds: number; readonly maxSeconds: number },
  steps: readonly StepSpec[],
): { readonly least: number; readonly most: number } {
  const given = steps.flatMap((step) => {
    const { action } = traitsOf(step);
    return action.by === 'place' ? (action.ttls ?? []) : [];
  });
  return { least: Math.min(minSeconds, ...given), most: Math.max(maxSeconds, ...given) };
}
