/**
 * No diagnostic shows a secret, whatever mistake is on its line or in the file.
 */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createReport, formatDiagnostic, type Diagnostic } from '../../../config/diagnostics.ts';
import { parseYaml } from '../../../config/parse-yaml.ts';
import { readSettings } from '../../../config/read-settings.ts';
import { readTokens } from '../../../config/read-tokens.ts';
import { nodePlace } from '../../../config/yaml.ts';
import { folderOf } from '../../support/pharos.ts';
import { createDice, printedSeed, trials } from '../../support/random.ts';

const SECRET = 'HushHush1234HushHush';

function diagnose(text: string, file = 'pharos.yaml'): readonly Diagnostic[] {
  using folder = folderOf({ [file]: text, 'zones/a.yaml': '' });
  const report = createReport();
  readSettings({ file, baseDir: folder.path, env: {}, cores: 1, report });
  return report.diagnostics;
}

const textOf = (diagnostics: readonly Diagnostic[]): string =>
  diagnostics.map((each) => `${formatDiagnostic(each)}\n${JSON.stringify(each)}`).join('\n');

/** The prefix of a user's seed and 56 characters of base32. */
const SEED = `SU${'AGZ27'.repeat(11)}A`;

test.each([`user: ${SEED}\nx: 1`, `workers: ${SEED}`, `fleet: { node: ${SEED}., nod: ${SEED} }`, `x: [${SEED}]`])(
  'the seed of an nkey is recognised anywhere: %s',
  (text) => {
    const diagnostics = diagnose(`${text}\n`);
    expect(diagnostics).not.toEqual([]);
    expect(textOf(diagnostics)).not.toContain(SEED);
  },
);

