/**
 * Orders of operators: to this node, or through the fleet to all of them. An order of the fleet is carried out here when
 * it comes back with a revision, as on every other node.
 */
import { orderKey, targetOfKey, type OrderEntry } from '../../fleet/order-book.ts';
import type { Fleet } from '../../fleet/start-fleet.ts';
import type { DrainAcknowledged } from '../../fleet/vote-message.ts';
import type { Health, ListedOverride, OverrideOutcome, OverrideRequest } from '../../health/engine.ts';
import { canonicalTarget, expandTarget } from '../../health/target-names.ts';
import type { FleetDrain, GivenOrder, OrderGiver, OrderScope } from '../../status/runtime.ts';
import type { Current } from './generation.ts';

/** As the bucket has it. `until` is ISO 8601. */
type StateOrder = {
  readonly target: string;
  readonly state: OverrideRequest['state'];
  readonly reason?: string | undefined;
  readonly until?: string | undefined;
};
type WeightOrder = { readonly target: string; readonly weight: number; readonly reason?: string | undefined };

export type GiveOrdersParts = {
  readonly fleet: Fleet | undefined;
  readonly health: () => Health;
  readonly current: () => Current;
  readonly wallMs: () => number;
  readonly warn: (message: string) => void;
};

export function createOrderGiver(parts: GiveOrdersParts): OrderGiver {
  const { fleet, health } = parts;
  /** Outcomes of the orders that this node gave and that have come back. */
  const outcomes = new Map<string, OverrideOutcome>();
  fleet?.obey({
    ordered: (entry) => {
      outcomes.set(entry.key, carryOut(parts, entry));
    },
    drains: () => drainsNow(parts, fleet),
    reported: ({ target, healthy, load }) => {
      health().report(target, healthy, load);
    },
  });

  const give = async (
    kind: 'state' | 'weight',
    target: string,
    order: StateOrder | WeightOrder | null,
    scope: OrderScope,
    alone: () => OverrideOutcome,
  ): Promise<GivenOrder> => {
    if (fleet === undefined || scope === 'node') return { ...alone(), scope: 'node' };
    const key = orderKey(kind, canonicalTarget(target));
    // What no VIP answers to is not given to the fleet, unless it takes an order back.
    if (!isKnown(parts, target) && (order !== null || fleet.orderOf(key) === undefined)) {
      return { kind: 'unknown target', scope };
    }
    const { revision } = await fleet.order(key, order ?? { target, cleared: true });
    fleet.acknowledge();
    if (kind === 'state') await heardByPeers(parts, fleet, target);
    return { ...(outcomes.get(key) ?? { kind: 'unknown target' }), scope, revision };
  };

  return {
    override: (target, request, scope = 'fleet') =>
      give('state', target, request === undefined ? null : stateOrder(parts, target, request), scope, () =>
        health().override(target, request),
      ),
    weigh: (target, request, scope = 'fleet') =>
      give('weight', target, request === undefined ? null : { target, ...request }, scope, () =>
        health().weigh(target, request),
      ),
    report: (target, healthy, load) => {
      const outcome = health().report(target, healthy, load);
      if (outcome === 'ok') fleet?.report({ target, healthy, load });
      return outcome;
    },
    drains: () =>
      fleet === undefined
        ? []
        : fleet
            .orders()
            .flatMap(({ order }) => (isStateOrder(order) && order.state === 'drain' ? [order.target] : []))
            .flatMap((target) => drainOf(parts, fleet, target) ?? []),
    drainOf: (target) => (fleet === undefined ? undefined : drainOf(parts, fleet, target)),
  };
}

/** How long a reply waits for other nodes: most acknowledge an order within one round trip. */
const ACKNOWLEDGE_MS = 500;
const LOOK_AGAIN_MS = 20;

