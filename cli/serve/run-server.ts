/**
 * A whole server put together: configuration, health, answering threads, status server; start and stop. What `serve`
 * and `demo` run. What it does meanwhile stands beside it: reload.ts, hand-over.ts (a takeover), calendar.ts.
 */
import type { Logger } from 'pino';
import { createAlarms, type Alarms } from '../../config/alarms.ts';
import { shareDescriptors } from '../../config/descriptor-budget.ts';
import { formatDiagnostic, type Diagnostic } from '../../config/diagnostics.ts';
import { hidePaths } from '../../config/environment.ts';
import type { Settings } from '../../config/settings.ts';
import { systemClock } from '../../health/clock.ts';
import { startHealth, type Health } from '../../health/engine.ts';
import { createForesight } from '../../server/forecast/foresight.ts';
import { allowCollecting, shrinkHeap } from '../../server/threads/release-generation.ts';
import { letHelpersStepBack } from '../../server/threads/helper-threads.ts';
import { releaseMemory, returnLargeBlocks } from '../../server/libc.ts';
import { loadInThread } from '../../server/threads/load-thread.ts';
import { createSecondaryNotifier } from '../../server/transfer/notify-secondaries.ts';
import type { ServiceManager } from '../../server/io/service-manager.ts';
import { startServer, type Server } from '../../server/threads/supervisor.ts';
import type { ExplainRequest } from '../../steering/trace.ts';
import type { LastReload, Reloaded, ReloadOptions, RunningGeneration } from '../../status/runtime.ts';
import { formatEndpoint, type Endpoint } from '../../wire/address.ts';
import type { LoadInput } from '../../zones/load-generation.ts';
import { createAlarmWatch } from './alarm-watch.ts';
import { createAnswerCounter } from './answer-counter.ts';
import { createCalendar } from './calendar.ts';
import { claimAddresses } from './claim-addresses.ts';
import { createClientCounter } from './client-counter.ts';
import { explainInLines } from './explain-lines.ts';
import { configureHealth, prepare, publicationOf, tellSecondaries, type Current } from './generation.ts';
import { createHandOver } from './hand-over.ts';
import type { DropListener } from './log-writer.ts';
import { leaveRoot } from './leave-root.ts';
import { createMeasured } from './beacon-latency.ts';
import { createNews } from './announce.ts';
import { plural } from '../output.ts';
import { createQueryLog } from './query-log.ts';
import { createTrafficWindow } from './recent-traffic.ts';
import { createReloads } from './reload.ts';
import { countersOf, createRuntime, createSimulations } from './status-source.ts';
import { checkSerials, createSerialKeeper } from './serial-keeper.ts';
import { createStatusListener } from './status-listener.ts';

export type RunningServer = {
  /** Where DNS is answered, with the ports taken for 0. */
  readonly addresses: readonly Endpoint[];
  /** The same for DNS over TLS. */
  readonly tlsAddresses: readonly Endpoint[];
  readonly status: Endpoint | undefined;
  readonly generation: () => RunningGeneration;
  readonly reload: (options?: ReloadOptions) => Promise<Reloaded>;
  /** Resolves when another server has taken its place: there is nothing left to do then but `stop`. */
  readonly replaced: Promise<void>;
  /**
   * Says at /readyz that it is no longer ready, and answers for `shutdown.grace` more, so that routers and load balancers
   * move clients away first. Ends at once where another server takes over, and when `hurried` resolves.
   */
  readonly standDown: (hurried: Promise<unknown>) => Promise<void>;
  /** Stops accepting, finishes what is in flight, ends the probes. */
  readonly stop: () => Promise<void>;
};

/** What the files of a start say is wrong. Sockets that cannot be had throw a ListenError instead. */
export class ConfigurationError extends Error {
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super('the configuration has mistakes');
    this.diagnostics = diagnostics;
  }
}

