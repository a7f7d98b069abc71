/**
 * The `tls` probe: a handshake with all checks of a client, and the remaining validity of the certificate.
 */
import { connect, type TLSSocket } from 'node:tls';
import type { CheckSpec } from '../../config/check-kinds.ts';
import { overSocket } from '../connection.ts';
import type { StopSignal } from '../stop-signal.ts';
import { judge } from './probe-run.ts';
import {
  ProbeFailure,
  asError,
  onAbort,
  type Keep,
  type Learn,
  type ProbeOptions,
  type ProbeResult,
  type ProbeTarget,
} from './probe.ts';
import { lookupHost } from './resolve-host.ts';
import { learnCertificate, tlsOptions } from './tls-options.ts';

type TlsSpec = Extract<CheckSpec, { kind: 'tls' }>;

const DAY_MS = 86_400_000;

/**
 * Passes when the handshake succeeds, the certificate is valid (unless `insecure`), and it is valid for `min_days_left`
 * more days.
 */
export function probeTls(
  target: ProbeTarget,
  spec: TlsSpec,
  signal: StopSignal,
  { clock, keep }: ProbeOptions = {},
): Promise<ProbeResult> {
  const { timeoutMs } = spec;
  return judge({ timeoutMs, signal, clock }, (deadline, learn) => shakeHands(target, spec, deadline, learn, keep));
}

function shakeHands(
  target: ProbeTarget,
  spec: TlsSpec,
  signal: StopSignal,
  learn: Learn,
  keep?: Keep,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const { host, port } = target;
    const socket = connect({ host, port, lookup: lookupHost, ...tlsOptions(host, spec) });
    learnCertificate(socket, learn);
    const fail = (error: unknown): void => {
      forget();
      socket.destroy();
      reject(asError(error));
    };
    const closed = (): void => {
      fail(new ProbeFailure('connection closed during the TLS handshake'));
    };
    const forget = onAbort(signal, () => {
      fail(signal.reason);
    });
    // This listener stays until the socket ends: an 'error' event without a listener ends the process.
    socket.on('error', fail);
    socket.on('close', closed);
    socket.on('secureConnect', () => {
      const verdict = judgeCertificate(socket, spec);
      if (verdict instanceof ProbeFailure) {
        fail(verdict);
        return;
      }
      forget();
      socket.off('close', closed);
      if (keep === undefined) socket.destroy();
      else keep(overSocket(socket));
      resolve(verdict);
    });
  });
}

/** `certificate expires in 3 days`, `certificate expired 2 days ago`. Whole days, rounded down. */
function judgeCertificate(socket: TLSSocket, spec: TlsSpec): string | ProbeFailure {
  const protocol = socket.getProtocol() ?? 'TLS';
  // The expiry of a certificate is wall-clock time.
  const endMs = socket.getPeerX509Certificate()?.validToDate.getTime();
  if (endMs === undefined) return new ProbeFailure('no certificate');
  const leftMs = endMs - Date.now();
  const { minDaysLeft } = spec;
  if (leftMs < 0 && !spec.insecure) return new ProbeFailure('certificate has expired');
  if (leftMs < 0 && minDaysLeft !== undefined)
    return new ProbeFailure(
      `certificate expired ${inDays(-leftMs)} ago (expected at least ${inDays(minDaysLeft * DAY_MS)} left)`,
    );
  if (minDaysLeft !== undefined && leftMs < minDaysLeft * DAY_MS)
    return new ProbeFailure(
      `certificate expires in ${inDays(leftMs)} (expected at least ${inDays(minDaysLeft * DAY_MS)})`,
    );
  return leftMs < 0 ? `${protocol}, certificate expired` : `${protocol}, certificate expires in ${inDays(leftMs)}`;
}

function inDays(ms: number): string {
  const days = Math.floor(ms / DAY_MS);
  if (days >= 1 || ms === 0) return `${String(days)} ${days === 1 ? 'day' : 'days'}`;
  const hours = Math.floor(ms / 3_600_000);
  return hours >= 1 ? `${String(hours)} ${hours === 1 ? 'hour' : 'hours'}` : 'less than an hour';
}
