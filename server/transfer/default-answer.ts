/**
 * The records of a steered name in a zone transfer: the answer to a client of unknown location while all VIPs are up.
 * The function that steers packets computes it, from a health table in which all VIPs are up with the weights of the
 * file. Random choices are then removed:
 *
 * - addresses: all VIPs that the steps leave, in the order of the file, regardless of `answers`
 * - CNAME: the one of these with the greatest weight, the first of equals (RFC 2181 10.1: a name has at most one)
 * - TTL: the service's minimum
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
import { HAS, mapOf, SERVICE, VIP, serviceWord, vipWord } from '../../steering/plan.ts';
import { createRandom } from '../../steering/random.ts';
import { MAX_VIPS } from '../../wire/limits.ts';
import { TYPE } from '../../wire/types.ts';
import type { Image } from '../../zones/image/image.ts';

export type DefaultRrset = {
  readonly type: number;
  /** The RRsets that contain its records, in rows from the zone's row. */
  readonly rrsets: readonly number[];
  readonly ttlSeconds: number;
  /** The slots of the VIPs that the records are of; empty for a static answer (`when_all_down`). */
  readonly slots: readonly number[];
};

export type DefaultAnswers = {
  /** The steered RRsets of a service. Empty where steering leaves no VIP, for example behind a fence. */
  of(service: number): DefaultRrset[];
  /** Whether records of a type come from steering, not from the node. */
  covers(service: number, type: number): boolean;
};

const TYPES = [
  { has: HAS.A, type: TYPE.A, column: VIP.RRSET_A, fallback: SERVICE.STATIC_A },
  { has: HAS.AAAA, type: TYPE.AAAA, column: VIP.RRSET_AAAA, fallback: SERVICE.STATIC_AAAA },
  { has: HAS.CNAME, type: TYPE.CNAME, column: VIP.RRSET_CNAME, fallback: SERVICE.STATIC_CNAME },
] as const;

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
    observer: undefined,
  };
  const unknownClient = new Uint8Array(4);
  const hasOf = (service: number): number => serviceWord(services, service, SERVICE.HAS);
  const of = (service: number): DefaultRrset[] => {
    const all = hasOf(service);
    const wanted = TYPES.filter(({ has }) => ((all & HAS.CNAME) === 0 ? all & has : has === HAS.CNAME));
    return wanted.flatMap(({ has, type, column, fallback }) => {
      steer(steerer, service, has, locateNowhere(steerer, service, has), unknownClient, 32);
      const ttlSeconds = serviceWord(services, service, SERVICE.TTL_MIN);
      if (decision.result === RESULT.STATIC) {
        // A static CNAME covers every type, so it is added once.
        const cname = serviceWord(services, service, SERVICE.STATIC_CNAME);
        const rrset = serviceWord(services, service, fallback);
        if (cname >= 0)
          return has === wanted[0]?.has ? [{ type: TYPE.CNAME, rrsets: [cname], ttlSeconds, slots: [] }] : [];
        return rrset >= 0 ? [{ type, rrsets: [rrset], ttlSeconds, slots: [] }] : [];
      }
      if (decision.result !== RESULT.VIPS) return [];
      const firstSlot = serviceWord(services, service, SERVICE.FIRST_SLOT);
      const chosen = [...decision.candidates.subarray(0, decision.count)].sort((a, b) => a - b);
      const kept = type === TYPE.CNAME ? [heaviest(health.weights, firstSlot, chosen)] : chosen;
      const named = kept
        .map((vip) => ({ slot: firstSlot + vip, rrset: vipWord(plan.vips, firstSlot + vip, column) }))
        .filter(({ rrset }) => rrset >= 0);
      return [{ type, rrsets: named.map(({ rrset }) => rrset), ttlSeconds, slots: named.map(({ slot }) => slot) }];
    });
  };
  return {
    of,
    covers: (service, type) =>
      type === TYPE.CNAME || TYPES.some((each) => each.type === type && (hasOf(service) & each.has) !== 0),
  };
}

/** The result of `locate` for an address without a known location: class 0 of the atlas. */
function locateNowhere({ plan }: Steerer, service: number, has: number): number {
  return (mapOf(plan, service, has)?.outcomes[0] ?? 0) * 256;
}

function heaviest(weights: Int32Array, firstSlot: number, vips: readonly number[]): number {
  let best = vips[0] ?? 0;
  for (const vip of vips) if ((weights[firstSlot + vip] ?? 0) > (weights[firstSlot + best] ?? 0)) best = vip;
  return best;
}
