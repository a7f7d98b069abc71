/**
 * Metrics for Prometheus (docs/metrics.md). All values are read at scrape time. Counters are sums over the shared
 * memory of the threads, so metrics add no cost to a query.
 */
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import { ALARMS } from '../config/alarms.ts';
import { hidePaths } from '../config/environment.ts';
import { PROBE_TIME_BOUNDS } from '../health/probe-times.ts';
import { COUNTER, counterAt } from '../server/counters.ts';
import { ANSWER_TIME_BOUNDS, COUNTED_TYPES } from '../server/query-types.ts';
import type { Octets } from './assemble-reply.ts';
import { THROWN } from './beacon.ts';
import type { ConnectionStats } from './connections.ts';
import type { Runtime } from './runtime.ts';
import { writeVipMetrics } from './vip-metrics.ts';
import { vipStates } from './vips.ts';

export type Metrics = { readonly contentType: string; write(octets: Octets): Promise<void> };

/** RCODEs of the header by number (IANA DNS Parameters; RFC 6895 2.3); others have no name. */
const RCODES = [
  ...['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED', 'YXDOMAIN', 'YXRRSET'],
  ...['NXRRSET', 'NOTAUTH', 'NOTZONE', 'DSOTYPENI', 'RCODE12', 'RCODE13', 'RCODE14', 'RCODE15'],
];

/** Gauges of prom-client that are named like counters: `promtool check metrics` rejects them. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** Counts of the status server about its clients. */
export type HttpStats = { readonly connections: () => ConnectionStats; readonly wrongTokens: () => number };

/** Uses one registry per server, so that two servers in a process do not share metrics. */
export function createMetrics(runtime: Runtime, http: HttpStats): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const fill = [
    trafficMetrics(registry, runtime),
    typeMetrics(registry, runtime),
    zoneMetrics(registry, runtime),
    clientMetrics(registry, runtime),
    probeMetrics(registry, runtime),
    changeMetrics(registry, runtime),
    configurationMetrics(registry, runtime),
    beaconMetrics(registry, runtime),
    fleetMetrics(registry, runtime),
    aliasMetrics(registry, runtime),
    httpMetrics(registry, http),
  ];
  return {
    contentType: registry.contentType,
    write: async (octets) => {
      for (const one of fill) one();
      octets.text(`${await registry.metrics()}\n${probeTimesText(runtime)}${answerTimesText(runtime)}`);
      await writeVipMetrics(await vipStates(runtime), octets);
    },
  };
}

/** `name` without `pharos_`. */
function gauge<Label extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: Label[],
): Gauge<Label> {
  return new Gauge({ name: `pharos_${name}`, help, labelNames, registers: [registry] });
}

function counter<Label extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: Label[],
): Counter<Label> {
  return new Counter({ name: `pharos_${name}`, help, labelNames, registers: [registry] });
}

function aliasMetrics(registry: Registry, runtime: Runtime): () => void {
  const help = 'Times that a name outside the zones that an ALIAS leads to was resolved.';
  const attempts = counter(registry, 'alias_resolutions_total', help, ['name', 'result']);
  const age = gauge(registry, 'alias_age_seconds', 'Time since the name was resolved. Absent before the first time.', ['name']); // prettier-ignore
  return () => {
    attempts.reset();
    age.reset();
    for (const { name, resolved, failed, ageSeconds } of runtime.foreign?.() ?? []) {
      attempts.inc({ name, result: 'ok' }, resolved);
      attempts.inc({ name, result: 'failed' }, failed);
      if (ageSeconds !== undefined) age.set({ name }, ageSeconds);
    }
  };
}

function httpMetrics(registry: Registry, { connections, wrongTokens }: HttpStats): () => void {
  const open = gauge(registry, 'http_connections', 'Open connections to the status server.', []);
  const closed = counter(
    registry,
    'http_connections_closed_total',
    'Connections to the status server closed (idle) or refused (all others were busy) at the limit.',
    ['reason'],
  );
  const wrong = counter(registry, 'http_wrong_tokens_total', 'Requests to the status server with a wrong token.', []);
  return () => {
    const stats = connections();
    open.set(stats.open);
    closed.reset();
    closed.inc({ reason: 'idle' }, stats.closed);
    closed.inc({ reason: 'refused' }, stats.refused);
    wrong.reset();
    wrong.inc(wrongTokens());
  };
}

