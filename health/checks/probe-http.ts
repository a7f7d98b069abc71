/**
 * The `http` and `https` probes: one request, on a new connection or on that of an earlier probe. It does not follow
 * redirects.
 */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import * as net from 'node:net';
import * as tls from 'node:tls';
import type { CheckSpec } from '../../config/check-kinds.ts';
import { withoutFinalDot } from '../../config/host-name.ts';
import { overSocket, type ProbeConnection } from '../connection.ts';
import { MAX_BODY_OCTETS } from '../limits.ts';
import { connectPlain } from '../plain-connection.ts';
import type { StopSignal } from '../stop-signal.ts';
import { bodyMatcher, type BodyMatcher } from './body-match.ts';
import {
  bodyOf,
  closeReader,
  createHttpReader,
  feedReader,
  isComplete,
  isReusable,
  type HttpReader,
} from './http-response.ts';
import {
  ProbeFailure,
  asError,
  judge,
  onAbort,
  type Keep,
  type Learn,
  type ProbeOptions,
  type ProbePassed,
  type ProbeResult,
  type ProbeTarget,
} from './probe.ts';
import { loadOf } from './reported-load.ts';
import { lookupHost } from './resolve-host.ts';
import { learnCertificate, tlsOptions } from './tls-options.ts';

type HttpSpec = Extract<CheckSpec, { kind: 'http' | 'https' }>;

/**
 * Passes when the status is expected, `body` matches, and the response (or its first 64 KiB) is complete within the
 * timeout, which includes connecting, TLS, headers and body.
 */
export function probeHttp(
  target: ProbeTarget,
  spec: HttpSpec,
  signal: StopSignal,
  options: ProbeOptions = {},
): Promise<ProbeResult> {
  const { keep, reused } = options;
  const attempt = (deadline: StopSignal, learn: Learn): Promise<ProbePassed> => {
    // Before anything is open: an invalid header throws.
    const request = requestText(target, spec);
    const overNew = (): Promise<ProbePassed> =>
      exchange(connectTo(target, spec, request, learn), undefined, spec, deadline, keep);
    if (reused === undefined) return overNew();
    return exchange(reused, request, spec, deadline, keep).catch((error: unknown) => {
      // RFC 9112 9.3.1: a server may close an idle connection while the next request is in flight.
      if (error instanceof Unanswered) return overNew();
      throw error;
    });
  };
  return judge(spec.timeoutMs, signal, attempt, options);
}

/** A connection of an earlier probe ended without a response. */
class Unanswered extends Error {
  override readonly name = 'Unanswered';
}

/** Connects, then sends the request. */
function connectTo({ host, port }: ProbeTarget, spec: HttpSpec, request: string, learn: Learn): ProbeConnection {
  const where = { host, port, lookup: lookupHost };
  if (spec.kind === 'http') {
    const plain = connectPlain(host, port, request);
    if (plain !== undefined) return plain;
  }
  const socket =
    spec.kind === 'https'
      ? tls.connect({ ...where, ...tlsOptions(host, spec), ALPNProtocols: ['http/1.1'] })
      : net.connect({ ...where, noDelay: true });
  learnCertificate(socket, learn);
  const connection = overSocket(socket);
  connection.send(request);
  return connection;
}

/**
 * Judges the response. `request` is sent over the connection of an earlier probe; undefined: the connection already has
 * it. The connection goes to `keep`, or is closed.
 */
function exchange(
  connection: ProbeConnection,
  request: string | undefined,
  spec: HttpSpec,
  signal: StopSignal,
  keep: Keep | undefined,
): Promise<ProbePassed> {
  return new Promise((resolve, reject) => {
    const wanted = spec.body === undefined ? undefined : bodyMatcher(spec.body);
    const reader = createHttpReader(spec.method);
    let answered = false;
    const fail = (error: unknown): void => {
      forget();
      connection.hangUp();
      reject(request !== undefined && !answered && !signal.aborted ? new Unanswered() : asError(error));
    };
    const pass = (): void => {
      forget();
      if (keep !== undefined && isReusable(reader)) keep(connection);
      else connection.hangUp();
      resolve(passedWith(reader, spec));
    };
    const settle = (readOn: () => boolean): void => {
      try {
        const done = readOn();
        const failure = failureOf(reader, spec, done, wanted);
        if (failure !== undefined) fail(failure);
        else if (done) pass();
      } catch (error) {
        fail(error);
      }
    };
    const received = (chunk: Buffer): void => {
      answered = true;
      settle(() => feedReader(reader, chunk));
    };
    const ended = (): void => {
      if (closeReader(reader)) settle(() => true);
      else fail(closedEarly(reader, answered));
    };
    const forget = onAbort(signal, () => {
      fail(signal.reason);
    });
    if (signal.aborted) return;
    connection.owner = { received, ended, failed: fail };
    if (request === undefined) return;
    if (connection.isOpen()) connection.send(request);
    else ended();
  });
}

