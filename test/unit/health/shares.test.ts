/**
 * What the health room writes beside states: weights of VIPs that come back (`ramp`), and pressures of those close to
 * full (`shed`).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startHealth, type Health, type HealthTarget } from '../../../health/engine.ts';
import {
  createHealthTable,
  FULL,
  holdSecondsOf,
  viewHealthTable,
  type HealthTable,
} from '../../../health/health-table.ts';
import { rampShare, weightWords } from '../../../health/ramp.ts';
import { createManualClock, pushCheck, tcpCheck, vip, type ManualClock } from './support.ts';

let stateDir: string;
const running: Health[] = [];

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'pharos-shares-'));
});
afterEach(async () => {
  for (const health of running.splice(0)) await health.stop();
  rmSync(stateDir, { recursive: true });
});

function room(clock: ManualClock = createManualClock()) {
  const down = new Set<string>();
  const loads = new Map<string, number>();
  const health = startHealth({
    stateDir,
    clock,
    log: () => undefined,
    warn: () => undefined,
    probe: ({ host }) => {
      const load = loads.get(host);
      const passed = !down.has(host);
      const result = { passed, reason: 'by table', elapsedMs: 1 };
      return Promise.resolve(load === undefined || !passed ? result : { ...result, load });
    },
  });
  running.push(health);
  const configure = (targets: readonly HealthTarget[]): HealthTable => {
    const memory = createHealthTable(targets.length);
    health.configure(targets, memory, targets.length);
    return viewHealthTable(memory, targets.length);
  };
  return { health, clock, down, loads, configure };
}

const check = tcpCheck({ intervalMs: 10_000, fastMs: 1000, rise: 1, fall: 1 });
const answers = { types: ['a'], minTtlSeconds: 5, maxTtlSeconds: 60, whenAllAreOut: true } as const;
const a = vip({ slot: 0, target: 'www.example.com/a', host: '192.0.2.1', weight: 4, check, rampMs: 300_000, answers });
const b = vip({ slot: 1, target: 'www.example.com/b', host: '192.0.2.2', weight: 1, check, rampMs: 300_000, answers });

describe('the share of a weight', () => {
  test.each([
    [0, 0.01],
    [150_000, 0.505],
    [299_999, 1],
    [300_000, 1],
    [-5, 0.01],
  ])('%i ms into a ramp of 5m: %f', (elapsed, share) => {
    expect(rampShare(elapsed, 300_000)).toBeCloseTo(share, 4);
  });

  test.each([
    [1, 0.01, 1, 99],
    [1, 0.5, 50, 50],
    [1, 1, 100, 0],
    [65_535, 0.01, 65_535, 6_487_965],
    [0, 0.01, 0, 0],
  ])('weight %i at %f is %i hundredths, %i withheld', (weight, share, now, withheld) => {
    expect(weightWords(weight, share, true)).toEqual({ weight: now, withheld });
  });

  test('without ramp, weights are not in hundredths', () => {
    expect(weightWords(4, 1, false)).toEqual({ weight: 4, withheld: 0 });
  });
});

describe('ramp', () => {
  test('a VIP that recovers comes back from 1 % to its full weight, second by second', async () => {
    const { clock, down, configure, health } = room();
    down.add('192.0.2.1');
    const table = configure([a, b]);
    await clock.advance(2000);
    expect([...table.weights], 'a VIP that is down has its weight').toEqual([400, 100]);
    down.clear();
    await clock.advance(11_000);
    const at = (): { weight: number | undefined; share: number | undefined } => ({
      weight: table.weights[0],
      share: health.list()[0]?.ramp,
    });
    const first = at();
    expect(first.weight).toBeGreaterThanOrEqual(4);
    expect(first.weight).toBeLessThan(20);
    expect(first.share).toBeCloseTo((first.weight ?? 0) / 400, 1);
    let before = 0;
    for (let second = 0; second < 280; second += 20) {
      expect(at().weight).toBeGreaterThan(before);
      expect((table.weights[0] ?? 0) + (table.withheld[0] ?? 0)).toBe(400);
      before = at().weight ?? 0;
      await clock.advance(20_000);
    }
    await clock.advance(20_000);
    expect([...table.weights]).toEqual([400, 100]);
    expect([...table.withheld]).toEqual([0, 0]);
    expect(health.list()[0]?.ramp).toBeUndefined();
  });

  test('it is at 1 % in the moment in which it is up again', async () => {
    const { clock, configure, health } = room();
    const pushed = { ...a, check: pushCheck() };
    const table = configure([pushed]);
    health.report(a.target, true);
    expect(table.weights[0], 'at the start, nobody recovers').toBe(400);
    health.report(a.target, false);
    health.report(a.target, true);
    expect(table.weights[0]).toBe(4);
    // A tenth of the ramp, and so no longer than that: half a minute.
    expect(holdSecondsOf(table.states[0] ?? 0)).toBe(30);
    await clock.advance(1000);
    expect(table.weights[0]).toBe(5);
  });

  test('who was drained comes back so too; who is forced up has all of it at once', async () => {
    const { clock, configure, health } = room();
    const table = configure([a, b]);
    await clock.advance(2000);
    health.override(a.target, { state: 'drain' });
    expect(table.weights[0]).toBe(400);
    health.override(a.target, undefined);
    expect(table.weights[0]).toBe(4);
    health.override(a.target, { state: 'up' });
    expect(table.weights[0]).toBe(400);
    health.override(a.target, undefined);
    expect(table.weights[0], 'it was never gone').toBe(400);
  });

  test('goes on over a reload and a restart, and ends with a failure', async () => {
    const clock = createManualClock();
    const first = room(clock);
    first.configure([a, b]);
    await clock.advance(2000);
    first.health.override(a.target, { state: 'drain' });
    first.health.override(a.target, undefined);
    await clock.advance(100_000);
    const reloaded = first.configure([b, a].map((target, slot) => ({ ...target, slot })));
    const share = (table: HealthTable, slot: number): number => (table.weights[slot] ?? 0) / 400;
    expect(share(reloaded, 1)).toBeCloseTo(0.34, 2);
    await first.health.stop();
    const second = room(clock);
    await clock.advance(50_000);
    const restarted = second.configure([a, b]);
    expect(share(restarted, 0)).toBeCloseTo(0.505, 2);
    expect(restarted.weights[1]).toBe(100);
    await clock.advance(30_000);
    expect(share(restarted, 0)).toBeCloseTo(0.6, 2);
    second.down.add('192.0.2.1');
    await clock.advance(11_000);
    expect(second.health.list()[0]).toMatchObject({ probed: 'down', ramp: undefined });
    expect(restarted.weights[0]).toBe(400);
  });

  test('a weight set at run time ramps as one of the file; 0 stays standby', () => {
    const { configure, health } = room();
    const table = configure([a]);
    health.override(a.target, { state: 'drain' });
    health.override(a.target, undefined);
    health.weigh(a.target, { weight: 1000 });
    expect([table.weights[0], table.withheld[0]]).toEqual([1000, 99_000]);
    health.weigh(a.target, { weight: 0 });
    expect([table.weights[0], table.withheld[0]]).toEqual([0, 0]);
  });
});

describe('shed', () => {
  const shed = { low: 0.8, high: 0.95 };
  const loaded = (change: Partial<HealthTarget> = {}): HealthTarget => ({ ...a, rampMs: 0, shed, ...change });
  const pushed = loaded({ check: pushCheck({ expiresMs: 600_000 }) });

  test.each([
    [undefined, 0.5, 0],
    [undefined, 0.875, 0.5],
    [undefined, 0.95, 1],
    [500, 437.5, 0.5],
    [500, 0.99, 0],
    [undefined, 1.45, 1.5],
  ])('capacity %s and a load of %f pushed: a pressure of %f', (capacity, load, pressure) => {
    const { configure, health } = room();
    const table = configure([{ ...pushed, capacity }]);
    expect(health.report(a.target, true, load)).toBe('ok');
    expect((table.pressures[0] ?? 0) / FULL).toBeCloseTo(pressure, 4);
    expect(health.list()[0]).toMatchObject({ load: load / (capacity ?? 1) });
    expect(health.list()[0]?.shed).toBeCloseTo(Math.min(1, pressure), 4);
  });

  test('the load of a check counts at its capacity; it rises at once and falls slowly', async () => {
    const { clock, configure, loads } = room();
    loads.set('192.0.2.1', 87.5);
    const table = configure([loaded({ capacity: 100 }), b]);
    const pressure = (): number => (table.pressures[0] ?? 0) / FULL;
    await clock.advance(2000);
    expect(pressure()).toBeCloseTo(0.5, 3);
    // The load may be another at the next check.
    expect(holdSecondsOf(table.states[0] ?? 0)).toBe(10);
    loads.set('192.0.2.1', 95);
    await clock.advance(10_000);
    expect(pressure()).toBeCloseTo(1, 3);
    loads.set('192.0.2.1', 20);
    await clock.advance(10_000);
    // The TTL is 10 s while it sheds, as long as the state can be trusted.
    expect(pressure()).toBeCloseTo(Math.exp(-1 / 12), 2);
    await clock.advance(1_200_000);
    expect(pressure()).toBeLessThan(0.001);
    expect(table.pressures[1]).toBe(0);
  });

  test('is gone with the VIP, and kept over a reload', () => {
    const { configure, health } = room();
    configure([pushed]);
    health.report(a.target, true, 0.95);
    const table = configure([pushed]);
    expect(table.pressures[0]).toBe(FULL);
    health.report(a.target, false, 0.95);
    expect(table.pressures[0]).toBe(0);
    health.report(a.target, true);
    expect(table.pressures[0]).toBe(0);
  });

  test('without shed, no load counts', () => {
    const { configure, health } = room();
    const table = configure([{ ...pushed, shed: undefined }]);
    health.report(a.target, true, 2);
    expect(table.pressures[0]).toBe(0);
    expect(health.list()[0]).toMatchObject({ load: undefined, shed: 0 });
  });
});
