/**
 * `GET /api/v1/openapi.json`: all paths of the status server as an OpenAPI 3.1 document. Requests have the schemas
 * with which the routes validate them.
 */
import type { FastifyInstance } from 'fastify';
import type { Access } from './authorize.ts';
import { listSchema, oneOf, textSchema, type Schema } from './json-schema.ts';
import { ref, SCHEMAS } from './openapi-schemas.ts';
import { PROBLEM_TYPE } from './problem.ts';
import { beaconBody } from './routes-beacon.ts';
import { clearQuery, overrideBody, pushBody, reloadQuery, scopeQuery, weightBody } from './routes-change.ts';
import { eventsQuery } from './routes-events.ts';
import { historyQuery, mapQuery, pageQuery } from './routes-page.ts';
import { explainQuery } from './routes-read.ts';
import { deleteRecordsQuery, recordsQuery, setRecordsBody, setRecordsQuery } from './routes-records.ts';
import { simulateBody } from './routes-simulate.ts';

type Method = 'get' | 'put' | 'post' | 'delete';

/** One method of one path. `{name}` in a path is a parameter; its value may contain slashes. */
type Operation = {
  readonly method: Method;
  readonly path: string;
  readonly id: string;
  readonly summary: string;
  /** Default, as in http.ts: `read` for GET, `operate` for every other method. */
  readonly access?: Access;
  readonly query?: QuerySchema;
  /** Optional request headers. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Schema;
  /** Schemas of a 200 reply, by media type. */
  readonly reply: Readonly<Record<string, Schema>>;
  /** Other statuses than 200, 401 and 403. */
  readonly problems?: Readonly<Record<number, string>>;
};

/** A query string: an object with a property for each parameter. */
type QuerySchema = {
  readonly required?: readonly string[];
  readonly properties: Readonly<Record<string, Schema>>;
};

const JSON_TYPE = 'application/json';
const json = (schema: Schema): Readonly<Record<string, Schema>> => ({ [JSON_TYPE]: schema });
const listOf = (items: Schema): Readonly<Record<string, Schema>> => json(listSchema(items));

const INVALID = { 400: 'A parameter or member is missing, unknown or malformed.' } as const;
const NO_BEACON = { 404: 'No beacon is configured.' } as const;
const NO_TARGET = { 404: 'Unknown target.' } as const;

const CONDITIONS = {
  'If-Match': 'The serial that the zone must have, as in `ETag`; `*`: there must be records of the name and type.',
  'If-None-Match': '`*`: there must be no records of the name and type.',
} as const;

