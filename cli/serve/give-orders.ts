/**
 * Handles orders of operators: for this node only, or through the fleet for all nodes. This node carries out an order
 * of the fleet when it receives it back with a revision, like every other node.
 */
import { plainText } from '../../config/plain-text.ts';
import { isRecord } from '../../config/unknown-values.ts';
import { orderKey, targetOfKey, type OrderEntry } from '../../fleet/order-book.ts';
import type { Fleet } from '../../fleet/start-fleet.ts';
import type { DrainAcknowledged } from '../../fleet/vote-message.ts';
import type { Author, Health, OverrideOutcome, OverrideRequest } from '../../health/engine.ts';
import { canonicalTarget, expandTarget } from '../../health/target-names.ts';
import type { FleetDrain, GivenOrder, OrderGiver, OrderScope } from '../../status/runtime.ts';
import type { FleetRecords } from './fleet-records.ts';
import type { Current } from './generation.ts';
import type { ScheduleOrders } from './schedule-orders.ts';

/** An order as stored in the bucket. `until` is ISO 8601. */
type StateOrder = {
  readonly target: string;
  readonly state: OverrideRequest['state'];
  readonly reason?: string | undefined;
  readonly until?: string | undefined;
  readonly who?: string | undefined;
};
type WeightOrder = {
  readonly target: string;
  readonly weight: number;
  readonly reason?: string | undefined;
  readonly who?: string | undefined;
};

export type GiveOrdersParts = {
  readonly fleet: Fleet | undefined;
  readonly health: () => Health;
  readonly current: () => Current;
  /** Dynamic records, in a fleet. `taken` is called after an order for them. */
  readonly records?: { readonly fleet: FleetRecords; readonly taken: () => void } | undefined;
  /** Results of schedules, in a fleet. */
  readonly schedules?: Pick<ScheduleOrders, 'take' | 'repeat'> | undefined;
  readonly wallMs: () => number;
  readonly warn: (message: string) => void;
};

