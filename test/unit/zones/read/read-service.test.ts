import { describe, expect, test } from 'vitest';
import { formatName } from '../../../../wire/name.ts';
import { expectMistake, placesOf } from '../../config/mistakes.ts';
import { HEAD, VIPS, readServiceText, readZoneText } from '../read-helper.ts';

test('a short service has every default', () => {
  const { service, diagnostics } = readServiceText('vips: { a: { A: 203.0.113.1 } }');
  expect(placesOf(diagnostics)).toEqual([]);
  expect(service).toMatchObject({
    name: 'www.example.com',
    ttl: { minSeconds: 300, maxSeconds: 300 },
    vips: [{ name: 'a', region: undefined, weight: 1, check: undefined, probe: undefined, cname: undefined }],
    steps: [{ kind: 'nearest', withinKm: 0 }, { kind: 'weighted' }],
    answers: 1,
    whenAllDown: { kind: 'serve_all' },
    place: { line: 10, column: 3 },
  });
});

test.each<[string, string[], object]>([
  ['a fixed TTL', ['ttl: 1m', VIPS], { ttl: { minSeconds: 60, maxSeconds: 60 } }],
  ['a TTL between two', ['ttl: { min: 5, max: 60 }', VIPS], { ttl: { minSeconds: 5, maxSeconds: 60 } }],
  ['eight answers', ['answers: 8', VIPS], { answers: 8 }],
  ['all answers', ['answers: all', VIPS], { answers: 256 }],
  ['all answers by the step all', ['steer: all', VIPS], { answers: 256 }],
  ['one answer despite the step all', ['steer: all', 'answers: 1', VIPS], { answers: 1 }],
  ['a shared check', ['check: shared', VIPS], { vips: [{ check: { name: 'shared', kind: 'tcp' } }, {}] }],
  ['its own check', ['check: { type: tcp, port: 80 }', VIPS], { vips: [{ check: { name: 'www.example.com', port: 80 } }, {}] }], // prettier-ignore
  ['a check of a VIP', ['check: shared', 'vips: { a: { A: 203.0.113.1 }, b: { A: 203.0.113.2, check: { type: tcp, port: 81 } } }'], { vips: [{ check: { name: 'shared' } }, { check: { name: 'www.example.com/b', port: 81 } }] }], // prettier-ignore
  ['a check of one VIP alone', ['vips: { a: { A: 203.0.113.1 }, b: { A: 203.0.113.2, check: shared } }'], { vips: [{ check: undefined }, { check: { name: 'shared' } }] }], // prettier-ignore
  ['no check of a VIP', ['check: shared', 'vips: { a: { A: 203.0.113.1, check: none }, b: { A: 203.0.113.2 } }'], { vips: [{ check: undefined }, { check: { name: 'shared' } }] }], // prettier-ignore
  ['standby', ['vips: { a: { A: 203.0.113.1, weight: 0 } }'], { vips: [{ weight: 0 }] }],
  ['both families', ['vips: { a: { A: 203.0.113.1, AAAA: 2001:db8::1 } }'], { vips: [{ a: Uint8Array.of(203, 0, 113, 1), aaaa: expect.any(Uint8Array) as Uint8Array }] }], // prettier-ignore
  ['none', ['when_all_down: none', VIPS], { whenAllDown: { kind: 'none' } }],
  ['a static answer', ['when_all_down: { A: [192.0.2.99, 192.0.2.98] }', VIPS], { whenAllDown: { kind: 'static', a: ['192.0.2.99', '192.0.2.98'], aaaa: [], cname: undefined } }], // prettier-ignore
])('%s is read', (_title, body, expected) => {
  const { service, diagnostics } = readServiceText(...body);
  expect(placesOf(diagnostics)).toEqual([]);
  expect(service).toMatchObject(expected);
});

test('names in CNAMEs are relative to the zone', () => {
  const { service, diagnostics } = readServiceText(
    'vips: { a: { CNAME: a.cdn }, b: { CNAME: b.example.net. } }',
    'when_all_down: { CNAME: sorry.example.net. }',
  );
  expect(placesOf(diagnostics)).toEqual([]);
  expect(service?.vips.map(({ cname }) => cname && formatName(cname))).toEqual(['a.cdn.example.com', 'b.example.net']);
  const down = service?.whenAllDown;
  expect(down?.kind === 'static' && down.cname && formatName(down.cname)).toBe('sorry.example.net');
});

