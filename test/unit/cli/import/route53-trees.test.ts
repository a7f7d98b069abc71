/**
 * `pharos import route53`: alias sets with a policy that lead to sets with a policy (alias trees), and nested rules of
 * traffic policies. They become VIPs that are services.
 */
import { describe, expect, test } from 'vitest';
import { T } from '../../../support/message.ts';
import { createDice, moreThan, printedSeed, trials } from '../../../support/random.ts';
import { expectLines, geographyOf, type Imported, importFiles, importValid, serverOf } from './run-import.ts';

type More = Readonly<Record<string, unknown>>;

const ownerOf = (name: string): string => (name === '@' ? 'example.com.' : `${name}.example.com.`);
const set = (name: string, id: string, value: string, more: More, Type = 'A') => ({
  ...{ Name: ownerOf(name), Type, SetIdentifier: id, TTL: 60, ResourceRecords: [{ Value: value }] },
  ...more,
});
const alias = (name: string, id: string, target: string, more: More, Type = 'A', EvaluateTargetHealth = true) => ({
  ...{ Name: ownerOf(name), Type, SetIdentifier: id, ...more },
  AliasTarget: { DNSName: target.endsWith('.') ? target : ownerOf(target), EvaluateTargetHealth },
});
const weight = (Weight: number, more: More = {}) => ({ Weight, ...more });
const latency = (Region: string) => ({ Region });
const place = (CountryCode: string) => ({ GeoLocation: { CountryCode } });
const PRIMARY = { Failover: 'PRIMARY' };
const SECONDARY = { Failover: 'SECONDARY' };
const CHECKED = { HealthCheckId: 'h' };

const APEX = [
  {
    ...{ Name: 'example.com.', Type: 'SOA', TTL: 900 },
    ResourceRecords: [{ Value: 'ns1.example.com. h.example.com. 1 7200 900 1209600 86400' }],
  },
  { Name: 'example.com.', Type: 'NS', TTL: 900, ResourceRecords: [{ Value: 'ns.example.net.' }] },
];
const HealthChecks = [
  { Id: 'h', HealthCheckConfig: { Type: 'TCP', Port: 443, RequestInterval: 10, FailureThreshold: 2 } },
];

/** The result, and its notes but those about the apex and latencies. */
function importSets(sets: readonly unknown[], more: More = {}): Imported {
  const content = JSON.stringify({ ResourceRecordSets: [...APEX, ...sets], HealthChecks, ...more });
  const imported = importValid('route53', { 'r.json': content }, 'r.json', { nameServers: ['ns1.example.net.'] });
  const notes = imported.notes.filter(
    (note) => !/the SOA of Route 53|the name servers|the latencies of AWS/.test(note),
  );
  return { ...imported, notes };
}

const GEOGRAPHY = geographyOf({ '192.0.2.0/25': 'KR 37,127', '192.0.2.128/25': 'DE 50,8' });
const [KOREA, GERMANY] = ['192.0.2.1', '192.0.2.129'];

/** Latency sets of two regions, each of which leads to weighted sets. */
const REGIONS = (['A', 'AAAA'] as const).flatMap((type) => {
  const address = (n: number): string => (type === 'A' ? `203.0.113.${n}` : `2001:db8:1::${n}`);
  return [
    alias('www', 'asia', 'asia', latency('ap-northeast-2'), type),
    alias('www', 'europe', 'europe', latency('eu-central-1'), type),
    set('asia', 'a', address(1), weight(3, CHECKED), type),
    set('asia', 'b', address(2), weight(1, CHECKED), type),
    set('europe', 'c', address(3), weight(1, CHECKED), type),
    set('europe', 'd', address(4), weight(0, CHECKED), type),
  ];
});

