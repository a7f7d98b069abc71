/**
 * The line shown by a diagnostic contained the secrets on it: a mistyped key beside `status.token` put the token into
 * the log, into the status API and into the reply of a reload.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderOf } from '../../support/pharos.ts';
import { run, serve } from '../../support/process.ts';

const TOKEN = 'correct-horse-battery-staple';
const config = (more: string): string =>
  `listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: ${TOKEN}${more} }\n`;

test('a token is in no log, reply, report or alarm', async () => {
  using folder = folderOf({
    'pharos.yaml': config(''),
    'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns.example.net.]\n',
  });
  await using server = await serve([], { cwd: folder.path });
  writeFileSync(join(folder.path, 'pharos.yaml'), config(', tokne: x'));

  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
  const reload = await fetch(`${server.api}/api/v1/reload`, { method: 'POST', headers, body: '{}' });
  const refused = await reload.text();
  expect(reload.status).toBe(422);
  const [status, page, events] = await Promise.all(
    ['/api/v1/status', '/', '/api/v1/events'].map(async (path) => (await fetch(`${server.api}${path}`)).text()),
  );
  const [text, json] = await Promise.all([
    run(['check'], { cwd: folder.path }),
    run(['check', '--json'], { cwd: folder.path }),
  ]);
  await server.stop();

  // The mistake is shown, with its line; the token is not.
  for (const shown of [refused, status ?? '', server.stdout(), text.stdout, json.stdout]) {
    expect(shown).toContain('tokne is not a key of status');
    expect(shown).toContain('token: **');
  }
  for (const shown of [refused, status, page, events, server.stdout(), text.stdout, json.stdout])
    expect(shown).not.toContain(TOKEN);
});
