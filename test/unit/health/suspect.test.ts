/**
 * If too many fail at once, the fault is probably on this node: states are frozen (docs/health.md#suspect).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createAlarms } from '../../../config/alarms.ts';
import { startHealth, type Health, type HealthEvent, type HealthTarget } from '../../../health/engine.ts';
import { createHealthTable, probedOf, viewHealthTable, type HealthTable } from '../../../health/health-table.ts';
import { createDice, printedSeed, trials } from '../../support/random.ts';
import { createManualClock, httpCheck, pushCheck, vip } from './support.ts';

let stateDir: string;
const running: Health[] = [];
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'pharos-suspect-'));
});
afterEach(async () => {
  for (const health of running.splice(0)) await health.stop();
  rmSync(stateDir, { recursive: true });
});

const INTERVAL_MS = 5000;
const check = httpCheck({ intervalMs: INTERVAL_MS, fastMs: 200, timeoutMs: 2000 });

/**
 * A room whose probes of hosts in `down` fail: at once, or after the timeout for as long as the network is `silent`.
 */
function room(firstShare = 0.7) {
  let share = firstShare;
  const clock = createManualClock();
  const events: HealthEvent[] = [];
  /** Warnings and alarms, as the log gets them. */
  const warnings: string[] = [];
  const alarms = createAlarms(() => clock.wall());
  alarms.watch(({ alarm, to }) => {
    if (to === 'raised') warnings.push(alarm.message);
  });
  const probed: string[] = [];
  const down = new Set<string>();
  /** Of those, the ones that say so themselves. */
  const refusing = new Set<string>();
  /** `reached`: hosts that respond even while it is silent. */
  const network = { silent: false, reached: new Set<string>() };
  const health = startHealth({
    stateDir,
    clock,
    suspect: () => share,
    log: (event) => events.push(event),
    warn: (message) => warnings.push(message),
    alarms,
    probe: async ({ host }, { timeoutMs }, signal) => {
      probed.push(host);
      if (!network.silent || network.reached.has(host))
        return {
          passed: !down.has(host),
          reason: down.has(host) ? 'failed' : 'fine',
          elapsedMs: 1,
          answered: refusing.has(host),
        };
      await new Promise<void>((resolve) => {
        clock.after(timeoutMs, resolve);
        signal.addEventListener('abort', () => {
          resolve();
        });
      });
      return { passed: false, reason: 'no answer', elapsedMs: timeoutMs };
    },
  });
  running.push(health);
  let table: HealthTable = viewHealthTable(createHealthTable(0), 0);
  const configure = (targets: readonly HealthTarget[]): void => {
    const memory = createHealthTable(targets.length);
    health.configure(targets, memory, targets.length);
    table = viewHealthTable(memory, targets.length);
  };
  const states = (): string => [...table.states].map((word) => '?UD'[probedOf(word)]).join('');
  /** Until the state is as wanted; the ms that it took. */
  const until = async (holds: () => boolean, mostMs: number): Promise<number> => {
    for (let passedMs = 0; passedMs <= mostMs; passedMs += 20) {
      if (holds()) return passedMs;
      await clock.advance(20);
    }
    throw new Error(`not within ${mostMs} ms: ${states()} ${JSON.stringify(health.suspected())}`);
  };
  const alarmed = (): boolean => health.suspected() !== undefined;
  /** A reload has changed `health.suspect`. */
  const reshare = (next: number): void => {
    share = next;
  };
  return {
    health,
    clock,
    events,
    warnings,
    probed,
    down,
    refusing,
    network,
    configure,
    states,
    until,
    alarmed,
    reshare,
  };
}

const hostOf = (slot: number): string => `192.0.2.${slot + 1}`;
function vips(count: number, change: (slot: number) => Partial<HealthTarget> = () => ({})): HealthTarget[] {
  return Array.from({ length: count }, (_, slot) =>
    vip({ slot, target: `www.example.com/v${slot}`, check, host: hostOf(slot), ...change(slot) }),
  );
}
const hosts = (...slots: number[]): string[] => slots.map(hostOf);

