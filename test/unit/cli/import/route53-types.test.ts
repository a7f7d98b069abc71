/**
 * `pharos import route53`: record sets of other types with a routing policy, such as weighted TXT and geolocation MX.
 */
import { describe, expect, test } from 'vitest';
import { T } from '../../../support/message.ts';
import { expectLines, geographyOf, type Imported, importValid, serverOf } from './run-import.ts';

const record = (
  name: string,
  type: string,
  values: readonly string[],
  more: Readonly<Record<string, unknown>> = {},
) => ({
  Name: `${name}example.com.`,
  Type: type,
  TTL: 60,
  ResourceRecords: values.map((Value) => ({ Value })),
  ...more,
});

const APEX = [
  record('', 'SOA', ['ns1.example.com. h.example.com. 1 7200 900 1209600 86400']),
  record('', 'NS', ['ns.example.net.']),
];

function importSets(sets: readonly unknown[], checks?: readonly unknown[]): Imported {
  const list = { ResourceRecordSets: [...APEX, ...sets], ...(checks ? { HealthChecks: checks } : {}) };
  return importValid('route53', { 'r.json': JSON.stringify(list) }, 'r.json', { nameServers: ['ns1.example.net.'] });
}

const PLACES = geographyOf({ '192.0.2.0/25': 'KR', '192.0.2.128/25': 'DE' });
const [KOREA, GERMANY] = ['192.0.2.1', '192.0.2.129'];

const geo = (id: string, CountryCode: string) => ({ SetIdentifier: id, GeoLocation: { CountryCode } });
const weight = (id: string, Weight: number) => ({ SetIdentifier: id, Weight });

describe('other types with a policy', () => {
  test('weighted TXT is a service of its own', () => {
    const { out, notes } = importSets([
      record('t.', 'TXT', ['"one"', '"more"'], weight('x', 3)),
      record('t.', 'TXT', ['"two"'], weight('y', 0)),
    ]);
    expect(notes.filter((each) => each.includes(' t: '))).toEqual([]);
    expectLines(out, ['      x: { TXT: [ one, more ], weight: 3 }', '      y: { TXT: two, weight: 0 }', '    steer: [ weighted ]']); // prettier-ignore
    expect(serverOf(out).texts('t.example.com', 'TXT', KOREA)).toEqual(['"one"', '"more"']);
  });

  test('geolocation MX beside geolocation A: one VIP for each place, whatever the identifiers', () => {
    const { out } = importSets([
      record('w.', 'A', ['203.0.113.1'], geo('kr', 'KR')),
      record('w.', 'A', ['203.0.113.2'], geo('rest', '*')),
      record('w.', 'MX', ['10 mail.kr.example.com', '20 mx.example.net'], geo('mx-kr', 'KR')),
      record('w.', 'MX', ['10 mail.example.com'], geo('mx-rest', '*')),
      record('w.', 'CAA', ['0 issue "de.example"'], geo('de', 'DE')),
    ]);
    expectLines(out, [
      '      kr: { region: kr, A: 203.0.113.1, MX: [ 10 mail.kr, 20 mx.example.net. ] }',
      '      rest: { region: rest, A: 203.0.113.2, MX: 10 mail }',
      '      de: { region: de, CAA: 0 issue "de.example" }',
    ]);
    const server = serverOf(out, PLACES);
    expect(server.texts('w.example.com', 'MX', KOREA)).toEqual(['10 mail.kr.example.com.', '20 mx.example.net.']);
    expect(server.texts('w.example.com', 'MX', GERMANY)).toEqual(['10 mail.example.com.']);
    expect(server.addresses('w.example.com', GERMANY)).toEqual(['203.0.113.2']);
    expect(server.texts('w.example.com', 'CAA', GERMANY)).toEqual(['0 issue "de.example"']);
  });

  test('weights of A and TXT with equal identifiers and different weights stay apart', () => {
    const { out } = importSets([
      record('w.', 'A', ['203.0.113.1'], weight('a', 1)),
      record('w.', 'A', ['203.0.113.2'], weight('b', 2)),
      record('w.', 'TXT', ['"one"'], weight('a', 1)),
      record('w.', 'TXT', ['"two"'], weight('b', 7)),
    ]);
    expectLines(out, [
      '      a: { A: 203.0.113.1, TXT: one, weight: 1 }',
      '      b: { A: 203.0.113.2, weight: 2 }',
      '      b-txt: { TXT: two, weight: 7 }',
    ]);
  });

  test('beside addresses without a policy, which stay static', () => {
    const { out } = importSets([
      record('w.', 'A', ['203.0.113.1', '203.0.113.2']),
      record('w.', 'TXT', ['"kr"'], geo('kr', 'KR')),
      record('w.', 'TXT', ['"rest"'], geo('rest', '*')),
    ]);
    const server = serverOf(out, PLACES);
    expect(server.addresses('w.example.com', KOREA)).toEqual(['203.0.113.1', '203.0.113.2']);
    expect(server.texts('w.example.com', 'TXT', KOREA)).toEqual(['"kr"']);
    expect(server.texts('w.example.com', 'TXT', GERMANY)).toEqual(['"rest"']);
  });

  test('at the apex too', () => {
    const { out } = importSets([
      record('', 'MX', ['10 a.example.net'], { SetIdentifier: 'a', Failover: 'PRIMARY' }),
      record('', 'MX', ['10 b.example.net'], { SetIdentifier: 'b', Failover: 'SECONDARY' }),
      record('', 'TXT', ['"v=spf1 -all"']),
    ]);
    const server = serverOf(out, PLACES);
    expect(server.texts('example.com', 'MX', KOREA)).toEqual(['10 a.example.net.']);
    expect(server.texts('example.com', 'TXT', KOREA)).toEqual(['"v=spf1 -all"']);
    expect(server.ask('example.com', T.NS).answer).toHaveLength(1);
  });

  test('a health check connects to the host that it names', () => {
    const checks = [
      { Id: 'h1', HealthCheckConfig: { Type: 'TCP', IPAddress: '192.0.2.77', Port: 25 } },
      { Id: 'h2', HealthCheckConfig: { Type: 'HTTPS', FullyQualifiedDomainName: 'b.example.net', ResourcePath: '/' } },
    ];
    const { out } = importSets(
      [
        record('w.', 'MX', ['10 a.example.net'], { SetIdentifier: 'a', Failover: 'PRIMARY', HealthCheckId: 'h1' }),
        record('w.', 'MX', ['10 b.example.net'], { SetIdentifier: 'b', Failover: 'SECONDARY', HealthCheckId: 'h2' }),
      ],
      checks,
    );
    expect(out).toMatch(/a: \{ MX: 10 a\.example\.net\., probe: 192\.0\.2\.77, check: tcp/);
    expect(out).toMatch(/b: \{ MX: 10 b\.example\.net\., probe: b\.example\.net, check: https/);
  });

  test('a set with another policy is kept out, with a note', () => {
    const { notes } = importSets([
      record('w.', 'A', ['203.0.113.1'], weight('a', 1)),
      record('w.', 'TXT', ['"kr"'], geo('kr', 'KR')),
      record('w.', 'TXT', ['"rest"'], geo('rest', '*')),
    ]);
    expect(notes).toContain(
      'dropped w: the TXT set "kr" (geolocation) beside sets with another policy; "rest" is kept',
    );
  });
});
