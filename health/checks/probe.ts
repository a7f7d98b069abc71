/**
 * What every kind of probe has in common: its shape, its deadline, and words for what went wrong.
 */
import { performance } from 'node:perf_hooks';
import type { Socket } from 'node:net';
import { plainText } from '../../config/plain-text.ts';
import type { CheckSpec } from '../../config/check-kinds.ts';
import { blameOf, type Blame } from '../../config/system-errors.ts';
import { codeOf } from '../../config/unknown-values.ts';
import { LATE_TIMER_MS } from '../limits.ts';

/** Where a probe connects: an address or a host name, and a port; 0 where neither check nor VIP has one. */
export type ProbeTarget = {
  readonly host: string;
  readonly port: number;
  /** What is shown in their place, where they came from the environment. */
  readonly written?: string | undefined;
};

/** `reason` is for people: `HTTP 503 (expected 200-399)`, `connect refused`, `no answer in 2 s`. */
export type ProbeResult = {
  readonly passed: boolean;
  readonly reason: string;
  readonly elapsedMs: number;
  /**
   * It failed by what somebody at the target's address said: a reset, a status, a certificate. So there is a way to
   * it, which silence and errors of this machine leave open.
   */
  readonly answered?: boolean;
  /**
   * It failed by a fault that is not the target's: the probe was not made, or says nothing of the target. The state
   * holds (SPEC 9).
   */
  readonly fault?: Fault;
  /** What the target said of itself when it passed, not below 0; only where the check has a `load_path`. */
  readonly load?: number;
  /**
   * When the target's certificate ends, in milliseconds since 1970; EXPIRED where a handshake failed because it has
   * ended; undefined where this probe shook no hands.
   */
  readonly certificateEndsMs?: number;
};

/** Whose fault it is that a target was not probed. */
export type Fault = Exclude<Blame, 'target'>;

/** Of a certificate that has ended, where the handshake does not tell when. */
export const EXPIRED = 0;

/** Why an attempt passed, and what it learned. */
export type ProbePassed = { readonly reason: string; readonly load?: number };

/** What an attempt learns whether it passes or not. */
export type Learn = (what: Pick<ProbeResult, 'certificateEndsMs'>) => void;

/**
 * Takes over a connection that a passed probe leaves open, to be watched (SPEC 5, `watch`). A probe that is
 * given none closes everything.
 */
export type Keep = (connection: Socket) => void;

/**
 * One probe. Never rejects: what goes wrong is a failed result. Ends when `signal` aborts or the check's timeout
 * is over, and leaves nothing open but what `keep` took. `reused` is a connection that it took from an earlier one,
 * to be used or closed.
 */
export type Probe<Spec extends CheckSpec = CheckSpec> = (
  target: ProbeTarget,
  spec: Spec,
  signal: AbortSignal,
  keep?: Keep,
  reused?: Socket,
) => Promise<ProbeResult>;

/** The port that the check itself states. */
export function ownPort(check: CheckSpec): number | undefined {
  return 'port' in check && check.port !== 0 ? check.port : undefined;
}

/** The check did not pass, for the reason in the message. */
export class ProbeFailure extends Error {
  override readonly name = 'ProbeFailure';
}

/** The probe was not made, by a fault of this machine. The message says why. */
export class NotProbed extends Error {
  override readonly name = 'NotProbed';
}

/**
 * Runs an attempt under its deadline. The attempt resolves with the reason why it passed (and what else it
 * learned), or rejects with why not; it has to settle soon after its signal aborts. `late` is
 * the reason when the time is over.
 */
export async function judge(
  timeoutMs: number,
  signal: AbortSignal,
  attempt: (signal: AbortSignal, learn: Learn) => Promise<string | ProbePassed>,
  late = `no answer in ${formatMs(timeoutMs)}`,
): Promise<ProbeResult> {
  const startedMs = performance.now();
  const controller = new AbortController();
  const stop = (): void => {
    controller.abort(new ProbeFailure('probe cancelled'));
  };
  const cancelDeadline = startDeadline(timeoutMs, () => {
    controller.abort(new ProbeFailure(late));
  });
  let learned: Pick<ProbeResult, 'certificateEndsMs'> = {};
  const learn: Learn = (what) => {
    learned = what;
  };
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    controller.signal.throwIfAborted();
    const passed = await attempt(controller.signal, learn);
    const why =
      typeof passed === 'string' ? { reason: plainText(passed) } : { ...passed, reason: plainText(passed.reason) };
    return { passed: true, elapsedMs: elapsedSince(startedMs), ...why, ...learned };
  } catch (error) {
    const why: unknown = controller.signal.aborted ? controller.signal.reason : error;
    const elapsedMs = elapsedSince(startedMs);
    if (controller.signal.aborted) {
      return { passed: false, reason: describeError(why), elapsedMs, answered: false, ...learned };
    }
    if (hasExpired(error)) learned = { certificateEndsMs: EXPIRED };
    return { ...failureOf(error), elapsedMs, ...learned };
  } finally {
    cancelDeadline();
    signal.removeEventListener('abort', stop);
  }
}

