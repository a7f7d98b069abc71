/**
 * `GET /api/v1/events`: the recent past as JSON, or with `Accept: text/event-stream` server-sent events (WHATWG HTML
 * 9.2), which go on. A stream that broke resumes after the id in `Last-Event-ID`.
 */
import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { EventDocument } from './events.ts';
import { ProblemError } from './problem.ts';
import type { Runtime } from './runtime.ts';

/** Each holds a connection for good, and other readers need some of the server's 256 too. */
const MAX_STREAMS = 64;
/** A comment this often, so that proxies and both ends notice a dead connection. */
const HEARTBEAT_MS = 15_000;
/** Octets that a reader may leave unread; behind this it has stopped, and may come back with its last id. */
const MAX_UNREAD_OCTETS = 1024 * 1024;
/** How long a reader whose stream broke waits before it asks again. */
const RETRY_MS = 2000;

const STREAM_HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  // nginx would collect events until its buffer is full.
  'x-accel-buffering': 'no',
} as const;

type EventsQuery = { readonly after?: string };
const text = { type: 'string', minLength: 1, maxLength: 64 } as const;
export const eventsQuery = { type: 'object', additionalProperties: false, properties: { after: text } } as const;

export function eventRoutes(app: FastifyInstance, runtime: Runtime): void {
  const streams = new Set<ServerResponse>();
  // A stream never ends by itself, and would hold up the end of the server.
  app.addHook('preClose', (done) => {
    for (const stream of streams) stream.end();
    done();
  });

  app.get<{ Querystring: EventsQuery }>(
    '/api/v1/events',
    { schema: { querystring: eventsQuery } },
    (request, reply) => {
      // A browser that resumes says both, and `after` is where it once began.
      const last = lastEventId(request) ?? request.query.after;
      if (!wantsStream(request)) return runtime.events.after(last);
      // There is nothing to follow.
      if (request.method === 'HEAD') return reply.headers(STREAM_HEADERS).send();
      if (streams.size >= MAX_STREAMS) {
        throw new ProblemError(503, `${String(MAX_STREAMS)} streams of events are open already`, {
          hint: 'close one, or ask for the recent past with "Accept: application/json"',
        });
      }
      reply.hijack();
      follow(reply.raw, runtime, last, streams);
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
