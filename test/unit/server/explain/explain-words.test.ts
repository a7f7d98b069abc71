/** The reasons that explain gives: one row per reason. */
import { describe, expect, test } from 'vitest';
import { FORCED, FULL, PROBED } from '../../../../health/health-table.ts';
import { explainFrom, type LiveHealth } from '../../../../server/explain/explain-answer.ts';
import type { Trace } from '../../../../steering/trace.ts';
import { writeMmdb } from '../../../support/mmdb.ts';
import { answering, type Answering, type Files } from '../../../support/pharos.ts';

const VIPS = `vips:
      kr: { region: seoul, A: 203.0.113.1, weight: 3 }
      kr2: { region: seoul, A: 203.0.113.2 }
      spare: { region: seoul, A: 203.0.113.3, weight: 0 }
      ie: { region: dublin, A: 203.0.113.4 }
      lost: { region: nowhere, A: 203.0.113.5 }
      free: { A: 203.0.113.6 }
`;
const FILES: Files = {
  'pharos.yaml': 'geo: { databases: [place.mmdb] }\n',
  'place.mmdb': writeMmdb([
    ['1.0.0.0/8', { country: { iso_code: 'KR' }, location: { latitude: 37.5, longitude: 127 } }],
    ['2.0.0.0/8', { country: { iso_code: 'IE' }, autonomous_system_number: 64_500 }],
  ]),
  'zones/rtt.csv': '1.0.0.0/16,dublin,10\n1.0.0.0/16,seoul,15\nAS64500,seoul,30\n',
};

function serve(steer: string, more = ''): Answering {
  const zone = `zone: example.com
nameservers: [ns.example.net.]
regions: { seoul: { at: KR, min_healthy: 50% }, dublin: { at: IE }, nowhere: {} }
checks: { web: { type: push } }
services:
  www:
    check: web
    ${VIPS}    steer: [${steer}]
    ${more}
`;
  return answering({ ...FILES, 'zones/example.com.yaml': zone });
}

function trace(server: Answering, client: string, news: Partial<LiveHealth> = {}, down: string[] = []): Trace {
  const live = { memory: server.health.states.buffer as SharedArrayBuffer, reasonOf: () => 'ok', ...news };
  const explained = explainFrom(server.generation, { name: 'www.example.com', type: 'A', client, down }, live);
  if (!explained.ok) throw new Error(explained.message);
  return explained.trace;
}

function whyVip(found: Trace, vip: string): string {
  return found.candidates.find((candidate) => candidate.vip === vip)?.why ?? '';
}

