/**
 * Reloads: the files are read again and put in force in every thread, or nothing changes and the mistakes are reported.
 */
import type { Logger } from 'pino';
import type { Alarms } from '../../config/alarms.ts';
import { createReport, formatDiagnostic, logLevelOf, type Diagnostic } from '../../config/diagnostics.ts';
import { collectAll } from '../../config/garbage.ts';
import { releaseMemory } from '../../config/libc.ts';
import type { Settings } from '../../config/settings.ts';
import { LoadStuckError, type RunLoad } from '../../server/threads/load-thread.ts';
import type { LastReload, Reloaded, ReloadOptions } from '../../status/runtime.ts';
import type { FleetSerials } from '../../zones/agree-serial.ts';
import type { ForeignNames } from '../../zones/foreign-names.ts';
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
  /**
   * Puts changed dynamic records in force. `keep` writes them while no reload runs, and resolves to the files of their
   * zones, which are not read.
   */
  readonly update: (keep: () => Promise<KeptUpdates>) => Promise<Reloaded>;
  /** The outcome of the last reload; before the first, of the load at the start. */
  readonly last: () => LastReload;
  /** Resolves when no reload runs. Later ones wait for `goOn`. */
  readonly hold: () => Promise<void>;
  readonly goOn: () => void;
  /** Ends a running reload, and rejects later ones. */
  readonly stop: () => void;
};

/** Updates that are in the journal. */
export type KeptUpdates = {
  /** The files of their zones. */
  readonly files: readonly string[];
  /**
   * Puts them in force without the compile thread; undefined, with nothing changed, if that is not possible. Without it
   * the zones are compiled.
   */
  readonly inPlace?: () => Current | undefined;
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
  /** Replaces the generation in force by the same one after changes in place. */
  readonly changedInPlace: (next: Current) => void;
  readonly measured: Pick<Measured, 'figures' | 'applied'>;
  /** The addresses of names outside the zones that aliases lead to. */
  readonly foreign?: () => ForeignNames;
  /** The serials that are known in the fleet. */
  readonly fleetSerials?: () => FleetSerials | undefined;
  /** The keys on which all nodes of the fleet agree, by zone. */
  readonly agreedKeys?: () => ReadonlyMap<string, string>;
  /** Called when a reload begins. */
  readonly begins: () => void;
  /** Called after each reload; `generation` is the one in force then. */
  readonly tell: (reload: LastReload, generation: number, who?: string) => void;
  readonly stopping: () => boolean;
  readonly log: Logger;
  /** Runs the compile thread. */
  readonly load: RunLoad;
};

type ReloadState = {
  readonly options: ReloadsOptions;
  /** Time limit of a compile thread. */
  readonly limitMs: number;
  readonly stopped: AbortController;
  /** The settings of the start that no reload changes, as JSON; set by the first reload. */
  fixed: ReadonlyMap<string, string> | undefined;
  /** Compile threads that were ended but still wait for a file system. */
  stuck: number;
  last: LastReload;
  underWay: Promise<Reloaded> | undefined;
  /** The reload that begins after it. */
  following: Promise<Reloaded> | undefined;
  /** Whether a caller of the next reload has set `force`. */
  forced: boolean;
  /** The callers of the next reload that gave their name. */
  names: Set<string>;
  /** Set by `hold`: the next reload waits for it. */
  held: PromiseWithResolvers<undefined> | undefined;
};

export function createReloads(options: ReloadsOptions): Reloads {
  const state: ReloadState = {
    options,
    limitMs: Math.max(LEAST_LIMIT_MS, options.firstLoadMs * SLOWER_THAN_FIRST),
    stopped: new AbortController(),
    fixed: undefined,
    stuck: 0,
    last: { ok: true, at: new Date(), diagnostics: options.warnings },
    ...{ underWay: undefined, following: undefined, forced: false, names: new Set<string>(), held: undefined },
  };
  return {
    reload: async ({ force = false, who } = {}) => {
      // Waiting callers share one reload: if one of them sets `force`, it applies to all.
      state.forced ||= force;
      if (who !== undefined) state.names.add(who);
      if (state.underWay) state.following ??= state.underWay.then(() => beginReload(state));
      return await (state.following ?? beginReload(state));
    },
    update: async (keep) => {
      for (let busy; (busy = state.following ?? state.underWay);) await busy;
      state.underWay = runUpdate(state, keep).finally(() => {
        state.underWay = undefined;
      });
      return await state.underWay;
    },
    last: () => state.last,
    hold: async () => {
      // Also waits for a reload that was requested meanwhile.
      for (let seen: typeof state.underWay; seen !== state.underWay;) await (seen = state.underWay);
      state.held = Promise.withResolvers();
    },
    goOn: () => {
      state.held?.resolve(undefined);
      state.held = undefined;
    },
    stop: () => {
      state.stopped.abort(new Error('the server is stopping'));
      // After a takeover, nothing waits any more.
      state.held?.resolve(undefined);
    },
  };
}

async function beginReload(state: ReloadState): Promise<Reloaded> {
  state.following = undefined;
  state.underWay = runReload(state).finally(() => {
    state.underWay = undefined;
  });
  return await state.underWay;
}

/** Never rejects: an error is a rejected reload with PH091. */
async function runReload(state: ReloadState): Promise<Reloaded> {
  const { begins, tell, current, stopping } = state.options;
  await state.held?.promise;
  const force = state.forced;
  state.forced = false;
  const who = state.names.size === 0 ? undefined : [...state.names].join(', ');
  state.names = new Set();
  let result: Reloaded;
  try {
    if (stopping()) throw new Error('the server is stopping');
    begins();
    result = await attempt(state, force);
  } catch (error) {
    result = failed(state.options, error);
  }
  state.last = { ok: result.ok, at: new Date(), diagnostics: result.ok ? result.warnings : result.diagnostics };
  tell(state.last, current().number, who);
  return result;
}

