/**
 * The `grpc` probe: Check of grpc.health.v1, one unary call over HTTP/2 on a new connection. It uses node:http2, so
 * that the probe can close the socket at any moment, also while it connects and during the TLS handshake.
 */
import { connect as connectHttp2, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import type { CheckSpec } from '../../config/check-kinds.ts';
import { withoutFinalDot } from '../../config/host-name.ts';
import { MAX_GRPC_ANSWER_OCTETS } from '../limits.ts';
import type { StopSignal } from '../stop-signal.ts';
import { failureOfCall, healthRequest, servingStatus } from './grpc-health.ts';
import { judge } from './probe-run.ts';
import {
  ProbeFailure,
  asError,
  onAbort,
  type Learn,
  type ProbeOptions,
  type ProbeResult,
  type ProbeTarget,
} from './probe.ts';
import { lookupHost } from './resolve-host.ts';
import { learnCertificate, tlsOptions } from './tls-options.ts';

type GrpcSpec = Extract<CheckSpec, { kind: 'grpc' }>;

/** Passes when the server reports SERVING for the service. */
export function probeGrpc(
  target: ProbeTarget,
  spec: GrpcSpec,
  signal: StopSignal,
  { clock }: ProbeOptions = {},
): Promise<ProbeResult> {
  const { timeoutMs } = spec;
  return judge({ timeoutMs, signal, clock }, (deadline, learn) => call(target, spec, deadline, learn));
}

function call(target: ProbeTarget, spec: GrpcSpec, signal: StopSignal, learn: Learn): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = open(target, spec);
    learnCertificate(socket, learn);
    let session: ClientHttp2Session | undefined;
    const end = (): void => {
      forget();
      session?.destroy();
      socket.destroy();
    };
    const fail = (error: unknown): void => {
      end();
      reject(asError(error));
    };
    const closed = (): void => {
      fail(new ProbeFailure('connection closed before the answer'));
    };
    const forget = onAbort(signal, () => {
      fail(signal.reason);
    });
    // These listeners stay until the connection ends: an 'error' event without a listener ends the process.
    socket.on('error', fail);
    socket.on('close', closed);
    socket.on(spec.tls ? 'secureConnect' : 'connect', () => {
      if (socket instanceof TLSSocket && socket.alpnProtocol !== 'h2') {
        fail(new ProbeFailure('the server does not speak HTTP/2'));
        return;
      }
      const authority = authorityOf(target, spec);
      session = connectHttp2(`${spec.tls ? 'https' : 'http'}://${authority}`, {
        createConnection: () => socket,
        settings: { enablePush: false },
        // In megabytes; the smallest value.
        maxSessionMemory: 1,
      });
      session.on('error', fail);
      session.on('close', closed);
      const stream = session.request({
        ':method': 'POST',
        ':path': '/grpc.health.v1.Health/Check',
        ':authority': authority,
        'content-type': 'application/grpc',
        'grpc-timeout': `${String(spec.timeoutMs)}m`,
        te: 'trailers',
        'user-agent': 'pharos',
      });
      readAnswer(stream, spec, (error, reason) => {
        if (error !== undefined) {
          fail(error);
          return;
        }
        end();
        resolve(reason);
      });
      stream.end(healthRequest(spec.service));
    });
  });
}

function open({ host, port }: ProbeTarget, spec: GrpcSpec): Socket {
  const where = { host, port, lookup: lookupHost };
  if (!spec.tls) return connect({ ...where, noDelay: true });
  return connectTls({ ...where, ...tlsOptions(host, spec), ALPNProtocols: ['h2'] });
}

function authorityOf({ host, port }: ProbeTarget, spec: GrpcSpec): string {
  if (spec.host !== undefined) return spec.host.includes(':') ? `[${spec.host}]` : spec.host;
  return `${host.includes(':') ? `[${host}]` : withoutFinalDot(host)}:${String(port)}`;
}

/** Reads the message, headers and trailers of the call. Calls back at least once; the first call counts. */
function readAnswer(
  stream: ClientHttp2Stream,
  { service }: GrpcSpec,
  done: (error: Error | undefined, reason: string) => void,
): void {
  let message = Buffer.alloc(0);
  let status: string | undefined;
  const judgeCall = (headers: Readonly<Record<string, unknown>>): boolean => {
    const [code, words] = [headers['grpc-status'], headers['grpc-message']];
    if (typeof code !== 'string') return true;
    status = code;
    const failure = failureOfCall(code, typeof words === 'string' ? words : '', service);
    if (failure !== undefined) done(failure, '');
    return failure === undefined;
  };
  stream.on('response', (headers) => {
    const type = headers['content-type'] ?? 'none';
    if (headers[':status'] !== 200) done(new ProbeFailure(`HTTP ${String(headers[':status'])} (expected 200)`), '');
    else if (!type.startsWith('application/grpc')) done(new ProbeFailure(`not gRPC (content-type ${type})`), '');
    else judgeCall(headers);
  });
  stream.on('trailers', judgeCall);
  stream.on('data', (chunk: Buffer) => {
    message = Buffer.concat([message, chunk]);
    if (message.length > MAX_GRPC_ANSWER_OCTETS) done(new ProbeFailure('the answer is longer than 1 KiB'), '');
  });
  stream.on('error', (error) => {
    done(error, '');
  });
  stream.on('end', () => {
    if (status === undefined) {
      done(new ProbeFailure('the answer ended without a gRPC status'), '');
      return;
    }
    const serving = servingStatus(message);
    if (serving === 'SERVING') done(undefined, serving);
    else
      done(
        new ProbeFailure(serving === undefined ? 'not a grpc.health.v1 answer' : `${serving} (expected SERVING)`),
        '',
      );
  });
}
