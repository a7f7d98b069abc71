/**
 * A token with characters that a header cannot have gave "cannot reach the server", with the token on stderr; and an
 * empty PHAROS_TOKEN, which container files often leave, hid the token of the configuration.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { giveBack } from '../../../cli/control.ts';
import { reach } from '../../../cli/find-server.ts';
import { folderOf } from '../../support/pharos.ts';
import { captureOutput } from '../../unit/cli/captured-output.ts';

const NONE = { api: undefined, token: undefined, config: undefined, cwd: '/', env: {} };

test.each(['tok\nen', 'tok€n', 'tok en'])('%j is wrong usage, and is not shown', async (token) => {
  const { output, error } = captureOutput();
  expect(await giveBack('@seoul', { ...NONE, token, json: false }, output)).toBe(2);
  expect(error()).toMatch(/^pharos auto: invalid token; use printable ASCII characters without spaces$/);
  expect(error()).not.toContain('tok€n');
});

test('an empty token is not a token', () => {
  using folder = folderOf({});
  writeFileSync(join(folder.path, 'pharos.yaml'), 'status: { token: f }');
  const at = { ...NONE, cwd: folder.path };
  expect(reach({ ...at, env: { PHAROS_TOKEN: '' } })).toMatchObject({ ok: true, api: { token: 'f' } });
  expect(reach({ ...at, api: '127.0.0.1:1', env: { PHAROS_TOKEN: '' } })).toMatchObject({ api: { token: undefined } });
});