describe("which failures count as this node's own", () => {
  const all = (count: number): number[] => Array.from({ length: count }, (_, slot) => slot);
  const oneMachine =
    (count: number, intervalMs = INTERVAL_MS) =>
    (slot: number) => ({
      host: slot < count ? hostOf(0) : hostOf(slot),
      check: { ...check, path: `/${slot}`, intervalMs },
    });
  const fall = (count: number) => () => ({ check: { ...check, fall: count } });
  test.each([
    ['all of five', 0.7, vips(5), all(5), true],
    ['all of three', 0.7, vips(3), all(3), true],
    ['all of three, of which the first failure takes each down', 0.7, vips(3, fall(1)), all(3), true],
    ['two of three: one region less than the share', 0.7, vips(3), [0, 1], false],
    ['one of three', 0.7, vips(3), [0], false],
    ['both of two: they may share a fault', 0.7, vips(2), [0, 1], false],
    ['the only one', 0.7, vips(1), [0], false],
    ['three of four', 0.7, vips(4), [0, 1, 2], true],
    ['seven of ten', 0.7, vips(10), all(7), true],
    ['six of ten', 0.7, vips(10), all(6), false],
    ['six of ten, with a share of 60 %', 0.6, vips(10), all(6), true],
    ['nine of ten, with a share of 100 %', 1, vips(10), all(9), false],
    ['ten of ten, with a share of 100 %', 1, vips(10), all(10), true],
    ['all of five, with a share of 0, which is off', 0, vips(5), all(5), false],
    ['one machine that has 10 of 13 VIPs', 0.7, vips(13, oneMachine(10)), [0], false],
    [
      'three of four machines, of which the fourth has 8 of 11 VIPs',
      0.7,
      vips(11, oneMachine(8, 600)),
      [8, 9, 10],
      false,
    ],
    ['a region of three, 20 of 60', 0.7, vips(60), all(20), false],
    ['60 of 60', 0.7, vips(60), all(60), true],
  ] as const)('%s', async (_, share, targets, failing, expected) => {
    for (const silent of [false, true]) {
      const { configure, clock, down, network, alarmed, states, health, until, warnings } = room(share);
      configure(targets);
      await clock.advance(12_345);
      const before = states();
      expect(before).toBe('U'.repeat(targets.length));
      // A silent network is silent for all.
      if (silent && failing.length < new Set(targets.map(({ host }) => host)).size) continue;
      for (const host of hosts(...failing)) down.add(host);
      network.silent = silent;
      if (expected) await until(alarmed, INTERVAL_MS + 4 * 2000);
      await clock.advance(20_000);
      expect([alarmed(), states()]).toEqual([
        expected,
        targets.map(({ host }) => (!expected && down.has(host ?? '') ? 'D' : 'U')).join(''),
      ]);
      expect(warnings).toHaveLength(expected ? 1 : 0);
      await health.stop();
    }
  });

  test('not those that fail one after the other', async () => {
    const { configure, clock, down, alarmed, states } = room();
    configure(vips(5));
    await clock.advance(10_000);
    for (const host of hosts(0, 1, 2, 3, 4)) {
      down.add(host);
      await clock.advance(INTERVAL_MS + 1000);
      expect(alarmed()).toBe(false);
    }
    expect(states()).toBe('DDDDD');
  });

  test('what was down, drained or forced down before is what it was: the probed state counts', async () => {
    const { configure, clock, down, alarmed, states, health } = room();
    configure(vips(6));
    down.add(hostOf(0));
    await clock.advance(10_000);
    health.override('www.example.com/v1', { state: 'down' });
    for (const host of hosts(1, 2, 3, 4)) down.add(host);
    await clock.advance(INTERVAL_MS + 1000);
    // 4 of the 5 that were up.
    expect([alarmed(), states()]).toEqual([true, 'DUUUUU']);
    expect(health.list()[1]).toMatchObject({ probed: 'up', effective: 'down' });
  });

  test('the failover of one that fails alone is not delayed', async () => {
    const { configure, clock, down, states, until, probed } = room();
    configure(vips(20));
    await clock.advance(10_000);
    down.add(hostOf(7));
    probed.length = 0;
    const firstMs = await until(() => probed.includes(hostOf(7)), INTERVAL_MS);
    expect(await until(() => states()[7] === 'D', 1000)).toBeLessThanOrEqual(2 * 200 + 20);
    // And few others were probed for it, beside those that were due.
    expect(probed.length).toBeLessThanOrEqual(3 + 8 + Math.ceil(((firstMs + 500) / INTERVAL_MS) * 20));
  });
});

