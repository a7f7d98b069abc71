/**
 * `pharos import route53`: CIDR collections, traffic policies with their instances, and Local Zones.
 */
import { describe, expect, test } from 'vitest';
import type { Files } from '../../../support/pharos.ts';
import { expectLines, geographyOf, type Imported, importValid, serverOf } from './run-import.ts';

const APEX = [
  {
    Name: 'example.com.',
    Type: 'SOA',
    TTL: 900,
    ResourceRecords: [{ Value: 'ns1.example.com. h.example.com. 1 7200 900 1209600 86400' }],
  },
  { Name: 'example.com.', Type: 'NS', TTL: 900, ResourceRecords: [{ Value: 'ns.example.net.' }] },
];
const NAMESERVERS = { nameServers: ['ns1.example.net.'] };

function set(name: string, id: string, address: string, more: Readonly<Record<string, unknown>>) {
  return {
    Name: `${name}.example.com.`,
    Type: 'A',
    SetIdentifier: id,
    TTL: 60,
    ResourceRecords: [{ Value: address }],
    ...more,
  };
}

function importAws(sets: readonly unknown[], files: Readonly<Record<string, unknown>> = {}): Imported {
  const others = Object.entries(files).map(([name, content]) => [`aws/${name}`, JSON.stringify(content)]);
  const records = JSON.stringify({ ResourceRecordSets: [...APEX, ...sets] });
  const all: Files = { 'aws/records.json': records, ...(Object.fromEntries(others) as Files) };
  return importValid('route53', all, 'aws', NAMESERVERS);
}

/** Clients of places. */
const GEOGRAPHY = geographyOf({
  '192.0.2.0/25': 'KR 37,127',
  '192.0.2.128/25': 'DE 50,8',
  '198.51.100.0/25': 'US 34,-118',
  '198.51.100.128/25': 'BR -23,-46',
});
const [KOREA, GERMANY, BRAZIL] = ['192.0.2.1', '192.0.2.129', '198.51.100.129'];

describe('CIDR collections', () => {
  const ONE = 'c8c02a84-aaaa-bbbb-e0d2-d833a2f80106';
  const TWO = 'd1c02a84-aaaa-bbbb-e0d2-d833a2f80107';
  const by = (collection: string, location: string) => ({
    CidrRoutingConfig: { CollectionId: collection, LocationName: location },
  });
  const sets = [
    set('app', 'office', '203.0.113.1', by(ONE, 'office')),
    set('app', 'branch', '203.0.113.2', by(ONE, 'branch')),
    set('app', 'rest', '203.0.113.3', by(ONE, '*')),
  ];
  const blocks = (...list: readonly (readonly [string, string])[]) => ({
    CidrBlocks: list.map(([CidrBlock, LocationName]) => ({ CidrBlock, LocationName })),
  });

  test('the blocks of list-cidr-blocks are keys of geo', () => {
    const { out, notes } = importAws(sets, {
      'blocks.json': blocks(['192.0.2.0/24', 'office'], ['2001:db8:1::/48', 'office'], ['198.51.100.0/24', 'branch']),
    });
    expect(notes.filter((note) => note.includes('app:'))).toEqual([]);
    const { addresses } = serverOf(out, GEOGRAPHY);
    expect(addresses('app.example.com', KOREA)).toEqual(['203.0.113.1']);
    expect(addresses('app.example.com', BRAZIL)).toEqual(['203.0.113.2']);
    expect(addresses('app.example.com', '203.0.113.77')).toEqual(['203.0.113.3']);
    expect(addresses('app.example.com', '2001:db8:1::5')).toEqual(['203.0.113.1']);
  });

  test('a file with the identifier of a collection in its name is of this collection only', () => {
    const { out } = importAws(
      [
        set('app', 'x', '203.0.113.1', by(ONE, 'office')),
        set('app', 'y', '203.0.113.9', by(ONE, '*')),
        set('other', 'x', '203.0.113.2', by(TWO, 'office')),
        set('other', 'y', '203.0.113.9', by(TWO, '*')),
      ],
      {
        [`cidr-${ONE}.json`]: blocks(['192.0.2.0/24', 'office']),
        [`cidr-${TWO}.json`]: blocks(['198.51.100.0/24', 'office']),
      },
    );
    const { addresses } = serverOf(out, GEOGRAPHY);
    expect(addresses('app.example.com', KOREA)).toEqual(['203.0.113.1']);
    expect(addresses('app.example.com', BRAZIL)).toEqual(['203.0.113.9']);
    expect(addresses('other.example.com', KOREA)).toEqual(['203.0.113.9']);
    expect(addresses('other.example.com', BRAZIL)).toEqual(['203.0.113.2']);
  });

  test('a location without blocks is noted', () => {
    const { notes } = importAws(sets, { 'blocks.json': blocks(['192.0.2.0/24', 'office']) });
    expect(notes).toContain(
      'changed app: the networks of the locations branch are not in these files (list-cidr-blocks): add them as keys of geo',
    );
  });
});

