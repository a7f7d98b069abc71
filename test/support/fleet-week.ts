/**
 * A large fleet over a long time, by events: only what changes something is executed. The world (`fleet-world.ts`),
 * the hysteresis, the choice of probers and the count are those of the product; heartbeats that change nothing and
 * probes whose results are certain are computed. `fleet-executed.ts` runs the same world with everything executed, on
 * real members; test/unit/fleet/fleet-week.test.ts compares both.
 *
 * The nodes of a region that hear the others share one view of the votes: that of their observer. A node that is cut
 * off decides by its own votes.
 */
import { nodeSeed } from '../../fleet/choose-probers.ts';
import { PROBED } from '../../health/health-table.ts';
import { contradicting } from '../../health/hysteresis.ts';
import { createEventQueue } from './event-queue.ts';
import { createLedger, type Ledger, type LedgerReport } from './fleet-ledger.ts';
import { createProbing, DEFAULT_TIMING, UP_STATE, type Probing, type Timing } from './fleet-probing.ts';
import { turn } from './fleet-week-faults.ts';
import { holderOf, isApart, notePeak, probersOf, probersOfAll, voteIn, type Week } from './fleet-week-state.ts';
import { abstain, cool, heat, takeFleetResult } from './fleet-week-votes.ts';
import { exponential, USUAL_LOSS, type World } from './fleet-world.ts';
import type { Dice } from './random.ts';

export type WeekOptions = {
  readonly world: World;
  readonly dice: Dice;
  readonly timing?: Timing;
};

export type WeekReport = {
  /** By who decides: observers are regions, for `alone` one node of each region, for `lock` all nodes together. */
  readonly fleet: LedgerReport;
  readonly share: LedgerReport;
  readonly alone: LedgerReport;
  readonly lock: LedgerReport;
  /** Failovers from usable targets by nodes that were cut off from the fleet and clients could reach. */
  readonly falseWhileCutOff: number;
  /** Probers of a target while all nodes are fresh. */
  readonly probers: number;
  /** Probes that were executed, and those of them in doubt, which come beside the regular ones. */
  readonly probesExecuted: number;
  readonly probesInDoubt: number;
  /** Probes in doubt that would have passed, and were computed. */
  readonly probesComputed: number;
  /** The most probes of one target in a second. */
  readonly peakProbes: number;
  /** Changed votes that were sent, and in how many messages. */
  readonly changes: number;
  readonly changeMessages: number;
  /** How often an observer counted all votes on a target. */
  readonly counts: number;
  /** Messages with all votes that nodes sent beside the regular ones: for newcomers, and when they abstained. */
  readonly extraFulls: number;
  /** Stands on a tie in messages with all votes. */
  readonly held: number;
};

export function runWeek({ world, dice, timing = DEFAULT_TIMING }: WeekOptions): WeekReport {
  const week = createWeek(world, dice, timing);
  const { queue } = week;
  for (const fault of world.faults) {
    queue.at(fault.startMs, () => {
      turn(week, fault, true);
    });
    queue.at(fault.endMs, () => {
      turn(week, fault, false);
    });
  }
  drawBadLuck(week);
  queue.runUntil(world.size.durationMs);
  const { ledgers, probing } = week;
  return {
    fleet: ledgers.fleet.report(),
    share: ledgers.share.report(),
    alone: ledgers.alone.report(),
    lock: ledgers.lock.report(),
    falseWhileCutOff: week.falseWhileCutOff,
    probers: probersOfAll(week, 0),
    probesExecuted: probing.counts.executed,
    probesInDoubt: probing.counts.fast,
    probesComputed: week.computed,
    peakProbes: week.peak,
    changes: week.changes,
    changeMessages: week.changeMessages,
    counts: week.counts,
    extraFulls: week.extraFulls,
    held: week.held,
  };
}

