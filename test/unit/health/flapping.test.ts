/**
 * `flap` (docs/health.md#flapping): compares the rule with a slow one over the whole past, and tests what the room does
 * with it.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createAlarms } from '../../../config/alarms.ts';
import type { FlapRule } from '../../../config/check-timing.ts';
import { startHealth, type Health, type HealthEvent, type HealthTarget } from '../../../health/engine.ts';
import { isHeldDown, NO_FLAPS, noteChange, resumeFlaps } from '../../../health/flapping.ts';
import { createHealthTable, holdSecondsOf, probedOf, viewHealthTable } from '../../../health/health-table.ts';
import { createDice, moreThan, printedSeed, trials } from '../../support/random.ts';
import { createManualClock, httpCheck, pushCheck, vip } from './support.ts';

/** Held down at a time: some change, at most `hold` ago, was the last of `changes` within `within`. */
function heldByTheBook(changesMs: readonly number[], nowMs: number, { changes, withinMs, holdMs }: FlapRule): boolean {
  return changesMs.some((atMs) => {
    const counted = changesMs.filter((other) => other <= atMs && atMs - other <= withinMs).length;
    return counted >= changes && atMs <= nowMs && nowMs < atMs + holdMs;
  });
}

test('the rule agrees with the reference at every moment, for random changes and rules', () => {
  const dice = createDice(printedSeed('flapping'));
  let held = 0;
  for (let round = 0; round < trials(400); round += 1) {
    const rule = { changes: 2 + dice.below(6), withinMs: 1 + dice.below(60), holdMs: 1 + dice.below(80) };
    const past: number[] = [];
    let flaps = NO_FLAPS;
    for (let nowMs = 0; nowMs < 300; nowMs += 1) {
      if (dice.chance(round % 2 === 0 ? 0.15 : 0.03)) {
        past.push(nowMs);
        flaps = noteChange(flaps, nowMs, rule);
        expect(flaps.changesMs.length).toBeLessThanOrEqual(rule.changes);
      }
      const wanted = heldByTheBook(past, nowMs, rule);
      if (isHeldDown(flaps, nowMs) !== wanted) expect.fail(JSON.stringify({ rule, past, nowMs, wanted }));
      // A restart at any moment changes nothing.
      flaps = resumeFlaps(flaps, nowMs, rule);
      if (wanted) held += 1;
    }
  }
  expect(held).toBeGreaterThan(moreThan(1000));
});

test('a resumed hold is no longer than the rule allows, whatever the clock did', () => {
  const rule = { changes: 3, withinMs: 100, holdMs: 50 };
  expect(resumeFlaps({ changesMs: [-500, 20, 900], heldUntilMs: 9000 }, 30, rule)).toEqual({
    changesMs: [20, 30],
    heldUntilMs: 80,
  });
});

test('a resumed rule has the last changes, those exactly `within` ago too', () => {
  const flaps = { changesMs: [10, 20, 30, 110], heldUntilMs: 0 };
  const rule = { changes: 3, withinMs: 100, holdMs: 50 };
  expect(resumeFlaps(flaps, 110, rule).changesMs).toEqual([20, 30, 110]);
  expect(resumeFlaps(flaps, 110, { ...rule, changes: 5 }).changesMs).toEqual([10, 20, 30, 110]);
  expect(resumeFlaps(flaps, 111, { ...rule, changes: 5 }).changesMs).toEqual([20, 30, 110]);
});

let stateDir: string;
const running: Health[] = [];
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'pharos-flapping-'));
});
afterEach(async () => {
  for (const health of running.splice(0)) await health.stop();
  rmSync(stateDir, { recursive: true });
});

const flap = { changes: 4, withinMs: 60_000, holdMs: 30_000 };
const check = httpCheck({ intervalMs: 1000, fastMs: 1000, rise: 1, fall: 1, flap });

/** A room whose probes pass until `turn`; a second `start` is another process with the same folder and clock. */
function room(share = 0) {
  const clock = createManualClock();
  const events: HealthEvent[] = [];
  const up = { value: true };
  /** Hosts that fail in any case. */
  const failing = new Set<string>();
  const start = () => {
    const alarms = createAlarms(() => clock.wall());
    const health = startHealth({
      stateDir,
      clock,
      alarms,
      log: (event) => events.push(event),
      warn: (message) => {
        throw new Error(message);
      },
      suspect: () => share,
      probe: ({ host }) => {
        const passed = up.value && !failing.has(host);
        return Promise.resolve({ passed, reason: passed ? 'fine' : 'not fine', elapsedMs: 1 });
      },
    });
    running.push(health);
    let table = viewHealthTable(createHealthTable(1), 1);
    /** One VIP, or as many as there are changes: a, b, c, … */
    const configure = (...changes: Partial<HealthTarget>[]): void => {
      const targets = (changes.length === 0 ? [{}] : changes).map((change, slot) =>
        vip({ slot, target: `www.example.com/${'abc'[slot] ?? ''}`, check, host: `192.0.2.${slot + 1}`, ...change }),
      );
      const memory = createHealthTable(targets.length);
      health.configure(targets, memory, targets.length);
      table = viewHealthTable(memory, targets.length);
    };
    const state = (): string => [...table.states].map((word) => '?UD'[probedOf(word)] ?? '').join('');
    const flapping = () => alarms.list().filter(({ code }) => code === 'flapping');
    return { health, configure, state, flapping, hold: () => holdSecondsOf(table.states[0] ?? 0) };
  };
  /** Changes what the probes say, and waits until one has said so. */
  const turn = async (): Promise<void> => {
    up.value = !up.value;
    await clock.advance(1000);
  };
  const told = (): string[] => events.map(({ from, to, reason }) => `${from}→${to}: ${reason}`);
  return { clock, failing, start, turn, told };
}