/** Waits, but not long, until every node that is heard has applied the newest order on the target. */
async function heardByPeers(parts: GiveOrdersParts, fleet: Fleet, target: string): Promise<void> {
  const fresh = (): ReadonlySet<string> =>
    new Set(fleet.peers().flatMap(({ node, isFresh }) => (isFresh ? [node] : [])));
  for (let waitedMs = 0; waitedMs < ACKNOWLEDGE_MS; waitedMs += LOOK_AGAIN_MS) {
    const heard = fresh();
    if (!(drainOf(parts, fleet, target)?.waitingFor.some((node) => heard.has(node)) ?? false)) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}

function isKnown(parts: GiveOrdersParts, target: string): boolean {
  return namesOf(parts, target).size > 0;
}

/** The VIPs that a TARGET names. */
function namesOf({ current }: GiveOrdersParts, text: string): ReadonlySet<string> {
  const { regions, vips } = current().catalog;
  const targets = vips.map(({ target, region }) => ({ target, region: regions[region]?.name || undefined }));
  return new Set(expandTarget(text, targets).map(({ target }) => target));
}

function stateOrder({ wallMs }: GiveOrdersParts, target: string, request: OverrideRequest): StateOrder {
  const { state, forMs, reason } = request;
  const until = forMs === undefined ? undefined : new Date(wallMs() + forMs).toISOString();
  return { target, state, reason, until };
}

function carryOut({ health, wallMs, warn }: GiveOrdersParts, { key, order, revision }: OrderEntry): OverrideOutcome {
  const kind = targetOfKey(key)?.kind;
  const isCleared = typeof order === 'object' && order !== null && 'cleared' in order;
  if (kind === 'state' && isStateOrder(order)) {
    const forMs = order.until === undefined ? undefined : Date.parse(order.until) - wallMs();
    // It has ended; a newcomer hears of it all the same.
    if (forMs !== undefined && forMs <= 0) return health().override(order.target, undefined);
    return health().override(order.target, { state: order.state, forMs, reason: order.reason });
  }
  if (kind === 'weight' && isWeightOrder(order)) {
    return health().weigh(order.target, { weight: order.weight, reason: order.reason });
  }
  if (isCleared && 'target' in order && typeof order.target === 'string') {
    return kind === 'weight' ? health().weigh(order.target, undefined) : health().override(order.target, undefined);
  }
  warn(`fleet: order ${String(revision)} has a form that this version does not know: it is not applied`);
  return { kind: 'unknown target' };
}

/** The drains in force here: what other nodes need to know before the target is safe to stop. */
function drainsNow(parts: GiveOrdersParts, fleet: Fleet): readonly DrainAcknowledged[] {
  const drains = fleet.orders().filter(({ key, order }) => targetOfKey(key)?.kind === 'state' && isStateOrder(order));
  if (drains.length === 0) return [];
  return drains.flatMap(({ key, revision, order }): readonly DrainAcknowledged[] => {
    if (!isStateOrder(order) || order.state === 'up') return [];
    return [[key, revision, remainingMs(overridesOf(parts, order.target), parts.wallMs())]];
  });
}

/** The overrides of the VIPs that a TARGET names. */
function overridesOf(parts: GiveOrdersParts, text: string): readonly ListedOverride[] {
  const names = namesOf(parts, text);
  return parts
    .health()
    .overrides()
    .filter(({ target }) => names.has(target));
}

/** The latest end of answers that name one of them; null while answers do. */
function remainingMs(overrides: readonly ListedOverride[], wallMs: number): number | null {
  const ends = overrides.map(({ safeAt }) => (safeAt === undefined ? null : Math.max(0, Date.parse(safeAt) - wallMs)));
  return ends.includes(null) ? null : Math.max(0, ...ends.map((end) => end ?? 0));
}

/** When the drain is safe on all nodes; `waitingFor` names the nodes that have not said so. */
function drainOf(parts: GiveOrdersParts, fleet: Fleet, target: string): FleetDrain | undefined {
  const { wallMs } = parts;
  const key = orderKey('state', canonicalTarget(target));
  const entry = fleet.orderOf(key);
  if (entry === undefined || !isStateOrder(entry.order)) return undefined;
  const own = remainingMs(overridesOf(parts, target), wallMs());
  const peers = new Map(fleet.peers().map((peer) => [peer.node, peer]));
  const waitingFor: string[] = [];
  const ends: (number | null)[] = [own];
  for (const node of fleet.known()) {
    const peer = peers.get(node);
    const said = peer?.drains?.find(([each, revision]) => each === key && revision >= entry.revision);
    if (peer === undefined || said === undefined || !peer.isFresh) waitingFor.push(node);
    else ends.push(said[2]);
  }
  const isSafe = waitingFor.length === 0 && !ends.includes(null);
  const latest = Math.max(...ends.map((end) => end ?? 0));
  return {
    target: entry.order.target,
    revision: entry.revision,
    waitingFor,
    safeAt: isSafe ? new Date(wallMs() + latest).toISOString() : undefined,
  };
}

function isStateOrder(order: unknown): order is StateOrder {
  if (typeof order !== 'object' || order === null) return false;
  const { target, state, reason, until } = order as Partial<Record<keyof StateOrder, unknown>>;
  return (
    typeof target === 'string' &&
    (state === 'up' || state === 'down' || state === 'drain') &&
    isTextOrNone(reason) &&
    isTextOrNone(until)
  );
}

function isWeightOrder(order: unknown): order is WeightOrder {
  if (typeof order !== 'object' || order === null) return false;
  const { target, weight, reason } = order as Partial<Record<keyof WeightOrder, unknown>>;
  return typeof target === 'string' && typeof weight === 'number' && isTextOrNone(reason);
}

function isTextOrNone(value: unknown): boolean {
  return value === undefined || typeof value === 'string';
}
