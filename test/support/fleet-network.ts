/**
 * Members of a fleet over a simulated network, with one clock for all. Messages may be delayed, lost, and cut off
 * between nodes. No socket is used; test/system/fleet uses real NATS servers.
 */
import { VOTE, type Vote } from '../../fleet/count.ts';
import { createMember, HEARTBEAT_MS, type Member, type MemberTarget } from '../../fleet/member.ts';
import type { TargetDigest } from '../../fleet/vote-message.ts';
import type { Cancel, Clock } from '../../health/clock.ts';
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
  now(): number;
  clock: Clock;
};

type Event = { readonly dueMs: number; readonly order: number; readonly run: () => void };

export function createFleetNetwork(
  dice: Dice,
  { loss = 0, delayMs = 40, jitterMs = 20 }: { loss?: number; delayMs?: number; jitterMs?: number } = {},
): FleetNetwork {
  const queue = createQueue();
  let nowMs = 0;
  let order = 0;
  let groupOf: (node: FleetNode) => number = () => 0;
  const nodes: FleetNode[] = [];
  const at = (dueMs: number, run: () => void): void => {
    order += 1;
    queue.push({ dueMs, order, run });
  };
  const clock: Clock = {
    now: () => nowMs,
    wall: () => 1_700_000_000_000 + nowMs,
    after: (delay, run): Cancel => {
      let isCancelled = false;
      at(nowMs + delay, () => {
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
    const arrivesMs = Math.max(nowMs + delayMs + dice.below(jitterMs + 1), arrivals.get(pair) ?? 0);
    arrivals.set(pair, arrivesMs);
    at(arrivesMs, () => {
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
        changes.push({ atMs: nowMs, target, verdict });
      },
      hasten: (target) => {
        hastened.push(target);
      },
      probing: () => undefined,
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
      const untilMs = nowMs + ms;
      for (let next = queue.peek(); next !== undefined && next.dueMs <= untilMs; next = queue.peek()) {
        queue.pop();
        nowMs = next.dueMs;
        next.run();
      }
      nowMs = untilMs;
    },
    now: () => nowMs,
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

/** A binary heap of events, the earliest first. */
function createQueue(): { push(event: Event): void; pop(): void; peek(): Event | undefined } {
  const heap: Event[] = [];
  const isBefore = (a: number, b: number): boolean => {
    const [x, y] = [heap[a], heap[b]];
    if (x === undefined || y === undefined) return false;
    return x.dueMs < y.dueMs || (x.dueMs === y.dueMs && x.order < y.order);
  };
  const swap = (a: number, b: number): void => {
    const [x, y] = [heap[a], heap[b]];
    if (x === undefined || y === undefined) return;
    heap[a] = y;
    heap[b] = x;
  };
  return {
    peek: () => heap[0],
    push: (event) => {
      heap.push(event);
      for (let at = heap.length - 1; at > 0;) {
        const parent = (at - 1) >> 1;
        if (!isBefore(at, parent)) return;
        swap(at, parent);
        at = parent;
      }
    },
    pop: () => {
      swap(0, heap.length - 1);
      heap.pop();
      for (let at = 0; ;) {
        const [left, right] = [at * 2 + 1, at * 2 + 2];
        let first = at;
        if (left < heap.length && isBefore(left, first)) first = left;
        if (right < heap.length && isBefore(right, first)) first = right;
        if (first === at) return;
        swap(at, first);
        at = first;
      }
    },
  };
}
