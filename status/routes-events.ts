/**
 * `GET /api/v1/events`: recent events as JSON, or with `Accept: text/event-stream` a stream of server-sent events
 * (WHATWG HTML 9.2). A stream that broke resumes after the id in `Last-Event-ID`.
 */
import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { whenClientEnds } from './connections.ts';
import type { EventDocument } from './events.ts';
import { ProblemError } from './problem.ts';
import type { Runtime } from './runtime.ts';

/** Each stream holds one of the server's 256 connections, and other readers need some of them. */
const MAX_STREAMS = 64;
/** Interval of comments, from which proxies and both ends notice a dead connection. */
const HEARTBEAT_MS = 15_000;
/** Octets that a client may leave unread. A slower client is disconnected, and may resume from its last id. */
const MAX_UNREAD_OCTETS = 1024 * 1024;
/** How long a client waits before it reconnects. */
const RETRY_MS = 2000;

const STREAM_HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  // Otherwise nginx buffers events.
  'x-accel-buffering': 'no',
} as const;

type EventsQuery = { readonly after?: string };
const text = { type: 'string', minLength: 1, maxLength: 64 } as const;
export const eventsQuery = { type: 'object', additionalProperties: false, properties: { after: text } } as const;

export function eventRoutes(app: FastifyInstance, runtime: Runtime): void {
  const streams = new Set<ServerResponse>();
  // A stream does not end by itself, and would delay the stop of the server.
  app.addHook('preClose', (done) => {
    for (const stream of streams) stream.end();
    done();
  });

  app.get<{ Querystring: EventsQuery }>(
    '/api/v1/events',
    { schema: { querystring: eventsQuery } },
    (request, reply) => {
      // A browser that resumes sends both; `after` is older, from its first request.
      const last = lastEventId(request) ?? request.query.after;
      if (!wantsStream(request)) return runtime.events.after(last);
      // HEAD gets no events.
      if (request.method === 'HEAD') return reply.headers(STREAM_HEADERS).send();
      if (streams.size >= MAX_STREAMS) {
        throw new ProblemError(503, `${String(MAX_STREAMS)} event streams are already open`, {
          hint: 'close one, or get recent events with "Accept: application/json"',
        });
      }
      reply.hijack();
      follow(reply.raw, runtime, last, streams);
      whenClientEnds(request.raw, reply.raw, () => reply.raw.end());
      return reply;
    },
  );
}

function follow(
  stream: ServerResponse,
  runtime: Runtime,
  last: string | undefined,
  streams: Set<ServerResponse>,
): void {
  stream.writeHead(200, STREAM_HEADERS);
  streams.add(stream);
  const send = (chunk: string): void => {
    if (stream.writableLength > MAX_UNREAD_OCTETS) stream.destroy();
    else stream.write(chunk);
  };
  send(`retry: ${String(RETRY_MS)}\n\n${runtime.events.after(last).map(format).join('')}`);
  const unsubscribe = runtime.events.subscribe((event) => {
    send(format(event));
  });
  const heartbeat = setInterval(() => {
    send(':\n\n');
  }, HEARTBEAT_MS);
  stream.once('close', () => {
    clearInterval(heartbeat);
    unsubscribe();
    streams.delete(stream);
  });
  stream.on('error', () => undefined);
}

/** JSON has no raw line ends, so one `data` line holds it. */
function format(event: EventDocument): string {
  return `id: ${event.id}\nevent: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`;
}

function wantsStream({ headers }: FastifyRequest): boolean {
  return /\btext\/event-stream\b/i.test(headers.accept ?? '');
}

function lastEventId({ headers }: FastifyRequest): string | undefined {
  const header = headers['last-event-id'];
  return typeof header === 'string' && header !== '' ? header : undefined;
}
