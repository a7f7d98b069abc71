/**
 * Templates: a service that uses one is a service with the same keys of its own.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { formatPlace, type Diagnostic } from '../../../config/diagnostics.ts';
import { loadGeneration, type LoadedGeneration } from '../../../zones/load-generation.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { bundledGeography, folderOf, mistakesOf, NO_GEOGRAPHY, type Files } from '../../support/pharos.ts';
import { ROOT } from '../../support/process.ts';

const DATABASE = writeMmdb([['20.0.0.0/8', { country: { iso_code: 'KR' } }]]);
const HEAD =
  'geo: { databases: [geo.mmdb] }\nregions: { seoul: { at: KR }, lima: { at: PE } }\nchecks: { web: { type: http }, line: { type: tcp, port: 1 } }\n';
const WEB = '{ ttl: 20, check: web, vips: { a: { region: seoul, A: 192.0.2.1 }, b: { region: lima, A: 192.0.2.2 } } }';
const zone = (more: string): string => `zone: a.test\nnameservers: [ns.example.net.]\nsoa: { serial: 7 }\n${more}\n`;

function load(files: Files): { generation: LoadedGeneration | undefined; told: readonly string[] } {
  using folder = folderOf({ 'geo.mmdb': DATABASE, ...files });
  const input = { file: undefined, cwd: folder.path, env: {}, cores: 1, geographyInUse: bundledGeography() };
  const outcome = loadGeneration(input);
  const told = ({ place, code, message, hint = '' }: Diagnostic): string =>
    `${formatPlace(place)} ${code} ${message} | ${hint}`;
  return {
    generation: outcome.ok ? outcome.value : undefined,
    told: outcome.diagnostics.map(told).filter((line) => !/PH(?:12\d|4\d\d)/.test(line)),
  };
}

/** The services and VIPs, without the numbers of checks. */
function servicesOf(files: Files): unknown {
  const { generation, told } = load(files);
  if (!generation) throw new Error(told.join('\n'));
  const { services, vips } = generation.catalog;
  return { services, vips };
}

const pharos = `${HEAD}templates: { web: ${WEB} }\n`;

test('a service with a template is one that states its keys itself', () => {
  const VIPS = '{ a: { region: seoul, A: 192.0.2.1 }, b: { region: lima, A: 192.0.2.2 } }';
  const cases: readonly (readonly [used: string, written: string])[] = [
    ['$web', WEB],
    ['{ use: $web }', WEB],
    ['{ use: $web, ttl: 30 }', WEB.replace('ttl: 20', 'ttl: 30')],
    ['{ answers: 2, check: line, use: $web }', `{ answers: 2, ttl: 20, check: line, vips: ${VIPS} }`],
    ['{ use: $web, vips: { c: { A: 192.0.2.3 } } }', '{ ttl: 20, check: web, vips: { c: { A: 192.0.2.3 } } }'],
    ['{ vips: $web, steer: [{ failover: [b, a] }] }', `{ vips: ${VIPS}, steer: [{ failover: [b, a] }] }`],
  ];
  const services = (at: 0 | 1): string =>
    `services:\n${cases.map((texts, number) => `  s${number}: ${texts[at]}\n`).join('')}`;
  const found = servicesOf({ 'pharos.yaml': pharos, 'zones/a.test.yaml': zone(services(0)) });
  expect(found).toEqual(servicesOf({ 'pharos.yaml': HEAD, 'zones/a.test.yaml': zone(services(1)) }));
  const own = zone(`templates: { web: ${WEB} }\n${services(0)}`);
  expect(servicesOf({ 'pharos.yaml': HEAD, 'zones/a.test.yaml': own })).toEqual(found);
});