describe('Local Zones', () => {
  test('a Local Zone has its own position, an unknown one that of its region, with a note', () => {
    const near = (zone: string) => ({ GeoProximityLocation: { LocalZoneGroup: zone, Bias: 0 } });
    const { out, notes } = importAws([
      set('app', 'la', '203.0.113.1', near('us-west-2-lax-1')),
      set('app', 'new', '203.0.113.2', near('us-west-2-zzz-1')),
    ]);
    expectLines(out, ['  us-west-2-lax-1: { at: "34.1,-118.2" }', '  us-west-2-zzz-1: { at: "45.8,-119.7" }']);
    expect(notes).toContain('changed the position of us-west-2-zzz-1 is not known: it has that of its AWS region');
    expect(notes.filter((note) => note.includes('lax'))).toEqual([]);
  });
});

test('places with the same values are one region', () => {
  const place = (CountryCode: string) => ({ GeoLocation: { CountryCode } });
  const { out } = importAws([
    set('app', 'kr', '203.0.113.1', place('KR')),
    set('app', 'jp', '203.0.113.1', place('JP')),
    set('app', 'rest', '203.0.113.2', place('*')),
  ]);
  expectLines(out, ['    steer: [ { geo: { KR: kr, JP: kr, default: rest } } ]']);
  expect(out).not.toContain('jp:');
});

test('a set with addresses beside one with an alias has a name of its own', () => {
  const { out, notes } = importAws([
    set('app', 'One of ours', '203.0.113.1', { Weight: 1 }),
    set('app', 'cdn', '', {
      Weight: 3,
      TTL: undefined,
      ResourceRecords: undefined,
      AliasTarget: { DNSName: 'd1.cloudfront.net.', EvaluateTargetHealth: false },
    }),
  ]);
  expectLines(out, [
    '  one-of-ours.app: { A: 203.0.113.1 }',
    '      One-of-ours: { CNAME: one-of-ours.app.example.com., weight: 1 }',
    '      cdn: { CNAME: d1.cloudfront.net., weight: 3 }',
  ]);
  expect(notes).toContain(
    'changed app: the addresses of the set "One of ours" are now at one-of-ours.app.example.com: a service has either addresses or names',
  );
});

