/**
 * A Runtime made by hand. It is a fake, because a real one needs threads, sockets and files, and because these tests
 * are about HTTP. Its health is the real engine, with a probe that takes its results from a table.
 */
import { createAlarms, type Alarm } from '../../../config/alarms.ts';
import type { CheckSpec } from '../../../config/check-kinds.ts';
import type { Diagnostic } from '../../../config/diagnostics.ts';
import type { Settings } from '../../../config/settings.ts';
import { createBeaconSamples } from '../../../geo/beacon-samples.ts';
import { NOWHERE } from '../../../geo/location.ts';
import { systemClock, type Clock } from '../../../health/clock.ts';
import { startHealth } from '../../../health/engine.ts';
import { createHealthTable } from '../../../health/health-table.ts';
import { COUNTER, COUNTERS } from '../../../server/counters.ts';
import { NOBODY, type CountedClients } from '../../../server/forecast/client-counts.ts';
import type { Simulated, SimulateRequest } from '../../../server/forecast/simulate-failure.ts';
import type { SimulateOutcome } from '../../../server/forecast/simulate-thread.ts';
import type { MapRequest } from '../../../server/forecast/who-serves.ts';
import { answerTraits } from '../../../status/answer-traits.ts';
import { createBeacon, type Beacon } from '../../../status/beacon.ts';
import { createEventLog } from '../../../status/events.ts';
import { createHistory } from '../../../status/history.ts';
import type { HttpStats } from '../../../status/metrics.ts';
import type { StatusLog } from '../../../status/request-rules.ts';
import type { LastReload, RecentTraffic, Reloaded, Runtime } from '../../../status/runtime.ts';
import type { ExplainRequest, Explained } from '../../../steering/trace.ts';
import { formatName } from '../../../wire/name.ts';
import type { Catalog, VipInfo } from '../../../zones/catalog.ts';
import { steered } from '../cli/traces.ts';

export const mistake: Diagnostic = {
  code: 'PH014',
  severity: 'error',
  message: 'weight must be 0 to 65535, got -3',
  place: { file: 'zones/example.com.yaml', line: 14, column: 13 },
};

const timing = { intervalMs: 3_600_000, timeoutMs: 1000, fastMs: 3_600_000, rise: 1, fall: 1 };
const web: CheckSpec = {
  ...timing,
  name: 'web',
  kind: 'tcp',
  port: 80,
  send: undefined,
  expect: undefined,
  watch: false,
};
const push: CheckSpec = { ...timing, name: 'agent', kind: 'push', expiresMs: 3_600_000 };

/** The engine spreads its first probes over half a second; here timers run a hundred times as fast. */
const quick: Clock = {
  now: () => systemClock.now(),
  wall: () => systemClock.wall(),
  after: (delayMs, run) => systemClock.after(delayMs / 100, run),
};

function vip(slot: number, service: number, target: string, region: number, a: string, check?: CheckSpec): VipInfo {
  const name = target.slice(target.lastIndexOf('/') + 1);
  const data = {
    a,
    aaaa: undefined,
    cname: undefined,
    svcb: undefined,
    weight: 1,
    capacity: 1,
    probeHost: a,
    probePort: undefined,
  };
  return { slot, service, name, target, region, check, ...data };
}

/** www has seoul-a (passes), seoul-b (fails) and virginia-a (not checked); api has one VIP with a push check. */
export const catalog: Catalog = {
  zones: [
    {
      name: 'example.com',
      serial: 2026112001,
      file: '/etc/pharos/zones/example.com.yaml',
      records: 12,
      services: 2,
      size: 12,
      signing: undefined,
    },
  ],
  services: [
    {
      name: 'www.example.com',
      zone: 'example.com',
      ttl: { minSeconds: 5, maxSeconds: 60 },
      steps: [{ kind: 'nearest', bias: new Map(), withinKm: 0 }, { kind: 'weighted' }],
      answers: 1,
      whenAllDown: 'serve_all',
      rampMs: 0,
      shed: undefined,
      firstSlot: 0,
      vipCount: 3,
    },
    {
      name: 'api.example.com',
      zone: 'example.com',
      ttl: { minSeconds: 20, maxSeconds: 20 },
      steps: [{ kind: 'all' }],
      answers: 1,
      whenAllDown: 'none',
      rampMs: 0,
      shed: undefined,
      firstSlot: 3,
      vipCount: 1,
    },
  ],
  vips: [
    vip(0, 0, 'www.example.com/seoul-a', 1, '203.0.113.10', web),
    vip(1, 0, 'www.example.com/seoul-b', 1, '203.0.113.11', web),
    vip(2, 0, 'www.example.com/virginia-a', 2, '198.51.100.10'),
    vip(3, 1, 'api.example.com/only', 0, '192.0.2.10', push),
  ],
  regions: [
    { name: '', point: undefined, minHealthy: 0 },
    { name: 'seoul', point: { latitude: 37.57, longitude: 126.98 }, minHealthy: 0 },
    { name: 'virginia', point: { latitude: 38.95, longitude: -77.45 }, minHealthy: 0 },
  ],
};

