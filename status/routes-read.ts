/**
 * The paths that only read (SPEC 7).
 */
import type { FastifyInstance } from 'fastify';
import type { Metrics } from './metrics.ts';
import { overrideDocuments, weightDocuments } from './overrides.ts';
import { overview } from './overview.ts';
import { problem, ProblemError, sendProblem } from './problem.ts';
import type { Runtime } from './runtime.ts';
import type { ExplainRequest } from '../steering/trace.ts';
import { findService, unknownService } from '../zones/targets.ts';
import { statusDocument } from './status-document.ts';
import { traceDocument } from './trace-document.ts';
import { vipDocument, vipStates } from './vips.ts';

type ExplainQuery = Omit<ExplainRequest, 'type' | 'down'> & {
  readonly type?: string;
  readonly down?: string | string[];
};

const text = { type: 'string', minLength: 1, maxLength: 1024 } as const;
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
    // One is a string, several are an array.
    down: { type: ['string', 'array'], items: text, maxItems: 256 },
  },
} as const;

export function readRoutes(app: FastifyInstance, runtime: Runtime, metrics: Metrics): void {
  app.get('/', async (_request, reply) => reply.type('text/plain; charset=utf-8').send(overview(runtime, new Date())));

  app.get('/healthz', { config: { access: 'open' } }, () => ({ alive: true }));

  app.get('/readyz', { config: { access: 'open' } }, async (_request, reply) => {
    const missing = runtime.notReady();
    if (missing.length === 0) return { ready: true };
    await sendProblem(reply, problem(503, `not ready: ${missing.join('; ')}`, { missing }));
    return reply;
  });

  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));

  app.get('/api/v1/status', () => statusDocument(runtime, new Date()));

  app.get('/api/v1/health', () => vipStates(runtime).map(vipDocument));

  app.get<{ Params: { '*': string } }>('/api/v1/health/*', (request) => {
    const name = request.params['*'];
    const { catalog } = runtime.generation();
    const service = findService(catalog, name);
    if (service) {
      const { firstSlot, vipCount } = service;
      return vipStates(runtime)
        .slice(firstSlot, firstSlot + vipCount)
        .map(vipDocument);
    }
    const { detail, hint } = unknownService(catalog, name);
    throw new ProblemError(404, detail, { parameter: 'service', hint });
  });

  app.get<{ Querystring: ExplainQuery }>('/api/v1/explain', { schema: { querystring: explainQuery } }, (request) => {
    const { type = 'A', down, ...rest } = request.query;
    const targets = down === undefined ? {} : { down: [down].flat() };
    const explained = runtime.explain({ ...rest, type: type.toUpperCase(), ...targets });
    if (explained.ok) return traceDocument(explained.trace);
    throw new ProblemError(400, explained.message, { parameter: explained.parameter });
  });

  app.get('/api/v1/overrides', () => overrideDocuments(runtime));

  app.get('/api/v1/weights', () => weightDocuments(runtime));
}