describe('while states are frozen', () => {
  async function alarm(count = 5, change?: Parameters<typeof vips>[1]) {
    const made = room();
    made.configure(vips(count, change));
    await made.clock.advance(10_000);
    for (const host of hosts(...Array.from({ length: count }, (_, slot) => slot))) made.down.add(host);
    await made.until(made.alarmed, INTERVAL_MS + 1000);
    return made;
  }

  test('it is reported once, in words, and probing continues every interval', async () => {
    const { health, warnings, probed, clock, events } = await alarm();
    expect(health.suspected()?.message).toBe(
      "5 of 5 healthy VIPs failed at once. Suspecting this node's network: states are frozen.",
    );
    expect(Date.parse(health.suspected()?.since ?? '')).toBeLessThanOrEqual(clock.wall());
    probed.length = 0;
    await clock.advance(4 * INTERVAL_MS);
    for (const host of hosts(0, 1, 2, 3, 4)) {
      expect(probed.filter((one) => one === host).length).toBeGreaterThanOrEqual(4);
      expect(probed.filter((one) => one === host).length).toBeLessThanOrEqual(6);
    }
    expect(warnings).toEqual([expect.stringContaining("Suspecting this node's network: states are frozen.")]);
    expect(events.filter(({ to }) => to === 'down')).toEqual([]);
  });

  test('the network returns: within one interval the alarm is over, and no VIP went down', async () => {
    const { down, until, alarmed, states, clock, events, warnings } = await alarm();
    await clock.advance(20_000);
    down.clear();
    expect(await until(() => !alarmed(), INTERVAL_MS)).toBeLessThanOrEqual(INTERVAL_MS);
    await clock.advance(30_000);
    expect([states(), events.filter(({ to }) => to === 'down')]).toEqual(['UUUUU', []]);
    expect(warnings.at(-1)).toMatch(/states are no longer frozen, after \d+ s: 2 of 5 VIPs pass/);
  });

  test('the network returns: a VIP that has died meanwhile is down within one interval, at its first failure', async () => {
    const { down, until, states, clock } = await alarm();
    await clock.advance(20_000);
    down.clear();
    down.add(hostOf(3));
    expect(await until(() => states() === 'UUUDU', INTERVAL_MS)).toBeLessThanOrEqual(INTERVAL_MS);
    await clock.advance(30_000);
    expect(states()).toBe('UUUDU');
  });

  test('a probe of a silent network that began before its return takes no VIP down', async () => {
    const { configure, clock, network, until, alarmed, states, events } = room();
    configure(vips(5));
    await clock.advance(10_000);
    network.silent = true;
    await until(alarmed, INTERVAL_MS + 6000);
    await clock.advance(7777);
    network.silent = false;
    expect(await until(() => !alarmed(), INTERVAL_MS + 2000)).toBeLessThanOrEqual(INTERVAL_MS + 2000);
    await clock.advance(20_000);
    expect([states(), events.filter(({ to }) => to === 'down')]).toEqual(['UUUUU', []]);
  });

  test('the network returns for one VIP and fails again before the others are probed once more: all are up', async () => {
    const { clock, configure, network, states, alarmed, until } = room();
    configure(vips(3));
    await clock.advance(INTERVAL_MS);
    network.silent = true;
    await until(alarmed, 20_000);
    network.reached.add(hostOf(0));
    await until(() => !alarmed(), 2 * INTERVAL_MS);
    network.reached.clear();
    await until(alarmed, 20_000);
    await clock.advance(20_000);
    expect(states()).toBe('UUU');
  });

  test('a new VIP that fails is unknown, and so available, until the alarm is over', async () => {
    const { configure, states, clock, down } = await alarm();
    down.add(hostOf(5));
    configure(vips(6));
    await clock.advance(10_000);
    expect(states()).toBe('UUUUU?');
    for (const host of hosts(0, 1, 2, 3, 4)) down.delete(host);
    await clock.advance(INTERVAL_MS + 1000);
    expect(states()).toBe('UUUUUD');
  });

  test('it ends after five minutes although nothing passes, and is not raised again for the same failures', async () => {
    const { alarmed, states, clock, warnings } = await alarm();
    await clock.advance(299_000);
    expect([alarmed(), states()]).toEqual([true, 'UUUUU']);
    await clock.advance(2000 + INTERVAL_MS);
    expect([alarmed(), states()]).toEqual([false, 'DDDDD']);
    await clock.advance(60_000);
    expect([alarmed(), states(), warnings.length]).toEqual([false, 'DDDDD', 2]);
  });

  test('it ends after half a minute if some pass', async () => {
    const { configure, clock, down, until, alarmed, states } = room();
    configure(vips(8));
    await clock.advance(10_000);
    for (const host of hosts(0, 1, 2, 3, 4, 5)) down.add(host);
    await until(alarmed, INTERVAL_MS + 1000);
    await clock.advance(28_000);
    expect(states()).toBe('UUUUUUUU');
    await clock.advance(2000 + INTERVAL_MS);
    expect([alarmed(), states()]).toEqual([false, 'DDDDDDUU']);
  });

  test.each([
    ['all respond themselves: after half a minute', 10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], true],
    ['four of ten do, and the silence of six is too little for the alarm', 10, [0, 1, 2, 3], true],
    ['three of ten do: not before five minutes', 10, [0, 1, 2], false],
  ] as const)('nothing passes, and %s', async (_, count, told, expected) => {
    const { clock, refusing, alarmed, states, warnings } = await alarm(count);
    for (const host of hosts(...told)) refusing.add(host);
    await clock.advance(28_000);
    expect([alarmed(), states()]).toEqual([true, 'U'.repeat(count)]);
    await clock.advance(2000 + INTERVAL_MS);
    expect([alarmed(), states()]).toEqual([!expected, (expected ? 'D' : 'U').repeat(count)]);
    if (expected) expect(warnings.at(-1)).toMatch(` ${told.length} of ${count} VIPs respond with an error`);
    await clock.advance(60_000);
    expect(alarmed()).toBe(!expected);
  });

  test('a first response later than half a minute ends it then', async () => {
    const { clock, refusing, until, alarmed, states } = await alarm();
    await clock.advance(90_000);
    for (const host of hosts(0, 1, 2, 3, 4)) refusing.add(host);
    await until(() => !alarmed(), INTERVAL_MS);
    await until(() => states() === 'DDDDD', INTERVAL_MS);
  });

  test('a reload turns it off: over with the next result', async () => {
    const { clock, reshare, until, alarmed, states, warnings } = await alarm();
    await clock.advance(7000);
    reshare(0);
    await until(() => !alarmed() && states() === 'DDDDD', INTERVAL_MS + 1000);
    expect(warnings.at(-1)).toContain('health.suspect is off now');
  });

  test('an override counts at once, and its state is shown beside', async () => {
    const { health } = await alarm();
    health.override('www.example.com/v2', { state: 'drain' });
    expect(health.list()[2]).toMatchObject({ probed: 'up', effective: 'drain' });
  });

  test('a VIP that was down and passes comes up', async () => {
    const made = room();
    made.configure(vips(8));
    made.down.add(hostOf(0));
    await made.clock.advance(10_000);
    for (const host of hosts(1, 2, 3, 4, 5, 6, 7)) made.down.add(host);
    await made.until(made.alarmed, INTERVAL_MS + 1000);
    made.down.delete(hostOf(0));
    await made.clock.advance(2 * INTERVAL_MS + 1000);
    expect([made.alarmed(), made.states()]).toEqual([true, 'UUUUUUUU']);
  });

  test('stop leaves no timer', async () => {
    const { health, clock } = await alarm();
    await health.stop();
    expect(clock.timers()).toBe(0);
  });
});

