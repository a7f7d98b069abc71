/**
 * Reloads: the files are read again and put in force in every thread, or nothing changes and the mistakes are reported.
 */
import type { Logger } from 'pino';
import type { Alarms } from '../../config/alarms.ts';
import { createReport, formatDiagnostic, logLevelOf, type Diagnostic } from '../../config/diagnostics.ts';
import { releaseMemory } from '../../config/libc.ts';
import type { Settings } from '../../config/settings.ts';
import { LoadStuckError, type RunLoad } from '../../server/threads/load-thread.ts';
import { collectAll } from '../../server/threads/release-generation.ts';
import type { LastReload, Reloaded, ReloadOptions } from '../../status/runtime.ts';
import type { LoadInput } from '../../zones/load-generation.ts';
import type { Measured } from './beacon-latency.ts';
import { prepare, sharesMemory, type Current } from './generation.ts';
import { findShrunk } from './shrink.ts';

/** The time limit of a compile thread: the larger of this, and this multiple of the first load. */
const LEAST_LIMIT_MS = 60_000;
const SLOWER_THAN_FIRST = 10;
/** No more are started while this many hang, since each keeps its memory. */
const MAX_STUCK = 3;

export type Reloads = {
  /** Runs one reload at a time. All calls during a reload share the one that follows. */
  readonly reload: (options?: ReloadOptions) => Promise<Reloaded>;
  /** The outcome of the last reload; before the first, of the load at the start. */
  readonly last: () => LastReload;
  /** Resolves when no reload runs. Later ones wait for `goOn`. */
  readonly hold: () => Promise<void>;
  readonly goOn: () => void;
  /** Ends a running reload, and rejects later ones. */
  readonly stop: () => void;
};

export type ReloadsOptions = {
  readonly alarms: Pick<Alarms, 'raise' | 'clear'>;
  /** How long the load at the start took. */
  readonly firstLoadMs: number;
  readonly input: LoadInput;
  /** Warnings of the load at the start. */
  readonly warnings: readonly Diagnostic[];
  /** All threads that answer, including the one for TCP. */
  readonly threads: number;
  /** The generation in force. */
  readonly current: () => Current;
  /** Puts a generation in force, or changes nothing and rejects. */
  readonly activate: (next: Current) => Promise<void>;
  readonly measured: Pick<Measured, 'figures' | 'applied'>;
  /** Called when a reload begins. */
  readonly begins: () => void;
  /** Called after each reload; `generation` is the one in force then. */
  readonly tell: (reload: LastReload, generation: number) => void;
  readonly stopping: () => boolean;
  readonly log: Logger;
  /** Runs the compile thread. */
  readonly load: RunLoad;
};