describe('alias trees', () => {
  test('latency, then weights: VIPs that are services, one for A and AAAA', () => {
    const { out, notes } = importSets(REGIONS);
    expect(notes).toEqual([]);
    expectLines(out, [
      '      asia: { region: ap-northeast-2, service: asia }',
      '      europe: { region: eu-central-1, service: europe }',
      '      a: { A: 203.0.113.1, AAAA: 2001:db8:1::1, weight: 3 }',
    ]);
    expect(out).not.toContain('CNAME');
  });

  test('its answers, with one VIP down and with a whole region down', () => {
    const { out } = importSets(REGIONS);
    const { addresses, seen, set: state } = serverOf(out, GEOGRAPHY);
    expect(seen('www', KOREA)).toEqual(['203.0.113.1', '203.0.113.2']);
    expect(seen('www', GERMANY)).toEqual(['203.0.113.3']);
    expect(addresses('www.example.com', GERMANY, T.AAAA)).toEqual(['20010db8000100000000000000000003']);
    state('asia.example.com/a', { probed: 2 });
    expect(seen('www', KOREA)).toEqual(['203.0.113.2']);
    expect(seen('www', GERMANY)).toEqual(['203.0.113.3']);
    state('asia.example.com/b', { probed: 2 });
    expect(seen('www', KOREA)).toEqual(['203.0.113.3']);
    state('europe.example.com/c', { probed: 2 });
    expect(seen('www', KOREA)).toEqual(['203.0.113.4']);
    expect(seen('www', GERMANY)).toEqual(['203.0.113.4']);
  });

  test('three levels at the apex, beside addresses', () => {
    const { out, notes } = importSets([
      alias('@', 'main', 'places', PRIMARY),
      set('@', 'spare', '203.0.113.9', SECONDARY),
      alias('places', 'kr', 'pair', place('KR')),
      set('places', 'all', '203.0.113.3', { ...place('*'), ...CHECKED }),
      set('pair', 'a', '203.0.113.1', { ...PRIMARY, ...CHECKED }),
      set('pair', 'b', '203.0.113.2', { ...SECONDARY, ...CHECKED }),
    ]);
    expect(notes).toEqual([]);
    const { addresses, set: state } = serverOf(out, GEOGRAPHY);
    const both = (): unknown => [KOREA, GERMANY].map((client) => addresses('example.com', client).join());
    expect(both()).toEqual(['203.0.113.1', '203.0.113.3']);
    state('pair.example.com/a', { probed: 2 });
    expect(both()).toEqual(['203.0.113.2', '203.0.113.3']);
    state('pair.example.com/b', { probed: 2 });
    expect(both()).toEqual(['203.0.113.3', '203.0.113.3']);
    state('places.example.com/all', { probed: 2 });
    expect(both()).toEqual(['203.0.113.9', '203.0.113.9']);
  });

  test('an alias of an alias, and an alias of addresses beside one of a service', () => {
    const { out, notes } = importSets([
      alias('www', 'tree', 'middle', weight(1)),
      alias('www', 'plain', 'one', weight(1)),
      { ...alias('middle', '', 'pair', {}), SetIdentifier: undefined },
      { ...set('one', '', '203.0.113.7', {}), SetIdentifier: undefined },
      set('pair', 'a', '203.0.113.1', weight(1)),
      set('pair', 'b', '203.0.113.2', weight(1)),
    ]);
    expectLines(out, ['      tree: { service: pair, weight: 1 }', '      plain: { A: 203.0.113.7, weight: 1 }']);
    expect(notes.filter((note) => note.includes('www'))).toEqual([
      'changed www: the alias of one.example.com becomes a copy of its present A records',
    ]);
    expect(serverOf(out).seen('www')).toEqual(['203.0.113.1', '203.0.113.2', '203.0.113.7']);
  });

  test('the apex, and a wildcard, as targets', () => {
    const { out, notes } = importSets([
      alias('www', 'x', '@', weight(1)),
      alias('www', 'y', '\\052.dev', weight(1)),
      ...['@', '\\052.dev'].flatMap((name, at) =>
        [1, 2].map((n) => set(name, `${n}`, `203.0.113.${10 * at + n}`, weight(1))),
      ),
    ]);
    expect(notes).toEqual([]);
    expect(out).not.toContain('CNAME');
    expect(serverOf(out).seen('www')).toEqual(['203.0.113.1', '203.0.113.11', '203.0.113.12', '203.0.113.2']);
  });

  test('A and AAAA that lead to different services stay apart', () => {
    const { out, notes } = importSets([
      ...['KR', '*'].flatMap((country) => {
        const id = country === '*' ? 'all' : country;
        return [
          alias('www', id, `four-${id.toLowerCase()}`, place(country)),
          alias('www', id, `six-${id.toLowerCase()}`, place(country), 'AAAA'),
        ];
      }),
      ...[1, 2].flatMap((n) => [
        set('four-kr', `${n}`, `203.0.113.${n}`, weight(1)),
        set('four-all', `${n}`, `203.0.113.${n + 2}`, weight(1)),
        set('six-kr', `${n}`, '2001:db8:1::1', weight(1), 'AAAA'),
        set('six-all', `${n}`, '2001:db8:2::1', weight(1), 'AAAA'),
      ]),
    ]);
    expect(notes).toEqual([]);
    const { addresses, seen } = serverOf(out, GEOGRAPHY);
    expect(seen('www', KOREA)).toEqual(['203.0.113.1', '203.0.113.2']);
    expect(seen('www', GERMANY)).toEqual(['203.0.113.3', '203.0.113.4']);
    expect(addresses('www.example.com', KOREA, T.AAAA)).toEqual(['20010db8000100000000000000000001']);
    expect(addresses('www.example.com', GERMANY, T.AAAA)).toEqual(['20010db8000200000000000000000001']);
  });

  test('sets with other identifiers for AAAA are one VIP with those for A', () => {
    const { out, notes } = importSets([
      alias('www', 'a-4', 'pair', weight(9)),
      alias('www', 'a-6', 'pair', weight(9), 'AAAA'),
      set('www', 'b-4', '203.0.113.9', weight(1)),
      set('pair', 'x', '203.0.113.1', weight(1)),
      set('pair', 'x', '2001:db8:1::1', weight(1), 'AAAA'),
    ]);
    expect(notes).toEqual([]);
    expectLines(out, ['      a-4: { service: pair, weight: 9 }', '      b-4: { A: 203.0.113.9, weight: 1 }']);
    expect(out).not.toContain('a-6');
  });

  test('beside an alias of another system, all are CNAMEs', () => {
    const { out, notes } = importSets([
      alias('www', 'ours', 'pair', weight(1)),
      alias('www', 'theirs', 'd1.cloudfront.net.', weight(1), 'A', false),
      set('pair', 'a', '203.0.113.1', weight(1, CHECKED)),
      set('pair', 'b', '203.0.113.2', weight(1, CHECKED)),
    ]);
    expectLines(out, ['      ours: { CNAME: pair.example.com., weight: 1 }', '      theirs: { CNAME: d1.cloudfront.net., weight: 1 }']); // prettier-ignore
    expect(notes.filter((note) => note.includes('www'))).toEqual([
      'changed www: the aliases become CNAMEs, which resolvers follow',
      'changed www: ours: names of this zone, which are chosen even if all of their VIPs are down',
      'changed www: EvaluateTargetHealth of the alias (ours): give the service a check',
    ]);
  });

  test('a service of CNAMEs can be the VIP of a service of CNAMEs', () => {
    const { out, notes } = importSets([
      alias('www', 'ours', 'names', weight(1), 'CNAME'),
      set('www', 'theirs', 'c.example.net.', weight(1), 'CNAME'),
      set('names', 'a', 'a.example.net.', weight(1), 'CNAME'),
      set('names', 'b', 'b.example.net.', weight(1), 'CNAME'),
    ]);
    expect(notes).toEqual([]);
    expectLines(out, [
      '      ours: { service: names, weight: 1 }',
      '      theirs: { CNAME: c.example.net., weight: 1 }',
    ]);
  });
});