describe('traffic policies', () => {
  /** `TrafficPolicies` as `list-traffic-policy-versions` prints them: the document is JSON in a text. */
  function withPolicy(document: Readonly<Record<string, unknown>>, type = 'A'): Imported {
    const made = { ...set('www', '', '203.0.113.250', { TrafficPolicyInstanceId: 'i-1' }), SetIdentifier: undefined };
    return importAws([made], {
      'instances.json': {
        TrafficPolicyInstances: [
          {
            ...{ Id: 'i-1', HostedZoneId: 'Z1', Name: 'www.example.com.', TTL: 30, State: 'Applied' },
            ...{ TrafficPolicyId: 'p-1', TrafficPolicyVersion: 2, TrafficPolicyType: type },
          },
          { Id: 'i-9', Name: 'www.example.net.', TrafficPolicyId: 'p-1', TrafficPolicyVersion: 2 },
        ],
      },
      'versions.json': {
        TrafficPolicies: [
          { Id: 'p-1', Version: 1, Name: 'old', Type: type, Document: '{}' },
          {
            ...{ Id: 'p-1', Version: 2, Name: 'new', Type: type },
            Document: JSON.stringify({ AWSPolicyFormatVersion: '2015-10-01', RecordType: type, ...document }),
          },
        ],
      },
      'checks.json': {
        HealthChecks: [
          { Id: 'h1', HealthCheckConfig: { Type: 'TCP', Port: 443, RequestInterval: 10, FailureThreshold: 2 } },
        ],
      },
    });
  }

  const Endpoints = {
    seoul: { Type: 'value', Value: '203.0.113.1' },
    frankfurt: { Type: 'value', Value: '203.0.113.2' },
    spare: { Type: 'value', Value: '203.0.113.3' },
    elb: { Type: 'application-load-balancer', Value: 'one-1.us-west-2.elb.amazonaws.com' },
    site: { Type: 's3-website', Region: 'us-east-1', Value: 'www.example.com' },
  };
  const to = (EndpointReference: string, more: Readonly<Record<string, unknown>> = {}) => ({
    EndpointReference,
    ...more,
  });

  test('failover, with a health check', () => {
    const { out, notes } = withPolicy({
      StartRule: 'f',
      Endpoints,
      Rules: { f: { RuleType: 'failover', Primary: to('seoul', { HealthCheck: 'h1' }), Secondary: to('spare') } },
    });
    const { addresses, set: state } = serverOf(out, GEOGRAPHY);
    expect(addresses('www.example.com')).toEqual(['203.0.113.1']);
    state('www.example.com/seoul', { probed: 2 });
    expect(addresses('www.example.com')).toEqual(['203.0.113.3']);
    expectLines(out, ['    ttl: 30']);
    expect(out).toMatch(/ seoul: \{ A: 203\.0\.113\.1, check: tcp \}/);
    // Of the record set that Route 53 made for the instance, nothing is left.
    expect(out).not.toContain('203.0.113.250');
    expect(notes.filter((note) => note.includes('www:'))).toEqual([]);
  });

  test('geo: continents, countries, subdivisions, the default', () => {
    const { out } = withPolicy({
      StartRule: 'g',
      Endpoints,
      Rules: {
        g: {
          RuleType: 'geo',
          Locations: [
            to('seoul', { Continent: 'AS' }),
            to('frankfurt', { Country: 'DE' }),
            to('frankfurt', { Country: 'US', Subdivision: 'CA' }),
            to('spare', { IsDefault: 'true' }),
          ],
        },
      },
    });
    expectLines(out, ['    steer: [ { geo: { asia: seoul, DE: frankfurt, US-CA: frankfurt, default: spare } } ]']);
    const { addresses } = serverOf(out, GEOGRAPHY);
    expect([KOREA, GERMANY, BRAZIL].map((client) => addresses('www.example.com', client))).toEqual([
      ['203.0.113.1'],
      ['203.0.113.2'],
      ['203.0.113.3'],
    ]);
  });

  test('latency is nearest', () => {
    const { out } = withPolicy({
      StartRule: 'l',
      Endpoints,
      Rules: {
        l: {
          RuleType: 'latency',
          Regions: [to('seoul', { Region: 'ap-northeast-2' }), to('frankfurt', { Region: 'eu-central-1' })],
        },
      },
    });
    const { addresses } = serverOf(out, GEOGRAPHY);
    expect(addresses('www.example.com', KOREA)).toEqual(['203.0.113.1']);
    expect(addresses('www.example.com', GERMANY)).toEqual(['203.0.113.2']);
  });

  test.each(['GeoproximityLocations', 'GeoProximityLocations'])('geoproximity: %s', (key) => {
    const { out } = withPolicy({
      StartRule: 'p',
      Endpoints,
      Rules: {
        p: {
          RuleType: 'geoproximity',
          [key]: [
            to('seoul', { Region: 'aws:route53:ap-northeast-2', Bias: '10' }),
            to('frankfurt', { Latitude: '50.1', Longitude: '8.7' }),
            to('spare', { LocalZoneGroup: 'us-west-2-lax-1', Bias: -20 }),
          ],
        },
      },
    });
    expectLines(out, [
      '  ap-northeast-2: { at: "37.6,127.0" }',
      '  frankfurt: { at: "50.1,8.7" }',
      '  us-west-2-lax-1: { at: "34.1,-118.2" }',
      '    steer: [ { nearest: { bias: { ap-northeast-2: 10, us-west-2-lax-1: -20 } } }, weighted ]',
    ]);
  });

  test('multivalue and weighted', () => {
    const multi = withPolicy({
      StartRule: 'm',
      Endpoints,
      Rules: { m: { RuleType: 'multivalue', Items: [to('seoul'), to('frankfurt'), to('spare')] } },
    });
    expect(serverOf(multi.out, GEOGRAPHY).addresses('www.example.com').toSorted()).toEqual([
      '203.0.113.1',
      '203.0.113.2',
      '203.0.113.3',
    ]);
    const weighted = withPolicy({
      StartRule: 'w',
      Endpoints,
      Rules: { w: { RuleType: 'weighted', Items: [to('seoul', { Weight: '3' }), to('spare', { Weight: 0 })] } },
    });
    expectLines(weighted.out, [
      '      seoul: { A: 203.0.113.1, weight: 3 }',
      '      spare: { A: 203.0.113.3, weight: 0 }',
    ]);
  });

  test('a rule below a rule has a name of its own', () => {
    const { out, notes } = withPolicy({
      StartRule: 'places',
      Endpoints,
      Rules: {
        places: {
          RuleType: 'geo',
          Locations: [
            { RuleReference: 'Asia pair', Continent: 'AS', EvaluateTargetHealth: 'true' },
            to('frankfurt', { Continent: 'EU' }),
            to('site', { IsDefault: true }),
          ],
        },
        'Asia pair': { RuleType: 'failover', Primary: to('seoul', { HealthCheck: 'h1' }), Secondary: to('spare') },
      },
    });
    const { addresses, set: state } = serverOf(out, GEOGRAPHY);
    expect(addresses('www.example.com', KOREA)).toEqual(['203.0.113.1']);
    expect(addresses('www.example.com', GERMANY)).toEqual(['203.0.113.2']);
    state('asia-pair.www.example.com/seoul', { probed: 2 });
    expect(addresses('www.example.com', KOREA)).toEqual(['203.0.113.3']);
    expect(out).toContain('CNAME: www.example.com.s3-website-us-east-1.amazonaws.com.');
    expect(notes).toContain(
      'changed www: Asia pair: names of this zone, which are chosen even if all of their VIPs are down',
    );
  });

  test('what cannot be read is noted', () => {
    const { notes } = withPolicy({
      StartRule: 'w',
      Endpoints,
      Rules: {
        w: {
          RuleType: 'weighted',
          Items: [
            to('seoul', { Weight: 1 }),
            to('gone', { Weight: 1 }),
            { RuleReference: 'w', Weight: 1 },
            { RuleReference: 'odd', Weight: 1 },
          ],
        },
        odd: { RuleType: 'astrology' },
      },
    });
    expect(notes.filter((note) => note.includes('www')).map((note) => note.replace(/^dropped \S+: /, ''))).toEqual([
      'the endpoint "gone", which is not in the document of the policy',
      'the rule "w" of its traffic policy, which leads to itself',
      'the rule "odd" of its traffic policy has the type astrology, which has no equivalent',
    ]);
  });

  test('without its document, the result of an instance is imported, with a note', () => {
    const made = { ...set('www', '', '203.0.113.250', { TrafficPolicyInstanceId: 'i-1' }), SetIdentifier: undefined };
    const { out, notes } = importAws([made]);
    expect(out).toContain('www: { ttl: 60, A: 203.0.113.250 }');
    expect(notes).toContain(
      'changed www: made by a traffic policy: only its present result is imported; its document is not in these files (list-traffic-policy-instances, list-traffic-policy-versions)',
    );
  });

  test('a name of the zone is not taken for a rule', () => {
    const { out } = importAws(
      [
        set('pair.www', '', '203.0.113.77', { SetIdentifier: undefined }),
        { ...set('www', '', '203.0.113.250', { TrafficPolicyInstanceId: 'i-1' }), SetIdentifier: undefined },
      ],
      {
        'policy.json': {
          TrafficPolicy: {
            Id: 'p',
            Version: 1,
            Document: JSON.stringify({
              RecordType: 'A',
              StartRule: 'w',
              Endpoints,
              Rules: {
                w: { RuleType: 'weighted', Items: [{ RuleReference: 'pair', Weight: 1 }] },
                pair: { RuleType: 'failover', Primary: to('seoul'), Secondary: to('spare') },
              },
            }),
          },
        },
        'instance.json': {
          TrafficPolicyInstance: { Id: 'i-1', Name: 'www.example.com.', TrafficPolicyId: 'p', TrafficPolicyVersion: 1 },
        },
      },
    );
    const { addresses } = serverOf(out, GEOGRAPHY);
    expect(addresses('www.example.com')).toEqual(['203.0.113.1']);
    expect(addresses('pair.www.example.com')).toEqual(['203.0.113.77']);
  });
});

