/**
 * `partial: serve_all` (docs/steering.md#partly-down): a region is served whole while one of its VIPs is up.
 */
import { expect, test } from 'vitest';
import { FORCED, PROBED } from '../../../health/health-table.ts';
import { explainFrom } from '../../../server/explain/explain-answer.ts';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY, type Answering } from '../../support/pharos.ts';

function serve(partial: string, more = ''): Answering {
  return answering({
    ...NO_GEOGRAPHY,
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns.example.net.]
regions: { seoul: { ${more} }, dublin: {} }
checks: { web: { type: push } }
services:
  www:
    check: web
    partial: ${partial}
    vips:
      a: { region: seoul, A: 192.0.2.1 }
      b: { region: seoul, A: 192.0.2.2 }
      c: { region: seoul, A: 192.0.2.3, AAAA: "2001:db8::3" }
      spare: { region: seoul, A: 192.0.2.4, weight: 0 }
      d: { region: dublin, A: 192.0.2.5, AAAA: "2001:db8::5" }
    steer: [{ failover: [seoul, dublin] }, all]
`,
  });
}

const served = (server: Answering, type: number = T.A, name = 'www.example.com'): string =>
  server
    .ask(name, type)
    .answer.map(({ data }) => data.slice(-1))
    .toSorted()
    .join('');
const down = (server: Answering, ...vips: readonly string[]): void => {
  for (const vip of vips) server.set(`www.example.com/${vip}`, { probed: PROBED.DOWN });
};

test.each<[down: string[], up: string, all: string]>([
  [[], '123', '123'],
  [['a'], '23', '123'],
  [['a', 'b'], '3', '123'],
  [['a', 'b', 'c'], '5', '5'],
  // A standby neither joins nor keeps the region up.
  [['a', 'b', 'c', 'd'], '4', '4'],
  [['spare', 'a'], '23', '123'],
])('with %j down', (vips, up, all) => {
  for (const [partial, expected] of [
    ['serve_up', up],
    ['serve_all', all],
  ] as const) {
    const server = serve(partial);
    down(server, ...vips);
    expect(served(server), partial).toBe(expected);
  }
});

test('VIPs that an operator took out stay out', () => {
  const server = serve('serve_all');
  server.set('www.example.com/a', { probed: PROBED.DOWN, forced: FORCED.DRAIN });
  server.set('www.example.com/b', { probed: PROBED.UP, forced: FORCED.DOWN });
  expect(served(server)).toBe('3');
});

test('only VIPs with the type of the query keep a region up', () => {
  const server = serve('serve_all');
  down(server, 'c');
  expect([served(server), served(server, T.AAAA)]).toEqual(['123', '5']);
});

test('below min_healthy the region is out as a whole', () => {
  const server = serve('serve_all', 'min_healthy: 50%');
  down(server, 'a');
  expect(served(server)).toBe('123');
  down(server, 'b');
  expect(served(server)).toBe('5');
});

/** The share of the weight of a, b and c that has to be up; the weights; which are down; whether the region counts. */
test.each<[minHealthy: string, weights: readonly number[], down: string, isUp: boolean]>([
  ['33.3333%', [1, 1, 1], 'bc', true],
  ['33.34%', [1, 1, 1], 'bc', false],
  ['50%', [2, 1, 1], 'a', true],
  ['50%', [2, 1, 1], 'bc', true],
  ['50%', [2, 1, 1], 'ab', false],
  ['51%', [2, 1, 1], 'a', false],
  ['100%', [5, 3, 7], '', true],
  ['100%', [5, 3, 1], 'c', false],
  // The number of VIPs counts only if all are standbys.
  ['1%', [0, 0, 1], 'c', false],
  ['100%', [0, 0, 1], 'ab', true],
  ['60%', [0, 0, 0], 'a', true],
  ['70%', [0, 0, 0], 'a', false],
])('min_healthy of %s: of the weights %j, with "%s" down: %s', (minHealthy, weights, out, isUp) => {
  const vips = weights.map((weight, index) => `${'abc'.charAt(index)}: { region: seoul, A: 192.0.2.${index + 1}, weight: ${weight} }`); // prettier-ignore
  const server = answering({
    ...NO_GEOGRAPHY,
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns.example.net.]
regions: { seoul: { min_healthy: ${minHealthy} }, dublin: {} }
checks: { web: { type: push } }
services:
  www: { check: web, vips: { ${vips.join(', ')}, d: { region: dublin, A: 192.0.2.5, weight: 0 } }, steer: [{ failover: [seoul, dublin] }, all] }
  inner: { check: web, vips: { ${vips.join(', ')} }, steer: [all] }
  outer: { vips: { k: { service: inner }, x: { A: 192.0.2.5 } }, steer: [{ failover: [k, x] }] }
`,
  });
  for (const vip of ['a', 'b', 'c'].filter((each) => out.includes(each))) {
    down(server, vip);
    server.set(`inner.example.com/${vip}`, { probed: PROBED.DOWN });
  }
  const left = ['a', 'b', 'c'].filter((vip, index) => !out.includes(vip) && (weights[index] !== 0 || weights.every((weight) => weight === 0))); // prettier-ignore
  const expected = isUp ? left.map((vip) => 'abc'.indexOf(vip) + 1).join('') : '5';
  expect(served(server)).toBe(expected);
  expect(served(server, T.A, 'outer.example.com')).toBe(expected);
});

