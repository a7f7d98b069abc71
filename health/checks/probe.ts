/**
 * The type of probes, and the reasons of failures. `probe-run.ts` has their deadline.
 */
import type { CheckSpec } from '../../config/check-kinds.ts';
import { plainText } from '../../config/plain-text.ts';
import { blameOf, type Blame } from '../../config/system-errors.ts';
import { codeOf } from '../../config/unknown-values.ts';
import type { Clock } from '../clock.ts';
import type { ProbeConnection } from '../connection.ts';
import type { StopSignal } from '../stop-signal.ts';

/** Where a probe connects: an address or a host name, and a port (0: neither check nor VIP has one). */
export type ProbeTarget = {
  readonly host: string;
  readonly port: number;
  /** The text that messages show for them, if they came from the environment. */
  readonly written?: string | undefined;
};

/** `reason` is for people: `HTTP 503 (expected 200-399)`, `connect refused`, `no answer in 2 s`. */
export type ProbeResult = {
  readonly passed: boolean;
  readonly reason: string;
  readonly elapsedMs: number;
  /**
   * The probe failed because of a response from the target's address: a reset, a status, a certificate. So the network
   * reaches it; silence and errors of this machine do not show that.
   */
  readonly answered?: boolean;
  /**
   * The probe failed by a fault other than the target's: its result says nothing about the target. The state holds
   * (docs/health.md#faults-of-this-machine).
   */
  readonly fault?: Fault;
  /** The load that the target reported when it passed, at least 0; only with `load_path`. */
  readonly load?: number;
  /**
   * When the target's certificate expires, in milliseconds since 1970. EXPIRED: a handshake failed because it has
   * expired. Undefined: this probe had no TLS handshake.
   */
  readonly certificateEndsMs?: number;
};

/** Whose fault the failure is, if not the target's. */
export type Fault = Exclude<Blame, 'target'>;

/** The certificate has expired, and the handshake does not tell when. */
export const EXPIRED = 0;

/** Why an attempt passed, and the load that the target reported. */
export type ProbePassed = { readonly reason: string; readonly load?: number };

/** Called with facts that count whether the attempt passes or fails. */
export type Learn = (what: Pick<ProbeResult, 'certificateEndsMs'>) => void;

/**
 * Takes over the connection of a passed probe, to watch it (docs/health.md#watched-connections). Without `keep`, the
 * probe closes its connections.
 */
export type Keep = (connection: ProbeConnection) => void;

export type ProbeOptions = {
  readonly keep?: Keep | undefined;
  /** The connection of an earlier probe, to be used or closed. */
  readonly reused?: ProbeConnection | undefined;
  /** For deadlines and elapsed times. */
  readonly clock?: Clock;
};

/**
 * One probe. Never rejects: every error is a failed result. Ends when `signal` aborts or the check's timeout expires,
 * and leaves nothing open except what `keep` took.
 */
export type Probe<Spec extends CheckSpec = CheckSpec> = (
  target: ProbeTarget,
  spec: Spec,
  signal: StopSignal,
  options?: ProbeOptions,
) => Promise<ProbeResult>;

/** One probe under way, for those that start it without a promise. */
export type Probing = {
  readonly signal: StopSignal;
  readonly clock?: Clock;
  readonly reused?: ProbeConnection | undefined;
  /** Called as a method. */
  readonly keep?: Keep | undefined;
  /** Called once, unless `fault` is. */
  done(result: ProbeResult): void;
  /** A fault of this program has ended the probe. */
  fault(error: unknown): void;
};

/** Starts a probe; see `Probe`. Without a promise, since thousands are made per second. */
export type StartProbe<Spec extends CheckSpec = CheckSpec> = (
  target: ProbeTarget,
  spec: Spec,
  probing: Probing,
) => void;

/** The port in the check. */
export function ownPort(check: CheckSpec): number | undefined {
  return 'port' in check && check.port !== 0 ? check.port : undefined;
}

/** The check failed. The message is the reason. */
export class ProbeFailure extends Error {
  override readonly name = 'ProbeFailure';
}

/** The probe could not be made because of a fault of this machine. The message is the reason. */
export class NotProbed extends Error {
  override readonly name = 'NotProbed';
}

