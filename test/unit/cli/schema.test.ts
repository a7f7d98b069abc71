/**
 * `pharos schema`: JSON Schema and readers accept and refuse the same files.
 */
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { schemaText } from '../../../cli/show-schema.ts';
import { createReport, hasErrors } from '../../../config/diagnostics.ts';
import { readSettings, type SharedNodes } from '../../../config/read-settings.ts';
import { readZone } from '../../../zones/read/read-zone.ts';
import { readSharedParts } from '../../../zones/read/shared-parts.ts';
import { folderOf } from '../../support/pharos.ts';
import { ROOT } from '../../support/process.ts';
import { createDice, printedSeed, trials } from '../../support/random.ts';

// Each schema judges a few hundred files: better code takes longer to make than it saves.
const ajv = new Ajv({ allowUnionTypes: true, strictTuples: false, code: { optimize: false } });
const schemas = { config: ajv.compile(JSON.parse(schemaText('config')) as object), zone: ajv.compile(JSON.parse(schemaText('zone')) as object) }; // prettier-ignore

test.each(['config', 'zone'] as const)('docs/schema/%s.schema.json is what the command prints', async (of) => {
  await expect(`${schemaText(of)}\n`).toMatchFileSnapshot(`${ROOT}docs/schema/${of}.schema.json`);
});

const examples = globSync('examples/**/*.yaml', { cwd: ROOT });

test.each(examples)('%s names its schema, and the schema accepts it', (file) => {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const value = parse(text) as object;
  const of = 'zone' in value ? 'zone' : 'config';
  const path = relative(dirname(file), `docs/schema/${of}.schema.json`);
  expect(text.split('\n', 1)[0]).toBe(`# yaml-language-server: $schema=${path}`);
  expect([schemas[of](value), schemas[of].errors]).toEqual([true, null]);
});

