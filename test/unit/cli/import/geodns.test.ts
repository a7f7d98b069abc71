/**
 * `pharos import geodns`: labels with places behind them, weights, aliases and other types.
 */
import { describe, expect, test } from 'vitest';
import { expectLines, geographyOf, importFiles, importValid, serverOf } from './run-import.ts';

const ZONE = {
  serial: 7,
  ttl: 600,
  max_hosts: 2,
  targeting: '@ country continent regiongroup region asn ip',
  contact: 'hostmaster.example.com',
  data: {
    '': {
      ns: { 'ns1.example.net.': null, 'ns2.example.net': null },
      mx: [
        { mx: 'mx1.example.net', preference: 10, weight: 1 },
        { mx: 'mx2.example.net.', preference: 20, weight: 0 },
      ],
      txt: 'say "hi"',
    },
    www: {
      a: [
        ['203.0.113.1', 10],
        ['203.0.113.2', 10],
        ['203.0.113.3', 10],
      ],
      aaaa: [['2001:db8::1', 10]],
      txt: 'hello',
      ttl: '30',
    },
    europe: { mx: [{ mx: 'mx-eu.example.net' }] },
    mail: { mx: [{ mx: 'mx1.example.net', preference: 10 }] },
    'mail.europe': { mx: ['eu1', 'eu2'].map((name) => ({ mx: `${name}.example.net`, preference: 10 })) },
    turns: {
      txt: [
        { txt: 'w9', weight: 9 },
        { txt: 'w1', weight: 1 },
      ],
      max_hosts: 1,
    },
    'www.europe': { a: [['203.0.113.4', 10]] },
    'www.de': { a: [['203.0.113.5', 10]], txt: 'guten Tag' },
    'www.us-west': { a: [['203.0.113.6', 10]] },
    'www.us-ny': { a: [['203.0.113.7', 10]] },
    'www.as64500': { a: [['203.0.113.8', 10]] },
    'www.[198.51.100.0]': { a: [['203.0.113.9', 10]] },
    all: {
      a: [
        ['203.0.113.1', 0],
        ['203.0.113.2', 0],
        ['203.0.113.3', 0],
      ],
    },
    one: {
      a: [
        ['203.0.113.1', 100],
        ['203.0.113.2', 50],
      ],
      max_hosts: '1',
    },
    few: { a: ['203.0.113.1', ['203.0.113.2']] },
    cdn: { cname: 'a.example.net.' },
    'cdn.asia': {
      cname: [
        ['b', 10],
        ['c.example.net.', 10],
      ],
    },
    copy: { alias: 'www' },
    near: {
      a: [
        ['8.8.8.8', 1],
        ['193.0.6.139', 1],
      ],
      closest: true,
      max_hosts: 1,
    },
    tcp: {
      a: [
        ['203.0.113.1', 10],
        ['203.0.113.2', 10],
      ],
      health: { type: 'tcp', port: 80, frequency: 15, retry_time: 5, retries: 2, timeout: 3 },
    },
    odd: { a: [['203.0.113.1', 10]], health: { type: 'ntp' } },
    '_sip._tcp': {
      srv: [
        { port: 5060, srv_weight: 100, priority: 10, target: 'sip.example.com.' },
        { port: 5061, priority: 20, target: 'relative' },
      ],
    },
    kept: { a: [['203.0.113.1', 10]], foo: 'bar' },
  },
};
const { out, notes } = importValid('geodns', { 'example.com.json': JSON.stringify(ZONE) }, 'example.com.json');
const GEOGRAPHY = geographyOf({
  '192.0.2.0/26': 'DE 52,13',
  '192.0.2.64/26': 'FR',
  '192.0.2.128/26': 'US-CA 37,-122',
  '192.0.2.192/26': 'KR',
});
const [GERMANY, FRANCE, CALIFORNIA, KOREA] = ['192.0.2.1', '192.0.2.65', '192.0.2.129', '192.0.2.193'];
const { addresses, ask, seen, set, texts } = serverOf(out, GEOGRAPHY);

describe('places', () => {
  test('the most specific place with the type', () => {
    expect([GERMANY, FRANCE, CALIFORNIA, '198.51.100.7'].map((client) => addresses('www.example.com', client))).toEqual(
      [['203.0.113.5'], ['203.0.113.4'], ['203.0.113.6'], ['203.0.113.9']],
    );
    expect(addresses('www.example.com', KOREA)).toHaveLength(2);
    // Of AAAA, only the label without a place has some.
    expect(ask('www.example.com', 28, { from: GERMANY }).answer).toHaveLength(1);
    expect(ask('www.example.com', 1, { from: KOREA }).answer[0]).toMatchObject({ ttl: 30 });
    // A place has the TTL of the zone, unless it states one.
    expect(ask('www.example.com', 1, { from: FRANCE }).answer[0]).toMatchObject({ ttl: 600 });
    expect(out).toMatch(/AS64500: +\{ to: as64500, ttl: 10m \}|AS64500: \{ to: as64500, ttl: 600 \}/);
  });

  test('names, relative to the zone or absolute', () => {
    expect(out).toContain('CNAME: b.example.com.');
    expect(ask('cdn.example.com', 1, { from: KOREA }).answer[0]).toMatchObject({ type: 5 });
  });

  test('an alias has the places of its target', () => {
    expect(addresses('copy.example.com', GERMANY)).toEqual(['203.0.113.5']);
    expect(notes).toContain('changed copy: the alias of www becomes a copy of it');
  });
});

