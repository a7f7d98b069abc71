/**
 * The status server (docs/http-api.md): Fastify over a Runtime. request-rules.ts has the rules that all requests share;
 * routes-*.ts have the paths.
 */
import { METHODS } from 'node:http';
import { Server as NetServer } from 'node:net';
import fastify, { type FastifyInstance } from 'fastify';
import { nearestHint } from '../config/nearest-word.ts';
import { descriptorOf } from '../server/io/pass-descriptors.ts';
import { ListenError } from '../server/listen-error.ts';
import type { Endpoint } from '../wire/address.ts';
import { watchConnections, type Connections } from './connections.ts';
import { buildLateValidator } from './late-validation.ts';
import { createMetrics } from './metrics.ts';
import { openApiRoutes } from './openapi.ts';
import { problem, sendProblem } from './problem.ts';
import {
  admitRequests,
  logChanges,
  MAX_REQUEST_OCTETS,
  protect,
  readBodiesAsJson,
  refuseUnknownParameters,
  sendProblems,
  type StatusLog,
} from './request-rules.ts';
import { beaconRoutes } from './routes-beacon.ts';
import { changeRoutes } from './routes-change.ts';
import { eventRoutes } from './routes-events.ts';
import { readRoutes } from './routes-read.ts';
import { simulateRoutes } from './routes-simulate.ts';
import type { Runtime } from './runtime.ts';
import { answerBrokenRequest, refuseExpectation } from './unserved.ts';
import { createWrongTokens } from './wrong-tokens.ts';

export type StatusServerOptions = {
  /** Port 0 takes a free port. */
  readonly listen: Endpoint;
  /** Descriptor of a listening socket that a previous server hands over. */
  readonly inherited?: number | undefined;
  /** Undefined: changes are impossible, and reading is possible from this machine only. */
  readonly token: string | undefined;
  /** False: reading from this machine needs the token too. Default: true. */
  readonly openReading?: boolean;
  readonly log: StatusLog;
};

/** `endpoint` is the listening address, with the actual port. */
export type StatusServer = {
  readonly endpoint: Endpoint;
  /** Descriptor of the listening socket, for a server that takes over; undefined if unknown. */
  readonly descriptor: number | undefined;
  /** Accepts no new connections from now on. Requests under way have `lingerMs` to complete. */
  close(lingerMs?: number): Promise<void>;
};

/** A request must be complete within this time. */
const REQUEST_TIMEOUT_MS = 10_000;
/** How often that is checked; the default of node:http is 30 s. */
const REQUEST_CHECK_MS = 2_000;
/** How long `close` waits for replies that are under way. */
const CLOSE_WAIT_MS = 2_000;

/**
 * Starts listening.
 *
 * @throws ListenError, with a hint, if the address cannot be bound.
 */
export async function startStatusServer(runtime: Runtime, options: StatusServerOptions): Promise<StatusServer> {
  const { app, connections } = createApp(runtime, options);
  try {
    const { listen, inherited } = options;
    await app.listen({ host: listen.host, port: listen.port, ...(inherited === undefined ? {} : { fd: inherited }) });
  } catch (error) {
    await app.close();
    if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') throw error;
    throw new ListenError({ endpoint: options.listen, transport: 'TCP', code: error.code });
  }
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.listen.port;
  return {
    endpoint: { host: options.listen.host, port },
    descriptor: descriptorOf(app.server),
    close: async (lingerMs = 0) => {
      // A client that does not read must not delay the stop of the server.
      const timer = setTimeout(() => {
        app.server.closeAllConnections();
      }, CLOSE_WAIT_MS);
      try {
        // `close` of node:http would close at once the connections that have not sent their request yet.
        const ended = new Promise((closed) => NetServer.prototype.close.call(app.server, closed));
        if (lingerMs > 0) await new Promise((passed) => setTimeout(passed, lingerMs));
        await app.close();
        await ended;
      } finally {
        clearTimeout(timer);
        connections.stop();
      }
    },
  };
}

