/**
 * Every key took `${NAME}`: `dns.nsid: "${PHAROS_TOKEN}"` published the token, an alias carried a secret to another
 * key, and messages about paths and addresses printed the value.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { formatDiagnostic } from '../../../config/diagnostics.ts';
import { loadGeneration } from '../../../zones/load-generation.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { freePort } from '../../support/free-port.ts';
import { bundledGeography, folderOf, NO_GEOGRAPHY, type Files } from '../../support/pharos.ts';
import { eventually, ROOT, run, start } from '../../support/process.ts';

const MARKER = 'HushHush1234HushHush';
const COOKIE = '0123456789abcdef0123456789abcde7';

/** A key by its path (`a.b`, `a[].b`), with its value. */
function yamlOf(path: string, value: string): string {
  const [key = '', ...below] = path.split('.');
  const inner = below.length === 0 ? value : `{ ${yamlOf(below.join('.'), value)} }`;
  return key.endsWith('[]') ? `${key.slice(0, -2)}: [${inner}]` : `${key}: ${inner}`;
}

/** The keys of the tables of the reference below a heading, and whether they are marked. */
function keysBelow(from: string, to: string): { readonly key: string; readonly takes: boolean }[] {
  const page = readFileSync(join(ROOT, 'docs/configuration.md'), 'utf8');
  const part = page.slice(page.indexOf(`\n${from}\n`), page.indexOf(`\n${to}\n`));
  return [...part.matchAll(/^\| `([\w.[\]]+)`( \*\*env\*\*)? \|/gm)].map(([, key = '', mark]) => ({
    key,
    takes: mark !== undefined,
  }));
}

function diagnose(files: Files, env: Record<string, string>) {
  using folder = folderOf({ ...NO_GEOGRAPHY, ...files });
  return loadGeneration({ file: undefined, cwd: folder.path, env, cores: 1, geographyInUse: bundledGeography() })
    .diagnostics;
}

const ZONE = 'zone: example.com\nnameservers: [ns.example.net.]\n';
const pharos = keysBelow('## pharos.yaml', '### Logged queries').map(({ key, takes }) => ({
  key,
  takes,
  files: {
    'pharos.yaml': `${yamlOf(key, key.endsWith('headers') ? '{ A: "${MARKER}" }' : '"${MARKER}"')}\n`,
    'zones/a.yaml': ZONE,
  },
}));
const zone = keysBelow('## Zone files', '### Records').map(({ key, takes }) => ({
  key: `zone: ${key}`,
  takes,
  files: { 'zones/a.yaml': `${ZONE.replace(new RegExp(`^${key}:.*\n`, 'm'), '')}${yamlOf(key, '"${MARKER}"')}\n` },
}));
// The table of a service's keys, and then that of a VIP's.
const services = keysBelow('### Services', '### Steps');
const ofVips = services.findIndex(({ key }) => key === 'region');
const service = services.slice(0, ofVips).map(({ key, takes }) => ({
  key: `service: ${key}`,
  takes,
  files: {
    'zones/a.yaml': `${ZONE}services: { www: { ${key === 'vips' ? '' : 'vips: { a: { A: 192.0.2.1 } }, '}${yamlOf(key, '"${MARKER}"')} } }\n`,
  },
}));
const vip = services.slice(ofVips).map(({ key, takes }) => ({
  key: `vip: ${key}`,
  takes,
  files: { 'zones/a.yaml': `${ZONE}services: { www: { vips: { a: { ${yamlOf(key, '"${MARKER}"')} } } } }\n` },
}));

describe('no key of the reference shows the value of a variable', () => {
  test('the tables are found', () => {
    expect(pharos.length).toBeGreaterThan(40);
    expect([zone, service, vip].map(({ length }) => length > 5)).toEqual([true, true, true]);
  });

  test.each([...pharos, ...zone, ...service, ...vip])('$key', ({ takes, files }) => {
    const diagnostics = diagnose(files, { MARKER });
    const shown = diagnostics.map((each) => `${formatDiagnostic(each)}\n${JSON.stringify(each)}`).join('\n');
    expect(shown).not.toContain(MARKER);
    const codes = diagnostics.map(({ code }) => code);
    if (takes) expect(codes).not.toContain('PH095');
    else expect(codes).toContain('PH095');
  });
});