describe('a step', () => {
  const geo = 'geo: { KR: seoul, asia: dublin, default: [nowhere, dublin] }';
  test.each<[steer: string, client: string, down: string[], why: string[], more?: string]>([
    [geo, '1.0.0.1', [], ['KR -> seoul; the first is served (answers: 1)']],
    [geo, '1.0.0.1', ['@seoul'], ['KR -> seoul has no candidate; asia -> dublin']],
    [
      `geo: { KR: seoul, default: dublin, fence: true }`,
      '1.0.0.1',
      ['@seoul'],
      ['KR -> seoul has no candidate; fence: broader keys are not tried'],
      'when_all_down: none',
    ],
    ['geo: { KR: seoul }', '2.0.0.1', [], ['no key of the map gives this client a region with a VIP']],
    [
      'geo: { IE: dublin, AS64500: seoul }',
      '2.0.0.1',
      ['@seoul', '@dublin'],
      ['AS64500 -> seoul; the first is served (answers: 1)'],
    ],
    [
      'nearest: { bias: { dublin: 50, seoul: -20 } }',
      '1.0.0.1',
      [],
      [
        'seoul 190 km (counts as 237 km, bias -20) (kept), dublin 9,029 km (counts as 4,514 km, bias 50), nowhere unknown place, VIPs in no region unknown place; the first is served (answers: 1)',
      ],
    ],
    [
      'nearest: { within: 300km }',
      '1.0.0.1',
      ['@seoul'],
      [
        'seoul 190 km (no candidate), dublin 9,029 km (kept), nowhere unknown place, VIPs in no region unknown place; all within 300 km of the nearest are kept',
      ],
    ],
    [
      'nearest',
      '9.0.0.1',
      [],
      ['the place of the client or of the regions is unknown: all regions are equal; the first is served (answers: 1)'],
    ],
    [
      'latency: { table: rtt.csv, within: 5ms }',
      '1.0.0.1',
      [],
      [
        'dublin 10 ms (kept), seoul 15 ms (kept), nowhere not measured, VIPs in no region not measured; all within 5 ms of the best are kept; measured for 1.0.0.0/16: rtt.csv; the first is served (answers: 1)',
      ],
    ],
    [
      'latency: { table: rtt.csv }',
      '2.0.0.1',
      ['@seoul'],
      [
        'seoul 30 ms (no candidate), dublin not measured (kept), nowhere not measured, VIPs in no region not measured; measured for AS64500: rtt.csv',
      ],
    ],
    [
      'latency: { table: rtt.csv }',
      '1.200.0.1',
      ['@seoul'],
      ['no measurement for this client: by distance, seoul (no candidate), dublin (kept), nowhere, VIPs in no region'],
    ],
    ['failover: [ie, seoul]', '1.0.0.1', [], ['ie is the first in the order']],
    [
      'failover: [ie, kr2, seoul]',
      '1.0.0.1',
      ['www.example.com/ie', 'www.example.com/kr2'],
      ['ie has no candidate; kr2 has no candidate; seoul is next in the order'],
    ],
    [
      'failover: [ie]',
      '1.0.0.1',
      ['www.example.com/ie'],
      ['ie has no candidate; the order has no other entry'],
      'when_all_down: none',
    ],
    [
      'geo: { default: seoul }, weighted',
      '1.0.0.1',
      [],
      [
        'default -> seoul',
        expect.stringMatching(/^drawn at random by weight: (?=.*\bkr 3 \(75.0 %\))(?=.*\bkr2 1 \(25.0 %\))/) as string,
      ],
    ],
    ['failover: [kr2], weighted', '1.0.0.1', [], ['kr2 is the first in the order', 'drawn at random by weight: kr2 1']],
    [
      'geo: { default: seoul }, sticky: { v4: 20 }',
      '1.2.255.1',
      [],
      ['default -> seoul', "ordered by weighted rendezvous hash of the client's network 1.2.240.0/20"],
      'answers: 2',
    ],
    ['all', '1.0.0.1', [], ['all candidates; the first 2 are served (answers: 2)'], 'answers: 2'],
    ['all', '1.0.0.1', [], ['all candidates']],
  ])('%s for %s without %j: %j', (steer, client, down, why, more = '') => {
    expect(trace(serve(steer, more), client, {}, down).steps.map((step) => step.why)).toEqual(why);
  });
});

