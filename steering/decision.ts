/**
 * The working memory and the result of steering. Each thread has one and reuses it for every query, so that a decision
 * allocates nothing.
 */
import type { HealthTable } from '../health/health-table.ts';
import { MAX_INNER_DEPTH, MAX_VIPS } from '../wire/limits.ts';
import type { SteeringPlan } from './plan.ts';
import type { Random } from './random.ts';

export type Decision = {
  /** Local numbers of the candidates; the first `count` are valid. At the end: the VIPs to serve, in order. */
  readonly candidates: Int32Array;
  count: number;
  /** The service whose VIPs these are, and the HAS bit of the type there: other ones where a VIP is a service. */
  service: number;
  has: number;
  /** The slots of the VIPs that are services and led here; the first `depth` are valid. */
  readonly way: Int32Array;
  depth: number;
  /** Number of standbys left out at the start, because there are other candidates. */
  heldBack: number;
  /** RESULT */
  result: number;
  /** DEGREE: which VIPs counted as available. */
  degree: number;
  ttlSeconds: number;
  /** The TTL that a key of `geo` gives; -1 if none does. */
  keyTtlSeconds: number;
  /**
   * How far a VIP's pressure may exceed what the client bears for the VIP to be a candidate (shed.ts). -1 if shedding
   * does not affect the decision.
   */
  shedLimit: number;
  /**
   * Shortest prefix around the client in which every address gets the same candidates; 0 if they do not depend on the
   * client.
   */
  scopeBits: number;
  /** Per local region: weight that is up, and total weight. */
  readonly weightUp: Float64Array;
  readonly weightAll: Float64Array;
  /** Per local region: 1 if one of its VIPs is up; only with `partial: serve_all`. */
  readonly hasUp: Uint8Array;
  /** Scratch memory of `sticky`. */
  readonly scores: Float64Array;
};

export const RESULT = {
  /** Serve `candidates`. */
  VIPS: 0,
  /** `when_all_down` is a static answer: serve that. */
  STATIC: 1,
  /** NODATA. */
  EMPTY: 2,
} as const;

/** Which VIPs count as available. */
export const DEGREE = {
  /** VIPs that are available. */
  AVAILABLE: 0,
  /** None was available: all VIPs except those drained or forced down. */
  NOT_FORCED: 1,
  /** None of these was left either: all VIPs. */
  ALL: 2,
} as const;

export function createDecision(): Decision {
  return {
    candidates: new Int32Array(MAX_VIPS),
    count: 0,
    service: 0,
    has: 0,
    way: new Int32Array(MAX_INNER_DEPTH),
    depth: 0,
    heldBack: 0,
    result: RESULT.EMPTY,
    degree: DEGREE.AVAILABLE,
    ttlSeconds: 0,
    keyTtlSeconds: -1,
    shedLimit: -1,
    scopeBits: 0,
    weightUp: new Float64Array(MAX_VIPS + 1),
    weightAll: new Float64Array(MAX_VIPS + 1),
    hasUp: new Uint8Array(MAX_VIPS + 1),
    scores: new Float64Array(MAX_VIPS),
  };
}

/** The local number of the VIP at this place of `candidates`. */
export function candidateAt(candidates: Int32Array, place: number): number {
  return candidates[place] ?? 0;
}

/** The inputs and the working memory of decisions. */
export type Steerer = {
  readonly plan: SteeringPlan;
  readonly health: HealthTable;
  readonly random: Random;
  readonly decision: Decision;
  /**
   * True: a decision leaves all VIPs that the steps leave, and does not ask those that are services. For forecasts and
   * transfers.
   */
  readonly keepsAll?: boolean | undefined;
  /** Set by explain; undefined in answering threads. */
  observer: Observer | undefined;
};

/**
 * Called after the start (step -1), after each step, and at the end (step -2). Start and steps repeat for each degree
 * of availability that is tried, and when standbys join.
 */
export type Observer = (service: number, step: number, decision: Decision) => void;