function createWeek(world: World, dice: Dice, timing: Timing): Week {
  const { nodes, regions, targets } = world.size;
  const queue = createEventQueue();
  const ledger = (observers: number): Ledger =>
    createLedger(observers, targets, queue.now, (observer, target) => isApart(week, observer, target));
  const shared = { queue, world, dice, timing, rests: true };
  const week: Week = {
    world,
    dice,
    queue,
    timing,
    probing: createProbing({
      ...shared,
      suspects: true,
      taking: ({ target, state }, passed) => {
        if (!passed && (!state.decided || contradicting(state) >= timing.fall - 1)) heat(week, target);
      },
      taken: (pair, before) => {
        takeFleetResult(week, pair, voteIn(before));
      },
      dropped: ({ target }) => {
        const each = week.hot.get(target);
        if (each !== undefined) cool(week, each);
      },
      froze: (node, isFrozen) => {
        abstain(week, node, isFrozen);
      },
      started: (target) => {
        notePeak(week, target, 1);
      },
    }),
    aloneProbing: createProbing({
      ...shared,
      suspects: true,
      taken: ({ node, target, state }) => {
        week.ledgers.alone.show(node, target, state.probed === PROBED.DOWN);
      },
    }),
    lockProbing: createProbing({
      ...shared,
      suspects: false,
      isLock: true,
      taken: ({ target, state }) => {
        week.ledgers.lock.show(0, target, state.probed === PROBED.DOWN);
      },
    }),
    ledgers: { fleet: ledger(regions), share: ledger(regions), alone: ledger(regions), lock: ledger(1) },
    hashes: Int32Array.from({ length: targets }, () => dice.below(0xffff_ffff)),
    seeds: Array.from({ length: nodes }, (_, node) => nodeSeed(`node${String(node)}`)),
    names: Array.from({ length: nodes }, (_, node) => ({ node: String(node), region: String(world.regionOf(node)) })),
    hot: new Map(),
    stands: new Map(),
    fresh: new Uint8Array(regions * nodes).fill(1),
    probers: Array.from({ length: regions }, () => new Map<number, readonly number[]>()),
    islands: new Set(),
    islandDowns: new Map(),
    abstains: new Set(),
    usable: new Uint8Array(targets).fill(1),
    usableSince: new Float64Array(targets).fill(Number.NEGATIVE_INFINITY),
    seconds: new Map(),
    doubted: new Map(),
    version: 0,
    changes: 0,
    changeMessages: 0,
    joinMs: new Float64Array(nodes),
    tellMs: new Float64Array(nodes),
    counts: 0,
    computed: 0,
    peak: 0,
    falseWhileCutOff: 0,
    extraFulls: 0,
    held: 0,
    apartMs: new Float64Array(regions * regions).fill(Number.NEGATIVE_INFINITY),
    welcomedMs: new Float64Array(regions).fill(Number.NEGATIVE_INFINITY),
  };
  return week;
}

/**
 * Probes that are lost one by one, without a fault: as many in a row as take a target down. They are drawn as a Poisson
 * process, since executing each probe of a week for them would take days.
 */
function drawBadLuck(week: Week): void {
  const { world, dice, queue, timing, probing, aloneProbing, lockProbing } = week;
  const { targets, regions, durationMs } = world.size;
  const meanOfPairMs = timing.intervalMs / USUAL_LOSS ** timing.fall;
  const kinds: readonly [Probing, number, (target: number) => number][] = [
    [probing, probersOfAll(week, 0), (target) => dice.pick(probersOf(week, dice.below(regions), target))],
    [aloneProbing, regions, () => dice.below(regions)],
    [lockProbing, 1, (target) => holderOf(week, target)],
  ];
  for (const [each, perTarget, pick] of kinds) {
    const next = (): number => exponential(meanOfPairMs / (perTarget * targets), dice);
    for (let atMs = next(); atMs < durationMs; atMs += next()) {
      queue.at(atMs, () => {
        const target = dice.below(targets);
        const node = pick(target);
        if (!world.isAlive(node) || each.get(node, target) !== undefined) return;
        each.add(node, target, UP_STATE, 0).unlucky = timing.fall;
      });
    }
  }
}