/** The result of a probe that ended with this error: whose fault it is, and the reason. */
export function failureOf(error: unknown): Omit<ProbeResult, 'elapsedMs'> {
  const blame = error instanceof NotProbed ? 'machine' : blameOf(error);
  const reason = describeError(error);
  if (blame === 'target') return { passed: false, reason, answered: isAnswer(error) };
  return { passed: false, reason, answered: false, fault: blame };
}

/** Milliseconds, to a tenth. */
export function elapsedSince(clock: Clock, startedMs: number): number {
  return Math.round((clock.now() - startedMs) * 10) / 10;
}

/** Calls back when the signal aborts, at once if it has aborted. Returns a function that removes the listener. */
export function onAbort(signal: StopSignal, run: () => void): () => void {
  if (signal.aborted) run();
  else signal.addEventListener('abort', run, { once: true });
  return () => {
    signal.removeEventListener('abort', run);
  };
}

export function formatMs(ms: number): string {
  return ms >= 1000 ? `${String(Math.round(ms / 100) / 10)} s` : `${String(ms)} ms`;
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection closed by the other side',
  ETIMEDOUT: 'connect timed out',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ENETDOWN: 'network down on this machine',
  EACCES: 'connect forbidden on this machine',
  EPERM: 'connect forbidden on this machine',
  ENOBUFS: 'out of network buffers on this machine',
  ENOMEM: 'out of memory on this machine',
  EAGAIN: 'too many processes on this machine',
  EADDRNOTAVAIL: 'no local address or port to connect from',
  ENOTFOUND: 'host name not found',
  EAI_AGAIN: 'host name could not be looked up',
  EMFILE: 'too many open files on this machine',
  ENFILE: 'too many open files on this machine',
};

/** Whether the error is a response from the target's address, not a failure to reach it. */
function isAnswer(error: unknown): boolean {
  if (error instanceof ProbeFailure) return true;
  if (error instanceof AggregateError) return error.errors.some(isAnswer);
  const code = codeOf(error);
  return /^(ECONNREFUSED|ECONNRESET|EPIPE|EPROTO)$|^ERR_(SSL|TLS|HTTP2)|CERT|^UNABLE_TO_/.test(code);
}

/** Any thrown value as an Error. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new ProbeFailure(String(error));
}

/** Describes an error to operators, on one line. */
export function describeError(error: unknown): string {
  const words = plainText(rawWordsOf(error)).replaceAll(/\s+/g, ' ').trim();
  return words.length <= MAX_WORDS ? words : `${words.slice(0, MAX_WORDS - 1)}…`;
}

/** Characters of a reason: tables show it, and it may quote the target. */
const MAX_WORDS = 300;

function rawWordsOf(error: unknown): string {
  if (error instanceof ProbeFailure || error instanceof NotProbed) return error.message;
  // Several addresses of one host name were tried. The first error represents all.
  if (error instanceof AggregateError && error.errors.length > 0) return rawWordsOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  const code = codeOf(error);
  const known = WORDS[code];
  if (known !== undefined) return known;
  if (code === 'ERR_HTTP2_ERROR') return `not HTTP/2 (${error.message.toLowerCase()})`;
  if (code.startsWith('ERR_SSL')) return `TLS failed (${code.slice(8).toLowerCase().replaceAll('_', ' ')})`;
  // With data to write, Node.js returns OpenSSL's line: error:0A00010B:SSL routines:function:reason:file:line:
  const [, said] = /error:[0-9A-F]+:[^:]*:[^:]*:([^:]+):/.exec(error.message) ?? [];
  if (said !== undefined) return `TLS failed (${said})`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return otherName(error);
  if (code.startsWith('CERT_') || code.startsWith('UNABLE_TO_') || code.includes('_CERT')) {
    // Node.js adds advice about its options after a semicolon.
    const words = error.message.replace(/; if the root CA.*/s, '');
    return words.startsWith('certificate') ? words : `certificate: ${words}`;
  }
  return error.message;
}

/** `certificate: it is for *.example.net, 192.0.2.1 and 5 more, not for www.example.com` */
function otherName(error: Error & { readonly host?: unknown; readonly cert?: { readonly subjectaltname?: string } }) {
  const names = (error.cert?.subjectaltname ?? '').split(', ').map((name) => name.replace(/^[^:]*:/, ''));
  const more = names.length > 3 ? ` and ${String(names.length - 3)} more` : '';
  const its = names[0] === '' ? 'has no names' : `is for ${names.slice(0, 3).join(', ')}${more}`;
  return `certificate: it ${its}, not for ${String(error.host)}`;
}
