/**
 * What is changed at run time: weights, who may change what, when a drained VIP is safe to stop; and the clock.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startHealth, type Health, type HealthEvent, type HealthTarget } from '../../../health/engine.ts';
import {
  createHealthTable,
  FORCED,
  forcedOf,
  viewHealthTable,
  type HealthTable,
} from '../../../health/health-table.ts';
import type { AnswerTraits } from '../../../health/target-names.ts';
import { createManualClock, pushCheck, tcpCheck, vip, type ManualClock } from './support.ts';

let stateDir: string;
const running: Health[] = [];

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'pharos-run-time-'));
});
afterEach(async () => {
  for (const health of running.splice(0)) await health.stop();
  rmSync(stateDir, { recursive: true });
});

function room(clock: ManualClock = createManualClock()) {
  const events: HealthEvent[] = [];
  const probes: number[] = [];
  const down = new Set<string>();
  const health = startHealth({
    stateDir,
    clock,
    log: (event) => events.push(event),
    warn: () => undefined,
    probe: ({ host }) => {
      probes.push(clock.now());
      return Promise.resolve({ passed: !down.has(host), reason: 'by table', elapsedMs: 1 });
    },
  });
  running.push(health);
  const configure = (targets: readonly HealthTarget[]): HealthTable => {
    const memory = createHealthTable(targets.length);
    health.configure(targets, memory, targets.length);
    return viewHealthTable(memory, targets.length);
  };
  const told = (): string[] =>
    events.map(({ kind, target, from, to, reason }) => `${kind} ${target} ${from}→${to}: ${reason}`);
  /** Seconds until it is safe to stop; undefined while it may be answered with. */
  const safeIn = (target: string): number | undefined => {
    const safeAt = health.overrides().find((one) => one.target === target)?.safeAt;
    return safeAt === undefined ? undefined : (Date.parse(safeAt) - clock.wall()) / 1000;
  };
  return { health, clock, probes, down, configure, told, safeIn };
}

const a = vip({ slot: 0, target: 'www.example.com/a', region: 'seoul', weight: 4 });
const b = vip({ slot: 1, target: 'www.example.com/b', region: 'seoul' });
const c = vip({ slot: 2, target: 'www.example.com/c', region: 'dublin' });

describe('weights', () => {
  test('stand above the file, over reloads, and are given back', () => {
    const { health, configure, told } = room();
    const table = configure([a, b]);
    expect(health.weigh('WWW.example.com./a', { weight: 10, reason: 'canary' })).toMatchObject({ kind: 'ok' });
    expect([...table.weights]).toEqual([10, 1]);
    expect(health.list()[0]).toMatchObject({ weight: 10, fileWeight: 4, weightOverride: { weight: 10 } });
    const next = configure([{ ...a, weight: 7 }, b]);
    expect([...next.weights]).toEqual([10, 1]);
    expect(health.weights()).toMatchObject([{ weight: 10, fileWeight: 7, present: true, reason: 'canary' }]);
    health.weigh('www.example.com/a', undefined);
    expect([...next.weights]).toEqual([7, 1]);
    expect(told()).toEqual([
      'weight www.example.com/a 4→10: canary',
      'weight www.example.com/a 10→7: weight override cleared; the zone file decides again',
    ]);
  });

  test('are set for the VIPs that a region has', () => {
    const { health, configure } = room();
    const table = configure([a, b, c]);
    expect(health.weigh('www.example.com/@seoul', { weight: 0 })).toMatchObject({ targets: [a.target, b.target] });
    expect([...table.weights]).toEqual([0, 0, 1]);
    expect(health.weigh('@tokyo', { weight: 0 })).toEqual({ kind: 'unknown target' });
  });

  test.each([-1, 65_536, 1.5, Number.NaN])('%d is none', (weight) => {
    const { health, configure } = room();
    configure([a]);
    expect(() => health.weigh(a.target, { weight })).toThrow(RangeError);
  });

  test('survive a restart, and the absence of their target', async () => {
    const first = room();
    first.configure([a, b]);
    const outcome = first.health.weigh(a.target, { weight: 9 });
    expect(outcome.kind === 'ok' && (await outcome.saved)).toBe(true);
    const second = room();
    second.configure([b].map((target) => ({ ...target, slot: 0 })));
    expect(second.health.weights()).toMatchObject([{ target: a.target, weight: 9, present: false }]);
    expect([...second.configure([a, b]).weights]).toEqual([9, 1]);
    second.configure([]);
    expect(second.health.weigh(a.target, undefined)).toMatchObject({ kind: 'ok', targets: [a.target] });
    expect(second.health.weigh(a.target, undefined)).toEqual({ kind: 'unknown target' });
  });
});

