/**
 * A whole server put together: configuration, health, answering threads, status server; reload and stop. What
 * `serve` and `demo` run.
 */
import { availableParallelism } from 'node:os';
import { stat } from 'node:fs/promises';
import { schedule, type ScheduledTask } from 'node-cron';
import type { Logger } from 'pino';
import { formatDiagnostic, type Diagnostic } from '../config/diagnostics.ts';
import { systemClock } from '../health/clock.ts';
import { startHealth, type Health } from '../health/engine.ts';
import { checkListen, checkUdp } from '../server/check-listen.ts';
import { explainFrom, type LiveHealth } from '../server/explain.ts';
import { createForesight } from '../server/foresight.ts';
import { allowCollecting, collectAll, shrinkHeap } from '../server/garbage.ts';
import { letHelpersStepBack } from '../server/priorities.ts';
import { libc, releaseMemory, returnLargeBlocks } from '../server/libc.ts';
import { createNotifier } from '../server/notify.ts';
import { simulateFrom, type Live } from '../server/simulate.ts';
import { chooseIo, startServer, type Server } from '../server/supervisor.ts';
import {
  closeUnwanted,
  listenForTakeover,
  requestTakeover,
  socketsAt,
  TakeoverError,
  type OpenSockets,
  type TakeoverListener,
} from '../server/takeover.ts';
import type { ExplainRequest } from '../steering/trace.ts';
import { startStatusServer, type StatusServer } from '../status/http.ts';
import type { Alarm, LastReload, Reloaded, RunningGeneration, Runtime } from '../status/runtime.ts';
import { formatEndpoint, type Endpoint } from '../wire/address.ts';
import type { LoadedGeneration, LoadInput } from '../zones/load.ts';
import { loadInThread } from '../zones/load-thread.ts';
import { createClientCounter } from './client-counter.ts';
import {
  configureHealth,
  keepSerials,
  prepare,
  publicationOf,
  servedOf,
  tellSecondaries,
  type Current,
} from './generation.ts';
import { explainInLines } from './explain-lines.ts';
import { createMeasured } from './measured.ts';
import { createNews } from './news.ts';
import { createQueryLog } from './query-log.ts';
import { createSchedules } from './schedules.ts';
import { readVersion } from './version.ts';

export type RunningServer = {
  /** Where DNS is answered, with the ports taken for 0. */
  readonly addresses: readonly Endpoint[];
  /** The same for DNS over TLS. */
  readonly tlsAddresses: readonly Endpoint[];
  readonly status: Endpoint | undefined;
  readonly generation: () => RunningGeneration;
  readonly reload: () => Promise<Reloaded>;
  /** Resolves when another server has taken its place: there is nothing left to do then but `stop`. */
  readonly replaced: Promise<void>;
  /** Stops accepting, finishes what is in flight, ends the probes. */
  readonly stop: () => Promise<void>;
};

/** At a takeover: what was sent to this server's HTTP before it stopped listening arrives within this time. */
const STATUS_LINGER_MS = 200;

/** What a start that takes over may take beside `health.wait`, until the server before it takes up its work again. */
const TAKEOVER_MS = 20_000;

/** What the files of a start say is wrong. Sockets that cannot be had throw a ListenError instead. */
export class ConfigurationError extends Error {
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super('the configuration has mistakes');
    this.diagnostics = diagnostics;
  }
}

/**
 * Starts everything, or nothing.
 *
 * @param input without `serials`: those are this function's
 * @param takesOver whether to take the place of the server that runs with the same `state_dir`, where there is one
 * @throws ConfigurationError, ListenError, TakeoverError
 */
