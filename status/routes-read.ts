/**
 * The paths that only read (docs/http-api.md).
 */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ExplainRequest } from '../steering/trace.ts';
import { findService, unknownService, vipsOf } from '../zones/read/suggest-targets.ts';
import { createOctetsPool, sendOctets } from './assemble-reply.ts';
import { fleetDocument, votesIn } from './fleet-document.ts';
import type { Metrics } from './metrics.ts';
import { overrideDocuments, weightDocuments } from './override-json.ts';
import { problem, ProblemError, sendProblem } from './problem.ts';
import type { Runtime } from './runtime.ts';
import { writeStatus } from './status-document.ts';
import { traceDocument } from './trace-document.ts';
import { writeVips } from './vip-json.ts';
import { vipLooker, vipStates, type VipState } from './vips.ts';

type ExplainQuery = Omit<ExplainRequest, 'type' | 'down'> & {
  readonly type?: string;
  readonly down?: string | string[];
};

const text = { type: 'string', minLength: 1, maxLength: 1024 } as const;
const JSON_TYPE = 'application/json; charset=utf-8';

/** The query string of explain. */
export const explainQuery = {
  type: 'object',
  additionalProperties: false,
  required: ['name'],
  properties: {
    name: text,
    type: text,
    client: text,
    resolver: text,
    country: text,
    at: text,
    // One value is a string, several are an array.
    down: { type: ['string', 'array'], items: text, maxItems: 256 },
  },
} as const;

export function readRoutes(app: FastifyInstance, runtime: Runtime, metrics: Metrics): void {
  const pool = createOctetsPool();

  app.get('/healthz', { config: { access: 'open' } }, () => ({ alive: true }));

  app.get('/readyz', { config: { access: 'open' } }, async (_request, reply) => {
    const missing = runtime.notReady();
    if (missing.length === 0) return { ready: true };
    await sendProblem(reply, problem(503, `not ready: ${missing.join('; ')}`, { missing }));
    return reply;
  });

  app.get('/metrics', async (_request, reply) => {
    const octets = pool.take();
    await metrics.write(octets);
    return sendOctets(reply, metrics.contentType, octets);
  });

  app.get('/api/v1/status', async (_request, reply) => {
    const octets = pool.take();
    await writeStatus(runtime, octets);
    return sendOctets(reply, JSON_TYPE, octets);
  });

  const sendVips = async (reply: FastifyReply, states: readonly VipState[]): Promise<FastifyReply> => {
    const octets = pool.take();
    await writeVips(states, octets);
    return sendOctets(reply, JSON_TYPE, octets);
  };

  app.get('/api/v1/health', async (_request, reply) => sendVips(reply, await vipStates(runtime)));

  app.get<{ Params: { '*': string } }>('/api/v1/health/*', async (request, reply) => {
    const name = request.params['*'];
    const { catalog } = runtime.generation();
    const service = findService(catalog, name);
    if (service) return sendVips(reply, vipsOf(catalog, service).map(vipLooker(runtime)));
    const { detail, hint } = unknownService(catalog, name);
    throw new ProblemError(404, detail, { parameter: 'service', hint });
  });

  app.get<{ Querystring: ExplainQuery }>('/api/v1/explain', { schema: { querystring: explainQuery } }, (request) => {
    const { type = 'A', down, ...rest } = request.query;
    const targets = down === undefined ? {} : { down: [down].flat() };
    const explained = runtime.explain({ ...rest, type: type.toUpperCase(), ...targets });
    if (explained.ok) return traceDocument(explained.trace, votesIn(runtime));
    throw new ProblemError(400, explained.message, { parameter: explained.parameter });
  });

  app.get('/api/v1/fleet', () => fleetDocument(runtime));

  app.get('/api/v1/overrides', () => overrideDocuments(runtime));

  app.get('/api/v1/weights', () => weightDocuments(runtime));
}
