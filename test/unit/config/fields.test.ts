import { describe, expect, test } from 'vitest';
import { createReport } from '../../../config/diagnostics.ts';
import * as field from '../../../config/fields.ts';
import { address, at, endpoint, prefix } from '../../../config/network-fields.ts';
import { parseYaml } from '../../../config/parse-yaml.ts';
import { expectMistake, placesOf } from './mistakes.ts';

/** Reads the value of the key `x`. */
function read<T>(reader: field.Read<T>, yaml: string) {
  const report = createReport();
  const node = parseYaml('x.yaml', `x: ${yaml}\n`, {}, report);
  const value = node && field.map('test', { x: field.optional(reader) })(node, 'test', report);
  return { value: value?.x, diagnostics: report.diagnostics };
}

const weight = field.integer({ min: 0, max: 65_535, hint: 'use 0 for standby' });
const isCountry = (code: string): boolean => ['KR', 'NO'].includes(code);

test.each<[field.Read<unknown>, string, unknown]>([
  [weight, '4', 4],
  [weight, '"4"', 4],
  [weight, '0x1F', 31],
  [field.duration(), '5s', 5000],
  [field.duration(), '0', 0],
  [field.seconds({ min: 0, max: 10_000 }), '300', 300],
  [field.seconds({ min: 0, max: 10_000 }), '1h', 3600],
  [field.share(), '50%', 0.5],
  [field.share(), '0.25', 0.25],
  [field.distanceField({ max: 20_000 }), '300km', 300],
  [field.text(), '1.10', '1.10'],
  [field.text({ allowEmpty: true }), '""', ''],
  [field.choice(['a', 'b']), 'b', 'b'],
  [field.boolean(), 'true', true],
  [field.boolean(), 'False', false],
  [field.list(weight), '[1, 2]', [1, 2]],
  [field.list(weight), '7', [7]],
  [endpoint(), '127.0.0.1:53', { host: '127.0.0.1', port: 53 }],
  [endpoint(), '"[::1]:53"', { host: '::1', port: 53 }],
  [address('IPv4'), '192.0.2.1', Uint8Array.of(192, 0, 2, 1)],
  [prefix(), '10.0.0.0/8', { bytes: Uint8Array.of(10, 0, 0, 0), bits: 8 }],
  [at(isCountry), 'kr', { kind: 'country', country: 'KR' }],
  [at(isCountry), 'NO', { kind: 'country', country: 'NO' }],
  [at(isCountry), '37.57,126.98', { kind: 'point', latitude: 37.57, longitude: 126.98 }],
  [at(isCountry), '"-90, -180"', { kind: 'point', latitude: -90, longitude: -180 }],
])('%# a value is read: %3$j', (reader, yaml, value) => {
  const found = read(reader, yaml);
  expect(placesOf(found.diagnostics)).toEqual([]);
  expect(found.value).toEqual(value);
});

describe('a wrong value is reported with its code, its place and a hint', () => {
  test.each<[field.Read<unknown>, string, string, string]>([
    [weight, '', '1:1 PH011', 'x has no value'],
    [weight, '~', '1:4 PH011', 'x has no value'],
    [weight, '[1]', '1:4 PH013', 'got a list'],
    [weight, '{ a: 1 }', '1:4 PH013', 'got a map'],
    [weight, '-3', '1:4 PH014', 'x must be 0 to 65535, got -3 | use 0 for standby'],
    [weight, '65536', '1:4 PH014', 'got 65536'],
    [weight, '1.5', '1:4 PH014', 'got 1.5'],
    [field.duration(), '5', '1:4 PH015', 'add a unit: 5s or 5ms'],
    [field.duration({ minMs: 100, maxMs: 60_000 }), '2m', '1:4 PH015', 'from 100ms to 1m, got 2m'],
    [field.seconds({ min: 0, max: 10 }), '1.5s', '1:4 PH015', '0 to 10 seconds'],
    [field.share(), '150%', '1:4 PH016', 'write it as 50%'],
    [field.distanceField({ max: 20_000 }), '300', '1:4 PH017', '300km'],
    [field.choice(['serve_all', 'none']), 'serveall', '1:4 PH019', 'did you mean "serve_all"?'],
    [field.boolean(), 'yes', '1:4 PH020', 'true or false'],
    [endpoint(), '127.0.0.1', '1:4 PH021', '127.0.0.1:53'],
    [endpoint(), '127.0.0.1:99999', '1:4 PH021', 'an address with a port'],
    [address('IPv4'), '192.0.2.300', '1:4 PH022', 'an IPv4 address'],
    [address('IPv4'), '2001:db8::1', '1:4 PH022', 'such as 192.0.2.1'],
    [address('IPv6'), '192.0.2.1', '1:4 PH022', 'an IPv6 address'],
    [prefix(), '10.0.0.1/8', '1:4 PH023', 'without bits after the prefix'],
    [field.text(), '""', '1:4 PH025', 'an empty text'],
    [field.text({ maxOctets: 3 }), 'äöü', '1:4 PH025', 'at most 3 octets'],
    [field.list(weight, { min: 1 }), '[]', '1:4 PH026', 'at least 1 entry'],
    [at(isCountry), '"91,0"', '1:4 PH032', 'a position or a country'],
    [at(isCountry), 'Korea', '1:4 PH032', '37.57,126.98'],
    [at(isCountry), 'XX', '1:4 PH033', 'unknown country "XX"'],
  ])('%# %2$j', (reader, yaml, place, part) => {
    expectMistake(read(reader, yaml).diagnostics, place, part);
  });
});

describe('a map', () => {
  const reader = field.map('check', {
    interval: field.withDefault(field.duration(), 10_000),
    path: field.required(field.text(), 'such as path: /health'),
    weight: field.optional(weight),
  });
  const readMap = (yaml: string) => {
    const report = createReport();
    const node = parseYaml('x.yaml', yaml, {}, report);
    return { value: node && reader(node, 'check web', report), diagnostics: report.diagnostics };
  };

  test('fills in defaults', () => {
    expect(readMap('path: /')).toEqual({ value: { path: '/', interval: 10_000, weight: undefined }, diagnostics: [] });
  });

  test('reports every mistake, not the first', () => {
    const { value, diagnostics } = readMap('intervall: 5s\nweight: -1\npath:\ninterval: 5\nzzz: 1\n');
    expect(value).toBeUndefined();
    expect(placesOf(diagnostics)).toEqual(['1:1 PH010', '2:9 PH014', '3:1 PH011', '4:11 PH015', '5:1 PH010']);
    expect(diagnostics[0]?.hint).toBe('did you mean "interval"?');
    expect(diagnostics[4]?.hint).toBe('known here: interval, path, weight');
  });

  test('continues with the default after a wrong value', () => {
    expect(readMap('path: /\ninterval: 5\n').value).toMatchObject({ path: '/', interval: 10_000 });
  });

  test('reports a missing required key', () => {
    expectMistake(
      readMap('weight: 1').diagnostics,
      '1:1 PH012',
      'check web needs the key path | such as path: /health',
    );
  });

  test('is not a scalar or a list', () => {
    expectMistake(readMap('5').diagnostics, '1:1 PH013', 'must be a map');
    expectMistake(readMap('[5]').diagnostics, '1:1 PH013', 'got a list');
  });

  test.each(['__proto__', 'constructor', 'toString'])('does not accept the key %s', (key) => {
    expectMistake(readMap(`path: /\n${key}: 1\n`).diagnostics, '2:1 PH010', `${key} is not a key`);
  });
});
