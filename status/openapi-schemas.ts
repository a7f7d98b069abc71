/**
 * What the API's bodies look like, as JSON Schema (2020-12, which OpenAPI 3.1 takes as it is): of the documents that are
 * read (a VIP, a service, status), of the decisions that explain and simulate tell, of what was changed, of mistakes.
 * test/unit/status/openapi.test.ts holds replies to it.
 */
import { CONTINENTS } from '../config/settings.ts';
import { ALARMS, type Alarm } from '../config/alarms.ts';
import type { Diagnostic } from '../config/diagnostics.ts';
import type { Simulation } from '../server/forecast/simulate.ts';
import type { Traffic, VipLoad } from '../server/forecast/traffic.ts';
import type { Beacon } from './beacon.ts';
import type { EventDocument } from './events.ts';
import { list, number, object, oneOf, orNull, share, text, time, whole, yes, type Schema } from './json-schema.ts';
import type { OverrideDocument, WeightDocument } from './override-json.ts';
import type { Problem } from './problem.ts';
import type { ClientsDocument, ServiceDocument, StatusDocument } from './status-document.ts';
import type { TraceDocument } from './trace-document.ts';
import type { VipDocument } from './vips.ts';

const load: Schema = { type: 'number', minimum: 0 };
const FORCED = ['up', 'down', 'drain'] as const;
const by = oneOf('operator', 'schedule');
const move = list(object<Traffic['moves'][number]>({ from: text, to: text, share }));
type Entry<T> = T extends readonly (infer E)[] ? E : never;
type Some<T> = NonNullable<T>;

const vip = object<VipDocument>({
  target: { type: 'string', examples: ['www.example.com/seoul-a'] },
  service: text,
  vip: text,
  region: orNull(text),
  a: orNull({ type: 'string', format: 'ipv4' }),
  aaaa: orNull({ type: 'string', format: 'ipv6' }),
  cname: orNull(text),
  weight: { ...whole, description: 'As steering uses it.' },
  file_weight: { ...whole, description: 'As the zone file has it.' },
  ramp: { ...share, description: 'The share of the weight that it has: below 1 while it comes back.' },
  load: { ...orNull(load), description: 'As a share of its capacity.' },
  shed: { ...share, description: 'The share of its clients that it gives up for its load.' },
  weight_override: orNull(
    object<Some<VipDocument['weight_override']>>({ weight: whole, reason: orNull(text), since: time, by }),
  ),
  check: orNull(object<Some<VipDocument['check']>>({ name: text, kind: text })),
  address: { type: 'string', description: 'Where it is probed; `push` or `none` where it is not.' },
  probed: oneOf('up', 'down', 'unknown'),
  effective: oneOf('up', 'down', 'unknown', 'drain'),
  available: yes,
  since: orNull(time),
  last_result: orNull(
    object<Some<VipDocument['last_result']>>({ passed: yes, reason: text, duration_ms: number, at: time }),
  ),
  run: orNull(object<Some<VipDocument['run']>>({ passed: yes, results: whole })),
  override: orNull(
    object<Some<VipDocument['override']>>({
      state: oneOf(...FORCED),
      reason: orNull(text),
      since: time,
      until: orNull(time),
      by,
      safe_at: orNull(time),
    }),
  ),
  served: { ...whole, description: 'Answers that named it, since the start.' },
});

const service = object<ServiceDocument>({
  name: text,
  zone: text,
  ttl: object<ServiceDocument['ttl']>({ min: whole, max: whole }),
  steer: list(text),
  answers: whole,
  when_all_down: oneOf('serve_all', 'none', 'static'),
  vips: whole,
  vips_available: whole,
  served: whole,
  clients: {
    ...object<ClientsDocument>({
      samples: whole,
      countries: {
        ...list(object<Entry<ClientsDocument['countries']>>({ country: text, share })),
        description: 'The largest twenty; an empty `country` is none known.',
      },
      rest: { ...share, description: 'Of all other countries.' },
    }),
    description: 'Where its clients are, by a sample of its queries of late.',
  },
});

