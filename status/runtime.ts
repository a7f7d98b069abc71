/**
 * The interface between the status server and the running server, so that this room does not depend on threads, DNS
 * sockets or files. cli/serve/status-source.ts implements it.
 */
import type { Alarm, Alarms } from '../config/alarms.ts';
import type { Diagnostic } from '../config/diagnostics.ts';
import type { Settings } from '../config/settings.ts';
import type { Fleet } from '../fleet/start-fleet.ts';
import type { Health, OverrideOutcome, OverrideRequest, WeightRequest } from '../health/engine.ts';
import type { NotifyStats } from '../health/webhook.ts';
import type { ClientCounts } from '../server/forecast/client-counts.ts';
import type { SimulateThread } from '../server/forecast/simulate-thread.ts';
import type { Explained, ExplainRequest } from '../steering/trace.ts';
import type { Catalog, GeoDatabaseInfo } from '../zones/catalog.ts';
import type { Beacon } from './beacon.ts';
import type { EventLog } from './events.ts';

/** `fleet`: all nodes; `node`: this one alone. Without a fleet, both mean the same. */
export type OrderScope = 'fleet' | 'node';

/** `revision` is set for an order that the fleet keeps. */
export type GivenOrder = (OverrideOutcome | { readonly kind: 'unknown target' }) & {
  readonly scope: OrderScope;
  readonly revision?: number;
};

/** A drain on all nodes of a fleet. */
export type FleetDrain = {
  /** As in the order. */
  readonly target: string;
  readonly revision: number;
  /** Nodes that have not confirmed it. */
  readonly waitingFor: readonly string[];
  /** ISO 8601; undefined while a node has not confirmed the drain, or answers name the target. */
  readonly safeAt: string | undefined;
};

/** Orders of operators. `override` and `weigh` reject with OrderNotKept if the fleet cannot keep the order. */
export type OrderGiver = {
  /** Forces a state. Undefined clears the override: health checks decide again. */
  readonly override: (target: string, request: OverrideRequest | undefined, scope?: OrderScope) => Promise<GivenOrder>;
  readonly weigh: (target: string, request: WeightRequest | undefined, scope?: OrderScope) => Promise<GivenOrder>;
  /** Takes a report on a target with a `push` check, and sends it to all nodes of the fleet. */
  readonly report: Health['report'];
  /**
   * Forgets a node of the fleet that left for good, so that drains do not wait for it. `heard`: the node is still
   * heard, and is not forgotten. Rejects with OrderNotKept.
   */
  readonly forget: (node: string, scope?: OrderScope) => Promise<'forgotten' | 'heard' | 'unknown'>;
  /** Undefined without a fleet, and for a target that no order of the fleet drains. */
  readonly drainOf: (target: string) => FleetDrain | undefined;
  /** All drains that the fleet keeps. */
  readonly drains: () => readonly FleetDrain[];
};

export type Runtime = {
  readonly version: string;
  readonly startedAt: Date;
  /** From the monotonic clock: steps of the wall clock do not matter. */
  readonly uptimeSeconds: () => number;
  /** How packets are received: in batches with recvmmsg, or with node:dgram. */
  readonly io: () => 'batch' | 'dgram';
  /** Texts about what is missing (`/readyz`); empty when ready. */
  readonly notReady: () => readonly string[];
  readonly generation: () => RunningGeneration;
  readonly health: Health;
  /** Undefined when this node is not part of a fleet. */
  readonly fleet: Fleet | undefined;
  readonly orders: OrderGiver;
  /** Sums over the threads since the start, indexed as in server/counters.ts. */
  readonly counters: () => Float64Array;
  /** Answers that named the VIP since the start, by slot of the current catalog. */
  readonly served: () => Float64Array;
  readonly recent: () => RecentTraffic;
  /** Sampled clients by country: per service, and in total. */
  readonly clients: Pick<ClientCounts, 'of' | 'totals'>;
  readonly explain: (request: ExplainRequest) => Explained;
  /** Runs in another thread than the control thread. */
  readonly simulate: SimulateThread['simulate'];
  /** Reloads the configuration: all or nothing. */
  readonly reload: (options?: ReloadOptions) => Promise<Reloaded>;
  /** The result of the last reload, or of the load at the start. */
  readonly lastReload: () => LastReload;
  readonly alarms: () => readonly Alarm[];
  /** For alarms about the status server itself. */
  readonly ownAlarms: Pick<Alarms, 'raise' | 'clear'>;
  readonly events: EventLog;
  /** Counts of `health.notify`; all zero without it. */
  readonly notifications: () => NotifyStats;
  readonly beacon: Beacon;
  /** Log lines dropped since the start because nothing read them in time. */
  readonly logDropped: () => number;
};

/** Traffic of the last minute; of a shorter time after a start. */
export type RecentTraffic = {
  /** The time measured. */
  readonly seconds: number;
  readonly queriesPerSecond: number;
  readonly nxdomainPerSecond: number;
  readonly servfailPerSecond: number;
  /** Answers that named the VIP, by slot of the current catalog. */
  readonly served: Float64Array;
};

export type RunningGeneration = {
  readonly number: number;
  readonly loadedAt: Date;
  readonly settings: Settings;
  readonly catalog: Catalog;
  readonly databases: readonly GeoDatabaseInfo[];
  readonly warnings: readonly Diagnostic[];
};

export type ReloadOptions = {
  /** Accept a zone that has shrunk much or is gone (`reload.max_shrink`). */
  readonly force?: boolean;
};

export type Reloaded =
  | { readonly ok: true; readonly generation: number; readonly warnings: readonly Diagnostic[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** `diagnostics` are the errors and warnings of that reload. */
export type LastReload = { readonly ok: boolean; readonly at: Date; readonly diagnostics: readonly Diagnostic[] };
