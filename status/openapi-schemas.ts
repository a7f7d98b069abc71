/**
 * JSON Schemas (2020-12, the dialect of OpenAPI 3.1) of the bodies of the API: services, status, decisions of explain
 * and simulate, changes, problems. vip-fields.ts has the schema of a VIP. test/unit/status/openapi.test.ts validates
 * replies against them.
 */
import { ALARMS, type Alarm } from '../config/alarms.ts';
import type { Diagnostic } from '../config/diagnostics.ts';
import { CONTINENTS } from '../config/settings.ts';
import type { Simulation } from '../server/forecast/simulate-failure.ts';
import type { Traffic, VipLoad } from '../server/forecast/traffic.ts';
import type { RegionShare, ServiceMap } from '../server/forecast/who-serves.ts';
import type { Beacon } from './beacon.ts';
import type { EventDocument, UpdateDetails } from './events.ts';
import type {
  FleetDocument,
  FleetDrainDocument,
  FleetLine,
  FleetNodeDocument,
  FleetTargetDocument,
  VotesDocument,
} from './fleet-document.ts';
import type { PastSpan, PastTraffic } from './history.ts';
import {
  byWhom,
  forced,
  listSchema,
  numberSchema,
  object,
  oneOf,
  orNull,
  shareSchema,
  textSchema,
  timeSchema,
  whole,
  yes,
  type Schema,
} from './json-schema.ts';
import type { OverrideDocument, WeightDocument } from './override-json.ts';
import type { Problem } from './problem.ts';
import type { HistoryDocument } from './routes-page.ts';
import type { ChangedDocument, ListedDocument, RecordsChanged, SetDocument } from './routes-records.ts';
import { simulatedOrder } from './routes-simulate.ts';
import type {
  ClientsDocument,
  ServiceDocument,
  StatusDocument,
  ZoneSigningDocument,
  TrafficDocument,
} from './status-document.ts';
import type { TraceDocument } from './trace-document.ts';
import { vipSchema } from './vip-fields.ts';

const load: Schema = { type: 'number', minimum: 0 };
const rate: Schema = { type: 'number', minimum: 0 };
const move = listSchema(object<Traffic['moves'][number]>({ from: textSchema, to: textSchema, share: shareSchema }));
type Entry<T> = T extends readonly (infer E)[] ? E : never;

const service = object<ServiceDocument>({
  name: textSchema,
  zone: textSchema,
  ttl: object<ServiceDocument['ttl']>({ min: whole, max: whole }),
  steer: listSchema(textSchema),
  answers: whole,
  when_all_down: oneOf('serve_all', 'none', 'static'),
  partial: oneOf('serve_up', 'serve_all'),
  vips: whole,
  vips_available: whole,
  served: { ...whole, description: 'Answers that named one of its VIPs, since the start.' },
  served_last_minute: { ...whole, description: 'Answers that named one of its VIPs in the last minute.' },
  clients: {
    ...object<ClientsDocument>({
      samples: whole,
      countries: {
        ...listSchema(object<Entry<ClientsDocument['countries']>>({ country: textSchema, share: shareSchema })),
        description: 'The largest twenty; an empty `country` is unknown.',
      },
      rest: { ...shareSchema, description: 'The share of all other countries.' },
    }),
    description: 'Countries of its clients, from a sample of recent queries.',
  },
});

