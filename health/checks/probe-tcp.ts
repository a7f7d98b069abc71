/**
 * The `tcp` probe: it connects, sends `send`, and waits for `expect`.
 */
import { connect, type Socket } from 'node:net';
import type { CheckSpec } from '../../config/check-kinds.ts';
import { MAX_BODY_OCTETS } from '../limits.ts';
import { hangUp } from '../watch.ts';
import { bodyMatcher } from './body-match.ts';
import { ProbeFailure, asError, judge, onAbort, type Keep, type ProbeResult, type ProbeTarget } from './probe.ts';
import { lookupHost } from './resolve-host.ts';

type TcpSpec = Extract<CheckSpec, { kind: 'tcp' }>;

/** Passes when the connection is established and, with `expect`, when the first 64 KiB received match. */
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
    // This listener stays until the socket ends: an 'error' event without a listener ends the process.
    socket.on('error', (error) => {
      // A reset needs an established connection. Whether the connection or the reset is seen first is chance, and a state
      // that depends on chance would alternate.
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

/** A reset seen before the connection was. A reset in response to the SYN is ECONNREFUSED (connect(2)). */
function isResetOnceConnected(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ECONNRESET' && error.syscall === 'connect';
}

/**
 * The system may pick a port of this machine without a listener as the source port of the connection to that port. TCP
 * then connects to itself (RFC 9293 3.5, simultaneous open).
 */
function isConnectedToItself(socket: Socket): boolean {
  return socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress;
}
