/**
 * The start and the stop of a whole server: configuration, health checks, answering threads and status server. `serve`
 * and `demo` run it. server-parts.ts creates the parts; reload.ts and hand-over.ts (a takeover) work while it runs.
 */
import type { Logger } from 'pino';
import { createAlarms, type Alarms } from '../../config/alarms.ts';
import { shareDescriptors } from '../../config/descriptor-budget.ts';
import { formatDiagnostic, type Diagnostic } from '../../config/diagnostics.ts';
import { hidePaths } from '../../config/environment.ts';
import { allowCollecting, keepHeapSmall, shrinkLater } from '../../config/garbage.ts';
import { releaseMemory, returnLargeBlocks } from '../../config/libc.ts';
import type { Settings } from '../../config/settings.ts';
import { ANSWERER_MODULE } from '../../server/answer/answerer-module.ts';
import type { Deferred } from '../../server/contract.ts';
import { NO_MANAGER, type ServiceManager } from '../../server/io/service-manager.ts';
import { letHelpersStepBack } from '../../server/threads/helper-threads.ts';
import { createLoader, type Loader } from '../../server/threads/load-thread.ts';
import { startServer, type Server } from '../../server/threads/supervisor.ts';
import type { Takeover } from '../../server/threads/takeover.ts';
import { isUpdateMessage } from '../../server/transfer/answer-peers.ts';
import type { AskedDifference } from '../../server/transfer/transfer.ts';
import { votesIn } from '../../status/fleet-document.ts';
import type { Reloaded, ReloadOptions, RunningGeneration } from '../../status/runtime.ts';
import type { ExplainRequest } from '../../steering/trace.ts';
import { formatEndpoint, type Endpoint } from '../../wire/address.ts';
import type { LoadInput } from '../../zones/load-generation.ts';
import type { CompiledGeneration } from '../../zones/packed-generation.ts';
import { claimAddresses } from './claim-addresses.ts';
import { explainInLines } from './explain-lines.ts';
import { describeConfiguration, openFleet } from './fleet-part.ts';
import { configureHealth, prepare, publicationOf, tellSecondaries } from './generation.ts';
import { leaveRoot } from './leave-root.ts';
import type { DropListener } from './log-writer.ts';
import { reportAlive } from './report-alive.ts';
import { withFleetSerials } from './serial-agreement.ts';
import { createServerParts, lowerFirst, servingText, type ServerParts } from './server-parts.ts';
import { createSigningKeeper } from './signing-watch.ts';

export type RunningServer = {
  /** The addresses for DNS. Port 0 of the configuration is replaced by the port that the system chose. */
  readonly addresses: readonly Endpoint[];
  /** The same for DNS over TLS. */
  readonly tlsAddresses: readonly Endpoint[];
  readonly status: Endpoint | undefined;
  readonly generation: () => RunningGeneration;
  readonly reload: (options?: ReloadOptions) => Promise<Reloaded>;
  /** Resolves when another server has taken over. Only `stop` is left to do then. */
  readonly replaced: Promise<void>;
  /**
   * Reports "not ready" at /readyz and continues to answer for `shutdown.grace`, so that routers and load balancers
   * move clients away first. Resolves at once if another server takes over, and when `hurried` resolves.
   */
  readonly standDown: (hurried: Promise<unknown>) => Promise<void>;
  /** Stops accepting queries, finishes those in flight, and ends the health checks. */
  readonly stop: () => Promise<void>;
};

/** Mistakes in the files of a start. Sockets that cannot be opened throw a ListenError instead. */
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
  /** Whether to take over from the server that runs with the same `state_dir`, if there is one. */
  readonly takesOver?: boolean;
  /** Whether to become another user if it runs as root (`user:`). */
  readonly leavesRoot?: boolean;
  /**
   * Resolves when the start is no longer wanted: the first round of health checks may take as long as `health.wait`.
   */
  readonly givenUp?: Promise<unknown>;
  /** Receives the progress of the start and the stop. */
  readonly manager?: ServiceManager;
};

type CreateLog = (settings: Settings, listener: DropListener) => Promise<Logger>;

/** `shutdown.grace` if the configuration has none and a service manager started the server. */
const MANAGED_GRACE_MS = 5000;
/** The time to ask of a service manager for the stop, after the grace time. */
const STOP_MS = 15_000;
/** The time to ask for the start, in addition to `health.wait`. */
const START_MS = 60_000;

/**
 * Starts everything, or nothing.
 *
 * @throws ConfigurationError, ListenError, TakeoverError, LeaveRootError, GivenUpError
 */
