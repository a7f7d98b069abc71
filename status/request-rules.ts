/**
 * The rules that all requests to the status server share: bodies, access, unknown parameters, log lines, and errors as
 * problem documents.
 */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Role } from '../config/settings.ts';
import { authorize, identify, isForeignPage, isForwarded, type Access, type AccessRules } from './authorize.ts';
import { namesOfClient } from './client-certificate.ts';
import type { Connections } from './connections.ts';
import { createLineLimit } from './line-limit.ts';
import { pageParts } from './page/page-parts.ts';
import { signInPage } from './page/sign-in.ts';
import { problem, ProblemError, sendProblem, type Problem } from './problem.ts';
import type { WrongTokens } from './wrong-tokens.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Default: `read` for GET and HEAD, `operate` for every other method. */
    access?: Access;
  }
  interface FastifyRequest {
    /** The name of the token or client certificate; null without one. Set before the handler runs. */
    who: string | null;
    /** What the client may change; null if it is not known. */
    roles: readonly Role[] | null;
  }
}

/** The part of a pino logger that the status server uses. */
export type StatusLog = {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};

/** A request body: overrides and pushes are a few lines. */
export const MAX_REQUEST_OCTETS = 64 * 1024;
/** Log lines for refused or failed requests: any client can cause them. */
const LINES_PER_MINUTE = 10;
/** Longest URL in the log. */
const MAX_LOGGED_LETTERS = 200;
/** Bodies are JSON, also with the default types of `curl -d` and `fetch`. */
const READ_AS_JSON = ['application/json', 'application/x-www-form-urlencoded', 'text/plain'];

export function readBodiesAsJson(app: FastifyInstance): void {
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
}

/** Refuses requests that are not allowed to use the path that they ask for. */
export function admitRequests(
  app: FastifyInstance,
  rules: () => AccessRules,
  connections: Connections,
  wrongTokens: WrongTokens,
): void {
  app.decorateRequest('who', null);
  app.decorateRequest('roles', null);
  app.decorateRequest('refusal', null);
  app.addHook('onRequest', async (request, reply) => {
    protect(reply);
    // RFC 9112 3.2.
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1') {
      throw new ProblemError(400, 'an HTTP/1.1 request needs a Host', { parameter: 'host' });
    }
    // An unknown path needs no token: the client learns about its mistake.
    if (request.is404) return;
    const access = accessOf(request);
    if (access !== 'open' && access !== 'report' && isForeignPage(request.headers)) {
      const from = request.headers.origin === undefined ? '' : `: ${request.headers.origin}`;
      throw new ProblemError(403, `web pages of other sites may not use this server${from}`, { parameter: 'origin' });
    }
    const peer = request.socket.remoteAddress ?? '';
    const certificate = namesOfClient(request.socket);
    const secure = certificate !== undefined;
    const asked = {
      peer,
      host: request.headers.host ?? '',
      port: request.socket.localPort ?? (secure ? HTTPS_PORT : HTTP_PORT),
      secure,
      forwarded: isForwarded(request.headers, request.raw.httpVersion),
      authorization: request.headers.authorization,
      certificate: certificate ?? [],
    };
    const now = rules();
    const identity = identify(asked, now);
    if (identity.kind === 'known') [request.who, request.roles] = [identity.who, identity.roles];
    const refused = authorize(asked, access, now, identity);
    if (refused === undefined) return;
    if (identity.kind === 'wrong token') {
      connections.yields(request.socket, true);
      await wrongTokens.refuse(peer);
    }
    // RFC 9110 11.6.1 requires the challenge in every 401.
    if (refused.status === 401) void reply.header('www-authenticate', 'Bearer realm="pharos"');
    if (refused.status === 401 && wantsPage(request)) await sendSignIn(reply, refused.detail);
    else await sendProblem(reply, refused);
  });
}

/** A person with a browser. The script asks for fragments. */
function wantsPage({ method, routeOptions, headers, query }: FastifyRequest): boolean {
  const isPage = method === 'GET' && routeOptions.url === '/' && /\btext\/html\b/i.test(headers.accept ?? '');
  return isPage && !('fragment' in (query as object));
}

async function sendSignIn(reply: FastifyReply, why: string): Promise<void> {
  const parts = await pageParts();
  await reply
    .code(401)
    .header('vary', 'accept')
    .header('content-security-policy', parts.policy)
    .header('referrer-policy', 'no-referrer')
    .type('text/html; charset=utf-8')
    .send(signInPage(parts, `${why.slice(0, 1).toUpperCase()}${why.slice(1)}`));
}

/** The access that the route of a request needs. */
export function accessOf({ method, routeOptions }: Pick<FastifyRequest, 'method' | 'routeOptions'>): Access {
  return routeOptions.config.access ?? (method === 'GET' || method === 'HEAD' ? 'read' : 'operate');
}

/** For routes without parameters: a misspelled or misplaced parameter must not be ignored silently. */
export function refuseUnknownParameters(app: FastifyInstance): void {
  app.addHook('preValidation', (request, _reply, done) => {
    const { url = '', schema, config } = request.routeOptions;
    const [unknown] = Object.keys(request.query as object);
    const takesNone = url.startsWith('/api/') && schema?.querystring === undefined && config.access !== 'report';
    if (unknown === undefined || !takesNone) done();
    else done(new ProblemError(400, `unknown parameter "${unknown}" in the query`, { parameter: unknown }));
  });
}

export function logChanges(app: FastifyInstance, log: StatusLog): void {
  const mayLogRefused = createLineLimit(LINES_PER_MINUTE);
  app.addHook('onResponse', (request, reply, done) => {
    const { method, url } = request;
    const access = accessOf(request);
    const changed = method !== 'OPTIONS' && (access === 'operate' || access === 'update');
    const peer = request.socket.remoteAddress ?? '';
    const line = changed && (isRefused(reply.statusCode) ? mayLogRefused() : {});
    if (line) {
      const fields = { method, url: shortened(url), status: reply.statusCode, who: request.who, peer, ...line };
      log.info(fields, 'status server: change requested');
    }
    done();
  });
}

/** Every error becomes a problem document. */
export function sendProblems(app: FastifyInstance, log: StatusLog): void {
  const mayLogFailed = createLineLimit(LINES_PER_MINUTE);
  app.setErrorHandler(async (error: FastifyError | ProblemError, request, reply) => {
    const sent = problemOf(error, request);
    const line = sent.status >= 500 && sent.status !== 503 && mayLogFailed();
    if (line) {
      const fields = { err: error, method: request.method, url: shortened(request.url), ...line };
      log.error(fields, 'status server: a request failed');
    }
    await sendProblem(reply, sent);
  });
}

/** Default ports: the port of a Host header without a port. */
const HTTP_PORT = 80;
const HTTPS_PORT = 443;

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
  if (status === 413) return problem(413, `the body is larger than ${MAX_REQUEST_OCTETS} octets`);
  if (status === 415) return unreadable(request.headers['content-type']).problem;
  if (status < 500) return problem(status, error.message);
  return problem(500, 'the request failed because of an error in the server', { hint: "see the server's log" });
}

function unreadable(type = 'unknown'): ProblemError {
  return new ProblemError(415, `cannot read a body of type ${type}`, { hint: 'send "content-type: application/json"' });
}

/** Forbids caching and the guessing of media types. */
export function protect(reply: FastifyReply): FastifyReply {
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