export function createOrderGiver(parts: GiveOrdersParts): OrderGiver {
  const { fleet, health, schedules, records } = parts;
  /** Outcomes of the orders that this node gave and has received back. */
  const outcomes = new Map<string, OverrideOutcome>();
  fleet?.obey({
    ordered: (entry) => {
      if (records?.fleet.take(entry) === true) records.taken();
      else if (schedules?.take(entry) !== true) outcomes.set(entry.key, carryOut(parts, entry));
    },
    drains: () => drainsNow(parts, fleet),
    pending: () => records?.fleet.pending(),
    reported: ({ target, healthy, load }) => {
      health().report(target, healthy, load);
    },
  });

  const give = async (
    kind: 'state' | 'weight',
    target: string,
    order: StateOrder | WeightOrder | null,
    scope: OrderScope,
    { who, why }: { readonly who: string | undefined; readonly why: string | undefined },
    alone: (by: Author) => OverrideOutcome,
  ): Promise<GivenOrder> => {
    if (fleet === undefined || scope === 'node') {
      const outcome = { ...alone(fleet === undefined ? 'operator' : 'node'), scope: 'node' } as const;
      // Orders that the fleet gave meanwhile apply from now on.
      if (order === null && fleet !== undefined) carryOutAgain(parts, fleet, kind, target);
      return outcome;
    }
    const key = orderKey(kind, canonicalTarget(target));
    // An order that matches no VIP is not given to the fleet, unless it clears an existing order.
    if (!isKnown(parts, target) && (order !== null || fleet.orderOf(key) === undefined)) {
      return { kind: 'unknown target', scope };
    }
    const { revision } = await fleet.order(key, {
      ...(order ?? { target, cleared: true, ...(why === undefined ? {} : { reason: why }) }),
      ...(who === undefined ? {} : { who }),
    });
    fleet.acknowledge();
    if (kind === 'state') await heardByPeers(parts, fleet, target);
    return { ...(outcomes.get(key) ?? { kind: 'unknown target' }), scope, revision };
  };

  return {
    override: (target, request, scope = 'fleet', who, why) =>
      give(
        'state',
        target,
        request === undefined ? null : stateOrder(parts, target, request),
        scope,
        { who, why },
        (by) => health().override(target, request, by, who, why),
      ),
    weigh: (target, request, scope = 'fleet', who, why) =>
      give('weight', target, request === undefined ? null : { target, ...request }, scope, { who, why }, (by) =>
        health().weigh(target, request, by, who, why),
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
            .flatMap(({ order }) => (isInForce(order, parts.wallMs()) && order.state === 'drain' ? [order.target] : []))
            .flatMap((target) => drainOf(parts, fleet, target) ?? []),
    forget: async (node, scope = 'fleet', who) => {
      if (fleet === undefined) return 'unknown';
      const peer = fleet.peers().find((each) => each.node === node);
      if (peer?.isFresh === true || node === fleet.node) return 'heard';
      if (!fleet.known().includes(node)) return 'unknown';
      if (scope === 'fleet') await fleet.order(orderKey('forget', node), { target: node, cleared: true, who });
      fleet.forget(node);
      return 'forgotten';
    },
    drainOf: (target) => (fleet === undefined ? undefined : drainOf(parts, fleet, target)),
  };
}

/** Carries out the orders of the fleet on the VIPs of a TARGET, after an order to this node alone had replaced them. */
function carryOutAgain(parts: GiveOrdersParts, fleet: Fleet, kind: 'state' | 'weight', target: string): void {
  const names = namesOf(parts, target);
  const about = fleet.orders().filter(({ key, order }) => {
    const named = targetIn(order);
    const kindOf = targetOfKey(key)?.kind;
    if (named === undefined || (kindOf !== kind && kindOf !== `schedule-${kind}`)) return false;
    return [...namesOf(parts, named)].some((name) => names.has(name));
  });
  for (const entry of about.sort((a, b) => a.revision - b.revision)) {
    if (parts.schedules?.repeat(entry) !== true) carryOut(parts, entry);
  }
}

function targetIn(order: unknown): string | undefined {
  return typeof order === 'object' && order !== null && 'target' in order && typeof order.target === 'string'
    ? order.target
    : undefined;
}

/** How long a reply waits for other nodes: most acknowledge an order within one round trip. */
const ACKNOWLEDGE_MS = 500;
const LOOK_AGAIN_MS = 20;

/** Waits up to ACKNOWLEDGE_MS until every fresh node has applied the newest order on the target. */
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

/** All VIPs, as `expandTarget` takes them. */
function vipsOf({
  current,
}: GiveOrdersParts): readonly { readonly target: string; readonly region: string | undefined }[] {
  const { regions, vips } = current().catalog;
  return vips.map(({ target, region }) => ({ target, region: regions[region]?.name || undefined }));
}

/** The targets of the VIPs that match a TARGET. */
function namesOf(parts: GiveOrdersParts, text: string, vips = vipsOf(parts)): ReadonlySet<string> {
  return new Set(expandTarget(text, vips).map(({ target }) => target));
}

function stateOrder({ wallMs }: GiveOrdersParts, target: string, request: OverrideRequest): StateOrder {
  const { state, forMs, reason } = request;
  const until = forMs === undefined ? undefined : new Date(wallMs() + forMs).toISOString();
  return { target, state, reason, until };
}

/** The outcome of an order that is not about VIPs. */
const NOTHING_SET: OverrideOutcome = { kind: 'ok', targets: [], kept: [], saved: Promise.resolve(true) };

function carryOut(
  { fleet, health, wallMs, warn }: GiveOrdersParts,
  { key, order, revision }: OrderEntry,
): OverrideOutcome {
  const kind = targetOfKey(key)?.kind;
  const isCleared = typeof order === 'object' && order !== null && 'cleared' in order;
  const who = whoIn(order);
  if (kind === 'state' && isStateOrder(order)) {
    const forMs = order.until === undefined ? undefined : Date.parse(order.until) - wallMs();
    // The order has expired. A node that joins the fleet receives expired orders too.
    if (forMs !== undefined && forMs <= 0) return health().override(order.target, undefined);
    return health().override(order.target, { state: order.state, forMs, reason: order.reason }, 'operator', who);
  }
  if (kind === 'weight' && isWeightOrder(order)) {
    return health().weigh(order.target, { weight: order.weight, reason: order.reason }, 'operator', who);
  }
  if (kind === 'forget' && isCleared && 'target' in order && typeof order.target === 'string') {
    fleet?.forget(order.target);
    return NOTHING_SET;
  }
  if (isCleared && 'target' in order && typeof order.target === 'string') {
    const why = 'reason' in order && typeof order.reason === 'string' ? plainText(order.reason) : undefined;
    return kind === 'weight'
      ? health().weigh(order.target, undefined, 'operator', who, why)
      : health().override(order.target, undefined, 'operator', who, why);
  }
  warn(`fleet: order ${String(revision)} has a form that this version does not know: it is not applied`);
  return { kind: 'unknown target' };
}

/**
 * The drains in force on this node, which it sends to other nodes every second. They use them to tell when a target is
 * safe to stop.
 */
function drainsNow(parts: GiveOrdersParts, fleet: Fleet): readonly DrainAcknowledged[] {
  const wallMs = parts.wallMs();
  const drains = fleet
    .orders()
    .filter(({ key, order }) => targetOfKey(key)?.kind === 'state' && isInForce(order, wallMs));
  if (drains.length === 0) return [];
  const vips = vipsOf(parts);
  return drains.flatMap(({ key, revision, order }): readonly DrainAcknowledged[] => {
    if (!isStateOrder(order) || order.state === 'up') return [];
    return [[key, revision, remainingMs(parts, order.target, wallMs, vips)]];
  });
}

/**
 * How long cached answers of this node may still contain one of the VIPs. Null while new answers contain one, for
 * example because of an order to this node alone. 0 if this node has no such VIP.
 */
function remainingMs(parts: GiveOrdersParts, text: string, wallMs: number, vips = vipsOf(parts)): number | null {
  const names = namesOf(parts, text, vips);
  const ends = new Map<string, number | null>([...names].map((name) => [name, null]));
  for (const { target, safeAt } of parts.health().overrides()) {
    if (safeAt !== undefined && names.has(target)) ends.set(target, Math.max(0, Date.parse(safeAt) - wallMs));
  }
  return latestOf([...ends.values()]);
}

/** The latest end; null if one of them is null, which means unknown. */
function latestOf(ends: readonly (number | null)[]): number | null {
  return ends.reduce((latest, end) => (latest === null || end === null ? null : Math.max(latest, end)), 0);
}

/**
 * When it is safe to stop the target, by the reports of all nodes. `waitingFor` has the nodes that have not reported a
 * time. A reported time remains valid when its node is no longer heard.
 */
function drainOf(parts: GiveOrdersParts, fleet: Fleet, target: string): FleetDrain | undefined {
  const wallMs = parts.wallMs();
  const key = orderKey('state', canonicalTarget(target));
  const entry = fleet.orderOf(key);
  if (entry === undefined || !isInForce(entry.order, wallMs) || entry.order.state === 'up') return undefined;
  const peers = new Map(fleet.peers().map((peer) => [peer.node, peer]));
  const waitingFor: string[] = [];
  const ends: (number | null)[] = [remainingMs(parts, target, wallMs)];
  for (const node of fleet.known()) {
    const peer = peers.get(node);
    const [, , leftMs] = peer?.drains?.find(([each, revision]) => each === key && revision >= entry.revision) ?? [];
    if (peer === undefined || leftMs === undefined || (leftMs === null && !peer.isFresh)) waitingFor.push(node);
    // The node computed this time when it sent its message, slightly before this node received it.
    else ends.push(leftMs === null ? null : Math.max(0, leftMs - peer.heardMsAgo));
  }
  const latest = waitingFor.length === 0 ? latestOf(ends) : null;
  return {
    target: entry.order.target,
    revision: entry.revision,
    waitingFor,
    safeAt: latest === null ? undefined : new Date(wallMs + latest).toISOString(),
  };
}

/** An order for a state that has not ended. */
function isInForce(order: unknown, wallMs: number): order is StateOrder {
  return isStateOrder(order) && (order.until === undefined || Date.parse(order.until) > wallMs);
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

/** The operator's name, which an order of an older version does not have. */
function whoIn(order: unknown): string | undefined {
  return isRecord(order) && typeof order['who'] === 'string' ? plainText(order['who']) : undefined;
}

function isTextOrNone(value: unknown): boolean {
  return value === undefined || typeof value === 'string';
}