const status = object<StatusDocument>({
  build: object<StatusDocument['build']>({ product: textSchema, version: textSchema, node: textSchema }),
  started_at: timeSchema,
  uptime_seconds: whole,
  ready: yes,
  not_ready: listSchema(textSchema),
  io: oneOf('batch', 'dgram'),
  workers: whole,
  listen: listSchema(textSchema),
  listen_tls: listSchema(textSchema),
  generation: whole,
  loaded_at: timeSchema,
  last_reload: object<StatusDocument['last_reload']>({
    ok: yes,
    at: timeSchema,
    diagnostics: listSchema(named('Diagnostic')),
  }),
  warnings: listSchema(named('Diagnostic')),
  alarms: listSchema(
    object<Alarm>({
      code: oneOf(...Object.keys(ALARMS)),
      severity: oneOf('warning', 'critical'),
      subject: orNull(textSchema),
      message: textSchema,
      since: timeSchema,
    }),
  ),
  fleet: {
    ...orNull(
      object<FleetLine>({
        ...{ name: textSchema, node: textSchema, region: textSchema },
        connected: { ...yes, description: 'Whether NATS can be reached.' },
        alone: { ...yes, description: 'Whether no other node is heard.' },
        nodes: whole,
        fresh: { ...whole, description: 'Nodes that are heard, this one included.' },
      }),
    ),
    description: 'Null if the server is not part of a fleet.',
  },
  traffic: {
    ...object<TrafficDocument>({
      seconds: rate,
      queries_per_second: rate,
      nxdomain_per_second: rate,
      servfail_per_second: rate,
    }),
    description: 'The last minute; `seconds` is less after a start.',
  },
  zones: listSchema(
    object<Entry<StatusDocument['zones']>>({
      name: textSchema,
      serial: whole,
      file: textSchema,
      records: whole,
      services: whole,
      queries: whole,
      queries_last_minute: whole,
      dnssec: orNull(
        object<ZoneSigningDocument>({
          keys: listSchema(
            object<Entry<ZoneSigningDocument['keys']>>({ tag: whole, algorithm: whole, entry_point: yes }),
          ),
          denial: oneOf('nsec', 'compact'),
          signed_at: timeSchema,
          refresh_at: timeSchema,
          expires_at: timeSchema,
          cds: oneOf('published', 'withheld', 'none'),
          cds_withheld: orNull(textSchema),
        }),
      ),
      signing: orNull(object<NonNullable<Entry<StatusDocument['zones']>['signing']>>({ made: whole, total: whole })),
      aliases: listSchema(
        object<Entry<Entry<StatusDocument['zones']>['aliases']>>({
          name: textSchema,
          path: listSchema(textSchema),
          leads_to: oneOf('records', 'service', 'nothing', 'unresolved'),
        }),
      ),
    }),
  ),
  services: listSchema(named('Service')),
  vips: listSchema(named('Vip')),
  geo: listSchema(
    object<Entry<StatusDocument['geo']>>({
      path: textSchema,
      type: textSchema,
      built: textSchema,
      age_days: numberSchema,
      attribution: textSchema,
    }),
  ),
});

const voteSchema = oneOf('up', 'down', 'unknown', 'abstain');

/** How a fleet votes on a target. */
const votesMembers = {
  verdict: voteSchema,
  quorum: { ...textSchema, description: '`majority`, `one`, `all`, a number of regions, or a share.' },
  needed: { ...whole, description: 'Regions that must say that it is down.' },
  view: oneOf('fleet', 'region', 'own'),
  probers: {
    anyOf: [whole, { const: 'all' }, { type: 'null' }],
    description: 'Nodes of each region that probe it; null: the default.',
  },
  from: { ...orNull(listSchema(textSchema)), description: 'Regions whose nodes probe it; null: all.' },
  regions: listSchema(
    object<Entry<VotesDocument['regions']>>({ region: textSchema, up: whole, down: whole, says: voteSchema }),
  ),
  voters: listSchema(
    object<Entry<VotesDocument['voters']>>({
      node: textSchema,
      region: textSchema,
      vote: voteSchema,
      reason: orNull(textSchema),
      age_ms: { ...whole, description: 'Since its last message.' },
      fresh: { ...yes, description: 'Heard within three heartbeats.' },
      probes: yes,
    }),
  ),
} as const satisfies Record<keyof VotesDocument, Schema>;

const decision = {
  candidates: listSchema(
    object<Entry<TraceDocument['candidates']>>({
      vip: textSchema,
      target: textSchema,
      region: textSchema,
      data: textSchema,
      weight: whole,
      ramp: shareSchema,
      shed: shareSchema,
      probed: oneOf('up', 'down', 'unknown'),
      forced: orNull(forced),
      available: yes,
      why: textSchema,
      votes: {
        ...orNull(object<VotesDocument>(votesMembers)),
        description: 'Of the fleet; null without one, and for a VIP that is not checked.',
      },
    }),
  ),
  steps: listSchema(
    object<Entry<TraceDocument['steps']>>({ step: textSchema, kept: listSchema(textSchema), why: textSchema }),
  ),
  all_down: {
    ...orNull(textSchema),
    description: 'The effect of `when_all_down`, if no candidate was left; otherwise null.',
  },
  ttl: object<TraceDocument['ttl']>({ seconds: whole, why: textSchema }),
  scope: object<TraceDocument['scope']>({ bits: whole, why: textSchema }),
  signing: orNull(
    object<NonNullable<TraceDocument['signing']>>({
      key_tags: listSchema(whole),
      valid_until: orNull(timeSchema),
      how: textSchema,
    }),
  ),
};

