/** What `fleet-week.ts` keeps while it runs, and what can be asked of it. */
import { isProber, probersWanted } from '../../fleet/choose-probers.ts';
import { VOTE, type Stand, type Vote } from '../../fleet/count.ts';
import { HEARTBEAT_MS } from '../../fleet/member.ts';
import { PROBED } from '../../health/health-table.ts';
import type { EventQueue } from './event-queue.ts';
import { LATE_MS, type Ledger } from './fleet-ledger.ts';
import type { Pair, Probing, Timing } from './fleet-probing.ts';
import type { World } from './fleet-world.ts';
import type { Dice } from './random.ts';

/** A peer that was not heard for so long does not vote. */
export const FRESH_MS = 3 * HEARTBEAT_MS;
export const FULL_MS = 2 * HEARTBEAT_MS;
/** Changed votes that follow each other by less are one message (fleet/member.ts). */
export const CHANGES_GAP_MS = 20;

/** The votes on a target as the observers know them, while not all say up. */
export type Hot = {
  readonly target: number;
  /** By observer and node. */
  readonly views: Uint8Array;
  readonly versions: Float64Array;
  /** By observer and region: votes for up, for down. */
  readonly ups: Int32Array;
  readonly downs: Int32Array;
  /** The same by observer alone. */
  readonly allUps: Int32Array;
  readonly allDowns: Int32Array;
  readonly verdicts: Uint8Array;
  readonly shares: Uint8Array;
  /** Stands that observers hold on a tie, as the others know them. */
  readonly held: Uint8Array;
  /** Since when observers hold a stand. */
  readonly heldSince: Float64Array;
  pending: number;
};

export type Week = {
  readonly world: World;
  readonly dice: Dice;
  readonly queue: EventQueue;
  readonly probing: Probing;
  readonly aloneProbing: Probing;
  readonly lockProbing: Probing;
  readonly ledgers: { readonly fleet: Ledger; readonly share: Ledger; readonly alone: Ledger; readonly lock: Ledger };
  readonly hashes: Int32Array;
  readonly seeds: readonly number[];
  readonly names: readonly { readonly node: string; readonly region: string }[];
  /** What the product's count says of regions that lean so. */
  readonly stands: Map<string, Stand | undefined>;
  readonly hot: Map<number, Hot>;
  /** By observer and node. */
  readonly fresh: Uint8Array;
  /** Probers of a region's nodes, by target; renewed when the region's fresh nodes change. */
  readonly probers: Map<number, readonly number[]>[];
  /** Nodes that are cut off and decide alone. */
  readonly islands: Set<number>;
  readonly islandDowns: Map<number, Set<number>>;
  readonly abstains: Set<number>;
  readonly usable: Uint8Array;
  readonly usableSince: Float64Array;
  readonly seconds: Map<number, { second: number; probes: number }>;
  /** When probers of a region last doubted a target, by region and target. */
  readonly doubted: Map<number, number>;
  readonly timing: Timing;
  version: number;
  changes: number;
  changeMessages: number;
  /** By node: until when changes join the message that is due, and when the next one may be sent. */
  readonly joinMs: Float64Array;
  readonly tellMs: Float64Array;
  counts: number;
  computed: number;
  peak: number;
  falseWhileCutOff: number;
  extraFulls: number;
  held: number;
  /** When the last split between two regions ended. */
  readonly apartMs: Float64Array;
  /** When a region's nodes last sent all votes for a newcomer. */
  readonly welcomedMs: Float64Array;
};

/** Whether a split keeps the region from the target, or did a moment ago. */
export function isApart({ world, queue, apartMs }: Week, region: number, target: number): boolean {
  const { regions, sites } = world.size;
  const home = (target % sites) % regions;
  return world.isApart(region, target) || queue.now() - (apartMs[region * regions + home] ?? 0) < LATE_MS;
}

export function probersOf(week: Week, region: number, target: number): readonly number[] {
  const known = week.probers[region]?.get(target);
  if (known !== undefined) return known;
  const { world, fresh, seeds, hashes } = week;
  const mates: number[] = [];
  for (let node = region; node < world.size.nodes; node += world.size.regions) {
    if (fresh[region * world.size.nodes + node] === 1) mates.push(node);
  }
  const seedsOfMates = mates.map((node) => seeds[node] ?? 0);
  const wanted = probersWanted(undefined, mates.length);
  const chosen = mates.filter((node) => isProber(hashes[target] ?? 0, seeds[node] ?? 0, seedsOfMates, wanted));
  week.probers[region]?.set(target, chosen);
  return chosen;
}

export function probersOfAll(week: Week, target: number): number {
  let probers = 0;
  for (let region = 0; region < week.world.size.regions; region++) probers += probersOf(week, region, target).length;
  return probers;
}

/** The node that holds the lock of a target: a live one that reaches the store of locks. */
export function holderOf({ world, hashes }: Week, target: number): number {
  const { nodes } = world.size;
  const first = ((hashes[target] ?? 0) >>> 0) % nodes;
  for (let at = 0; at < nodes; at++) {
    const node = (first + at) % nodes;
    if (world.isLinked(node) && world.groupOf(world.regionOf(node)) === world.groupOf(0)) return node;
  }
  return first;
}

export function hears({ world }: Week, observer: number, node: number): boolean {
  return world.isLinked(node) && world.groupOf(world.regionOf(node)) === world.groupOf(observer);
}

export function voteIn(state: Pair['state']): Vote {
  if (!state.decided || state.probed === PROBED.UNKNOWN) return VOTE.UNKNOWN;
  return state.probed === PROBED.UP ? VOTE.UP : VOTE.DOWN;
}

/** A node's vote as it sends it. */
export function voteOf(week: Week, node: number, target: number): Vote {
  const { world, probing, abstains } = week;
  if (!world.isAlive(node)) return VOTE.UNKNOWN;
  const pair = probing.get(node, target);
  if (pair === undefined && !probersOf(week, world.regionOf(node), target).includes(node)) return VOTE.UNKNOWN;
  if (abstains.has(node)) return VOTE.ABSTAIN;
  return pair === undefined ? VOTE.UP : voteIn(pair.state);
}

export function notePeak(week: Week, target: number, probes: number): void {
  const second = Math.floor(week.queue.now() / 1000);
  const known = week.seconds.get(target);
  const count = known?.second === second ? known : { second, probes: 0 };
  count.probes += probes;
  week.seconds.set(target, count);
  week.peak = Math.max(week.peak, count.probes);
}
