/**
 * Makes one turn of a check: chooses the connection, the number of probes at once, and the time of the next turn.
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
  /** The link of this machine to the host, if it is down. */
  readonly deadLink: (host: string) => string | undefined;
  /** Called when a probe rejects, which is a fault of this program. */
  readonly fault: (unit: Unit, error: unknown) => void;
  readonly take: (unit: Unit, result: ProbeResult) => void;
};

/** Makes one turn of a unit; resolves with the pace of the next one. */
export type Prober = (unit: Unit, where: ProbeTarget) => Promise<Pace>;

/** The prober itself never rejects. Results go to `take`, except those of a unit that was stopped. */
export function createProber({ clock, probe, watch, suspicion, deadLink, fault, take }: ProberOptions): Prober {
  /** The number of further probes that run beside first ones without a response, over all targets. */
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
      // Packets over a dead link are lost, even if the link works again before the timeout.
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
    // Probing all of them every `fast` would show nothing more, and would cost most when most fail.
    return isContradicted(unit) && suspicion.alarm === undefined ? 'fast' : 'interval';
  };
}

/** Blames this machine for a failure without a response from the target, if the link to it is down. */
function blameLink(result: ProbeResult, deadLink: () => string | undefined): ProbeResult {
  if (result.passed || result.answered === true || result.fault !== undefined) return result;
  const link = deadLink();
  if (link === undefined) return result;
  return { ...result, reason: `${result.reason}; the link ${link} of this machine is down`, fault: 'network' };
}

/** The result without values of the environment: some errors contain the address of the target. */
function shownOf(result: ProbeResult, { host, port, written }: ProbeTarget): ProbeResult {
  if (written === undefined) return result;
  const reason = result.reason.replaceAll(`${host}:${String(port)}`, () => written).replaceAll(host, () => written);
  return { ...result, reason };
}