describe('a VIP that changes too often', () => {
  test('is held down, says why, raises an alarm, and is released', async () => {
    const { clock, start, turn, told } = room();
    const { configure, state, flapping, health, hold } = start();
    configure();
    await clock.advance(1000);
    for (const wanted of ['D', 'U', 'D']) {
      await turn();
      expect([state(), flapping()]).toEqual([wanted, []]);
    }
    await turn();
    expect(state()).toBe('D');
    expect(hold()).toBeGreaterThan(27);
    expect(flapping()).toMatchObject([{ subject: 'www.example.com/a', severity: 'warning' }]);
    const why = /^flapping: 4 changes within 1m, held down until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/;
    expect(flapping()[0]?.message).toMatch(/^www\.example\.com\/a is flapping: 4 changes within 1m, held down until/);
    expect(health.list()[0]?.last?.reason).toMatch(why);
    expect(health.list()[0]?.last?.reason).toMatch(/; fine$/);
    expect(health.list()[0]).toMatchObject({ probed: 'down', effective: 'down' });
    await clock.advance(28_000);
    expect(state()).toBe('D');
    expect(hold()).toBeLessThan(3);
    await clock.advance(2000);
    expect([state(), flapping()]).toEqual(['U', []]);
    expect(health.list()[0]?.heldUntil).toBeUndefined();
    expect(health.list()[0]?.last?.reason).toBe('fine');
    expect(told()).toEqual([
      'unknown→up: fine',
      'up→down: not fine',
      'down→up: fine',
      'up→down: not fine',
      'down→up: no longer held down for flapping; fine',
    ]);
  });

  test('without the key its changes count', async () => {
    const { clock, start, turn } = room();
    const { configure, state, flapping } = start();
    configure({ check: httpCheck({ ...check, flap: undefined }) });
    await clock.advance(1000);
    for (const wanted of ['D', 'U', 'D', 'U', 'D', 'U']) {
      await turn();
      expect([state(), flapping()]).toEqual([wanted, []]);
    }
  });

  test("an operator's `up` has priority, and reports of a push check count as changes", async () => {
    const { clock, start } = room();
    const { configure, health, state, flapping } = start();
    configure({ check: pushCheck({ flap }) });
    for (const healthy of [true, false, true, false, true]) health.report('www.example.com/a', healthy);
    expect([state(), flapping().length, health.list()[0]?.effective]).toEqual(['D', 1, 'down']);
    health.override('www.example.com/a', { state: 'up' });
    expect(health.list()[0]).toMatchObject({ probed: 'down', effective: 'up' });
    await clock.advance(100);
  });

  test('stays down over a reload, also one that changes the check, and over a restart', async () => {
    const { clock, start, turn } = room();
    const first = start();
    first.configure();
    await clock.advance(1000);
    for (let count = 0; count < 4; count += 1) await turn();
    const until = first.health.list()[0]?.heldUntil;
    expect(until).toBeDefined();
    first.configure({ weight: 7 });
    expect([first.state(), first.health.list()[0]?.heldUntil]).toEqual(['D', until]);
    first.configure({ check: httpCheck({ ...check, timeoutMs: 900 }) });
    expect([first.state(), first.health.list()[0]?.heldUntil]).toEqual(['D', until]);
    await clock.advance(2000);
    expect([first.state(), first.flapping().length]).toEqual(['D', 1]);
    await first.health.stop();

    const second = start();
    second.configure();
    expect([second.state(), second.health.list()[0]?.heldUntil]).toEqual(['D', until]);
    await clock.advance(3000);
    expect([second.state(), second.flapping().length]).toEqual(['D', 1]);
    // A reload that removes the key ends it.
    second.configure({ check: httpCheck({ ...check, flap: undefined }) });
    expect([second.state(), second.flapping()]).toEqual(['U', []]);
  });

  /** Reports that make a `push` check of this rule flap. */
  function flapNow(health: Health, target = 'www.example.com/a'): void {
    for (const healthy of [true, false, true, false, true]) health.report(target, healthy);
  }

  test('without results its TTL falls each second, and it is released at the end of the hold, not at a tick', async () => {
    const { clock, start, told } = room();
    const { configure, health, state, hold } = start();
    const lasting = pushCheck({ expiresMs: 600_000, flap: { ...flap, holdMs: 30_500 } });
    configure({ check: lasting }, { check: { ...lasting, flap: { ...flap, holdMs: 45_250 } } });
    const idle = clock.timers();
    flapNow(health, 'www.example.com/a');
    flapNow(health, 'www.example.com/b');
    expect([state(), hold()]).toEqual(['DD', 30]);
    await clock.advance(10_000);
    expect(hold()).toBe(20);
    await clock.advance(20_499);
    expect(state()).toBe('DD');
    await clock.advance(1);
    expect(state()).toBe('UD');
    await clock.advance(14_749);
    expect(state()).toBe('UD');
    await clock.advance(1);
    expect(state()).toBe('UU');
    expect(told().filter((line) => line.includes('no longer held down'))).toHaveLength(2);
    await clock.advance(2000);
    // What is left are the timers of the reports.
    expect(clock.timers()).toBeLessThanOrEqual(idle + 2);
  });

  test('one timer serves all holds, and none is left after the last hold, a reload without the check, or a stop', async () => {
    const { clock, start, told } = room();
    const { configure, health, state, flapping } = start();
    const released = (): number => told().filter((line) => line.includes('no longer held down')).length;
    const lasting = pushCheck({ expiresMs: 600_000, flap });
    configure({ check: lasting }, { check: { ...lasting, name: 'other', flap: { ...flap, holdMs: 20_000 } } });
    health.report('www.example.com/a', true);
    health.report('www.example.com/b', true);
    // The timer that saves the states ends too.
    await clock.advance(5000);
    const reported = clock.timers();
    flapNow(health, 'www.example.com/a');
    flapNow(health, 'www.example.com/b');
    await clock.advance(5000);
    expect([clock.timers(), flapping().length]).toEqual([reported + 1, 2]);
    await clock.advance(20_000);
    expect([clock.timers(), state(), flapping().length]).toEqual([reported + 1, 'DU', 1]);
    await clock.advance(10_000);
    expect([clock.timers(), state(), flapping().length]).toEqual([reported, 'UU', 0]);

    flapNow(health, 'www.example.com/a');
    expect(flapping()).toHaveLength(1);
    configure({ target: 'www.example.com/c', check: pushCheck({ name: 'else' }), host: '192.0.2.3' });
    expect([flapping(), released()]).toEqual([[], 2]);
    await clock.advance(60_000);
    expect([flapping(), released()]).toEqual([[], 2]);

    configure({ check: lasting });
    flapNow(health, 'www.example.com/a');
    expect(flapping()).toHaveLength(1);
    await health.stop();
    expect(clock.timers()).toBe(0);
  });

  test('changes count over a restart, and a state file has none of a check that has not changed', async () => {
    const { clock, start, turn } = room();
    const first = start();
    first.configure({}, { check: pushCheck({ flap }), host: '192.0.2.2' });
    await clock.advance(1000);
    first.health.report('www.example.com/b', true);
    for (let count = 0; count < 3; count += 1) await turn();
    expect(first.flapping()).toEqual([]);
    await first.health.stop();
    const saved = readFileSync(join(stateDir, 'health.json'), 'utf8');
    expect(saved.match(/"changes"/g)).toHaveLength(1);
    expect(saved).not.toContain('heldUntil');

    const second = start();
    second.configure();
    await clock.advance(1000);
    expect([second.state(), second.flapping().length]).toEqual(['D', 0]);
    await turn();
    expect([second.state(), second.flapping().length]).toEqual(['D', 1]);
  });

  test('a change that was a fault of this node (`suspect`) does not count, and ends the hold that it began', async () => {
    const { clock, failing, start, told } = room(0.7);
    const { configure, state, flapping } = start();
    const own = { intervalMs: 1000, fastMs: 200, rise: 1, fall: 1 };
    const flaps = httpCheck({ ...own, flap: { ...flap, changes: 3 } });
    configure({ check: flaps }, { check: httpCheck(own) }, { check: httpCheck(own) });
    await clock.advance(5000);
    expect(state()).toBe('UUU');
    failing.add('192.0.2.1');
    await clock.advance(8000);
    failing.clear();
    await clock.advance(3000);
    expect([state(), flapping().length]).toEqual(['UUU', 0]);
    failing.add('192.0.2.1');
    for (let waitedMs = 0; state() === 'UUU' && waitedMs < 10_000; waitedMs += 20) await clock.advance(20);
    expect([state(), flapping().length]).toEqual(['DUU', 1]);
    failing.add('192.0.2.2').add('192.0.2.3');
    await clock.advance(3000);
    expect([state(), flapping()]).toEqual(['UUU', []]);
    expect(told().at(-1)).toContain('previous state restored');
  });
});
