/**
 * The `tcp` probe: it connects, sends `send`, and waits for `expect`.
 */
import { connect } from 'node:net';
import type { CheckSpec } from '../../config/check-kinds.ts';
import { overSocket, type ProbeConnection } from '../connection.ts';
import { MAX_BODY_OCTETS } from '../limits.ts';
import { connectPlain } from '../plain-connection.ts';
import type { StopSignal } from '../stop-signal.ts';
import { bodyMatcher } from './body-match.ts';
import { judge } from './probe-run.ts';
import {
  ProbeFailure,
  asError,
  onAbort,
  type Keep,
  type ProbeOptions,
  type ProbeResult,
  type ProbeTarget,
} from './probe.ts';
import { lookupHost } from './resolve-host.ts';

type TcpSpec = Extract<CheckSpec, { kind: 'tcp' }>;

/** Passes when the connection is established and, with `expect`, when the first 64 KiB received match. */
export function probeTcp(
  target: ProbeTarget,
  spec: TcpSpec,
  signal: StopSignal,
  { clock, keep }: ProbeOptions = {},
): Promise<ProbeResult> {
  const { timeoutMs } = spec;
  return judge({ timeoutMs, signal, clock }, (deadline) => converse(target, spec, deadline, keep));
}

function converse(target: ProbeTarget, spec: TcpSpec, signal: StopSignal, keep?: Keep): Promise<string> {
  const expected = spec.expect === undefined ? undefined : bodyMatcher(spec.expect);
  return new Promise((resolve, reject) => {
    const connection = connectTo(target);
    let octets = Buffer.alloc(0);
    const received = (chunk: Buffer): void => {
      if (expected === undefined) return;
      octets = Buffer.concat([octets, chunk.subarray(0, MAX_BODY_OCTETS - octets.length)]);
      try {
        if (expected.test(octets)) pass(`received ${expected.words}`);
        else if (octets.length >= MAX_BODY_OCTETS) fail(new ProbeFailure(`no ${expected.words} in the first 64 KiB`));
      } catch (error) {
        fail(error);
      }
    };
    const ended = (): void => {
      fail(new ProbeFailure(expected === undefined ? 'closed at once' : `closed without ${expected.words}`));
    };
    const fail = (error: unknown): void => {
      forget();
      connection.hangUp();
      reject(asError(error));
    };
    const pass = (reason: string): void => {
      forget();
      if (keep === undefined) connection.hangUp();
      else keep(connection);
      resolve(reason);
    };
    const forget = onAbort(signal, () => {
      fail(signal.reason);
    });
    if (signal.aborted) return;
    connection.owner = {
      received,
      ended,
      opened: () => {
        if (connection.isToItself()) {
          fail(new ProbeFailure('connect refused'));
          return;
        }
        if (spec.send !== undefined) connection.send(Buffer.from(spec.send).toString('latin1'));
        if (expected === undefined) pass('connected');
      },
      failed: (error) => {
        // A reset needs an established connection. Whether the connection or the reset is seen first is chance, and a
        // state that depends on chance would alternate.
        if (expected === undefined && isResetOnceConnected(error)) pass('connected, and reset at once');
        else fail(error);
      },
    };
  });
}

function connectTo({ host, port }: ProbeTarget): ProbeConnection {
  return connectPlain(host, port) ?? overSocket(connect({ host, port, lookup: lookupHost, noDelay: true }));
}

/** A reset seen before the connection was. A reset in response to the SYN is ECONNREFUSED (connect(2)). */
function isResetOnceConnected(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ECONNRESET' && error.syscall === 'connect';
}