const trace = object<TraceDocument>({
  name: textSchema,
  type: textSchema,
  zone: textSchema,
  alias: {
    ...orNull(listSchema(textSchema)),
    description: 'The names that the ALIAS of the name leads over; the last has the addresses. Null without an ALIAS.',
  },
  service: { ...orNull(textSchema), description: 'Null for static data.' },
  client: object<TraceDocument['client']>({
    address: orNull(textSchema),
    source: oneOf('subnet', 'resolver', 'place'),
    country: textSchema,
    subdivision: textSchema,
    city: textSchema,
    continent: oneOf('', ...CONTINENTS),
    latitude: orNull(numberSchema),
    longitude: orNull(numberSchema),
    asn: whole,
    how: textSchema,
  }),
  via: {
    ...listSchema(
      object<Entry<TraceDocument['via']>>({ service: textSchema, ...decision, vips: listSchema(textSchema) }),
    ),
    description: 'The services whose CNAMEs led to `service`, in order.',
  },
  ...decision,
  answer: object<TraceDocument['answer']>({
    rcode: textSchema,
    records: listSchema(
      object<Entry<TraceDocument['answer']['records']>>({
        name: textSchema,
        type: textSchema,
        ttl: whole,
        data: textSchema,
      }),
    ),
    vips: listSchema(textSchema),
  }),
});

const regionShares = listSchema(object<RegionShare>({ region: textSchema, share: shareSchema }));
const shares3 = { healthy: shareSchema, now: shareSchema, then: shareSchema } as const;

const serviceMap = object<ServiceMap>({
  service: textSchema,
  types: listSchema(textSchema),
  weighed: oneOf('addresses', 'served', 'countries'),
  down: listSchema(textSchema),
  moved: {
    ...object<ServiceMap['moved']>({ now: shareSchema, then: shareSchema }),
    description: 'The share of the clients that moves: `now` against all healthy, `then` against now.',
  },
  stranded: object<ServiceMap['stranded']>(shares3),
  vips: listSchema(object<ServiceMap['vips'][number]>({ vip: textSchema, region: textSchema, ...shares3 })),
  regions: listSchema(
    object<ServiceMap['regions'][number]>({
      region: textSchema,
      at: orNull(
        object<NonNullable<ServiceMap['regions'][number]['at']>>({ latitude: numberSchema, longitude: numberSchema }),
      ),
      ...shares3,
    }),
  ),
  countries: listSchema(
    object<ServiceMap['countries'][number]>({
      country: { type: 'string', description: 'ISO 3166-1 alpha-2; empty if unknown.' },
      clients: shareSchema,
      ...{ healthy: regionShares, now: regionShares, then: regionShares },
    }),
  ),
});

const rates = listSchema(numberSchema);
const history = object<HistoryDocument>({
  service: textSchema,
  minutes: whole,
  traffic: object<PastTraffic>({ queries: rates, nxdomain: rates, servfail: rates }),
  vips: listSchema(
    object<HistoryDocument['vips'][number]>({
      target: textSchema,
      spans: listSchema(object<PastSpan>({ state: oneOf('none', 'up', 'unknown', 'drain', 'down'), minutes: whole })),
    }),
  ),
});