export function createReloads(options: ReloadsOptions): Reloads {
  const { input, threads, current, activate, measured, begins, tell, stopping, log, alarms } = options;
  const { load: runLoad } = options;
  const limitMs = Math.max(LEAST_LIMIT_MS, options.firstLoadMs * SLOWER_THAN_FIRST);
  const stopped = new AbortController();
  /** Compile threads that were ended but still wait for a file system. */
  let stuck = 0;
  let last: LastReload = { ok: true, at: new Date(), diagnostics: options.warnings };
  let underWay: Promise<Reloaded> | undefined;
  /** The reload that begins after it. */
  let following: Promise<Reloaded> | undefined;
  /** Whether a caller of the next reload has set `force`. */
  let forced = false;
  let held: PromiseWithResolvers<undefined> | undefined;

  const load = async (loadInput: LoadInput): ReturnType<RunLoad> => {
    if (stuck >= MAX_STUCK) throw new Error(`${stuck} earlier reloads still wait for a file that cannot be read`);
    try {
      const outcome = await runLoad(loadInput, { limitMs, signal: stopped.signal, inForce: current().loaded });
      alarms.clear('reload_stuck');
      return outcome;
    } catch (error) {
      if (error instanceof LoadStuckError) {
        stuck += 1;
        void error.ended.then(() => (stuck -= 1));
        const message = `The last reload was stopped: ${error.message}. Still serving generation ${current().number}.`;
        alarms.raise('reload_stuck', message);
      }
      throw error;
    }
  };
  const attempt = async (force: boolean): Promise<Reloaded> => {
    const figures = await measured.figures();
    // If the server has a pharos.yaml, its absence is a mistake: the defaults must not be served.
    const file = input.file ?? current().settings.file;
    const { serials, atlas, knownDatabases } = current().loaded;
    const geographyInUse = { atlas, knownDatabases };
    const keyPairInUse = current().settings.tls?.keyPair;
    const outcome = await load({ ...input, file, serials, measured: figures, keyPairInUse, geographyInUse });
    if (outcome.ok && outcome.value === current().loaded) {
      measured.applied(figures);
      log.info({ generation: current().number }, 'nothing has changed: the generation stays');
      return { ok: true, generation: current().number, warnings: outcome.diagnostics };
    }
    const shrunk = outcome.ok && !force ? findShrunk(current().catalog, outcome.value) : [];
    if (!outcome.ok || shrunk.length > 0) {
      const diagnostics = [...outcome.diagnostics, ...shrunk];
      for (const each of diagnostics) log[logLevelOf(each)](formatDiagnostic(each));
      log.error(`reload refused: still serving generation ${current().number}`);
      return { ok: false, diagnostics };
    }
    const next = prepare(outcome.value, current().number + 1, outcome.diagnostics, threads, current());
    warnOfRestart(current().settings, next.settings, log);
    const isSmall = sharesMemory(current().loaded, next.loaded);
    await activate(next);
    measured.applied(figures);
    // After `activate`, which held the previous generation.
    if (!isSmall) {
      collectAll();
      releaseMemory();
    }
    for (const warning of outcome.diagnostics) log.warn(formatDiagnostic(warning));
    log.info({ generation: next.number, zones: next.catalog.zones.length }, 'reloaded');
    return { ok: true, generation: next.number, warnings: outcome.diagnostics };
  };
  const failed = (error: unknown): Reloaded => {
    const message = `the reload failed: ${error instanceof Error ? error.message : String(error)}`;
    if (!stopping()) log.error({ err: error }, message);
    const report = createReport();
    report.error('PH091', message, { file: current().settings.file ?? input.cwd });
    return { ok: false, diagnostics: report.diagnostics };
  };
  const run = async (): Promise<Reloaded> => {
    await held?.promise;
    const force = forced;
    forced = false;
    let result: Reloaded;
    try {
      if (stopping()) throw new Error('the server is stopping');
      begins();
      result = await attempt(force);
    } catch (error) {
      result = failed(error);
    }
    last = { ok: result.ok, at: new Date(), diagnostics: result.ok ? result.warnings : result.diagnostics };
    tell(last, current().number);
    return result;
  };
  const next = async (): Promise<Reloaded> => {
    following = undefined;
    underWay = run().finally(() => {
      underWay = undefined;
    });
    return await underWay;
  };
  const reload = async ({ force = false }: ReloadOptions = {}): Promise<Reloaded> => {
    // Waiting callers share one reload: if one of them sets `force`, it applies to all.
    forced ||= force;
    if (underWay) following ??= underWay.then(next);
    return await (following ?? next());
  };

  return {
    reload,
    last: () => last,
    hold: async () => {
      // Also waits for a reload that was requested meanwhile.
      for (let seen: typeof underWay; seen !== underWay;) await (seen = underWay);
      held = Promise.withResolvers();
    },
    goOn: () => {
      held?.resolve(undefined);
      held = undefined;
    },
    stop: () => {
      stopped.abort(new Error('the server is stopping'));
    },
  };
}

/** Settings that take effect only at a start, by their names in pharos.yaml. */
const FIXED: Readonly<Record<string, (settings: Settings) => unknown>> = {
  listen: ({ listen }) => listen,
  'tls.listen': ({ tls }) => tls?.listen ?? [],
  workers: ({ workers }) => workers,
  state_dir: ({ stateDir }) => stateDir,
  user: ({ user }) => user,
  status: ({ status }) => status,
  fleet: ({ fleet }) => fleet,
  'limits.tcp_clients': ({ limits }) => limits.tcpClients,
  'log.level': ({ log }) => log.level,
};

function warnOfRestart(before: Settings, after: Settings, log: Logger): void {
  const changed = Object.entries(FIXED).filter(([, of]) => JSON.stringify(of(before)) !== JSON.stringify(of(after)));
  if (changed.length === 0) return;
  const names = changed.map(([name]) => name).join(', ');
  log.warn(`${names} changed in the configuration: this takes effect at the next start`);
}
