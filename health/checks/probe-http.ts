/**
 * The `http` and `https` probes: one request, on a new connection or on that of an earlier probe. It does not follow
 * redirects.
 */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import * as net from 'node:net';
import * as tls from 'node:tls';
import type { CheckSpec } from '../../config/check-kinds.ts';
import { withoutFinalDot } from '../../config/host-name.ts';
import { overSocket, type Owner, type ProbeConnection } from '../connection.ts';
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
import { ProbeRun } from './probe-run.ts';
import {
  ProbeFailure,
  type ProbeOptions,
  type ProbePassed,
  type ProbeResult,
  type ProbeTarget,
  type Probing,
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
  return new Promise((resolve, reject) => {
    startHttp(target, spec, { ...options, signal, done: resolve, fault: reject });
  });
}

/** The same without a promise. */
export function startHttp(target: ProbeTarget, spec: HttpSpec, probing: Probing): void {
  new HttpProbe(target, spec, probing).run();
}

/** One request and its response. Owns the connection until the end. */
class HttpProbe extends ProbeRun implements Owner {
  readonly #target: ProbeTarget;
  readonly #spec: HttpSpec;
  readonly #probing: Probing;
  readonly #reader: HttpReader;
  #connection: ProbeConnection | undefined;
  /** The connection is that of an earlier probe. */
  #isReused = false;
  #isAnswered = false;
  #wanted: BodyMatcher | undefined = undefined;

  constructor(target: ProbeTarget, spec: HttpSpec, probing: Probing) {
    super(spec.timeoutMs, probing);
    this.#target = target;
    this.#spec = spec;
    this.#probing = probing;
    this.#connection = probing.reused;
    this.#reader = createHttpReader(spec.method, spec.body !== undefined || spec.loadPath !== undefined);
  }

  run(): void {
    if (!this.begin()) {
      this.#connection?.hangUp();
      return;
    }
    try {
      // Before anything is open: an invalid header throws.
      const request = requestText(this.#target, this.#spec);
      const { body } = this.#spec;
      if (body !== undefined) this.#wanted = bodyMatcher(body);
      if (this.#connection === undefined) this.#connect(request);
      else this.#useAgain(this.#connection, request);
    } catch (error) {
      this.#fail(error);
    }
  }

  received(octets: Buffer): void {
    this.#isAnswered = true;
    try {
      this.#judge(feedReader(this.#reader, octets));
    } catch (error) {
      this.#fail(error);
    }
  }

  ended(): void {
    try {
      if (closeReader(this.#reader)) this.#judge(true);
      else this.#fail(closedEarly(this.#reader, this.#isAnswered));
    } catch (error) {
      this.#fail(error);
    }
  }

  failed(error: NodeJS.ErrnoException): void {
    this.#fail(error);
  }

  protected override stop(reason: ProbeFailure): void {
    this.#fail(reason);
  }

  #connect(request: string): void {
    this.#isReused = false;
    const { host, port } = this.#target;
    const plain = this.#spec.kind === 'http' ? connectPlain(host, port, request) : undefined;
    this.#connection = plain ?? this.#overSocket(request);
    this.#connection.owner = this;
  }

  #overSocket(request: string): ProbeConnection {
    const { host, port } = this.#target;
    const where = { host, port, lookup: lookupHost };
    const socket =
      this.#spec.kind === 'https'
        ? tls.connect({ ...where, ...tlsOptions(host, this.#spec), ALPNProtocols: ['http/1.1'] })
        : net.connect({ ...where, noDelay: true });
    learnCertificate(socket, (what) => {
      this.learn(what);
    });
    const connection = overSocket(socket);
    connection.send(request);
    return connection;
  }

  #useAgain(connection: ProbeConnection, request: string): void {
    this.#isReused = true;
    connection.owner = this;
    if (connection.isOpen()) connection.send(request);
    else this.ended();
  }

  /** Judges the response by what has been read. */
  #judge(isRead: boolean): void {
    const failure = failureOf(this.#reader, this.#spec, isRead, this.#wanted);
    if (failure !== undefined) this.#fail(failure);
    else if (isRead) this.#pass();
  }

  #pass(): void {
    const { reason, load } = passedWith(this.#reader, this.#spec);
    const connection = this.#connection;
    const probing = this.#probing;
    if (connection !== undefined && probing.keep !== undefined && this.#spec.watch && isReusable(this.#reader)) {
      probing.keep(connection);
    } else connection?.hangUp();
    this.pass(reason, load);
  }

  #fail(error: unknown): void {
    this.#connection?.hangUp();
    this.#connection = undefined;
    // RFC 9112 9.3.1: a server may close an idle connection while the next request is in flight.
    if (this.#isReused && !this.#isAnswered && !this.isStopped) this.#connectAgain();
    else this.fail(error);
  }

  #connectAgain(): void {
    try {
      this.#connect(requestText(this.#target, this.#spec));
    } catch (error) {
      this.#fail(error);
    }
  }
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
/** A text for all targets, or two parts; then the Host header with the target's address goes between them. */
type Written = string | { readonly start: string; readonly rest: string };

/** The request. Throws TypeError for characters that HTTP does not allow. */
function requestText(target: ProbeTarget, spec: HttpSpec): string {
  let text = written.get(spec);
  if (text === undefined) {
    text = writeRequest(spec);
    written.set(spec, text);
  }
  return typeof text === 'string' ? text : `${text.start}host: ${authorityOf(target, spec)}\r\n${text.rest}`;
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
  const start = `${method} ${path} HTTP/1.1\r\n`;
  const rest = `${[...fields].map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  return fields.has('host') ? start + rest : { start, rest };
}

/** RFC 9110 7.2: the default port is omitted. */
function authorityOf({ host, port }: ProbeTarget, { kind }: HttpSpec): string {
  const name = host.includes(':') ? `[${host}]` : withoutFinalDot(host);
  return port === (kind === 'https' ? 443 : 80) ? name : `${name}:${String(port)}`;
}

function isWithin(status: number, ranges: HttpSpec['status']): boolean {
  for (const { from, to } of ranges) if (status >= from && status <= to) return true;
  return false;
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
  if (!isWithin(status, spec.status)) {
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
