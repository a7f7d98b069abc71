/**
 * The records of a steered name in a zone transfer: the answer to a client of unknown location while all VIPs are up.
 * The function that steers packets computes it, from a health table in which all VIPs are up with the weights of the
 * file. Random choices are then removed:
 *
 * - addresses: all VIPs that the steps leave, in the order of the file, regardless of `answers`
 * - CNAME: the one of these with the greatest weight, the first of equals (RFC 2181 10.1: a name has at most one)
 * - TTL: the service's minimum, or that of the key of `geo`
 */
import {
  NEVER_SECONDS,
  packState,
  FORCED,
  PROBED,
  createHealthTable,
  viewHealthTable,
} from '../../health/health-table.ts';
import { steer } from '../../steering/chain.ts';
import { createDecision, RESULT, type Steerer } from '../../steering/decision.ts';
import { innerBit, innerOf } from '../../steering/inner.ts';
import {
  hasBits,
  countWith,
  HAS,
  mapOf,
  otherBit,
  otherType,
  vipRecords,
  SERVICE,
  serviceWord,
  staticRrset,
  VIP,
  vipWord,
} from '../../steering/plan.ts';
import { createRandom } from '../../steering/random.ts';
import { MAX_TTL_SECONDS, MAX_VIPS } from '../../wire/limits.ts';
import { TYPE } from '../../wire/types.ts';
import type { Image } from '../../zones/image/image.ts';

export type DefaultRrset = {
  /** The number of the service whose data it is: another one where a VIP is a service. */
  readonly service: number;
  readonly type: number;
  /**
   * The RRsets that contain its records, in rows from the zone's row: a list for each slot, or one. Each record once.
   */
  readonly rrsets: readonly (readonly number[])[];
  readonly ttlSeconds: number;
  /** The slots of the VIPs that the records are of; empty for a static answer (`when_all_down`). */
  readonly slots: readonly number[];
  /** Number of the service's VIPs that have data of this type. */
  readonly all: number;
};

export type DefaultAnswers = {
  /** The steered RRsets of a service. Empty where steering leaves no VIP, for example behind a fence. */
  of(service: number): DefaultRrset[];
  /** Whether records of a type come from steering, not from the node. */
  covers(service: number, type: number): boolean;
};

/** A type, and the column of a VIP's RRset; undefined: it is one of the other types. */
type Kind = {
  readonly has: number;
  readonly type: number;
  readonly column: number | undefined;
};

const TYPES: readonly Kind[] = [
  { has: HAS.A, type: TYPE.A, column: VIP.RRSET_A },
  { has: HAS.AAAA, type: TYPE.AAAA, column: VIP.RRSET_AAAA },
  { has: HAS.CNAME, type: TYPE.CNAME, column: VIP.RRSET_CNAME },
  { has: HAS.SVCB, type: TYPE.HTTPS, column: VIP.RRSET_HTTPS },
  { has: HAS.SVCB, type: TYPE.SVCB, column: VIP.RRSET_SVCB },
];