/** Weights that differ only between regions. */
const SIXTEEN = Array.from({ length: 16 }, (_, at) => `TYPE${65_300 + at}: '\\# 0'`).join(', ');
const WEIGHTS =
  'vips: { a: { region: seoul, A: 203.0.113.1, weight: 1 }, b: { region: virginia, A: 203.0.113.2, weight: 4 } }';

describe('a probe goes to an address, a name or another port', () => {
  test.each([
    ['A: 203.0.113.1', '"10.1.0.10:8443"', '10.1.0.10', 8443],
    ['A: 203.0.113.1', '10.1.0.10:8443', '10.1.0.10', 8443],
    ['A: 203.0.113.1', '10.1.0.10', '10.1.0.10', undefined],
    ['A: 203.0.113.1', '2001:db8::1', '2001:db8::1', undefined],
    ['A: 203.0.113.1', '"[2001:db8::1]:443"', '2001:db8::1', 443],
    ['A: 203.0.113.1', 'backend.internal:80', 'backend.internal', 80],
    ['A: 203.0.113.1', '":8443"', '203.0.113.1', 8443],
    ['AAAA: 2001:db8::2', '":8443"', '2001:db8::2', 8443],
    ['CNAME: x.example.net.', '":8443"', 'x.example.net', 8443],
  ])('%s with %s', (published, probe, host, port) => {
    const { service, diagnostics } = readServiceText(`vips: { a: { ${published}, probe: ${probe} } }`);
    expect(placesOf(diagnostics)).toEqual([]);
    expect(service?.vips[0]?.probe).toEqual({ host, port });
  });

  test.each(['10.1.0.300', '10.1.0.10:0', '10.1.0.10:70000', '"[10.1.0.10]:80"', 'a b', '"http://x"', '":"', '8443'])(
    'never to %s',
    (probe) => {
      const { diagnostics } = readServiceText(`vips: { a: { A: 203.0.113.1, probe: ${probe} } }`);
      expectMistake(diagnostics, '11:41 PH217', '":8443"');
    },
  );
});