describe('a VIP', () => {
  const server = serve('nearest, weighted', 'shed: {}');
  test('is held back as a standby, or joins', () => {
    expect(whyVip(trace(server, '1.0.0.1'), 'spare')).toMatch(/a standby \(weight 0\), not used while other VIPs/);
    const all = server.generation.catalog.vips
      .map(({ target }) => target)
      .filter((target) => !target.endsWith('/spare'));
    // Alone it would be below min_healthy, which counts its region's weights.
    expect(whyVip(trace(server, '1.0.0.1', {}, all), 'spare')).toMatch(
      /region seoul has <0.1 % of its weight up, needs 50.0 %$/,
    );
  });

  test('is out with its region under min_healthy', () => {
    const why = whyVip(trace(server, '1.0.0.1', {}, ['www.example.com/kr']), 'kr2');
    expect(why).toBe(
      'no result yet from check web (counts as up); region seoul has 25.0 % of its weight up, needs 50.0 %',
    );
  });

  test.each<[forced: (typeof FORCED)[keyof typeof FORCED], order: object | undefined, why: string]>([
    [FORCED.DRAIN, undefined, 'drained by an operator'],
    [FORCED.DRAIN, { by: 'operator', reason: 'new kernel' }, 'drained by an operator (new kernel)'],
    [
      FORCED.DOWN,
      { by: 'operator', until: '2026-11-21T03:45:54.123Z' },
      'forced down by an operator, until 2026-11-21 03:45:54 UTC',
    ],
    [FORCED.UP, { by: 'schedule', reason: 'schedule "0 22 * * *"' }, 'forced up by schedule "0 22 * * *"'],
  ])('is forced (%i) by %j: %s', (forced, order, why) => {
    server.set('www.example.com/ie', { forced });
    const ordersOf = (): never => ({ override: order, weightOverride: undefined }) as never;
    expect(whyVip(trace(server, '1.0.0.1', { ordersOf }), 'ie')).toBe(why);
    server.set('www.example.com/ie', {});
  });

  test.each([
    [PROBED.UP, 'status 200', 'up: status 200'],
    [PROBED.DOWN, 'status 503', 'down: status 503'],
    [PROBED.DOWN, undefined, 'down (saved by the previous run)'],
    [PROBED.UNKNOWN, undefined, 'no result yet from check web (counts as up)'],
  ])('was probed: %i, %s: %s', (probed, reason, why) => {
    server.set('www.example.com/ie', { probed });
    expect(whyVip(trace(server, '1.0.0.1', { reasonOf: () => reason }), 'ie')).toBe(why);
    server.set('www.example.com/ie', {});
  });

  test('has a weight set at run time', () => {
    const weightOverride = { by: 'operator', reason: 'canary', until: undefined } as const;
    server.set('www.example.com/kr', { weight: 9 });
    const ordersOf = (): { weightOverride: typeof weightOverride; override: undefined } => ({
      weightOverride,
      override: undefined,
    });
    expect(whyVip(trace(server, '1.0.0.1', { ordersOf }), 'kr')).toContain(
      'weight 9 set by an operator (canary), 3 in the file',
    );
    server.set('www.example.com/kr', { weight: 3 });
  });

  test('sheds clients because of its load', () => {
    const slot = server.generation.catalog.vips.find(({ name }) => name === 'kr')?.slot ?? -1;
    server.health.pressures[slot] = FULL / 4;
    const whys = Array.from({ length: 40 }, (_, i) =>
      whyVip(trace(server, `1.0.${i}.1`), 'kr')
        .split('; ')
        .slice(1)
        .join(),
    );
    expect(new Set(whys)).toEqual(
      new Set([
        'sheds 25.0 % of its clients because of its load, including this one',
        'sheds 25.0 % of its clients because of its load, but not this one',
      ]),
    );
    server.health.pressures[slot] = 0;
  });

  test('ramps', () => {
    const ramping = serve('weighted', 'ramp: 5m');
    const slot = ramping.generation.catalog.vips.find(({ name }) => name === 'kr')?.slot ?? -1;
    ramping.health.weights.fill(100);
    ramping.health.weights[slot] = 30;
    ramping.health.withheld[slot] = 270;
    const found = trace(ramping, '1.0.0.1');
    expect(found.candidates.find(({ vip }) => vip === 'kr')).toMatchObject({ weight: 3, ramp: 0.1 });
    expect(whyVip(found, 'kr')).toContain('ramps: 10.0 % of its weight');
    expect(found.steps[0]?.why).toContain('kr 0.3 (');
  });
});

describe('a TTL between min and max', () => {
  test.each([
    [0, 5, 'the earliest possible state change is that of ie, at once; raised to 5 s (min)'],
    [3, 5, 'the earliest possible state change is that of ie, in 3 s; raised to 5 s (min)'],
    [30, 30, 'the earliest possible state change is that of ie, in 30 s'],
    [90, 60, 'the earliest possible state change is that of ie, in 90 s; limited to 60 s (max)'],
  ])('of a state that holds for %i s: %i, %s', (holdSeconds, seconds, why) => {
    const server = serve('weighted', 'ttl: { min: 5, max: 60 }');
    server.set('www.example.com/ie', { probed: PROBED.UP, holdSeconds });
    expect(trace(server, '1.0.0.1').ttl).toEqual({ seconds, why });
  });

  test('of states that hold by themselves', () => {
    const server = serve('weighted', 'ttl: { min: 5, max: 60 }');
    const why = 'no state can change by itself, so the TTL is the maximum (max: 60)';
    expect(trace(server, '1.0.0.1').ttl).toEqual({ seconds: 60, why });
  });
});