test('a VIP in its ramp counts for min_healthy with its full weight', () => {
  const server = serve('serve_up', 'min_healthy: 50%');
  const { weights, withheld } = server.health;
  [weights[0], withheld[0]] = [1, 99];
  [weights[1], weights[2]] = [50, 50];
  down(server, 'b', 'c');
  expect(served(server)).toBe('1');
  withheld[0] = 98;
  expect(served(server)).toBe('5');
});

/** a and b have A, and v has AAAA only. */
test.each<[states: readonly [a: string, b: string, v: string], a: string, aaaa: string]>([
  [['down', 'down', 'up'], '12', '3'],
  [['drain', 'down', 'up'], '2', '3'],
  [['drain', 'drain', 'up'], '', '3'],
  [['drain', 'forced', 'down'], '', '3'],
  [['up', 'down', 'drain'], '1', ''],
  [['drain', 'forced', 'drain'], '12', '3'],
])('of VIPs that are %j, an operator keeps clients away from those that are out, unless all are', (states, a, aaaa) => {
  const server = answering({
    ...NO_GEOGRAPHY,
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns.example.net.]
checks: { web: { type: push } }
services:
  www: { check: web, vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2 }, v: { AAAA: "2001:db8::3" } }, steer: [all] }
  outer: { vips: { k: { service: www } } }
`,
  });
  const words: Readonly<Record<string, Parameters<Answering['set']>[1]>> = {
    up: { probed: PROBED.UP },
    down: { probed: PROBED.DOWN },
    drain: { probed: PROBED.UP, forced: FORCED.DRAIN },
    forced: { probed: PROBED.UP, forced: FORCED.DOWN },
  };
  ['a', 'b', 'v'].forEach((vip, index) => {
    server.set(`www.example.com/${vip}`, words[states[index] ?? ''] ?? {});
  });
  for (const name of ['www', 'outer']) {
    expect([T.A, T.AAAA].map((type) => served(server, type, `${name}.example.com`))).toEqual([a, aaaa]);
  }
});

test('explain says why a VIP that is down is served', () => {
  const server = serve('serve_all');
  down(server, 'a');
  const explained = explainFrom(
    server.generation,
    { name: 'www.example.com', type: 'A', client: '192.0.2.1' },
    { memory: server.health.states.buffer as SharedArrayBuffer, reasonOf: () => 'connection refused' },
  );
  const [first] = explained.ok ? explained.trace.candidates : [];
  expect(first).toMatchObject({ vip: 'a', available: false });
  expect(first?.why).toBe(
    'down: connection refused; a candidate nevertheless, because another VIP of its region is up (partial: serve_all)',
  );
});
