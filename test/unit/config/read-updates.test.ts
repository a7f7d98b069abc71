import { expect, test } from 'vitest';
import { createReport } from '../../../config/diagnostics.ts';
import { parseYaml } from '../../../config/parse-yaml.ts';
import { transfer } from '../../../config/read-transfer.ts';
import { ruleCovers, ruleIsFor, updateRules, updates } from '../../../config/read-updates.ts';
import { nameKey, parseName } from '../../../wire/name.ts';

const SECRET = 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=';

function read(text: string, algorithm = 'hmac-sha256') {
  const report = createReport();
  const keys = parseYaml('pharos.yaml', `keys: { acme: { algorithm: ${algorithm}, secret: ${SECRET} } }`, {}, report);
  const node = parseYaml('pharos.yaml', text, {}, report);
  const transferRead = keys && transfer(keys, 'transfer', report);
  const rules = node && updates(node, 'updates', report);
  const settings =
    rules && transferRead && updateRules(rules, { keys: transferRead.keys, tokens: ['status.token', 'hook'] }, report);
  return { settings, codes: report.diagnostics.map(({ code }) => code) };
}

test('every key of a rule', () => {
  const { settings, codes } = read(
    '[{ key: acme, zones: [Example.com], names: ["_acme-challenge.**", "@"], types: [TXT], from: [192.0.2.0/24] }]',
  );
  expect(codes).toEqual([]);
  expect(settings).toMatchObject([
    { key: 'acme', zones: [nameKey(parseName('example.com.'))], names: [['_acme-challenge', '**'], []], types: [16] },
  ]);
});

test.each([
  ['[{ key: other }]', 'PH424'],
  ['[{ key: acme, zones: ["a..b"] }]', 'PH421'],
  ['[{ key: acme, names: ["a*.b"] }]', 'PH422'],
  ['[{ key: acme, types: [SOA] }]', 'PH423'],
  ['[{ key: acme, types: [NOPE] }]', 'PH423'],
  ['[{ names: [a] }]', 'PH430'],
  ['[{ key: acme, token: hook }]', 'PH430'],
  ['[{ token: hok }]', 'PH429'],
])('%s: %s', (text, code) => {
  expect(read(text).codes).toEqual([code]);
});

test('a rule for a token', () => {
  const { settings, codes } = read('[{ token: hook, types: [TXT] }, { token: status.token }]');
  expect(codes).toEqual([]);
  expect(settings).toMatchObject([{ token: 'hook', key: undefined, types: [16] }, { token: 'status.token' }]);
});

test('weak algorithms need allow_weak', () => {
  expect(read('[{ key: acme }]', 'hmac-sha1').codes).toEqual(['PH420']);
  expect(read('[]', 'hmac-sha1').codes).toEqual([]);
  expect(read('[]', 'hmac-md5').codes).toEqual(['PH420']);
  expect(read('[{ key: acme }]', 'hmac-md5, allow_weak: true').codes).toEqual([]);
});

test.each([
  ['_acme-challenge.**', '_acme-challenge', true],
  ['_acme-challenge.**', '_acme-challenge.www', true],
  ['_acme-challenge.**', '_acme-challenge.a.b', true],
  ['_acme-challenge.**', 'www', false],
  ['**.apps', 'b.other', false],
  ['**.apps', '', false],
  ['a.**.z', 'a.z', true],
  ['a.**.z', 'a.b.c.z', true],
  ['a.**.z', 'a.b.c', false],
  ['*', '', false],
  ['*', 'a', true],
  ['*.apps', 'a.apps', true],
  ['*.apps', 'apps', false],
  ['*.apps', 'b.a.apps', false],
  ['**.apps', 'apps', true],
  ['**.apps', 'b.a.apps', true],
  ['**', '', true],
  ['@', '', true],
  ['@', 'a', false],
])('%s covers "%s": %s', (pattern, name, expected) => {
  const [rule] = read(`[{ key: acme, names: ["${pattern}"] }]`).settings ?? [];
  expect(rule && ruleCovers(rule, name === '' ? [] : name.split('.'), 1)).toBe(expected);
});

test('a rule covers all names and types that it does not restrict, and any one of those that it lists', () => {
  const [any, two] = read('[{ key: acme }, { key: acme, names: [a, b], types: [A, TXT] }]').settings ?? [];
  if (!any || !two) throw new Error('no rules');
  expect([ruleCovers(any, [], 1), ruleCovers(any, ['x', 'y'], 16)]).toEqual([true, true]);
  expect([['a'], ['b'], ['c']].map((labels) => ruleCovers(two, labels, 16))).toEqual([true, true, false]);
  expect([1, 16, 28].map((type) => ruleCovers(two, ['a'], type))).toEqual([true, true, false]);
});

test.each([
  ['{ key: acme }', 'example.com.', '192.0.2.1', true],
  ['{ key: acme, zones: [example.org, Example.com] }', 'EXAMPLE.com.', '192.0.2.1', true],
  ['{ key: acme, zones: [example.org] }', 'example.com.', '192.0.2.1', false],
  ['{ key: acme, zones: [example.com] }', 'a.example.com.', '192.0.2.1', false],
  ['{ key: acme, from: [198.51.100.0/24, 192.0.2.0/24] }', 'example.com.', '192.0.2.1', true],
  ['{ key: acme, from: [192.0.2.0/24] }', 'example.com.', '198.51.100.1', false],
  ['{ key: acme, from: [192.0.2.0/24] }', 'example.com.', undefined, true],
  ['{ key: acme, zones: [example.org], from: [192.0.2.0/24] }', 'example.com.', '192.0.2.1', false],
  ['{ key: acme, zones: [example.org], from: [192.0.2.0/24] }', 'example.com.', undefined, false],
])('%s is for %s from %s: %s', (text, apex, from, expected) => {
  const [rule] = read(`[${text}]`).settings ?? [];
  const peer = from === undefined ? undefined : Uint8Array.from(from.split('.').map(Number));
  expect(rule && ruleIsFor(rule, parseName(apex), peer)).toBe(expected);
});