type Value = unknown;
/** A valid file of each kind with most keys. */
const CONFIG = {
  listen: ['127.0.0.1:5300', '[::1]:5300'],
  workers: 2,
  files: 'own-folder',
  state_dir: './state',
  reload: { max_shrink: '50%' },
  geo: { databases: [], refresh: '0 4 * * 3', networks: { '10.0.0.0/8': 'KR', '192.0.2.0/24': '37.57,126.98' } },
  regions: { seoul: { at: '37.57,126.98', min_healthy: '50%', check: 'web' }, dublin: { at: 'IE' } },
  checks: {
    web: { type: 'https', path: '/health', host: 'www.example.com', status: '200-299', interval: '5s', timeout: '2s', rise: 2, fall: 3, flap: { changes: 6, within: '10m', hold: '5m' } }, // prettier-ignore
    line: { type: 'tcp', port: 443, send: 'PING', expect: 'PONG', watch: false },
    certificate: { type: 'tls', port: 443, min_days_left: 14 },
    resolver: { type: 'dns', name: 'www.example.com', rtype: 'AAAA' },
    rpc: { type: 'grpc', service: 'web', tls: true },
    program: { type: 'exec', command: ['/bin/true', '-v'], port: 80 },
    reported: { type: 'push', expires: '1m' },
    both: { all_of: ['line', 'certificate'] },
    most: { type: 'at_least', n: 1, of: ['line', { type: 'tcp', port: 80 }] },
  },
  maps: { world: { KR: 'seoul', default: ['dublin', 'seoul'], fence: false } },
  templates: { web: { ttl: 20, check: 'web', vips: { one: { region: 'seoul', A: '192.0.2.1' } }, steer: ['all'], answers: 2 } }, // prettier-ignore
  health: { wait: '3s', suspect: 0.7, notify: { url: 'https://hooks.example.net/x', headers: { 'X-Y': 'z' } } },
  status: { listen: '127.0.0.1:8053', token: 'a8f3c2d19b4e7f60', open_reading: true },
  limits: { rrl: 0, slip: 2, tcp_clients: 1024 },
  dns: { nsid: 'ams1', version: 'none', cookie_secrets: ['00112233445566778899aabbccddeeff'], explain_from: ['127.0.0.0/8'] }, // prettier-ignore
  transfer: { keys: { second: { algorithm: 'hmac-sha256', secret: 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0' } }, allow: [{ from: '192.0.2.54', key: 'second' }], notify: ['192.0.2.54'] }, // prettier-ignore
  log: { level: 'info', queries: 0 },
  shutdown: { grace: '5s' },
  schedules: [{ at: '0 22 * * *', set: { 'www.example.com/canary': { weight: 0 } } }],
};
const ZONE = {
  zone: 'example.com',
  ttl: 300,
  nameservers: ['ns1', 'ns2'],
  soa: { contact: 'hostmaster', serial: 'auto', refresh: '2h', retry: '30m', expire: '14d', negative_ttl: 60 },
  records: {
    ns1: { A: '192.0.2.53' },
    ns2: { A: '198.51.100.53', AAAA: '2001:db8::53' },
    mail: { ttl: '1h', A: ['192.0.2.25', '192.0.2.26'] },
    text: { ttl: { TXT: '2h' }, TXT: 'v=spf1 -all', TYPE65400: '\\# 4 deadbeef' },
  },
  regions: { seoul: { at: 'KR' }, dublin: { at: 'IE' } },
  checks: { web: { type: 'http', port: 8080 } },
  maps: { world: { KR: 'seoul', default: ['dublin', 'seoul'], fence: false } },
  templates: { web: { vips: { one: { region: 'seoul', A: '192.0.2.1' } } } },
  services: {
    same: '$web',
    like: { use: '$web', ttl: 30 },
    half: { vips: '$web', ttl: 30 },
    mapped: { vips: { one: { region: 'seoul', A: '192.0.2.1' } }, steer: [{ geo: '$world' }] },
    www: {
      ttl: { min: 5, max: 60 },
      check: 'web',
      vips: {
        'seoul-a': { region: 'seoul', A: '203.0.113.10', AAAA: '2001:db8:1::10', weight: 4, probe: '10.1.0.10:8443' },
        'dublin-a': { region: 'dublin', A: '192.0.2.10', capacity: 100, check: 'none' },
      },
      steer: [
        {
          geo: { KR: 'seoul', CN: 'none', JP: { to: ['seoul'], ttl: '10m' }, default: ['dublin', 'seoul'] },
          fence: false,
        },
        'weighted',
      ],
      answers: 1,
      when_all_down: { A: '192.0.2.99' },
      partial: 'serve_all',
      ramp: '5m',
      shed: { low: '80%', high: '95%' },
    },
    near: { vips: { one: { region: 'seoul', A: '192.0.2.1' } }, steer: [{ nearest: { within: '300km', bias: { seoul: 20 } } }, { sticky: null, v4: 24 }] }, // prettier-ignore
    order: { check: { type: 'tcp', port: 25 }, vips: { one: { region: 'seoul', A: '192.0.2.1' } }, steer: { failover: ['seoul'] }, when_all_down: 'none' }, // prettier-ignore
  },
};

/** What replaces a value: of each shape of YAML. None fits by chance where only the reader could refuse it. */
const OTHERS: readonly Value[] = [null, true, -1, 70_000_000_000, 'a word/@ with', [], {}, ['x', ['y']], { unknown_key: 1 }, [{}], '', '-5s', '200%']; // prettier-ignore

/** Every path to a value below the root. */
function pathsOf(value: Value, path: readonly string[] = []): (readonly string[])[] {
  const inner =
    typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([key, each]) => pathsOf(each, [...path, key]))
      : [];
  return path.length === 0 ? inner : [path, ...inner];
}

/** A copy in which the value at a path is changed: replaced, removed, or with one more key. */
function changed(
  base: Value,
  path: readonly string[],
  change: (parent: Record<string, Value>, key: string) => void,
): Value {
  // prettier-ignore
  const copy = structuredClone(base) as Record<string, Value>;
  let parent = copy;
  for (const key of path.slice(0, -1)) parent = parent[key] as Record<string, Value>;
  change(parent, path.at(-1) ?? '');
  return copy;
}

/** Mistakes that the schema does not express. */
const BEYOND_SCHEMAS: ReadonlySet<string> = new Set([
  // Names that are not defined: of TSIG keys, regions, checks, and what steps may name.
  ...['PH080', 'PH088', 'PH206', 'PH207', 'PH210', 'PH242'],
  // Data of records, and what one record needs of others.
  ...['PH102', 'PH106', 'PH114', 'PH117', 'PH358'],
  // A check that needs more members than it has; a TTL beside no answer.
  ...['PH052', 'PH229'],
  // Files that do not exist; a cron line, the length of a duration, a VIP that is no address, what one key needs of
  // another.
  ...['PH038', 'PH034', 'PH015', 'PH201', 'PH202', 'PH218', 'PH220', 'PH225', 'PH075'],
]);

function readerAccepts(of: 'config' | 'zone', text: string, folder: string): { ok: boolean; codes: readonly string[] } {
  const report = createReport();
  const file = join(folder, of === 'config' ? 'pharos.yaml' : 'zones/example.com.yaml');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  if (of === 'config') {
    let nodes: SharedNodes = { maps: undefined, templates: undefined };
    const onShared = (read: SharedNodes): void => void (nodes = read);
    const settings = readSettings({ file, baseDir: folder, env: {}, cores: 1, report, onShared });
    if (settings) readSharedParts(nodes, settings, undefined, report);
  } else {
    const settings = readSettings({ file: undefined, baseDir: folder, env: {}, cores: 1, report: createReport() });
    if (settings) readZone({ file, settings, env: {}, report });
  }
  const errors = report.diagnostics.filter(({ severity }) => severity === 'error').map(({ code }) => code);
  return { ok: !hasErrors(report.diagnostics), codes: errors };
}

describe('schema and readers agree', () => {
  test.each(['config', 'zone'] as const)('on generated files: %s', (of) => {
    using folder = folderOf({ 'zones/example.com.yaml': 'zone: example.com\n' });
    const base = of === 'config' ? CONFIG : ZONE;
    const text = stringify(base);
    expect({ ...readerAccepts(of, text, folder.path), schema: schemas[of](parse(text)) }).toEqual({ ok: true, codes: [], schema: true }); // prettier-ignore
    const dice = createDice(printedSeed('schema', 20_261_129));
    const paths = pathsOf(base);
    const differences: string[] = [];
    const wanted = trials(250);
    let compared = 0;
    for (let tries = 0; compared < wanted && tries < 5000; tries++) {
      const path = paths[dice.below(paths.length)] ?? [];
      const other = OTHERS[dice.below(OTHERS.length)];
      const kind = dice.below(10);
      const value = changed(base, path, (parent, key) => {
        if (kind === 0) Reflect.deleteProperty(parent, key);
        else if (kind === 1) parent['unknown_key'] = 1;
        else parent[key] = other;
      });
      const written = stringify(value);
      const read = readerAccepts(of, written, folder.path);
      if (read.codes.some((code) => BEYOND_SCHEMAS.has(code))) continue;
      compared++;
      const schema = schemas[of](parse(written));
      if (schema !== read.ok) differences.push(`${path.join('.')} ${kind === 0 ? 'removed' : kind === 1 ? 'more' : JSON.stringify(other)}: schema ${String(schema)}, reader ${read.codes.join(' ')}`); // prettier-ignore
    }
    expect(compared).toBe(wanted);
    expect(differences).toEqual([]);
  });
});