const OPERATIONS: readonly Operation[] = [
  {
    method: 'get',
    path: '/',
    id: 'overview',
    summary: 'The state on one screen: text, or HTML if `Accept` has `text/html`.',
    query: pageQuery,
    reply: { 'text/plain': textSchema, 'text/html': textSchema },
    problems: INVALID,
  },
  {
    method: 'get',
    path: '/healthz',
    id: 'alive',
    summary: 'Whether the process is alive.',
    access: 'open',
    reply: json(ref('Alive')),
  },
  {
    method: 'get',
    path: '/readyz',
    id: 'ready',
    summary: 'Whether zones are loaded, sockets open and the first round of probes done.',
    access: 'open',
    reply: json(ref('Ready')),
    problems: { 503: 'Not ready; `missing` lists what is missing.' },
  },
  {
    method: 'get',
    path: '/metrics',
    id: 'metrics',
    summary: 'Metrics in the text format of Prometheus.',
    reply: { 'text/plain': textSchema },
  },
  {
    method: 'get',
    path: '/api/v1/status',
    id: 'status',
    summary: 'The state of the whole server.',
    reply: json(ref('Status')),
  },
  {
    method: 'get',
    path: '/api/v1/health',
    id: 'health',
    summary: 'The VIPs of all services.',
    reply: listOf(ref('Vip')),
  },
  {
    method: 'get',
    path: '/api/v1/health/{service}',
    id: 'serviceHealth',
    summary: 'The VIPs of one service.',
    reply: listOf(ref('Vip')),
    problems: { 404: 'Unknown service.' },
  },
  {
    method: 'get',
    path: '/api/v1/explain',
    id: 'explain',
    summary: 'The decision for one client, made by the code that answers queries.',
    query: explainQuery,
    reply: json(ref('Trace')),
    problems: INVALID,
  },
  {
    method: 'post',
    path: '/api/v1/simulate',
    id: 'simulate',
    summary: 'The shares of clients that move to other VIPs if targets fail. Changes nothing.',
    access: 'read',
    body: simulateBody,
    reply: json(ref('Simulation')),
    problems: {
      ...INVALID,
      429: 'Too many simulations are waiting; `Retry-After` has the time to wait.',
      503: 'The simulation was stopped: it took too much time or memory, or the configuration was reloaded.',
    },
  },
  {
    method: 'get',
    path: '/api/v1/map',
    id: 'map',
    summary: 'Which region serves which country: when all is healthy, now, and if targets fail. Changes nothing.',
    query: mapQuery,
    reply: json(ref('ServiceMap')),
    problems: {
      ...INVALID,
      404: 'Unknown service.',
      429: 'Too many simulations are waiting; `Retry-After` has the time to wait.',
      503: 'The computation was stopped: it took too much time or memory, or the configuration was reloaded.',
    },
  },
  {
    method: 'get',
    path: '/api/v1/history',
    id: 'history',
    summary: 'The last 24 hours, minute by minute: the worst state of each VIP of a service, and the rates of queries.',
    query: historyQuery,
    reply: json(ref('History')),
    problems: { ...INVALID, 404: 'Unknown service.' },
  },
  {
    method: 'get',
    path: '/api/v1/fleet',
    id: 'fleet',
    summary: 'The nodes of the fleet, and how they vote on each target.',
    reply: json(ref('Fleet')),
  },
  {
    method: 'delete',
    path: '/api/v1/fleet/nodes/{node}',
    id: 'forgetNode',
    summary: 'Forget a node that left the fleet for good: drains no longer wait for it.',
    query: scopeQuery,
    reply: json({
      type: 'object',
      properties: { node: textSchema, scope: oneOf('fleet', 'node') },
      required: ['node', 'scope'],
    }),
    problems: {
      404: 'Unknown node.',
      409: 'The node is heard: it still runs.',
      503: 'The fleet cannot keep the order.',
    },
  },
  {
    method: 'get',
    path: '/api/v1/overrides',
    id: 'overrides',
    summary: 'Active overrides.',
    reply: listOf(ref('Override')),
  },
  {
    method: 'put',
    path: '/api/v1/overrides/{target}',
    id: 'override',
    summary: 'Force a state.',
    query: scopeQuery,
    body: overrideBody,
    reply: json(ref('Overridden')),
    problems: {
      ...INVALID,
      ...NO_TARGET,
      409: 'With `force: false`: `services` would have no available VIP left.',
    },
  },
  {
    method: 'delete',
    path: '/api/v1/overrides/{target}',
    id: 'giveBackState',
    summary: 'Clear an override; health checks decide again.',
    query: clearQuery,
    reply: json(ref('GivenBack')),
    problems: NO_TARGET,
  },
  {
    method: 'get',
    path: '/api/v1/weights',
    id: 'weights',
    summary: 'Weights set at run time.',
    reply: listOf(ref('Weight')),
  },
  {
    method: 'put',
    path: '/api/v1/weights/{target}',
    id: 'weigh',
    summary: 'Set a weight.',
    query: scopeQuery,
    body: weightBody,
    reply: json(ref('Weighed')),
    problems: { ...INVALID, ...NO_TARGET },
  },
  {
    method: 'delete',
    path: '/api/v1/weights/{target}',
    id: 'giveBackWeight',
    summary: 'Clear a weight set at run time; the weight of the zone file applies again.',
    query: clearQuery,
    reply: json(ref('GivenBack')),
    problems: NO_TARGET,
  },
  {
    method: 'put',
    path: '/api/v1/push/{target}',
    id: 'push',
    summary: 'A report for a `push` check.',
    body: pushBody,
    reply: json({
      type: 'object',
      properties: { target: textSchema, ...pushBody.properties },
      required: ['target', 'healthy'],
    }),
    problems: { ...INVALID, ...NO_TARGET, 409: 'The target has no `push` check.' },
  },
  {
    method: 'post',
    path: '/api/v1/reload',
    id: 'reload',
    summary: 'Reload the configuration: all or nothing.',
    query: reloadQuery,
    reply: json(ref('Reloaded')),
    problems: { 422: 'Rejected, with `diagnostics`. The server keeps serving `generation`.' },
  },
  {
    method: 'get',
    path: '/api/v1/records',
    id: 'records',
    summary:
      'The records of a zone, or of one name: those of its files and dynamic ones. `ETag` is the serial of the zone.',
    query: recordsQuery,
    reply: json(ref('Records')),
    problems: { ...INVALID, 404: 'Unknown zone.', 503: 'Too many lists are being read.' },
  },
  {
    method: 'put',
    path: '/api/v1/records/{zone}/{name}/{type}',
    id: 'setRecords',
    summary: 'Set the records of a name and type, as a dynamic update does. Done when they are on the disk and served.',
    access: 'update',
    query: setRecordsQuery,
    headers: CONDITIONS,
    body: setRecordsBody,
    reply: json(ref('RecordsChanged')),
    problems: {
      ...INVALID,
      404: 'Unknown zone.',
      409: 'These records cannot be changed, or not beside others: a steered name, SOA, NS of the zone itself, types of DNSSEC, a CNAME beside other records.',
      412: 'A condition is not met: the zone has another `serial`.',
      422: 'The records are not valid, or the zone would not be valid with them.',
      503: 'The change cannot be kept, as on a node of a fleet while NATS is away.',
    },
  },
  {
    method: 'delete',
    path: '/api/v1/records/{zone}/{name}/{type}',
    id: 'deleteRecords',
    summary: 'Delete the records of a name and type; with `record`, only these.',
    access: 'update',
    query: deleteRecordsQuery,
    headers: CONDITIONS,
    reply: json(ref('RecordsChanged')),
    problems: {
      ...INVALID,
      404: 'Unknown zone, or no such records.',
      409: 'These records cannot be changed.',
      412: 'A condition is not met: the zone has another `serial`.',
      422: 'The zone would not be valid.',
      503: 'The change cannot be kept, as on a node of a fleet while NATS is away.',
    },
  },
  {
    method: 'get',
    path: '/api/v1/events',
    id: 'events',
    summary: 'Recent events; with `Accept: text/event-stream`, a stream of server-sent events.',
    query: eventsQuery,
    reply: { ...listOf(ref('Event')), 'text/event-stream': textSchema },
    problems: { ...INVALID, 503: 'Too many streams are open.' },
  },
  {
    method: 'get',
    path: '/beacon.js',
    id: 'beaconScript',
    summary: 'The script that measures the regions from a browser.',
    access: 'open',
    reply: { 'text/javascript': textSchema },
    problems: NO_BEACON,
  },
  {
    method: 'post',
    path: '/api/v1/beacon',
    id: 'beacon',
    summary: 'Latencies that a browser measured, in milliseconds by region.',
    access: 'report',
    body: beaconBody,
    reply: json(ref('Reported')),
    problems: { ...INVALID, 403: 'Pages of this origin may not report latencies.', ...NO_BEACON },
  },
  {
    method: 'get',
    path: '/api/v1/openapi.json',
    id: 'openapi',
    summary: 'This document.',
    reply: json({ type: 'object' }),
  },
];