/** Never rejects, like a reload. */
async function runUpdate(state: ReloadState, keep: () => Promise<KeptUpdates>): Promise<Reloaded> {
  const { options } = state;
  const { current, threads, activate, stopping } = options;
  await state.held?.promise;
  try {
    if (stopping()) throw new Error('the server is stopping');
    const { files: updated, inPlace } = await keep();
    const changed = updated.length === 0 ? undefined : inPlace?.();
    if (changed) options.changedInPlace(changed);
    if (changed || updated.length === 0)
      return { ok: true, generation: current().number, warnings: current().warnings };
    const outcome = await load(state, { ...(await inputOf(state)), updated });
    if (!outcome.ok) return { ok: false, diagnostics: outcome.diagnostics };
    const { warnings, number } = current();
    if (outcome.value === current().loaded) return { ok: true, generation: number, warnings };
    const { isPartial = false } = outcome;
    const next = { ...prepare(outcome.value, number + 1, warnings, threads, current()), isUpdate: isPartial };
    const isSmall = sharesMemory(current().loaded, next.loaded);
    await activate(next);
    if (!isSmall) {
      collectAll();
      releaseMemory();
    }
    return { ok: true, generation: next.number, warnings };
  } catch (error) {
    return failed(options, error);
  }
}

async function inputOf({ options }: ReloadState): Promise<LoadInput> {
  const { input, current, measured, foreign, fleetSerials, agreedKeys } = options;
  // If the server has a pharos.yaml, its absence is a mistake: the defaults must not be served.
  const file = input.file ?? current().settings.file;
  const { serials, atlas, knownDatabases } = current().loaded;
  const geographyInUse = { atlas, knownDatabases };
  const keyPairInUse = current().settings.tls?.keyPair;
  const figures = await measured.figures();
  return {
    ...{ ...input, file, serials, measured: figures, keyPairInUse, geographyInUse },
    ...{ fleetSerials: fleetSerials?.(), agreedKeys: agreedKeys?.(), foreign: foreign && new Map(foreign()) },
  };
}

async function attempt(state: ReloadState, force: boolean): Promise<Reloaded> {
  const { threads, current, activate, measured, log } = state.options;
  const fixed = (state.fixed ??= fixedOf(current().settings));
  const given = await inputOf(state);
  const figures = given.measured;
  const outcome = await load(state, given);
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
  const atNextStart = warnOfRestart(fixed, next.settings, log);
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
  return { ok: true, generation: next.number, warnings: [...outcome.diagnostics, ...atNextStart] };
}

/** Runs the compile thread, and raises `reload_stuck` if it hangs. */
async function load(state: ReloadState, input: LoadInput): ReturnType<RunLoad> {
  const { limitMs, stopped, options } = state;
  const { current, alarms } = options;
  if (state.stuck >= MAX_STUCK) {
    throw new Error(`${state.stuck} earlier reloads still wait for a file that cannot be read`);
  }
  try {
    const outcome = await options.load(input, { limitMs, signal: stopped.signal, inForce: current().loaded });
    alarms.clear('reload_stuck');
    return outcome;
  } catch (error) {
    if (error instanceof LoadStuckError) {
      state.stuck += 1;
      void error.ended.then(() => (state.stuck -= 1));
      const message = `The last reload was stopped: ${error.message}. Still serving generation ${current().number}.`;
      alarms.raise('reload_stuck', message);
    }
    throw error;
  }
}

function failed({ stopping, log, current, input }: ReloadsOptions, error: unknown): Reloaded {
  const message = `the reload failed: ${error instanceof Error ? error.message : String(error)}`;
  if (!stopping()) log.error({ err: error }, message);
  const report = createReport();
  report.error('PH091', message, { file: current().settings.file ?? input.cwd });
  return { ok: false, diagnostics: report.diagnostics };
}

/** Settings that take effect only at a start, by their names in pharos.yaml. */
const FIXED: Readonly<Record<string, (settings: Settings) => unknown>> = {
  listen: ({ listen }) => listen,
  'tls.listen': ({ tls }) => tls?.listen ?? [],
  workers: ({ workers }) => workers,
  state_dir: ({ stateDir }) => stateDir,
  user: ({ user }) => user,
  'status.listen': ({ status }) => status?.listen,
  'status.tls': ({ status }) => status?.tls === undefined,
  fleet: ({ fleet }) => fleet,
  'limits.tcp_clients': ({ limits }) => limits.tcpClients,
  'log.level': ({ log }) => log.level,
};

function fixedOf(settings: Settings): ReadonlyMap<string, string> {
  return new Map(Object.entries(FIXED).map(([name, of]) => [name, JSON.stringify([of(settings)])]));
}

/** Returns the warning for who asked for the reload, if there is one. */
function warnOfRestart(started: ReadonlyMap<string, string>, after: Settings, log: Logger): readonly Diagnostic[] {
  const changed = [...fixedOf(after)].filter(([name, value]) => value !== started.get(name));
  if (changed.length === 0) return [];
  const names = changed.map(([name]) => name).join(', ');
  const message = `${names} changed in the configuration: this takes effect at the next start`;
  log.warn(message);
  const report = createReport();
  report.warning('PH432', message, { file: after.file ?? 'pharos.yaml' }, 'restart the server');
  return report.diagnostics;
}