/** The application without its socket, for tests. `routes` has the methods of each path in the notation of Fastify. */
export function createApp(
  runtime: Runtime,
  options: Omit<StatusServerOptions, 'listen'>,
): {
  readonly app: FastifyInstance;
  readonly routes: ReadonlyMap<string, ReadonlySet<string>>;
  readonly connections: Connections;
} {
  const app = createFastify();
  app.server.on('checkExpectation', refuseExpectation);
  const connections = watchConnections(app.server, runtime.ownAlarms);
  const wrongTokens = createWrongTokens((fields, message) => {
    options.log.warn(fields, message);
  });
  // Methods that Fastify does not know get 405 like others, not 404.
  const strange = METHODS.filter((method) => !app.supportedMethods.includes(method));
  for (const method of strange) app.addHttpMethod(method, { hasBody: true });
  readBodiesAsJson(app);
  admitRequests(app, options, connections, wrongTokens);
  refuseUnknownParameters(app);
  logChanges(app, options.log);
  sendProblems(app, options.log);

  const known = collectMethods(app);
  readRoutes(app, runtime, createMetrics(runtime, { connections: connections.stats, wrongTokens: wrongTokens.count }));
  eventRoutes(app, runtime);
  changeRoutes(app, runtime);
  simulateRoutes(app, runtime);
  beaconRoutes(app, runtime);
  openApiRoutes(app, runtime.version);
  const routes = new Map([...known].map(([url, methods]) => [url, new Set(methods)]));
  refuseOtherMethods(app, known);
  app.setNotFoundHandler(async (request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '';
    await sendProblem(reply, problem(404, `no such path: ${path}`, { hint: nearestHint(path, known.keys()) }));
  });
  return { app, routes, connections };
}

function createFastify(): FastifyInstance {
  return fastify({
    logger: false,
    bodyLimit: MAX_REQUEST_OCTETS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: {
      // Node.js applies the larger of both timeouts to the body. The default of `headersTimeout` is one minute.
      headersTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: REQUEST_CHECK_MS,
      // Node.js rejects a request without Host without a message. admitRequests sends one.
      requireHostHeader: false,
    },
    forceCloseConnections: 'idle',
    // Fastify would send this 503 without our error handler.
    return503OnClosing: false,
    // No route has a schema of its responses, so the compiler of serializers need not be loaded.
    schemaController: {
      compilersFactory: { buildValidator: buildLateValidator, buildSerializer: () => () => JSON.stringify },
    },
    // Input is validated as sent: no coercion, and no silent removal.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, allowUnionTypes: true } },
    clientErrorHandler: answerBrokenRequest,
    // Fastify runs no hook for these errors.
    frameworkErrors: (error, _request, reply) => {
      void sendProblem(protect(reply), problem(400, error.message));
    },
  });
}

/** The methods of each path, filled while routes are added. */
function collectMethods(app: FastifyInstance): Map<string, Set<string>> {
  const known = new Map<string, Set<string>>();
  app.addHook('onRoute', (route) => {
    const methods = known.get(route.url) ?? new Set<string>();
    for (const method of [route.method].flat()) methods.add(method);
    known.set(route.url, methods);
  });
  return known;
}

/** A known path with another method gets 405 with Allow (RFC 9110 15.5.6); OPTIONS gets Allow (9.3.7). */
function refuseOtherMethods(app: FastifyInstance, known: ReadonlyMap<string, ReadonlySet<string>>): void {
  for (const [url, methods] of [...known]) {
    const allow = [...new Set([...methods, 'OPTIONS'])].join(', ');
    app.route({
      url,
      method: app.supportedMethods.filter((method) => !methods.has(method)),
      config: { access: 'open' },
      // This hook runs before the body is read.
      onRequest: async (request, reply) => {
        void reply.header('allow', allow);
        if (request.method === 'OPTIONS') await reply.code(204).send();
        else
          await sendProblem(
            reply,
            problem(405, `method ${request.method} is not allowed for ${url}`, { hint: `allowed methods: ${allow}` }),
          );
      },
      handler: () => undefined,
    });
  }
}
