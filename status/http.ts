/**
 * The status server (docs/http-api.md): Fastify over a Runtime. request-rules.ts has the rules that all requests share;
 * routes-*.ts have the paths.
 */
import { constants } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { Server as NetServer } from 'node:net';
import { Server as TlsServer, type TlsOptions } from 'node:tls';
import fastify, { type FastifyInstance } from 'fastify';
import { nearestHint } from '../config/nearest-word.ts';
import { descriptorOf } from '../server/io/pass-descriptors.ts';
import { ListenError } from '../server/listen-error.ts';
import type { Endpoint } from '../wire/address.ts';
import { auditChanges, type AuditedRequest } from './audit.ts';
import { identify, type AccessRules } from './authorize.ts';
import { namesOfClient } from './client-certificate.ts';
import { watchConnections, type Connections } from './connections.ts';
import { createLateValidator, type LateValidator } from './late-validation.ts';
import { createMetrics } from './metrics.ts';
import { openApiRoutes } from './openapi.ts';
import { problem, sendProblem } from './problem.ts';
import { createRequestLines, type RequestLines, type ClientKind, type Serve } from './request-lines.ts';
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
import { pageRoutes } from './routes-page.ts';
import { readRoutes } from './routes-read.ts';
import { recordRoutes } from './routes-records.ts';
import { simulateRoutes } from './routes-simulate.ts';
import type { Runtime } from './runtime.ts';
import { answerBrokenRequest, refuseExpectation } from './unserved.ts';
import { createWrongTokens } from './wrong-tokens.ts';

export type StatusServerOptions = {
  /** Port 0 takes a free port. */
  readonly listen: Endpoint;
  /** Descriptor of a listening socket that a previous server hands over. */
  readonly inherited?: number | undefined;
  /** Undefined: HTTP without TLS. */
  readonly tls?: StatusTls | undefined;
  readonly log: StatusLog;
  /** Receives each request for a change, with its outcome. */
  readonly audit?: (request: AuditedRequest) => void;
} & AccessRules;

/** PEM. `clientCa` verifies the certificates of clients, which then are optional. */
export type StatusTls = { readonly cert: string; readonly key: string; readonly clientCa: string | undefined };

/** `endpoint` is the listening address, with the actual port. */
export type StatusServer = {
  readonly endpoint: Endpoint;
  /** Descriptor of the listening socket, for a server that takes over; undefined if unknown. */
  readonly descriptor: number | undefined;
  /** Applies to requests and connections from now on. TLS can be renewed, not switched on or off. */
  readonly update: (access: AccessRules, tls: StatusTls | undefined) => void;
  /** Accepts no new connections from now on. Requests under way have `lingerMs` to complete. */
  close(lingerMs?: number): Promise<void>;
};

/** A request must be complete within this time. */
const REQUEST_TIMEOUT_MS = 10_000;
/** How often that is checked; the default of node:http is 30 s. */
const REQUEST_CHECK_MS = 2_000;
/** How long a connection may be idle: longer than the intervals of scrapers. */
const KEEP_ALIVE_MS = 72_000;
/** A TLS handshake must be complete within this time; the default of node:tls is two minutes. */
const HANDSHAKE_MS = 10_000;
/** In order of preference. The default of node:https lacks HTTP/1.0, and then refuses clients that offer it alone. */
const ALPNProtocols = ['http/1.1', 'http/1.0'];
/** How long after the start the schemas are compiled: the start itself needs the CPU more. */
const PREPARE_MS = 1_000;
/** How long `close` waits for replies that are under way. */
const CLOSE_WAIT_MS = 2_000;

/**
 * Starts listening.
 *
 * @throws ListenError, with a hint, if the address cannot be bound.
 */