describe('what differs is noted', () => {
  const PAIR = [
    set('pair', 'a', '203.0.113.1', weight(1, CHECKED)),
    set('pair', 'b', '203.0.113.2', weight(1, CHECKED)),
  ];
  const spare = set('www', 'spare', '203.0.113.9', SECONDARY);

  test('EvaluateTargetHealth is false', () => {
    const { notes } = importSets([alias('www', 'main', 'pair', PRIMARY, 'A', false), spare, ...PAIR]);
    expect(notes).toEqual([
      'changed www: EvaluateTargetHealth of an alias is false, but the health of its service counts here: while all VIPs of that service are down, another VIP is chosen',
    ]);
    const unchecked = PAIR.map((each) => ({ ...each, HealthCheckId: undefined }));
    expect(importSets([alias('www', 'main', 'pair', PRIMARY, 'A', false), spare, ...unchecked]).notes).toEqual([]);
  });

  test('a health check of the alias itself', () => {
    const { out, notes } = importSets([alias('www', 'main', 'pair', { ...PRIMARY, ...CHECKED }), spare, ...PAIR]);
    expect(notes).toEqual([
      'changed www: the health check h (main) is not kept: a VIP that is a service has the health of that service',
    ]);
    expectLines(out, ['      main: { service: pair }']);
  });

  test('types that only the service has', () => {
    const six = set('pair', 'a', '2001:db8::1', weight(1, CHECKED), 'AAAA');
    const { notes } = importSets([alias('www', 'main', 'pair', PRIMARY), spare, ...PAIR, six]);
    expect(notes).toEqual(['changed www: the alias of pair.example.com answers for AAAA too, which that service has']);
  });

  test('a type that both names have', () => {
    const text = (name: string, more: More) => ({ ...set(name, 'a', '"x"', more, 'TXT') });
    const { notes } = importSets([
      alias('@', 'main', 'pair', PRIMARY),
      set('@', 'spare', '203.0.113.9', SECONDARY),
      { ...text('@', {}), SetIdentifier: undefined },
      ...PAIR,
      text('pair', weight(1)),
    ]);
    expect(notes).toEqual([
      'changed @: the alias of pair.example.com ("main") does not become a VIP that is a service: both names have TXT records',
      expect.stringMatching(/^dropped @: the set "main": A alias of pair\.example\.com: a CNAME is not allowed here/),
    ]);
  });

  test('a type with another kind of policy, of which one set is kept as static records', () => {
    const text = (name: string, id: string, more: More) => set(name, id, `"${id}"`, more, 'TXT');
    const texts = [text('www', 'kr', place('KR')), text('www', 'all', place('*')), text('pair', 'a', weight(1))];
    const { out, notes } = importSets([alias('www', 'main', 'pair', PRIMARY), spare, ...PAIR, ...texts]);
    expect(notes[0]).toMatch(/both names have TXT records$/);
    expectLines(out, ['      spare: { A: 203.0.113.9 }']);
  });

  test('the same check of all addresses is that of the service', () => {
    const sets = [alias('www', 'main', 'pair', PRIMARY), { ...spare, ...CHECKED }, ...PAIR];
    const { out, notes } = importSets(sets);
    expect(notes).toEqual([]);
    expect(out.match(/^ {4}check: tcp$/gm)).toHaveLength(2);
  });

  test('an address without a policy, which a VIP that is a service cannot have', () => {
    const six = { ...set('www', '', '2001:db8::1', {}, 'AAAA'), SetIdentifier: undefined };
    const { out, notes } = importSets([alias('www', 'main', 'pair', PRIMARY), spare, six, ...PAIR]);
    expect(notes).toContain('dropped www: the AAAA without a policy at main, which are services');
    expectLines(out, ['      main: { service: pair }', '      spare: { A: 203.0.113.9, AAAA: 2001:db8::1 }']);
  });

  test('names that lead back to themselves', () => {
    const { out, notes } = importSets([
      alias('one', 'x', 'two', weight(1)),
      set('one', 'y', '203.0.113.1', weight(1)),
      alias('two', 'x', 'one', weight(1)),
      set('two', 'y', '203.0.113.2', weight(1)),
      alias('self', 'x', 'self', weight(1)),
      set('self', 'y', '203.0.113.3', weight(1)),
    ]);
    expect(notes).toEqual([
      'dropped two: the A set "x": its alias of one.example.com leads back to itself',
      'dropped self: the A set "x": its alias of self.example.com leads back to itself',
    ]);
    expect(serverOf(out).seen('one')).toEqual(['203.0.113.1', '203.0.113.2']);
  });
});

