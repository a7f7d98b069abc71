/**
 * Makes one turn of a check: chooses the connection, the number of probes at once, and the time of the next turn.
 */
import { failureOf, type ProbeResult, type ProbeTarget, type StartProbe } from './checks/probe.ts';
import type { Clock } from './clock.ts';
import type { ProbeConnection } from './connection.ts';
import { MAX_EXTRA_PROBES } from './limits.ts';
import { Round, type Attempt } from './round.ts';
import type { Turn } from './scheduler.ts';
import { askOthers, noteAsked, type Suspicion } from './suspect.ts';
import { doubtMsOf, fastMsOf, isContradicted, mayReuse, needsMore, type Unit } from './unit.ts';
import type { Watch } from './watch.ts';

export type ProberOptions = {
  readonly clock: Clock;
  readonly probe: StartProbe;
  readonly watch: Watch;
  readonly suspicion: Suspicion;
  /** The link of this machine to the host, if it is down. */
  readonly deadLink: (host: string) => string | undefined;
  /** Called with a fault of this program, in a probe or with its result. */
  readonly fault: (unit: Unit, error: unknown) => void;
  readonly take: (unit: Unit, result: ProbeResult) => void;
};

/** Makes one turn of a unit, and ends it with the pace of the next one. */
export type Prober = (unit: Unit, where: ProbeTarget, turn: Turn) => void;

/** Results go to `take`, except those of a unit that was stopped. */
export function createProber(options: ProberOptions): Prober {
  const { clock, watch } = options;
  const parts: Parts = { ...options, extra: 0 };
  return (unit, where, turn) => {
    const reused = mayReuse(unit) ? watch.take(unit.key) : undefined;
    // A target that serves one connection at a time would not answer while the old one is held.
    if (reused === undefined) watch.drop(unit.key);
    noteAsked(unit, clock.now());
    const round = new UnitRound(parts, unit, where, turn);
    unit.round = round;
    round.start(reused);
  };
}

type Parts = ProberOptions & {
  /** The number of further probes that run beside first ones without a response, over all targets. */
  extra: number;
};

class UnitRound extends Round {
  readonly #parts: Parts;
  readonly #unit: Unit;
  readonly #where: ProbeTarget;
  readonly #turn: Turn;

  constructor(parts: Parts, unit: Unit, where: ProbeTarget, turn: Turn) {
    super(parts.clock);
    this.#parts = parts;
    this.#unit = unit;
    this.#where = where;
    this.#turn = turn;
  }

  override keep(connection: ProbeConnection): void {
    if (this.#unit.stopped) connection.hangUp();
    else this.#parts.watch.keep(this.#unit.key, connection);
  }

  override conclude(attempt: Attempt, result: ProbeResult): void {
    this.#conclude(attempt, this.#blameLink(result, attempt.deadLink));
  }

  override fault(attempt: Attempt, error: unknown): void {
    if (!attempt.aborted) this.#parts.fault(this.#unit, error);
    this.#conclude(attempt, { ...failureOf(error), elapsedMs: 0 });
  }

  protected override doubtMs(): number {
    return doubtMsOf(this.#unit);
  }

  protected override fastMs(): number {
    return fastMsOf(this.#unit);
  }

  protected override wantsMore(underWay: number): boolean {
    const { extra, suspicion } = this.#parts;
    return extra < MAX_EXTRA_PROBES && suspicion.alarm === undefined && needsMore(this.#unit, underWay) > 0;
  }

  protected override ask(attempt: Attempt): void {
    const parts = this.#parts;
    const unit = this.#unit;
    if (!attempt.isFirst) {
      parts.extra += 1;
      askOthers(parts.suspicion, this.clock.now());
    }
    // Packets over a dead link are lost, even if the link works again before the timeout.
    if (!attempt.isFirst || unit.last?.passed === false) attempt.deadLink = parts.deadLink(this.#where.host);
    try {
      parts.probe(this.#where, unit.check, attempt);
    } catch (error) {
      attempt.fault(error);
    }
  }

  protected override take(result: ProbeResult, startedMs: number): void {
    try {
      noteAsked(this.#unit, startedMs);
      this.#parts.take(this.#unit, result);
    } catch (error) {
      this.#parts.fault(this.#unit, error);
    }
  }

  protected override end(): void {
    const unit = this.#unit;
    unit.round = undefined;
    // Probing all of them every `fast` would show nothing more, and would cost most when most fail.
    const isFast = isContradicted(unit) && this.#parts.suspicion.alarm === undefined;
    this.#turn.end(isFast ? 'fast' : 'interval');
  }

  #conclude(attempt: Attempt, result: ProbeResult): void {
    if (!attempt.isFirst) this.#parts.extra -= 1;
    this.hear(attempt, shownOf(result, this.#where));
  }

  /** Blames this machine for a failure without a response from the target, if the link to it is or was down. */
  #blameLink(result: ProbeResult, dead: string | undefined): ProbeResult {
    if (result.passed || result.answered === true || result.fault !== undefined) return result;
    const link = dead ?? this.#parts.deadLink(this.#where.host);
    if (link === undefined) return result;
    return { ...result, reason: `${result.reason}; the link ${link} of this machine is down`, fault: 'network' };
  }
}

/** The result without values of the environment: some errors contain the address of the target. */
function shownOf(result: ProbeResult, { host, port, written }: ProbeTarget): ProbeResult {
  if (written === undefined) return result;
  // `written` may contain the host, if only its port came from the environment.
  const around = result.reason.split(`${host}:${String(port)}`).map((text) => text.split(host).join(written));
  return { ...result, reason: around.join(written) };
}