function trafficMetrics(registry: Registry, runtime: Runtime): () => void {
  const queries = counter(registry, 'queries_total', 'DNS queries received.', ['transport', 'family']);
  const responses = counter(registry, 'responses_total', 'DNS responses, by the RCODE in their header.', ['rcode']);
  const dropped = counter(registry, 'dropped_total', 'DNS messages left without a response.', ['reason']);
  const packetErrors = counter(registry, 'socket_errors_total', 'Failed calls to receive or send.', ['direction']);
  const octets = counter(registry, 'bytes_total', 'Bytes of DNS messages.', ['direction']);
  const tcpClosed = counter(registry, 'tcp_closed_total', 'TCP connections closed by the server.', ['reason']);
  const tcpOpen = gauge(registry, 'tcp_connections', 'Open TCP connections, including TLS.', []);
  const transfers = counter(registry, 'transfers_total', 'Zone transfers to secondaries.', ['result']);
  const handshakes = counter(registry, 'tls_handshakes_total', 'TLS handshakes of clients.', ['result']);
  const single = [
    { place: COUNTER.TRUNCATED, name: 'truncated_total', help: 'DNS responses with TC set.' },
    { place: COUNTER.RCODE_EXTENDED, name: 'extended_rcode_total', help: 'DNS responses with an extended RCODE.' },
    {
      place: COUNTER.EXCEPTIONS,
      name: 'exceptions_total',
      help: 'DNS queries dropped because of an error in the server.',
    },
    {
      place: COUNTER.RATE_LIMITED,
      name: 'rate_limited_total',
      help: 'DNS responses dropped or truncated by rate limiting.',
    },
    {
      place: COUNTER.SAMPLES_DROPPED,
      name: 'query_samples_dropped_total',
      help: 'DNS queries selected by log.queries but not logged, because too many came at once.',
    },
    {
      place: COUNTER.CLIENT_SAMPLES_DROPPED,
      name: 'client_samples_dropped_total',
      help: 'Sampled clients not counted by country, because too many came at once.',
    },
    {
      place: COUNTER.SIGNED_ONLINE,
      name: 'online_signatures_total',
      help: 'Signatures made by answering threads, for zones with denial: compact.',
    },
    {
      place: COUNTER.SIGNING_REFUSED,
      name: 'online_signatures_refused_total',
      help: 'Queries refused because an answering thread had made its number of signatures of that second.',
    },
    {
      place: COUNTER.SETS_DROPPED,
      name: 'rare_sets_dropped_total',
      help: 'Signed queries whose set of VIPs was not noted to be signed, because too many came at once.',
    },
    { place: COUNTER.OVERSIZE, name: 'oversize_total', help: 'Datagrams longer than the longest accepted query.' },
    { place: COUNTER.BATCHES, name: 'batches_total', help: 'Batches of datagrams received.' },
    { place: COUNTER.TCP_ACCEPTED, name: 'tcp_accepted_total', help: 'TCP connections accepted.' },
    { place: COUNTER.TLS_RESUMED, name: 'tls_resumed_total', help: 'TLS handshakes that resumed a session.' },
    {
      place: COUNTER.THREAD_RESTARTS,
      name: 'thread_restarts_total',
      help: 'Restarts of threads that died.',
    },
  ].map(({ place, name, help }) => ({ place, metric: counter(registry, name, help, []) }));
  const labelled = [
    { place: COUNTER.QUERIES_UDP4, metric: queries, labels: { transport: 'udp', family: 'ipv4' } },
    { place: COUNTER.QUERIES_UDP6, metric: queries, labels: { transport: 'udp', family: 'ipv6' } },
    { place: COUNTER.QUERIES_TCP4, metric: queries, labels: { transport: 'tcp', family: 'ipv4' } },
    { place: COUNTER.QUERIES_TCP6, metric: queries, labels: { transport: 'tcp', family: 'ipv6' } },
    { place: COUNTER.QUERIES_TLS4, metric: queries, labels: { transport: 'tls', family: 'ipv4' } },
    { place: COUNTER.QUERIES_TLS6, metric: queries, labels: { transport: 'tls', family: 'ipv6' } },
    { place: COUNTER.SILENT, metric: dropped, labels: { reason: 'silent' } },
    { place: COUNTER.MALFORMED, metric: dropped, labels: { reason: 'malformed' } },
    { place: COUNTER.PROXY_REFUSED, metric: dropped, labels: { reason: 'proxy' } },
    { place: COUNTER.DEFERRED_DROPPED, metric: dropped, labels: { reason: 'busy' } },
    { place: COUNTER.RECEIVE_ERRORS, metric: packetErrors, labels: { direction: 'in' } },
    { place: COUNTER.SEND_ERRORS, metric: packetErrors, labels: { direction: 'out' } },
    { place: COUNTER.OCTETS_IN, metric: octets, labels: { direction: 'in' } },
    { place: COUNTER.OCTETS_OUT, metric: octets, labels: { direction: 'out' } },
    { place: COUNTER.TCP_IDLE, metric: tcpClosed, labels: { reason: 'idle' } },
    { place: COUNTER.TCP_EVICTED, metric: tcpClosed, labels: { reason: 'evicted' } },
    { place: COUNTER.TCP_BAD_LENGTH, metric: tcpClosed, labels: { reason: 'bad_length' } },
    { place: COUNTER.TRANSFERS_DONE, metric: transfers, labels: { result: 'done' } },
    { place: COUNTER.TRANSFERS_CUT, metric: transfers, labels: { result: 'cut' } },
    { place: COUNTER.TLS_HANDSHAKES, metric: handshakes, labels: { result: 'ok' } },
    { place: COUNTER.TLS_FAILED, metric: handshakes, labels: { result: 'failed' } },
    { place: COUNTER.TLS_TIMEOUTS, metric: handshakes, labels: { result: 'timeout' } },
    ...RCODES.map((rcode, number) => ({ place: COUNTER.RCODES + number, metric: responses, labels: { rcode } })),
  ];

  return () => {
    const sums = runtime.counters();
    const at = (place: number): number => sums[place] ?? 0;
    for (const { place, metric } of single) {
      metric.reset();
      metric.inc(at(place));
    }
    for (const metric of [queries, responses, dropped, packetErrors, octets, tcpClosed, transfers, handshakes])
      metric.reset();
    // prom-client types labels per metric; each row here has labels that fit its metric.
    for (const { place, metric, labels } of labelled) (metric as Counter).inc(labels, at(place));
    tcpOpen.set(at(COUNTER.TCP_OPEN));
  };
}