export async function startStatusServer(runtime: Runtime, options: StatusServerOptions): Promise<StatusServer> {
  const { app, connections, changeAccess, prepare } = createApp(runtime, options);
  try {
    const { listen, inherited } = options;
    await app.listen({ host: listen.host, port: listen.port, ...(inherited === undefined ? {} : { fd: inherited }) });
  } catch (error) {
    await app.close();
    if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') throw error;
    throw new ListenError({ endpoint: options.listen, transport: 'TCP', code: error.code });
  }
  const preparing = setTimeout(() => void prepare(), PREPARE_MS).unref();
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.listen.port;
  return {
    endpoint: { host: options.listen.host, port },
    descriptor: descriptorOf(app.server),
    update: (access, tls) => {
      changeAccess(access);
      if (tls && app.server instanceof TlsServer) app.server.setSecureContext(secureOptions(tls));
    },
    close: async (lingerMs = 0) => {
      clearTimeout(preparing);
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
  readonly changeAccess: (access: AccessRules) => void;
  /** Compiles what the first requests would wait for. */
  readonly prepare: () => Promise<void>;
} {
  const validator = createLateValidator();
  let access: AccessRules = options;
  const app = createFastify(validator.build, (serve) => {
    const lines = createRequestLines(serve, {
      kindOf: (request) => kindOf(request, access),
      yields: (socket, may) => {
        connections.yields(socket, may);
      },
    });
    return createHttpServer(options.tls, lines);
  });
  const connections = watchConnections(app.server, runtime.ownAlarms);
  const wrongTokens = createWrongTokens((fields, message) => {
    options.log.warn(fields, message);
  });
  readBodiesAsJson(app);
  admitRequests(app, () => access, connections, wrongTokens);
  refuseUnknownParameters(app);
  logChanges(app, options.log);
  if (options.audit) auditChanges(app, options.audit);
  sendProblems(app, options.log);

  const known = collectMethods(app);
  refuseOtherMethods(app, known);
  readRoutes(app, runtime, createMetrics(runtime, { connections: connections.stats, wrongTokens: wrongTokens.count }));
  pageRoutes(app, runtime);
  eventRoutes(app, runtime);
  changeRoutes(app, runtime);
  recordRoutes(app, runtime);
  simulateRoutes(app, runtime);
  beaconRoutes(app, runtime);
  openApiRoutes(app, runtime.version);
  app.setNotFoundHandler(async (request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '';
    await sendProblem(reply, problem(404, `no such path: ${path}`, { hint: nearestHint(path, known.keys()) }));
  });
  const changeAccess = (next: AccessRules): void => {
    access = next;
  };
  return { app, routes: known, connections, changeAccess, prepare: validator.prepare };
}

/** A client certificate is optional: requests without one need a token. */
function secureOptions({ cert, key, clientCa }: StatusTls): TlsOptions {
  return {
    ...{ cert, key },
    ...(clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: false }),
    minVersion: 'TLSv1.2',
    // Resumed sessions would not verify the client's certificate again after a reload.
    secureOptions: constants.SSL_OP_NO_TICKET,
    handshakeTimeout: HANDSHAKE_MS,
  };
}

/** Paths that need no token and are answered at once. */
const OPEN_PATHS = new Set(['/healthz', '/readyz']);

/** Before the request is authorized: decides only for which others it waits. */
function kindOf({ url = '', headers, socket }: IncomingMessage, rules: AccessRules): ClientKind {
  const { authorization } = headers;
  const certificate = namesOfClient(socket) ?? [];
  if (identify({ authorization, certificate }, rules).kind === 'known') return 'known';
  return OPEN_PATHS.has(url.split('?', 1)[0] ?? '') ? 'open' : 'other';
}

/** The server of node:http that Fastify would create, but requests wait in lines. */
function createHttpServer(tls: StatusTls | undefined, { receive, connected }: RequestLines): Server {
  const settings = {
    requestTimeout: REQUEST_TIMEOUT_MS,
    // Node.js applies the larger of both timeouts to the body. The default of `headersTimeout` is one minute.
    headersTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: REQUEST_CHECK_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Node.js rejects a request without Host without a message. admitRequests sends one.
    requireHostHeader: false,
  };
  const server = tls
    ? createTlsServer({ ...settings, ...secureOptions(tls), ALPNProtocols, allowHalfOpen: true }, receive)
    : createServer(settings, receive);
  // A client that ends its side after a request, such as `nc -N`, gets its reply. Node.js has no documentation of this.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.on('checkExpectation', (request, response) => {
    receive(request, response, refuseExpectation);
  });
  return server.on('connection', connected);
}

function createFastify(
  buildValidator: LateValidator['build'],
  serverFactory: (serve: Serve) => Server,
): FastifyInstance {
  return fastify({
    logger: false,
    bodyLimit: MAX_REQUEST_OCTETS,
    serverFactory,
    forceCloseConnections: 'idle',
    // Fastify would send this 503 without our error handler.
    return503OnClosing: false,
    // No route has a schema of its responses, so the compiler of serializers need not be loaded.
    schemaController: {
      compilersFactory: { buildValidator, buildSerializer: () => () => JSON.stringify },
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

/**
 * A known path with another method gets 405 with Allow (RFC 9110 15.5.6); OPTIONS gets Allow (9.3.7). A hook, because a
 * route for each path and method takes 20 ms of a start. It runs before the body is read.
 */
function refuseOtherMethods(app: FastifyInstance, known: ReadonlyMap<string, ReadonlySet<string>>): void {
  app.addHook('onRequest', async (request, reply) => {
    const url = request.is404 ? patternOf(request.url, known) : undefined;
    if (url === undefined) return;
    const allow = [...new Set([...(known.get(url) ?? []), 'OPTIONS'])].join(', ');
    void reply.header('allow', allow);
    if (request.method === 'OPTIONS') await reply.code(204).send();
    else
      await sendProblem(
        reply,
        problem(405, `method ${request.method} is not allowed for ${url}`, { hint: `allowed methods: ${allow}` }),
      );
  });
}

/** The path of a route that matches a URL. Only the end of a route's path may be a wildcard. */
function patternOf(url: string, known: ReadonlyMap<string, unknown>): string | undefined {
  const path = decodedPath(url);
  if (path === undefined || known.has(path)) return path;
  return [...known.keys()].find((each) => each.endsWith('*') && path.startsWith(each.slice(0, -1)));
}

function decodedPath(url: string): string | undefined {
  try {
    return decodeURI(url.split('?', 1)[0] ?? '');
  } catch {
    return undefined; // a broken escape
  }
}
