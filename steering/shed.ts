/**
 * Shedding (docs/steering.md#which-clients-are-shed): VIPs close to full give up clients, in the same order each time.
 * Each VIP has a pressure in the health table: the share of clients to shed in 65536ths; FULL or more sheds all of
 * them. Each client network bears a pressure at each VIP, 0 to 65535, given by a hash. If the pressure of a VIP is
 * greater, the VIP is not a candidate for that client, as if it were down. If no candidate is left, the VIPs with the
 * least excess pressure are kept.
 *
 * So clients are not sent to a full VIP while the steps lead to one without pressure, and load never makes an answer
 * empty. If all VIPs refuse a client, small differences of their pressures move few clients. A rule that sent all of
 * them to the VIP that is not yet full would fill it within a TTL, and then the next one
 * (test/unit/steering/load.test.ts).
 */
import { pressureAt } from '../health/health-table.ts';
import { startCandidates } from './candidates.ts';
import { DEGREE, type Steerer, candidateAt } from './decision.ts';
import { SERVICE, VIP, type SteeringPlan, serviceWord, vipWord } from './plan.ts';
import { narrow } from './program.ts';
import { hashNetwork, mix } from './sticky-step.ts';

/**
 * Clients are distinguished by networks of these lengths, the defaults of `sticky`: resolvers send client subnets so.
 */
const SHED_V4_BITS = 24;
const SHED_V6_BITS = 56;

/** Makes the order of shedding independent of the preferences of `sticky`. */
const SALT = 0x5368_6564;

/**
 * By how much the pressure of a VIP may exceed what this client bears. Usually 0; more if all VIPs that the steps lead
 * to refuse the client; -1 if pressure does not affect this client. Unless it is -1, the scope is set to the client's
 * network, because the candidates are specific to it.
 *
 * If none of the VIPs that the steps leave is under pressure, they serve the client. A client that is not sent to a
 * shedding VIP is therefore not moved by it, even if `within` counts from that VIP's region.
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
  // A single candidate has no other VIP to shed clients to: all clients get it.
  if (decision.count <= 1) return -1;
  narrow(steerer, service, has, located);
  if (!hasPressed(steerer, firstSlot)) return -1;
  const networkBits = bits === 32 ? SHED_V4_BITS : SHED_V6_BITS;
  decision.scopeBits = Math.max(decision.scopeBits, networkBits);
  const network = shedNetwork(client, bits);
  for (let limit = 0; ;) {
    startCandidates(steerer, service, has, DEGREE.AVAILABLE, false);
    const next = nextExcess(steerer, firstSlot, network, limit);
    keep(steerer, firstSlot, network, limit);
    narrow(steerer, service, has, located);
    // If all candidates are admitted, at least one is left: see above.
    if (decision.count > 0 || next < 0) return limit;
    limit = next;
  }
}

/** Drops the candidates whose pressure exceeds what the client bears by more than `limit`. */
export function keepWithin(steerer: Steerer, service: number, client: Uint8Array, bits: number, limit: number): void {
  const firstSlot = serviceWord(steerer.plan.services, service, SERVICE.FIRST_SLOT);
  keep(steerer, firstSlot, shedNetwork(client, bits), limit);
}

/** The client's network as a number, for `bearing`. */
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
    if (health.pressures[firstSlot + candidateAt(decision.candidates, c)] !== 0) return true;
  }
  return false;
}

function excess(steerer: Steerer, slot: number, network: number): number {
  return Math.max(0, pressureAt(steerer.health, slot) - bearing(steerer.plan, slot, network));
}

/** The least excess of a candidate that is above `limit`; -1 if there is none. */
function nextExcess(steerer: Steerer, firstSlot: number, network: number, limit: number): number {
  const { candidates, count } = steerer.decision;
  let next = -1;
  for (let c = 0; c < count; c++) {
    const own = excess(steerer, firstSlot + candidateAt(candidates, c), network);
    if (own > limit && (next < 0 || own < next)) next = own;
  }
  return next;
}

function keep(steerer: Steerer, firstSlot: number, network: number, limit: number): void {
  const { decision } = steerer;
  const { candidates, count } = decision;
  let kept = 0;
  for (let c = 0; c < count; c++) {
    const vip = candidateAt(candidates, c);
    if (excess(steerer, firstSlot + vip, network) <= limit) candidates[kept++] = vip;
  }
  decision.count = kept;
}
