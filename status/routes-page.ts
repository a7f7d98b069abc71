/** The status page, and the two documents that its map and its day of history are made of (docs/page.md). */
import type { FastifyInstance } from 'fastify';
import { findService, unknownService, vipsOf } from '../zones/read/suggest-targets.ts';
import { createOctetsPool, sendOctets } from './assemble-reply.ts';
import { HISTORY_MINUTES, type PastSpan, type PastTraffic } from './history.ts';
import { overview } from './overview.ts';
import { createMaps } from './page/forecast-cache.ts';
import type { PageQuery } from './page/markup.ts';
import { pageParts } from './page/page-parts.ts';
import { writePage } from './page/write-page.ts';
import { ProblemError } from './problem.ts';
import { simulateProblem } from './routes-simulate.ts';
import type { Runtime } from './runtime.ts';

const line = { type: 'string', maxLength: 1024 } as const;
const targets = { type: ['string', 'array'], items: line, maxItems: 64 } as const;

/** The query string of the status page. */
export const pageQuery = {
  type: 'object',
  additionalProperties: false,
  properties: {
    ...{ find: line, service: line, region: line, country: line, client: line, down: targets },
    ...{ act: line, target: line, for: line, reason: line, weight: line, fragment: line },
  },
} as const;

const name = { type: 'string', minLength: 1, maxLength: 1024 } as const;

export const mapQuery = {
  type: 'object',
  additionalProperties: false,
  required: ['service'],
  properties: { service: name, down: targets },
} as const;

export const historyQuery = {
  type: 'object',
  additionalProperties: false,
  required: ['service'],
  properties: { service: name },
} as const;

export type HistoryDocument = {
  readonly service: string;
  /** The number of minutes that the spans of each VIP add up to. */
  readonly minutes: number;
  /** Rates of the server by minute, the oldest first; minutes before its start are left out. */
  readonly traffic: PastTraffic;
  readonly vips: readonly { readonly target: string; readonly spans: readonly PastSpan[] }[];
};

type MapQuery = { readonly service: string; readonly down?: string | readonly string[] };

export function pageRoutes(app: FastifyInstance, runtime: Runtime): void {
  const pool = createOctetsPool();
  const maps = createMaps(runtime);
  app.addHook('preClose', (done) => {
    maps.stop();
    done();
  });

  // Text for curl, a page for browsers.
  app.get<{ Querystring: PageQuery }>('/', { schema: { querystring: pageQuery } }, async (request, reply) => {
    void reply.header('vary', 'accept');
    if (!/\btext\/html\b/i.test(request.headers.accept ?? '')) {
      return reply.type('text/plain; charset=utf-8').send(await overview(runtime));
    }
    const parts = await pageParts();
    const octets = pool.take();
    await writePage(
      { runtime, maps, parts, query: withoutEmpty(request.query), now: new Date(), client: request },
      octets,
    );
    void reply.header('content-security-policy', parts.policy).header('referrer-policy', 'no-referrer');
    return sendOctets(reply, 'text/html; charset=utf-8', octets);
  });

  app.get<{ Querystring: MapQuery }>('/api/v1/map', { schema: { querystring: mapQuery } }, async (request, reply) => {
    const { service, down } = request.query;
    checkService(runtime, service);
    const outcome = await maps.of(service, [down ?? []].flat());
    if (outcome.ok) return outcome.map;
    throw simulateProblem(outcome.outcome, reply);
  });

  app.get<{ Querystring: { readonly service: string } }>(
    '/api/v1/history',
    { schema: { querystring: historyQuery } },
    (request): HistoryDocument => {
      const { service } = request.query;
      const info = checkService(runtime, service);
      const vips = vipsOf(runtime.generation().catalog, info);
      return {
        service,
        minutes: HISTORY_MINUTES,
        traffic: runtime.history.traffic(),
        vips: vips.map(({ target }) => ({ target, spans: runtime.history.of(target) })),
      };
    },
  );
}

function checkService(runtime: Runtime, service: string): NonNullable<ReturnType<typeof findService>> {
  const { catalog } = runtime.generation();
  const info = findService(catalog, service);
  if (info) return info;
  const { detail, hint } = unknownService(catalog, service);
  throw new ProblemError(404, detail, { parameter: 'service', hint });
}

/** A form without a script sends its empty fields too. */
function withoutEmpty(query: PageQuery): PageQuery {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== ''));
}
