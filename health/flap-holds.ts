/**
 * The holds of checks that flap (`flapping.ts`): their timer, their alarm `flapping` and its text.
 */
import type { Alarms } from '../config/alarms.ts';
import { formatDuration } from '../config/units.ts';
import type { Cancel, Clock } from './clock.ts';
import { isHeldDown, NO_FLAPS, noteChange, resumeFlaps } from './flapping.ts';
import { FLAP_TICK_MS } from './limits.ts';
import type { SavedState } from './state-file.ts';
import type { Unit } from './unit.ts';

export type FlapHolds = {
  /** To be called after each change of the probed state that results made. */
  changed(unit: Unit): void;
  /** Forgets the last change, because `suspect` took it back. */
  takeBack(unit: Unit): void;
  /** The part of a saved state that describes its flaps. */
  readonly kept: (unit: Unit) => Pick<SavedState, 'changes' | 'heldUntil'>;
  /** Restores the flaps of a saved state. */
  resume(unit: Unit, saved: SavedState): void;
  /** Sets the checks. */
  configure(units: Iterable<Unit>): void;
  stop(): void;
};

export type FlapHoldOptions = {
  readonly clock: Clock;
  readonly alarms: Alarms;
  /** Called each second for each check that is held down, because the time left is part of the TTL. */
  readonly ticked: (unit: Unit) => void;
  /** Called when the hold of a check has ended. */
  readonly released: (unit: Unit) => void;
};

/** `flapping: 6 changes within 10m, held down until 2026-11-28 19:45:10 UTC` */
export function flapWords({ check: { flap }, flaps }: Unit, clock: Clock): string {
  if (flap === undefined) return '';
  const until = wallTime(flaps.heldUntilMs, clock).slice(0, 19).replace('T', ' ');
  return `flapping: ${String(flap.changes)} changes within ${formatDuration(flap.withinMs)}, held down until ${until} UTC`;
}

/** Formats a time of the monotonic clock as ISO 8601 in UTC. */
export function wallTime(ms: number, clock: Clock): string {
  return new Date(clock.wall() + ms - clock.now()).toISOString();
}

export function createFlapHolds({ clock, alarms, ticked, released }: FlapHoldOptions): FlapHolds {
  const held = new Set<Unit>();
  let cancel: Cancel | undefined;

  const tick = (): void => {
    cancel = undefined;
    for (const unit of held) {
      if (isHeldDown(unit.flaps, clock.now())) ticked(unit);
      else {
        end(unit);
        released(unit);
      }
    }
    wind();
  };
  const wind = (): void => {
    if (held.size === 0 || cancel !== undefined) return;
    const endMs = Math.min(...[...held].map(({ flaps }) => flaps.heldUntilMs));
    cancel = clock.after(Math.min(FLAP_TICK_MS, Math.max(0, endMs - clock.now())), tick);
  };
  const end = (unit: Unit): void => {
    held.delete(unit);
    unit.heldDown = false;
    for (const { target } of unit.members) alarms.clear('flapping', target);
  };
  /** Begins, continues or ends its hold, according to `flaps`. */
  const follow = (unit: Unit): void => {
    if (!isHeldDown(unit.flaps, clock.now())) {
      if (unit.heldDown) end(unit);
      return;
    }
    held.add(unit);
    unit.heldDown = true;
    for (const { target } of unit.members) alarms.raise('flapping', `${target} is ${flapWords(unit, clock)}.`, target);
    wind();
  };

  return {
    changed(unit) {
      const { flap } = unit.check;
      if (flap === undefined) return;
      unit.flapsBefore = unit.flaps;
      unit.flaps = noteChange(unit.flaps, clock.now(), flap);
      follow(unit);
    },
    takeBack(unit) {
      unit.flaps = unit.flapsBefore;
      follow(unit);
    },
    kept({ flaps: { changesMs, heldUntilMs } }) {
      if (changesMs.length === 0) return {};
      return {
        changes: changesMs.map((atMs) => wallTime(atMs, clock)),
        heldUntil: heldUntilMs > clock.now() ? wallTime(heldUntilMs, clock) : undefined,
      };
    },
    resume(unit, { changes = [], heldUntil }) {
      const { flap } = unit.check;
      if (flap === undefined) return;
      const ofWall = (time: string): number => clock.now() + Date.parse(time) - clock.wall();
      const heldUntilMs = heldUntil === undefined ? NO_FLAPS.heldUntilMs : ofWall(heldUntil);
      unit.flaps = unit.flapsBefore = resumeFlaps({ changesMs: changes.map(ofWall), heldUntilMs }, clock.now(), flap);
    },
    configure(units) {
      held.clear();
      for (const unit of units) follow(unit);
      alarms.retain('flapping', new Set([...held].flatMap(({ members }) => members.map(({ target }) => target))));
    },
    stop() {
      cancel?.();
    },
  };
}
