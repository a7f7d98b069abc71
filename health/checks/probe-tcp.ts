/**
 * The `tcp` probe: it connects, sends, and waits for what is expected.
 */
import { connect, type Socket } from 'node:net';
import type { CheckSpec } from '../../config/check-kinds.ts';
import { bodyMatcher } from './body-match.ts';
import { MAX_BODY_OCTETS } from '../limits.ts';
import { lookupHost } from './resolve-host.ts';
import { ProbeFailure, asError, judge, onAbort, type Keep, type ProbeResult, type ProbeTarget } from './probe.ts';
import { hangUp } from '../watch.ts';

type TcpSpec = Extract<CheckSpec, { kind: 'tcp' }>;

/** Passes when the connection stands and, with `expect`, when that came within the first 64 KiB. */
export function probeTcp(target: ProbeTarget, spec: TcpSpec, signal: AbortSignal, keep?: Keep): Promise<ProbeResult> {
  return judge(spec.timeoutMs, signal, (deadline) => converse(target, spec, deadline, keep));
}

function converse(target: ProbeTarget, spec: TcpSpec, signal: AbortSignal, keep?: Keep): Promise<string> {
  const expected = spec.expect === undefined ? undefined : bodyMatcher(spec.expect);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: target.host, port: target.port, lookup: lookupHost, noDelay: true });
    let received = Buffer.alloc(0);
    const take = (chunk: Buffer): void => {
      if (expected === undefined) return;
      received = Buffer.concat([received, chunk.subarray(0, MAX_BODY_OCTETS - received.length)]);
      try {
        if (expected.test(received)) pass(`received ${expected.words}`);
        else if (received.length >= MAX_BODY_OCTETS) fail(new ProbeFailure(`no ${expected.words} in the first 64 KiB`));
      } catch (error) {
        fail(error);
      }
    };
    const closed = (): void => {
      fail(new ProbeFailure(expected === undefined ? 'closed at once' : `closed without ${expected.words}`));
    };
    const end = (): void => {
      forget();
      socket.off('data', take);
      socket.off('end', closed);
    };
    const fail = (error: unknown): void => {
      end();
      hangUp(socket);
      reject(asError(error));
    };
    const pass = (reason: string): void => {
      end();
      if (keep === undefined) hangUp(socket);
      else keep(socket);
      resolve(reason);
    };
    const forget = onAbort(signal, () => {
      fail(signal.reason);
    });
    // Stays for the socket's whole life: an 'error' that nobody hears ends the process.
    socket.on('error', (error) => {
      // The connection stood, or there were nothing to reset: whether that or the reset is seen first is chance, and a
      // state that goes by it would come and go.
      if (expected === undefined && isResetOnceConnected(error)) pass('connected, and reset at once');
      else fail(error);
    });
    socket.on('end', closed);
    socket.on('connect', () => {
      if (isConnectedToItself(socket)) {
        fail(new ProbeFailure('connect refused'));
        return;
      }
      if (spec.send !== undefined) socket.write(spec.send);
      if (expected === undefined) pass('connected');
    });
    if (expected !== undefined) socket.on('data', take);
  });
}

/** Before it was seen that it was connected. A reset that answers the opening is ECONNREFUSED (connect(2)). */
function isResetOnceConnected(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ECONNRESET' && error.syscall === 'connect';
}

/**
 * A port of this machine on which nobody listens can be picked as the source port of the very connection to it,
 * and TCP then connects to itself (RFC 9293 3.5, simultaneous open).
 */
function isConnectedToItself(socket: Socket): boolean {
  return socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress;
}