describe('TTLs', () => {
  const inner = (name: string, TTL: number) => set(name, 'a', '203.0.113.1', weight(1, { TTL }));

  test('those of the services count', () => {
    const sets = [alias('www', 'x', 'low', weight(1)), alias('www', 'y', 'high', weight(0)), inner('low', 20), inner('high', 300)]; // prettier-ignore
    const { out, notes } = importSets(sets);
    expect(notes).toEqual([]);
    expect(
      serverOf(out)
        .ask('www.example.com', T.A)
        .answer.map(({ ttl }) => ttl),
    ).toEqual([20]);
    expect(out).toMatch(/ www:\n(?: {4}ttl: 5m\n)? {4}vips/);
  });

  test('a lower one of an address is that of all, with a note', () => {
    const own = set('www', 'y', '203.0.113.9', weight(1, { TTL: 30 }));
    const { notes } = importSets([alias('www', 'x', 'high', weight(1)), own, inner('high', 300)]);
    expect(notes).toEqual(['changed www: its sets have different TTLs: all get the smallest, 30']);
    expect(importSets([alias('www', 'x', 'low', weight(1)), own, inner('low', 20)]).notes).toEqual([]);
  });

  test('a higher one of a place is that of its key', () => {
    const own = set('www', 'y', '203.0.113.9', { ...place('*'), TTL: 30 });
    const { out, notes } = importSets([alias('www', 'x', 'high', place('KR')), own, inner('high', 300)]);
    expect(notes).toEqual([]);
    const { ask } = serverOf(out, GEOGRAPHY);
    const ttls = [KOREA, GERMANY].map((from) => ask('www.example.com', T.A, { from }).answer[0]?.ttl);
    expect(ttls).toEqual([300, 30]);
  });
});