describe("a schedule changes nothing where an operator's word holds", () => {
  test('states', () => {
    const { health, configure } = room();
    const table = configure([a, b]);
    health.override(a.target, { state: 'drain' });
    const forced = (): number[] => [...table.states].map(forcedOf);
    expect(health.override('@seoul', { state: 'up' }, 'schedule')).toMatchObject({
      targets: [b.target],
      kept: [a.target],
    });
    expect(forced()).toEqual([FORCED.DRAIN, FORCED.UP]);
    expect(health.override('@seoul', undefined, 'schedule')).toMatchObject({ targets: [b.target], kept: [a.target] });
    expect(forced()).toEqual([FORCED.DRAIN, FORCED.NONE]);
    health.override('@seoul', undefined);
    health.override('@seoul', { state: 'down' }, 'schedule');
    health.override(a.target, { state: 'up' });
    expect(forced()).toEqual([FORCED.UP, FORCED.DOWN]);
  });

  test('weights', () => {
    const { health, configure } = room();
    const table = configure([a, b]);
    health.weigh('@seoul', { weight: 2 }, 'schedule');
    health.weigh(a.target, { weight: 3 });
    expect(health.weigh('@seoul', undefined, 'schedule')).toMatchObject({ targets: [b.target], kept: [a.target] });
    expect([...table.weights]).toEqual([3, 1]);
  });
});

