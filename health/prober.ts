/**
 * One turn of a check: on which connection it is probed, how many probes there are at once, and when the next turn is.
 */
import { failureOf, type Probe, type ProbeResult, type ProbeTarget } from './checks/probe.ts';
import type { Clock } from './clock.ts';
import type { ProbeConnection } from './connection.ts';
import { MAX_EXTRA_PROBES } from './limits.ts';
import { startRound } from './round.ts';
import type { Pace } from './scheduler.ts';
import type { StopSignal } from './stop-signal.ts';
import { askOthers, noteAsked, type Suspicion } from './suspect.ts';
import { doubtMsOf, fastMsOf, isContradicted, mayReuse, needsMore, type Unit } from './unit.ts';
import type { Watch } from './watch.ts';

export type ProberOptions = {
  readonly clock: Clock;
  readonly probe: Probe;
  readonly watch: Watch;
  readonly suspicion: Suspicion;
  /** The link of this machine to the host, where that is down. */
  readonly deadLink: (host: string) => string | undefined;
  /** A probe rejected, which none should. */
  readonly fault: (unit: Unit, error: unknown) => void;
  readonly take: (unit: Unit, result: ProbeResult) => void;
};

/** One turn of a unit; resolves to when the next one is. */
export type Prober = (unit: Unit, where: ProbeTarget) => Promise<Pace>;

/** Never rejects by itself; results come through `take`, and none of a unit that was stopped. */
export function createProber({ clock, probe, watch, suspicion, deadLink, fault, take }: ProberOptions): Prober {
  /** Probes beside a first one that is without an answer, of all targets. */
  let extra = 0;

  return async (unit, where) => {
    const reused = mayReuse(unit) ? watch.take(unit.key) : undefined;
    // A target that serves one connection at a time would not answer while the old one is held.
    if (reused === undefined) watch.drop(unit.key);
    noteAsked(unit, clock.now());
    const keep = (connection: ProbeConnection): void => {
      if (unit.stopped) connection.hangUp();
      else watch.keep(unit.key, connection);
    };
    const ask = async (signal: StopSignal, first: boolean): Promise<ProbeResult> => {
      if (!first) {
        extra += 1;
        askOthers(suspicion, clock.now());
      }
      // What is sent over a dead link is lost, though the link may be back before the time is over.
      const dead = first && unit.last?.passed !== false ? undefined : deadLink(where.host);
      try {
        const result = await probe(where, unit.check, signal, { keep, reused: first ? reused : undefined, clock });
        return shownOf(
          blameLink(result, () => dead ?? deadLink(where.host)),
          where,
        );
      } catch (error) {
        if (!signal.aborted) fault(unit, error);
        return shownOf({ ...failureOf(error), elapsedMs: 0 }, where);
      } finally {
        if (!first) extra -= 1;
      }
    };
    const round = startRound({
      clock,
      doubtMs: doubtMsOf(unit),
      fastMs: fastMsOf(unit),
      wantsMore: (underWay) =>
        extra < MAX_EXTRA_PROBES && suspicion.alarm === undefined && needsMore(unit, underWay) > 0,
      ask,
      take: (result, startedMs) => {
        noteAsked(unit, startedMs);
        take(unit, result);
      },
    });
    unit.cancel = round.cancel;
    await round.done;
    unit.cancel = undefined;
    // Asking all of them every `fast` would tell no more, and cost most where most fail.
    return isContradicted(unit) && suspicion.alarm === undefined ? 'fast' : 'interval';
  };
}

/** A failure that nothing of the target came with is this machine's where its link is down. */
function blameLink(result: ProbeResult, deadLink: () => string | undefined): ProbeResult {
  if (result.passed || result.answered === true || result.fault !== undefined) return result;
  const link = deadLink();
  if (link === undefined) return result;
  return { ...result, reason: `${result.reason}; the link ${link} of this machine is down`, fault: 'network' };
}

/** The result without a value of the environment: some errors name the address that was connected to. */
function shownOf(result: ProbeResult, { host, port, written }: ProbeTarget): ProbeResult {
  if (written === undefined) return result;
  const reason = result.reason.replaceAll(`${host}:${String(port)}`, () => written).replaceAll(host, () => written);
  return { ...result, reason };
}
