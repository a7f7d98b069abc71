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
import type { Name } from '../wire/name.ts';
import type { Catalog, GeoDatabaseInfo, VipInfo } from '../zones/catalog.ts';
import type { SigningProgress } from '../zones/postponed.ts';
import type { Beacon } from './beacon.ts';
import type { EventLog } from './events.ts';
import type { History } from './history.ts';

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

/** `who`: the name of the operator or program. `why`: the reason of an order that clears another. */
export type GiveOrder<R> = (
  target: string,
  request: R | undefined,
  scope?: OrderScope,
  who?: string,
  why?: string,
) => Promise<GivenOrder>;

/** Orders of operators. `override` and `weigh` reject with OrderNotKept if the fleet cannot keep the order. */
export type OrderGiver = {
  /** Forces a state. Undefined clears the override: health checks decide again. */
  readonly override: GiveOrder<OverrideRequest>;
  readonly weigh: GiveOrder<WeightRequest>;
  /** Takes a report on a target with a `push` check, and sends it to all nodes of the fleet. */
  readonly report: Health['report'];
  /**
   * Forgets a node of the fleet that left for good, so that drains do not wait for it. `heard`: the node is still
   * heard, and is not forgotten. Rejects with OrderNotKept.
   */
  readonly forget: (node: string, scope?: OrderScope, who?: string) => Promise<'forgotten' | 'heard' | 'unknown'>;
  /** Undefined without a fleet, and for a target that no order of the fleet drains. */
  readonly drainOf: (target: string) => FleetDrain | undefined;
  /** All drains that the fleet keeps. */
  readonly drains: () => readonly FleetDrain[];
};

/** How a name outside the zones is resolved. `ageSeconds`: since the last answer; undefined: there was none. */
export type ForeignFigures = {
  readonly name: string;
  readonly resolved: number;
  readonly failed: number;
  readonly ageSeconds: number | undefined;
};

/** Records of a name and type. */
export type HeldRecords = { readonly ttlSeconds: number; readonly data: readonly Uint8Array[] };

/** An entry of a list of records. */
export type ListedSet = HeldRecords & {
  readonly name: Name;
  readonly type: number;
  /** `server`: the server makes or changes them itself, such as the SOA. */
  readonly source: 'file' | 'dynamic' | 'server';
  /** Dynamic records in place of those of the files; without data they are deleted. */
  readonly replacesFile: boolean;
};

/** The records to list. The name is canonical. */
export type ListFilter = { readonly name: Name | undefined; readonly type: number | undefined };

/** A change of the records of one name and type. */
export type AskedChange = {
  /** Canonical, as the name. */
  readonly zone: Name;
  readonly name: Name;
  readonly type: number;
  readonly change:
    /** `set` replaces all of them, `add` none. */
    | { readonly kind: 'set' | 'add'; readonly ttlSeconds: number; readonly data: readonly Uint8Array[] }
    /** Without data: all of them. */
    | { readonly kind: 'delete'; readonly data: readonly Uint8Array[] | undefined };
  /** The serial that the zone must have. */
  readonly serial: number | undefined;
  /** Whether there must be records of the name and type; undefined: either. */
  readonly exists: boolean | undefined;
  readonly isDryRun: boolean;
  /** The name of the token. */
  readonly who: string;
  readonly peer: Uint8Array;
};

export type RecordOutcome =
  | {
      readonly ok: true;
      readonly serial: number;
      readonly changes: readonly {
        readonly name: Name;
        readonly type: number;
        readonly before: HeldRecords | undefined;
        readonly after: HeldRecords | undefined;
      }[];
    }
  | {
      readonly ok: false;
      readonly kind: 'unknown zone' | 'absent' | 'forbidden' | 'conflict' | 'precondition' | 'invalid' | 'not kept';
      readonly why: string;
      /** The serial of the zone, if it was not the one asked for. */
      readonly serial?: number;
    };

/** The records of zones, and changes of them while the server runs. */
export type RecordKeeper = {
  /** Undefined: unknown zone. `sets` yields undefined now and then, so that other work can be done between. */
  readonly list: (
    zone: Name,
    filter: ListFilter,
  ) =>
    | { readonly serial: number; readonly takesChanges: boolean; readonly sets: Iterable<ListedSet | undefined> }
    | undefined;
  /** Resolves when the change is on the disk and served, or refused. */
  readonly change: (asked: AskedChange) => Promise<RecordOutcome>;
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
  readonly records: RecordKeeper;
  /** Sums over the threads since the start, indexed as in server/counters.ts. */
  readonly counters: () => Float64Array;
  /** Answers that named the VIP since the start, by slot of the current catalog. */
  readonly served: () => Float64Array;
  /** Queries since the start, by place of the zone in the current catalog. */
  readonly zoneQueries: () => Float64Array;
  readonly recent: () => RecentTraffic;
  /** Sampled clients by country: per service, and in total. */
  readonly clients: Pick<ClientCounts, 'of' | 'totals'>;
  /** Whether the service that a VIP leads to has a VIP that is available; true for a VIP with records. */
  readonly isInnerUp: (vip: VipInfo) => boolean;
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
  readonly history: History;
  /** Counts of `health.notify`; all zero without it. */
  readonly notifications: () => NotifyStats;
  readonly beacon: Beacon;
  /** Log lines dropped since the start because nothing read them in time. */
  readonly logDropped: () => number;
  /** Lines of the audit log dropped since the start because its file could not be written. */
  readonly auditDropped: () => number;
  /** Messages of dnstap dropped since the start because the collector did not take them. */
  readonly dnstapDropped: () => number;
  /** Zones that are signed in the background. */
  readonly signing: () => readonly SigningProgress[];
  /** Why a signed zone has no CDS in a fleet; undefined if the nodes agree on its keys. */
  /** Names outside the zones that aliases lead to. */
  readonly foreign?: () => readonly ForeignFigures[];
  readonly whyNoCds: (zone: string) => string | undefined;
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
  /** Queries, by place of the zone in the current catalog. */
  readonly zoneQueries: Float64Array;
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
  /** The name of the operator or program that asks for it. */
  readonly who?: string | undefined;
};

export type Reloaded =
  | { readonly ok: true; readonly generation: number; readonly warnings: readonly Diagnostic[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** `diagnostics` are the errors and warnings of that reload. */
export type LastReload = { readonly ok: boolean; readonly at: Date; readonly diagnostics: readonly Diagnostic[] };