function closedEarly(reader: HttpReader, answered: boolean): ProbeFailure {
  if (reader.status !== 0) return new ProbeFailure('connection closed before the end of the body');
  return new ProbeFailure(`connection closed ${answered ? 'within the headers' : 'without an answer'}`);
}

function passedWith(reader: HttpReader, { loadPath }: HttpSpec): ProbePassed {
  const reason = reasonOf(reader.status);
  if (loadPath === undefined) return { reason };
  const load = loadOf(bodyOf(reader), isComplete(reader), loadPath, reader.coding);
  return typeof load === 'number'
    ? { reason: `${reason}, load ${String(load)}`, load }
    : { reason: `${reason}, without load: ${load}` };
}

/** Texts that live until the next probe are made once. */
const reasons = new Map<number, string>();

function reasonOf(status: number): string {
  let reason = reasons.get(status);
  if (reason === undefined) {
    reason = `HTTP ${String(status)}`;
    reasons.set(status, reason);
  }
  return reason;
}

/** The text of each check's request, written once: many targets share a check. */
const written = new WeakMap<HttpSpec, Written>();
/** Unless `named`, the Host header with the target's address goes between the two parts. */
type Written = { readonly start: string; readonly rest: string; readonly named: boolean };

/** The request. Throws TypeError for characters that HTTP does not allow. */
function requestText(target: ProbeTarget, spec: HttpSpec): string {
  let text = written.get(spec);
  if (text === undefined) {
    text = writeRequest(spec);
    written.set(spec, text);
  }
  return text.named ? text.start + text.rest : `${text.start}host: ${authorityOf(target, spec)}\r\n${text.rest}`;
}

function writeRequest({ method, path, host, headers }: HttpSpec): Written {
  if (/[^\x21-\x7e\x80-\xff]/.test(path)) throw new TypeError('Request path contains unescaped characters');
  // RFC 9110 12.5.3: bodies are searched without decompression, so none may be compressed.
  const fields = new Map([['user-agent', 'pharos'], ['accept', '*/*'], ['accept-encoding', 'identity'], ['connection', 'keep-alive']]); // prettier-ignore
  // RFC 9110 8.6: states that there is no content, for methods that usually have some.
  if (['POST', 'PUT', 'PATCH'].includes(method)) fields.set('content-length', '0');
  if (host !== undefined) fields.set('host', net.isIPv6(host) ? `[${host}]` : host);
  for (const [name, value] of Object.entries(headers)) fields.set(name.toLowerCase(), value);
  for (const [name, value] of fields) {
    validateHeaderName(name);
    validateHeaderValue(name, value);
  }
  const lines = [...fields].map(([name, value]) => `${name}: ${value}\r\n`);
  return { start: `${method} ${path} HTTP/1.1\r\n`, rest: `${lines.join('')}\r\n`, named: fields.has('host') };
}

/** RFC 9110 7.2: the default port is omitted. */
function authorityOf({ host, port }: ProbeTarget, { kind }: HttpSpec): string {
  const name = host.includes(':') ? `[${host}]` : withoutFinalDot(host);
  return port === (kind === 'https' ? 443 : 80) ? name : `${name}:${String(port)}`;
}

/** Why the check fails, judged by the response so far; undefined: no failure yet. */
function failureOf(
  reader: HttpReader,
  spec: HttpSpec,
  done: boolean,
  wanted: BodyMatcher | undefined,
): ProbeFailure | undefined {
  const { status } = reader;
  if (status === 0) return undefined;
  if (!spec.status.some(({ from, to }) => status >= from && status <= to)) {
    const ranges = spec.status.map(({ from, to }) => (from === to ? String(from) : `${String(from)}-${String(to)}`));
    return new ProbeFailure(`HTTP ${String(status)} (expected ${ranges.join(', ')})`);
  }
  if (!done || wanted === undefined) return undefined;
  const body = bodyOf(reader);
  if (wanted.test(body)) return undefined;
  const where = body.length >= MAX_BODY_OCTETS ? 'in the first 64 KiB of the body' : 'in the body';
  const { coding } = reader;
  const compressed = coding === undefined ? '' : `, which is compressed (Content-Encoding: ${coding})`;
  return new ProbeFailure(`no ${wanted.words} ${where}${compressed}`);
}