export async function runServer(
  input: LoadInput,
  createLog: CreateLog,
  options: StartOptions = {},
): Promise<RunningServer> {
  const { takesOver = false, leavesRoot = false, givenUp = new Promise(() => undefined) } = options;
  const { manager = NO_MANAGER } = options;
  const [startedAt, startedMs] = [new Date(), performance.now()];
  returnLargeBlocks();
  allowCollecting();
  letHelpersStepBack();
  manager.tell(undefined, 'Loading the configuration');
  const signing = createSigningKeeper();
  const loader = createLoader(signing);
  const early = await loadFirst(loader, input, givenUp);
  const { firstLoadMs } = early;
  const { settings } = early.loaded;
  const alarmed = await openLog(settings, createLog);
  const { log } = alarmed;
  for (const warning of early.warnings) log.warn(formatDiagnostic(warning));
  const takeover = await claimAddresses(settings, takesOver);
  let parts: ServerParts;
  try {
    // The other server may have kept updates until now.
    const { loaded, warnings } = takeover && settings.updates ? await loadFirst(loader, input, givenUp) : early;
    if (leavesRoot) leaveRoot(settings, loaded.files.paths, log);
    // UDP threads, and one for TCP.
    const threads = settings.workers + 1;
    const first = prepare(loaded, 1, warnings, threads);
    const fleet = await openFleet(settings, alarmed.alarms, log);
    const { stateDir } = settings;
    parts = createServerParts(
      { ...alarmed, input, loader, stateDir, firstLoadMs, startedAt, startedMs, threads, manager, fleet, signing },
      first,
    );
  } catch (error) {
    takeover?.abandon();
    throw error;
  }
  try {
    const server = await start(parts, takeover, givenUp);
    if (!takeover) await parts.handOver.open();
    logServing(parts, server);
    if (takeover) {
      await takeover.serving();
      await parts.handOver.open();
      await parts.updates.join();
      log.info('the previous server has stopped');
    }
    manager.tell('READY', servingText(parts.state.current));
    reportAlive(manager, server, log);
    shrinkLater();
    keepHeapSmall();
    return runningServer(parts, server, takeover);
  } catch (error) {
    await stop(parts, takeover);
    throw error;
  }
}

async function loadFirst(
  loader: Loader,
  input: LoadInput,
  givenUp: Promise<unknown>,
): Promise<{
  readonly loaded: CompiledGeneration;
  readonly warnings: readonly Diagnostic[];
  readonly firstLoadMs: number;
}> {
  const startedMs = performance.now();
  const unwanted = new AbortController();
  void givenUp.then(() => {
    unwanted.abort(new GivenUpError());
  });
  const outcome = await loader.load(input, { signal: unwanted.signal });
  const firstLoadMs = performance.now() - startedMs;
  releaseMemory();
  if (!outcome.ok) {
    loader.stop();
    throw new ConfigurationError(outcome.diagnostics);
  }
  return { loaded: outcome.value, warnings: outcome.diagnostics, firstLoadMs };
}

/** The log, and the alarms, one of which says that lines of the log were dropped. */
async function openLog(
  settings: Settings,
  createLog: CreateLog,
): Promise<{ readonly log: Logger; readonly alarms: Alarms; readonly logDropped: () => number }> {
  const alarms = createAlarms(Date.now, (text) => hidePaths(text, settings.shownPaths));
  let dropped = 0;
  const log = await createLog(settings, {
    dropped: (lines) => {
      dropped += lines;
      alarms.raise('log_dropped', 'Log lines are dropped: the reader of the log does not keep up.');
    },
    caughtUp: () => {
      alarms.clear('log_dropped');
    },
  });
  return { log, alarms, logDropped: () => dropped };
}

/** Opens the status server, waits for the first round of health checks, then starts the threads that answer. */
async function start(parts: ServerParts, takeover: Takeover | undefined, givenUp: Promise<unknown>): Promise<Server> {
  const { state, log, alarms, manager, health, news } = parts;
  const { settings } = state.current;
  news.configure(state.current);
  news.watchAlarms(alarms);
  describeConfiguration(parts.fleet, state.current);
  configureHealth(health.now(), state.current);
  await parts.status.open(takeover?.sockets.status ?? []);
  parts.tokens.start();
  const firstRound = health.now().firstRound.then(() => {
    state.probed = true;
  });
  const unwanted = givenUp.then(() => {
    throw new GivenUpError();
  });
  manager.tell(undefined, 'Waiting for the first round of health checks', settings.health.waitMs + START_MS);
  await waitAtMost(Promise.race([firstRound, unwanted]), settings.health.waitMs);
  await Promise.race([parts.fleet?.joined, unwanted]);
  state.current = await withFleetSerials(state.current, parts);
  // The records that the fleet has. Before a takeover the other server writes them.
  if (!takeover) await parts.updates.join();
  const server = (state.server = await startServer({
    listen: settings.listen,
    workers: settings.workers,
    answererModule: ANSWERER_MODULE,
    publication: publicationOf(state.current, parts.queryLog.payload(settings)),
    reply: (question) =>
      isDeferred(question)
        ? answerDeferred(parts, question)
        : isAskedDifference(question)
          ? parts.histories.difference(question)
          : explainInLines(parts.runtime.explain(question as ExplainRequest), votesIn(parts.runtime)),
    listenTls: settings.tls?.listen ?? [],
    tcpClients: fitTcpClients(settings.limits.tcpClients, log),
    inherited: takeover?.sockets,
    log,
  }));
  parts.clients.start();
  parts.traffic.start();
  void parts.historyKeeper.start();
  parts.alarmWatch.start();
  parts.serials.keep(state.current.loaded);
  void parts.updates.followFiles();
  parts.agreement.start();
  parts.keyAgreement.start();
  tellSecondaries(parts.notifier, state.current, undefined);
  await parts.calendar.configure(settings);
  parts.measured.start(parts.reloads.reload);
  parts.signatures.start(parts.reloads.reload);
  parts.foreign.start();
  parts.rareSets.start();
  parts.signing.start(parts.reloads.reload, log);
  return server;
}

