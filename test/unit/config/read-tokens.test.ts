import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createReport } from '../../../config/diagnostics.ts';
import { readSettings } from '../../../config/read-settings.ts';
import { readTokens, sha256Of } from '../../../config/read-tokens.ts';

const GOOD = '3f9c1a7be2d84065';
const OTHER = 'a8d27c90e1f54b36';
let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pharos-tokens-'));
  file = join(folder, 'tokens.yaml');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function read(text: string, mode = 0o640, env = {}) {
  writeFileSync(file, text);
  chmodSync(file, mode);
  const report = createReport();
  const tokens = readTokens(file, env, report);
  return { ...tokens, found: report.diagnostics.map(({ code, severity }) => `${code} ${severity}`), report };
}

describe('the file of status.tokens', () => {
  it('has names with roles, as text, as digest, or as the name in a certificate', () => {
    const { credentials, variables, found } = read(
      [
        `alice: { roles: [operate, update], token: ${GOOD} }`,
        `grafana: { roles: read, sha256: ${sha256Of(OTHER).toUpperCase()} }`,
        'deploy-bot: { roles: update, certificate: Deploy.example.com }',
        'ci: { roles: update, token: "${CI_TOKEN}" }',
      ].join('\n'),
      0o640,
      { CI_TOKEN: 'b7e0d35c96a1f284' },
    );
    expect(found).toEqual([]);
    expect(credentials).toEqual([
      { name: 'alice', roles: ['operate', 'update'], sha256: sha256Of(GOOD), certificate: undefined },
      { name: 'grafana', roles: ['read'], sha256: sha256Of(OTHER), certificate: undefined },
      { name: 'deploy-bot', roles: ['update'], sha256: undefined, certificate: 'deploy.example.com' },
      { name: 'ci', roles: ['update'], sha256: sha256Of('b7e0d35c96a1f284'), certificate: undefined },
    ]);
    expect(variables).toEqual(['CI_TOKEN']);
  });

  it.each<[title: string, text: string, found: string[]]>([
    ['a token that is easy to guess', 'a: { roles: read, token: secret }', ['PH074 warning']],
    ['a name with a space', `"a b": { roles: read, token: ${GOOD} }`, ['PH076 error']],
    ['no token', 'a: { roles: read }', ['PH076 error']],
    ['two ways to log in', `a: { roles: read, token: ${GOOD}, certificate: x }`, ['PH076 error']],
    ['a digest that is too short', 'a: { roles: read, sha256: abcd }', ['PH025 error', 'PH076 error']],
    [
      'the same token twice',
      `a: { roles: read, token: ${GOOD} }\nb: { roles: operate, token: ${GOOD} }`,
      ['PH078 error'],
    ],
    ['an unknown role', `a: { roles: admin, token: ${GOOD} }`, ['PH019 error']],
    ['no roles', `a: { token: ${GOOD} }`, ['PH012 error']],
  ])('reports %s', (_title, text, found) => {
    const { found: reported, report } = read(text);
    expect(reported).toEqual(found);
    expect(JSON.stringify(report.diagnostics)).not.toContain(GOOD);
  });

  it('warns of a file that every user may read', () => {
    chmodSync(folder, 0o755);
    expect(read(`a: { roles: read, token: ${GOOD} }`, 0o644).found).toEqual(['PH077 warning']);
  });

  it('warns of certificates that nothing verifies', () => {
    writeFileSync(file, 'a: { roles: read, certificate: x }', { mode: 0o600 });
    writeFileSync(join(folder, 'pharos.yaml'), 'zones: []\nstatus: { tokens: tokens.yaml }\n');
    const report = createReport();
    readSettings({ file: 'pharos.yaml', baseDir: folder, env: {}, cores: 1, report });
    expect(report.diagnostics.map(({ code }) => code)).toContain('PH079');
  });
});
