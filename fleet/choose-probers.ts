/**
 * Chooses the nodes that probe a target: in each region, the fresh nodes with the highest scores by rendezvous hashing
 * (D. Thaler, C. Ravishankar, "Using name-based mappings to increase hit rates", 1998). Every node computes the same
 * result without asking the others, and the loss of a node moves only the targets that it probed. Pure.
 */
import { createHash } from 'node:crypto';
import type { Probers } from '../config/fleet-rule.ts';

/** The largest region of which all nodes probe by default. */
const SMALL_REGION = 5;
const DEFAULT_PROBERS = 3;

/** How many nodes of a region with `nodes` fresh nodes probe a target. */
export function probersWanted(probers: Probers, nodes: number): number {
  if (probers === 'all') return nodes;
  if (probers !== undefined) return Math.min(probers, nodes);
  return nodes <= SMALL_REGION ? nodes : DEFAULT_PROBERS;
}

/** The node's part of the hash, computed once per node. */
export function nodeSeed(node: string): number {
  return createHash('sha256').update(node).digest().readUInt32BE(0);
}

/**
 * Whether the node with seed `own` has one of the `wanted` highest scores of its region for a target. `seeds` are the
 * seeds of the region's fresh nodes, including `own`; `target` is the start of the target's digest.
 */
export function isProber(target: number, own: number, seeds: readonly number[], wanted: number): boolean {
  if (wanted >= seeds.length) return true;
  const score = scoreOf(target, own);
  let better = 0;
  for (const seed of seeds) {
    // Different seeds have different scores: each step of `scoreOf` is a bijection of 32-bit numbers.
    if (scoreOf(target, seed) > score) better += 1;
    if (better >= wanted) return false;
  }
  return true;
}

/** MurmurHash3's 32-bit finaliser over both numbers. */
function scoreOf(target: number, seed: number): number {
  let hash = target ^ Math.imul(seed, 0x9e37_79b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
