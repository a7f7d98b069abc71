/** Traffic of the last minute, from counters that only rise. */
import { beforeEach, expect, test } from 'vitest';
import { prepare, type Current } from '../../../../cli/serve/generation.ts';
import { createTrafficWindow, LOOK_MS, type TrafficWindow } from '../../../../cli/serve/recent-traffic.ts';
import { COUNTER, COUNTERS } from '../../../../server/counters.ts';
import { loadPacked, NO_GEOGRAPHY } from '../../../support/pharos.ts';

let nowMs: number;
let counters: Float64Array;
let served: Float64Array;
let zoneQueries: Float64Array;
let traffic: TrafficWindow;
beforeEach(() => {
  nowMs = 1000;
  counters = new Float64Array(COUNTERS);
  served = new Float64Array(2);
  zoneQueries = new Float64Array(2);
  traffic = createTrafficWindow({
    counters: () => counters,
    answers: { served: () => served.slice(), zoneQueries: () => zoneQueries.slice() },
    nowMs: () => nowMs,
  });
});

const count = (place: number, by: number): void => {
  counters[place] = (counters[place] ?? 0) + by;
};
/** The same happens in each second. */
function pass(seconds: number, each: () => void = () => undefined): void {
  for (let second = 0; second < seconds; second++) {
    each();
    nowMs += 1000;
    if (nowMs % LOOK_MS === 0) traffic.look();
  }
}

test('rates are of all transports, with NXDOMAIN and SERVFAIL separate', () => {
  pass(300, () => {
    for (const place of [COUNTER.QUERIES_UDP4, COUNTER.QUERIES_UDP6, COUNTER.QUERIES_TCP4]) count(place, 1);
    for (const place of [COUNTER.QUERIES_TCP6, COUNTER.QUERIES_TLS4, COUNTER.QUERIES_TLS6]) count(place, 10);
    count(COUNTER.RCODES, 28);
    count(COUNTER.RCODES + 2, 1);
    count(COUNTER.RCODES + 3, 4);
  });
  const recent = traffic.recent();
  expect(recent).toMatchObject({ queriesPerSecond: 33, nxdomainPerSecond: 4, servfailPerSecond: 1 });
  expect(recent.seconds).toBeGreaterThanOrEqual(60);
  expect(recent.seconds).toBeLessThan(60 + LOOK_MS / 1000);
});

test('traffic before the last minute does not count', () => {
  pass(100, () => {
    served[0] = (served[0] ?? 0) + 7;
    count(COUNTER.QUERIES_UDP4, 100);
  });
  pass(66, () => (served[1] = (served[1] ?? 0) + 1));
  const recent = traffic.recent();
  expect(recent.queriesPerSecond).toBe(0);
  expect([...recent.served]).toEqual([0, recent.seconds]);
});

test('after a start it covers the time since then', () => {
  expect(traffic.recent()).toMatchObject({ seconds: 0, queriesPerSecond: 0 });
  pass(8, () => {
    count(COUNTER.QUERIES_UDP4, 3);
  });
  expect(traffic.recent()).toMatchObject({ seconds: 8, queriesPerSecond: 3 });
});

test('a reload that moves VIPs to other slots keeps the count of each', () => {
  const generation = (vips: readonly string[]): Current => {
    const lines = vips.map((name, n) => `      ${name}: { A: 192.0.2.${n + 1} }\n`).join('');
    const zone = `zone: example.com\nnameservers: [ns]\nrecords: { ns: { A: 192.0.2.53 } }\nservices:\n  www:\n    ttl: 20\n    steer: all\n    vips:\n${lines}`;
    return prepare(loadPacked({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone }), 1, [], 1);
  };
  const [before, next] = [generation(['a', 'b']), generation(['new', 'b', 'back', 'a'])];
  served = Float64Array.of(5, 50);
  pass(10);
  served = Float64Array.of(6, 52);
  // In the counters by target, `back` has the count of an earlier generation.
  const order = next.catalog.vips.map(({ name }) => name);
  served = Float64Array.from(order, (name) => ({ new: 0, b: 52, back: 1000, a: 6 })[name] ?? NaN);
  traffic.replaced(before, next);
  const lately = (): unknown => Object.fromEntries(order.map((name, slot) => [name, traffic.recent().served[slot]]));
  expect(lately()).toEqual({ new: 0, b: 52, back: 0, a: 6 });
  served = served.map((value) => value + 1);
  expect(lately()).toEqual({ new: 1, b: 53, back: 1, a: 7 });
  pass(70);
  expect(lately()).toEqual({ new: 0, b: 0, back: 0, a: 0 });
});

test('a reload that adds, moves and removes zones keeps the count of each', () => {
  const generation = (names: readonly string[]): Current => {
    const files: Record<string, string | Uint8Array> = { ...NO_GEOGRAPHY };
    for (const [at, name] of names.entries())
      files[`zones/${at}.yaml`] = `zone: ${name}\nnameservers: [ns]\nrecords: { ns: { A: 192.0.2.53 } }\n`;
    return prepare(loadPacked(files), 1, [], 1);
  };
  const [before, next] = [generation(['a.example', 'b.example']), generation(['c.example', 'b.example', 'a.example'])];
  zoneQueries = Float64Array.of(5, 50);
  pass(10);
  zoneQueries = Float64Array.of(0, 52, 6);
  traffic.replaced(before, next);
  expect([...traffic.recent().zoneQueries]).toEqual([0, 52, 6]);
  zoneQueries = Float64Array.of(1, 53, 7);
  expect([...traffic.recent().zoneQueries]).toEqual([1, 53, 7]);
  pass(70);
  expect([...traffic.recent().zoneQueries]).toEqual([0, 0, 0]);
});
