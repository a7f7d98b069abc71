/**
 * The path of one result: suspicion decides whether it counts, hysteresis makes a state of it, the state goes to the
 * health table, and a change is announced and saved.
 */
import { isPush } from '../config/check-kinds.ts';
import type { ProbeResult } from './checks/probe.ts';
import { isoTime } from './clock.ts';
import { announce, saveStates, type Engine } from './engine-state.ts';
import { flapWords } from './flap-holds.ts';
import { PROBED, type Probed } from './health-table.ts';
import type { Health } from './health.ts';
import { settleDown, undecided } from './hysteresis.ts';
import { noteProbeTime } from './probe-times.ts';
import { beliefIn, noteFault, reconsider } from './suspect.ts';
import { takeLoadOf, targetNamed, unitOf, writeTarget } from './table-writer.ts';
import {
  fallsWith,
  noteUnprobed,
  ownState,
  probedWord,
  raiseDoubt,
  shownState,
  takeResult,
  type Unit,
} from './unit.ts';

export function hearProbe(engine: Engine, unit: Unit, result: ProbeResult): void {
  const { counts, watch } = engine;
  counts.probes += 1;
  if (result.fault !== undefined) counts.notProbed += 1;
  else {
    unit.made += 1;
    if (!result.passed) {
      counts.failedProbes += 1;
      unit.failed += 1;
    }
  }
  if (result.fault === undefined) noteProbeTime(engine.probeTimes, result.elapsedMs);
  if (!result.passed) watch.failed(unit.key);
  hearResult(engine, unit, result);
}

/** A report on a target with a `push` check. */
export function hearReport(
  engine: Engine,
  text: string,
  healthy: boolean,
  load?: number,
): ReturnType<Health['report']> {
  const { pushes, writer } = engine;
  const target = targetNamed(writer, text);
  if (target === undefined) return 'unknown target';
  const unit = unitOf(writer, target);
  if (unit === undefined || !isPush(unit.check)) return 'not a push check';
  if (healthy) pushes.expect(unit.key, unit.check.expiresMs);
  else pushes.forget(unit.key);
  const reason = healthy ? 'reported healthy' : 'reported unhealthy';
  hearResult(engine, unit, { passed: healthy, reason, elapsedMs: 0, ...(load === undefined ? {} : { load }) }, true);
  return 'ok';
}

/** `reported`: the result is a report. A report is believed, since it does not come through this node's probes. */
export function hearResult(engine: Engine, unit: Unit, result: ProbeResult, reported = false): void {
  const { clock, electorate, flapHolds, notProbed, suspicion, writer } = engine;
  notProbed.note(unit, result);
  if (result.fault !== undefined) {
    noteFault(suspicion, unit, result.fault);
    noteUnprobed(unit, result, clock);
    noteHeard(engine, unit);
    return;
  }
  const belief = beliefIn(suspicion, unit, result, !reported && fallsWith(unit, result.passed));
  const before = shownState(unit);
  const isFirst = unit.state.probed === PROBED.UNKNOWN;
  const changed = takeResult(unit, result, clock, reported ? 'believed' : belief);
  if (changed && !isFirst) flapHolds.changed(unit);
  // In a fleet, the verdict may stay as it is. A restart begins with the own state.
  if (changed) saveStates(engine);
  if (result.passed) {
    takeLoadOf(writer, unit, result.load);
    // A report reaches the other nodes by itself.
    if (!reported && result.load !== undefined) electorate?.load?.(unit.key, result.load);
  } else {
    // What was read before a failure says nothing.
    for (const target of unit.members) writer.pressures.defer(target, undefined, 0, 0);
  }
  noteHeard(engine, unit);
  tell(engine, unit, before, result.reason);
  reconsider(suspicion, unit);
}

/** A unit that could not be probed counts as well: the first round ends even when this machine has a fault. */
function noteHeard({ unheard, firstRound }: Engine, unit: Unit): void {
  if (unheard.delete(unit) && unheard.size === 0) firstRound.done();
}

/** Votes where a fleet decides, and shows the unit's state. */
function tell(engine: Engine, unit: Unit, before: Probed, reason: string): void {
  const { electorate } = engine;
  if (electorate === undefined) {
    show(engine, unit, before, reason);
    return;
  }
  // A vote that changes the verdict comes back through `takeVerdict`, which announces it.
  electorate.vote(unit.key, unit.state.decided ? ownState(unit) : PROBED.UNKNOWN, reason);
  show(engine, unit, shownState(unit), reason);
}

/** Shows another verdict of the fleet. */
export function takeVerdict(engine: Engine, key: string): void {
  const { electorate, writer } = engine;
  const unit = writer.units.byKey.get(key);
  if (electorate === undefined || unit === undefined) return;
  const before = shownState(unit);
  unit.verdict = electorate.verdict(key);
  show(engine, unit, before, electorate.dissent(key) ?? unit.last?.reason ?? '');
}

/** Takes a load that another node of the fleet has read. */
export function takeLoad({ writer }: Engine, key: string, load: number): void {
  const unit = writer.units.byKey.get(key);
  if (unit === undefined) return;
  takeLoadOf(writer, unit, load);
  for (const target of unit.members) writeTarget(writer, target);
}

/** Probes a unit early, because another node of the fleet sees another state. */
export function doubtUnit({ scheduler, writer }: Engine, key: string): void {
  const unit = writer.units.byKey.get(key);
  if (unit === undefined) return;
  raiseDoubt(unit);
  scheduler.hasten(key);
}

/** Writes the unit's state to the table. If it is not `before`, also announces and saves it. */
function show(engine: Engine, unit: Unit, before: Probed, reason: string): void {
  const { clock, writer } = engine;
  const shown = shownState(unit);
  if (shown !== before) unit.since = isoTime(clock);
  for (const target of unit.members) writeTarget(writer, target);
  if (shown !== before) {
    const [from, to] = [probedWord(before), probedWord(shown)];
    const why = unit.heldDown ? `${reason}; ${flapWords(unit, clock)}` : reason;
    for (const { target } of unit.members) announce(engine, { kind: 'state', target, from, to, reason: why });
  } else if (!unit.heldDown) return;
  saveStates(engine);
}

/** Takes down a unit whose failures were pending (`suspect.ts`). */
export function takeDown(engine: Engine, unit: Unit): void {
  const before = shownState(unit);
  unit.state = settleDown(unit.state);
  engine.flapHolds.changed(unit);
  saveStates(engine);
  tell(engine, unit, before, unit.last?.reason ?? '');
}

/** Brings up a unit that went down just before states were frozen. */
export function restoreUp(engine: Engine, unit: Unit): void {
  const before = shownState(unit);
  unit.state = { ...unit.state, probed: PROBED.UP };
  engine.flapHolds.takeBack(unit);
  saveStates(engine);
  tell(engine, unit, before, 'too many VIPs failed at once: previous state restored');
}

/** Lets the next result decide, when states are no longer frozen. */
export function leaveToNextResult({ pushes, writer }: Engine, unit: Unit): void {
  unit.state = undecided(unit.state);
  if (isPush(unit.check)) pushes.expect(unit.key, unit.check.expiresMs);
  for (const target of unit.members) writeTarget(writer, target);
}

/** Shows the probed state of a unit whose flap hold has ended. */
export function endFlapHold(engine: Engine, unit: Unit): void {
  tell(engine, unit, PROBED.DOWN, `no longer held down for flapping; ${unit.last?.reason ?? ''}`);
}
