/**
 * `pharos import coredns-gslb`: modes, places, checks and fallbacks.
 */
import { describe, expect, test } from 'vitest';
import type { Files } from '../../../support/pharos.ts';
import { expectLines, geographyOf, importFiles, importValid, serverOf } from './run-import.ts';

const ZONE = `
defaults: { record_ttl: 60, scrape_interval: 15s }
healthcheck_profiles:
  web: { type: http, params: { enable_tls: true, port: 8443, uri: /health, host: www.example.com, expected_code: 204, skip_tls_verify: true, timeout: 3s } }
records:
  first.example.com.:
    mode: failover
    backends:
      - { address: 203.0.113.1, priority: 1, healthchecks: [ web ] }
      - { address: 203.0.113.2, priority: 2, healthchecks: [ web ] }
      - { address: 203.0.113.3, priority: 2, healthchecks: [ web ] }
      - { address: 203.0.113.9, priority: 1, enable: false }
  turns.example.com.:
    mode: round-robin
    record_ttl: 10
    backends: [ { address: 203.0.113.1, weight: 9 }, { address: 203.0.113.2 } ]
  any.example.com.:
    mode: random
    backends: [ { address: 203.0.113.1 }, { address: 203.0.113.2 }, { address: "2001:db8::1" } ]
  heavy.example.com.:
    mode: weighted
    backends: [ { address: 203.0.113.1, weight: 8 }, { address: 203.0.113.2, weight: 2 } ]
  hash.example.com.:
    mode: ip-hash
    backends: [ { address: 203.0.113.1 }, { address: 203.0.113.2 } ]
  site.example.com.:
    mode: geoip
    backends:
      - { address: 203.0.113.1, latitude: 37.5, longitude: 127.0 }
      - { address: 203.0.113.2, latitude: 50.1, longitude: 8.7 }
      - { address: 203.0.113.3, latitude: 50.1, longitude: 8.7 }
  place.example.com.:
    mode: geoip
    fallback_policy: { mode: fallback_ips, fallback_ips: [ 198.51.100.1, "2001:db8::99" ] }
    backends:
      - { address: 203.0.113.1, country: KR, priority: 2 }
      - { address: 203.0.113.2, continent: EU, priority: 1 }
      - { address: 203.0.113.3, country: US, subdivision: CA, city: San Jose, priority: 3 }
      - { address: 203.0.113.4, location: office, priority: 4 }
      - { address: 203.0.113.5, asn: AS64500, priority: 4 }
      - { address: 203.0.113.6, location: nowhere, city: Paris, priority: 5 }
  checks.example.com.:
    mode: failover
    failover_policy: { mode: fail-closed, rcode: NXDOMAIN }
    alpn: [ h2 ]
    backends:
      - { address: 203.0.113.1, priority: 1, rise: 1, fall: 4, healthchecks: [ { type: tcp, params: { port: 25 } }, { type: icmp, params: { timeout: 2s } } ] }
      - { address: 203.0.113.2, priority: 2, healthchecks: [ { type: grpc, params: { port: 9090, service: shop } } ] }
      - { address: 203.0.113.3, priority: 3, assume_healthy: true }
      - { address: 203.0.113.4, priority: 4, healthchecks: [ { type: mysql, params: { port: 3306 } }, gone ] }
  named.example.com.:
    mode: round-robin
    backends: [ { address: a.example.net }, { address: b.example.net } ]
  strange.example.com.: { mode: lottery, backends: [ { address: 203.0.113.1 } ] }
  www.example.net.: { backends: [ { address: 203.0.113.1 } ] }
`;
const FILES: Files = {
  'gslb/db.example.com.yml': ZONE,
  'gslb/location_map.yml': 'subnets: [ { subnet: 198.51.100.0/24, location: [ office ] } ]\n',
};
const { out, notes } = importValid('coredns-gslb', FILES, 'gslb');
const GEOGRAPHY = geographyOf({
  '192.0.2.0/26': 'DE 52,13',
  '192.0.2.64/26': 'KR 37,127',
  '192.0.2.128/26': 'US-CA',
  '192.0.2.192/26': 'BR',
});
const [GERMANY, KOREA, CALIFORNIA, BRAZIL] = ['192.0.2.1', '192.0.2.65', '192.0.2.129', '192.0.2.193'];
const { addresses, set, ask } = serverOf(out, GEOGRAPHY);
const sorted = (name: string, client: string): readonly string[] => addresses(`${name}.example.com`, client).toSorted();