describe('limits', () => {
  /** Names `n0`, `n1`, ..., each of which leads to the one before it. */
  const chain = (length: number) =>
    Array.from({ length }, (_, at) => [
      at === 0 ? set('n0', 'x', '203.0.113.1', weight(1)) : alias(`n${at}`, 'x', `n${at - 1}`, weight(1)),
      set(`n${at}`, 'y', `203.0.113.${at + 100}`, weight(1)),
    ]).flat();
  const noted = /does not become a VIP that is a service: (.*)$/;

  test('8 services on the way; a note and a CNAME for one more', () => {
    const whole = importSets(chain(9).toReversed());
    expect(whole.notes).toEqual([]);
    expect(whole.out).not.toContain('CNAME');
    const { out, notes } = importSets(chain(10).toReversed());
    expect(notes).toContain(
      'changed n9: the alias of n8.example.com ("x") does not become a VIP that is a service: more than 8 services would be on the way to the records',
    );
    expectLines(out, ['      x: { CNAME: n8.example.com., weight: 1 }']);
  });

  test('at the apex too', () => {
    const { notes } = importSets([...chain(9), alias('@', 'x', 'n8', weight(1)), set('@', 'y', '203.0.113.99', weight(1))]); // prettier-ignore
    expect(notes).toEqual([
      'changed @: the alias of n8.example.com ("x") does not become a VIP that is a service: more than 8 services would be on the way to the records',
      expect.stringMatching(/^dropped @: the set "x": A alias of n8\.example\.com/),
    ]);
  });

  const found = (sets: readonly unknown[]): readonly string[] =>
    importSets(sets).notes.flatMap((note) => noted.exec(note)?.[1] ?? []);

  test('1,024 VIPs', () => {
    const sets = [
      ...Array.from({ length: 64 }, (_, at) => alias('top', `x${at}`, 'leaf', weight(at + 1))),
      ...Array.from({ length: 15 }, (_, at) => set('leaf', `x${at}`, `203.0.113.${at}`, weight(1))),
    ];
    expect(found(sets)).toEqual([]);
    const message = 'the service would lead to more than 1024 VIPs';
    expect(found([...sets, set('top', 'y', '203.0.113.99', weight(1))])).toEqual([message]);
  });

  test('255 services', () => {
    const sets = Array.from({ length: 15 }, (_, at) => [
      alias('top', `t${at}`, `m${at}`, weight(1)),
      ...Array.from({ length: 16 }, (_, n) => [
        alias(`m${at}`, `x${n}`, `b${at}-${n}`, weight(1)),
        set(`b${at}-${n}`, 'x', `203.0.113.${n}`, weight(1)),
      ]).flat(),
    ]).flat();
    expect(found(sets)).toEqual([]);
    const more = [alias('top', 'more', 'more', weight(1)), set('more', 'x', '203.0.113.99', weight(1))];
    expect(found([...sets, ...more])).toEqual(['the service would lead to more than 255 services']);
  });

  test('a long chain of names takes no deep recursion', () => {
    const { notes } = importSets(chain(150).toReversed());
    expect(notes.length).toBeGreaterThan(0);
  });
});