describe('aliases with a policy where a CNAME is not allowed', () => {
  const alias = (id: string, target: string, more: Readonly<Record<string, unknown>>) => ({
    ...{ Name: 'example.com.', Type: 'A', SetIdentifier: id, ...more },
    AliasTarget: { DNSName: target, EvaluateTargetHealth: true },
  });

  test('the name that most clients get is an ALIAS', () => {
    const { out, notes } = importAws([
      alias('spare', 'd1.cloudfront.net.', { Failover: 'SECONDARY' }),
      alias('main', 'lb-1.eu-west-1.elb.amazonaws.com.', { Failover: 'PRIMARY' }),
    ]);
    expect(out).toMatch(/^ {2}"@": \{ .*ALIAS: lb-1\.eu-west-1\.elb\.amazonaws\.com\. \}$/m);
    expect(notes.filter((note) => note.includes('its sets'))).toEqual([
      'changed @: its sets (failover) choose among names, and a CNAME is not allowed here: it becomes an ALIAS of lb-1.eu-west-1.elb.amazonaws.com for all clients, without d1.cloudfront.net; for all of them, give a service their addresses',
    ]);
  });

  test('sets with one target are an ALIAS of it', () => {
    const { out, notes } = importAws([
      alias('kr', 'd1.cloudfront.net.', { GeoLocation: { CountryCode: 'KR' } }),
      alias('all', 'd1.cloudfront.net.', { GeoLocation: { CountryCode: '*' } }),
    ]);
    expect(out).toContain('ALIAS: d1.cloudfront.net.');
    expect(notes.filter((note) => note.includes('its sets'))).toEqual([
      'changed @: its sets (geolocation, such as "kr") all lead to d1.cloudfront.net: an ALIAS of it',
    ]);
  });
});