const simulation = object<Simulation>({
  down: listSchema(textSchema),
  order: {
    ...orNull(simulatedOrder),
    description: 'The order of the request; null if targets fail.',
  },
  targets: listSchema(textSchema),
  services: listSchema(
    object<Traffic>({
      service: textSchema,
      types: listSchema(textSchema),
      weighed: oneOf('addresses', 'served', 'countries'),
      moved: shareSchema,
      ipv6: yes,
      stranded: object<Traffic['stranded']>({ before: shareSchema, after: shareSchema }),
      settles: {
        ...orNull(yes),
        description: 'Whether the loads settle; null if no load is known. `after` then uses the current shedding.',
      },
      vips: listSchema(
        object<Entry<Traffic['vips']>>({
          vip: textSchema,
          region: textSchema,
          data: textSchema,
          before: shareSchema,
          after: shareSchema,
          load: {
            ...orNull(object<VipLoad>({ before: load, at_once: load, settled: orNull(load) })),
            description:
              'Shares of its capacity: now, after caches have expired, and settled. Null if no load is known.',
          },
        }),
      ),
      moves: move,
      regions: move,
      countries: listSchema(
        object<Entry<Traffic['countries']>>({
          country: textSchema,
          clients: shareSchema,
          moved: shareSchema,
          moves: move,
        }),
      ),
    }),
  ),
  untouched: whole,
});

const override = object<OverrideDocument>({
  target: textSchema,
  state: forced,
  reason: orNull(textSchema),
  since: timeSchema,
  until: orNull(timeSchema),
  by: byWhom,
  who: orNull(textSchema),
  present: yes,
  safe_at: orNull(timeSchema),
});

const fleet = object<FleetDocument>({
  enabled: { ...yes, description: 'False: this server is not part of a fleet.' },
  name: orNull(textSchema),
  node: orNull(textSchema),
  region: orNull(textSchema),
  connected: { ...yes, description: 'Whether NATS can be reached.' },
  alone: { ...yes, description: 'Whether no other node was heard within three heartbeats.' },
  nodes: listSchema(
    object<FleetNodeDocument>({
      node: textSchema,
      region: orNull(textSchema),
      version: orNull(textSchema),
      state: oneOf('self', 'fresh', 'lost'),
      config: orNull(textSchema),
      last_heard_ms: orNull(whole),
      clock_difference_ms: orNull(numberSchema),
      targets: orNull(whole),
      probed: { ...orNull(whole), description: 'How many of them it probes.' },
      applied_revision: orNull(whole),
      zones: { ...orNull(whole), description: 'Zones with `soa.serial: auto` that it serves.' },
      serials_differ: { ...orNull(whole), description: 'How many have another serial than on this server.' },
      serials: {
        ...orNull({ type: 'object', additionalProperties: whole }),
        description: 'At most 100 zones, first those with another serial.',
      },
    }),
  ),
  drains: listSchema(
    object<FleetDrainDocument>({
      target: textSchema,
      revision: whole,
      waiting_for: listSchema(textSchema),
      safe_at: orNull(timeSchema),
    }),
  ),
  targets: listSchema(object<FleetTargetDocument>({ target: textSchema, ...votesMembers })),
});

const weight = object<WeightDocument>({
  target: textSchema,
  weight: whole,
  file_weight: orNull(whole),
  reason: orNull(textSchema),
  since: timeSchema,
  by: byWhom,
  who: orNull(textSchema),
  present: yes,
});

const event = object<EventDocument>({
  id: textSchema,
  at: timeSchema,
  kind: oneOf('state', 'override', 'weight', 'reload', 'schedule', 'alarm', 'request', 'update', 'alias'),
  message: textSchema,
  target: orNull(textSchema),
  service: orNull(textSchema),
  region: orNull(textSchema),
  from: { type: ['string', 'number', 'null'] },
  to: { type: ['string', 'number', 'null'] },
  reason: orNull(textSchema),
  who: orNull(textSchema),
  alarm: orNull(oneOf(...Object.keys(ALARMS))),
  severity: orNull(oneOf('warning', 'critical')),
  subject: orNull(textSchema),
  update: orNull(
    object<UpdateDetails>({
      zone: textSchema,
      key: orNull(textSchema),
      peer: orNull(textSchema),
      sets: listSchema(
        object<UpdateDetails['sets'][number]>({ name: textSchema, type: textSchema, records: orNull(whole) }),
      ),
      more: whole,
    }),
  ),
});

const diagnostic = object<Diagnostic>(
  {
    code: { type: 'string', examples: ['PH014'] },
    severity: oneOf('error', 'warning'),
    message: textSchema,
    place: object<Diagnostic['place']>(
      { file: textSchema, line: whole, column: whole, length: whole, excerpt: textSchema, foreign: yes },
      ['line', 'column', 'length', 'excerpt', 'foreign'],
    ),
    hint: textSchema,
  },
  ['hint'],
);

