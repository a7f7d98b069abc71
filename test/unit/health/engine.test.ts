import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createAlarms } from '../../../config/alarms.ts';
import type { Probe } from '../../../health/checks/probe.ts';
import { startHealth, type Health, type HealthEvent, type HealthTarget } from '../../../health/engine.ts';
import {
  FORCED,
  NEVER_SECONDS,
  PROBED,
  createHealthTable,
  forcedOf,
  holdSecondsOf,
  isAvailable,
  probedOf,
  viewHealthTable,
  type HealthTable,
} from '../../../health/health-table.ts';
import type { HealthOptions } from '../../../health/health.ts';
import { createManualClock, httpCheck, listen, pushCheck, tcpCheck, turns, vip } from './support.ts';

let stateDir: string;
const running: Health[] = [];

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'pharos-health-'));
});
afterEach(async () => {
  for (const health of running.splice(0)) await health.stop();
  rmSync(stateDir, { recursive: true });
});

/** A room whose probes pass unless their address is in `down`, under a clock of the test's own. */
function room(change: Partial<HealthOptions> = {}) {
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
  const probe: Probe = ({ host, port }) => {
    const address = `${host}:${port}`;
    probed.push(address);
    const passed = !down.has(host);
    return Promise.resolve({ passed, reason: passed ? 'fine' : 'not fine', elapsedMs: 1 });
  };
  const health = startHealth({
    stateDir,
    clock,
    probe,
    log: (event) => events.push(event),
    warn: (message) => warnings.push(message),
    alarms,
    ...change,
  });
  running.push(health);
  const configure = (targets: readonly HealthTarget[], slots?: number): HealthTable => {
    const count = slots ?? targets.reduce((most, { slot }) => Math.max(most, slot + 1), 0);
    const memory = createHealthTable(count);
    health.configure(targets, memory, count);
    return viewHealthTable(memory, count);
  };
  const told = (): string[] =>
    events.map(({ kind, target, from, to, reason }) => `${kind} ${target} ${from}→${to}: ${reason}`);
  return { health, clock, events, warnings, probed, down, configure, told };
}

const check = httpCheck();
const a = vip({ slot: 0, target: 'www.example.com/a', region: 'seoul', check, host: '192.0.2.1', weight: 4 });
const b = vip({ slot: 1, target: 'www.example.com/b', region: 'seoul', check, host: '192.0.2.2' });
const c = vip({ slot: 2, target: 'api.example.com/c', region: 'dublin', host: '192.0.2.3' });
const at = (table: HealthTable, slot: number): number => table.states[slot] ?? -1;
const probedAll = (table: HealthTable): number[] => [...table.states].map(probedOf);
const { UNKNOWN, UP, DOWN } = PROBED;