test.each([
  ['an alias to another key', 'PH096', { 'pharos.yaml': 'status: { token: &t "${MARKER}" }\ndns: { nsid: *t }\n' }],
  ['an alias of a list', 'PH096', { 'pharos.yaml': 'dns: { cookie_secrets: &t ["${COOKIE}"] }\nlisten: *t\n' }],
  ['a published key', 'PH098', { 'pharos.yaml': 'dns: { nsid: "${MARKER}" }\n' }],
  ['a published key beside a name that may', 'PH098', { 'pharos.yaml': 'dns: { nsid: "${HOSTNAME}-${MARKER}" }\n' }],
  [
    'a secret of the server in a zone',
    'PH097',
    {
      'pharos.yaml': 'status: { token: "${MARKER}" }\n',
      'zones/a.yaml': `${ZONE}checks: { a: { type: http, headers: { A: "\${MARKER}" } } }\n`,
    },
  ],
  [
    'the token of the commands in a zone',
    'PH097',
    { 'zones/a.yaml': `${ZONE}checks: { a: { type: http, headers: { A: "\${PHAROS_TOKEN}" } } }\n` },
  ],
])('%s is an error', (_title, code, files) => {
  const diagnostics = diagnose(
    { 'zones/a.yaml': ZONE, ...files },
    { MARKER, PHAROS_TOKEN: MARKER, COOKIE, HOSTNAME: 'ams1' },
  );
  expect(diagnostics.filter(({ severity }) => severity === 'error').map((each) => each.code)).toEqual([code]);
  expect(JSON.stringify(diagnostics)).not.toContain(MARKER);
});

test('a node may be named by the environment', () => {
  const files = { ...NO_GEOGRAPHY, 'pharos.yaml': 'geo: { databases: [small.mmdb] }\ndns: { nsid: "${HOSTNAME}" }\n' };
  using folder = folderOf({ ...files, 'zones/a.yaml': ZONE });
  const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: { HOSTNAME: 'ams1' }, cores: 1 });
  expect(outcome.ok && outcome.value.settings.dns.nsid).toBe('ams1');
});