const problem: Schema = {
  ...object<Problem>(
    { type: textSchema, title: textSchema, status: whole, detail: textSchema, parameter: textSchema, hint: textSchema },
    ['parameter', 'hint'],
  ),
  description: 'RFC 9457. Some errors have additional members.',
  additionalProperties: true,
};

const changed = {
  target: textSchema,
  vips: { ...listSchema(textSchema), description: 'The VIPs that were changed on this server.' },
  kept: {
    ...listSchema(textSchema),
    description: 'VIPs that this node left alone: they have an order of scope `node`.',
  },
  warnings: listSchema(textSchema),
  saved: yes,
} as const;
const CHANGED = ['target', 'vips', 'kept', 'warnings', 'saved'] as const;
const overridden: Schema = {
  type: 'object',
  properties: {
    ...changed,
    state: forced,
    reason: orNull(textSchema),
    since: timeSchema,
    until: orNull(timeSchema),
    scope: { ...oneOf('fleet', 'node'), description: '`node`: the override applies to this server only.' },
    revision: { ...orNull(whole), description: 'Of an order that the fleet keeps.' },
    safe_at: { ...orNull(timeSchema), description: 'With scope `fleet`: the latest of all nodes.' },
    waiting_for: { ...listSchema(textSchema), description: 'Nodes that have not confirmed the order.' },
    still_named: { ...listSchema(textSchema), description: 'The `vips` that DNS answers still name.' },
    no_longer_safe: {
      ...listSchema(textSchema),
      description: 'Other VIPs, drained earlier, that DNS answers name again.',
    },
  },
  required: [
    ...[...CHANGED, 'state', 'reason', 'since', 'until'],
    ...['scope', 'revision', 'safe_at', 'waiting_for', 'still_named', 'no_longer_safe'],
  ],
};

/** All named schemas. */
const recordSet = object<SetDocument>({ ttl: whole, records: listSchema(textSchema) });

const records: Schema = {
  type: 'object',
  properties: {
    zone: textSchema,
    serial: whole,
    takes_changes: yes,
    records: listSchema(
      object<ListedDocument>({
        ...{ name: textSchema, type: textSchema, ttl: orNull(whole), records: listSchema(textSchema) },
        ...{ source: oneOf('file', 'dynamic', 'server'), replaces_file: yes },
      }),
    ),
  },
  required: ['zone', 'serial', 'takes_changes', 'records'],
};

const recordsChanged = object<RecordsChanged>({
  ...{ zone: textSchema, name: textSchema, type: textSchema, serial: whole, dry_run: yes },
  changes: listSchema(
    object<ChangedDocument>({
      ...{ name: textSchema, type: textSchema, before: orNull(recordSet), after: orNull(recordSet) },
    }),
  ),
});

export const SCHEMAS = {
  Alive: { type: 'object', properties: { alive: { const: true } }, required: ['alive'] },
  Ready: { type: 'object', properties: { ready: { const: true } }, required: ['ready'] },
  Status: status,
  Service: service,
  Vip: vipSchema,
  Trace: trace,
  Simulation: simulation,
  ServiceMap: serviceMap,
  History: history,
  Fleet: fleet,
  Override: override,
  Overridden: overridden,
  Weight: weight,
  Weighed: {
    type: 'object',
    properties: { ...changed, weight: whole, reason: orNull(textSchema) },
    required: [...CHANGED, 'weight', 'reason'],
  },
  GivenBack: { type: 'object', properties: changed, required: CHANGED },
  Reloaded: {
    type: 'object',
    properties: { generation: whole, warnings: listSchema(named('Diagnostic')) },
    required: ['generation', 'warnings'],
  },
  Records: records,
  RecordsChanged: recordsChanged,
  Event: event,
  Reported: object<ReturnType<Beacon['report']>>({ kept: whole, thrown: whole }),
  Diagnostic: diagnostic,
  Problem: problem,
} as const satisfies Readonly<Record<string, Schema>>;

/** A reference to a schema of `components`. */
export function ref(name: keyof typeof SCHEMAS): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

/** `ref` for use above SCHEMAS. */
function named(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}