describe('the table', () => {
  test('is whole before configure returns: states, holds and weights', () => {
    const table = room().configure([a, b, c]);
    expect(probedAll(table)).toEqual([UNKNOWN, UNKNOWN, UNKNOWN]);
    expect([...table.states].map(holdSecondsOf)).toEqual([0, 0, NEVER_SECONDS]);
    expect([...table.states].map(isAvailable)).toEqual([true, true, true]);
    expect([...table.weights]).toEqual([4, 1, 1]);
  });

  test('follows the results: first decides, then fall and rise, every fast', async () => {
    const { clock, down, configure, told, health } = room();
    const table = configure([a]);
    await clock.advance(1000);
    await health.firstRound;
    expect([probedOf(at(table, 0)), holdSecondsOf(at(table, 0))]).toEqual([UP, 30]);
    down.add('192.0.2.1');
    await clock.advance(9500);
    expect([probedOf(at(table, 0)), holdSecondsOf(at(table, 0))]).toEqual([UP, 2]);
    await clock.advance(2000);
    expect([probedOf(at(table, 0)), holdSecondsOf(at(table, 0))]).toEqual([DOWN, 20]);
    down.clear();
    await clock.advance(11_000);
    expect(probedOf(at(table, 0))).toBe(UP);
    expect(told()).toEqual([
      'state www.example.com/a unknown→up: fine',
      'state www.example.com/a up→down: not fine',
      'state www.example.com/a down→up: fine',
    ]);
  });

  test.each([
    ['outside of the table', [{ ...a, slot: 3 }], /slot 3 of www\.example\.com\/a is not in a table of 3/],
    ['of two targets', [a, { ...b, slot: 0 }], /another target's/],
  ])('a slot %s is refused before anything changes', (_, targets, message) => {
    const { configure, health } = room();
    configure([c]);
    expect(() => configure(targets, 3)).toThrow(message);
    expect(health.list()).toHaveLength(1);
  });
});

describe('first round', () => {
  test('is done when every probed target has a result; the unchecked and pushed are not waited for', async () => {
    const { clock, configure, health } = room();
    const pushed = vip({ slot: 3, target: 'www.example.com/p', check: pushCheck() });
    configure([a, b, c, pushed]);
    let done = false;
    void health.firstRound.then(() => {
      done = true;
    });
    await turns();
    expect(done).toBe(false);
    await clock.advance(1000);
    await turns();
    expect(done).toBe(true);
  });

  test('who waited for one generation waits for the next instead', async () => {
    const { clock, configure, health } = room();
    configure([a]);
    const first = health.firstRound;
    configure([c]);
    await first;
    configure([a, b, c]);
    await clock.advance(1000);
    await health.firstRound;
    expect(health.list().map(({ probed }) => probed)).toEqual(['up', 'up', 'unknown']);
  });

  test('nothing to probe', async () => {
    const { configure, health } = room();
    await health.firstRound;
    configure([c]);
    await health.firstRound;
  });
});

describe('targets with the same check at the same address', () => {
  test('are probed once, and one result is written to all of them', async () => {
    const { clock, probed, configure, told, health } = room();
    const twin = vip({ ...a, slot: 1, target: 'shop.example.com/a', check: httpCheck({ name: 'other name' }) });
    const other = vip({ ...a, slot: 2, target: 'api.example.com/a', check: httpCheck({ path: '/other' }) });
    const table = configure([a, twin, other]);
    await clock.advance(1000);
    expect(probed).toEqual(['192.0.2.1:80', '192.0.2.1:80']);
    expect(probedAll(table)).toEqual([UP, UP, UP]);
    expect(told()).toHaveLength(3);
    expect(health.stats()).toMatchObject({ checks: 2, probes: 2, failedProbes: 0, faults: 0 });
  });

  test('keep their states when the files write the address in another way', async () => {
    const { clock, configure } = room();
    configure([a]);
    await clock.advance(1000);
    const written = vip({ ...a, written: '${BACKEND}:80' });
    const other = vip({ ...written, slot: 1, target: 'shop.example.com/a' });
    expect(probedAll(configure([written, other]))).toEqual([UP, UP]);
  });

  test('are probed once for each way in which the files write the address', async () => {
    const { clock, configure, health } = room();
    configure([a, vip({ ...a, slot: 1, target: 'shop.example.com/a', written: '${BACKEND}:80' })]);
    await clock.advance(1000);
    expect(health.stats()).toMatchObject({ checks: 2, probes: 2 });
  });

  test('a reason shows what the files say, even if that contains the host', async () => {
    const reason = 'connect to 192.0.2.1:80 at 192.0.2.1 failed';
    const { clock, configure, health } = room({
      probe: () => Promise.resolve({ passed: false, reason, elapsedMs: 1 }),
    });
    configure([vip({ ...a, written: '192.0.2.1:${PORT}' })]);
    await clock.advance(1000);
    const shown = 'connect to 192.0.2.1:${PORT} at 192.0.2.1:${PORT} failed';
    expect(health.list().map(({ last }) => last?.reason)).toEqual([shown]);
  });

  test.each([
    ['the port of the target', vip({ ...a, port: 8080 }), '192.0.2.1:8080'],
    ['else of the check', vip({ ...a, check: httpCheck({ port: 81 }) }), '192.0.2.1:81'],
    ['else of http', a, '192.0.2.1:80'],
    ['or of https', vip({ ...a, check: httpCheck({ kind: 'https' }) }), '192.0.2.1:443'],
    ['for tcp the check has one', vip({ ...a, check: tcpCheck({ port: 25 }) }), '192.0.2.1:25'],
  ])('%s counts', async (_, target, address) => {
    const { clock, probed, configure } = room();
    configure([target]);
    await clock.advance(1000);
    expect(probed[0]).toBe(address);
  });

  test('a check without an address is told of, and counts as none', () => {
    const { configure, warnings, health } = room();
    const table = configure([vip({ ...a, host: undefined })]);
    expect(warnings).toEqual([expect.stringContaining('www.example.com/a has a check but no address')]);
    expect(holdSecondsOf(at(table, 0))).toBe(NEVER_SECONDS);
    expect(health.list()[0]?.checked).toBe(false);
  });
});

describe('a new generation', () => {
  const moved = { ...a, host: '192.0.2.9' };
  const rechecked = { ...a, check: httpCheck({ path: '/new' }) };
  test.each([
    ['the same target keeps state and hold', a, DOWN, 20],
    ['another slot is the same target', { ...a, slot: 1 }, DOWN, 20],
    ['another weight too', { ...a, weight: 9 }, DOWN, 20],
    ['another target with the same check and address', { ...a, target: 'new.example.com/x' }, DOWN, 20],
    ['another address is unknown', moved, UNKNOWN, 0],
    ['another check: the state holds until the first result', rechecked, DOWN, 0],
    ['no check', { ...a, check: undefined }, UNKNOWN, NEVER_SECONDS],
  ])('%s', async (_, next, probed, hold) => {
    const { clock, down, configure } = room();
    down.add('192.0.2.1');
    configure([a]);
    await clock.advance(1000);
    const filler = vip({ slot: 1 - next.slot, target: 'www.example.com/filler' });
    const table = configure([next, filler]);
    expect([probedOf(at(table, next.slot)), holdSecondsOf(at(table, next.slot))]).toEqual([probed, hold]);
  });

  test('the rhythm goes on: a reload starts no extra probe and leaves the old table alone', async () => {
    const { clock, probed, down, configure } = room();
    const old = configure([a]);
    await clock.advance(1000);
    expect(probed).toHaveLength(1);
    down.add('192.0.2.1');
    for (let reload = 0; reload < 5; reload += 1) {
      configure([a]);
      await clock.advance(1000);
    }
    expect(probed).toHaveLength(1);
    await clock.advance(7000);
    expect(probed.length).toBeGreaterThan(2);
    expect(probedOf(at(old, 0))).toBe(UP);
  });

  test('targets that go are probed no more, and a result that comes late is dropped', async () => {
    let answer: ((passed: boolean) => void) | undefined;
    const aborted: string[] = [];
    const { clock, configure, events, health } = room({
      probe: ({ host }, _, signal) => {
        signal.addEventListener('abort', () => aborted.push(host));
        return new Promise((resolve) => {
          answer = (passed) => {
            resolve({ passed, reason: '', elapsedMs: 0 });
          };
        });
      },
    });
    configure([a]);
    await clock.advance(1000);
    configure([c]);
    expect(aborted).toEqual(['192.0.2.1']);
    answer?.(false);
    await clock.advance(60_000);
    expect(events).toEqual([]);
    expect(health.stats()).toMatchObject({ probes: 0, inFlight: 0 });
  });
});

describe('faults', () => {
  test('an exception in a probe is a failed result with its message, and is told', async () => {
    const { clock, configure, health, warnings } = room({ probe: () => Promise.reject(new Error('boom')) });
    const table = configure([a]);
    await clock.advance(1000);
    expect(probedOf(at(table, 0))).toBe(DOWN);
    expect(health.list()[0]?.last).toMatchObject({ passed: false, reason: 'boom' });
    expect(health.stats()).toMatchObject({ probes: 1, failedProbes: 1, faults: 1 });
    expect(warnings).toEqual(['health: cannot run the probe of 192.0.2.1:80: boom']);
  });

  test('a log that throws stops nothing', async () => {
    const { clock, configure, health } = room({
      log: () => {
        throw new Error('disk full');
      },
    });
    const table = configure([a]);
    await clock.advance(1000);
    expect(probedOf(at(table, 0))).toBe(UP);
    expect(health.stats().faults).toBe(1);
  });
});

describe('push', () => {
  const pushed = vip({
    slot: 0,
    target: 'www.example.com/p',
    check: pushCheck({ expiresMs: 30_000 }),
    host: undefined,
  });

  test('reports decide at once, and last for `expires`', async () => {
    const { clock, configure, health, told } = room();
    const table = configure([pushed]);
    expect(probedOf(at(table, 0))).toBe(UNKNOWN);
    expect(health.report('WWW.example.com./p', true)).toBe('ok');
    expect([probedOf(at(table, 0)), holdSecondsOf(at(table, 0))]).toEqual([UP, 30]);
    await clock.advance(20_000);
    health.report('www.example.com/p', true);
    await clock.advance(29_999);
    expect(probedOf(at(table, 0))).toBe(UP);
    await clock.advance(1);
    expect(probedOf(at(table, 0))).toBe(DOWN);
    health.report('www.example.com/p', true);
    health.report('www.example.com/p', false);
    expect(told()).toEqual([
      'state www.example.com/p unknown→up: reported healthy',
      'state www.example.com/p up→down: no report in 30 s',
      'state www.example.com/p down→up: reported healthy',
      'state www.example.com/p up→down: reported unhealthy',
    ]);
  });

  test('without any report it goes down when the time is over; a reload does not give it more', async () => {
    const { clock, configure } = room();
    configure([pushed]);
    await clock.advance(20_000);
    const table = configure([pushed]);
    await clock.advance(10_000);
    expect(probedOf(at(table, 0))).toBe(DOWN);
  });

  test.each([
    ['www.example.com/nobody', 'unknown target'],
    ['www.example.com/a', 'not a push check'],
    ['api.example.com/c', 'not a push check'],
  ])('a report on %s: %s', (target, outcome) => {
    const { configure, health } = room();
    configure([a, b, c]);
    expect(health.report(target, true)).toBe(outcome);
  });
});

describe('overrides', () => {
  test.each([
    ['up', 'down', true],
    ['down', 'up', false],
    ['drain', 'up', false],
  ] as const)('%s sits above the probed state %s', async (state, probed, available) => {
    const { clock, configure, health, down } = room();
    if (probed === 'down') down.add('192.0.2.1');
    const table = configure([a]);
    await clock.advance(1000);
    expect(health.override('www.example.com/a', { state })).toMatchObject({
      kind: 'ok',
      targets: ['www.example.com/a'],
    });
    expect([isAvailable(at(table, 0)), holdSecondsOf(at(table, 0))]).toEqual([available, NEVER_SECONDS]);
    expect(health.list()[0]).toMatchObject({ probed, effective: state, override: { state } });
    health.override('www.example.com/a', undefined);
    expect(forcedOf(at(table, 0))).toBe(FORCED.NONE);
    expect(health.list()[0]).toMatchObject({ probed, effective: probed, override: undefined });
  });

  test.each([
    ['www.example.com/a', ['www.example.com/a']],
    ['WWW.Example.COM./a', ['www.example.com/a']],
    ['www.example.com/@seoul', ['www.example.com/a', 'www.example.com/b']],
    ['api.example.com/@seoul', []],
    ['@dublin', ['api.example.com/c']],
    ['@seoul', ['www.example.com/a', 'www.example.com/b']],
    ['@nowhere', []],
    ['www.example.com', []],
    ['', []],
  ])('%s means %j', (text, expected) => {
    const { configure, health } = room();
    configure([a, b, c]);
    const outcome = health.override(text, { state: 'drain' });
    expect(outcome.kind === 'ok' ? outcome.targets : []).toEqual(expected);
    expect(health.overrides().map(({ target }) => target)).toEqual(expected);
  });

  test('one with an end holds until then and ends by itself', async () => {
    const { clock, configure, health, told } = room();
    const table = configure([c].map((target) => ({ ...target, slot: 0 })));
    health.override('@dublin', { state: 'drain', forMs: 60_000, reason: 'new kernel' });
    expect(holdSecondsOf(at(table, 0))).toBe(60);
    await clock.advance(50_000);
    expect(holdSecondsOf(at(table, 0))).toBe(10);
    await clock.advance(10_000);
    expect(forcedOf(at(table, 0))).toBe(FORCED.NONE);
    expect(health.overrides()).toEqual([]);
    expect(told()).toEqual([
      'override api.example.com/c unknown→drain: new kernel',
      'override api.example.com/c drain→unknown: override expired',
    ]);
    await expect.poll(() => readIfThere('overrides.json')).toContain('"overrides": []');
  });

  test.each([3_600_000, -3_600_000])(
    'a step of the wall clock by %i ms moves no end; what is shown follows',
    async (step) => {
      const { clock, configure, health } = room();
      configure([{ ...c, slot: 0 }]);
      health.override('@dublin', { state: 'down', forMs: 60_000 });
      clock.stepWall(step);
      await clock.advance(2000);
      const until = health.overrides()[0]?.until ?? '';
      expect(Date.parse(until) - clock.wall()).toBe(58_000);
      await clock.advance(57_999);
      expect(health.overrides()).toHaveLength(1);
      await clock.advance(1);
      expect(health.overrides()).toEqual([]);
    },
  );

  test('one whose target goes is kept, shown as absent, and can be taken back', () => {
    const { configure, health } = room();
    configure([a]);
    health.override('www.example.com/a', { state: 'drain' });
    configure([]);
    expect(health.overrides()).toMatchObject([{ target: 'www.example.com/a', present: false }]);
    const table = configure([a]);
    expect(forcedOf(at(table, 0))).toBe(FORCED.DRAIN);
    configure([]);
    expect(health.override('www.example.com/a', undefined).kind).toBe('ok');
    expect(health.overrides()).toEqual([]);
    expect(health.override('www.example.com/a', undefined).kind).toBe('unknown target');
  });
});

describe('over a restart', () => {
  test('the saved state holds until the first result, which decides at once', async () => {
    const first = room();
    first.down.add('192.0.2.1');
    first.configure([a, b, c]);
    await first.clock.advance(1000);
    await first.health.stop();

    const second = room();
    const table = second.configure([a, b, c]);
    expect(probedAll(table)).toEqual([DOWN, UP, UNKNOWN]);
    expect(second.health.list()[0]).toMatchObject({
      probed: 'down',
      since: '2026-01-01T00:00:00.000Z',
      last: undefined,
    });
    second.down.add('192.0.2.2');
    await second.clock.advance(1000);
    expect(probedAll(table)).toEqual([UP, DOWN, UNKNOWN]);
  });

  test('but not for another address', async () => {
    const first = room();
    first.down.add('192.0.2.1');
    first.configure([a]);
    await first.clock.advance(1000);
    await first.health.stop();
    expect(probedAll(room().configure([{ ...a, host: '192.0.2.77' }]))).toEqual([UNKNOWN]);
  });

  test('a state is on the disk soon after it changed, without a stop', async () => {
    const { clock, configure } = room();
    configure([a]);
    await clock.advance(1000);
    await expect.poll(() => readIfThere('health.json')).toContain('"probed":"up"');
  });

  test('overrides are on the disk at once, and hold again', async () => {
    const first = room();
    first.configure([a, b, c]);
    const outcome = first.health.override('@seoul', { state: 'drain', reason: 'new kernel', forMs: 60_000 });
    expect(outcome.kind === 'ok' && (await outcome.saved)).toBe(true);

    const second = room();
    const table = second.configure([a, b, c]);
    expect([...table.states].map(forcedOf)).toEqual([FORCED.DRAIN, FORCED.DRAIN, FORCED.NONE]);
    expect(second.health.overrides()).toMatchObject([{ reason: 'new kernel' }, { reason: 'new kernel' }]);
    await second.health.stop();

    const third = room({ clock: createManualClock(Date.parse('2026-01-01T00:02:00Z')) });
    expect(third.health.overrides()).toEqual([]);
  });

  test.each([
    ['is no JSON', '{"version": 1, "targ', /health\.json cannot be used: .*kept as .*health\.json\.bad$/],
    ['is empty', '', /cannot be used/],
    ['is of another version', '{"version": 2}', /does not say "version": 1/],
    ['has no list', '{"version": 1, "targets": {}}', /has no list "targets"/],
    [
      'has an entry that is none',
      '{"version": 1, "targets": [{"target": 3}]}',
      /left out 1 entry of "targets" that cannot be used, such as {"target":3}\. The file is kept as/,
    ],
  ])('a file that %s is told of, and the server starts without', (_, content, warning) => {
    writeFileSync(join(stateDir, 'health.json'), content);
    const { warnings, configure } = room();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(warning);
    expect(probedAll(configure([a]))).toEqual([UNKNOWN]);
  });

  test('a directory that cannot be written is told of and counted, and tried again', async () => {
    writeFileSync(join(stateDir, 'file'), '');
    const { configure, health, warnings } = room({ stateDir: join(stateDir, 'file') });
    configure([a]);
    const outcome = health.override('@seoul', { state: 'drain' });
    expect(outcome.kind === 'ok' && (await outcome.saved)).toBe(false);
    expect(health.stats().failedSaves).toBeGreaterThan(0);
    expect(warnings.at(-1)).toMatch(/overrides\.json could not be written/);
  });
});

function readIfThere(name: string): string {
  try {
    return readFileSync(join(stateDir, name), 'utf8');
  } catch {
    return '';
  }
}

describe('with real probes', () => {
  const quick = { intervalMs: 60_000, fastMs: 40, timeoutMs: 500 };

  test.each([
    ['http', httpCheck(quick), () => http.createServer((_, response) => response.end('ok'))],
    ['tcp', tcpCheck(quick), () => net.createServer()],
  ] as const)('watch: a crash behind %s is seen at once, whatever the interval', async (_, spec, create) => {
    const server = await listen(create());
    const events: HealthEvent[] = [];
    const health = startHealth({ stateDir: undefined, log: (event) => events.push(event), warn: () => undefined });
    running.push(health);
    const target = vip({ slot: 0, target: 'www.example.com/a', check: spec, host: '127.0.0.1', port: server.port });
    health.configure([target], createHealthTable(1), 1);
    await health.firstRound;
    await expect.poll(() => health.stats().watched).toBe(1);
    await server.close();
    await expect.poll(() => events.map(({ to }) => to)).toEqual(['up', 'down']);
    expect(events[1]?.reason).toBe('connect refused');
  });

  test('without watch nothing stays open, and stop leaves nothing', async () => {
    const server = await listen(http.createServer((_, response) => response.end('ok')));
    const health = startHealth({ stateDir: undefined, log: () => undefined, warn: () => undefined });
    const target = vip({ slot: 0, target: 'www.example.com/a', host: '127.0.0.1', port: server.port });
    const targets = [true, false].map((watch, slot) => ({
      ...target,
      slot,
      target: `x/${slot}`,
      check: httpCheck({ watch }),
    }));
    health.configure(targets, createHealthTable(2), 2);
    await health.firstRound;
    await expect.poll(() => [health.stats().watched, server.open()]).toEqual([1, 1]);
    await health.stop();
    await server.quiet();
    await server.close();
  });

  test('an idle connection that the target closes costs one early probe, `fast` after the last', async () => {
    const clock = createManualClock();
    const web = http.createServer((_, response) => response.end('ok'));
    const server = await listen(web);
    const health = startHealth({ stateDir: undefined, clock, log: () => undefined, warn: () => undefined });
    running.push(health);
    const spec = httpCheck({ ...quick, fastMs: 500 });
    const target = vip({ slot: 0, target: 'www.example.com/a', check: spec, host: '127.0.0.1', port: server.port });
    health.configure([target], createHealthTable(1), 1);
    await clock.advance(0);
    await health.firstRound;
    const watched = (): number => health.stats().watched;
    await expect.poll(watched).toBe(1);
    web.closeIdleConnections();
    await expect.poll(watched).toBe(0);
    await clock.advance(499);
    expect(server.accepted()).toBe(1);
    await clock.advance(1);
    await expect.poll(watched).toBe(1);
    expect(server.accepted()).toBe(2);
    expect(health.list()[0]).toMatchObject({ probed: 'up', last: { passed: true } });
    await health.stop();
    await server.close();
  });
});
