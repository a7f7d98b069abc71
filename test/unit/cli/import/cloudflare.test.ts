/**
 * `pharos import cloudflare`: load balancers with their pools and monitors.
 */
import { describe, expect, test } from 'vitest';
import type { Files } from '../../../support/pharos.ts';
import { expectLines, geographyOf, importFiles, importValid, serverOf } from './run-import.ts';

type More = Readonly<Record<string, unknown>>;
const pool = (id: string, origins: readonly More[], more: More = {}) => ({
  ...{ id, name: `${id}-pool`, enabled: true, monitor: 'm1', origins },
  ...more,
});
const origin = (address: string, more: More = {}) => ({
  name: `o-${address}`,
  address,
  enabled: true,
  weight: 1,
  ...more,
});
const balancer = (name: string, more: More) => ({
  ...{ id: name, name: `${name}.example.com`, zone_name: 'example.com', proxied: false, ttl: 30, enabled: true },
  ...{ default_pools: ['a', 'b'], fallback_pool: 'b', ...more },
});
const MONITORS = [
  {
    id: 'm1',
    type: 'https',
    method: 'GET',
    path: '/health',
    port: 8443,
    interval: 60,
    retries: 2,
    timeout: 5,
    expected_codes: '2xx,301',
    expected_body: 'ok',
    header: { Host: ['www.example.com'], 'X-App': ['1'] },
    allow_insecure: true,
    consecutive_down: 2,
  },
  { id: 'm2', type: 'tcp', port: 25, interval: 30, retries: 0, timeout: 3 },
  { id: 'm3', type: 'udp_icmp', interval: 60 },
];
const POOLS = [
  pool('a', [origin('203.0.113.1'), origin('203.0.113.2')], { latitude: 37.5, longitude: 127 }),
  pool('b', [origin('198.51.100.1')], { latitude: 50.1, longitude: 8.7 }),
  pool(
    'c',
    [
      origin('198.51.100.2', { weight: 0.8 }),
      origin('198.51.100.3', { weight: 0.2 }),
      origin('198.51.100.9', { enabled: false }),
    ],
    { monitor: 'm2', minimum_origins: 2 },
  ),
  pool('off', [origin('198.51.100.8')], { enabled: false }),
  pool('names', [origin('one.example.net')], { monitor: 'm3', origin_steering: { policy: 'least_connections' } }),
];
const BALANCERS = [
  balancer('order', { steering_policy: 'off' }),
  balancer('place', {
    steering_policy: 'geo',
    region_pools: { WEU: ['b'], EEU: ['a'], NEAS: ['a'], XX: ['a'] },
    country_pools: { KR: ['b', 'a'], US: ['c'] },
  }),
  balancer('random', {
    steering_policy: 'random',
    default_pools: ['a', 'c'],
    random_steering: { default_weight: 0.5, pool_weights: { a: 0.25 } },
  }),
  balancer('near', { steering_policy: 'proximity' }),
  balancer('fast', { steering_policy: 'dynamic_latency', default_pools: ['a', 'off', 'gone'] }),
  balancer('web', { proxied: true, session_affinity: 'cookie', rules: [{ name: 'r' }], pop_pools: { LAX: ['a'] } }),
  balancer('cdn', { default_pools: ['names'], fallback_pool: 'names', steering_policy: 'least_connections' }),
];
const FILES: Files = {
  'cf/balancers.json': JSON.stringify({ success: true, result: BALANCERS }),
  'cf/monitors.json': JSON.stringify({ success: true, result: MONITORS }),
  'cf/pools.json': JSON.stringify({ success: true, result: POOLS }),
};
const { out, notes } = importValid('cloudflare', FILES, 'cf', { nameServers: ['ns.example.net.'] });
const GEOGRAPHY = geographyOf({
  '192.0.2.0/26': 'DE 52,13',
  '192.0.2.64/26': 'KR 37,127',
  '192.0.2.128/26': 'JP',
  '192.0.2.192/26': 'US',
});
const [GERMANY, KOREA, JAPAN, AMERICA] = ['192.0.2.1', '192.0.2.65', '192.0.2.129', '192.0.2.193'];
const { set, seen } = serverOf(out, GEOGRAPHY);
const A = ['203.0.113.1', '203.0.113.2'];