const settings: Settings = {
  file: '/etc/pharos/pharos.yaml',
  listen: [{ host: '127.0.0.1', port: 5300 }],
  tls: undefined,
  workers: 1,
  zoneFiles: [],
  zoneFolders: [],
  files: 'own-folder',
  stateDir: '/nowhere',
  resolvers: [],
  secretVariables: new Set(),
  shownPaths: [],
  user: undefined,
  reload: { maxShrink: 0.5 },
  geo: { databases: [], refresh: undefined, networks: [] },
  regions: new Map(),
  checks: new Map(),
  health: { waitMs: 0, suspect: 0.7, notify: undefined },
  status: undefined,
  limits: { rrl: 0, slip: 2, tcpClients: 1024 },
  dns: { nsid: undefined, version: undefined, cookieSecrets: [], explainFrom: [] },
  transfer: { keys: [], allow: [], notify: [], catalog: undefined },
  fleet: undefined,
  beacon: undefined,
  log: { level: 'info', queries: 0 },
  shutdown: { graceMs: undefined },
  schedules: [],
};

/** The values that a test may change; the Runtime shows them at once. */
export type Knobs = {
  notReady: string[];
  alarms: Alarm[];
  lastReload: LastReload;
  reload: () => Promise<Reloaded>;
  explain: (request: ExplainRequest) => Explained;
  simulate: (request: SimulateRequest) => Simulated;
  map: (request: MapRequest) => SimulateOutcome;
  counters: Float64Array;
  recent: RecentTraffic;
  /** By service. */
  clients: Map<string, CountedClients>;
  countries: Map<string, number>;
  beacon: Beacon;
};

export type FakeRuntime = { runtime: Runtime; knobs: Knobs; stop: () => Promise<void> };

