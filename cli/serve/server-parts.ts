/**
 * The parts of a running server and their connections. Parts that depend on each other in a circle (health checks,
 * alarms, reloads) refer to each other through functions, so that the order of creation does not matter.
 */
import type { Logger } from 'pino';
import type { Alarms } from '../../config/alarms.ts';
import { formatDiagnostic } from '../../config/diagnostics.ts';
import type { Fleet } from '../../fleet/start-fleet.ts';
import { systemClock } from '../../health/clock.ts';
import { startHealth, type Health } from '../../health/engine.ts';
import type { Foresee } from '../../health/pressure.ts';
import { createForesight } from '../../server/forecast/foresight.ts';
import type { SimulateThread } from '../../server/forecast/simulate-thread.ts';
import type { ServiceManager } from '../../server/io/service-manager.ts';
import type { Loader } from '../../server/threads/load-thread.ts';
import type { Server } from '../../server/threads/supervisor.ts';
import { createSecondaryNotifier, type SecondaryNotifier } from '../../server/transfer/notify-secondaries.ts';
import type { LastReload, Runtime } from '../../status/runtime.ts';
import type { LoadInput } from '../../zones/load-generation.ts';
import { plural } from '../output.ts';
import { activate, type Follower } from './activate.ts';
import { createAlarmWatch, type AlarmWatch } from './alarm-watch.ts';
import { createNews, type News } from './announce.ts';
import { createAnswerCounter } from './answer-counter.ts';
import { createMeasured, type Measured } from './beacon-latency.ts';
import { createCalendar, type Calendar } from './calendar.ts';
import { createClientCounter, type ClientCounter } from './client-counter.ts';
import { createFleetFigures } from './fleet-figures.ts';
import { describeConfiguration } from './fleet-part.ts';
import { configureHealth, publicationOf, tellSecondaries, type Current } from './generation.ts';
import { createOrderGiver } from './give-orders.ts';
import { createHandOver, type HandOver, type HandOverParts } from './hand-over.ts';
import { createQueryLog, type QueryLog } from './query-log.ts';
import { createTrafficWindow, type TrafficWindow } from './recent-traffic.ts';
import { createReloads, type Reloads } from './reload.ts';
import { createScheduleOrders } from './schedule-orders.ts';
import { createSerialAgreement, type SerialAgreement } from './serial-agreement.ts';
import { checkSerials, createSerialKeeper, type SerialKeeper } from './serial-keeper.ts';
import { createSignatureKeeper, type SignatureKeeper } from './signature-keeper.ts';
import { createStatusListener, type StatusListener } from './status-listener.ts';
import { countersOf, createRuntime, createSimulations } from './status-source.ts';

/** State that changes while the server runs. */
export type ServerState = {
  /** The generation in force. */
  current: Current;
  /** Undefined until the threads that answer have started. */
  server: Server | undefined;
  /** Whether the first round of health checks is done. */
  probed: boolean;
  stopping: boolean;
};

export type ServerParts = {
  readonly state: ServerState;
  readonly log: Logger;
  readonly alarms: Alarms;
  readonly manager: ServiceManager;
  readonly health: HealthHolder;
  readonly fleet: Fleet | undefined;
  readonly input: LoadInput;
  readonly news: News;
  readonly notifier: SecondaryNotifier;
  readonly queryLog: QueryLog;
  readonly traffic: TrafficWindow;
  readonly clients: ClientCounter;
  readonly measured: Measured;
  readonly simulations: SimulateThread;
  readonly serials: SerialKeeper;
  readonly agreement: SerialAgreement;
  readonly alarmWatch: AlarmWatch;
  readonly signatures: SignatureKeeper;
  readonly reloads: Reloads;
  readonly loader: Loader;
  readonly calendar: Calendar;
  readonly runtime: Runtime;
  readonly status: StatusListener;
  readonly handOver: HandOver;
};

