/**
 * The course of one probe: it begins, its deadline runs, and it ends with one result.
 */
import { plainText } from '../../config/plain-text.ts';
import { codeOf } from '../../config/unknown-values.ts';
import { systemClock, type Clock } from '../clock.ts';
import { cancelDeadline, Deadline, startDeadline } from '../deadline.ts';
import { LATE_TIMER_MS } from '../limits.ts';
import { createStopper, type StopListener, type StopSignal } from '../stop-signal.ts';
import {
  describeError,
  elapsedSince,
  EXPIRED,
  failureOf,
  formatMs,
  ProbeFailure,
  type Learn,
  type ProbePassed,
  type ProbeResult,
  type Probing,
} from './probe.ts';

/**
 * A deadline for responses. If this thread was busy, timers fire before sockets are read, and a response that has
 * arrived would count as late. So the deadline waits for one turn of the event loop, and is extended once by the lost
 * time.
 */
abstract class ResponseDeadline extends Deadline {
  protected readonly clock: Clock;
  protected readonly timeoutMs: number;
  #isExtended = false;
  #isOver = false;

  constructor(clock: Clock, timeoutMs: number) {
    super();
    this.clock = clock;
    this.timeoutMs = timeoutMs;
  }

  /** No response has arrived in time. */
  protected abstract late(): void;

  protected start(): void {
    startDeadline(this, this.clock, this.timeoutMs);
  }

  /** `late` is not called after this. */
  protected end(): void {
    this.#isOver = true;
    cancelDeadline(this);
  }

  override expire(lateMs: number): void {
    if (!this.#isExtended && lateMs > LATE_TIMER_MS) {
      this.#isExtended = true;
      startDeadline(this, this.clock, Math.min(lateMs, this.timeoutMs));
      return;
    }
    setImmediate(() => {
      // Runs after promises that are already settled, because events of plain connections come without a tick of
      // Node.js.
      queueMicrotask(() => {
        process.nextTick(() => {
          if (!this.#isOver) this.late();
        });
      });
    });
  }
}

/** Calls back after `timeoutMs`, see `ResponseDeadline`. Returns a function that cancels it. */
export function awaitDeadline(clock: Clock, timeoutMs: number, late: () => void): () => void {
  const deadline = new CalledDeadline(clock, timeoutMs, late);
  return () => {
    deadline.cancel();
  };
}

class CalledDeadline extends ResponseDeadline {
  readonly #late: () => void;

  constructor(clock: Clock, timeoutMs: number, late: () => void) {
    super(clock, timeoutMs);
    this.#late = late;
    this.start();
  }

  cancel(): void {
    this.end();
  }

  protected override late(): void {
    this.#late();
  }
}

/**
 * One probe under way. A class, because thousands are made per second: a function with its closures would take ten
 * times the memory. `begin` is called first; then exactly one of `pass` and `fail`.
 */
export abstract class ProbeRun extends ResponseDeadline implements StopListener {
  readonly #probing: Pick<Probing, 'signal' | 'done'>;
  readonly #startedMs: number;
  #stopped: ProbeFailure | undefined = undefined;
  #learned: Parameters<Learn>[0] | undefined = undefined;

  constructor(timeoutMs: number, probing: Pick<Probing, 'signal' | 'clock' | 'done'>) {
    super(probing.clock ?? systemClock, timeoutMs);
    this.#probing = probing;
    this.#startedMs = this.clock.now();
  }

  /** The probe is cancelled, or its deadline has expired. It must fail soon; its result will have this reason. */
  protected abstract stop(reason: ProbeFailure): void;

  /** Whether `stop` was called. */
  protected get isStopped(): boolean {
    return this.#stopped !== undefined;
  }

  /** Starts the deadline. False if the probe was cancelled before: it has failed then. */
  protected begin(): boolean {
    const { signal } = this.#probing;
    if (signal.aborted) {
      this.#stopped = cancelled();
      this.fail(this.#stopped);
      return false;
    }
    signal.addEventListener('abort', this, ONCE);
    this.start();
    return true;
  }

  protected learn(what: Parameters<Learn>[0]): void {
    this.#learned = what;
  }

  protected pass(reason: string, load?: number): void {
    const result: ProbeResult = { passed: true, reason: plainText(reason), elapsedMs: this.#elapsedMs() };
    // Most results have neither.
    const hasMore = load !== undefined || this.#learned !== undefined;
    this.#settle(hasMore ? { ...result, ...(load === undefined ? {} : { load }), ...this.#learned } : result);
  }

  protected fail(error: unknown): void {
    const elapsedMs = this.#elapsedMs();
    if (this.#stopped !== undefined) {
      this.#settle({
        passed: false,
        reason: describeError(this.#stopped),
        elapsedMs,
        answered: false,
        ...this.#learned,
      });
      return;
    }
    const learned = hasExpired(error) ? { certificateEndsMs: EXPIRED } : this.#learned;
    this.#settle({ ...failureOf(error), elapsedMs, ...learned });
  }

  /** The signal was aborted. */
  handleEvent(): void {
    this.#stop(cancelled());
  }

  protected override late(): void {
    this.#stop(new ProbeFailure(this.lateReason()));
  }

  /** The reason when the deadline expires. */
  protected lateReason(): string {
    return `no answer in ${formatMs(this.timeoutMs)}`;
  }

  #stop(reason: ProbeFailure): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = reason;
    this.stop(reason);
  }

  #elapsedMs(): number {
    return elapsedSince(this.clock, this.#startedMs);
  }

  #settle(result: ProbeResult): void {
    this.end();
    this.#probing.signal.removeEventListener('abort', this);
    this.#probing.done(result);
  }
}

const ONCE = { once: true } as const;

function cancelled(): ProbeFailure {
  return new ProbeFailure('probe cancelled');
}

/** Whether a handshake failed because a certificate of the chain has expired. */
function hasExpired(error: unknown): boolean {
  return codeOf(error) === 'CERT_HAS_EXPIRED';
}

/** The attempt resolves with the reason why it passed, or rejects with the reason why it failed. */
type Attempt = (signal: StopSignal, learn: Learn) => Promise<string | ProbePassed>;

export type JudgeOptions = {
  readonly timeoutMs: number;
  readonly signal: StopSignal;
  readonly clock?: Clock | undefined;
  /** The reason when the deadline expires; by default "no answer". */
  readonly lateReason?: string | undefined;
};

/** Runs an attempt with a deadline. It must settle soon after its signal aborts. */
export function judge(options: JudgeOptions, attempt: Attempt): Promise<ProbeResult> {
  return new Promise((resolve) => {
    new JudgedRun(options, resolve).run(attempt);
  });
}

class JudgedRun extends ProbeRun {
  readonly #stopper = createStopper();
  readonly #lateReason: string | undefined;

  constructor({ timeoutMs, signal, clock = systemClock, lateReason }: JudgeOptions, done: Probing['done']) {
    super(timeoutMs, { signal, clock, done });
    this.#lateReason = lateReason;
  }

  run(attempt: Attempt): void {
    if (!this.begin()) return;
    void this.#follow(attempt);
  }

  protected override stop(reason: ProbeFailure): void {
    this.#stopper.abort(reason);
  }

  protected override lateReason(): string {
    return this.#lateReason ?? super.lateReason();
  }

  async #follow(attempt: Attempt): Promise<void> {
    let passed: string | ProbePassed;
    try {
      passed = await attempt(this.#stopper, (what) => {
        this.learn(what);
      });
    } catch (error) {
      this.fail(error);
      return;
    }
    if (typeof passed === 'string') this.pass(passed);
    else this.pass(passed.reason, passed.load);
  }
}