function runningServer(parts: ServerParts, server: Server, takeover: Takeover | undefined): RunningServer {
  return {
    addresses: server.addresses(),
    tlsAddresses: server.tlsAddresses(),
    status: parts.status.endpoint(),
    generation: () => parts.state.current,
    reload: parts.reloads.reload,
    replaced: parts.handOver.replaced,
    standDown: (hurried) => standDown(parts, hurried),
    stop: () => stop(parts, takeover),
  };
}

/** The response to a message that answering threads cannot answer: an update, or an IXFR over UDP. */
async function answerDeferred(
  { updates, histories }: ServerParts,
  question: Deferred,
): Promise<Uint8Array | undefined> {
  return isUpdateMessage(question.message, 0) ? await updates.answer(question) : histories.answer(question);
}

function isAskedDifference(question: unknown): question is AskedDifference {
  return (question as Partial<AskedDifference>).kind === 'difference';
}

function isDeferred(question: unknown): question is Deferred {
  return (question as Partial<Deferred>).kind === 'deferred';
}

async function standDown({ state, log, manager, handOver }: ServerParts, hurried: Promise<unknown>): Promise<void> {
  state.stopping = true;
  const configured = state.current.settings.shutdown.graceMs ?? (manager.isThere ? MANAGED_GRACE_MS : 0);
  const graceMs = handOver.isReleased() ? 0 : configured;
  const what = graceMs === 0 ? 'Stopping' : `Stopping: not ready, but answering for ${formatSeconds(graceMs)} more`;
  manager.tell('STOPPING', what, graceMs + STOP_MS);
  if (graceMs === 0) return;
  log.info(`${lowerFirst(what)} (shutdown.grace)`);
  await waitAtMost(Promise.race([hurried, handOver.replaced]), graceMs);
}

async function stop(parts: ServerParts, takeover: Takeover | undefined): Promise<void> {
  const { state, log, handOver } = parts;
  if (state.server) log.info('stopping');
  state.stopping = true;
  parts.reloads.stop();
  await parts.foreign.stop();
  await parts.updates.stop();
  parts.loader.stop();
  parts.alarmWatch.stop();
  parts.signatures.stop();
  parts.keyAgreement.stop();
  parts.rareSets.stop();
  parts.tokens.stop();
  await parts.serials.stop();
  await parts.calendar.close();
  // After a takeover the other server writes the measurements.
  if (!handOver.isReleased()) await parts.measured.stop();
  parts.notifier.stop();
  await state.server?.stop();
  parts.queryLog.stop();
  parts.simulations.stop();
  parts.clients.stop();
  parts.traffic.stop();
  // After a takeover the other server keeps it.
  if (!handOver.isReleased()) await parts.historyKeeper.stop();
  await parts.health.now().stop();
  await parts.fleet?.stop();
  parts.news.stop();
  await parts.status.close();
  await parts.audit.stop();
  takeover?.abandon();
  handOver.close();
}

function logServing({ state, log, status }: ServerParts, server: Server): void {
  const { settings, catalog } = state.current;
  const http = status.endpoint();
  log.info(
    {
      listen: server.addresses().map((bound, index) => showBound(bound, settings.listen[index])),
      ...(http
        ? { status: `${settings.status?.tls ? 'https' : 'http'}://${showBound(http, settings.status?.listen)}/` }
        : {}),
      ...(settings.tls
        ? { tls: server.tlsAddresses().map((bound, index) => showBound(bound, settings.tls?.listen[index])) }
        : {}),
      zones: catalog.zones.length,
      services: catalog.services.length,
      vips: catalog.vips.length,
      workers: settings.workers,
      io: server.io,
    },
    'serving',
  );
}

function formatSeconds(ms: number): string {
  return `${String(ms / 1000)} s`;
}

/** The configured number of TCP clients, or fewer if this process may not open enough files for them. */
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

/** The address of a socket. If it came from the environment, shows the text of the file instead. */
function showBound(bound: Endpoint, wanted: Endpoint | undefined): string {
  return wanted?.written ?? formatEndpoint(bound);
}
