/**
 * `sticky`: weighted rendezvous hashing (D. Thaler, C. Ravishankar, "Using name-based mappings to increase hit
 * rates", 1998; weights as in J. Schindelhauer and G. Schomaker, "Weighted distributed hash tables", 2005). The
 * same network gets the same VIP on every node. A VIP that fails moves only its own clients.
 */
import { weightAt } from '../health/health-table.ts';
import { get8 } from '../wire/octets.ts';
import { candidateAt, type Steerer } from './decision.ts';
import { VIP, vipWord } from './plan.ts';

/** Prefix lengths: the IPv4 or IPv6 networks that count as one client. */
export type StickyStep = { readonly v4Bits: number; readonly v6Bits: number };

/**
 * Orders the candidates by their score for the first `bits` bits of `client`, best first. If one is `wanted`, the order
 * of the others is unspecified. The caller has dropped standbys if there are other candidates.
 */
export function orderSticky(
  steerer: Steerer,
  firstSlot: number,
  client: Uint8Array,
  bits: number,
  wanted: number,
): void {
  const { candidates, scores, count } = steerer.decision;
  const network = hashNetwork(client, bits);
  if (wanted === 1) {
    putBestFirst(steerer, firstSlot, network);
    return;
  }
  for (let c = 0; c < count; c++) {
    const slot = firstSlot + candidateAt(candidates, c);
    const score = scoreOf(weightOf(steerer, slot), drawOf(steerer, slot, network));
    // Insertion sort: a service has few VIPs, and nothing is allocated.
    const vip = candidateAt(candidates, c);
    let at = c;
    for (; at > 0 && (scores[at - 1] ?? 0) < score; at--) {
      scores[at] = scores[at - 1] ?? 0;
      candidates[at] = candidateAt(candidates, at - 1);
    }
    scores[at] = score;
    candidates[at] = vip;
  }
}

/**
 * Moves the candidate with the highest score to the front. Since 1 - u <= -ln u <= (1 - u) / u, a score lies between
 * two bounds that need no logarithm and usually decide the comparison.
 */
function putBestFirst(steerer: Steerer, firstSlot: number, network: number): void {
  const { candidates, count } = steerer.decision;
  let best = 0;
  let weight = 0;
  let draw = 0.5;
  for (let c = 0; c < count; c++) {
    const slot = firstSlot + candidateAt(candidates, c);
    const ownWeight = weightOf(steerer, slot);
    const ownDraw = drawOf(steerer, slot, network);
    // As products, because divisions are slow: most(own) <= least(best), then most(best) < least(own).
    if (ownWeight * (1 - draw) <= weight * draw * (1 - ownDraw)) continue;
    if (
      weight * (1 - ownDraw) < ownWeight * ownDraw * (1 - draw) ||
      scoreOf(ownWeight, ownDraw) > scoreOf(weight, draw)
    ) {
      best = c;
      weight = ownWeight;
      draw = ownDraw;
    }
  }
  const vip = candidateAt(candidates, best);
  candidates[best] = candidateAt(candidates, 0);
  candidates[0] = vip;
}

function scoreOf(weight: number, draw: number): number {
  return -weight / Math.log(draw);
}

/** The weight of a VIP. Standbys alone have equal weights. */
function weightOf({ health }: Steerer, slot: number): number {
  return Math.max(weightAt(health, slot), 1e-3);
}

/** The draw of a VIP for a network: a number inside (0, 1), so that its logarithm is negative and finite. */
function drawOf({ plan }: Steerer, slot: number, network: number): number {
  return ((mix(network ^ vipWord(plan.vips, slot, VIP.HASH)) >>> 0) + 0.5) / 4_294_967_296;
}

/** MurmurHash3's 32-bit finaliser. */
export function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return hash ^ (hash >>> 16);
}

/** A hash of the first `bits` bits of the address. */
export function hashNetwork(client: Uint8Array, bits: number): number {
  let hash = 0x811c_9dc5 | 0;
  for (let bit = 0; bit < bits; bit += 8) {
    const octet = get8(client, bit >> 3);
    const kept = bits - bit >= 8 ? octet : octet & (0xff << (8 - (bits - bit)));
    hash = Math.imul(hash ^ kept, 0x0100_0193);
  }
  return mix(hash ^ bits);
}