/** CPU seconds of this process for the diagnostics of a file. */
function costOf(text: string): number {
  const before = process.cpuUsage();
  diagnose(text);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

const LONG_FORMS: readonly ((text: string) => string)[] = [
  (text) => `x: "${text}"\n`,
  (text) => `x: [1\n# ${text}\n`,
  (text) => `x: [${text}\n`,
];

test.each(['a', 'a:', ';key', '?', 'keyauth', 'u:a'])('a long text of "%s" takes no time with its square', (unit) => {
  for (const form of LONG_FORMS) {
    const [small, large] = [5000, 80_000].map((length) => costOf(form(unit.repeat(length / unit.length))));
    // With the square it would be 256 times as much.
    expect(large).toBeLessThan(64 * Math.max(small ?? 0, 0.02));
  }
});

describe('a file of tokens shows no values', () => {
  test.each([
    `alice: ${SECRET}`,
    `alice: [${SECRET}]`,
    `alice ${SECRET}`,
    `alice ${SECRET}: { roles: [read] }`,
    `${SECRET}/==: { roles: [read] }`,
    `alice: { roles: [read], sha256: ${SECRET} }`,
    `alice: { roles: [${SECRET}] }`,
    `alice: { roles: [read], x: ${SECRET} }`,
    `alice: { roles: [read] ${SECRET} }`,
    `alice: { roles: [read], ${SECRET} }`,
    `alice:\n  roles: [read]\n  token ${SECRET}`,
    `alice:\n  roles: [read]\n  token ${SECRET}\n bob: 1`,
  ])('%s', (text) => {
    using folder = folderOf({ 'tokens.yaml': `${text}\n` });
    const report = createReport();
    readTokens(join(folder.path, 'tokens.yaml'), {}, report);
    expect(report.diagnostics).not.toEqual([]);
    expect(textOf(report.diagnostics)).not.toContain(SECRET);
  });

  test('but roles, also misspelled', () => {
    using folder = folderOf({ 'tokens.yaml': `alice: { roles: [read, oprate], token: ${SECRET} }\n` });
    const report = createReport();
    readTokens(join(folder.path, 'tokens.yaml'), {}, report);
    const [found] = report.diagnostics.filter(({ code }) => code === 'PH019');
    expect(found?.place.excerpt).toBe(`alice: { roles: [read, oprate], token: ${'*'.repeat(SECRET.length)} }`);
  });
});

describe('a mistake beside a secret, or in it', () => {
  test.each([
    `status: { token: ${SECRET}, x: 1 }`,
    `status: { token: "${SECRET} " }`,
    `status: { tokn: ${SECRET} }`,
    `status: { password: ${SECRET} }`,
    `status: "${SECRET}"`,
    `status: { token: [${SECRET}] }`,
    `status: { token "${SECRET}" }`,
    `status:\n  token ${SECRET}`,
    `token ${SECRET}`,
    `checks: { a: { type: http, headers: { Authorization Bearer ${SECRET} } } }`,
    `x: 1 # token: ${SECRET}`,
    `status: { token: { a: ${SECRET} } }`,
    `status: { token: ${SECRET}, token: ${SECRET} }`,
    `status: { token: *${SECRET} }`,
    `status: { token: !${SECRET} long-enough }`,
    `status:\n  token: !${SECRET} long-enough`,
    `status: { token: @${SECRET} }`,
    `status: { token: "\${${SECRET} }" }`,
    `status: { token: "${SECRET} }`,
    `status: { token: '${SECRET}', listen: 127.0.0.1:8053`,
    `status:\n  token: ${SECRET}: x`,
    `status:\n  token: ${SECRET}\n   bad: 1`,
    `status: { token: |\n ${SECRET}\n  x }`,
    `x: &t ${SECRET}\nstatus: { token: *t }`,
    `checks: { a: { headers: &h { A: ${SECRET} }, x: 1 }, b: { headers: *h } }`,
    `dns: { cookie_secrets: [${SECRET}, "${SECRET}x"], y: 1 }`,
    `dns:\n  cookie_secrets:\n    - ${SECRET}`,
    `dns: { cookie_secret: ${SECRET} }`,
    `transfer: { keys: { second: "${SECRET}" } }`,
    `transfer: { keys: { second: { algorithm: hmac-sha25, secret: ${SECRET} } } }`,
    `health: { notify: "ftp://h/${SECRET}" }`,
    `health: { notify: { url: "https://u:${SECRET}@h/" } }`,
    `health: { notify: { header: { Authorization: Bearer ${SECRET} } } }`,
    `beacon: { urls: { seoul: "https://u:${SECRET}@h/" } }`,
    `checks: { a: { type: http, headers: { Authorization: Bearer ${SECRET} }, interval: 5 } }`,
    `tls: { cert: a.pem, key: "-----BEGIN PRIVATE KEY-----${SECRET}", x: 1 }`,
    `x: { cookies: ${SECRET} }`,
    `x: { auth: ${SECRET} }`,
    `x: { a: "/health?token=${SECRET}" }`,
    `x: |\n  -----BEGIN PRIVATE KEY-----\n  ${SECRET}\ny: { x: 1 }`,
    `checks: { a: { type: tcp, port: 6379, send: "AUTH ${SECRET}", intrval: 5s } }`,
    `fleet: { nkey: ${SECRET} }`,
    `fleet: { nkey: { a: ${SECRET} } }`,
    `fleet: { nkeys: [${SECRET}] }`,
    `fleet: { n_key: ${SECRET} }`,
    `fleet: { seed: ${SECRET} }`,
    `fleet:\n  nkey ${SECRET}`,
    `fleet: { pasword: ${SECRET} }`,
    `x: 1 # nkey: ${SECRET}`,
    `fleet: { name: p, region: d, servers: ["nats://u:${SECRET}@h:4222"] }`,
    `fleet: { name: p, region: d, servers: "u:${SECRET}@h:4222" }`,
    `status: { listen: "https://u:${SECRET}@h" }`,
    `listen: "u:${SECRET}@h:53"`,
    `geo: { databases: ["https://h/?license_key=${SECRET}"] }`,
    `health: { notify: "hooks.example.net/${SECRET}" }`,
    `health: { notify: { url: "hooks.example.net/${SECRET}" } }`,
    `transfer: { keys: ["second:hmac-sha256:${SECRET}"] }`,
    `transfer: { keys: { "hmac-sha256:second:${SECRET}": 1 } }`,
    `transfer: { allow: [{ from: 192.0.2.54, key: "second:${SECRET}" }] }`,
    ...['token', 'secret', 'password', 'pwd', 'key', 'api_key', 'sig', 'auth'].map(
      (name) => `checks: { a: { type: http, path: "/health?a=b&${name}=${SECRET} " } }`,
    ),
    `checks: { a: { type: exec, command: [look, --password, ${SECRET}], x: 1 } }`,
    `checks: { a: { type: exec, command: [curl, -u, "u:${SECRET}"], x: 1 } }`,
    `checks: { a: { type: exec, command: look -p ${SECRET} | grep ok } }`,
    `checks: { a: { type: exec, command [look, ${SECRET}] } }`,
    `status: { token, ${SECRET} }`,
  ])('%s', (text) => {
    const diagnostics = diagnose(`${text}\n`);
    expect(diagnostics).not.toEqual([]);
    expect(textOf(diagnostics)).not.toContain(SECRET);
  });
});

test('the text of a key in place of its path', () => {
  const codes = diagnose('tls: { cert: a.pem, key: "-----BEGIN PRIVATE KEY-----" }').map(({ code }) => code);
  expect(codes).toContain('PH099');
});

test('columns stay the same, and other text is shown', () => {
  const [diagnostic] = diagnose('status: { listen: 127.0.0.1:8053, token: "s3cret", x: 1 }\n');
  expect(
    formatDiagnostic(diagnostic as Diagnostic)
      .split('\n')
      .slice(1),
  ).toEqual([
    '    status: { listen: 127.0.0.1:8053, token: "******", x: 1 }',
    `    ${' '.repeat(51)}^ known here: listen, token, tokens, open_reading, tls`,
  ]);
});

test.each<[line: string, shown: string]>([
  // The name of a variable is not a secret, and it helps.
  ['status: { token: "${NAME}", x: 1 }', 'status: { token: "${NAME}", x: 1 }'],
  ['checks: { a: { headers: { A: "Bearer ${T}" }, x: 1 } }', 'checks: { a: { headers: { A: "****** ${T}" }, x: 1 } }'],
  // Nor is the program of a check.
  ['checks: { a: { command: [./look, -p, abc], x: 1 } }', 'checks: { a: { command: [./look, **, ***], x: 1 } }'],
  ['checks: { a: { command: ./look -p abc, x: 1 } }', 'checks: { a: { command: ./look ** ***, x: 1 } }'],
  // An address with a port in the notation of NSD is not a login.
  ['listen: { a: "2001:db8::1@53", x: 1 }', 'listen: { a: "2001:db8::1@53", x: 1 }'],
  // Names that an operator chose are not secret either.
  ['services: { token: { ttl: 20, x: 1 } }', 'services: { token: { ttl: 20, x: 1 } }'],
  ['records: { token: { TXT: abc } }', 'records: { token: { TXT: abc } }'],
  [
    'services: { www: { vips: { secret: { A: 192.0.2.1 } } } }',
    'services: { www: { vips: { secret: { A: 192.0.2.1 } } } }',
  ],
])('%s', (line, shown) => {
  const report = createReport();
  parseYaml('a.yaml', `${line} # *nowhere\nz: *nowhere\n`, { NAME: 'x', T: 'y' }, report);
  parseYaml('a.yaml', `${line.slice(0, -1)}, z: *nowhere }\n`, { NAME: 'x', T: 'y' }, report);
  expect(report.diagnostics.at(-1)?.place.excerpt).toBe(`${shown.slice(0, -1)}, z: *nowhere }`);
});

test('after random changes to a file, no shown line contains a secret', () => {
  const { below, pick } = createDice(printedSeed('secrets'));
  const file = [
    `status: { listen: 127.0.0.1:8053, token: "${SECRET}" }`,
    `dns:\n  nsid: ams1\n  cookie_secrets:\n    - ${SECRET}\n    - "${SECRET}"`,
    `transfer:\n  keys: { second: { algorithm: hmac-sha256, secret: ${SECRET} } }`,
    `health: { wait: 3s, notify: { url: "https://hooks.example.net/${SECRET}", token: '${SECRET}' } }`,
    `checks:\n  web:\n    type: https\n    headers: { Authorization: "Bearer ${SECRET}", X-Probe: a }\n    interval: 5s`,
    'log: { level: info }\n',
  ].join('\n');
  const SIGNS = ['"', "'", '{', '}', '[', ']', ',', ': ', ' ', '#', '&', '*', '!', '|', '%', '@', '${'];
  // At the ends of words: a change within a word would make another secret, or an unknown key.
  const places = [...file.matchAll(/\b/g)].map(({ index }) => index);
  for (let round = 0; round < trials(3000); round++) {
    const [at, sign] = [pick(places), pick(SIGNS)];
    // A commented-out value without its key cannot be recognised.
    if (sign === '#' && file.startsWith(SECRET, at)) continue;
    const text = file.slice(0, at) + sign + file.slice(at + (/\w/.test(file[at] ?? '') ? 0 : below(2)));
    const report = createReport();
    const node = parseYaml('pharos.yaml', text, {}, report);
    const lines = node ? [...text.matchAll(/^/gm)].map(({ index }) => nodePlace(node, index - node.start, 1)) : [];
    const shown = `${textOf(report.diagnostics)}\n${lines.map(({ excerpt }) => excerpt).join('\n')}`;
    if (shown.includes(SECRET)) throw new Error(`shown of\n${text}\n\n${shown}`);
  }
});
