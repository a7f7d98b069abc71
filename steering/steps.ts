/**
 * The steps of `steer`: what the zone file says of each kind, and one row for each kind with what the rest of the
 * program asks of a step. A row's file says what the step does with the candidates.
 */
import { basename } from 'node:path';
import type { Prefix } from '../wire/address.ts';
import { failoverPreferences, type FailoverStep } from './failover-step.ts';
import { identityOf, prepareGeo, type GeoStep } from './geo-step.ts';
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

/** A step with names resolved to indexes where a service knows them. */
export type StepSpec<K extends StepKind = StepKind> = { [P in K]: { readonly kind: P } & StepOptions[P] }[K];

/** The steps of a service without `steer`. */
export const DEFAULT_STEPS: readonly StepSpec[] = [
  { kind: 'nearest', bias: new Map(), withinKm: 0 },
  { kind: 'weighted' },
];

/** What the rest of the program asks of a step, whatever its kind. */
export type StepTraits = {
  /** What it does with the candidates; the compiler of images asks. */
  readonly action:
    /** Keeps the first group that has a candidate, of regions that the client's place puts in order. */
    | { readonly by: 'place'; readonly prepare: (context: PlaceContext) => PlaceStep }
    /** The same of regions or VIPs whose order is the same for all clients; `regions` by local number. */
    | { readonly by: 'list'; readonly preferences: (regions: readonly PlacedRegion[]) => Preference[] }
    /** Keeps all candidates, in an order of its own. */
    | { readonly by: 'order'; readonly row: ProgramRow };
  /** The most that it leaves. `near`: one region, but all of them to clients whose place is not known. */
  readonly leaves: 'vip' | 'region' | 'near' | 'any';
  /** Whether it tells only regions apart: of the VIPs of one region it keeps all or none. */
  readonly choosesRegions: boolean;
  /** Whether it orders by weight, and what decides: a draw, or the client's network. */
  readonly weighs: 'by chance' | 'by client' | undefined;
  /** Whether an answer has all that it leaves, so that no step behind it has a choice. */
  readonly servesAll: boolean;
  /** The only regions and VIPs that it can keep; undefined: any. `hint` says where another is added. */
  readonly keepsOnly?: { readonly regions: readonly string[]; readonly vips: readonly number[]; readonly hint: string };
  /** Clients of some places get no region from it; its reader warns of that. */
  readonly leavesPlacesOut?: boolean;
  /** Networks that it tells apart. */
  readonly networks?: readonly Prefix[];
  /** Measurements that it reads: the path of the file, and how much worse than the best a region may be. */
  readonly table?: { readonly path: string; readonly withinMs: number };
  /** Its options in words, for `diff`; `vips` are the names of the service's VIPs. */
  readonly text: (vips: readonly string[]) => StepText;
};

/** What is said of options, by what they are called. `entries` come and go; `options` are always there. */
export type StepText = {
  readonly entries?: ReadonlyMap<string, string>;
  readonly options?: readonly (readonly [option: string, text: string])[];
};

const ROWS: { readonly [K in StepKind]: (step: StepSpec<K>) => StepTraits } = {
  geo: (step) => ({
    action: { by: 'place', prepare: (context) => prepareGeo(step, context) },
    leaves: 'region',
    choosesRegions: true,
    weighs: undefined,
    servesAll: false,
    keepsOnly: {
      regions: step.map.flatMap(({ regions }) => regions),
      vips: [],
      hint: 'add the region to a key, such as default: [...]',
    },
    leavesPlacesOut: step.map.every(({ key }) => key.kind !== 'default'),
    networks: step.map.flatMap(({ key }) => (key.kind === 'network' ? [key.prefix] : [])),
    text: () => ({
      entries: new Map(step.map.map(({ key, regions }) => [`geo ${identityOf(key)}`, regions.join(', ')])),
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

export function traitsOf<K extends StepKind>(step: StepSpec<K>): StepTraits {
  return ROWS[step.kind](step);
}