/** The server was told to stop before it served. */
export class GivenUpError extends Error {}

export type StartOptions = {
  /** Whether to take the place of the server that runs with the same `state_dir`, where there is one. */
  readonly takesOver?: boolean;
  /** Whether to become another user where it runs as root (`user:`). */
  readonly leavesRoot?: boolean;
  /** Resolves when the start is no longer wanted: the first round of probes may take as long as `health.wait`. */
  readonly givenUp?: Promise<unknown>;
  /** Is told how the server is doing. */
  readonly manager?: ServiceManager;
};

/** `shutdown.grace` where the configuration has none and a service manager started the server. */
const MANAGED_GRACE_MS = 5000;
/** What a service manager must grant the stop itself, after the grace time. */
const STOP_MS = 15_000;
/** What it must grant the start, beside `health.wait`. */
const START_MS = 60_000;

/**
 * Starts everything, or nothing.
 *
 * @throws ConfigurationError, ListenError, TakeoverError, GivenUpError
 */
export async function runServer(
  input: LoadInput,
  createLog: (settings: Settings, listener: DropListener) => Promise<Logger>,
  {
    takesOver = false,
    leavesRoot = false,
    givenUp = new Promise(() => undefined),
    manager = NO_MANAGER,
  }: StartOptions = {},
): Promise<RunningServer> {
  const startedAt = new Date();
  const startedMs = performance.now();
  returnLargeBlocks();
  allowCollecting();
  letHelpersStepBack();
  manager.tell(undefined, 'Loading the configuration');
  const loadStartedMs = performance.now();
  const unwanted = new AbortController();
  void givenUp.then(() => {
    unwanted.abort(new GivenUpError());
  });
  const first = await loadInThread(input, { signal: unwanted.signal });
  const firstLoadMs = performance.now() - loadStartedMs;
  releaseMemory();
  if (!first.ok) throw new ConfigurationError(first.diagnostics);
  const { settings } = first.value;
  const alarms = createAlarms(Date.now, (text) => hidePaths(text, settings.shownPaths));
  let logDropped = 0;
  const log = await createLog(settings, {
    dropped: (lines) => {
      logDropped += lines;
      alarms.raise('log_dropped', 'Log lines are dropped: the reader of the log does not keep up.');
    },
    caughtUp: () => {
      alarms.clear('log_dropped');
    },
  });
  for (const warning of first.diagnostics) log.warn(formatDiagnostic(warning));
  const takeover = await claimAddresses(settings, takesOver);
  if (leavesRoot) {
    try {
      leaveRoot(settings, first.value.files.paths, log);
    } catch (error) {
      takeover?.abandon();
      throw error;
    }
  }

  // UDP threads, and one for TCP.
  const threads = settings.workers + 1;
  /** The generation in force. */
  let current = prepare(first.value, 1, first.diagnostics, threads);
  let server: Server | undefined;
  let stopping = false;
  /** Whether the first round of probes is done. */
  let probed = false;
  const inForce = (): Current => current;
  const statusText = (): string =>
    `Serving ${plural(current.catalog.zones.length, 'zone')}, generation ${String(current.number)}`;

  checkSerials(settings.stateDir, alarms);
  const news = createNews(log);
  const notifier = createSecondaryNotifier(log);
  const queryLog = createQueryLog(threads, log);
  const answers = createAnswerCounter(inForce);
  const traffic = createTrafficWindow({ counters: () => countersOf(server), answers });
  const clients = createClientCounter(inForce);
  const measured = createMeasured(() => current.loaded, log, alarms);
  const simulations = createSimulations({ current: inForce, health: () => health, answers, clients });
  const foresee = createForesight(systemClock, inForce, () => ({ served: answers.served(), clients: clients.of }));
  const openHealth = (): Health =>
    startHealth({
      stateDir: settings.stateDir,
      log: (event) => {
        news.health(event);
        alarmWatch.changed(event.target);
      },
      alarms,
      warn: (message) => {
        log.warn(message);
      },
      suspect: () => current.settings.health.suspect,
      foresee,
    });
  const serials = createSerialKeeper(settings.stateDir, alarms, () => handOver.isReleased());
  const alarmWatch = createAlarmWatch({ alarms, current: inForce, health: () => health, stateDir: settings.stateDir });
  let health = openHealth();

  /** Puts a loaded generation to work in every thread, or leaves all as it was and throws. */
  const activate = async (next: Current): Promise<void> => {
    const before = current;
    configureHealth(health, next);
    try {
      await server?.publish(publicationOf(next, queryLog.payload(next.settings)));
    } catch (error) {
      configureHealth(health, before);
      throw error;
    }
    answers.replaced(before);
    clients.replaced(before, next);
    current = next;
    traffic.replaced(before, next);
    simulations.replaced();
    news.configure(next);
    alarmWatch.replaced();
    await calendar.configure(next.settings);
    serials.keep(next.loaded);
    tellSecondaries(notifier, next, before);
  };
  const reloads = createReloads({
    input,
    warnings: first.diagnostics,
    firstLoadMs,
    alarms,
    threads,
    current: inForce,
    activate,
    measured,
    begins: () => {
      manager.tell('RELOADING', 'Reloading the configuration');
    },
    tell: (last, generation) => {
      tellRefusal(alarms, last, generation);
      news.reloaded(last, generation);
      if (!stopping) manager.tell('READY', last.ok ? statusText() : `Reload rejected; ${lowerFirst(statusText())}`);
    },
    stopping: () => stopping,
    log,
  });
  const { reload } = reloads;
  const calendar = createCalendar({ health: () => health, tell: news.scheduled, reload, log });
  const runtime = createRuntime({
    startedAt,
    startedMs,
    current: inForce,
    health: () => health,
    server: () => server,
    probed: () => probed,
    stopping: () => stopping,
    alarms,
    answers,
    traffic,
    clients,
    reloads,
    news,
    measured,
    simulations,
    logDropped: () => logDropped,
  });
  const status = createStatusListener(settings.status, runtime, log);
  const handOver = createHandOver({
    stateDir: settings.stateDir,
    current: inForce,
    server: () => server,
    reloads,
    calendar,
    status,
    measured,
    health: {
      stop: () => health.stop(),
      restart: () => {
        health = openHealth();
        configureHealth(health, current);
      },
    },
    log,
  });

  const standDown = async (hurried: Promise<unknown>): Promise<void> => {
    stopping = true;
    const written = current.settings.shutdown.graceMs ?? (manager.isThere ? MANAGED_GRACE_MS : 0);
    const graceMs = handOver.isReleased() ? 0 : written;
    const what = graceMs === 0 ? 'Stopping' : `Stopping: not ready, but answering for ${formatSeconds(graceMs)} more`;
    manager.tell('STOPPING', what, graceMs + STOP_MS);
    if (graceMs === 0) return;
    log.info(`${lowerFirst(what)} (shutdown.grace)`);
    await waitAtMost(Promise.race([hurried, handOver.replaced]), graceMs);
  };
  const stop = async (): Promise<void> => {
    if (server) log.info('stopping');
    stopping = true;
    reloads.stop();
    alarmWatch.stop();
    await serials.stop();
    await calendar.close();
    // Once another server keeps them, they are no longer this one's to write.
    if (!handOver.isReleased()) await measured.stop();
    notifier.stop();
    await server?.stop();
    queryLog.stop();
    simulations.stop();
    clients.stop();
    traffic.stop();
    await health.stop();
    news.stop();
    await status.close();
    takeover?.abandon();
    handOver.close();
  };

  try {
    news.configure(current);
    news.watchAlarms(alarms);
    configureHealth(health, current);
    await status.open(takeover?.sockets.status ?? []);
    const firstRound = health.firstRound.then(() => {
      probed = true;
    });
    const told = givenUp.then(() => {
      throw new GivenUpError();
    });
    manager.tell(undefined, 'Waiting for the first round of health checks', settings.health.waitMs + START_MS);
    await waitAtMost(Promise.race([firstRound, told]), settings.health.waitMs);
    server = await startServer({
      listen: settings.listen,
      workers: settings.workers,
      answererModule: new URL(
        `../../server/answer/answerer${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`,
        import.meta.url,
      ),
      publication: publicationOf(current, queryLog.payload(current.settings)),
      reply: (question) => explainInLines(runtime.explain(question as ExplainRequest)),
      listenTls: settings.tls?.listen ?? [],
      tcpClients: fitTcpClients(settings.limits.tcpClients, log),
      inherited: takeover?.sockets,
      log,
    });
    clients.start();
    traffic.start();
    alarmWatch.start();
    serials.keep(current.loaded);
    tellSecondaries(notifier, current, undefined);
    await calendar.configure(current.settings);
    measured.start(reload);
  } catch (error) {
    await stop();
    throw error;
  }
  const running: RunningServer = {
    addresses: server.addresses(),
    tlsAddresses: server.tlsAddresses(),
    status: status.endpoint(),
    generation: inForce,
    reload,
    replaced: handOver.replaced,
    standDown,
    stop,
  };
  if (!takeover) await handOver.open();
  log.info(
    {
      listen: running.addresses.map((bound, index) => showBound(bound, settings.listen[index])),
      ...(running.status ? { status: `http://${showBound(running.status, settings.status?.listen)}/` } : {}),
      ...(settings.tls
        ? { tls: running.tlsAddresses.map((bound, index) => showBound(bound, settings.tls?.listen[index])) }
        : {}),
      zones: current.catalog.zones.length,
      services: current.catalog.services.length,
      vips: current.catalog.vips.length,
      workers: settings.workers,
      io: server.io,
    },
    'serving',
  );
  if (takeover) {
    try {
      await takeover.serving();
    } catch (error) {
      await stop();
      throw error;
    }
    await handOver.open();
    log.info('the server before has ended');
  }
  manager.tell('READY', statusText());
  shrinkHeap();
  releaseMemory();
  return running;
}

