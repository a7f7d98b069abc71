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
import { overrideBody, pushBody, reloadQuery, weightBody } from './routes-change.ts';
import { eventsQuery } from './routes-events.ts';
import { explainQuery, pageQuery } from './routes-read.ts';
import { simulateBody } from './routes-simulate.ts';

type Method = 'get' | 'put' | 'post' | 'delete';

/** One method of one path. `{name}` in a path is a parameter; its value may contain slashes. */
type Operation = {
  readonly method: Method;
  readonly path: string;
  readonly id: string;
  readonly summary: string;
  /** Default, as in http.ts: `read` for GET, `change` for every other method. */
  readonly access?: Access;
  readonly query?: QuerySchema;
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
    body: weightBody,
    reply: json(ref('Weighed')),
    problems: { ...INVALID, ...NO_TARGET },
  },
  {
    method: 'delete',
    path: '/api/v1/weights/{target}',
    id: 'giveBackWeight',
    summary: 'Clear a weight set at run time; the weight of the zone file applies again.',
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
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: '`status.token` of pharos.yaml.' } },
    },
  };
}

export function openApiRoutes(app: FastifyInstance, version: string): void {
  const document = openApiDocument(version);
  app.get('/api/v1/openapi.json', () => document);
}

function describe(operation: Operation): Schema {
  const { method, path, id, summary, query, body, reply, problems = {} } = operation;
  const access = operation.access ?? (method === 'get' ? 'read' : 'change');
  const refused =
    access === 'open'
      ? {}
      : access === 'report'
        ? { 403: 'Pages of this origin may not report latencies.' }
        : {
            401: 'The token is missing or wrong.',
            403: 'No token is configured, or the request comes from a web page of another site (`Origin`).',
          };
  const parameters = [...pathParameters(path), ...(query ? queryParameters(query) : [])];
  return {
    operationId: id,
    summary,
    // RFC 6750; an empty requirement makes the token optional.
    security: access === 'change' ? [{ token: [] }] : access === 'read' ? [{}, { token: [] }] : [],
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

function queryParameters({ properties, required = [] }: QuerySchema): Schema[] {
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}
