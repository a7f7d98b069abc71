/**
 * What the status server knows of the running server: an interface, so that the HTTP room depends on no
 * thread, socket or file. cli/serve/status-source.ts has the real one.
 */
import type { Alarm, Alarms } from '../config/alarms.ts';
import type { Diagnostic } from '../config/diagnostics.ts';
import type { Settings } from '../config/settings.ts';
import type { Health } from '../health/engine.ts';
import type { ClientCounts } from '../server/forecast/client-counts.ts';
import type { SimulateThread } from '../server/forecast/simulate-thread.ts';
import type { Explained, ExplainRequest } from '../steering/trace.ts';
import type { NotifyStats } from '../health/webhook.ts';
import type { Catalog, GeoDatabaseInfo } from '../zones/catalog.ts';
import type { Beacon } from './beacon.ts';
import type { EventLog } from './events.ts';

export type Runtime = {
  readonly version: string;
  readonly startedAt: Date;
  /** By the monotonic clock: a step of the wall clock changes nothing. */
  readonly uptimeSeconds: () => number;
  /** How packets are read: recvmmsg batches or node:dgram. */
  readonly io: () => 'batch' | 'dgram';
  /** Empty when ready; else what is missing, in words (`/readyz`). */
  readonly notReady: () => readonly string[];
  readonly generation: () => RunningGeneration;
  readonly health: Health;
  /** Sums over the threads, since the start, by the indexes of server/counters.ts. */
  readonly counters: () => Float64Array;
  /** Answers that named the VIP, since the start, by slot of the current catalog. */
  readonly served: () => Float64Array;
  readonly recent: () => RecentTraffic;
  /** Sampled clients by country: of a service, and over all. */
  readonly clients: Pick<ClientCounts, 'of' | 'totals'>;
  readonly explain: (request: ExplainRequest) => Explained;
  /** In a thread beside the control thread. */
  readonly simulate: SimulateThread['simulate'];
  /** Reads the files again: all or nothing. */
  readonly reload: (options?: ReloadOptions) => Promise<Reloaded>;
  /** What the last reload came to, whoever asked for it; before the first, the load at the start. */
  readonly lastReload: () => LastReload;
  readonly alarms: () => readonly Alarm[];
  /** Where the status server raises alarms about itself. */
  readonly ownAlarms: Pick<Alarms, 'raise' | 'clear'>;
  readonly events: EventLog;
  /** Of `health.notify`; all zero without one. */
  readonly notifications: () => NotifyStats;
  readonly beacon: Beacon;
  /** Lines of the log that were dropped since the start, because nothing reads it. */
  readonly logDropped: () => number;
};

/** Traffic of the last minute; less after a start. */
export type RecentTraffic = {
  /** How long that is. */
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
  /** Also where a zone becomes much smaller, or is gone (`reload.max_shrink`). */
  readonly force?: boolean;
};

export type Reloaded =
  | { readonly ok: true; readonly generation: number; readonly warnings: readonly Diagnostic[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** `diagnostics` are those of that reload, warnings too. */
export type LastReload = { readonly ok: boolean; readonly at: Date; readonly diagnostics: readonly Diagnostic[] };