describe('a mistake is reported at its position', () => {
  test.each<[string[], string, string]>([
    [['ttl: 20'], '11:5 PH012', 'needs the key vips'],
    [['vips: {}'], '11:11 PH204', 'a service needs a VIP'],
    [['vips:'], '11:5 PH204', 'a service needs a VIP'],
    [['vips: { a: { region: seoul } }'], '11:13 PH201', 'VIP a has no records'],
    [['vips: { a: { A: 192.0.2.1, CNAME: x } }'], '11:13 PH202', 'CNAME beside an address'],
    [['vips: { a: { CNAME: a..b } }'], '11:25 PH202', 'empty label'],
    [['vips: { a: { A: 192.0.2.1 }, b: { CNAME: x } }'], '11:34 PH203', 'b is a CNAME and a is an address'],
    [['vips: { a: { A: 192.0.2.1, region: soul } }'], '11:40 PH206', 'did you mean "seoul"?'],
    [
      ['check: { type: tcp, port: 80, from: [soul] }', 'vips: { a: { A: 192.0.2.1 } }'],
      '11:12 PH236',
      'did you mean "seoul"?',
    ],
    [['check: { type: tcp, port: 80, quorum: all }', VIPS], '11:12 PH237', 'pharos.yaml has no fleet'],
    [['vips: { a: { A: 192.0.2.300 } }'], '11:21 PH022', 'an IPv4 address'],
    [['vips: { a: { A: [192.0.2.1, 192.0.2.2] } }'], '11:21 PH125', 'got a list'],
    [['vips: { a: { A: 192.0.2.1, weight: -3 } }'], '11:40 PH014', '0 for standby'],
    [['vips: { a: { A: 192.0.2.1, wieght: 3 } }'], '11:32 PH010', 'did you mean "weight"?'],
    [['vips: { "a/b": { A: 192.0.2.1 } }'], '11:13 PH037', 'a VIP cannot be named a/b'],
    [['vips: { "@a": { A: 192.0.2.1 } }'], '11:13 PH037', 'a VIP cannot be named @a'],
    [['vips: { "a b": { A: 192.0.2.1 } }'], '11:13 PH037', 'no spaces'],
    [['vips: { a: { A: 192.0.2.1, capacity: 5 } }'], '11:32 PH226', 'capacity has no effect without shed'],
    [['vips: { a: { A: 192.0.2.1, capacity: 0 } }', 'shed: {}', 'check: { type: push }'], '11:42 PH224', 'above 0'],
    [['vips: { a: { A: 192.0.2.1, capacity: -5 } }', 'shed: {}', 'check: { type: push }'], '11:42 PH224', 'above 0'],
    [[VIPS, 'check: shard'], '12:12 PH207', 'did you mean "shared"?'],
    [[VIPS, 'check: { type: tpc }'], '12:20 PH040', 'did you mean "tcp"?'],
    [['vips: { a: { A: 192.0.2.1 } }', 'check: portless'], '11:13 PH218', 'has no port for a'],
    [['vips: { a: { A: 192.0.2.1, probe: 10.0.0.1 } }', 'check: portless'], '11:13 PH218', 'add port'],
    [['vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2, check: portless } }', 'check: shared'], '11:34 PH218', 'has no port for b'], // prettier-ignore
    [['vips: { a: { A: 192.0.2.1, check: shard } }'], '11:39 PH207', 'did you mean "shared"?'],
    [['vips: { a: { A: 192.0.2.1, check: [shared] } }'], '11:39 PH013', 'got a list'],
    [['vips: { a: { A: 192.0.2.1, check: { type: tcp, port: 80, quorum: all } } }'], '11:39 PH237', 'no fleet'],
    [['vips: { a: { A: 192.0.2.1, check: { type: tcp, port: 80 } } }', 'shed: {}'], '12:5 PH226', 'no check reports'],
    [
      ['vips: { a: { A: 192.0.2.1 } }', 'check: { all_of: [{ any_of: [portless] }] }'],
      '11:13 PH218',
      'has no port for a',
    ],
    [[VIPS, 'ttl: { min: 60, max: 5 }'], '12:10 PH220', 'min (60) is above max (5)'],
    [[VIPS, 'ttl: { min: 60 }'], '12:10 PH012', 'needs the key max'],
    [[VIPS, 'ttl: -1'], '12:10 PH111', '2147483647'],
    [[VIPS, 'answers: 9'], '12:14 PH222', '1 to 8, or all'],
    [[VIPS, 'when_all_down: serveall'], '12:20 PH216', 'serve_all, none'],
    [[VIPS, 'when_all_down: {}'], '12:20 PH216', 'got nothing'],
    [[VIPS, 'when_all_down: { A: 192.0.2.1, CNAME: x }'], '12:20 PH216', 'CNAME beside an address'],
    [[VIPS, 'when_all_down: { A: 192.0.2.300 }'], '12:25 PH022', 'an IPv4 address'],
    [[VIPS, 'ramp: 5'], '12:11 PH015', 'add a unit: 5s'],
    [[VIPS, 'ramp: 25h'], '12:11 PH015', '0ms to 1d'],
    [[VIPS, 'shed: {}'], '12:5 PH226', 'load_path'],
    [[VIPS, 'shed: {}', 'check: { type: http }'], '12:5 PH226', 'shed has no effect: no check reports the load'],
    [[VIPS, 'shed: { low: 95%, high: 80% }', 'check: { type: push }'], '12:11 PH225', 'must be below high'],
    [[VIPS, 'shed: { high: 70% }', 'check: { type: push }'], '12:11 PH225', 'must be below high'],
    [[VIPS, 'shed: { low: 130% }', 'check: { type: push }'], '12:18 PH016', 'write it as 50%'],
    [['vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.1 } }'], '11:34 PH234', 'a, b have the same address: 192.0.2.1'],
    [['vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.1 }, c: { A: 192.0.2.1 } }'], '11:34 PH234', 'b and 1 more'],
    [['vips: { a: { AAAA: "2001:db8::1" }, b: { AAAA: "2001:db8:0::1" } }'], '11:41 PH234', 'make them one VIP'],
    [['vips: { a: { CNAME: x }, b: { CNAME: y } }', 'answers: 2'], '12:14 PH235', 'one CNAME'],
    [['vips: { a: { CNAME: x } }', 'svcb: {}'], '12:11 PH239', 'answers queries of every type'],
    [['vips: { a: { TXT: x, NS: ns } }'], '11:26 PH246', 'NS records cannot be steered'],
    [['vips: { a: { TXT: x } }', 'check: shared'], '11:13 PH247', 'VIP a has no address'],
    [['vips: { a: { TXT: x, probe: ":80" } }', 'check: shared'], '11:13 PH247', 'nothing to connect to'],
    [[`vips: { a: { ${SIXTEEN} } }`], '11:13 PH248', 'have 16 types'],
    [['vips: { a: { TXT: x, txt: y } }'], '11:26 PH109', 'the same type as TXT'],
    [['vips: { a: { A: 192.0.2.1, HTTPS: 1 . } }', 'svcb: {}'], '12:11 PH239', 'its VIP a has HTTPS'],
    [['vips: { a: { TXT: x } }', 'when_all_down: { MX: 10 a }'], '12:20 PH216', 'no VIP has'],
    [['vips: { a: { TXT: x } }', 'when_all_down: { CNAME: x, TXT: y }'], '12:20 PH216', 'beside other records'],
    [['vips: { a: { TXT: x, CNAME: y } }'], '11:13 PH202', 'CNAME beside other records'],
    [[VIPS, 'svcb: { alpn: [h2, h2] }'], '12:19 PH238', 'h2 twice'],
    [[VIPS, 'svcb: { alpn: "h2,h3" }'], '12:19 PH238', 'such as alpn: [h2, h3]'],
    [[VIPS, 'svcb: { port: 0 }'], '12:19 PH014', 'must be 1 to 65535'],
    [[VIPS, 'svcb: { ports: 443 }'], '12:13 PH010', 'port'],
    [['vips: { a: { CNAME: x }, b: { CNAME: y } }', 'steer: all'], '12:12 PH235', 'one CNAME'],
    [[WEIGHTS, 'steer: [failover: [seoul, virginia]]'], '11:62 PH233', 'no step uses weights'],
    [[WEIGHTS], '11:62 PH233', 'nearest chooses the region'],
    [[WEIGHTS, 'steer: [nearest, sticky]'], '11:62 PH233', 'clients of unknown location'],
    [
      [WEIGHTS, 'steer: [geo: { KR: seoul, default: virginia }, weighted]'],
      '11:62 PH233',
      'for shares between regions',
    ],
    [[WEIGHTS, 'steer: [failover: [seoul, virginia], weighted]'], '11:62 PH233', 'failover chooses the region'],
    [[VIPS, 'steer: [failover: [seoul, virginia]]', 'ramp: 5m'], '13:11 PH233', 'ramp has no effect'],
    [[VIPS, 'load_path: x'], '12:5 PH010', 'load_path is not a key of service'],
    [[VIPS, 'stear: []'], '12:5 PH010', 'did you mean "steer"?'],
  ])('%j', (body, at, part) => {
    expectMistake(readServiceText(...body).diagnostics, at, part);
  });

  test.each([
    [[WEIGHTS, 'steer: weighted']],
    [[WEIGHTS, 'steer: [nearest: { within: 300km }, weighted]']],
    [['vips: { a: { region: seoul, A: 192.0.2.1, weight: 4 }, b: { region: seoul, A: 192.0.2.2 } }']],
    [['vips: { a: { A: 192.0.2.1, weight: 4 }, b: { A: 192.0.2.2, weight: 0 } }', 'steer: [failover: [a, b]]']],
    [['vips: { a: { CNAME: x }, b: { CNAME: y } }', 'answers: 1']],
    [[VIPS, 'ramp: 5m']],
  ])('%j: no warning', (body) => {
    expect(placesOf(readServiceText(...body).diagnostics)).toEqual([]);
  });

  test('weights that matter only for min_healthy: no warning', () => {
    const zone = (least: string) =>
      readZoneText(`${HEAD}regions: { half: { at: KR, min_healthy: ${least} } }
services:
  www:
    vips: { a: { region: half, A: 192.0.2.1, weight: 4 }, b: { region: half, A: 192.0.2.2 } }
    steer: all
`);
    expect(placesOf(zone('50%').diagnostics)).toEqual([]);
    expect(placesOf(zone('0%').diagnostics)).toEqual([expect.stringContaining('PH233')]);
  });

  test('too many VIPs', () => {
    const vips = Array.from({ length: 257 }, (_, i) => `v${i}: { A: 10.0.${i >> 8}.${i & 255} }`).join(', ');
    expectMistake(readServiceText(`vips: { ${vips} }`).diagnostics, '11:11 PH205', 'at most 256');
  });

  test('one owner in two services', () => {
    const vips = '{ vips: { a: { A: 192.0.2.1 } } }';
    const { diagnostics } = readZoneText(`${HEAD}services:\n  www: ${vips}\n  WWW: ${vips}\n`);
    expect(placesOf(diagnostics)).toContain('10:3 PH219');
  });

  test('a service out of zone', () => {
    const { diagnostics } = readZoneText(`${HEAD}services: { x.example.net.: { vips: { a: { A: 192.0.2.1 } } } }\n`);
    expectMistake(diagnostics, '8:13 PH112', 'not in the zone');
  });

  test('a type of a VIP beside static records of it: both places', () => {
    const { diagnostics } = readZoneText(
      `${HEAD}  www: { MX: 10 a, TXT: x }\nservices: { www: { vips: { a: { TXT: y } } } }\n`,
    );
    expectMistake(diagnostics, '9:28 PH249', 'static TXT records of www.example.com (');
    expect(diagnostics[0]?.message).toContain(':8)');
  });

  test('a CNAME service beside records', () => {
    const { diagnostics } = readZoneText(
      `${HEAD}  www: { TXT: x }\nservices: { www: { vips: { a: { CNAME: x.example.net. } } } }\n`,
    );
    expectMistake(diagnostics, '9:13 PH223', 'answers with a CNAME');
  });

  test('a wrong check is one mistake, not one per service that names it', () => {
    const { diagnostics } = readZoneText(
      `${HEAD}checks: { web: { type: htp } }\nservices: { www: { check: web, vips: { a: { A: 192.0.2.1 } } } }\n`,
    );
    expectMistake(diagnostics, '8:24 PH040', 'did you mean "http"?');
  });
});

