/**
 * The `http` and `https` probes: one request on a fresh connection, so that accepting and the TLS handshake are
 * checked each time too. Redirects are answers like any other.
 */
import * as http from 'node:http';
import * as https from 'node:https';
import { Socket } from 'node:net';
import type { CheckSpec } from '../config/settings.ts';
import { MAX_BODY_OCTETS } from './limits.ts';
import { lookupHost } from './lookup.ts';
import { loadOf } from './load.ts';
import {
  ProbeFailure,
  asError,
  bodyMatcher,
  judge,
  onAbort,
  type BodyMatcher,
  type Keep,
  type Passed,
  type ProbeResult,
  type ProbeTarget,
} from './probe.ts';
import { tlsOptions } from './tls-options.ts';

type HttpSpec = Extract<CheckSpec, { kind: 'http' | 'https' }>;

/**
 * Passes when the status is wanted, `body` matches, and the response (or its first 64 KiB) is complete, all of it
 * within the timeout: connecting, TLS, headers and body.
 */
export function probeHttp(target: ProbeTarget, spec: HttpSpec, signal: AbortSignal, keep?: Keep): Promise<ProbeResult> {
  return judge(spec.timeoutMs, signal, (deadline) => request(target, spec, deadline, keep));
}

function request(target: ProbeTarget, spec: HttpSpec, signal: AbortSignal, keep?: Keep): Promise<Passed> {
  // Before anything is open: an expression that does not compile throws.
  const wanted = spec.body === undefined ? undefined : bodyMatcher(spec.body);
  return new Promise((resolve, reject) => {
    let passed = false;
    let connection: Socket | undefined;
    const kept = { keepAlive: keep !== undefined, maxSockets: 1 };
    const agent = spec.kind === 'https' ? new https.Agent(kept) : new http.Agent(kept);
    // Asked after the response has ended, whether the connection shall stay.
    agent.keepSocketAlive = (socket) => {
      if (!passed || keep === undefined || !(socket instanceof Socket)) return false;
      keep(socket);
      return true;
    };
    const options = { ...requestOptions(target, spec), agent };
    const sent =
      spec.kind === 'https' ? https.request({ ...options, ...tlsOptions(target.host, spec) }) : http.request(options);
    const fail = (error: unknown): void => {
      forget();
      sent.destroy();
      connection?.destroy();
      reject(asError(error));
    };
    const forget = onAbort(signal, () => {
      fail(signal.reason);
    });
    // Stays for the request's whole life: an 'error' that nobody hears ends the process.
    sent.on('error', fail);
    sent.on('socket', (socket) => {
      connection = socket;
    });
    const pass = (response: http.IncomingMessage, body: Buffer, complete: boolean, reusable = complete): void => {
      forget();
      passed = true;
      if (!reusable || keep === undefined || !sent.shouldKeepAlive) connection?.destroy();
      const reason = `status ${String(response.statusCode)}`;
      if (spec.loadPath === undefined) {
        resolve({ reason });
        return;
      }
      const load = loadOf(body, complete, spec.loadPath);
      resolve(
        typeof load === 'number'
          ? { reason: `${reason}, load ${String(load)}`, load }
          : { reason: `${reason}, without load: ${load}` },
      );
    };
    sent.on('response', (response) => {
      const failure = failureOfStatus(response, spec);
      if (failure !== undefined) {
        fail(failure);
        return;
      }
      readBody(response, (error, body, complete) => {
        const verdict = error ?? failureOfBody(body, wanted);
        if (verdict === undefined) pass(response, body, complete);
        else fail(verdict);
      });
    });
    // A response that switches protocols or opens a tunnel has a status, and no body that would end.
    const switched = (response: http.IncomingMessage): void => {
      const failure = failureOfStatus(response, spec) ?? failureOfBody(Buffer.alloc(0), wanted);
      if (failure === undefined) pass(response, Buffer.alloc(0), true, false);
      else fail(failure);
    };
    sent.on('upgrade', switched);
    sent.on('connect', switched);
    sent.end();
  });
}

function requestOptions(target: ProbeTarget, spec: HttpSpec): http.RequestOptions {
  const headers: Record<string, string> = { 'user-agent': 'pharos', accept: '*/*' };
  if (spec.host !== undefined) headers['host'] = spec.host;
  for (const [name, value] of Object.entries(spec.headers)) headers[name.toLowerCase()] = value;
  return {
    host: target.host,
    port: target.port,
    method: spec.method,
    path: spec.path,
    headers,
    lookup: lookupHost,
  };
}

function failureOfStatus(response: http.IncomingMessage, spec: HttpSpec): ProbeFailure | undefined {
  const status = response.statusCode ?? 0;
  if (spec.status.some((range) => status >= range.from && status <= range.to)) return undefined;
  const wanted = spec.status.map(({ from, to }) => (from === to ? String(from) : `${String(from)}-${String(to)}`));
  return new ProbeFailure(`status ${String(status)}, wanted ${wanted.join(', ')}`);
}

function failureOfBody(body: Buffer, wanted: BodyMatcher | undefined): ProbeFailure | undefined {
  if (wanted === undefined || wanted.test(body)) return undefined;
  return new ProbeFailure(
    body.length >= MAX_BODY_OCTETS
      ? `no ${wanted.words} in the first 64 KiB of the body`
      : `no ${wanted.words} in the body`,
  );
}

/** The first 64 KiB of the body; `complete` is false when there was more. Calls back once. */
function readBody(
  response: http.IncomingMessage,
  done: (error: Error | undefined, body: Buffer, complete: boolean) => void,
): void {
  const chunks: Buffer[] = [];
  let octets = 0;
  let ended = false;
  const end = (error: Error | undefined, complete: boolean): void => {
    if (ended) return;
    ended = true;
    done(error, Buffer.concat(chunks), complete);
  };
  response.on('data', (chunk: Buffer) => {
    if (ended) return;
    const taken = chunk.subarray(0, MAX_BODY_OCTETS - octets);
    chunks.push(taken);
    octets += taken.length;
    if (octets >= MAX_BODY_OCTETS) end(undefined, false);
  });
  response.on('end', () => {
    end(undefined, true);
  });
  const broken = (): void => {
    end(new ProbeFailure('connection closed before the end of the body'), false);
  };
  response.on('error', broken);
  response.on('close', broken);
}