/** `weights` are the weights of the configuration, by slot. */
export function createDefaultAnswers({ plan }: Image, weights: Int32Array): DefaultAnswers {
  const slots = plan.vips.length / VIP.WORDS;
  const health = viewHealthTable(createHealthTable(slots), slots);
  health.states.fill(packState(PROBED.UP, FORCED.NONE, NEVER_SECONDS));
  health.weights.set(weights.subarray(0, slots));
  const services = plan.services.slice();
  for (let row = 0; row < services.length; row += SERVICE.WORDS) services[row + SERVICE.ANSWERS] = MAX_VIPS;
  const decision = createDecision();
  const steerer: Steerer = {
    plan: { ...plan, services },
    health,
    random: createRandom(1),
    decision,
    keepsAll: true,
    observer: undefined,
  };
  const unknownClient = new Uint8Array(4);
  const hasOf = (service: number): number => serviceWord(services, service, SERVICE.HAS);
  const ttlOf = (service: number): number => {
    const min = serviceWord(services, service, SERVICE.TTL_MIN);
    if (decision.result !== RESULT.VIPS || decision.keyTtlSeconds < 0) return min;
    const isFixed = min === serviceWord(services, service, SERVICE.TTL_MAX);
    return isFixed ? decision.keyTtlSeconds : Math.min(min, decision.keyTtlSeconds);
  };
  /** Follows VIPs that are services. `mostSeconds`: the lowest TTL on the way. */
  const answerOf = (service: number, { has, type, column }: Kind, mostSeconds: number): DefaultRrset[] => {
    steer(steerer, service, has, locateNowhere(steerer, service, has), unknownClient, 32);
    const ttlSeconds = Math.min(mostSeconds, ttlOf(service));
    if (decision.result === RESULT.STATIC) {
      const cname = serviceWord(services, service, SERVICE.STATIC_CNAME);
      const rrset = staticRrset(plan, service, has);
      if (cname >= 0) return [{ service, type: TYPE.CNAME, rrsets: [[cname]], ttlSeconds, slots: [], all: 0 }];
      return rrset >= 0 ? [{ service, type, rrsets: [[rrset]], ttlSeconds, slots: [], all: 0 }] : [];
    }
    if (decision.result !== RESULT.VIPS) return [];
    const firstSlot = serviceWord(services, service, SERVICE.FIRST_SLOT);
    const left = [...decision.candidates.subarray(0, decision.count)].sort((a, b) => a - b);
    const inner = innerOf(plan, firstSlot + (heaviest(health.weights, firstSlot, left, 1)[0] ?? 0));
    if (inner >= 0) return answerOf(inner, { has: innerBit(plan, service, has, inner), type, column }, ttlSeconds);
    const chosen = left.filter((vip) => innerOf(plan, firstSlot + vip) < 0);
    const answers = serviceWord(plan.services, service, SERVICE.ANSWERS);
    const most = type === TYPE.CNAME ? 1 : column === undefined ? answers : MAX_VIPS;
    const kept = heaviest(health.weights, firstSlot, chosen, most);
    const seen = new Set<number>();
    const named = kept.flatMap((vip) => {
      const slot = firstSlot + vip;
      const own = column === undefined ? [...vipRecords(plan, service, has, vip)] : [vipWord(plan.vips, slot, column)];
      if (own.some((rrset) => rrset < 0)) return [];
      const rrsets = own.filter((rrset) => !seen.has(rrset));
      for (const rrset of rrsets) seen.add(rrset);
      return [{ slot, rrsets }];
    });
    return [
      {
        service,
        type,
        rrsets: named.map(({ rrsets }) => rrsets),
        ttlSeconds,
        slots: named.map(({ slot }) => slot),
        all: countWith(plan, service, has),
      },
    ];
  };
  const of = (service: number): DefaultRrset[] => {
    const all = hasOf(service);
    const others = hasBits(plan, service)
      .filter((has) => has >= HAS.FIRST_OTHER)
      .map((has): Kind => ({ has, type: otherType(plan, service, has), column: undefined }));
    const wanted = [...TYPES, ...others].filter(({ has }) => ((all & HAS.CNAME) === 0 ? all & has : has === HAS.CNAME)); // prettier-ignore
    const answers = wanted.flatMap((kind) => answerOf(service, kind, MAX_TTL_SECONDS));
    // A static CNAME covers every type, so it is alone.
    const cname = answers.find(({ type }) => type === TYPE.CNAME);
    return cname ? [cname] : answers;
  };
  return {
    of,
    covers: (service, type) =>
      type === TYPE.CNAME ||
      TYPES.some((each) => each.type === type && (hasOf(service) & each.has) !== 0) ||
      otherBit(plan, service, type) !== 0,
  };
}

/** The result of `locate` for an address without a known location: class 0 of the atlas. */
function locateNowhere({ plan }: Steerer, service: number, has: number): number {
  return (mapOf(plan, service, has)?.outcomes[0] ?? 0) * 256;
}

/** The `most` VIPs with the largest weights, the first of equals, in the order of the file. */
function heaviest(weights: Int32Array, firstSlot: number, vips: readonly number[], most: number): readonly number[] {
  if (vips.length <= most) return vips;
  const weightOf = (vip: number): number => weights[firstSlot + vip] ?? 0;
  const sorted = vips.toSorted((a, b) => weightOf(b) - weightOf(a) || a - b);
  return sorted.slice(0, most).sort((a, b) => a - b);
}
