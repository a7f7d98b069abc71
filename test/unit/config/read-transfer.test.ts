import { describe, expect, test } from 'vitest';
import { createReport } from '../../../config/diagnostics.ts';
import type { Environment } from '../../../config/environment.ts';
import { parseYaml } from '../../../config/parse-yaml.ts';
import { transfer } from '../../../config/read-transfer.ts';
import { formatPrefix } from '../../../wire/address.ts';
import { formatName } from '../../../wire/name.ts';
import { expectMistake, type Mistake } from './mistakes.ts';

const SECRET = 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=';

function read(text: string, env: Environment = {}) {
  const report = createReport();
  const node = parseYaml('pharos.yaml', text, env, report);
  return { settings: node && transfer(node, 'transfer', report), diagnostics: report.diagnostics };
}

test('every key', () => {
  const { settings, diagnostics } = read(`
keys: { Second.example.com.: { algorithm: hmac-sha512, secret: ${SECRET.slice(0, 40).repeat(2)} }, b: { algorithm: hmac-sha1, secret: ${SECRET} } }
allow: [{ from: 192.0.2.54, key: b }, { from: 2001:db8::/32, steered: omit }]
notify: [192.0.2.54, "[2001:db8::54]:5353", 2001:db8::1]
`);
  expect(diagnostics).toEqual([]);
  expect(settings?.keys.map(({ name, algorithm }) => `${formatName(name)} ${algorithm}`)).toEqual([
    'second.example.com hmac-sha512',
    'b hmac-sha1',
  ]);
  expect(Buffer.from(settings?.keys[1]?.secret ?? []).toString()).toBe('secretsecretsecretsecretsecretse');
  expect(settings?.allow.map(({ from, key, steered }) => [formatPrefix(from), key, steered])).toEqual([
    ['192.0.2.54/32', 'b', 'default'],
    ['2001:db8::/32', undefined, 'omit'],
  ]);
  expect(settings?.notify).toEqual([
    { host: '192.0.2.54', port: 53 },
    { host: '2001:db8::54', port: 5353 },
    { host: '2001:db8::1', port: 53 },
  ]);
});

test('by default no client is allowed', () => {
  expect(read('').settings).toEqual({ keys: [], allow: [], notify: [], catalog: undefined });
});

const with1 = (rest: string): string => `keys: { second: { algorithm: hmac-sha256, secret: ${SECRET} } }\n${rest}`;

describe('a mistake is reported at its position', () => {
  test.each<Mistake>([
    [with1('allow: [{ from: 192.0.2.1, key: secnd }]'), '2:33 PH080', 'did you mean "second"?'],
    ['allow: [{ from: 192.0.2.1, key: second }]', '1:33 PH080', 'none is defined'],
    ['keys: { a: { algorithm: hmac-sha256, secret: "not base64!" } }', '1:46 PH081', 'must be base64'],
    ['keys: { a: { algorithm: hmac-sha256, secret: c2Vj*mV0 } }', '1:46 PH081', 'must be base64'],
    ['keys: { a: { algorithm: hmac-sha256, secret: c2VjcmV } }', '1:46 PH081', 'openssl rand'],
    ['keys: { a: { algorithm: hmac-sha256, secret: c2VjcmV0 } }', '1:46 PH082', 'has 6 octets'],
    [`keys: { a: { algorithm: hmac-md4, secret: ${SECRET} } }`, '1:25 PH083', 'one of hmac-md5, hmac-sha256'],
    [`keys: { a: { algorithm: hmac-md5, secret: ${SECRET} } }`, '1:9 PH420', 'use hmac-sha256'],
    [`keys: { a: { algorithm: hmac-sha265, secret: ${SECRET} } }`, '1:25 PH083', 'did you mean "hmac-sha256"?'],
    [`keys: { a: { secret: ${SECRET} } }`, '1:12 PH012', 'algorithm: hmac-sha256'],
    ['keys: { a: { algorithm: hmac-sha256 } }', '1:12 PH012', 'secret: "${TSIG}"'],
    [`keys: { a..b: { algorithm: hmac-sha256, secret: ${SECRET} } }`, '1:9 PH084', 'empty label'],
    [
      with1('').replace('} }', `}, Second.: { algorithm: hmac-sha1, secret: ${SECRET} } }`),
      '1:99 PH084',
      'the same key name',
    ],
    ['allow: [{ from: 192.0.2.1/24 }]', '1:17 PH023', 'a network'],
    ['allow: [{ key: second }]', '1:9 PH012', 'from: 192.0.2.54'],
    ['notify: second.example.com', '1:9 PH022', 'an address'],
    ['notify: 192.0.2.1', '1:9 PH085', 'add { from: 192.0.2.1 } to allow'],
    ['alow: []', '1:1 PH010', 'did you mean "allow"?'],
  ])('%s', (text, at, part) => {
    const { diagnostics } = read(text);
    // An undefined key is reported in addition to other mistakes.
    expectMistake(
      diagnostics.filter(({ code }, index) => index === 0 || code !== 'PH080'),
      at,
      part,
    );
  });
});

test('a key with a mistake counts as defined', () => {
  const { diagnostics } = read('keys: { a: { algorithm: x, secret: x } }\nallow: [{ from: 192.0.2.1, key: a }]');
  expect(diagnostics.map(({ code }) => code)).toEqual(['PH083', 'PH081']);
});

test('a wrong secret is not shown', () => {
  for (const secret of ['hunter2', 'aHVudGVyMg==']) {
    const { diagnostics } = read('keys: { a: { algorithm: hmac-sha256, secret: "${T}" } }', { T: secret });
    expect(diagnostics).toHaveLength(1);
    expect(JSON.stringify(diagnostics)).not.toContain(secret);
  }
});

test('the catalog zone has a name, and readers', () => {
  const { settings, diagnostics } = read('catalog: Catalog.Invalid\nallow: [{ from: 192.0.2.54 }]\n');
  expect(diagnostics).toEqual([]);
  expect(settings?.catalog && formatName(settings.catalog.name)).toBe('catalog.invalid');
  expect(read('catalog: catalog.invalid\n').diagnostics.map(({ code }) => code)).toEqual(['PH085']);
  expect(read('catalog: a..b\nallow: [{ from: 192.0.2.54 }]\n').diagnostics.map(({ code }) => code)).toEqual(['PH100']);
});