describe('values', () => {
  test('no more of them than max_hosts: records', () => {
    expectLines(out, ['  few: { A: [ 203.0.113.1, 203.0.113.2 ] }', '  kept: { A: 203.0.113.1 }']);
  });

  test('addresses without weights: at most max_hosts, each equally often', () => {
    expect(addresses('all.example.com')).toHaveLength(2);
    expect(seen('all')).toEqual(['203.0.113.1', '203.0.113.2', '203.0.113.3']);
  });

  test('weights', () => {
    expect(addresses('one.example.com')).toHaveLength(1);
    expectLines(out, ['      default-1: { region: default, A: 203.0.113.1, weight: 100 }']);
  });

  test('closest is nearest, with the countries of the addresses', () => {
    expectLines(out, ['  us: { at: US }', '  nl: { at: NL }']);
    expect(addresses('near.example.com', CALIFORNIA)).toEqual(['8.8.8.8']);
    expect(addresses('near.example.com', GERMANY)).toEqual(['193.0.6.139']);
  });

  test('health', () => {
    expectLines(out, ['  tcp: { type: tcp, port: 80, interval: 15s, fast: 5s, timeout: 3s, rise: 1, fall: 2 }']);
    expect(notes).toContain(
      'changed odd: the health check of the type ntp has no equivalent: give the service a check',
    );
  });

  test('no healthy value: no data', () => {
    for (const vip of ['default-1', 'default-2']) set('tcp.example.com/' + vip, { probed: 2 });
    expect(addresses('tcp.example.com')).toEqual([]);
  });

  test('other types by place', () => {
    expect([GERMANY, FRANCE].map((client) => texts('www.example.com', 'TXT', client))).toEqual([
      ['"guten Tag"'],
      ['"hello"'],
    ]);
    expect(texts('copy.example.com', 'TXT', GERMANY)).toEqual(['"guten Tag"']);
    expect([FRANCE, KOREA].map((client) => texts('example.com', 'MX', client))).toEqual([
      ['0 mx-eu.example.net.'],
      ['10 mx1.example.net.', '20 mx2.example.net.'],
    ]);
    expect([FRANCE, KOREA].map((client) => texts('mail.example.com', 'MX', client))).toEqual([
      ['10 eu1.example.net.', '10 eu2.example.net.'],
      ['10 mx1.example.net.'],
    ]);
  });

  test('more than max_hosts of other types with weights: some of them', () => {
    const all = Array.from({ length: 64 }, () => texts('turns.example.com', 'TXT'));
    expect(all.every((each) => each.length === 1)).toBe(true);
    expect(new Set(all.flat()).size).toBe(2);
  });

  test('other types', () => {
    expectLines(out, [
      'nameservers: [ ns1.example.net., ns2.example.net. ]',
      '  "@": { TXT: say "hi" }',
      '  _sip._tcp: { SRV: [ 10 100 5060 sip, 20 0 5061 relative ] }',
    ]);
  });
});

test('what has no equivalent is noted', () => {
  expect(notes.filter((note) => /^dropped|contact|weights/.test(note))).toEqual([
    'changed the contact hostmaster.example.com: write it into soa',
    'dropped kept: FOO "bar", which is not read',
  ]);
});

test('a place that targeting leaves out is a name only', () => {
  const data = { www: { a: [['192.0.2.1', 1]] }, 'www.de': { a: [['192.0.2.2', 1]] } };
  const result = importValid(
    'geodns',
    { 'a.example.json': JSON.stringify({ targeting: '@ continent', data }) },
    'a.example.json',
  );
  expectLines(result.out, ['  www: { A: 192.0.2.1 }', '  www.de: { A: 192.0.2.2 }']);
  expect(result.notes).toContain('changed www.de is a name only: "targeting" has no country');
});

test('one zone of a folder with a mistake is left out', () => {
  const files = {
    'dns/a.example.json': JSON.stringify({ data: { www: { a: ['192.0.2.1'] } } }),
    'dns/b.example.json': '{',
    'dns/c.example.json': '{}',
  };
  const { code, error, out: written } = importFiles('geodns', files, 'dns');
  expect(code).toBe(1);
  expect(written).toMatch(/^zone: a\.example$/m);
  expect(error).toMatch(/b\.example\.json.* error PH501: .* is not JSON/);
  expect(error).toMatch(/PH501: .*c\.example\.json has no map "data"/);
});