export type ServerBasis = {
  readonly input: LoadInput;
  /** It has loaded the generation of the start. */
  readonly loader: Loader;
  readonly stateDir: string;
  readonly firstLoadMs: number;
  readonly startedAt: Date;
  /** The same by `performance.now()`. */
  readonly startedMs: number;
  /** All threads that answer, including the one for TCP. */
  readonly threads: number;
  readonly alarms: Alarms;
  readonly log: Logger;
  /** Lines of the log that were dropped since the start. */
  readonly logDropped: () => number;
  readonly manager: ServiceManager;
  readonly fleet: Fleet | undefined;
};

/** `first` is the generation of the start. No function below may refer to it: it would stay in memory for ever. */
export function createServerParts(basis: ServerBasis, first: Current): ServerParts {
  const { alarms, log, threads, manager, stateDir } = basis;
  const state: ServerState = { current: first, server: undefined, probed: false, stopping: false };
  const current = (): Current => state.current;
  const server = (): Server | undefined => state.server;

  checkSerials(stateDir, alarms);
  const news = createNews(log);
  const notifier = createSecondaryNotifier(log);
  const queryLog = createQueryLog(threads, log);
  const answers = createAnswerCounter(current);
  const traffic = createTrafficWindow({ counters: () => countersOf(state.server), answers });
  const clients = createClientCounter(current);
  const measured = createMeasured(() => state.current.loaded, log, alarms);
  const simulations = createSimulations({
    ...{ current, health: () => health.now() },
    figures: createFleetFigures(basis.fleet, { current, answers, clients }),
  });
  const serials = createSerialKeeper(stateDir, alarms, () => handOver.isReleased());
  const alarmWatch = createAlarmWatch({ alarms, current, health: () => health.now(), stateDir });
  const foresee = createForesight(systemClock, current, () => ({ served: answers.served(), clients: clients.of }));
  const signatures = createSignatureKeeper({ alarms, catalog: () => state.current.catalog });
  const health = holdHealth(() => startChecks(basis, { state, news, alarmWatch, foresee }));

  // `news` is first, because the alarms of the other parts refer to its services.
  const followers: readonly Follower[] = [
    ...[answers, clients, traffic, simulations],
    { replaced: (_, next) => { news.configure(next); } }, // prettier-ignore
    alarmWatch,
    signatures,
    { replaced: (_, next) => { serials.keep(next.loaded); } }, // prettier-ignore
    { replaced: (before, next) => { tellSecondaries(notifier, next, before); } }, // prettier-ignore
    { replaced: () => { agreement.replaced(); } }, // prettier-ignore
  ];
  const reloads = createReloads({
    input: basis.input,
    load: basis.loader.load,
    warnings: first.warnings,
    firstLoadMs: basis.firstLoadMs,
    ...{ alarms, threads, current, measured, log },
    activate: (next) => activateNext(basis, { state, calendar, health, queryLog }, followers, next),
    begins: () => {
      manager.tell('RELOADING', 'Reloading the configuration');
    },
    tell: (last, generation) => {
      tellRefusal(alarms, last, generation);
      news.reloaded(last, generation);
      tellManager(manager, state, last);
    },
    stopping: () => state.stopping,
    fleetSerials: () => agreement.known(),
  });
  const agreement = createSerialAgreement({ fleet: basis.fleet, current, reload: reloads.reload, log });
  const schedules =
    basis.fleet &&
    createScheduleOrders({ fleet: basis.fleet, health: health.now, clock: systemClock, random: Math.random });
  const calendar = createCalendar({
    health: () => schedules ?? health.now(),
    tell: news.scheduled,
    reload: reloads.reload,
    log,
  });
  const orders = createOrderGiver({
    ...{ fleet: basis.fleet, health: health.now, current, schedules, wallMs: Date.now },
    warn: (message) => {
      log.warn(message);
    },
  });
  const runtime = createRuntime({
    startedAt: basis.startedAt,
    startedMs: basis.startedMs,
    current,
    health: health.now,
    fleet: basis.fleet,
    orders,
    server,
    probed: () => state.probed,
    stopping: () => state.stopping,
    ...{ alarms, answers, traffic, clients, reloads, news, measured, simulations },
    logDropped: basis.logDropped,
  });
  const status = createStatusListener(first.settings.status, runtime, log);
  const handOver = createHandOver({
    ...{ stateDir, current, server, reloads, calendar, status, measured, log },
    health: restartable(health, current),
  });
  return {
    ...{ fleet: basis.fleet, input: basis.input },
    ...{ state, log, alarms, manager, health, news, notifier, queryLog, traffic, clients, measured, simulations },
    ...{ serials, agreement, signatures, alarmWatch, reloads, calendar, runtime, status, handOver },
    loader: basis.loader,
  };
}