export type OpenApi = {
  readonly openapi: string;
  readonly info: Schema;
  readonly paths: Readonly<Record<string, Readonly<Partial<Record<Method, Schema>>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> } & Schema;
};

/** The document of this `version`. */
export function openApiDocument(version: string): OpenApi {
  const paths: Record<string, Partial<Record<Method, Schema>>> = {};
  for (const operation of OPERATIONS) (paths[operation.path] ??= {})[operation.method] = describe(operation);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Pharos',
      version,
      description: 'Status, metrics and control of an authoritative DNS server. Reading from loopback needs no token.',
    },
    paths,
    components: {
      schemas: SCHEMAS,
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description:
            '`status.token` of pharos.yaml, or a token of the file `status.tokens` with the role in the list.',
        },
      },
    },
  };
}

export function openApiRoutes(app: FastifyInstance, version: string): void {
  const document = openApiDocument(version);
  app.get('/api/v1/openapi.json', () => document);
}

function describe(operation: Operation): Schema {
  const { method, path, id, summary, query, headers = {}, body, reply, problems = {} } = operation;
  const access = operation.access ?? (method === 'get' ? 'read' : 'operate');
  const refused =
    access === 'open'
      ? {}
      : access === 'report'
        ? { 403: 'Pages of this origin may not report latencies.' }
        : {
            401: 'The token is missing or wrong.',
            403: 'No token is configured, the token does not have the role, or the request comes from a web page of another site (`Origin`).',
          };
  const parameters = [...pathParameters(path), ...(query ? queryParameters(query) : []), ...headerParameters(headers)];
  return {
    operationId: id,
    summary,
    // RFC 6750; an empty requirement makes the token optional. The list has the role that the token needs.
    security:
      access === 'read' ? [{}, { token: [] }] : access === 'open' || access === 'report' ? [] : [{ token: [access] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body ? { requestBody: { required: true, content: { [JSON_TYPE]: { schema: body } } } } : {}),
    responses: {
      200: { description: 'Done.', content: contentOf(reply) },
      ...Object.fromEntries(
        Object.entries({ ...refused, ...problems }).map(([status, description]) => [
          status,
          { description, content: contentOf({ [PROBLEM_TYPE]: ref('Problem') }) },
        ]),
      ),
      // 405, 413, 415 and other errors that any request can get.
      default: { description: 'Any other error.', content: contentOf({ [PROBLEM_TYPE]: ref('Problem') }) },
    },
  };
}

function contentOf(reply: Readonly<Record<string, Schema>>): Schema {
  return Object.fromEntries(Object.entries(reply).map(([type, schema]) => [type, { schema }]));
}

const PARAMETERS: Readonly<Record<string, string>> = {
  service: 'The name of a service: `www.example.com`.',
  node: 'The name of a node.',
  zone: 'The name of a zone: `example.com`.',
  name: 'A name, relative to the zone or absolute, in presentation format; `@` is that of the zone. A slash in it is `%2F`.',
  type: 'A type: `A`, `TXT`, `TYPE65400`.',
  target: 'A TARGET: `www.example.com/seoul-a`, `www.example.com/@seoul`, `@seoul`. Slashes need no escaping.',
};

function pathParameters(path: string): Schema[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    description: PARAMETERS[name] ?? '',
    schema: textSchema,
  }));
}

function headerParameters(headers: Readonly<Record<string, string>>): Schema[] {
  return Object.entries(headers).map(([name, description]) => ({
    ...{ name, in: 'header', required: false, description, schema: textSchema },
  }));
}

function queryParameters({ properties, required = [] }: QuerySchema): Schema[] {
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}