test('saved states of the last run are frozen too if nothing responds at the start', async () => {
  const first = room();
  first.configure(vips(5));
  await first.clock.advance(10_000);
  await first.health.stop();
  const second = room();
  for (const host of hosts(0, 1, 2, 3, 4)) second.down.add(host);
  second.configure(vips(5));
  await second.clock.advance(30_000);
  expect([second.alarmed(), second.states()]).toEqual([true, 'UUUUU']);
});

describe('push', () => {
  const pushed = { check: pushCheck({ expiresMs: 10_000 }) };

  test('a report is valid until it expires', async () => {
    const { configure, clock, health, alarmed, states, down } = room();
    configure(vips(5, (slot) => (slot < 2 ? pushed : {})));
    for (const slot of [0, 1]) health.report(`www.example.com/v${slot}`, true);
    await clock.advance(1000);
    for (const slot of [0, 1]) health.report(`www.example.com/v${slot}`, true);
    for (const host of hosts(2, 3, 4)) down.add(host);
    await clock.advance(INTERVAL_MS + 1000);
    expect([alarmed(), states()]).toEqual([false, 'UUDDD']);
  });

  test('all reports are missing: states are frozen, and one that says unhealthy counts', async () => {
    const { configure, clock, health, alarmed, states } = room();
    configure(vips(5, () => pushed));
    const report = (healthy: boolean, ...slots: number[]): void => {
      for (const slot of slots) health.report(`www.example.com/v${slot}`, healthy);
    };
    report(true, 0, 1, 2, 3, 4);
    await clock.advance(10_500);
    expect([alarmed(), states()]).toEqual([true, 'UUUUU']);
    report(false, 3);
    expect([alarmed(), states()]).toEqual([true, 'UUUDU']);
    report(true, 0, 1);
    expect([alarmed(), states()]).toEqual([false, 'UUUDU']);
    // The others have as long as a report lasts.
    await clock.advance(9000);
    report(true, 2, 0, 1);
    await clock.advance(1500);
    expect(states()).toBe('UUUDD');
  });
});

test('at random: nothing goes down while the whole network is out, whatever the checks are like', async () => {
  const seed = printedSeed('suspect');
  const dice = createDice(seed);
  for (let round = 0; round < trials(12); round += 1) {
    const count = 3 + dice.below(40);
    const made = room();
    const targets = vips(count, () => ({
      check: { ...check, intervalMs: dice.pick([1000, 5000, 10_000]), fall: 2 + dice.below(3), timeoutMs: 2000 },
    }));
    made.configure(targets);
    await made.clock.advance(11_000 + dice.below(10_000));
    expect(made.states()).toBe('U'.repeat(count));
    made.network.silent = dice.chance(0.5);
    if (!made.network.silent) for (const { host } of targets) made.down.add(host ?? '');
    await made.clock.advance(30_000);
    expect([made.alarmed(), made.states()], `round ${round}`).toEqual([true, 'U'.repeat(count)]);
    made.network.silent = false;
    made.down.clear();
    await made.clock.advance(12_000);
    expect([made.alarmed(), made.states()], `round ${round}`).toEqual([false, 'U'.repeat(count)]);
    await made.health.stop();
  }
});