/**
 * Calls back after `timeoutMs`. When this thread itself was busy, timers fire before the sockets are read, and an
 * answer that has long arrived would count as late; hence one turn of the event loop, and the lost time once more.
 */
export function startDeadline(timeoutMs: number, expire: () => void): () => void {
  let ended = false;
  let timer: NodeJS.Timeout;
  const arm = (delayMs: number, again: boolean): void => {
    const dueMs = performance.now() + delayMs;
    timer = setTimeout(() => {
      const lateMs = performance.now() - dueMs;
      if (again && lateMs > LATE_TIMER_MS) {
        arm(Math.min(lateMs, timeoutMs), false);
        return;
      }
      setImmediate(() => {
        if (!ended) expire();
      });
    }, delayMs);
  };
  arm(timeoutMs, true);
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}

/** What an error says of a probe that it ended: whose fault it is, and why in words. */
export function failureOf(error: unknown): Omit<ProbeResult, 'elapsedMs'> {
  const blame = error instanceof NotProbed ? 'machine' : blameOf(error);
  const reason = describeError(error);
  if (blame === 'target') return { passed: false, reason, answered: isAnswer(error) };
  return { passed: false, reason, answered: false, fault: blame };
}

/** Milliseconds, to a tenth. */
export function elapsedSince(startedMs: number): number {
  return Math.round((performance.now() - startedMs) * 10) / 10;
}

/** Calls back when the signal aborts, at once if it has; returns what takes the listener away. */
export function onAbort(signal: AbortSignal, run: () => void): () => void {
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

/** Of errors that are not about the way to the target, but what came back on it. */
function isAnswer(error: unknown): boolean {
  if (error instanceof ProbeFailure) return true;
  if (error instanceof AggregateError) return error.errors.some(isAnswer);
  const code = codeOf(error);
  return /^(ECONNREFUSED|ECONNRESET|EPIPE|EPROTO)$|^ERR_(SSL|TLS|HTTP2)|CERT|^UNABLE_TO_/.test(code);
}

/** Whether a handshake failed because the certificate, or one of its chain, has ended. */
function hasExpired(error: unknown): boolean {
  return codeOf(error) === 'CERT_HAS_EXPIRED';
}

/** What is thrown or rejected with may be anything; this is an Error in any case. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new ProbeFailure(String(error));
}

/** An error in one line of words that an operator knows. */
export function describeError(error: unknown): string {
  const words = plainText(rawWordsOf(error)).replaceAll(/\s+/g, ' ').trim();
  return words.length <= MAX_WORDS ? words : `${words.slice(0, MAX_WORDS - 1)}…`;
}

/** Letters of a reason: it is shown in tables, and some of it may be the other side's words. */
const MAX_WORDS = 300;

function rawWordsOf(error: unknown): string {
  if (error instanceof ProbeFailure || error instanceof NotProbed) return error.message;
  // Several addresses of one host name were tried; the first says as much as any.
  if (error instanceof AggregateError && error.errors.length > 0) return rawWordsOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  const code = codeOf(error);
  const known = WORDS[code];
  if (known !== undefined) return known;
  if (code === 'ERR_HTTP2_ERROR') return `not HTTP/2 (${error.message.toLowerCase()})`;
  if (code.startsWith('ERR_SSL')) return `TLS failed (${code.slice(8).toLowerCase().replaceAll('_', ' ')})`;
  // While something waits to be written, OpenSSL's own line comes: error:0A00010B:SSL routines:function:reason:file:line:
  const [, said] = /error:[0-9A-F]+:[^:]*:[^:]*:([^:]+):/.exec(error.message) ?? [];
  if (said !== undefined) return `TLS failed (${said})`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return otherName(error);
  if (code.startsWith('CERT_') || code.startsWith('UNABLE_TO_') || code.includes('_CERT')) {
    // Node.js adds advice on its own options behind a semicolon.
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