describe('steering policies', () => {
  test('off: the pools in order, one origin each time; the fallback pool at the end', () => {
    expect(seen('order')).toEqual(A);
    for (const vip of ['o-203.0.113.1', 'o-203.0.113.2']) set(`order.example.com/${vip}`, { probed: 2 });
    expect(seen('order')).toEqual(['198.51.100.1']);
    expectLines(out, ['    when_all_down: { A: [ 198.51.100.1 ] }']);
  });

  test('geo: countries, regions as continents, the default', () => {
    expect(seen('place', KOREA)).toEqual(['198.51.100.1']);
    expect(seen('place', JAPAN)).toEqual(A);
    expect(seen('place', GERMANY)).toEqual(['198.51.100.1']);
    expect(seen('place', AMERICA)).toEqual(['198.51.100.2', '198.51.100.3']);
    expect(notes).toEqual(
      expect.arrayContaining([
        'dropped place: the region XX: not a key of geo',
        'changed place: EEU is a part of europe, which has the pools of another part: add keys of its countries or states',
        'changed place: regions of Cloudflare are parts of continents: here each is the whole continent',
      ]),
    );
  });

  test('random: the weights of pools, shared by their origins', () => {
    expect(out).toMatch(/o-203\.0\.113\.1: \{ region: a-pool, A: 203\.0\.113\.1, weight: 125, check: https \}/);
    expect(out).toMatch(/o-198\.51\.100\.2: \{ region: c-pool, A: 198\.51\.100\.2, weight: 400, check: tcp-2 \}/);
  });

  test('proximity is nearest, and dynamic_latency too', () => {
    expect(seen('near', KOREA)).toEqual(A);
    expect(seen('near', GERMANY)).toEqual(['198.51.100.1']);
    expect(notes).toEqual(
      expect.arrayContaining([
        'changed fast: dynamic_latency: Cloudflare measures; here it is nearest until you have a latency table',
        'dropped fast: the pool off-pool, which is disabled',
        'dropped fast: the pool gone, which is not in these files',
      ]),
    );
  });
});

describe('minimum_origins', () => {
  test('is min_healthy', () => {
    expectLines(out, ['  c-pool: { min_healthy: 100% }']);
    set('place.example.com/o-198.51.100.2', { probed: 2 });
    expect(seen('place', AMERICA)).toEqual(A);
    set('place.example.com/o-198.51.100.2', { probed: 1 });
  });

  test.each([
    [[1, 1, 1], 2, '66%', []],
    [[0.4, 0.3, 0.3], 2, '60%', []],
    [[0.8, 0.1, 0.1], 2, '67%', ['changed x: minimum_origins 2 of the pool p-pool: its origins have different weights; here 67% of the weight must be up']], // prettier-ignore
  ])('weights %j, %i of them', (weights, least, share, expected) => {
    const origins = weights.map((weight, at) => origin(`203.0.113.${at + 1}`, { weight }));
    const files = {
      'cf.json': JSON.stringify([
        balancer('x', { default_pools: ['p', 'b'] }),
        pool('p', origins, { minimum_origins: least, monitor: '' }),
        pool('b', [origin('198.51.100.1')], { monitor: '' }),
      ]),
    };
    const result = importValid('cloudflare', files, 'cf.json', { nameServers: ['ns.example.net.'] });
    expectLines(result.out, [`  p-pool: { min_healthy: ${share} }`]);
    expect(result.notes).toEqual(expected);
  });
});

test('monitors are checks', () => {
  expect(out.replace(/\n\s*/g, ' ')).toContain(
    'type: https path: /health host: www.example.com port: 8443 headers: { X-App: "1" } status: [ 200-299, 301 ] body: ok insecure: true interval: 60s timeout: 5s rise: 1 fall: 4',
  );
  expect(out).toContain('tcp-2: { type: tcp, port: 25, interval: 30s, timeout: 3s, rise: 1, fall: 1 }');
});

test('what has no equivalent is noted', () => {
  expect(notes).toEqual(
    expect.arrayContaining([
      'changed web: it is proxied: clients got addresses of Cloudflare, and get those of the origins here',
      'dropped web: session_affinity cookie: consider the step sticky',
      'dropped web: pop_pools: data centres of Cloudflare',
      'dropped web: its rules: they read HTTP requests',
      'changed cdn: the monitor of the type udp_icmp has no equivalent: give the service a check',
      'changed cdn: the steering policy least_connections: its origins are chosen by weight',
    ]),
  );
});

test('zones by zone_name, or --zone; other files are refused', () => {
  const nameless = balancer('x', { zone_name: undefined });
  const files = { 'a.json': JSON.stringify({ load_balancers: [nameless], pools: POOLS, monitors: MONITORS }) };
  expect(importFiles('cloudflare', files, 'a.json').error).toMatch(
    /PH502: the load balancer x\.example\.com has no zone_name/,
  );
  expect(importValid('cloudflare', files, 'a.json', { zone: 'example.com' }).out).toMatch(/^zone: example\.com$/m);
  expect(importFiles('cloudflare', { 'a.json': '{"result": []}' }, 'a.json').error).toMatch(
    /PH501: .* has no load balancer/,
  );
});
