/**
 * The status server (docs/http-api.md): Fastify over a Runtime. This file has the parts that all requests share;
 * routes-*.ts have the paths.
 */
import { METHODS } from 'node:http';
import { Server as NetServer } from 'node:net';
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { nearestHint } from '../config/nearest-word.ts';
import { descriptorOf } from '../server/io/pass-descriptors.ts';
import { ListenError } from '../server/listen-error.ts';
import type { Endpoint } from '../wire/address.ts';
import { authorize, hasWrongToken, isForeignPage, isForwarded, type Access } from './authorize.ts';
import { watchConnections, type Connections } from './connections.ts';
import { createLineLimit } from './line-limit.ts';
import { createMetrics } from './metrics.ts';
import { openApiRoutes } from './openapi.ts';
import { problem, ProblemError, sendProblem, type Problem } from './problem.ts';
import { beaconRoutes } from './routes-beacon.ts';
import { changeRoutes } from './routes-change.ts';
import { eventRoutes } from './routes-events.ts';
import { readRoutes } from './routes-read.ts';
import { simulateRoutes } from './routes-simulate.ts';
import type { Runtime } from './runtime.ts';
import { answerBrokenRequest, refuseExpectation } from './unserved.ts';
import { createWrongTokens } from './wrong-tokens.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Default: `read` for GET and HEAD, `change` for every other method. */
    access?: Access;
  }
}

/** The part of a pino logger that the status server uses. */
export type StatusLog = {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};

