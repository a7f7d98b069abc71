/**
 * What steering works on and leaves behind: one per thread, filled anew for each query, so that a decision
 * allocates nothing.
 */
import type { HealthTable } from '../health/health-table.ts';
import { MAX_VIPS } from '../wire/limits.ts';
import type { SteeringPlan } from './plan.ts';
import type { Random } from './random.ts';

export type Decision = {
  /** Local numbers of the candidates; the first `count` hold. In the end: the VIPs to serve, in order. */
  readonly candidates: Int32Array;
  count: number;
  /** Standbys that were left out at the start, because others are there. */
  heldBack: number;
  /** RESULT */
  result: number;
  /** DEGREE: how far availability had to be overlooked. */
  degree: number;
  ttlSeconds: number;
  /**
   * Where shedding decides: how much pressure over what its client bears a VIP may have and still be a candidate
   * (shed.ts). -1 where it has no part.
   */
  shedLimit: number;
  /** Shortest prefix around the client in which every address gets the same candidates; 0 where it does not matter. */
  scopeBits: number;
  /** Per local region: weight up, and in all. */
  readonly weightUp: Float64Array;
  readonly weightAll: Float64Array;
  /** Scratch of `sticky`. */
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

/** Which VIPs were taken for available. */
export const DEGREE = {
  /** Those that are. */
  AVAILABLE: 0,
  /** None was: all but those an operator drained or forced down. */
  NOT_FORCED: 1,
  /** Not even of these was any: all. */
  ALL: 2,
} as const;

export function createDecision(): Decision {
  return {
    candidates: new Int32Array(MAX_VIPS),
    count: 0,
    heldBack: 0,
    result: RESULT.EMPTY,
    degree: DEGREE.AVAILABLE,
    ttlSeconds: 0,
    shedLimit: -1,
    scopeBits: 0,
    weightUp: new Float64Array(MAX_VIPS + 1),
    weightAll: new Float64Array(MAX_VIPS + 1),
    scores: new Float64Array(MAX_VIPS),
  };
}

/** What a decision is made with. */
export type Steerer = {
  readonly plan: SteeringPlan;
  readonly health: HealthTable;
  readonly random: Random;
  readonly decision: Decision;
  /** Explain listens here; undefined in threads that answer. */
  observer: Observer | undefined;
};

/**
 * Told after the start (step -1) and each step, anew for each degree of availability that is tried and when
 * standbys join, and at the end (step -2).
 */
export type Observer = (service: number, step: number, decision: Decision) => void;
