/**
 * One turn of a target: a probe and, while that has no answer, a further probe beside it every `fast`. A silent target
 * must not take `fall` timeouts one after the other: the needed failures come `fast` apart (docs/health.md#silence).
 * The first probe that passes decides the turn.
 *
 *     start       fast      2 × fast              timeout   + fast    + 2 × fast
 *     first probe ├──────────────────────────────────┤ failed
 *                 second   ├──────────────────────────────────┤ failed
 *                          third    ├──────────────────────────────────┤ failed
 */
import type { Probing, ProbeResult } from './checks/probe.ts';
import type { Cancel, Clock } from './clock.ts';
import type { ProbeConnection } from './connection.ts';
import { cancelDeadline, Deadline, startDeadline } from './deadline.ts';
import { LightStopper } from './stop-signal.ts';

/** One turn. The deadline is the time at which another probe starts beside those that have no response. */
export abstract class Round extends Deadline {
  readonly clock: Clock;
  #latest: Attempt | undefined = undefined;
  /** Attempts without a result, besides the latest. */
  #others: Attempt[] = NONE;
  /** Further results are not taken. */
  #isSettled = false;
  #hasEnded = false;
  #cancelRecheck: Cancel | undefined = undefined;

  constructor(clock: Clock) {
    super();
    this.clock = clock;
  }

  /** How long the first probe may be without a response before another one starts. */
  protected abstract doubtMs(): number;
  protected abstract fastMs(): number;
  /** Whether to start one more probe while this number of probes has no response. */
  protected abstract wantsMore(underWay: number): boolean;
  /** Starts a probe, which ends with a call of `hear`. */
  protected abstract ask(attempt: Attempt): void;
  /** Takes a result. No call follows a result that passed, or `cancel`. */
  protected abstract take(result: ProbeResult, startedMs: number): void;
  /** All probes have ended, or one has passed and the others have been cancelled. */
  protected abstract end(): void;
  /** Called by a probe when it ends. */
  abstract conclude(attempt: Attempt, result: ProbeResult): void;
  /** Called by a probe when a fault of this program ends it. */
  abstract fault(attempt: Attempt, error: unknown): void;
  /** Takes over the connection of a passed probe. */
  abstract keep(connection: ProbeConnection): void;

  /** `reused`: the connection of an earlier probe. */
  start(reused?: ProbeConnection): void {
    this.#probe(reused);
  }

  /** Cancels all probes. The round ends when they have. */
  cancel(): void {
    this.#isSettled = true;
    const [latest, others] = [this.#latest, this.#others];
    for (const attempt of others) attempt.abort();
    latest?.abort();
  }

  override expire(): void {
    // Responses that arrived while this thread was busy are read before another probe starts.
    this.#cancelRecheck = this.clock.after(0, () => {
      this.#cancelRecheck = undefined;
      if (!this.#isSettled && this.wantsMore(this.#underWay())) this.#probe(undefined);
    });
  }

  /** Notes that a probe has ended. */
  protected hear(attempt: Attempt, result: ProbeResult): void {
    if (attempt === this.#latest) {
      cancelDeadline(this);
      this.#cancelRecheck?.();
      this.#cancelRecheck = undefined;
      this.#latest = undefined;
    } else this.#others = this.#others.filter((other) => other !== attempt);
    if (!this.#isSettled) {
      this.#isSettled = result.passed;
      this.take(result, attempt.startedMs);
      // Those that are cancelled may end within the call, and the round with the last of them.
      if (result.passed) this.cancel();
    }
    if (this.#underWay() > 0 || this.#hasEnded) return;
    this.#hasEnded = true;
    this.end();
  }

  #underWay(): number {
    return this.#others.length + (this.#latest === undefined ? 0 : 1);
  }

  #probe(reused: ProbeConnection | undefined): void {
    const isFirst = this.#underWay() === 0;
    if (this.#latest !== undefined) this.#others = [...this.#others, this.#latest];
    const attempt = new Attempt(this, isFirst, reused);
    this.#latest = attempt;
    if (this.wantsMore(this.#underWay())) startDeadline(this, this.clock, isFirst ? this.doubtMs() : this.fastMs());
    this.ask(attempt);
  }
}

const NONE: Attempt[] = [];

/** One probe of a round. */
export class Attempt extends LightStopper implements Probing {
  readonly round: Round;
  readonly isFirst: boolean;
  readonly reused: ProbeConnection | undefined;
  readonly startedMs: number;
  /** The link of this machine to the target, if it was down at the start. */
  deadLink: string | undefined = undefined;

  constructor(round: Round, isFirst: boolean, reused: ProbeConnection | undefined) {
    super();
    this.round = round;
    this.isFirst = isFirst;
    this.reused = reused;
    this.startedMs = round.clock.now();
  }

  get signal(): this {
    return this;
  }

  get clock(): Clock {
    return this.round.clock;
  }

  keep(connection: ProbeConnection): void {
    this.round.keep(connection);
  }

  done(result: ProbeResult): void {
    this.round.conclude(this, result);
  }

  fault(error: unknown): void {
    this.round.fault(this, error);
  }
}
