/**
 * The parts of a running server and their connections. Parts that depend on each other in a circle (health checks,
 * alarms, reloads) refer to each other through functions, so that the order of creation does not matter.
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
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
import { createHistory, type History } from '../../status/history.ts';
import type { LastReload, Runtime } from '../../status/runtime.ts';
import type { LoadInput } from '../../zones/load-generation.ts';
import { plural } from '../output.ts';
import { readVersion } from '../version.ts';
import { activate, type Follower } from './activate.ts';
import { createAlarmWatch, type AlarmWatch } from './alarm-watch.ts';
import { createNews, type News } from './announce.ts';
import { createAnswerCounter } from './answer-counter.ts';
import { createAuditLog, type AuditLog } from './audit-log.ts';
import { createMeasured, type Measured } from './beacon-latency.ts';
import { createCalendar, type Calendar } from './calendar.ts';
import { createClientCounter, type ClientCounter } from './client-counter.ts';
import { createDnstapSocket, type DnstapSocket } from './dnstap-socket.ts';
import { createFleetFigures } from './fleet-figures.ts';
import { describeConfiguration } from './fleet-part.ts';
import { createFleetRecords } from './fleet-records.ts';
import { configureHealth, publicationOf, tellSecondaries, type Current } from './generation.ts';
import { createOrderGiver } from './give-orders.ts';
import { createHandOver, type HandOver, type HandOverParts } from './hand-over.ts';
import { createHistoryFile, HISTORY_FILE, type HistoryKeeper } from './history-file.ts';
import { createKeyAgreement, type KeyAgreement } from './key-agreement.ts';
import { createQueryLog, type QueryLog } from './query-log.ts';
import { createRareSetSigner, type RareSetSigner } from './rare-set-signer.ts';
import { createTrafficWindow, type TrafficWindow } from './recent-traffic.ts';
import { createRecordKeeper } from './record-changes.ts';
import { createReloads, type Reloads } from './reload.ts';
import { createForeignKeeper, type ForeignKeeper } from './resolve-foreign.ts';
import { createScheduleOrders } from './schedule-orders.ts';
import { createSerialAgreement, type SerialAgreement } from './serial-agreement.ts';
import { checkSerials, createSerialKeeper, type SerialKeeper } from './serial-keeper.ts';
import { createSignatureKeeper, type SignatureKeeper } from './signature-keeper.ts';
import type { SigningKeeper } from './signing-watch.ts';
import { createStatusListener, type StatusListener } from './status-listener.ts';
import { countersOf, createRuntime, createSimulations } from './status-source.ts';
import { createTokenWatch, type TokenWatch } from './token-watch.ts';
import { createUpdates, type Updates } from './updates.ts';
import { createZoneHistories, type ZoneHistories } from './zone-histories.ts';

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
  readonly historyKeeper: HistoryKeeper;
  readonly simulations: SimulateThread;
  readonly serials: SerialKeeper;
  readonly agreement: SerialAgreement;
  readonly keyAgreement: KeyAgreement;
  readonly alarmWatch: AlarmWatch;
  readonly signatures: SignatureKeeper;
  readonly tokens: TokenWatch;
  readonly audit: AuditLog;
  readonly signing: SigningKeeper;
  readonly rareSets: RareSetSigner;
  readonly reloads: Reloads;
  readonly updates: Updates;
  readonly foreign: ForeignKeeper;
  readonly histories: ZoneHistories;
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
  readonly signing: SigningKeeper;
};

/** `first` is the generation of the start. No function below may refer to it: it would stay in memory for ever. */
export function createServerParts(basis: ServerBasis, first: Current): ServerParts {
  const { alarms, log, threads, manager, stateDir } = basis;
  const state: ServerState = { current: first, server: undefined, probed: false, stopping: false };
  const current = (): Current => state.current;
  const server = (): Server | undefined => state.server;

  checkSerials(stateDir, alarms);
  const news = createNews(log);
  const audit = startAudit(state, alarms, news);
  const notifier = createSecondaryNotifier(log);
  const { queryLog, dnstap } = startQueryLog(threads, log);
  const answers = createAnswerCounter(current);
  const traffic = createTrafficWindow({ counters: () => countersOf(state.server), answers });
  const clients = createClientCounter(current);
  const measured = createMeasured(() => state.current.loaded, log, alarms);
  const { history, historyKeeper } = keepHistory(basis, state, () => health.now(), traffic, news, () => handOver.isReleased()); // prettier-ignore
  const simulations = createSimulations({
    ...{ current, health: () => health.now() },
    figures: createFleetFigures(basis.fleet, { current, answers, clients }),
  });
  const serials = createSerialKeeper(stateDir, alarms, () => handOver.isReleased());
  const alarmWatch = createAlarmWatch({ alarms, current, health: () => health.now(), stateDir });
  const foresee = createForesight(systemClock, current, () => ({ served: answers.served(), clients: clients.of }));
  const signatures = createSignatureKeeper({ alarms, catalog: () => state.current.catalog });
  const health = holdHealth(() => startChecks(basis, { state, news, alarmWatch, foresee }));

  const histories = createZoneHistories({ stateDir, current, log });
  // `news` is first, because the alarms of the other parts refer to its services.
  const followers: readonly Follower[] = [
    ...[answers, clients, traffic, simulations],
    { replaced: (_, next) => { news.configure(next); } }, // prettier-ignore
    alarmWatch,
    signatures,
    { replaced: (_, next) => { serials.keep(next.loaded); } }, // prettier-ignore
    histories,
    { replaced: (before, next) => { tellSecondaries(notifier, next, before); } }, // prettier-ignore
    { replaced: (before, next) => { agreement.replaced(); foreign.replaced(before, next); } }, // prettier-ignore
    { replaced: () => { status.update(); } }, // prettier-ignore
  ];
  const reloads = createReloads({
    input: basis.input,
    load: basis.loader.load,
    ...{ warnings: first.warnings, firstLoadMs: basis.firstLoadMs },
    ...{ alarms, threads, current, measured, log },
    activate: (next) => activateNext(basis, { state, calendar, health, queryLog }, followers, next),
    changedInPlace: (next) => { takeChanges(next, { state, loader: basis.loader, serials, notifier }); }, // prettier-ignore
    begins: () => {
      manager.tell('RELOADING', 'Reloading the configuration');
    },
    tell: (last, generation, who) => {
      tellRefusal(alarms, last, generation);
      news.reloaded(last, generation, who);
      if (last.ok) void updates.followFiles();
      tellManager(manager, state, last);
    },
    stopping: () => state.stopping,
    ...{ fleetSerials: () => agreement.known(), agreedKeys: () => keyAgreement.agreed(), foreign: () => foreign.known() }, // prettier-ignore
  });
  const warn = (message: string): void => { log.warn(message); }; // prettier-ignore
  const fleetRecords = basis.fleet && createFleetRecords(basis.fleet, warn);
  const updates = createUpdates({
    ...{ current, stateDir, log, update: reloads.update, histories, alarms, events: news.events, fleet: fleetRecords },
    stopping: () => state.stopping,
  });
  const foreign = createForeignKeeper({ stateDir, current, alarms, log, update: reloads.update, events: news.events, mayWrite: () => !handOver.isReleased() }); // prettier-ignore
  const agreement = createSerialAgreement({ fleet: basis.fleet, current, reload: reloads.reload, log });
  const keyAgreement = createKeyAgreement({ fleet: basis.fleet, current, reload: reloads.reload, log });
  const schedules =
    basis.fleet &&
    createScheduleOrders({ fleet: basis.fleet, health: health.now, clock: systemClock, random: Math.random });
  const calendar = createCalendar({
    health: () => schedules ?? health.now(),
    ...{ tell: news.scheduled, reload: reloads.reload, log },
  });
  const orders = createOrderGiver({
    ...{ fleet: basis.fleet, health: health.now, current, schedules, wallMs: Date.now, warn },
    records: fleetRecords && { fleet: fleetRecords, taken: updates.ordered },
  });
  const runtime = createRuntime({
    ...{ startedAt: basis.startedAt, startedMs: basis.startedMs },
    ...{ current, health: health.now, fleet: basis.fleet, orders, server },
    records: createRecordKeeper(current, updates),
    ...{ probed: () => state.probed, stopping: () => state.stopping },
    ...{ alarms, answers, traffic, clients, reloads, news, measured, history, simulations },
    ...{ logDropped: basis.logDropped, auditDropped: audit.dropped, dnstapDropped: dnstap.dropped },
    ...{ signing: basis.signing.zones, whyNoCds: keyAgreement.whyWithheld, foreign: foreign.figures },
  });
  const { tokens, status } = createStatusParts(basis, { state, runtime, audit, news });
  const handOver = createHandOver({
    ...{ stateDir, current, server, reloads, updates, histories, serials, calendar, status, measured, log },
    history: historyKeeper,
    health: restartable(health, current),
  });
  return {
    ...{ fleet: basis.fleet, input: basis.input, loader: basis.loader, signing: basis.signing },
    ...{ state, log, alarms, manager, health, news, notifier, queryLog, traffic, clients, measured, simulations },
    ...{ serials, agreement, signatures, tokens, audit, alarmWatch, reloads, calendar, runtime, status, handOver },
    ...{ historyKeeper, updates, foreign, histories, keyAgreement, rareSets: createRareSetSigner(current, basis.loader) }, // prettier-ignore
  };
}