describe('mistakes', () => {
  const inZone = (services: string): string => `zones/a.test.yaml:${services}`;
  test.each<[title: string, templates: string, services: string, told: string[]]>([
    ['an unknown template', `web: ${WEB}`, 'www: $wbe', [inZone('4:8 PH242 unknown template "$wbe" | did you mean "$web"?')]], // prettier-ignore
    ['an unknown template in use', `web: ${WEB}`, 'www: { use: $wbe }', [inZone('4:15 PH242 unknown template "$wbe" | did you mean "$web"?')]], // prettier-ignore
    ['use without $', `web: ${WEB}`, 'www: { use: web }', [inZone('4:15 PH243 use must be the name of a template | such as use: $web')]], // prettier-ignore
    ['a template in a template', 'web: { use: $other }', 'www: $web', ['pharos.yaml:5:15 PH244 a template cannot use another template | write its keys here']], // prettier-ignore
    ['a mistake in a template, however many services use it', `web: ${WEB.replace('lima', 'lma')}`, 'www: $web\n  api: $web', ['pharos.yaml:5:88 PH206 unknown region "lma" | did you mean "lima"?']], // prettier-ignore
    ['a mistake in a template that no service uses', 'web: { vips: { a: { A: 192.0.2.300 } } }', '', ['pharos.yaml:5:26 PH022']], // prettier-ignore
    ['a mistake in a key of the service', `web: ${WEB}`, 'www: { use: $web, ttl: never }', [inZone('4:26 PH111')]],
    ['a template without VIPs', 'web: { ttl: 20 }', 'www: $web', ['pharos.yaml:5:8 PH012']],
    ['a name with other signs', `"a b": ${WEB}`, '', ['pharos.yaml:5:3 PH241 a template cannot be named a b']],
  ])('%s', (_, templates, services, expected) => {
    const { told } = load({
      'pharos.yaml': `${HEAD}templates:\n  ${templates}\n`,
      'zones/a.test.yaml': zone(services === '' ? '' : `services:\n  ${services}`).replace('soa: { serial: 7 }\n', ''),
    });
    expect(told.map((line, at) => line.slice(0, expected[at]?.length))).toEqual(expected);
  });

  test('one that only shows in services names both places, once for all of them', () => {
    // A name in the template is too long below this zone.
    const long = Array.from({ length: 3 }, () => 'x'.repeat(60)).join('.');
    const { told } = load({
      'pharos.yaml': `${HEAD}templates:\n  web: { vips: { a: { CNAME: ${long} } } }\n`,
      'zones/a.test.yaml': `zone: ${'y'.repeat(60)}.${'z'.repeat(60)}.test\nnameservers: [ns.example.net.]\nservices:\n  www: $web\n  api: $web\n  ftp: $web\n`,
    });
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(
      /^pharos\.yaml:5:30 PH202 .*\(for the service www\..*, line 4 of a\.test\.yaml, and 2 more\)/,
    );
  });
});

test('a zone is read again when a template that it may use changes', () => {
  using folder = folderOf({
    'geo.mmdb': DATABASE,
    'pharos.yaml': pharos,
    'zones/a.test.yaml': zone('services: { www: $web }'),
  });
  const addressOf = (): string | undefined => {
    const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
    return outcome.ok ? outcome.value.catalog.vips[0]?.a : undefined;
  };
  expect(addressOf()).toBe('192.0.2.1');
  writeFileSync(join(folder.path, 'pharos.yaml'), pharos.replace('192.0.2.1 ', '192.0.2.9 '));
  expect(addressOf()).toBe('192.0.2.9');
});

/** The examples of docs/configuration.md, by the first line of each block. */
function examplesOf(heading: string): Record<string, string> {
  const page = readFileSync(join(ROOT, 'docs/configuration.md'), 'utf8');
  const [section = ''] = page.slice(page.indexOf(`\n### ${heading}\n`) + 1).split(/\n##+ /);
  return Object.fromEntries(
    [...section.matchAll(/```yaml\n# (\S+)\n([^]*?)```/g)].map(([, file = '', text = '']) => [file, text]),
  );
}

test.each([
  ['Shared maps', ['www.example.com']],
  ['Templates', ['www.example.com', 'api.example.com', 'static.example.com']],
])('the example of docs/configuration.md#%s is valid', (heading, names) => {
  const { generation, told } = load(examplesOf(heading));
  expect(told).toEqual([]);
  expect(generation?.catalog.services.map(({ name }) => name)).toEqual(names);
});

test('a warning in a template is told once, however many services use it', () => {
  const mistakes = mistakesOf({
    ...NO_GEOGRAPHY,
    'zones/ex.yaml':
      'zone: ex\nnameservers: [ns.out.example.]\ntemplates: { web: { vips: { a: { A: 203.0.113.1, MX: [10 mail.ex] } } } }\nservices: { a: $web, b: $web, c: $web }\n',
  });
  expect(mistakes.filter((each) => each.includes('PH113'))).toHaveLength(1);
});