export async function runServer(
  input: Omit<LoadInput, 'serials'>,
  createLog: (settings: LoadedGeneration['settings']) => Promise<Logger>,
  takesOver = false,
): Promise<RunningServer> {
  const startedAt = new Date();
  returnLargeBlocks();
  allowCollecting();
  letHelpersStepBack();
  const first = await loadInThread(input);
  releaseMemory();
  if (!first.ok) throw new ConfigurationError(first.diagnostics);
  const { settings } = first.value;
  const log = await createLog(settings);
  for (const warning of first.diagnostics) log.warn(formatDiagnostic(warning));
  const takeover = takesOver ? await requestTakeover(settings.stateDir) : undefined;
  const inherited = takeover?.sockets;
  try {
    // Before anything is started; `startServer` comes only after the first round of probes.
    await checkAddresses(settings, inherited);
    await takeover?.release(settings.health.waitMs + TAKEOVER_MS);
  } catch (error) {
    takeover?.abandon();
    throw error;
  }

  // UDP threads, and one for TCP.
  const threads = settings.workers + 1;
  let current = prepare(first.value, 1, first.diagnostics, threads);
  const answeredBefore = new Map<string, number>();
  let server: Server | undefined;
  let statusServer: StatusServer | undefined;
  /** Where it listened, and the socket, while another server takes over. */
  let statusBefore: { readonly endpoint: Endpoint; readonly fd: number } | undefined;
  let stopping = false;
  let lastReload: LastReload = { ok: true, at: new Date(), diagnostics: first.diagnostics };
  let reloading: Promise<Reloaded> | undefined;
  /** The one that begins when that has ended. */
  let nextReload: Promise<Reloaded> | undefined;
  let refresh: ScheduledTask | undefined;
  let takeoverListener: TakeoverListener | undefined;
  /** While another server takes over, or tries to. */
  let handingOver: PromiseWithResolvers<undefined> | undefined;
  const replaced = Promise.withResolvers<undefined>();
  let sayStopped = (): void => undefined;

  const warn = (message: string): void => {
    log.warn(message);
  };
  const news = createNews(log);
  const suspect = (): number => current.settings.health.suspect;
  const counted = (): Pick<Live, 'served' | 'clients'> => ({ served: runtime.served(), clients: clients.of });
  const foresee = createForesight(systemClock, () => current, counted);
  const healthOptions = { stateDir: settings.stateDir, log: news.health, warn, suspect, foresee };
  const openHealth = (): Health => startHealth(healthOptions);
  let health = openHealth();
  let schedules = createSchedules(health, news.scheduled, warn);

  const notifier = createNotifier(log);
  const measured = createMeasured(() => current.loaded, log);
  const queryLog = createQueryLog(threads, log);
  const clients = createClientCounter(() => current);

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
    for (const [slot, count] of servedOf(before).entries()) {
      const target = before.catalog.vips[slot]?.target ?? '';
      answeredBefore.set(target, (answeredBefore.get(target) ?? 0) + count);
    }
    clients.replaced(before, next);
    current = next;
    news.configure(next);
    await schedules.configure(next.settings.schedules);
    keepSerials(next.loaded, log);
    tellSecondaries(notifier, next, before);
  };

  const load = async (): Promise<Reloaded> => {
    await handingOver?.promise;
    let result: Reloaded;
    try {
      if (stopping) throw new Error('the server is stopping');
      const figures = await measured.figures();
      const outcome = await loadInThread({ ...input, serials: current.loaded.serials, measured: figures });
      if (outcome.ok) {
        const next = prepare(outcome.value, current.number + 1, outcome.diagnostics, threads);
        warnOfRestart(current, next, log);
        await activate(next);
        measured.applied(figures);
        // Only now: `activate` had the generation before at hand.
        collectAll();
        releaseMemory();
        result = { ok: true, generation: next.number, warnings: outcome.diagnostics };
        for (const warning of outcome.diagnostics) log.warn(formatDiagnostic(warning));
        log.info({ generation: next.number, zones: next.catalog.zones.length }, 'reloaded');
      } else {
        result = { ok: false, diagnostics: outcome.diagnostics };
        for (const diagnostic of outcome.diagnostics) log.error(formatDiagnostic(diagnostic));
        log.error(`reload refused, generation ${current.number} is still served`);
      }
    } catch (error) {
      const message = `the reload failed: ${error instanceof Error ? error.message : String(error)}`;
      if (!stopping) log.error({ err: error }, message);
      const place = { file: current.settings.file ?? input.cwd, line: 1, column: 1 };
      result = { ok: false, diagnostics: [{ code: 'PH091', severity: 'error', message, place }] };
    }
    const diagnostics = result.ok ? result.warnings : result.diagnostics;
    lastReload = { ok: result.ok, at: new Date(), diagnostics };
    news.reloaded(lastReload, current.number);
    return result;
  };
  /** One at a time. Calls during a reload have one after it in common, which reads the files anew. */
  const reload = async (): Promise<Reloaded> => {
    if (reloading) return await (nextReload ??= reloading.then(reload));
    nextReload = undefined;
    reloading = load().finally(() => {
      reloading = undefined;
    });
    return await reloading;
  };

  const liveHealth = (): LiveHealth => {
    const vips = new Map(health.list().map((vip) => [vip.target, vip]));
    const ordersOf = ({ target }: { target: string }) => vips.get(target);
    return { memory: current.health, reasonOf: (vip) => ordersOf(vip)?.last?.reason, ordersOf };
  };

  const runtime: Runtime = {
    version: readVersion(),
    startedAt,
    io: () => server?.io ?? 'batch',
    notReady: () => {
      if (stopping) return ['shutting down'];
      return server ? [] : ['waiting for the first round of probes; the DNS sockets are still closed'];
    },
    generation: () => current,
    get health() {
      return health;
    },
    counters: () => server?.counters() ?? new Float64Array(64),
    served: () =>
      servedOf(current).map(
        (count, slot) => count + (answeredBefore.get(current.catalog.vips[slot]?.target ?? '') ?? 0),
      ),
    explain: (request) => explainFrom(current.loaded, request, liveHealth()),
    clients,
    simulate: (request) => {
      const loads = new Map(health.list().map(({ target, load }) => [target, load]));
      const loadOf: Live['loadOf'] = ({ target }) => loads.get(target);
      return simulateFrom(current.loaded, request, { ...counted(), health: liveHealth(), loadOf });
    },
    reload,
    lastReload: () => lastReload,
    alarms: () => [...alarmsOf(lastReload), ...suspicionOf(health)],
    events: news.events,
    notifications: news.notifications,
    beacon: measured.beacon,
  };

  const stop = async (): Promise<void> => {
    if (server) log.info('stopping');
    stopping = true;
    await refresh?.destroy();
    await schedules.stop();
    // Once another server keeps them, they are no longer this one's to write.
    if (!handingOver) await measured.stop();
    notifier.stop();
    await server?.stop();
    queryLog.stop();
    clients.stop();
    await health.stop();
    news.stop();
    await statusServer?.close();
    void takeoverListener?.close();
    takeover?.abandon();
    sayStopped();
  };

  const openStatus = async (listen = settings.status?.listen, fd?: number): Promise<void> => {
    if (!settings.status || !listen) return;
    statusServer = await startStatusServer(runtime, { ...settings.status, listen, inherited: fd, log });
  };
  const openCalendar = async (): Promise<void> => {
    await schedules.configure(current.settings.schedules);
    measured.start(reload);
    refresh = await scheduleRefresh(() => current.settings.geo, reload, log);
  };

  /** Everything but answering, which goes on: the state of what runs is another server's to keep from then on. */
  const release = async (): Promise<void> => {
    log.info('another server takes over');
    // One that was asked for meanwhile is waited for too.
    for (let last: typeof reloading; last !== reloading;) await (last = reloading);
    handingOver = Promise.withResolvers();
    await refresh?.destroy();
    await schedules.stop();
    // Another descriptor, since a server that hangs would keep others from the address.
    if (statusServer?.descriptor !== undefined) {
      statusBefore = { endpoint: statusServer.endpoint, fd: libc().dup(statusServer.descriptor) };
    }
    await statusServer?.close(STATUS_LINGER_MS);
    statusServer = undefined;
    await measured.stop();
    await health.stop();
  };
  const resume = async (): Promise<void> => {
    health = openHealth();
    schedules = createSchedules(health, news.scheduled, warn);
    configureHealth(health, current);
    await openCalendar();
    handingOver?.resolve(undefined);
    handingOver = undefined;
    await openStatus(statusBefore?.endpoint, statusBefore?.fd);
    statusBefore = undefined;
  };
  const sockets = (): OpenSockets => {
    const { udp = [], stream = [] } = server?.sockets() ?? {};
    const fd = statusServer?.descriptor;
    return { udp, stream, status: fd === undefined || !statusServer ? [] : [{ endpoint: statusServer.endpoint, fd }] };
  };

  try {
    news.configure(current);
    news.watchAlarms(runtime.alarms);
    configureHealth(health, current);
    await openStatus(undefined, settings.status && socketsAt(inherited?.status ?? [], settings.status.listen)[0]?.fd);
    await waitAtMost(health.firstRound, settings.health.waitMs);
    server = await startServer({
      listen: settings.listen,
      workers: settings.workers,
      answererModule: new URL(`../server/answerer${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
      publication: publicationOf(current, queryLog.payload(current.settings)),
      reply: (question) => explainInLines(runtime.explain(question as ExplainRequest)),
      listenTls: settings.tls?.listen ?? [],
      tcpClients: settings.limits.tcpClients,
      inherited,
      log,
    });
    clients.start();
    keepSerials(current.loaded, log);
    tellSecondaries(notifier, current, undefined);
    await openCalendar();
  } catch (error) {
    await stop();
    throw error;
  }
  const addresses = server.addresses();
  const openTakeover = async (): Promise<void> => {
    takeoverListener = await listenForTakeover(settings.stateDir, {
      sockets,
      release,
      resume,
      replaced: (done) => {
        sayStopped = done;
        replaced.resolve(undefined);
      },
      tell: (message) => {
        log.info(message);
      },
    });
  };
  if (!takeover) await openTakeover();
  log.info(
    {
      listen: addresses.map(formatEndpoint),
      ...(statusServer ? { status: `http://${formatEndpoint(statusServer.endpoint)}/` } : {}),
      ...(settings.tls ? { tls: server.tlsAddresses().map(formatEndpoint) } : {}),
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
    await openTakeover();
    log.info('the server before has ended');
  }
  shrinkHeap();
  releaseMemory();
  return {
    addresses,
    tlsAddresses: server.tlsAddresses(),
    status: statusServer?.endpoint,
    generation: () => current,
    reload,
    replaced: replaced.promise,
    stop,
  };
}

/** Throws ListenError where an address cannot be had that is not `inherited`; what of that nobody wants is closed. */
async function checkAddresses(
  settings: LoadedGeneration['settings'],
  inherited: OpenSockets | undefined,
): Promise<void> {
  const { listen, tls, status } = settings;
  const { udp = [], stream = [], status: http = [] } = inherited ?? {};
  if (udp.length > 0 && chooseIo().io !== 'batch') {
    throw new TakeoverError('UDP sockets cannot be taken over through node:dgram', 'stop the server that runs first');
  }
  const streams = [...listen, ...(tls?.listen ?? [])];
  closeUnwanted(udp, listen);
  closeUnwanted(stream, streams);
  closeUnwanted(http, status ? [status.listen] : []);
  const missing = (endpoint: Endpoint, there: OpenSockets['udp']): boolean => socketsAt(there, endpoint).length === 0;
  const failure = inherited
    ? ((await checkUdp(listen.filter((endpoint) => missing(endpoint, udp)))) ??
      (await checkListen(
        [],
        streams.filter((endpoint) => missing(endpoint, stream)),
      )))
    : await checkListen(listen, tls?.listen);
  if (failure) throw failure;
}

/** Settings that sockets, threads and folders were opened with. */
function warnOfRestart(before: RunningGeneration, after: RunningGeneration, log: Logger): void {
  const fixed = { listen: 1, workers: 1, stateDir: 1, status: 1, limits: 1 } as const;
  const changed = (Object.keys(fixed) as (keyof typeof fixed)[]).filter(
    (key) => JSON.stringify(before.settings[key]) !== JSON.stringify(after.settings[key]),
  );
  const tls = ({ settings }: RunningGeneration): string => JSON.stringify(settings.tls?.listen ?? []);
  const names = tls(before) === tls(after) ? changed : [...changed, 'tls.listen'];
  if (names.length > 0) {
    log.warn(`${names.join(', ')} changed in the configuration: that takes effect at the next start`);
  }
}

function alarmsOf(lastReload: LastReload): Alarm[] {
  if (lastReload.ok) return [];
  const first = lastReload.diagnostics.find(({ severity }) => severity === 'error');
  const what = first ? `: ${formatDiagnostic(first).split('\n')[0] ?? ''}` : '';
  return [
    {
      code: 'reload_refused',
      message: `the last reload was refused, the configuration before it is served${what}`,
      since: lastReload.at.toISOString(),
    },
  ];
}

function suspicionOf(health: Health): Alarm[] {
  const suspected = health.suspected();
  return suspected === undefined ? [] : [{ code: 'suspect', ...suspected }];
}

async function waitAtMost(event: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([event, over]);
  clearTimeout(timer);
}

/** `geo.refresh`: at the times of the cron line, reload where a database file is newer than it was. */
async function scheduleRefresh(
  geo: () => LoadedGeneration['settings']['geo'],
  reload: () => Promise<Reloaded>,
  log: Logger,
): Promise<ScheduledTask | undefined> {
  const { refresh } = geo();
  if (refresh === undefined) return undefined;
  const times = async (): Promise<string> =>
    (
      await Promise.all(
        geo().databases.map(async ({ path }) => (await stat(path).catch(() => undefined))?.mtimeMs ?? 0),
      )
    ).join();
  let last = await times();
  return schedule(refresh, async () => {
    const now = await times();
    if (now === last) return;
    last = now;
    log.info('a geo database changed');
    await reload();
  });
}

/** What `loadGeneration` is given for a command started in this process. */
export function loadInputFor(config: string | undefined): Omit<LoadInput, 'serials'> {
  return { file: config, cwd: process.cwd(), env: process.env, cores: availableParallelism() };
}