function startQueryLog(threads: number, log: Logger): { readonly queryLog: QueryLog; readonly dnstap: DnstapSocket } {
  const dnstap = createDnstapSocket((message) => {
    log.warn(message);
  });
  return { queryLog: createQueryLog(threads, log, { dnstap, version: readVersion() }), dnstap };
}

function startAudit(state: ServerState, alarms: Alarms, news: News): AuditLog {
  const audit = createAuditLog({
    settings: () => state.current.settings.log.audit,
    alarms,
    node: () => state.current.settings.fleet?.node ?? hostname(),
  });
  news.events.subscribe(audit.event);
  return audit;
}

/** The status server, and its tokens. */
function createStatusParts(
  { input, log }: ServerBasis,
  { state, runtime, audit, news }: Pick<ServerParts, 'state' | 'runtime' | 'audit' | 'news'>,
): Pick<ServerParts, 'tokens' | 'status'> {
  const tokens = createTokenWatch({
    settings: () => state.current.settings.status,
    env: input.env,
    changed: () => {
      status.update();
    },
    info: (message) => {
      log.info(message);
    },
    warn: (message) => {
      log.warn(message);
    },
  });
  const status = createStatusListener(tokens.settings, runtime, log, (request) => {
    audit.request(request);
    news.requested(request);
  });
  return { tokens, status };
}