describe('when no candidate is left', () => {
  const ALL = ['@seoul', '@dublin', '@nowhere', 'www.example.com/free'];
  test.each<[steer: string, more: string, down: string[], allDown: string | undefined]>([
    ['weighted', '', [], undefined],
    [
      'weighted',
      '',
      ALL,
      'no VIP is available: when_all_down is serve_all, so all VIPs count as up except those forced down or drained',
    ],
    ['weighted', 'when_all_down: none', ALL, 'no VIP is available: when_all_down is none, so the answer is NODATA'],
    [
      'geo: { IE: dublin }',
      '',
      [],
      'the steps leave no available VIP for this client, even if all VIPs count as up (when_all_down: serve_all), so the answer is NODATA',
    ],
    [
      'failover: [ie]',
      'when_all_down: { A: 192.0.2.99 }',
      ['@dublin'],
      'the steps leave no available VIP for this client: the static answer of when_all_down is served',
    ],
  ])('%s, %s, without %j: %s', (steer, more, down, allDown) => {
    expect(trace(serve(steer, more), '1.0.0.1', {}, down).allDown).toBe(allDown);
  });

  test('because an operator took all of them out', () => {
    const server = serve('weighted');
    for (const { target } of server.generation.catalog.vips) server.set(target, { forced: FORCED.DRAIN });
    expect(trace(server, '1.0.0.1').allDown).toMatch(/all VIPs count as up, even those forced down or drained$/);
  });
});

describe('a client', () => {
  const server = serve('nearest, weighted');
  test.each([
    ['1.0.0.1', '1.0.0.1', 'the geo database'],
    ['1.0.0.1/12', '1.0.0.0', 'the geo database'],
    ['9.0.0.1', '9.0.0.1', 'no geo database has this address'],
    [
      '10.0.0.1',
      '10.0.0.1',
      'no geo database has this address; 10.0.0.1 is private and not in geo.networks, so the client subnet is ignored',
    ],
  ])('%s is %s: %s', (client, address, how) => {
    expect(trace(server, client).client).toMatchObject({ address, how });
  });

  test.each(['1.0.0.1/33', '1.0.0.1/', '1.0.0/8', '::1/129'])('%s is not an address', (client) => {
    const explained = explainFrom(server.generation, { name: 'www.example.com', type: 'A', client });
    expect(explained).toMatchObject({ ok: false, parameter: 'client' });
  });
});

test('the AS of an address counts in addition to a given country', () => {
  const { generation } = serve('geo: { AS64500: dublin, default: seoul }');
  const question = { name: 'www.example.com', type: 'A', country: 'KR' };
  for (const [client, region] of [
    ['2.0.0.1', 'dublin'],
    ['1.0.0.1', 'seoul'],
  ] as const) {
    const explained = explainFrom(generation, { ...question, client });
    expect(explained.ok && explained.trace.client).toMatchObject({ address: client, country: 'KR', source: 'place' });
    expect(explained.ok && explained.trace.steps[0]?.why).toContain(`-> ${region}`);
  }
});

test('of CNAMEs one is served, whatever `answers` says', () => {
  const server = answering({
    ...FILES,
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns.example.net.]
services: { www: { vips: { a: { CNAME: a.example.net. }, b: { CNAME: b.example.net. } }, steer: [all] } }
`,
  });
  const { answer, steps } = trace(server, '1.0.0.1');
  expect(answer.vips).toEqual(['a']);
  expect(steps).toEqual([
    { step: 'all', kept: ['a', 'b'], why: 'all candidates; the first is served: a name can have only one CNAME' },
  ]);
});
