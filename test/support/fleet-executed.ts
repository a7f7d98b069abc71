/**
 * The same world as in `fleet-week.ts`, with everything executed: a real member per node, each heartbeat, each message
 * to each node, each probe. For small fleets and short times.
 */
import { VOTE, type Vote } from '../../fleet/count.ts';
import type { TargetDigest } from '../../fleet/vote-message.ts';
import { PROBED } from '../../health/health-table.ts';
import { FIRST_ROUND_MS } from '../../health/limits.ts';
import { createLedger, type LedgerReport } from './fleet-ledger.ts';
import { createFleetNetwork, memberTarget, type FleetNode } from './fleet-network.ts';
import { createProbing, DEFAULT_TIMING, freshState, type Pair, type Timing } from './fleet-probing.ts';
import type { Fault, World } from './fleet-world.ts';
import type { Dice } from './random.ts';

export type ExecutedReport = {
  /** Observers are nodes. */
  readonly fleet: LedgerReport;
  readonly probers: number;
  readonly probes: number;
  readonly messages: number;
  readonly octets: number;
};

/** Until all nodes have probed and heard each other. Faults start after it. */
export const START_MS = 20_000;
/** After which a node that was cut off has heard the others again. */
const REJOINED_MS = 4000;

export function runExecuted({
  world,
  dice,
  timing = DEFAULT_TIMING,
}: {
  world: World;
  dice: Dice;
  timing?: Timing;
}): ExecutedReport {
  const { nodes, targets } = world.size;
  const joined = new Map<number, FleetNode>();
  const numberOf = (node: FleetNode): number => Number(node.name.slice('node'.length));
  const digestOf = (target: number): TargetDigest => digests[target] ?? '';
  const digests = Array.from({ length: targets }, () => [0, 1].map(() => hex(dice.below(0xffff_ffff))).join(''));
  const targetOf = new Map(digests.map((digest, target) => [digest, target]));
  const memberTargets = digests.map((digest) => memberTarget(digest));
  /** Nodes whose verdicts are compared: those that hear the others. */
  const watched = new Set<number>();

  const network = createFleetNetwork(dice, {
    jitterMs: 20,
    delayOf: (from, to) => world.messageMs(world.regionOf(numberOf(from)), world.regionOf(numberOf(to))),
    changed: (node, digest, verdict) => {
      const isWatched = watched.has(numberOf(node)) || !world.isUsable(targetOf.get(digest) ?? -1);
      if (isWatched) ledger.show(numberOf(node), targetOf.get(digest) ?? -1, verdict === VOTE.DOWN);
    },
    hastened: (node, digest) => {
      const pair = probing.get(numberOf(node), targetOf.get(digest) ?? -1);
      if (pair !== undefined) probing.doubt(pair);
    },
    probing: (node, digest, isProbing) => {
      const target = targetOf.get(digest) ?? -1;
      if (isProbing) probing.add(numberOf(node), target, freshState(), dice.below(FIRST_ROUND_MS));
      else {
        const pair = probing.get(numberOf(node), target);
        if (pair !== undefined) probing.drop(pair);
      }
    },
  });
  const at = (dueMs: number, run: () => void): void => {
    network.clock.after(Math.max(0, dueMs - network.now()), run);
  };
  const ledger = createLedger(nodes, targets, network.now);
  const probing = createProbing({
    queue: { at, now: network.now, nextMs: () => Infinity, runUntil: () => undefined },
    world,
    dice,
    timing,
    rests: false,
    suspects: true,
    taken: ({ node, target, state }) => {
      joined.get(node)?.member.vote(digestOf(target), voteIn(state), state.passed ? '' : 'connect refused');
    },
    froze: (node, isFrozen) => {
      joined.get(node)?.member.abstain(isFrozen);
    },
  });

  const join = (node: number): void => {
    const region = `region${String(world.regionOf(node))}`;
    joined.set(node, network.join(`node${String(node)}`, region, memberTargets));
  };
  const watch = (node: number): void => {
    watched.add(node);
    digests.forEach((digest, target) => {
      ledger.show(node, target, joined.get(node)?.member.verdict(digest) === VOTE.DOWN);
    });
  };
  const isHeard = (node: number): boolean => world.isAlive(node) && world.isLinked(node);
  const sent = { messages: 0, octets: 0 };
  const count = ({ messagesSent, octetsSent }: FleetNode): void => {
    sent.messages += messagesSent;
    sent.octets += octetsSent;
  };

  const turn = (fault: Fault, begins: boolean): void => {
    world.apply(fault, begins);
    for (let target = 0; target < targets; target++) ledger.turn(target, world.isUsable(target));
    network.partition((node) =>
      isHeard(numberOf(node)) ? world.groupOf(world.regionOf(numberOf(node))) : -1 - numberOf(node),
    );
    for (let node = 0; node < nodes; node++) {
      if (!isHeard(node)) watched.delete(node);
      else if (!watched.has(node)) {
        at(network.now() + REJOINED_MS, () => {
          if (isHeard(node) && !watched.has(node)) watch(node);
        });
      }
      probing.reconsider(node);
    }
    const process = joined.get(fault.node);
    if (fault.kind !== 'restart') return;
    if (begins && process !== undefined) {
      network.kill(process);
      count(process);
      joined.delete(fault.node);
      probing.forget(fault.node);
    } else if (!begins) join(fault.node);
  };

  for (let node = 0; node < nodes; node++) join(node);
  network.advance(START_MS);
  const probers = [...joined.values()].filter(({ member }) => member.isProbing(digestOf(0))).length;
  for (let node = 0; node < nodes; node++) watch(node);
  const before = probing.counts.executed;
  for (const node of network.nodes) Object.assign(node, { messagesSent: 0, octetsSent: 0 });
  for (const fault of world.faults) {
    at(START_MS + fault.startMs, () => {
      turn(fault, true);
    });
    at(START_MS + fault.endMs, () => {
      turn(fault, false);
    });
  }
  network.advance(world.size.durationMs);
  for (const node of network.nodes) count(node);
  return { fleet: ledger.report(), probers, probes: probing.counts.executed - before, ...sent };
}

function hex(number: number): string {
  return number.toString(16).padStart(8, '0');
}

function voteIn({ decided, probed }: Pair['state']): Vote {
  if (!decided || probed === PROBED.UNKNOWN) return VOTE.UNKNOWN;
  return probed === PROBED.UP ? VOTE.UP : VOTE.DOWN;
}