test('a server that takes all possible values from the environment shows none of them', async () => {
  const { cert, key } = makeCertificate();
  const [dns, tls, http, gone] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const config = (more = ''): string => `listen: "\${LISTEN}"
tls: { listen: "\${TLS}", cert: "\${CERT}", key: "\${KEY}" }
zones: "\${ZONES}"
state_dir: "\${STATE}"
geo: { databases: "\${DATABASE}" }
health: { notify: { url: "\${HOOK}", token: "\${HOOK_TOKEN}", headers: { A: "\${HEADER}" } } }
status: { listen: "\${STATUS}", token: "\${TOKEN}" }
dns: { cookie_secrets: ["\${COOKIE}"], explain_from: "\${NETWORK}" }
transfer: { keys: { k: { algorithm: hmac-sha256, secret: "\${TSIG}" } }, allow: [{ from: "\${PEER}" }], notify: "\${PEER}:53" }
${more}`;
  const checks = `checks:
  web: { type: http, interval: 100ms, timeout: 100ms, headers: { A: "\${PROBE_HEADER}" } }
  line: { type: tcp, interval: 100ms, timeout: 100ms, send: "\${SEND}" }
`;
  const services = `services:
  www: { check: web, vips: { a: { A: 192.0.2.1, probe: "\${PROBE}" } } }
  api: { check: line, vips: { a: { A: 192.0.2.2, probe: "\${PROBE}" } } }
`;
  const folders = (name: string): string => `${MARKER}-${name}`;
  using folder = folderOf({
    'pharos.yaml': config(),
    [`${folders('zones')}/example.com.yaml`]: ZONE + checks + services,
    [`${folders('tls')}/cert.pem`]: cert,
    [`${folders('tls')}/key.pem`]: key,
    [`${folders('geo')}/small.mmdb`]: NO_GEOGRAPHY['small.mmdb'] ?? '',
  });
  const env = {
    LISTEN: `127.0.0.1:${dns}`,
    TLS: `127.0.0.1:${tls}`,
    STATUS: `127.0.0.1:${http}`,
    PROBE: `127.0.0.9:${gone}`,
    CERT: `${folders('tls')}/cert.pem`,
    KEY: `${folders('tls')}/key.pem`,
    ZONES: folders('zones'),
    STATE: folders('state'),
    DATABASE: `${folders('geo')}/small.mmdb`,
    HOOK: `http://127.0.0.1:${gone}/${MARKER}`,
    HOOK_TOKEN: `${MARKER}-hook`,
    HEADER: `${MARKER}-header`,
    TOKEN: `${MARKER}-token`,
    COOKIE,
    NETWORK: '127.0.0.0/8',
    TSIG: Buffer.from(`${MARKER}-tsig`).toString('base64'),
    PEER: '127.0.0.53',
    PROBE_HEADER: `${MARKER}-probe`,
    SEND: `${MARKER}-send`,
  };
  const api = `http://127.0.0.1:${http}`;
  await using server = start(['serve'], { cwd: folder.path, env });
  await server.until(/"msg":"serving"/);
  const get = async (path: string): Promise<string> => (await fetch(`${api}${path}`)).text();
  await eventually(
    () => get('/api/v1/health'),
    (text) => text.includes('"probed":"down"'),
  );
  const authorized = { authorization: `Bearer ${env.TOKEN}`, 'content-type': 'application/json' };
  const reload = async (): Promise<string> =>
    (await fetch(`${api}/api/v1/reload`, { method: 'POST', headers: authorized, body: '{}' })).text();
  const zoneFile = join(folder.path, folders('zones'), 'example.com.yaml');
  writeFileSync(zoneFile, `${ZONE}${checks}${services}bad: 1\n`);
  const texts = new Map<string, string>([
    ['a refused reload', await reload()],
    ['check', JSON.stringify(await run(['check'], { cwd: folder.path, env }))],
    ['check --json', JSON.stringify(await run(['check', '--json'], { cwd: folder.path, env }))],
  ]);
  writeFileSync(zoneFile, ZONE + checks + services);
  for (const path of [
    ...['/', '/healthz', '/readyz', '/metrics', '/api/v1/status', '/api/v1/health', '/api/v1/events'],
    '/api/v1/explain?name=www.example.com&type=A&client=192.0.2.9',
  ]) {
    texts.set(path, await get(path));
  }
  const explain = ['explain', 'www.example.com', '--client', '192.0.2.9'];
  for (const args of [
    explain,
    [...explain, '--json'],
    ['status'],
    ['status', '--json'],
    ['diff', 'pharos.yaml', 'pharos.yaml'],
    ['simulate', '--down', 'www.example.com/a'],
    ['export', 'example.com'],
  ]) {
    texts.set(args.join(' '), JSON.stringify(await run(args, { cwd: folder.path, env })));
  }
  const { stdout, stderr } = await server.stop();
  texts.set('the log', stdout + stderr);
  // Networks may be those of clients too, which messages show.
  const values = [MARKER, ...Object.entries(env).flatMap(([name, value]) => (name === 'NETWORK' ? [] : value))];
  const found = [...texts].flatMap(([what, text]) =>
    values.filter((value) => text.includes(value)).map((value) => `${what}: ${around(text, value)}`),
  );
  expect(found).toEqual([]);
});

function around(text: string, value: string): string {
  const at = text.indexOf(value);
  return text.slice(Math.max(0, at - 80), at + value.length + 20);
}