/** Ready, with the first round of probes done. */
export async function createFakeRuntime(): Promise<FakeRuntime> {
  const events = createEventLog();
  const health = startHealth({
    stateDir: undefined,
    clock: quick,
    log: (event) => {
      events.addHealth(event, undefined);
    },
    warn: () => undefined,
    probe: (where) =>
      Promise.resolve(
        where.host === '203.0.113.11'
          ? { passed: false, reason: 'connect refused', elapsedMs: 3 }
          : { passed: true, reason: 'connected', elapsedMs: 12.5 },
      ),
  });
  const traits = answerTraits(catalog);
  const targets = catalog.vips.map(({ slot, target, region, check, probeHost, weight }) => {
    const name = catalog.regions[region]?.name;
    return {
      slot,
      target,
      region: name === '' ? undefined : name,
      check,
      host: probeHost,
      port: undefined,
      weight,
      answers: traits[slot],
    };
  });
  health.configure(targets, createHealthTable(targets.length), targets.length);
  await health.firstRound;

  const counters = new Float64Array(COUNTERS);
  counters[COUNTER.QUERIES_UDP4] = 1000;
  counters[COUNTER.QUERIES_TCP6] = 7;
  counters[COUNTER.RCODES] = 990;
  counters[COUNTER.RCODES + 5] = 10;
  counters[COUNTER.EXCEPTIONS] = 2;
  const knobs: Knobs = {
    notReady: [],
    alarms: [],
    lastReload: { ok: true, at: new Date('2026-11-20T21:00:00Z'), diagnostics: [] },
    reload: () => Promise.resolve({ ok: true, generation: 5, warnings: [] }),
    explain: () => ({ ok: true, trace: steered }),
    simulate: ({ down, order }) => ({
      ok: true,
      simulation: { down, order: order ?? null, targets: [], services: [], untouched: 2 },
    }),
    map: () => ({ kind: 'busy' }),
    counters,
    recent: {
      seconds: 60,
      queriesPerSecond: 1234.5,
      nxdomainPerSecond: 2,
      servfailPerSecond: 0.25,
      served: Float64Array.of(30, 0, 10, 0),
      zoneQueries: Float64Array.of(120),
    },
    clients: new Map([
      [
        'www.example.com',
        {
          samples: 100,
          countries: new Map([
            ['', 10],
            ['JP', 30],
            ['KR', 60],
          ]),
          others: 0,
        },
      ],
    ]),
    countries: new Map([
      ['KR', 70],
      ['', 3],
    ]),
    beacon: createBeacon({
      settings: () => undefined,
      regions: () => new Map(),
      locate: () => NOWHERE,
      samples: createBeaconSamples(),
      now: () => Date.now(),
    }),
  };
  const ownAlarms = createAlarms();
  const runtime: Runtime = {
    version: '1.2.3',
    startedAt: new Date('2026-11-20T20:00:00Z'),
    uptimeSeconds: () => 3723.5,
    fleet: undefined,
    records: {
      list: (zone) =>
        formatName(zone) === 'example.com' ? { serial: 2026112001, takesChanges: true, sets: [] } : undefined,
      change: () => Promise.resolve({ ok: true, serial: 2026112002, changes: [] }),
    },
    orders: {
      override: (...[target, request, , who, why]) =>
        Promise.resolve({ ...health.override(target, request, 'operator', who, why), scope: 'node' }),
      weigh: (...[target, request, , who, why]) =>
        Promise.resolve({ ...health.weigh(target, request, 'operator', who, why), scope: 'node' }),
      report: (...report) => health.report(...report),
      drainOf: () => undefined,
      forget: () => Promise.resolve('unknown'),
      drains: () => [],
    },
    io: () => 'batch',
    notReady: () => knobs.notReady,
    generation: () => ({
      number: 4,
      loadedAt: new Date('2026-11-20T21:00:00Z'),
      settings,
      catalog,
      databases: [
        {
          path: '/usr/share/country.mmdb',
          type: 'DBIP-Country-Lite',
          built: '2026-11-01',
          ageDays: 19,
          attribution: 'IP Geolocation by DB-IP, https://db-ip.com',
        },
      ],
      warnings: [],
    }),
    health,
    counters: () => knobs.counters,
    served: () => Float64Array.of(100, 0, 50, 3),
    zoneQueries: () => Float64Array.of(4200),
    recent: () => knobs.recent,
    clients: { of: (service) => knobs.clients.get(service) ?? NOBODY, totals: () => knobs.countries },
    isInnerUp: () => true,
    explain: (request) => knobs.explain(request),
    simulate: (request) => {
      if ('map' in request) return Promise.resolve({ outcome: knobs.map(request), leave: () => undefined });
      const simulated = knobs.simulate(request);
      const outcome: SimulateOutcome = simulated.ok
        ? { kind: 'done', json: new TextEncoder().encode(JSON.stringify(simulated.simulation)) }
        : { kind: 'refused', parameter: simulated.parameter, message: simulated.message };
      return Promise.resolve({ outcome, leave: () => undefined });
    },
    reload: () => knobs.reload(),
    lastReload: () => knobs.lastReload,
    alarms: () => [...knobs.alarms, ...ownAlarms.list()],
    ownAlarms,
    events,
    notifications: () => ({ sent: 0, dropped: 0, failures: 0, waiting: 0 }),
    history: createHistory({
      targets: () => catalog.vips.map(({ target }) => target),
      stateOf: (target) => health.find(target)?.effective,
      recent: () => knobs.recent,
    }),
    get beacon() {
      return knobs.beacon;
    },
    logDropped: () => 0,
    auditDropped: () => 0,
    dnstapDropped: () => 0,
    signing: () => [],
    whyNoCds: () => undefined,
  };
  return { runtime, knobs, stop: () => health.stop() };
}

/** Keeps errors, so that a test can examine them. */
/** The counts of a status server before its first client. */
export const NO_CLIENTS: HttpStats = { connections: () => ({ open: 0, closed: 0, refused: 0 }), wrongTokens: () => 0 };

export function createFakeLog(): { log: StatusLog; errors: object[] } {
  const errors: object[] = [];
  return { log: { info: () => undefined, warn: () => undefined, error: (fields) => void errors.push(fields) }, errors };
}