export type StatusServerOptions = {
  /** Port 0 takes a free one. */
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

/** A request body: overrides and pushes are a few lines. */
const MAX_BODY_OCTETS = 64 * 1024;
/** A request must be complete within this time. */
const REQUEST_TIMEOUT_MS = 10_000;
/** How often that is checked; the default of node:http is 30 s. */
const REQUEST_CHECK_MS = 2_000;
/** Log lines for refused or failed requests: any client can cause them. */
const LINES_PER_MINUTE = 10;
/** Longest URL in the log. */
const MAX_LOGGED_LETTERS = 200;
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

/** Bodies are JSON, also with the default types of `curl -d` and `fetch`. */
const READ_AS_JSON = ['application/json', 'application/x-www-form-urlencoded', 'text/plain'];

/** The application without its socket, for tests. `routes` has the methods of each path in the notation of Fastify. */
export function createApp(
  runtime: Runtime,
  options: Omit<StatusServerOptions, 'listen'>,
): {
  readonly app: FastifyInstance;
  readonly routes: ReadonlyMap<string, ReadonlySet<string>>;
  readonly connections: Connections;
} {
  const app: FastifyInstance = fastify({
    logger: false,
    bodyLimit: MAX_BODY_OCTETS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: {
      // The larger of both timeouts applies to the body, and the default of this one is a minute.
      headersTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: REQUEST_CHECK_MS,
      // Node.js rejects a request without Host without a message. The hook below sends one.
      requireHostHeader: false,
    },
    forceCloseConnections: 'idle',
    // Fastify would send this 503 without our error handler.
    return503OnClosing: false,
    // Input is validated as sent: no coercion, and no silent removal.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, allowUnionTypes: true } },
    clientErrorHandler: answerBrokenRequest,
    // No hook runs for these.
    frameworkErrors: (error, _request, reply) => {
      void sendProblem(protect(reply), problem(400, error.message));
    },
  });
  app.server.on('checkExpectation', refuseExpectation);
  const connections = watchConnections(app.server, runtime.ownAlarms);
  const wrongTokens = createWrongTokens((fields, message) => {
    options.log.warn(fields, message);
  });
  const mayLogRefused = createLineLimit(LINES_PER_MINUTE);
  const mayLogFailed = createLineLimit(LINES_PER_MINUTE);
  // Methods that Fastify does not know get 405 like others, not 404.
  const strange = METHODS.filter((method) => !app.supportedMethods.includes(method));
  for (const method of strange) app.addHttpMethod(method, { hasBody: true });

  app.removeAllContentTypeParsers();
  app.addContentTypeParser(READ_AS_JSON, { parseAs: 'string' }, (_request, body, done) => {
    readJson(body.toString(), done);
  });
  app.addContentTypeParser('*', { parseAs: 'string' }, (request, body, done) => {
    const type = request.headers['content-type'];
    // Some clients send a type with an empty body.
    if (type === undefined || body === '') readJson(body.toString(), done);
    else done(unreadable(type));
  });

  app.addHook('onRequest', async (request, reply) => {
    protect(reply);
    // RFC 9112 3.2.
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1') {
      throw new ProblemError(400, 'an HTTP/1.1 request needs a Host', { parameter: 'host' });
    }
    // An unknown path needs no token: the client learns about its mistake.
    if (request.is404) return;
    const reading = request.method === 'GET' || request.method === 'HEAD';
    const access = request.routeOptions.config.access ?? (reading ? 'read' : 'change');
    if (access !== 'open' && access !== 'report' && isForeignPage(request.headers)) {
      const from = request.headers.origin === undefined ? '' : `: ${request.headers.origin}`;
      throw new ProblemError(403, `web pages of other sites may not use this server${from}`, { parameter: 'origin' });
    }
    const peer = request.socket.remoteAddress ?? '';
    const refused = authorize(
      {
        peer,
        host: request.headers.host ?? '',
        port: request.socket.localPort ?? HTTP_PORT,
        forwarded: isForwarded(request.headers, request.raw.httpVersion),
        authorization: request.headers.authorization,
      },
      access,
      options.token,
      options.openReading,
    );
    if (refused === undefined) return;
    if (hasWrongToken(request.headers.authorization, options.token)) {
      connections.yields(request.socket);
      await wrongTokens.refuse(peer);
    }
    // RFC 9110 11.6.1 requires the challenge in every 401.
    if (refused.status === 401) void reply.header('www-authenticate', 'Bearer realm="pharos"');
    await sendProblem(reply, refused);
  });

  // For routes without parameters: a misspelled or misplaced parameter must not be ignored silently.
  app.addHook('preValidation', (request, _reply, done) => {
    const { url = '', schema, config } = request.routeOptions;
    const [unknown] = Object.keys(request.query as object);
    const takesNone = url.startsWith('/api/') && schema?.querystring === undefined && config.access !== 'report';
    if (unknown === undefined || !takesNone) done();
    else done(new ProblemError(400, `unknown parameter "${unknown}" in the query`, { parameter: unknown }));
  });

  app.addHook('onResponse', (request, reply, done) => {
    const { method, url } = request;
    const { access } = request.routeOptions.config;
    const changed = method !== 'GET' && method !== 'HEAD' && access !== 'read' && access !== 'report';
    const peer = request.socket.remoteAddress ?? '';
    const line = changed && (isRefused(reply.statusCode) ? mayLogRefused() : {});
    if (line) {
      const fields = { method, url: shortened(url), status: reply.statusCode, peer, ...line };
      options.log.info(fields, 'status server: change requested');
    }
    done();
  });

  app.setErrorHandler(async (error: FastifyError | ProblemError, request, reply) => {
    const sent = problemOf(error, request);
    const line = sent.status >= 500 && sent.status !== 503 && mayLogFailed();
    if (line) {
      const fields = { err: error, method: request.method, url: shortened(request.url), ...line };
      options.log.error(fields, 'status server: a request failed');
    }
    await sendProblem(reply, sent);
  });

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

/** Default port of http: the port of a Host without one. */
const HTTP_PORT = 80;

/** Errors that any client can cause: no token, unknown path, malformed request. */
function isRefused(status: number): boolean {
  return status >= 400 && status < 500;
}

function shortened(url: string): string {
  return url.length > MAX_LOGGED_LETTERS ? `${url.slice(0, MAX_LOGGED_LETTERS)}...` : url;
}

function readJson(body: string, done: (error: Error | null, value?: unknown) => void): void {
  let value: unknown;
  try {
    value = body === '' ? undefined : JSON.parse(body);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    done(new ProblemError(400, `the body is not JSON: ${why}`, { parameter: 'body' }));
    return;
  }
  done(null, value);
}

/** The problem that describes an error of Fastify, ajv or a handler. */
function problemOf(error: FastifyError | ProblemError, request: FastifyRequest): Problem {
  if (error instanceof ProblemError) return error.problem;
  const [invalid] = error.validation ?? [];
  if (invalid) return invalidOf(invalid, error.validationContext === 'body' ? 'the body' : 'the query');
  const status = error.statusCode ?? 500;
  if (status === 413) return problem(413, `the body is larger than ${MAX_BODY_OCTETS} octets`);
  if (status === 415) return unreadable(request.headers['content-type']).problem;
  if (status < 500) return problem(status, error.message);
  return problem(500, 'the request failed because of an error in the server', { hint: "see the server's log" });
}

function unreadable(type = 'unknown'): ProblemError {
  return new ProblemError(415, `cannot read a body of type ${type}`, { hint: 'send "content-type: application/json"' });
}

/** Forbids caching and the guessing of media types. */
function protect(reply: FastifyReply): FastifyReply {
  return reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
}

type Invalid = NonNullable<FastifyError['validation']>[number];

function invalidOf(invalid: Invalid, where: string): Problem {
  const { keyword, params, instancePath, message = 'is not valid' } = invalid;
  const inside = instancePath.slice(1).replaceAll('/', '.');
  if (keyword === 'additionalProperties' && typeof params.additionalProperty === 'string') {
    const unknown = params.additionalProperty;
    return problem(400, `unknown ${where === 'the body' ? 'member' : 'parameter'} "${unknown}" in ${where}`, {
      parameter: unknown,
    });
  }
  if (keyword === 'required' && typeof params.missingProperty === 'string') {
    return problem(400, `${where} needs "${params.missingProperty}"`, { parameter: params.missingProperty });
  }
  // For a union of types ajv gives a list.
  if (keyword === 'type') {
    const what = inside === '' ? where : `"${inside}"`;
    const types = [params.type].flat().map((type) => `${/^[aeiou]/.test(String(type)) ? 'an' : 'a'} ${String(type)}`);
    return problem(400, `${what} must be ${types.join(' or ')}`, { parameter: inside || where.replace('the ', '') });
  }
  const allowed = Array.isArray(params.allowedValues) ? `: ${params.allowedValues.join(', ')}` : '';
  if (inside === '') return problem(400, `${where} ${message}${allowed}`, { parameter: where.replace('the ', '') });
  return problem(400, `"${inside}" ${message}${allowed}`, { parameter: inside });
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
      // Before the body is read.
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