describe('the check of a VIP: its own, else that of its region, else that of the service', () => {
  const choices = [undefined, 'none', 'shared', '{ type: tcp, port: 81 }'] as const;
  const cases = choices.flatMap((own) =>
    choices.flatMap((region) => choices.filter((of) => of !== 'none').map((service) => ({ own, region, service }))),
  );
  test.each(cases)('VIP $own, region $region, service $service', ({ own, region, service }) => {
    const key = (check: string | undefined): string => (check === undefined ? '' : `check: ${check}`);
    const { zone, diagnostics } = readZoneText(
      `${HEAD}regions: { seoul: { ${key(region)} } }\nservices:\n  www:\n    ttl: 20\n    ${key(service)}\n` +
        `    vips: { a: { region: seoul, A: 192.0.2.1${own === undefined ? '' : `, ${key(own)}`} } }\n`,
    );
    expect(placesOf(diagnostics).filter((each) => !each.includes('PH116'))).toEqual([]);
    const [written, name] =
      own !== undefined
        ? [own, 'www.example.com/a']
        : region !== undefined
          ? [region, '@seoul']
          : [service, 'www.example.com'];
    const check = zone?.services[0]?.vips[0]?.check;
    const wanted = written === undefined || written === 'none' ? undefined : written === 'shared' ? 'shared' : name;
    expect(check?.name).toBe(wanted);
    expect([...(zone?.regions.values() ?? [])].map((each) => Object.keys(each).sort())).toEqual([
      ['at', 'minHealthy', 'name', 'place'],
    ]);
  });

  test.each([
    ['regions: { seoul: { check: shard } }', 'PH207', 'did you mean "shared"?'],
    ['regions: { seoul: { check: } }', 'PH011', 'no value'],
    ['regions: { seoul: { check: { type: tpc } } }', 'PH040', 'did you mean "tcp"?'],
  ])('%s is reported', (line, code, text) => {
    const { diagnostics } = readZoneText(
      `${HEAD}${line}\nservices: { www: { vips: { a: { region: seoul, A: 192.0.2.1 } } } }\n`,
    );
    const found = diagnostics.filter(({ severity }) => severity === 'error');
    expect(found.map((each) => [each.code, `${each.message} ${each.hint ?? ''}`])).toEqual([
      [code, expect.stringContaining(text)],
    ]);
  });
});