function typeMetrics(registry: Registry, runtime: Runtime): () => void {
  const types = counter(registry, 'queries_by_type_total', 'DNS queries by type; `other` has all other types.', [
    'type',
  ]);
  return () => {
    const sums = runtime.counters();
    types.reset();
    for (const [index, type] of [...COUNTED_TYPES, 'other'].entries()) {
      types.inc({ type }, counterAt(sums, COUNTER.TYPES + index));
    }
  };
}

/** Zones with a series of queries of their own. */
const MAX_ZONE_SERIES = 1000;
/** No name of a zone has parentheses without a backslash. */
const OTHER_ZONES = '(others)';

function zoneMetrics(registry: Registry, runtime: Runtime): () => void {
  const queries = counter(
    registry,
    'zone_queries_total',
    `DNS queries by zone; \`${OTHER_ZONES}\` has all zones after the first ${MAX_ZONE_SERIES}.`,
    ['zone'],
  );
  return () => {
    const { zones } = runtime.generation().catalog;
    const counts = runtime.zoneQueries();
    queries.reset();
    for (const [place, { name }] of zones.slice(0, MAX_ZONE_SERIES).entries()) {
      queries.inc({ zone: name }, counts[place] ?? 0);
    }
    if (zones.length <= MAX_ZONE_SERIES) return;
    const others = counts.subarray(MAX_ZONE_SERIES).reduce((sum, count) => sum + count, 0);
    queries.inc({ zone: OTHER_ZONES }, others);
  };
}

/** By country only: labels for services too would make hundreds of series per service. */
function clientMetrics(registry: Registry, runtime: Runtime): () => void {
  const sampled = counter(registry, 'clients_sampled_total', 'Sampled clients of steered names.', ['country']);
  return () => {
    sampled.reset();
    for (const [country, count] of runtime.clients.totals()) sampled.inc({ country: country || 'unknown' }, count);
  };
}