/** The health checks: a hand-over stops them, and starts them again if it fails. */
function restartable(health: HealthHolder, current: () => Current): HandOverParts['health'] {
  return {
    stop: () => health.now().stop(),
    restart: () => {
      health.restart();
      configureHealth(health.now(), current());
    },
  };
}

function startChecks(
  { stateDir, alarms, log, fleet }: ServerBasis,
  {
    state,
    news,
    alarmWatch,
    foresee,
  }: Pick<ServerParts, 'state' | 'news' | 'alarmWatch'> & { readonly foresee: Foresee },
): Health {
  return startHealth({
    stateDir,
    log: (event) => {
      news.health(event);
      alarmWatch.changed(event.target);
    },
    alarms,
    warn: (message) => {
      log.warn(message);
    },
    suspect: () => state.current.settings.health.suspect,
    foresee,
    electorate: fleet?.electorate,
  });
}

/** Puts a generation in force; see `activate`. */
function activateNext(
  { fleet, log }: ServerBasis,
  { state, calendar, health, queryLog }: Pick<ServerParts, 'state' | 'calendar' | 'health' | 'queryLog'>,
  followers: readonly Follower[],
  next: Current,
): Promise<void> {
  return activate(next, {
    state,
    calendar,
    configureHealth: (generation, before) => {
      describeConfiguration(fleet, generation);
      configureHealth(health.now(), generation, before);
    },
    publish: async (generation) => {
      await state.server?.publish(publicationOf(generation, queryLog.payload(generation.settings), state.current));
    },
    followers,
    log,
  });
}

/** The running health checks. A takeover stops them. They are started again if the other server fails to start. */
export type HealthHolder = {
  readonly now: () => Health;
  readonly restart: () => void;
};

function holdHealth(start: () => Health): HealthHolder {
  let health = start();
  return {
    now: () => health,
    restart: () => {
      health = start();
    },
  };
}

/** The alarm `reload_refused` lasts until a reload succeeds. */
function tellRefusal(alarms: Alarms, { ok, diagnostics }: LastReload, generation: number): void {
  if (ok) {
    alarms.clear('reload_refused');
    return;
  }
  const first = diagnostics.find(({ severity }) => severity === 'error');
  const why = first ? ` ${formatDiagnostic(first).split('\n')[0] ?? ''}` : '';
  alarms.raise('reload_refused', `Reload rejected; still serving generation ${generation}.${why}`);
}

function tellManager(manager: ServiceManager, { stopping, current }: ServerState, { ok }: LastReload): void {
  if (stopping) return;
  const text = servingText(current);
  manager.tell('READY', ok ? text : `Reload rejected; ${lowerFirst(text)}`);
}

/** The state of the server for a service manager. */
export function servingText({ catalog, number }: Current): string {
  return `Serving ${plural(catalog.zones.length, 'zone')}, generation ${String(number)}`;
}

export function lowerFirst(text: string): string {
  return `${text.slice(0, 1).toLowerCase()}${text.slice(1)}`;
}