const status = object<StatusDocument>({
  build: object<StatusDocument['build']>({ product: text, version: text, node: text }),
  started_at: time,
  uptime_seconds: whole,
  ready: yes,
  not_ready: list(text),
  io: oneOf('batch', 'dgram'),
  workers: whole,
  listen: list(text),
  listen_tls: list(text),
  generation: whole,
  loaded_at: time,
  last_reload: object<StatusDocument['last_reload']>({ ok: yes, at: time, diagnostics: list(named('Diagnostic')) }),
  warnings: list(named('Diagnostic')),
  alarms: list(
    object<Alarm>({
      code: oneOf(...Object.keys(ALARMS)),
      severity: oneOf('warning', 'critical'),
      subject: orNull(text),
      message: text,
      since: time,
    }),
  ),
  zones: list(
    object<Entry<StatusDocument['zones']>>({ name: text, serial: whole, file: text, records: whole, services: whole }),
  ),
  services: list(named('Service')),
  vips: list(named('Vip')),
  geo: list(
    object<Entry<StatusDocument['geo']>>({ path: text, type: text, built: text, age_days: number, attribution: text }),
  ),
});

const decision = {
  candidates: list(
    object<Entry<TraceDocument['candidates']>>({
      vip: text,
      target: text,
      region: text,
      data: text,
      weight: whole,
      ramp: share,
      shed: share,
      probed: oneOf('up', 'down', 'unknown'),
      forced: orNull(oneOf(...FORCED)),
      available: yes,
      why: text,
    }),
  ),
  steps: list(object<Entry<TraceDocument['steps']>>({ step: text, kept: list(text), why: text })),
  all_down: { ...orNull(text), description: 'What `when_all_down` did, where no candidate was left.' },
  ttl: object<TraceDocument['ttl']>({ seconds: whole, why: text }),
  scope: object<TraceDocument['scope']>({ bits: whole, why: text }),
};

const trace = object<TraceDocument>({
  name: text,
  type: text,
  zone: text,
  service: { ...orNull(text), description: 'Null for static data.' },
  client: object<TraceDocument['client']>({
    address: orNull(text),
    source: oneOf('subnet', 'resolver', 'place'),
    country: text,
    subdivision: text,
    continent: oneOf('', ...CONTINENTS),
    latitude: orNull(number),
    longitude: orNull(number),
    asn: whole,
    how: text,
  }),
  via: {
    ...list(object<Entry<TraceDocument['via']>>({ service: text, ...decision, vips: list(text) })),
    description: 'The services whose CNAMEs led to `service`, the first one first.',
  },
  ...decision,
  answer: object<TraceDocument['answer']>({
    rcode: text,
    records: list(
      object<Entry<TraceDocument['answer']['records']>>({ name: text, type: text, ttl: whole, data: text }),
    ),
    vips: list(text),
  }),
});

const simulation = object<Simulation>({
  down: list(text),
  targets: list(text),
  services: list(
    object<Traffic>({
      service: text,
      types: list(text),
      weighed: oneOf('addresses', 'served', 'countries'),
      moved: share,
      ipv6: yes,
      stranded: object<Traffic['stranded']>({ before: share, after: share }),
      settles: {
        ...orNull(yes),
        description:
          'Whether the loads come to rest; null where none is known: then `after` is with whom VIPs shed now.',
      },
      vips: list(
        object<Entry<Traffic['vips']>>({
          vip: text,
          region: text,
          data: text,
          before: share,
          after: share,
          load: {
            ...orNull(object<VipLoad>({ before: load, at_once: load, settled: orNull(load) })),
            description:
              'Shares of its capacity: now, when caches have run out, and at rest. Null where no load is known.',
          },
        }),
      ),
      moves: move,
      regions: move,
      countries: list(
        object<Entry<Traffic['countries']>>({ country: text, clients: share, moved: share, moves: move }),
      ),
    }),
  ),
  untouched: whole,
});