/** The alarm `reload_refused` lasts until a reload succeeds. */
function tellRefusal(alarms: Alarms, { ok, diagnostics }: LastReload, generation: number): void {
  if (ok) {
    alarms.clear('reload_refused');
    return;
  }
  const first = diagnostics.find(({ severity }) => severity === 'error');
  const why = first ? ` ${formatDiagnostic(first).split('\n')[0] ?? ''}` : '';
  alarms.raise('reload_refused', `Reload refused; still serving generation ${generation}.${why}`);
}

const NO_MANAGER: ServiceManager = { isThere: false, tell: () => undefined };

function lowerFirst(text: string): string {
  return `${text.slice(0, 1).toLowerCase()}${text.slice(1)}`;
}

function formatSeconds(ms: number): string {
  return `${String(ms / 1000)} s`;
}

/** As many TCP clients as the configuration says, if the descriptors of this process are enough for them. */
function fitTcpClients(wanted: number, log: Logger): number {
  const { tcp } = shareDescriptors();
  if (tcp >= wanted) return wanted;
  log.warn(
    `limits.tcp_clients is ${String(wanted)}, but this process may open too few files: ${String(tcp)} TCP clients are accepted. Raise LimitNOFILE or ulimit -n.`,
  );
  return tcp;
}

async function waitAtMost(event: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await Promise.race([event, over]);
  } finally {
    clearTimeout(timer);
  }
}

/** Where a socket is; what the file says, where that came from the environment. */
function showBound(bound: Endpoint, wanted: Endpoint | undefined): string {
  return wanted?.written ?? formatEndpoint(bound);
}
