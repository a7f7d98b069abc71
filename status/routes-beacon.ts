/**
 * The two paths for web pages: beacon.js and the path for its reports. They need no token, and only they may be
 * reachable from the Internet (docs/latency.md#measured-by-browsers).
 */
import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { MAX_BEACON_REGIONS } from '../config/limits.ts';
import type { BeaconSettings } from '../config/settings.ts';
import { MAX_LATENCY_MS } from '../geo/latency-limits.ts';
import { beaconScript } from './beacon-script.ts';
import { sourceOf } from './beacon.ts';
import { ProblemError } from './problem.ts';
import type { Runtime } from './runtime.ts';

type BeaconBody = { readonly samples: Readonly<Record<string, number>> };

/** JSON Schema of a report. */
export const beaconBody = {
  type: 'object',
  additionalProperties: false,
  required: ['samples'],
  properties: {
    samples: {
      type: 'object',
      minProperties: 1,
      maxProperties: MAX_BEACON_REGIONS,
      additionalProperties: { type: 'number', minimum: 0, maximum: MAX_LATENCY_MS },
    },
  },
} as const;

/** How long browsers keep the script: changed URLs reach all browsers within this time. */
const SCRIPT_SECONDS = 300;
/** How long browsers keep the reply to a preflight. No current browser allows less. */
const PREFLIGHT_SECONDS = 7200;

export function beaconRoutes(app: FastifyInstance, runtime: Runtime): void {
  const settings = (): BeaconSettings => {
    const found = runtime.beacon.settings();
    if (found) return found;
    throw new ProblemError(404, 'no beacon is configured', { hint: 'add "beacon: { urls: ... }" to pharos.yaml' });
  };

  app.get('/beacon.js', { config: { access: 'open' } }, async (request, reply) => {
    const script = beaconScript(settings());
    const tag = `"${createHash('sha256').update(script).digest('base64url').slice(0, 22)}"`;
    void reply
      .header('cache-control', `public, max-age=${SCRIPT_SECONDS}`)
      .header('access-control-allow-origin', '*')
      // Pages with Cross-Origin-Embedder-Policy load nothing without this.
      .header('cross-origin-resource-policy', 'cross-origin')
      .header('etag', tag);
    if (isCurrent(request.headers['if-none-match'], tag)) return reply.code(304).send();
    return reply.type('text/javascript; charset=utf-8').send(script);
  });

  app.options('/api/v1/beacon', { config: { access: 'open' } }, async (request, reply) => {
    allowOrigin(request, reply, settings());
    return reply
      .code(204)
      .header('access-control-allow-methods', 'POST')
      .header('access-control-allow-headers', 'content-type')
      .header('access-control-max-age', PREFLIGHT_SECONDS)
      .send();
  });

  app.post<{ Body: BeaconBody }>(
    '/api/v1/beacon',
    { schema: { body: beaconBody }, config: { access: 'report' } },
    async (request, reply) => {
      const { proxies, ...rest } = settings();
      if (!allowOrigin(request, reply, rest)) {
        const hint = 'add the origin of the page to beacon.origins';
        throw new ProblemError(403, `pages of ${request.headers.origin ?? 'no origin'} may not report latencies`, {
          hint,
        });
      }
      const forwarded = [request.headers['x-forwarded-for'] ?? []].flat().join(',');
      const source = sourceOf(request.socket.remoteAddress ?? '', forwarded, proxies);
      if (!source) {
        throw new ProblemError(400, 'the X-Forwarded-For header of the proxy lacks the address of the client', {
          parameter: 'x-forwarded-for',
        });
      }
      return runtime.beacon.report(source, new Map(Object.entries(request.body.samples)));
    },
  );
}

/** RFC 9110 13.1.2: a list. Weak comparison, because a proxy that compresses makes the tag weak. */
function isCurrent(ifNoneMatch: string | undefined, tag: string): boolean {
  const tags = (ifNoneMatch ?? '').split(',').map((one) => one.trim().replace(/^W\//, ''));
  return tags.includes(tag) || tags.includes('*');
}

/** Tells the browser whether the page may read the reply. Returns whether the page may report. */
function allowOrigin(
  { headers }: FastifyRequest,
  reply: FastifyReply,
  { origins }: Pick<BeaconSettings, 'origins'>,
): boolean {
  if (origins.length === 0) {
    void reply.header('access-control-allow-origin', '*');
    return true;
  }
  void reply.header('vary', 'origin');
  const { origin } = headers;
  if (origin === undefined || !origins.includes(origin)) return false;
  void reply.header('access-control-allow-origin', origin);
  return true;
}