describe('modes', () => {
  test('failover: all backends of the first priority that has one', () => {
    expect(sorted('first', GERMANY)).toEqual(['203.0.113.1']);
    set('first.example.com/priority-1', { probed: 2 });
    expect(sorted('first', GERMANY)).toEqual(['203.0.113.2', '203.0.113.3']);
    expect(notes).toContain('dropped first: 203.0.113.9, which is disabled');
  });

  test('round-robin gives one, random all, weighted by weight, ip-hash always the same', () => {
    expect(addresses('turns.example.com')).toHaveLength(1);
    expect(ask('turns.example.com', 1).answer[0]).toMatchObject({ ttl: 10 });
    expect(sorted('any', GERMANY)).toEqual(['203.0.113.1', '203.0.113.2']);
    expect(ask('any.example.com', 28).answer).toHaveLength(1);
    expectLines(out, ['      backends-1: { region: backends, A: 203.0.113.1, weight: 8 }', '    steer: [ sticky ]']);
    expect(new Set(Array.from({ length: 20 }, () => addresses('hash.example.com')[0])).size).toBe(1);
  });

  test('coordinates: all backends of the nearest site', () => {
    expect(sorted('site', KOREA)).toEqual(['203.0.113.1']);
    expect(sorted('site', GERMANY)).toEqual(['203.0.113.2', '203.0.113.3']);
  });

  test('places, networks of the location map, and the order of priorities elsewhere', () => {
    expect([KOREA, GERMANY, CALIFORNIA, BRAZIL, '198.51.100.7'].map((client) => sorted('place', client))).toEqual([
      ['203.0.113.1'],
      ['203.0.113.2'],
      ['203.0.113.3'],
      ['203.0.113.2'],
      ['203.0.113.4'],
    ]);
    expectLines(out, ['    when_all_down: { A: [ 198.51.100.1 ], AAAA: [ 2001:db8::99 ] }']);
    expect(out).toContain('US-CA/San Jose: us-ca-san-jose');
    expect(notes).toContain(
      'changed place: the networks of the location nowhere are not in these files: add them as keys of geo',
    );
  });

  test('names become CNAMEs', () => {
    expect(ask('named.example.com', 1).answer[0]).toMatchObject({ type: 5 });
  });
});

test('health checks', () => {
  expectLines(out, [
    '    path: /health',
    '    port: 8443',
    '    status: 204',
    '  tcp-2: { type: tcp, port: 25, timeout: 5s, interval: 15s, rise: 1, fall: 4 }',
    '  all-4: { all_of: [ tcp-2, exec-3 ], interval: 15s, rise: 1, fall: 4 }',
    '  grpc-5: { type: grpc, port: 9090, service: shop, timeout: 5s, interval: 15s, rise: 2, fall: 3 }',
    '      priority-3: { region: priority-3, A: 203.0.113.3, check: none }',
    '    when_all_down: none',
  ]);
});

test('what has no equivalent is noted', () => {
  expect(notes).toEqual(
    expect.arrayContaining([
      'dropped www.example.net.: a record out of the zone',
      'dropped strange: the mode lottery has no equivalent',
      'dropped place: the cities Paris: a key of geo names the country too',
      'dropped checks: alpn: give the service svcb',
      'changed checks: the answer NXDOMAIN if all backends are down: here it is NODATA',
      'changed checks: the health check of the type mysql, which has no equivalent: give the service a check',
      'changed checks: the health check gone is not in these files: give the service a check',
      'changed hash: ip-hash becomes sticky: a client may get another backend than it had',
    ]),
  );
});

test('the name of the zone is that of the file, or --zone; a file with a mistake is an error', () => {
  const one = {
    'gslb_config.example.org.yml': 'records: { a.example.org.: { backends: [ { address: 192.0.2.1 } ] } }\n',
  };
  expect(importValid('coredns-gslb', one, 'gslb_config.example.org.yml').out).toMatch(/^zone: example\.org$/m);
  const nameless = { 'gslb.yml': 'records: { a.example.org.: { backends: [ { address: 192.0.2.1 } ] } }\n' };
  expect(importFiles('coredns-gslb', nameless, 'gslb.yml').error).toMatch(/PH502: the file name gslb\.yml has no name/);
  const wrong = { 'db.example.org.yml': 'records: { a: [ }\n' };
  expect(importFiles('coredns-gslb', wrong, 'db.example.org.yml')).toMatchObject({ code: 1, out: '' });
  expect(importFiles('coredns-gslb', { 'x.yml': 'a: b\n' }, 'x.yml').error).toMatch(/PH501: .* has no map "records"/);
});
