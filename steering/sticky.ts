/**
 * `sticky`: weighted rendezvous hashing (D. Thaler, C. Ravishankar, "Using name-based mappings to increase hit
 * rates", 1998; weights as in J. Schindelhauer and G. Schomaker, "Weighted distributed hash tables", 2005). The
 * same network gets the same VIP on every node, and a VIP that goes moves only its own clients.
 */
import type { Steerer } from './decision.ts';
import { VIP } from './plan.ts';

/**
 * Orders all candidates by their score for the first `bits` bits of `client`, best first. Standbys beside others must
 * have been dropped.
 */
export function orderSticky(steerer: Steerer, firstSlot: number, client: Uint8Array, bits: number): void {
  const { plan, health, decision } = steerer;
  const { candidates, scores, count } = decision;
  const network = hashNetwork(client, bits);
  for (let c = 0; c < count; c++) {
    const slot = firstSlot + (candidates[c] ?? 0);
    const weight = Math.max(health.weights[slot] ?? 0, 1e-3); // among standbys alone: equal
    const hash = mix(network ^ (plan.vips[slot * VIP.WORDS + VIP.HASH] ?? 0));
    // (hash + 1/2) / 2^32 is inside (0, 1): the logarithm is negative and finite.
    const score = -weight / Math.log(((hash >>> 0) + 0.5) / 4_294_967_296);
    // Insertion: a service has few VIPs, and nothing is allocated.
    const vip = candidates[c] ?? 0;
    let at = c;
    for (; at > 0 && (scores[at - 1] ?? 0) < score; at--) {
      scores[at] = scores[at - 1] ?? 0;
      candidates[at] = candidates[at - 1] ?? 0;
    }
    scores[at] = score;
    candidates[at] = vip;
  }
}

/** MurmurHash3's 32-bit finaliser. */
export function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return hash ^ (hash >>> 16);
}

/** Of the first `bits` bits of the address. */
export function hashNetwork(client: Uint8Array, bits: number): number {
  let hash = 0x811c_9dc5 | 0;
  for (let bit = 0; bit < bits; bit += 8) {
    const octet = client[bit >> 3] ?? 0;
    const kept = bits - bit >= 8 ? octet : octet & (0xff << (8 - (bits - bit)));
    hash = Math.imul(hash ^ kept, 0x0100_0193);
  }
  return mix(hash ^ bits);
}
