/**
 * Common first mistakes: hints that did not say what to do, one misspelt name reported at each use with warnings that
 * followed from it, and mistakes without any message.
 */
import { expect, test } from 'vitest';
import { formatDiagnostic } from '../../../config/diagnostics.ts';
import { loadGeneration } from '../../../zones/load-generation.ts';
import { folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

type Case = {
  readonly zone?: string;
  readonly pharos?: string;
  readonly env?: Record<string, string>;
  readonly file?: string;
};

/** Every diagnostic as text, for a zone with these lines. */
function found({ zone = '', pharos = '', env = {}, file = 'shop.example' }: Case): string[] {
  using folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': `regions: { seoul: { at: KR }, dublin: { at: IE } }\n${pharos || 'geo: { databases: [small.mmdb] }'}\n`,
    [`zones/${file}.yaml`]: `zone: shop.example\nnameservers: [ns.example.net.]\n${zone}\n`,
  });
  const { diagnostics } = loadGeneration({ file: undefined, cwd: folder.path, env, cores: 1 });
  return diagnostics.map(formatDiagnostic);
}

const GEO = (keys: string): string => `services:
  www:
    vips: { a: { region: seoul, A: 192.0.2.1 }, b: { region: dublin, A: 192.0.2.2 } }
    steer: [ geo: { ${keys}, default: [seoul, dublin] } ]`;

test.each<[title: string, given: Case, code: string, hint: string]>([
  ['ALIAS', { zone: 'records: { "@": { ALIAS: 192.0.2.1 } }' }, 'error PH450', 'A and AAAA'],
  ['ANAME', { zone: 'records: { "@": { ANAME: "https://lb.example.net" } }' }, 'error PH450', 'A and AAAA'],
  [
    'a list of addresses',
    { zone: 'services: { w: { vips: { a: { A: [192.0.2.1, 192.0.2.2] } } } }' },
    'error PH125',
    'a-1:',
  ],
  ['a list of VIPs', { zone: 'services: { w: { vips: [ { A: 192.0.2.1 } ] } }' }, 'error PH126', 'seoul-a:'],
  [
    'an address for a VIP',
    { zone: 'services: { w: { vips: { a: 192.0.2.1 } } }' },
    'error PH127',
    'a: { A: 192.0.2.1 }',
  ],
  ['an IPv6 address for a VIP', { zone: 'services: { w: { vips: { a: "::1" } } }' }, 'error PH127', 'AAAA: "::1"'],
  ['an empty variable', { pharos: 'status: { token: "${T}" }', env: { T: '' } }, 'error PH008', 'T is empty'],
  ['a copied file', { file: 'cafe.example' }, 'warning PH129', 'cafe.example'],
  ['bits of a host in networks', { pharos: 'geo: { networks: { 10.1.2.3/8: KR } }' }, 'error PH023', '10.0.0.0/8'],
  ['bits of a host in geo', { zone: GEO('"2001:db8::1/32": seoul') }, 'error PH212', '2001:db8::/32'],
  ['OC', { zone: GEO('OC: dublin') }, 'error PH033', 'oceania'],
  ['NA', { zone: GEO('NA: dublin') }, 'warning PH132', 'north-america'],
  ['AF', { zone: GEO('AF: dublin') }, 'warning PH132', 'africa'],
  ['AS', { zone: GEO('AS: dublin') }, 'warning PH132', 'asia'],
  ['SA', { zone: GEO('SA: dublin') }, 'warning PH132', 'south-america'],
  [
    'a region misspelt at its uses',
    {
      zone: `services:
  www:
    vips: { a: { region: seol, A: 192.0.2.1 }, b: { region: dublin, A: 192.0.2.2 }, c: { region: seol, A: 192.0.2.3 } }
    steer: [ geo: { KR: seoul, default: [seoul, dublin] } ]
  two: { vips: { a: { region: dublin, A: 192.0.2.1 } }, steer: [ failover: [seol, dublin] ] }`,
    },
    'error PH206: unknown region "seol" (and in 2 more places)',
    'did you mean "seoul"',
  ],
  [
    'a check misspelt at its uses',
    {
      zone: `checks: { web: { type: tcp, port: 443 } }
services:
  one: { check: wbe, vips: { a: { A: 192.0.2.1 } } }
  two: { check: wbe, vips: { a: { A: 192.0.2.1 } } }`,
    },
    'error PH207: unknown check "wbe" (and in 1 more place)',
    'did you mean "web"',
  ],
  [
    'a check with a mistake in pharos.yaml',
    {
      pharos: 'checks: { web: { type: htp } }',
      zone: 'services: { one: { check: web, vips: { a: { A: 192.0.2.1 } } } }',
    },
    'error PH040',
    'http',
  ],
  [
    'a region with a mistake',
    {
      zone: 'regions: { virginia: { at: USA } }\nservices: { w: { vips: { a: { region: virginia, A: 192.0.2.1 } } } }',
    },
    'error PH032',
    'KR',
  ],
])('%s is one mistake', (_title, given, code, hint) => {
  const mistakes = found(given);
  expect(mistakes).toEqual([expect.stringContaining(code)]);
  expect(mistakes[0]).toContain(hint);
});

test.each<[title: string, given: Case]>([
  ['Saudi Arabia among its neighbours', { zone: GEO('SA: dublin, AE: dublin') }],
  ['a file with a name of its own', { file: 'customer-17' }],
  ['a file with the name of the zone and more', { file: 'shop.example.internal' }],
  ['a file named after the parent', { file: 'example' }],
  [
    'an empty variable beside other text',
    { pharos: 'state_dir: "state${T}"\ngeo: { databases: [small.mmdb] }', env: { T: '' } },
  ],
])('nothing is wrong with %s', (_title, given) => {
  expect(found(given)).toEqual([]);
});
