/**
 * `flap` (docs/health.md#flapping): compares the rule with a slow one over the whole past, and tests what the room does
 * with it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createAlarms } from '../../../config/alarms.ts';
import type { FlapRule } from '../../../config/check-timing.ts';
import { startHealth, type Health, type HealthEvent, type HealthTarget } from '../../../health/engine.ts';
import { isHeldDown, NO_FLAPS, noteChange, resumeFlaps } from '../../../health/flapping.ts';
import { createHealthTable, holdSecondsOf, probedOf, viewHealthTable } from '../../../health/health-table.ts';
import { createDice, printedSeed, trials } from '../../support/random.ts';
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
  expect(held).toBeGreaterThan(1000);
});

test('a resumed hold is no longer than the rule allows, whatever the clock did', () => {
  const rule = { changes: 3, withinMs: 100, holdMs: 50 };
  expect(resumeFlaps({ changesMs: [-500, 20, 900], heldUntilMs: 9000 }, 30, rule)).toEqual({
    changesMs: [20, 30],
    heldUntilMs: 80,
  });
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

/** A room with one VIP whose probes pass while `up.value`; `restart` starts another with the same folder and clock. */
function room() {
  const clock = createManualClock();
  const events: HealthEvent[] = [];
  const up = { value: true };
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
      probe: () => Promise.resolve({ passed: up.value, reason: up.value ? 'fine' : 'not fine', elapsedMs: 1 }),
    });
    running.push(health);
    let table = viewHealthTable(createHealthTable(1), 1);
    const configure = (change: Partial<HealthTarget> = {}): void => {
      const memory = createHealthTable(1);
      health.configure([vip({ slot: 0, target: 'www.example.com/a', check, host: '192.0.2.1', ...change })], memory, 1);
      table = viewHealthTable(memory, 1);
    };
    const state = (): string => '?UD'[probedOf(table.states[0] ?? 0)] ?? '';
    const flapping = () => alarms.list().filter(({ code }) => code === 'flapping');
    return { health, configure, state, flapping, hold: () => holdSecondsOf(table.states[0] ?? 0) };
  };
  /** Changes what the probes say, and waits until one has said so. */
  const turn = async (): Promise<void> => {
    up.value = !up.value;
    await clock.advance(1000);
  };
  const told = (): string[] => events.map(({ from, to, reason }) => `${from}→${to}: ${reason}`);
  return { clock, up, start, turn, told };
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
});