describe('calculated health checks', () => {
  const child = (Id: string, port: number, more: Readonly<Record<string, unknown>> = {}) => ({
    Id,
    HealthCheckConfig: {
      Type: 'TCP',
      IPAddress: '203.0.113.1',
      Port: port,
      RequestInterval: 10,
      FailureThreshold: 2,
      ...more,
    },
  });
  const sum = (
    ChildHealthChecks: readonly string[],
    HealthThreshold: number,
    more: Readonly<Record<string, unknown>> = {},
  ) => ({
    Id: 'sum',
    HealthCheckConfig: { Type: 'CALCULATED', ChildHealthChecks, HealthThreshold, ...more },
  });
  const sets = [
    set('app', 'main', '203.0.113.1', { Failover: 'PRIMARY', HealthCheckId: 'sum' }),
    set('app', 'spare', '203.0.113.2', { Failover: 'SECONDARY' }),
  ];
  const children = [child('a', 80), child('b', 443), child('c', 25), child('far', 80, { IPAddress: '198.51.100.9' })];
  const imported = (calculated: unknown) =>
    importAws(sets, { 'checks.json': { HealthChecks: [...children, calculated] } });

  test.each([
    [3, 'all: { all_of: [ tcp, tcp-2, tcp-3 ], interval: 10s, rise: 2, fall: 2 }', 'all-4'],
    [2, 'most: { at_least: 2, of: [ tcp, tcp-2, tcp-3 ], interval: 10s, rise: 2, fall: 2 }', 'most-4'],
    [1, 'any: { any_of: [ tcp, tcp-2, tcp-3 ], interval: 10s, rise: 2, fall: 2 }', 'any-4'],
  ])('%i of three checks of one target', (least, line, name) => {
    const { out, notes } = imported(sum(['a', 'b', 'c'], least));
    expectLines(out, [`  ${line.replace(/^(\w+):/, `${name}:`)}`]);
    expect(out).toContain(`main: { A: 203.0.113.1, check: ${name} }`);
    expect(notes.filter((note) => note.includes('app'))).toEqual([]);
  });

  test.each<[string, unknown, RegExp]>([
    ['several targets', sum(['a', 'far'], 1), /is calculated of checks of 2 targets, and a check connects to one/],
    ['inverted', sum(['a', 'b'], 1, { Inverted: true }), /is inverted, and no check passes while its target fails/],
    ['of none', sum(['a'], 0), /needs no healthy check: its VIP is not checked/],
    ['of too many', sum(['a'], 2), /needs 2 healthy checks of 1, and is never healthy/],
    ['of one that is missing', sum(['a', 'z'], 1), /is calculated of z, not in this file/],
  ])('%s: a note', (_title, calculated, message) => {
    const { notes } = imported(calculated);
    expect(notes.filter((note) => note.includes('app'))).toEqual([expect.stringMatching(message)]);
  });
});