/** The last day of each VIP. An event is noted at once, so a state of less than a minute is not missed. */
function keepHistory(
  { stateDir, alarms }: ServerBasis,
  state: ServerState,
  health: () => Health,
  traffic: TrafficWindow,
  news: News,
  isReleased: () => boolean,
): { readonly history: History; readonly historyKeeper: HistoryKeeper } {
  const file = createHistoryFile({ file: join(stateDir, HISTORY_FILE), alarms, mayWrite: () => !isReleased() });
  const history = createHistory({
    targets: () => state.current.catalog.vips.map(({ target }) => target),
    stateOf: (target) => health().find(target)?.effective,
    recent: traffic.recent,
    keep: file.keep,
  });
  news.events.subscribe(({ target }) => {
    if (target !== null) history.changed(target);
  });
  const historyKeeper: HistoryKeeper = {
    start: async () => {
      history.start();
      await history.restore(await file.open());
    },
    stop: async () => {
      history.stop();
      await file.written();
    },
  };
  return { history, historyKeeper };
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

/** Replaces the generation in force by itself after changes in place, which only these parts need to know. */
function takeChanges(
  next: Current,
  { state, loader, serials, notifier }: Pick<ServerParts, 'state' | 'loader' | 'serials' | 'notifier'>,
): void {
  const before = state.current;
  state.current = next;
  loader.changedInPlace(before.loaded, next.loaded);
  serials.keep(next.loaded);
  tellSecondaries(notifier, next, before);
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
