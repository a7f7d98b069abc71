/**
 * Members of a fleet over a simulated network, with one clock for all. Messages may be delayed, lost, and cut off
 * between nodes. No socket is used; test/system/fleet uses real NATS servers.
 */
import { VOTE, type Vote } from '../../fleet/count.ts';
import { createMember, HEARTBEAT_MS, type Member, type MemberTarget } from '../../fleet/member.ts';
import type { TargetDigest } from '../../fleet/vote-message.ts';
import type { Cancel, Clock } from '../../health/clock.ts';
import { createEventQueue, type EventQueue } from './event-queue.ts';
import type { Dice } from './random.ts';

export type FleetNode = {
  readonly name: string;
  readonly region: string;
  member: Member;
  /** Targets that a peer's vote made this node probe early. */
  readonly hastened: TargetDigest[];
  /** Verdicts as they changed. */
  readonly changes: { readonly atMs: number; readonly target: TargetDigest; readonly verdict: Vote }[];
  octetsSent: number;
  messagesSent: number;
};

export type FleetNetwork = {
  readonly nodes: FleetNode[];
  join(name: string, region: string, targets: readonly MemberTarget[], config?: string): FleetNode;
  /** The process ends without a word. */
  kill(node: FleetNode): void;
  /** Only nodes with the same group hear each other. */
  partition(groupOf: (node: FleetNode) => number): void;
  /** Lets time pass. */
  advance(ms: number): void;
  readonly now: () => number;
  clock: Clock;
};

export type FleetNetworkOptions = {
  /** The time of all nodes; by default one of their own. */
  readonly queue?: EventQueue;
  readonly loss?: number;
  readonly delayMs?: number;
  readonly jitterMs?: number;
  /** Instead of `delayMs`. */
  readonly delayOf?: (from: FleetNode, to: FleetNode) => number;
  /** What a member asks of its node, and how its verdicts change. */
  readonly changed?: (node: FleetNode, target: TargetDigest, verdict: Vote) => void;
  readonly hastened?: (node: FleetNode, target: TargetDigest) => void;
  readonly probing?: (node: FleetNode, target: TargetDigest, isProbing: boolean) => void;
};

export function createFleetNetwork(dice: Dice, options: FleetNetworkOptions = {}): FleetNetwork {
  const { loss = 0, delayMs = 40, jitterMs = 20, delayOf = () => delayMs } = options;
  const queue = options.queue ?? createEventQueue();
  let groupOf: (node: FleetNode) => number = () => 0;
  const nodes: FleetNode[] = [];
  const clock: Clock = {
    now: queue.now,
    wall: () => 1_700_000_000_000 + queue.now(),
    after: (delay, run): Cancel => {
      let isCancelled = false;
      queue.at(queue.now() + delay, () => {
        if (!isCancelled) run();
      });
      return () => {
        isCancelled = true;
      };
    },
  };
  /** When the last message between two nodes arrives. */
  const arrivals = new Map<string, number>();
  const isAlive = (node: FleetNode): boolean => nodes.includes(node);
  const reaches = (from: FleetNode, to: FleetNode): boolean =>
    isAlive(from) && isAlive(to) && groupOf(from) === groupOf(to) && !dice.chance(loss);
  const carry = (from: FleetNode, to: FleetNode, arrive: () => void): void => {
    if (!reaches(from, to)) return;
    // NATS keeps the order of messages between two clients.
    const pair = `${from.name} ${to.name}`;
    const arrivesMs = Math.max(queue.now() + delayOf(from, to) + dice.below(jitterMs + 1), arrivals.get(pair) ?? 0);
    arrivals.set(pair, arrivesMs);
    queue.at(arrivesMs, () => {
      if (isAlive(to)) arrive();
    });
  };

  const join: FleetNetwork['join'] = (name, region, targets, config = 'c') => {
    const hastened: TargetDigest[] = [];
    const changes: FleetNode['changes'] = [];
    const member = createMember({
      node: name,
      region,
      run: String(dice.below(1e9)),
      version: '1',
      clock,
      send: (message) => {
        node.octetsSent += message.length;
        node.messagesSent += 1;
        for (const peer of nodes) {
          if (peer !== node) carry(node, peer, () => peer.member.hear(message));
        }
      },
      askList: (peerName) => {
        const peer = nodes.find((each) => each.name === peerName);
        if (peer === undefined) return;
        carry(node, peer, () => {
          const { list, digests, reasons } = peer.member.list();
          carry(peer, node, () => {
            node.member.hearList(peerName, list, digests, reasons);
          });
        });
      },
      changed: (target, verdict) => {
        changes.push({ atMs: queue.now(), target, verdict });
        options.changed?.(node, target, verdict);
      },
      hasten: (target) => {
        hastened.push(target);
        options.hastened?.(node, target);
      },
      probing: (target, isProbing) => {
        options.probing?.(node, target, isProbing);
      },
    });
    const node: FleetNode = { name, region, member, hastened, changes, octetsSent: 0, messagesSent: 0 };
    nodes.push(node);
    member.describe(config);
    member.configure(targets);
    const beat = (): void => {
      if (!isAlive(node)) return;
      member.beat();
      clock.after(HEARTBEAT_MS, beat);
    };
    clock.after(dice.below(HEARTBEAT_MS), beat);
    return node;
  };

  return {
    nodes,
    clock,
    join,
    kill: (node) => {
      nodes.splice(nodes.indexOf(node), 1);
    },
    partition: (group) => {
      groupOf = group;
    },
    advance: (ms) => {
      queue.runUntil(queue.now() + ms);
    },
    now: queue.now,
  };
}

/** A target that all nodes probe, unless told otherwise. */
export function memberTarget(digest: TargetDigest, more: Partial<MemberTarget> = {}): MemberTarget {
  return {
    digest,
    quorum: { kind: 'majority' },
    probers: undefined,
    from: undefined,
    view: 'fleet',
    timeoutMs: 2000,
    before: VOTE.UNKNOWN,
    ...more,
  };
}