function probeMetrics(registry: Registry, runtime: Runtime): () => void {
  const probes = counter(registry, 'probes_total', 'Health probes that ended.', ['result']);
  const faults = counter(registry, 'probe_faults_total', 'Errors of the server itself during a probe.', []);
  const saves = counter(registry, 'state_save_failures_total', 'Failed writes to the state folder.', []);
  const inFlight = gauge(registry, 'probes_in_flight', 'Health probes under way.', []);
  const waiting = gauge(registry, 'probes_waiting', 'Health probes that wait for a free slot.', []);
  const watched = gauge(registry, 'watched_connections', 'Connections held open to detect crashes at once.', []);
  const checks = gauge(registry, 'checks', 'Running checks; a check shared by VIPs counts once.', []);
  const notified = counter(registry, 'notifications_total', 'Changes of state for health.notify.', ['result']);
  const notifyFailures = counter(registry, 'notification_failures_total', 'Failed attempts to notify.', []);
  const notifyWaiting = gauge(registry, 'notifications_waiting', 'Changes of state that wait for the webhook.', []);

  return () => {
    const stats = runtime.health.stats();
    const notifications = runtime.notifications();
    for (const metric of [probes, faults, saves, notified, notifyFailures]) metric.reset();
    probes.inc({ result: 'passed' }, stats.probes - stats.failedProbes - stats.notProbed);
    probes.inc({ result: 'failed' }, stats.failedProbes);
    probes.inc({ result: 'not_probed' }, stats.notProbed);
    faults.inc(stats.faults);
    saves.inc(stats.failedSaves);
    inFlight.set(stats.inFlight);
    waiting.set(stats.waiting);
    watched.set(stats.watched);
    checks.set(stats.checks);
    notified.inc({ result: 'sent' }, notifications.sent);
    notified.inc({ result: 'dropped' }, notifications.dropped);
    notifyFailures.inc(notifications.failures);
    notifyWaiting.set(notifications.waiting);
  };
}

/** prom-client accepts single observations only, not finished counts, so the histogram is written here. */
function probeTimesText(runtime: Runtime): string {
  const { counts, sumSeconds } = runtime.health.stats().probeTimes;
  const help = 'Duration of health probes that passed or failed.';
  return histogramText({ name: 'pharos_probe_duration_seconds', help, bounds: PROBE_TIME_BOUNDS, counts, sumSeconds });
}

function answerTimesText(runtime: Runtime): string {
  const sums = runtime.counters();
  return histogramText({
    name: 'pharos_answer_duration_seconds',
    help: 'Time from receiving a UDP query to sending its response, of one batch in 16.',
    bounds: ANSWER_TIME_BOUNDS,
    counts: sums.subarray(COUNTER.ANSWER_TIMES, COUNTER.ANSWER_TIMES + ANSWER_TIME_BOUNDS.length + 1),
    sumSeconds: counterAt(sums, COUNTER.ANSWER_MS) / 1000,
  });
}

/** `counts` are not cumulative, and have one more bucket than bounds. */
function histogramText(histogram: {
  readonly name: string;
  readonly help: string;
  readonly bounds: readonly number[];
  readonly counts: ArrayLike<number>;
  readonly sumSeconds: number;
}): string {
  const { name, help, bounds, counts, sumSeconds } = histogram;
  let sum = 0;
  const buckets = Array.from(counts, (count, index) => {
    sum += count;
    return `${name}_bucket{le="${bounds[index] ?? '+Inf'}"} ${sum}\n`;
  });
  const head = `# HELP ${name} ${help}\n# TYPE ${name} histogram\n`;
  return `${head}${buckets.join('')}${name}_sum ${sumSeconds}\n${name}_count ${sum}\n`;
}

/** Changes of probed states, and times that a check began to be held down for flapping. */
function changeMetrics(registry: Registry, { events }: Runtime): () => void {
  const changes = counter(registry, 'state_changes_total', 'Changes of the probed state of a VIP.', ['to']);
  const flaps = counter(registry, 'flaps_total', 'Times that a VIP was held down because it changed too often.', []);
  for (const to of ['up', 'down']) changes.inc({ to }, 0);
  events.subscribe(({ kind, to, alarm }) => {
    if (kind === 'state' && (to === 'up' || to === 'down')) changes.inc({ to });
    if (alarm === 'flapping' && to === 'raised') flaps.inc();
  });
  return () => undefined;
}

function fleetMetrics(registry: Registry, runtime: Runtime): () => void {
  const peers = gauge(registry, 'fleet_peers', 'Other nodes of the fleet.', ['state']);
  const connected = gauge(registry, 'fleet_connected', 'Whether NATS can be reached: 1 or 0.', []);
  const alone = gauge(registry, 'fleet_alone', 'Whether no other node is heard: 1 or 0.', []);
  const probed = gauge(registry, 'fleet_probed_checks', 'Checks at addresses that this node probes.', []);
  const revision = gauge(registry, 'fleet_orders_revision', 'The highest revision of an order that is applied.', []);
  const waiting = gauge(registry, 'fleet_drains_waiting', 'Drains that a node has not confirmed.', []);
  return () => {
    const { fleet } = runtime;
    if (fleet === undefined) return;
    const fresh = fleet.peers().filter(({ isFresh }) => isFresh).length;
    peers.set({ state: 'fresh' }, fresh);
    peers.set({ state: 'lost' }, fleet.known().length - fresh);
    connected.set(fleet.isConnected() ? 1 : 0);
    alone.set(fresh === 0 ? 1 : 0);
    probed.set(fleet.probed());
    revision.set(fleet.applied());
    waiting.set(runtime.orders.drains().filter(({ waitingFor }) => waitingFor.length > 0).length);
  };
}

