/**
 * Reloads: the files are read anew and put to work in every thread; or nothing changes, and their mistakes are told.
 */
import type { Logger } from 'pino';
import type { Alarms } from '../../config/alarms.ts';
import { createReport, formatDiagnostic, logLevelOf, type Diagnostic } from '../../config/diagnostics.ts';
import type { Settings } from '../../config/settings.ts';
import { collectAll } from '../../server/threads/release-generation.ts';
import { releaseMemory } from '../../server/libc.ts';
import { loadInThread, LoadStuckError } from '../../server/threads/load-thread.ts';
import type { LastReload, Reloaded, ReloadOptions } from '../../status/runtime.ts';
import type { LoadInput } from '../../zones/load-generation.ts';
import { prepare, type Current } from './generation.ts';
import type { Measured } from './beacon-latency.ts';
import { findShrunk } from './shrink.ts';

/** What a compile thread may take at least, and how many times as long as the first one took. */
const LEAST_LIMIT_MS = 60_000;
const SLOWER_THAN_FIRST = 10;
/** Compile threads that hang, beyond which no more are started: each keeps its memory. */
const MAX_STUCK = 3;

export type Reloads = {
  /** One at a time. Calls during a reload have one after it in common, which reads the files anew. */
  readonly reload: (options?: ReloadOptions) => Promise<Reloaded>;
  /** What the last one came to; before the first, the load at the start. */
  readonly last: () => LastReload;
  /** Resolves when none is under way any more; those that come then wait for `goOn`. */
  readonly hold: () => Promise<void>;
  readonly goOn: () => void;
  /** Ends one that is under way, and refuses those that come then. */
  readonly stop: () => void;
};

export type ReloadsOptions = {
  readonly alarms: Pick<Alarms, 'raise' | 'clear'>;
  /** How long the load at the start took. */
  readonly firstLoadMs: number;
  readonly input: LoadInput;
  /** Of the load at the start. */
  readonly warnings: readonly Diagnostic[];
  /** All that answer, TCP's included. */
  readonly threads: number;
  /** The generation in force. */
  readonly current: () => Current;
  /** Puts a generation in force, or leaves all as it was and throws. */
  readonly activate: (next: Current) => Promise<void>;
  readonly measured: Pick<Measured, 'figures' | 'applied'>;
  /** Is told when one begins. */
  readonly begins: () => void;
  /** Is told of each; `generation` is the one in force afterwards. */
  readonly tell: (reload: LastReload, generation: number) => void;
  readonly stopping: () => boolean;
  readonly log: Logger;
  /** Runs the compile thread. */
  readonly load?: typeof loadInThread;
};

export function createReloads(options: ReloadsOptions): Reloads {
  const { input, threads, current, activate, measured, begins, tell, stopping, log, alarms } = options;
  const { load: runLoad = loadInThread } = options;
  const limitMs = Math.max(LEAST_LIMIT_MS, options.firstLoadMs * SLOWER_THAN_FIRST);
  const stopped = new AbortController();
  /** Compile threads that were told to end. One that waits for a file system does not. */
  let stuck = 0;
  let last: LastReload = { ok: true, at: new Date(), diagnostics: options.warnings };
  let underWay: Promise<Reloaded> | undefined;
  /** The one that begins when that has ended. */
  let following: Promise<Reloaded> | undefined;
  /** Whether the next one was asked for with `force`. */
  let forced = false;
  let held: PromiseWithResolvers<undefined> | undefined;

  const load = async (loadInput: LoadInput): ReturnType<typeof loadInThread> => {
    if (stuck >= MAX_STUCK) throw new Error(`${stuck} earlier reloads still wait for a file that cannot be read`);
    try {
      const outcome = await runLoad(loadInput, { limitMs, signal: stopped.signal });
      alarms.clear('reload_stuck');
      return outcome;
    } catch (error) {
      if (error instanceof LoadStuckError) {
        stuck += 1;
        void error.ended.then(() => (stuck -= 1));
        const message = `The last reload was ended: ${error.message}. Still serving generation ${current().number}.`;
        alarms.raise('reload_stuck', message);
      }
      throw error;
    }
  };
  const attempt = async (force: boolean): Promise<Reloaded> => {
    const figures = await measured.figures();
    // Of a server with a pharos.yaml, that it is gone is a mistake, and no reason to serve the defaults.
    const file = input.file ?? current().settings.file;
    const { serials } = current().loaded;
    const keyPairInUse = current().settings.tls?.keyPair;
    const outcome = await load({ ...input, file, serials, measured: figures, keyPairInUse });
    const shrunk = outcome.ok && !force ? findShrunk(current().catalog, outcome.value) : [];
    if (!outcome.ok || shrunk.length > 0) {
      const diagnostics = [...outcome.diagnostics, ...shrunk];
      for (const each of diagnostics) log[logLevelOf(each)](formatDiagnostic(each));
      log.error(`reload refused, generation ${current().number} is still served`);
      return { ok: false, diagnostics };
    }
    const next = prepare(outcome.value, current().number + 1, outcome.diagnostics, threads);
    warnOfRestart(current().settings, next.settings, log);
    await activate(next);
    measured.applied(figures);
    // Only now: `activate` had the generation before at hand.
    collectAll();
    releaseMemory();
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
    // Those that wait have one reload in common: what one of them forces, it forces for all.
    forced ||= force;
    if (underWay) following ??= underWay.then(next);
    return await (following ?? next());
  };

  return {
    reload,
    last: () => last,
    hold: async () => {
      // One that was asked for meanwhile is waited for too.
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

/** Settings that sockets, threads, folders and the log were opened with, by their names in pharos.yaml. */
const FIXED: Readonly<Record<string, (settings: Settings) => unknown>> = {
  listen: ({ listen }) => listen,
  'tls.listen': ({ tls }) => tls?.listen ?? [],
  workers: ({ workers }) => workers,
  state_dir: ({ stateDir }) => stateDir,
  user: ({ user }) => user,
  status: ({ status }) => status,
  'limits.tcp_clients': ({ limits }) => limits.tcpClients,
  'log.level': ({ log }) => log.level,
};

function warnOfRestart(before: Settings, after: Settings, log: Logger): void {
  const changed = Object.entries(FIXED).filter(([, of]) => JSON.stringify(of(before)) !== JSON.stringify(of(after)));
  if (changed.length === 0) return;
  const names = changed.map(([name]) => name).join(', ');
  log.warn(`${names} changed in the configuration: that takes effect at the next start`);
}
