/**
 * Shedding (SPEC 4): VIPs close to full give up clients, the same first each time. Each VIP has a pressure in the health
 * table: a share of the clients in 65536ths, and FULL or more where it wants none. Each client's network bears a
 * pressure of its own at each VIP, 0 to 65535, by a hash. Where the pressure is greater, the VIP is no candidate for
 * that client, as if it were down; and where that leaves nobody, those that are least over what the client bears.
 *
 * So nobody is sent to a full VIP while the steps lead to one that has no pressure, and an answer is never empty for
 * load. Between VIPs that all refuse a client, small differences move few clients: a rule that sent all of them to
 * whoever is not yet full would fill him within a TTL, and then the next (test/unit/steering/load.test.ts).
 */
import { startCandidates } from './candidates.ts';
import { DEGREE, type Steerer } from './decision.ts';
import { SERVICE, VIP, type SteeringPlan, serviceWord, vipWord } from './plan.ts';
import { narrow } from './program.ts';
import { hashNetwork, mix } from './sticky-step.ts';

/** Clients are told apart by networks of these lengths, as those of `sticky` by default: how resolvers send them. */
const SHED_V4_BITS = 24;
const SHED_V6_BITS = 56;

/** So that who is shed first has nothing to do with whom `sticky` prefers. */
const SALT = 0x5368_6564;

/**
 * How far over what it bears this client's VIPs may be: 0 mostly, more where all that the steps lead to want no more of
 * it, -1 where no pressure has to do with this client. Else sees to the scope: the candidates are those of its network.
 *
 * Of the VIPs that the steps leave, none is under pressure: then these serve it. Whoever is not sent to a VIP that sheds
 * is not moved by it, also where `within` counts from that VIP's region.
 */
export function shedLimitOf(
  steerer: Steerer,
  service: number,
  has: number,
  located: number,
  client: Uint8Array,
  bits: number,
): number {
  const { plan, decision } = steerer;
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  if (!isPressed(steerer, service)) return -1;
  startCandidates(steerer, service, has, DEGREE.AVAILABLE, false);
  // With one candidate there is nobody to shed clients to: all get the same.
  if (decision.count <= 1) return -1;
  narrow(steerer, service, has, located);
  if (!hasPressed(steerer, firstSlot)) return -1;
  const networkBits = bits === 32 ? SHED_V4_BITS : SHED_V6_BITS;
  if (networkBits > decision.scopeBits) decision.scopeBits = networkBits;
  const network = shedNetwork(client, bits);
  for (let limit = 0; ;) {
    startCandidates(steerer, service, has, DEGREE.AVAILABLE, false);
    const next = nextExcess(steerer, firstSlot, network, limit);
    keep(steerer, firstSlot, network, limit);
    narrow(steerer, service, has, located);
    // With all of them, somebody is left: see above.
    if (decision.count > 0 || next < 0) return limit;
    limit = next;
  }
}

/** Drops the candidates that are more than `limit` over what the client bears. */
export function keepWithin(steerer: Steerer, service: number, client: Uint8Array, bits: number, limit: number): void {
  const firstSlot = serviceWord(steerer.plan.services, service, SERVICE.FIRST_SLOT);
  keep(steerer, firstSlot, shedNetwork(client, bits), limit);
}

/** The client's network as shedding knows it: a number for `bearing`. */
export function shedNetwork(client: Uint8Array, bits: number): number {
  return hashNetwork(client, bits === 32 ? SHED_V4_BITS : SHED_V6_BITS);
}

/** The pressure that a network bears at the VIP, 0 to 65535. */
export function bearing(plan: SteeringPlan, slot: number, network: number): number {
  return mix(network ^ vipWord(plan.vips, slot, VIP.HASH) ^ SALT) >>> 16;
}

/** Whether any VIP of the service has a pressure. */
export function isPressed({ plan, health }: Steerer, service: number): boolean {
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  const end = firstSlot + serviceWord(plan.services, service, SERVICE.VIP_COUNT);
  for (let slot = firstSlot; slot < end; slot++) if (health.pressures[slot] !== 0) return true;
  return false;
}

function hasPressed({ health, decision }: Steerer, firstSlot: number): boolean {
  for (let c = 0; c < decision.count; c++) {
    if (health.pressures[firstSlot + (decision.candidates[c] ?? 0)] !== 0) return true;
  }
  return false;
}

function excess(steerer: Steerer, slot: number, network: number): number {
  const pressure = steerer.health.pressures[slot] ?? 0;
  return pressure === 0 ? 0 : Math.max(0, pressure - bearing(steerer.plan, slot, network));
}

/** The least excess of a candidate that is over `limit`; -1 where none is. */
function nextExcess(steerer: Steerer, firstSlot: number, network: number, limit: number): number {
  const { candidates, count } = steerer.decision;
  let next = -1;
  for (let c = 0; c < count; c++) {
    const own = excess(steerer, firstSlot + (candidates[c] ?? 0), network);
    if (own > limit && (next < 0 || own < next)) next = own;
  }
  return next;
}

function keep(steerer: Steerer, firstSlot: number, network: number, limit: number): void {
  const { decision } = steerer;
  const { candidates, count } = decision;
  let kept = 0;
  for (let c = 0; c < count; c++) {
    const vip = candidates[c] ?? 0;
    if (excess(steerer, firstSlot + vip, network) <= limit) candidates[kept++] = vip;
  }
  decision.count = kept;
}