function beaconMetrics(registry: Registry, runtime: Runtime): () => void {
  const reports = counter(registry, 'beacon_reports_total', 'Latency reports of browsers.', []);
  const samples = counter(registry, 'beacon_samples_total', 'Times in these reports.', ['result']);
  const networks = gauge(registry, 'beacon_networks', 'Networks (/24 and /48) with times that count.', []);
  return () => {
    const stats = runtime.beacon.stats();
    for (const metric of [reports, samples]) metric.reset();
    reports.inc(stats.reports);
    samples.inc({ result: 'kept' }, stats.kept);
    for (const reason of THROWN) samples.inc({ result: reason }, stats.thrown[reason]);
    networks.set(stats.networks);
  };
}

function configurationMetrics(registry: Registry, runtime: Runtime): () => void {
  const build = gauge(registry, 'build_info', 'Versions of Pharos and Node.js; the value is 1.', [
    'version',
    'node',
    'io',
  ]);
  const ready = gauge(registry, 'ready', 'Whether /readyz returns 200: 1 or 0.', []);
  const generation = gauge(registry, 'generation', 'Number of the current generation.', []);
  const reloaded = gauge(registry, 'config_last_reload_successful', 'Whether the last reload succeeded: 1 or 0.', []);
  const reloadedAt = gauge(registry, 'config_last_reload_timestamp_seconds', 'When the last reload ended.', []);
  const warnings = gauge(registry, 'config_warnings', 'Warnings about the current configuration.', []);
  const certificateEnd = gauge(
    registry,
    'tls_certificate_expiry_timestamp_seconds',
    'Expiry of the certificate for DNS over TLS.',
    ['path'],
  );
  const serial = gauge(registry, 'zone_serial', 'SOA serial of the zone.', ['zone']);
  const records = gauge(registry, 'zone_records', 'Records of the zone.', ['zone']);
  const signatureEnd = gauge(
    registry,
    'rrsig_expiry_seconds',
    'Time until the first signature of the zone ends; below 0 if one has ended.',
    ['zone'],
  );
  const geoAge = gauge(registry, 'geo_database_age_seconds', 'Time since the database was built.', ['path']);
  const dnstapDropped = counter(
    registry,
    'dnstap_dropped_total',
    'Messages of dnstap dropped because the collector did not take them.',
    [],
  );
  const auditDropped = counter(
    registry,
    'audit_lines_dropped_total',
    'Lines of the audit log dropped because its file could not be written.',
    [],
  );
  const logDropped = counter(
    registry,
    'log_lines_dropped_total',
    'Log lines dropped because nothing read them in time.',
    [],
  );
  const alarm = gauge(registry, 'alarm', 'Active alarms, by code.', ['code']);

  return () => {
    const now = runtime.generation();
    const last = runtime.lastReload();
    build.set({ version: runtime.version, node: process.version, io: runtime.io() }, 1);
    ready.set(runtime.notReady().length === 0 ? 1 : 0);
    generation.set(now.number);
    reloaded.set(last.ok ? 1 : 0);
    reloadedAt.set(last.at.getTime() / 1000);
    warnings.set(now.warnings.length);
    for (const metric of [serial, records, signatureEnd, geoAge, alarm, certificateEnd]) metric.reset();
    const { tls, shownPaths } = now.settings;
    if (tls) certificateEnd.set({ path: hidePaths(tls.keyPair.path, shownPaths) }, tls.keyPair.expiresAtMs / 1000);
    for (const zone of now.catalog.zones) {
      serial.set({ zone: zone.name }, zone.serial);
      records.set({ zone: zone.name }, zone.records);
      if (zone.signing) signatureEnd.set({ zone: zone.name }, zone.signing.expiresAt - Date.now() / 1000);
    }
    for (const database of now.databases) {
      const age = (Date.now() - Date.parse(database.built)) / 1000;
      if (Number.isFinite(age)) geoAge.set({ path: hidePaths(database.path, shownPaths) }, Math.max(0, age));
    }
    // Every alarm has a series, so that a rule for an unknown code is noticed.
    for (const code of Object.keys(ALARMS)) alarm.set({ code }, 0);
    for (const { code } of runtime.alarms()) alarm.inc({ code });
    logDropped.reset();
    logDropped.inc(runtime.logDropped());
    dnstapDropped.reset();
    dnstapDropped.inc(runtime.dnstapDropped());
    auditDropped.reset();
    auditDropped.inc(runtime.auditDropped());
  };
}
