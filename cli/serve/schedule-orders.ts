/**
 * Shares the results of schedules in a fleet. Each node runs its schedules itself and at once, and the first node gives
 * the result to the fleet as an order. A node that was down at that moment thus gets the same state as the others.
 */
import { orderKey, targetOfKey, type OrderEntry } from '../../fleet/order-book.ts';
import type { Fleet } from '../../fleet/start-fleet.ts';
import type { Clock } from '../../health/clock.ts';
import type { Health, OverrideRequest, WeightRequest } from '../../health/engine.ts';
import { canonicalTarget } from '../../health/target-names.ts';

export type ScheduleOrders = Pick<Health, 'override' | 'weigh'> & {
  /**
   * Carries out the order if it is the result of a schedule that this node has not run. Returns false if it is an order
   * of another kind.
   */
  readonly take: (entry: OrderEntry) => boolean;
  /** Does the same, even if this node has run the schedule itself. */
  readonly repeat: (entry: OrderEntry) => boolean;
};

export type ScheduleOrdersParts = {
  readonly fleet: Pick<Fleet, 'order' | 'orderOf'>;
  readonly health: () => Pick<Health, 'override' | 'weigh'>;
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
};

/** An order as stored in the bucket. Without `state` and `weight`, it clears. */
type ScheduleOrder = {
  readonly target: string;
  readonly state?: OverrideRequest['state'];
  readonly weight?: number;
  readonly reason?: string;
  /** ISO 8601: when the schedule was due, by the clock of the node that gave the order. */
  readonly at: string;
};

const KINDS = { state: 'schedule-state', weight: 'schedule-weight' } as const;
/** Nodes wait for different times before they give an order, so that most of them find that it was given already. */
const SPREAD_MS = 500;
const RETRY_MS = 5000;
/** Results that are at most this far apart are of the same moment, because clocks differ. */
const SAME_MOMENT_MS = 30_000;

export function createScheduleOrders({ fleet, health, clock, random }: ScheduleOrdersParts): ScheduleOrders {
  /** Results that are not known to be in the fleet. */
  const waiting = new Map<string, ScheduleOrder>();
  /** The last results of this node's own schedules. */
  const done = new Map<string, ScheduleOrder>();
  let isDue = false;

  const offer = async (): Promise<void> => {
    isDue = false;
    for (const [key, order] of waiting) {
      try {
        if (!isSameMoment(fleet.orderOf(key)?.order, order)) await fleet.order(key, order);
        if (waiting.get(key) === order) waiting.delete(key);
      } catch {
        // NATS cannot be reached.
      }
    }
    if (waiting.size > 0) offerAfter(RETRY_MS);
  };
  const offerAfter = (ms: number): void => {
    if (isDue) return;
    isDue = true;
    clock.after(ms, () => void offer());
  };
  const give = (kind: string, order: Omit<ScheduleOrder, 'at'>): void => {
    const key = orderKey(kind, canonicalTarget(order.target));
    const given = { ...order, at: new Date(clock.wall()).toISOString() };
    done.set(key, given);
    waiting.set(key, given);
    offerAfter(random() * SPREAD_MS);
  };
  const carryOut = ({ key, order }: OrderEntry, isDone: (order: ScheduleOrder) => boolean): boolean => {
    const kind = targetOfKey(key)?.kind;
    if ((kind !== KINDS.state && kind !== KINDS.weight) || !isScheduleOrder(order)) return false;
    if (isDone(order)) return true;
    const { target, state, weight, reason } = order;
    if (kind === KINDS.state) health().override(target, state && { state, reason }, 'schedule');
    else health().weigh(target, weight === undefined ? undefined : { weight, reason }, 'schedule');
    return true;
  };

  return {
    override: (target: string, request: OverrideRequest | undefined) => {
      give(KINDS.state, { target, ...(request && { state: request.state, ...reasonOf(request) }) });
      return health().override(target, request, 'schedule');
    },
    weigh: (target: string, request: WeightRequest | undefined) => {
      give(KINDS.weight, { target, ...(request && { weight: request.weight, ...reasonOf(request) }) });
      return health().weigh(target, request, 'schedule');
    },
    take: (entry) => carryOut(entry, (order) => isSameMoment(done.get(entry.key), order)),
    repeat: (entry) => carryOut(entry, () => false),
  };
}

function reasonOf({ reason }: { readonly reason?: string | undefined }): { readonly reason?: string } {
  return reason === undefined ? {} : { reason };
}

/** Whether `known` is the same result of the schedule as the order, or a later result. */
function isSameMoment(known: unknown, order: ScheduleOrder): boolean {
  if (!isScheduleOrder(known)) return false;
  const laterMs = Date.parse(known.at) - Date.parse(order.at);
  const isEqual = known.state === order.state && known.weight === order.weight;
  return laterMs > SAME_MOMENT_MS || (isEqual && laterMs >= -SAME_MOMENT_MS);
}

function isScheduleOrder(order: unknown): order is ScheduleOrder {
  if (typeof order !== 'object' || order === null) return false;
  const { target, state, weight, reason, at } = order as Partial<Record<keyof ScheduleOrder, unknown>>;
  return (
    typeof target === 'string' &&
    (state === undefined || state === 'up' || state === 'down' || state === 'drain') &&
    (weight === undefined || typeof weight === 'number') &&
    (reason === undefined || typeof reason === 'string') &&
    typeof at === 'string' &&
    !Number.isNaN(Date.parse(at))
  );
}