const override = object<OverrideDocument>({
  target: text,
  state: oneOf(...FORCED),
  reason: orNull(text),
  since: time,
  until: orNull(time),
  by,
  present: yes,
  safe_at: orNull(time),
});

const weight = object<WeightDocument>({
  target: text,
  weight: whole,
  file_weight: orNull(whole),
  reason: orNull(text),
  since: time,
  by,
  present: yes,
});

const event = object<EventDocument>({
  id: text,
  at: time,
  kind: oneOf('state', 'override', 'weight', 'reload', 'schedule', 'alarm'),
  message: text,
  target: orNull(text),
  service: orNull(text),
  region: orNull(text),
  from: { type: ['string', 'number', 'null'] },
  to: { type: ['string', 'number', 'null'] },
  reason: orNull(text),
  alarm: orNull(oneOf(...Object.keys(ALARMS))),
  severity: orNull(oneOf('warning', 'critical')),
  subject: orNull(text),
});

const diagnostic = object<Diagnostic>(
  {
    code: { type: 'string', examples: ['PH014'] },
    severity: oneOf('error', 'warning'),
    message: text,
    place: object<Diagnostic['place']>(
      { file: text, line: whole, column: whole, length: whole, excerpt: text, foreign: yes },
      ['line', 'column', 'length', 'excerpt', 'foreign'],
    ),
    hint: text,
  },
  ['hint'],
);

const problem: Schema = {
  ...object<Problem>({ type: text, title: text, status: whole, detail: text, parameter: text, hint: text }, [
    'parameter',
    'hint',
  ]),
  description: 'RFC 9457. Some errors have further members.',
  additionalProperties: true,
};

const changed = { target: text, vips: list(text), saved: yes } as const;
const overridden: Schema = {
  type: 'object',
  properties: {
    ...changed,
    state: oneOf(...FORCED),
    reason: orNull(text),
    since: time,
    until: orNull(time),
    scope: { ...oneOf('node'), description: 'Where it holds: on this server alone.' },
    safe_at: orNull(time),
    still_named: { ...list(text), description: 'Those of `vips` that DNS answers name nevertheless.' },
    no_longer_safe: { ...list(text), description: 'Other VIPs, drained before, that DNS answers name again.' },
    warnings: list(text),
  },
  required: [
    ...['target', 'vips', 'saved', 'state', 'reason', 'since', 'until'],
    ...['scope', 'safe_at', 'still_named', 'no_longer_safe', 'warnings'],
  ],
};

/** All named ones. */
export const SCHEMAS = {
  Alive: { type: 'object', properties: { alive: { const: true } }, required: ['alive'] },
  Ready: { type: 'object', properties: { ready: { const: true } }, required: ['ready'] },
  Status: status,
  Service: service,
  Vip: vip,
  Trace: trace,
  Simulation: simulation,
  Override: override,
  Overridden: overridden,
  Weight: weight,
  Weighed: {
    type: 'object',
    properties: { ...changed, weight: whole, reason: orNull(text) },
    required: ['target', 'vips', 'saved', 'weight', 'reason'],
  },
  GivenBack: { type: 'object', properties: changed, required: ['target', 'vips', 'saved'] },
  Reloaded: {
    type: 'object',
    properties: { generation: whole, warnings: list(named('Diagnostic')) },
    required: ['generation', 'warnings'],
  },
  Event: event,
  Reported: object<ReturnType<Beacon['report']>>({ kept: whole, thrown: whole }),
  Diagnostic: diagnostic,
  Problem: problem,
} as const satisfies Readonly<Record<string, Schema>>;

/** A schema of `components`, by its name. */
export function ref(name: keyof typeof SCHEMAS): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

/** `ref` for what stands above SCHEMAS. */
function named(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}