describe('safe to stop', () => {
  const traits = (min: number, max: number, whenAllAreOut = true): AnswerTraits => {
    return { types: ['a'], minTtlSeconds: min, maxTtlSeconds: max, whenAllAreOut };
  };
  const fixed = (ttl: number): HealthTarget[] => [a, b, c].map((one) => ({ ...one, answers: traits(ttl, ttl) }));

  test('a fixed TTL later', () => {
    const { health, configure, safeIn } = room();
    configure(fixed(20));
    health.override(a.target, { state: 'drain' });
    expect(safeIn(a.target)).toBe(20);
    health.override(b.target, { state: 'up' });
    expect(safeIn(b.target)).toBeUndefined();
  });

  test('a reload that lowers the TTL does not shorten what is in caches', async () => {
    const { health, configure, clock, safeIn } = room();
    configure(fixed(300));
    await clock.advance(10_000);
    configure(fixed(20));
    await clock.advance(5000);
    health.override(a.target, { state: 'drain' });
    // One second for the threads that took over later.
    expect(safeIn(a.target)).toBe(296);
    await clock.advance(300_000);
    health.override(b.target, { state: 'drain' });
    expect(safeIn(b.target)).toBe(20);
  });

  test('a TTL range: the largest TTL that was served, not the largest that may be', async () => {
    const check = tcpCheck({ intervalMs: 5000, fastMs: 1000, rise: 2, fall: 3, watch: false });
    const { health, configure, clock, down, safeIn } = room();
    configure([a, b, c].map((one) => ({ ...one, check, host: `192.0.2.${one.slot}`, answers: traits(5, 3600) })));
    await clock.advance(4000);
    health.override(a.target, { state: 'drain' });
    expect(safeIn(a.target)).toBe(15);
    // While c is in doubt TTLs fall to the least, but those of before are still out there.
    down.add('192.0.2.2');
    while (health.list()[2]?.run?.passed !== false) await clock.advance(100);
    await clock.advance(500);
    health.override(b.target, { state: 'drain' });
    expect(safeIn(b.target)).toBeGreaterThan(14);
    expect(safeIn(b.target)).toBeLessThan(15);
  });

  test('never while serve_all answers with it since all are out, and from the moment that one is not', async () => {
    const { health, configure, clock, safeIn } = room();
    configure(fixed(20));
    health.override('@seoul', { state: 'drain' });
    expect(safeIn(a.target)).toBe(20);
    health.override(c.target, { state: 'down' });
    expect([a, b, c].map(({ target }) => safeIn(target))).toEqual([undefined, undefined, undefined]);
    await clock.advance(60_000);
    health.override(c.target, undefined);
    expect(safeIn(a.target)).toBe(20);
  });

  test('without serve_all, also when all are out', () => {
    const { health, configure, safeIn } = room();
    configure([a, b, c].map((one) => ({ ...one, answers: traits(20, 20, false) })));
    for (const { target } of [a, b, c]) health.override(target, { state: 'drain' });
    expect([a, b, c].map(({ target }) => safeIn(target))).toEqual([20, 20, 20]);
  });

  test('outlives a restart, and a step of the wall clock', async () => {
    const first = room();
    first.configure(fixed(300));
    const outcome = first.health.override(a.target, { state: 'drain' });
    expect(outcome.kind === 'ok' && (await outcome.saved)).toBe(true);
    expect(readFileSync(join(stateDir, 'overrides.json'), 'utf8')).toContain('"safeAt":"2026-01-01T00:05:00.000Z"');
    const second = room(createManualClock(Date.parse('2026-01-01T00:01:00Z')));
    second.configure(fixed(20));
    expect(second.safeIn(a.target)).toBe(240);
    second.clock.stepWall(3_600_000);
    expect(second.safeIn(a.target)).toBe(240);
  });
});

describe('a jump of the wall clock changes nothing', () => {
  test.each([-3_600_000, 3_600_000])(
    'of %i ms before a restart: the override has the rest of its time',
    async (step) => {
      const first = room();
      first.configure([a, b]);
      first.health.override(a.target, { state: 'drain', forMs: 30_000 });
      first.clock.stepWall(step);
      await first.clock.advance(3000);
      await first.health.stop();
      const second = room(createManualClock(first.clock.wall()));
      second.configure([a, b]);
      const effective = (): unknown => second.health.find(a.target)?.effective;
      await second.clock.advance(26_000);
      expect(effective()).toBe('drain');
      await second.clock.advance(2000);
      expect(effective()).not.toBe('drain');
    },
  );

  test.each([86_400_000, -86_400_000])('by %i ms', async (step) => {
    const timeline = async (jump: number): Promise<unknown> => {
      const { health, configure, clock, probes, down, told } = room();
      const check = tcpCheck({ watch: false });
      const pushed = { ...c, check: pushCheck({ expiresMs: 30_000 }) };
      const table = configure([{ ...a, check, host: '192.0.2.1' }, { ...b, check, host: '192.0.2.2' }, pushed]);
      await clock.advance(15_000);
      health.report(c.target, true);
      health.override(b.target, { state: 'down', forMs: 40_000 });
      clock.stepWall(jump);
      down.add('192.0.2.1');
      const words: number[][] = [];
      for (let second = 0; second < 60; second += 1) {
        await clock.advance(1000);
        words.push([...table.states]);
      }
      const seen = { probes, words, told: told() };
      await health.stop();
      rmSync(stateDir, { recursive: true });
      return seen;
    };
    const calm = await timeline(0);
    expect(await timeline(step)).toEqual(calm);
    expect(JSON.stringify(calm)).toContain('override expired');
    // For the one that afterEach takes away.
    stateDir = mkdtempSync(join(tmpdir(), 'pharos-run-time-'));
  });
});
