/**
 * Decisions of small services, as tables: the states of VIPs, and what is left. They have what random services
 * (reference.test.ts) reach rarely: neighbours in the tables of the plan, empty regions, standbys, numbers of draws.
 */
import { describe, expect, test } from 'vitest';
import { FORCED, FULL, PROBED } from '../../../health/health-table.ts';
import { regionShare, startCandidates } from '../../../steering/candidates.ts';
import { dependsOnClient, locate, steer } from '../../../steering/chain.ts';
import { DEGREE, RESULT, type Steerer } from '../../../steering/decision.ts';
import { HAS, otherBit, SERVICE, serviceWord } from '../../../steering/plan.ts';
import { isPressed } from '../../../steering/shed.ts';
import { parseAddress } from '../../../wire/address.ts';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY, type Answering } from '../../support/pharos.ts';

/** Services as lines of a zone. `half` and `most` are regions with a `min_healthy`. */
function serve(services: string, more: Readonly<Record<string, string>> = {}): Answering {
  return answering({
    ...NO_GEOGRAPHY,
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns.example.net.]
regions: { seoul: {}, tokyo: {}, dublin: {}, half: { min_healthy: 50% }, most: { min_healthy: 60% } }
checks: { web: { type: push } }
services:
${services}`,
    ...more,
  });
}

const STATES: Readonly<Record<string, Parameters<Answering['set']>[1]>> = {
  down: { probed: PROBED.DOWN },
  drain: { probed: PROBED.UP, forced: FORCED.DRAIN },
  out: { probed: PROBED.UP, forced: FORCED.DOWN },
};

/** `states`: such as `a=down b=12`; a number is the seconds for which the state holds. Names of VIPs are unique. */
function put(server: Answering, states: string): void {
  for (const { target, name } of server.generation.catalog.vips) {
    const state = new RegExp(String.raw`\b${name}=(\w+)`).exec(states)?.[1] ?? '';
    server.set(target, STATES[state] ?? { probed: PROBED.UP, ...(state !== '' && { holdSeconds: Number(state) }) });
  }
}

type Asked = { service?: string; type?: number; client?: string; observer?: Steerer['observer']; keepsAll?: boolean };

function numberOf({ generation }: Answering, service: string): number {
  return generation.catalog.services.findIndex(({ name }) => name === `${service}.example.com`);
}

function bitOf({ plan }: Steerer, service: number, type: number): number {
  return { [T.A]: HAS.A, [T.AAAA]: HAS.AAAA }[type] ?? otherBit(plan, service, type);
}

/** Decides, and returns the names of the VIPs in their order, or `static` or `none`. */
function decide(
  server: Answering,
  { service = 'www', type = T.A, client = '192.0.2.1', observer, keepsAll }: Asked = {},
): string {
  // prettier-ignore
  const steerer: Steerer = { ...server.state.steerer, observer, keepsAll };
  const number = numberOf(server, service);
  const address = parseAddress(client) ?? new Uint8Array(4);
  const has = bitOf(steerer, number, type);
  const bits = address.length * 8;
  steer(steerer, number, has, locate(steerer, number, has, address, bits), address, bits);
  const { decision } = steerer;
  if (decision.result !== RESULT.VIPS) return decision.result === RESULT.STATIC ? 'static' : 'none';
  return namesOf(server, decision.service, decision.candidates.subarray(0, decision.count));
}

function namesOf(server: Answering, service: number, vips: Int32Array): string {
  const first = serviceWord(server.state.steerer.plan.services, service, SERVICE.FIRST_SLOT);
  return Array.from(vips, (vip) => server.generation.catalog.vips[first + vip]?.name).join(' ');
}

const ttlAndScope = ({ state: { steerer } }: Answering): string =>
  `TTL ${steerer.decision.ttlSeconds} scope ${steerer.decision.scopeBits}`;

let address = 0;
/** A VIP in a region; `more` such as its weight. */
const vip = (name: string, region: string, more = ''): string =>
  `${name}: { region: ${region}, A: 203.0.113.${address++ & 255}${more && `, ${more}`} }`;
const service = (name: string, vips: readonly string[], more: string): string =>
  `  ${name}: { check: web, vips: { ${vips.join(', ')} }, ${more} }\n`;
/** A service of others in front. */
const front = (name: string, vips: readonly string[], more: string): string =>
  `  ${name}: { vips: { ${vips.join(', ')} }, ${more} }\n`;

const NEXT = service('next', [vip('n', 'seoul', 'weight: 1000')], 'steer: [failover: [n]]');
/** Before the service that is asked, so that it does not begin where tables do. */
const BEFORE = service('before', [vip('z', 'dublin'), vip('y', 'tokyo')], 'steer: [failover: [dublin, tokyo]]');
const A_B = [vip('a', 'seoul'), vip('b', 'seoul')];

describe('the services before and after in the tables do not count', () => {
  test.each<[why: string, services: string, states: string, served: string]>([
    ['all are drained', service('www', A_B, 'steer: [all]'), 'a=drain b=out', 'a b'],
    ['some are drained', service('www', A_B, 'steer: [all]'), 'a=down b=down n=drain', 'a b'],
    [
      'the weight of a region',
      service(
        'www',
        [vip('a', 'half'), vip('b', 'half', 'weight: 2'), vip('c', 'dublin')],
        'steer: [failover: [half, dublin]]',
      ),
      'b=down',
      'c',
    ],
    [
      'the weight of a second region',
      service(
        'www',
        [vip('s', 'seoul'), vip('a', 'half'), vip('b', 'half', 'weight: 2'), vip('c', 'dublin')],
        'steer: [failover: [half, dublin]]',
      ),
      'b=down',
      'c',
    ],
    [
      'whether a region is up',
      service('www', [...A_B, vip('c', 'dublin')], 'steer: [failover: [seoul, dublin], all], partial: serve_all'),
      'a=down b=down',
      'c',
    ],
    [
      'whether an inner service is up',
      front('www', ['k: { service: inner }', 'x: { A: 203.0.113.9 }'], 'steer: [failover: [k, x]]') +
        service('inner', [vip('a', 'seoul')], 'steer: [all]'),
      'a=down',
      'x',
    ],
    [
      'whether an inner service is drained',
      front('www', ['k: { service: inner }', 'x: { A: 203.0.113.9 }'], 'steer: [failover: [k, x]]') +
        service('inner', [vip('a', 'seoul')], 'steer: [all]'),
      'a=drain x=drain',
      'a',
    ],
  ])('%s', (_, services, states, served) => {
    const server = serve(BEFORE + services + NEXT);
    put(server, states);
    expect(decide(server)).toBe(served);
  });

  test('the TTL', () => {
    const server = serve(service('www', A_B, 'steer: [all], ttl: { min: 5, max: 60 }') + NEXT);
    put(server, 'a=30 n=7');
    decide(server);
    expect(ttlAndScope(server)).toBe('TTL 30 scope 0');
  });

  test('a standby that is down is not served with its region, also if the steps lead to nothing else', () => {
    const vips = [...A_B, vip('s', 'seoul', 'weight: 0')];
    const server = serve(service('www', vips, 'steer: [failover: [s]], partial: serve_all, when_all_down: none'));
    put(server, 'a=down s=down');
    expect(decide(server)).toBe('none');
    put(server, 'a=down');
    expect(decide(server)).toBe('s');
  });

  test('what an earlier query noted about regions', () => {
    const server = serve(
      service('first', [vip('p', 'seoul'), vip('q', 'seoul')], 'steer: [all], partial: serve_all') +
        service('www', A_B, 'steer: [all]'),
    );
    put(server, 'p=down a=down');
    expect([decide(server, { service: 'first' }), decide(server)]).toEqual(['p q', 'b']);
    put(server, 'p=down q=down a=down');
    expect([decide(server, { service: 'first' }), decide(server)]).toEqual(['p q', 'b']);
  });
});

describe('service number 0 as the inner one', () => {
  const ZERO = service('zero', [vip('a', 'seoul'), vip('b', 'seoul')], 'steer: [failover: [a, b]], ttl: 30');
  const K = 'k: { service: zero }';
  const X = 'x: { A: 203.0.113.9 }';
  test.each<[vips: string[], more: string, states: string, served: string]>([
    [[K, X], 'steer: [failover: [k, x]]', '', 'a'],
    [[K, X], 'steer: [failover: [k, x]]', 'a=down', 'b'],
    [[K, X], 'steer: [failover: [k, x]]', 'a=down b=down', 'x'],
    // First alone, and otherwise left out.
    [[K, X], 'steer: [all]', '', 'a'],
    [[X, K], 'steer: [all]', '', 'x'],
    [[K, X], 'steer: [failover: [k, x]]', 'a=drain b=drain x=drain', 'a'],
    [[K, X], 'steer: [failover: [k, x]]', 'a=down b=down x=drain', 'a'],
    // What is drained is not served while another VIP is in, also one that the steps never lead to.
    [[K, X], 'steer: [failover: [x]]', 'x=drain', 'none'],
    [[K, X], 'steer: [failover: [k, x]], when_all_down: none', 'a=down b=down x=down', 'none'],
  ])('%j, %s, with %s: %s', (vips, more, states, served) => {
    const server = serve(ZERO + front('www', vips, more));
    put(server, states);
    expect(decide(server)).toBe(served);
  });

  test('lowers the TTL', () => {
    const server = serve(ZERO + front('www', [X, K], 'steer: [failover: [x, k]], ttl: { min: 5, max: 60 }'));
    put(server, 'a=12');
    decide(server);
    expect(ttlAndScope(server)).toBe('TTL 12 scope 0');
  });

  test('is not asked for forecasts and transfers, which have every VIP that the steps leave', () => {
    const server = serve(ZERO + front('www', [K, X], 'steer: [all], answers: 1'));
    put(server, '');
    expect(decide(server, { keepsAll: true })).toBe('k x');
  });
});

describe('an inner service', () => {
  const K = 'k: { service: inner }';
  const X = 'x: { A: 203.0.113.9 }';
  test.each<[why: string, inner: string[], states: string, served: string]>([
    ['has a VIP in its second region', [vip('a', 'seoul'), vip('b', 'tokyo')], 'a=down', 'b'],
    ['has a region below min_healthy', [vip('a', 'most'), vip('b', 'most'), vip('c', 'seoul')], 'a=down', 'c'],
    ['has only a region below min_healthy', [vip('a', 'most'), vip('b', 'most')], 'a=down', 'x'],
    ['has a region that is just up', [vip('a', 'half'), vip('b', 'half')], 'a=down', 'b'],
    // With all down, min_healthy does not count.
    ['is served whole if all are down', [vip('a', 'most'), vip('b', 'most')], 'a=down b=down x=down', 'a b'],
    [
      'has standbys alone in a region that is just up',
      [vip('a', 'half', 'weight: 0'), vip('b', 'half', 'weight: 0')],
      'a=down',
      'b',
    ],
    [
      'has a second region below min_healthy',
      [vip('a', 'seoul'), vip('b', 'most'), vip('c', 'most')],
      'a=down b=down',
      'x',
    ],
    ['but not what is drained', [vip('a', 'most'), vip('b', 'most')], 'a=drain b=down x=down', 'b'],
  ])('%s', (_, inner, states, served) => {
    const server = serve(
      front('www', [K, X], 'steer: [failover: [k, x]]') + service('inner', inner, 'steer: [all]') + NEXT,
    );
    put(server, states);
    expect(decide(server)).toBe(served);
  });

  test('counts for min_healthy whatever types it has', () => {
    const server = serve(
      front('www', ['k: { region: most, service: six }', vip('j', 'most'), X], 'steer: [failover: [most, x]]') +
        '  six: { vips: { p: { AAAA: "2001:db8::1" } } }\n',
    );
    put(server, '');
    expect(decide(server)).toBe('j');
    put(server, 'p=drain');
    expect(decide(server)).toBe('x');
  });

  test('counts for the type of the query, whichever place the type has there', () => {
    const server = serve(`${front('www', [K], 'steer: [all]')}  inner: { vips: { a: { A: 203.0.113.1, MX: 10 m.example.net. }, b: { TXT: here, CAA: '0 issue "x"' } }, steer: [all] }\n`); // prettier-ignore
    put(server, '');
    expect([T.A, T.TXT, T.CAA, T.MX].map((type) => decide(server, { type }))).toEqual(['a', 'b', 'b', 'a']);
  });
});

describe('whether clients matter', () => {
  test.each<[service: string, a: boolean, aaaa: boolean]>([
    ['fixed', false, false],
    ['same', false, false],
    ['geo', true, true],
    ['sticky', true, false],
    ['chained', true, false],
    ['outer', true, true],
    ['beside', false, true],
    ['last', false, false],
  ])('%s: %s for A, %s for AAAA', (name, a, aaaa) => {
    const both = (vipName: string, region: string): string =>
      `${vipName}: { region: ${region}, A: 203.0.113.1, AAAA: "2001:db8::1" }`;
    const server = serve(
      front('geo', [both('p', 'seoul'), both('q', 'tokyo')], 'steer: [{ geo: { KR: seoul, default: tokyo } }]') +
        front('fixed', [both('a', 'seoul'), both('b', 'tokyo')], 'steer: [failover: [tokyo, seoul]]') +
        front('same', [both('c', 'seoul'), both('d', 'tokyo')], 'steer: [{ geo: { default: tokyo } }]') +
        front('sticky', [both('e', 'seoul'), vip('f', 'seoul')], 'steer: [sticky]') +
        front('chained', ['g: { service: sticky }'], 'steer: [all]') +
        front('outer', ['h: { service: geo }'], 'steer: [all]') +
        // Its VIP with A does not depend on the client.
        front('beside', [vip('i', 'seoul'), 'j: { service: six }'], 'steer: [all]') +
        front('six', ['m: { AAAA: "2001:db8::2" }', 'n: { AAAA: "2001:db8::3" }'], 'steer: [sticky]') +
        front('last', ['o: { service: fixed }'], 'steer: [all]') +
        front('after', ['r: { service: geo }'], 'steer: [all]'),
    );
    const { plan } = server.state.steerer;
    expect([HAS.A, HAS.AAAA].map((has) => dependsOnClient(plan, numberOf(server, name), has))).toEqual([a, aaaa]);
  });
});

describe('shortcuts', () => {
  /** Its second region begins with its fourth VIP; that of the services here is Dublin's. */
  const EARLIER = service(
    'earlier',
    [vip('w', 'dublin'), vip('x', 'dublin'), vip('y', 'dublin'), vip('z', 'tokyo')],
    'steer: [failover: [dublin, tokyo]]',
  );
  /** Regions are interleaved; answers have the order of the file. */
  const VIPS = [
    vip('t1', 'tokyo'),
    vip('s1', 'seoul'),
    'v6: { region: seoul, AAAA: "2001:db8::6" }',
    vip('d1', 'dublin'),
    vip('t2', 'tokyo', 'weight: 0'),
    vip('s2', 'seoul', 'weight: 0'),
    vip('s3', 'seoul'),
  ];
  // Seoul and Tokyo are within 20 ms; without Seoul, Tokyo and Dublin are.
  const latency = { 'zones/rtt.csv': '192.0.2.0/24,seoul,10\n192.0.2.0/24,tokyo,25\n192.0.2.0/24,dublin,40\n' };
  test.each<[steer: string, states: string, served: string, aaaa?: string]>([
    ['failover: [seoul, tokyo, dublin]', '', 's1 s3', 'v6'],
    ['failover: [seoul, tokyo, dublin]', 's1=down', 's3'],
    ['failover: [seoul, tokyo, dublin]', 's1=drain s3=down', 't1'],
    ['failover: [seoul, tokyo, dublin]', 'v6=down', 's1 s3', 'v6'],
    ['failover: [seoul]', 's1=down s3=down', 's2'],
    ['latency: { table: rtt.csv, within: 20ms }', '', 't1 s1 s3', 'v6'],
    ['latency: { table: rtt.csv, within: 20ms }', 's3=down', 't1 s1'],
    ['latency: { table: rtt.csv, within: 20ms }', 't1=down', 's1 s3'],
    ['latency: { table: rtt.csv, within: 20ms }', 's1=down s3=down', 't1 d1'],
    ['latency: { table: rtt.csv, within: 20ms }', 's1=down s3=down t1=down', 'd1'],
    // Standbys only if nothing else is left.
    ['latency: { table: rtt.csv, within: 20ms }', 's1=down s3=down t1=down d1=down', 't2 s2'],
    ['latency: { table: rtt.csv, within: 20ms }, failover: [seoul]', 's1=down s3=down', 's2', 'v6'],
  ])('%s with %s: %s', (steps, states, served, aaaa) => {
    const server = serve(EARLIER + service('www', VIPS, `steer: [${steps.replace(/^(\w+): (.*}), /, '{ $1: $2 }, ')}, all]`), latency); // prettier-ignore
    put(server, states);
    for (const observer of [undefined, () => undefined]) {
      expect(decide(server, { observer }), observer && 'as explain decides').toBe(served);
      if (aaaa !== undefined) expect(decide(server, { observer, type: T.AAAA })).toBe(aaaa);
    }
  });

  /** Three steps that leave a VIP and a standby to clients that no VIP is left to without standbys. */
  test('a standby beside a VIP is not served, also where standbys had to join', () => {
    const more = {
      'zones/rtt.csv': '192.0.2.0/24,dublin,0\n192.0.2.0/24,seoul,15\n192.0.2.0/24,tokyo,22\n',
    };
    const vips = [
      vip('d', 'dublin', 'weight: 0'),
      vip('a', 'seoul', 'weight: 0'),
      vip('c', 'seoul'),
      vip('b', 'tokyo'),
    ];
    const steps = '{ latency: { table: rtt.csv, within: 20ms } }, { failover: [tokyo, seoul] }, { failover: [seoul] }';
    const server = serve(service('www', vips, `steer: [${steps}], answers: all`), more);
    put(server, '');
    expect(decide(server)).toBe('c');
  });

  test.each<[steps: string, states: string, read: string]>([
    ['failover: [seoul, tokyo, dublin]', '', 's1 s3'],
    ['failover: [tokyo, seoul, dublin]', '', 't1'],
    ['failover: [tokyo, seoul], weighted', '', 't1'],
    ['latency: { table: rtt.csv, within: 20ms }', '', 't1 s1 s3'],
    ['latency: { table: rtt.csv, within: 20ms }', 's1=down', 't1 s1 s3'],
    ['{ geo: { KR: seoul, default: dublin } }, all', '', 's1 s3'],
    // The shortcut does not hold: no VIP of Dublin is up.
    ['failover: [dublin, seoul]', 'd1=down', 't1 s1 d1 t2 s2 s3'],
  ])('%s with %s: reads the states of %s alone', (steps, states, read) => {
    const server = serve(EARLIER + service('www', VIPS, `steer: [${steps}]`) + NEXT, latency);
    put(server, states);
    const seen = new Set<number>();
    const { health, state } = server;
    const states32 = new Proxy(health.states, {
      get: (words, key) => {
        seen.add(Number(key));
        return words[Number(key)];
      },
    });
    decide({ ...server, state: { ...state, steerer: { ...state.steerer, health: { ...health, states: states32 } } } });
    const names = server.generation.catalog.vips.filter(({ slot }) => seen.has(slot)).map(({ name }) => name);
    expect(names.join(' ')).toBe(read);
  });
});

describe('a key that gives no answer', () => {
  test.each<[states: string, kr: string, others: string]>([
    ['', 'none', 'b'],
    ['b=down', 'none', 'static'],
  ])('in the second step, with %s: %s, and %s elsewhere', (states, kr, others) => {
    const vips = [vip('a', 'seoul'), vip('b', 'tokyo')];
    const steps = '{ geo: { default: tokyo } }, { geo: { KR: none, default: tokyo } }';
    const server = serve(BEFORE + service('www', vips, `steer: [${steps}], when_all_down: { A: 192.0.2.99 }`));
    put(server, states);
    expect([decide(server), decide(server, { client: '198.51.100.1' })]).toEqual([kr, others]);
  });
});

test.each<[type: number, scope: number]>([
  [T.A, 0],
  [T.AAAA, 24],
  [T.TXT, 24],
  [T.CAA, 0],
])('sticky orders the VIPs that have type %i: scope %i', (type, scope) => {
  const vips = [
    'a: { A: 203.0.113.1, TXT: one }',
    "b: { AAAA: '2001:db8::1', TXT: two }",
    `c: { AAAA: '2001:db8::2', CAA: '0 issue "x"' }`,
  ];
  const server = serve(BEFORE + front('www', vips, 'steer: [sticky]'));
  put(server, '');
  decide(server, { type });
  expect(server.state.steerer.decision.scopeBits).toBe(scope);
});

describe('the course of a decision', () => {
  /** What explain is told: after the start (-1), each step, and at the end (-2). */
  function course(server: Answering, client = '192.0.2.1'): string {
    const told: string[] = [];
    const observer: Steerer['observer'] = (number, step, { candidates, count }) => {
      if (step > -2) told.push(`${step}: ${namesOf(server, number, candidates.subarray(0, count))}`);
    };
    const served = decide(server, { observer, client });
    return [...told, served].join(' | ');
  }

  const STANDBY = [vip('a', 'seoul', 'weight: 0'), vip('b', 'tokyo')];
  test.each<[steps: string, more: string, states: string, told: string]>([
    ['failover: [b, a], all', '', '', '-1: b | 0: b | 1: b | b'],
    // Without the shortcut that packets take.
    ['failover: [tokyo, seoul], all', '', '', '-1: b | 0: b | 1: b | b'],
    // Standbys join only if some were left out and nothing is left without them.
    ['failover: [a]', '', '', '-1: b | 0:  | -1: a b | 0: a | a'],
    ['failover: [a]', 'when_all_down: none', 'a=down', '-1: b | 0:  | none'],
    ['failover: [a], weighted', '', '', '-1: b | 0:  | -1: a b | 0: a | 1: a | a'],
    [
      'weighted, failover: [a]',
      '',
      '',
      '-1: b | 0: b | 1:  | -1: a b | 0: b | 1:  | -1: b | 0: b | 1:  | -1: a b | 0: b | 1:  | -1: b | 0: b | 1:  | -1: a b | 0: b | 1:  | none',
    ],
    ['sticky, failover: [a]', 'when_all_down: none', '', '-1: b | 0: b | 1:  | -1: a b | 0: b | 1:  | none'],
    // A second and a third time for weaker degrees of availability.
    ['all', '', 'a=down b=down', '-1:  | -1: b | 0: b | b'],
    ['all', '', 'a=down b=drain', '-1:  | -1: a | 0: a | a'],
    ['all', '', 'a=drain b=drain', '-1:  | -1:  | -1: b | 0: b | b'],
    ['all', 'when_all_down: none', 'a=down b=down', '-1:  | none'],
    ['all', 'when_all_down: { A: 192.0.2.99 }', 'a=down b=down', '-1:  | static'],
    // Steps after one that leaves nothing do not run.
    ['failover: [dublin], weighted, sticky', 'when_all_down: none', '', '-1: b | 0:  | -1: a b | 0:  | none'],
    ['failover: [dublin], weighted, sticky', 'when_all_down: none', 'a=down', '-1: b | 0:  | none'],
  ])('%s, %s, with %s: %s', (steps, more, states, told) => {
    const server = serve(service('www', STANDBY, `steer: [${steps}]${more && `, ${more}`}`));
    put(server, states);
    expect(course(server)).toBe(told);
  });

  const LOST = 'steer: [failover: [dublin]]';
  const V6 = '{ AAAA: "2001:db8::1" }';
  // Whether VIPs that are drained count is asked only if some, but not all, are drained.
  test.each<[why: string, services: string, states: string, told: string]>([
    ['some are drained', service('www', A_B, LOST), 'b=drain', '-1: a | 0:  | -1: a | 0:  | none'],
    ['all are drained', service('www', A_B, LOST), 'a=drain b=drain', '-1:  | -1:  | -1: a b | 0:  | none'],
    ['none is drained', service('www', A_B, LOST), '', '-1: a b | 0:  | -1: a b | 0:  | -1: a b | 0:  | none'],
    [
      'the next is drained',
      service('www', [vip('a', 'seoul')], LOST),
      'n=drain',
      '-1: a | 0:  | -1: a | 0:  | -1: a | 0:  | none',
    ],
    [
      'one of another type is drained',
      service('www', [vip('a', 'seoul'), `v: ${V6}`], LOST),
      'v=drain',
      '-1: a | 0:  | -1: a | 0:  | none',
    ],
    [
      'one of another type is not',
      service('www', [vip('a', 'seoul'), `v: ${V6}`], LOST),
      'a=drain',
      '-1:  | -1:  | none',
    ],
    [
      'an inner one of another type is in',
      front('www', [vip('a', 'seoul'), 'k: { service: six }'], LOST) + front('six', [`v: ${V6}`], 'steer: [all]'),
      '',
      '-1: a | 0:  | -1: a | 0:  | -1: a | 0:  | none',
    ],
    [
      'all that an inner one has for the type is drained',
      front('www', ['k: { service: both }'], 'steer: [all]') +
        front('both', [vip('a', 'seoul'), `v: ${V6}`], 'steer: [all], when_all_down: { A: 192.0.2.77 }'),
      'a=drain',
      '-1:  | -1:  | none',
    ],
  ])('for clients that the steps lead nowhere, if %s', (_, services, states, told) => {
    const server = serve(services + NEXT);
    put(server, states);
    expect(course(server)).toBe(told);
  });

  test.each(['sticky', 'sticky, failover: [tokyo, seoul]'])(
    '%s: in the order that it shows, VIPs take clients',
    (steps) => {
      const vips = ['a', 'b', 'c', 'd', 'e'].map((name) => vip(name, name < 'c' ? 'seoul' : 'tokyo'));
      const server = serve(service('www', vips, `steer: [${steps}], answers: 1`));
      const orders = new Set<string>();
      for (let network = 0; network < 32; network++) {
        const client = `198.51.${network}.1`;
        put(server, '');
        const order = /0: ([^|]*)/.exec(course(server, client))?.[1]?.trim().split(' ') ?? [];
        expect(order.toSorted().join('')).toBe('abcde');
        orders.add(order.join(''));
        const taking = steps === 'sticky' ? order : order.toSorted((a, b) => Number(a < 'c') - Number(b < 'c'));
        taking.forEach((name, place) => {
          put(
            server,
            taking
              .slice(0, place)
              .map((before) => `${before}=down`)
              .join(' '),
          );
          expect(decide(server, { client })).toBe(name);
        });
      }
      expect(orders.size).toBeGreaterThan(10);
    },
  );
});

test.each<[steps: string, more: string, states: string, draws: number]>([
  ['weighted', '', '', 1],
  ['weighted', ', answers: 3', '', 3],
  ['weighted', ', answers: all', '', 4],
  ['weighted', '', 'a=down b=down c=down d=down', 0],
  ['failover: [seoul, tokyo], weighted', '', '', 1],
  ['failover: [seoul, tokyo], weighted', '', 'a=down b=down', 0],
  ['failover: [seoul, tokyo], weighted', '', 'a=down b=down c=down', 1],
  // Steps after it choose among all, in their random order.
  ['weighted, failover: [seoul, tokyo]', '', '', 4],
  ['all', '', '', 0],
])('%s%s, with %s: %i random numbers, no more than the answer needs', (steps, more, states, draws) => {
  const vips = ['a', 'b', 'c'].map((name) => vip(name, 'seoul')).concat(vip('d', 'tokyo'), vip('e', 'tokyo'));
  const server = serve(service('www', vips, `steer: [${steps}]${more}`));
  put(server, states);
  const { state } = server.state.steerer.random;
  const before = state[3] ?? 0;
  decide(server);
  // A draw reads two numbers of the generator, which counts them.
  expect(((state[3] ?? 0) - before) / 2).toBe(draws);
});

describe('the TTL', () => {
  const GEO = '{ geo: { KR: { to: seoul, ttl: 0 }, default: { to: tokyo, ttl: 90 } } }';
  const THEN = '{ geo: { default: { to: [seoul, tokyo], ttl: 40 } } }';
  test.each<[ttl: string, steps: string, client: string, a: string, told: string]>([
    ['20', GEO, '192.0.2.1', '', 'TTL 0 scope 24'],
    ['20', GEO, '198.51.100.1', '', 'TTL 90 scope 6'],
    // Of two keys, the lower one; 0 too.
    ['20', `${GEO}, ${THEN}`, '192.0.2.1', '', 'TTL 0 scope 24'],
    ['20', `${GEO}, ${THEN}`, '198.51.100.1', '', 'TTL 40 scope 6'],
    ['20', `${THEN}, ${GEO}`, '192.0.2.1', '', 'TTL 0 scope 24'],
    ['20', `${GEO}, { geo: { default: [seoul, tokyo] } }`, '198.51.100.1', '', 'TTL 90 scope 6'],
    // A key without one changes nothing.
    [
      '20',
      `${GEO}, { geo: { KR: { to: [seoul, tokyo], ttl: 5 }, default: [seoul, tokyo] } }`,
      '198.51.100.1',
      '',
      'TTL 90 scope 6',
    ],
    // How long a state holds does not matter to a fixed one.
    ['20', GEO, '198.51.100.1', 'b=3', 'TTL 90 scope 6'],
    ['20', 'all', '198.51.100.1', 'a=3 b=3', 'TTL 20 scope 0'],
    // In a range, a key takes the place of the maximum.
    ['{ min: 10, max: 60 }', GEO, '198.51.100.1', 'b=70', 'TTL 70 scope 6'],
    ['{ min: 10, max: 60 }', GEO, '198.51.100.1', 'b=99', 'TTL 90 scope 6'],
    ['{ min: 10, max: 60 }', GEO, '198.51.100.1', 'b=3', 'TTL 10 scope 6'],
    ['{ min: 10, max: 60 }', GEO, '192.0.2.1', 'a=70', 'TTL 0 scope 24'],
    ['{ min: 10, max: 60 }', 'all', '192.0.2.1', 'a=70 b=80', 'TTL 60 scope 0'],
    ['{ min: 10, max: 60 }', 'all', '192.0.2.1', 'a=70 b=30', 'TTL 30 scope 0'],
    ['{ min: 10, max: 60 }', 'all', '192.0.2.1', 'a=3 b=30', 'TTL 10 scope 0'],
    ['{ min: 10, max: 60 }', 'all', '192.0.2.1', 'a=40 v=12', 'TTL 40 scope 0'],
  ])('%s, %s: for %s with %s, %s', (ttl, steps, client, states, told) => {
    const vips = [vip('a', 'seoul'), vip('b', 'tokyo'), 'v: { region: seoul, AAAA: "2001:db8::1" }'];
    const server = serve(service('www', vips, `ttl: ${ttl}, steer: [${steps}]`));
    put(server, states);
    decide(server, { client });
    expect(ttlAndScope(server)).toBe(told);
  });

  test('of a key counts only for the VIP that it leads to', () => {
    const steps = '{ geo: { KR: { to: seoul, ttl: 0 }, default: tokyo } }';
    const server = serve(service('www', [vip('a', 'seoul'), vip('b', 'tokyo')], `ttl: 20, steer: [${steps}]`));
    put(server, 'a=down');
    expect([decide(server), ttlAndScope(server)]).toEqual(['b', 'TTL 20 scope 24']);
  });
});

test.each<[steps: string, client: string, scope: number]>([
  ['sticky: { v4: 20, v6: 48 }', '192.0.2.1', 20],
  ['sticky: { v4: 20, v6: 48 }', '2001:db8::1', 48],
  ['geo: { KR: [seoul, tokyo], default: [tokyo, seoul] }, sticky: { v4: 28, v6: 48 }', '192.0.2.1', 28],
  ['geo: { KR: [seoul, tokyo], default: [tokyo, seoul] }, sticky: { v4: 20, v6: 48 }', '192.0.2.1', 24],
  // With one VIP left at most, the network decides nothing.
  ['failover: [a, b], sticky: { v4: 28 }', '192.0.2.1', 0],
  ['geo: { KR: none, default: seoul }, sticky: { v4: 28 }', '192.0.2.1', 24],
])('%s for %s: scope %i', (steps, client, scope) => {
  const steer = steps.replace(/(\w+: (?:\{[^}]*\}|\[[^\]]*\]))/g, '{ $1 }');
  const server = serve(service('www', [vip('a', 'seoul'), vip('b', 'seoul'), vip('c', 'tokyo')], `steer: [${steer}]`));
  put(server, '');
  decide(server, { client });
  expect(server.state.steerer.decision.scopeBits).toBe(scope);
});

test.each<[weights: string, states: string, shares: readonly [seoul: number, tokyo: number]]>([
  ['1 3 5', '', [1, 1]],
  ['1 3 5', 'a=down', [0.75, 1]],
  ['1 3 5', 'b=drain c=down', [0.25, 0]],
  ['0 0 0', 'a=down', [0.5, 1]],
  ['1 0 0', 'a=down c=down', [0, 0]],
])('the share of a region that is up: weights %s with %s: %j', (weights, states, shares) => {
  const [a, b, c] = weights.split(' ');
  const vips = [vip('a', 'half', `weight: ${a}`), vip('b', 'half', `weight: ${b}`), vip('c', 'most', `weight: ${c}`)];
  const server = serve(service('www', vips, 'steer: [all]') + NEXT);
  put(server, states);
  const { steerer } = server.state;
  startCandidates(steerer, 0, HAS.A, DEGREE.AVAILABLE, false);
  shares.forEach((share, region) => {
    expect(regionShare(steerer.decision, region)).toBeCloseTo(share, 5);
  });
});

describe('shedding', () => {
  /** `pressures`: of the VIPs in order, of what is full. */
  function press({ health }: Answering, ...pressures: readonly number[]): void {
    pressures.forEach((pressure, slot) => (health.pressures[slot] = Math.round(pressure * FULL)));
  }

  test.each<[steps: string, pressures: number[], served: string, limit: number, scope: number]>([
    // Clients that no VIP under pressure would serve are not affected.
    ['failover: [seoul, tokyo]', [0, 0, 0], 'a', -1, 0],
    ['failover: [seoul, tokyo]', [0, 9, 9], 'a', -1, 0],
    ['failover: [tokyo, seoul]', [9, 0, 0], 'b', -1, 0],
    ['failover: [seoul, tokyo]', [9, 0, 0], 'b', 0, 24],
    ['failover: [seoul, tokyo, dublin]', [9, 9, 0], 'c', 0, 24],
    // The steps lead nowhere else.
    ['failover: [a]', [9, 0, 0], 'a', 9, 24],
    ['failover: [seoul, tokyo]', [9, 5, 0], 'b', 5, 24],
    ['failover: [seoul, tokyo]', [5, 9, 0], 'a', 5, 24],
    ['geo: { KR: [seoul, tokyo], default: dublin }', [9, 0, 0], 'b', 0, 24],
    ['geo: { KR: [seoul, tokyo], default: dublin }', [0, 9, 9], 'a', -1, 24],
    ['geo: { KR: seoul, default: dublin, fence: true }, all', [9, 0, 0], 'a', 9, 24],
    ['all', [9, 0, 0], 'b', 0, 24],
    ['all', [0, 0, 9], 'a', 0, 24],
    ['all', [9, 5, 7], 'b', 5, 24],
    // The second step that looks at the place.
    ['geo: { default: [tokyo, dublin] }, geo: { KR: [dublin, tokyo], default: seoul }', [0, 9, 0], 'c', 0, 24],
    ['geo: { default: tokyo, fence: true }, geo: { KR: [dublin, tokyo], default: seoul }', [0, 9, 0], 'b', 9, 24],
  ])('%s with the pressures %j: %s', (steps, pressures, served, limit, scope) => {
    const steer = steps.replace(/(\w+: (?:\{[^}]*\}|\[[^\]]*\]))/g, '{ $1 }');
    const vips = [vip('a', 'seoul'), vip('b', 'tokyo'), vip('c', 'dublin')];
    const server = serve(BEFORE + service('www', vips, `shed: {}, steer: [${steer}], answers: 1`) + NEXT);
    put(server, '');
    press(server, 9, 9, ...pressures, 9);
    expect(decide(server)).toBe(served);
    const { shedLimit, scopeBits } = server.state.steerer.decision;
    // In full pressures: a client bears less than one.
    expect([shedLimit < 0 ? -1 : Math.ceil(shedLimit / FULL), scopeBits]).toEqual([limit, scope]);
  });

  test('a VIP beside which is only a standby keeps its clients, and its scope', () => {
    const vips = [vip('a', 'seoul'), vip('b', 'tokyo'), vip('s', 'tokyo', 'weight: 0')];
    const server = serve(service('www', vips, 'shed: {}, steer: [all], answers: 1'));
    put(server, 'b=down');
    press(server, 9, 0, 0);
    expect(decide(server)).toBe('a');
    expect([server.state.steerer.decision.shedLimit, server.state.steerer.decision.scopeBits]).toEqual([-1, 0]);
  });

  test('a standby takes no clients that others shed, nor does what an earlier query left', () => {
    const vips = [vip('a', 'seoul'), vip('b', 'tokyo'), vip('c', 'seoul'), vip('s', 'tokyo', 'weight: 0')];
    const server = serve(service('www', vips, 'shed: {}, steer: [all], answers: all'));
    put(server, '');
    expect(decide(server)).toBe('a b c');
    put(server, 'c=down');
    press(server, 9, 5, 0, 0);
    expect(decide(server)).toBe('b');
  });

  test.each([
    [[0, 0, 0, 9], false],
    [[9, 0, 0, 0], true],
    [[0, 0, 9, 0], true],
  ])('with the pressures %j, the last of which is that of the next service: %s', (pressures, pressed) => {
    const server = serve(service('www', [...A_B, vip('c', 'tokyo')], 'shed: {}, steer: [all]') + NEXT);
    press(server, ...pressures);
    expect(isPressed(server.state.steerer, 0)).toBe(pressed);
  });

  test('the network of an IPv6 client is a /56', () => {
    const server = serve(service('www', A_B, 'shed: {}, steer: [failover: [a, b]]'));
    put(server, '');
    press(server, 9, 0);
    expect(decide(server, { client: '2001:db8::1' })).toBe('b');
    expect(server.state.steerer.decision.scopeBits).toBe(56);
  });
});