describe('nested rules of a traffic policy', () => {
  const Endpoints = Object.fromEntries(
    ['a', 'b', 'c', 'd'].map((name, at) => [name, { Type: 'value', Value: `203.0.113.${at + 1}` }]),
  );
  const to = (EndpointReference: string) => ({ EndpointReference, HealthCheck: 'h' });
  const rule = (RuleReference: string, more: More) => ({ RuleReference, EvaluateTargetHealth: true, ...more });

  test.each(['@', 'www'])('are services, at %s', (label) => {
    const made = { ...set(label, '', '203.0.113.250', { TrafficPolicyInstanceId: 'i' }), SetIdentifier: undefined };
    const name = ownerOf(label);
    const owner = name.slice(0, -1);
    const Document = JSON.stringify({
      ...{ RecordType: 'A', StartRule: 'places', Endpoints },
      Rules: {
        places: {
          RuleType: 'geo',
          Locations: [rule('asia', { Continent: 'AS' }), rule('rest', { IsDefault: true })],
        },
        asia: { RuleType: 'failover', Primary: rule('first', {}), Secondary: to('c') },
        first: {
          RuleType: 'weighted',
          Items: [
            { ...to('a'), Weight: 1 },
            { ...to('b'), Weight: 1 },
          ],
        },
        rest: { RuleType: 'failover', Primary: to('d'), Secondary: to('c') },
      },
    });
    const { out, notes } = importSets([made], {
      TrafficPolicyInstances: [{ Id: 'i', Name: name, TTL: 60, TrafficPolicyId: 'p', TrafficPolicyVersion: 1 }],
      TrafficPolicies: [{ Id: 'p', Version: 1, Document }],
    });
    expect(notes).toEqual([]);
    expect(out).not.toContain('CNAME');
    const below = label === '@' ? '' : `.${label}`;
    expectLines(out, [
      `      asia: { region: asia, service: asia${below} }`,
      `      first: { service: first${below} }`,
    ]);
    const { addresses, set: state } = serverOf(out, GEOGRAPHY);
    const answers = (client: string): unknown =>
      [...new Set(Array.from({ length: 32 }, () => addresses(owner, client).join()))].toSorted();
    expect(answers(KOREA)).toEqual(['203.0.113.1', '203.0.113.2']);
    expect(answers(GERMANY)).toEqual(['203.0.113.4']);
    state(`first.${owner}/a`, { probed: 2 });
    expect(answers(KOREA)).toEqual(['203.0.113.2']);
    state(`first.${owner}/b`, { probed: 2 });
    expect(answers(KOREA)).toEqual(['203.0.113.3']);
    expect(answers(GERMANY)).toEqual(['203.0.113.4']);
  });
});

describe('random trees', () => {
  const { below, chance, pick, sample } = createDice(printedSeed('import route53 trees'));
  const NAMES = ['@', 'www', 'asia', 'europe', 'pair', 'one', 'two.one', 'names'];
  const IDS = ['a', 'b', 'c', 'd'];
  const VALUES: Readonly<Record<string, (n: number) => string>> = {
    A: (n) => `203.0.113.${n}`,
    AAAA: (n) => `2001:db8::${n}`,
    CNAME: (n) => `n${n}.example.net.`,
    TXT: (n) => `"${n}"`,
  };
  const POLICIES: readonly ((at: number) => More)[] = [
    () => weight(below(3)),
    (at) => (at === 0 ? PRIMARY : SECONDARY),
    (at) => place(['KR', 'DE', 'JP', '*'][at] ?? '*'),
    (at) => latency(['ap-northeast-2', 'eu-central-1', 'us-east-1', 'us-west-2'][at] ?? ''),
  ];

  /** The sets of a type at a name, all with one policy or without any. A set is an alias or has a value. */
  const setsAt = (name: string, type: string, policy: (at: number) => More): readonly unknown[] => {
    const address = VALUES[type] ?? String;
    if (chance(0.25)) {
      const own = chance(0.4)
        ? alias(name, '', pick(NAMES), {}, type)
        : set(name, '', address(below(99) + 1), {}, type);
      return [{ ...own, SetIdentifier: undefined }];
    }
    const ids = sample(IDS, 2);
    return ids.map((id, at) => {
      const more = { ...policy(at), ...(chance(0.3) ? CHECKED : {}) };
      const target = chance(0.1) ? 'd1.cloudfront.net.' : pick(NAMES);
      return chance(type === 'TXT' ? 0 : 0.5)
        ? alias(name, id, target, more, type, chance(0.7))
        : set(name, id, address(below(99) + 1), { ...more, TTL: pick([20, 60, 300]) }, type);
    });
  };

  test('every zone is one that check accepts', () => {
    let nested = 0;
    for (let at = 0; at < trials(60); at++) {
      const sets = NAMES.flatMap((name) => {
        const types = name !== '@' && chance(0.15) ? ['CNAME'] : ['A', 'AAAA', 'TXT'].filter(() => chance(0.7));
        const policy = pick(POLICIES);
        return types.flatMap((type) => setsAt(name, type, chance(0.8) ? policy : pick(POLICIES)));
      });
      const content = JSON.stringify({ ResourceRecordSets: [...APEX, ...sets], HealthChecks });
      const { code, out, error } = importFiles('route53', { 'r.json': content }, 'r.json');
      expect(code, `${content}\n${error}\n${out}`).toBe(0);
      nested += Number(out.includes('service: '));
    }
    expect(nested).toBeGreaterThan(moreThan(20));
  });
});
