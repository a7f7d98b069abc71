/**
 * A zone could name any file that the server may read, and its lines were in the diagnostics of a reload: a zone author
 * could read the server's keys. Now a zone may name only files in its own folder, also through symbolic links, unless
 * `files: anywhere` is set; and HTTP shows no line of a file other than pharos.yaml and zones.
 */
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderOf, mistakesOf, type Files } from '../../support/pharos.ts';
import { serve } from '../../support/process.ts';

const ZONE = 'zone: example.com\nnameservers: [ns.example.net.]\n';
const SERVICE =
  'regions: { x: { at: KR } }\nservices: { www: { vips: { a: { region: x, A: 192.0.2.1 } }, steer: [latency: { table: ../secret }] } }\n';

test.for<[string, Files]>([
  ['include', { 'zones/example.com.yaml': `${ZONE}include: [../secret]\n` }],
  ['include with an absolute path', { 'zones/example.com.yaml': `${ZONE}include: [/etc/passwd]\n` }],
  ['$INCLUDE', { 'zones/example.com.yaml': `${ZONE}include: [a.db]\n`, 'zones/a.db': '$INCLUDE ../secret\n' }],
  ['table', { 'zones/example.com.yaml': `${ZONE}${SERVICE}` }],
])('%s: a file outside the folder is rejected', ([, files]) => {
  const mistakes = mistakesOf({ ...files, secret: 'hunter2 hunter3\n' });
  expect(mistakes).toEqual([expect.stringMatching(/error PH385: /)]);
  expect(mistakes.join()).not.toContain('hunter');
  const anywhere = mistakesOf({ ...files, 'pharos.yaml': 'files: anywhere\n', secret: 'hunter2 hunter3\n' });
  expect(anywhere.join()).not.toContain('PH385');
});

const files = {
  'pharos.yaml': 'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: token }\n',
  'zones/example.com.yaml': ZONE,
  secret: 'hunter2 hunter3\n',
};

async function reload(api: string): Promise<{ readonly status: number; readonly text: string }> {
  const reply = await fetch(`${api}/api/v1/reload`, { method: 'POST', headers: { authorization: 'Bearer token' } });
  return { status: reply.status, text: await reply.text() };
}

test.for<[string, (folder: string) => void]>([
  ['a zone', (folder) => { symlinkSync('../secret', join(folder, 'zones/link.yaml')); }], // prettier-ignore
  [
    'an included file',
    (folder) => {
      symlinkSync('../secret', join(folder, 'zones/link.db'));
      writeFileSync(join(folder, 'zones/example.com.yaml'), `${ZONE}include: [link.db]\n`);
    },
  ],
])('a symbolic link in place of %s is rejected', async ([, change]) => {
  using folder = folderOf(files);
  await using server = await serve([], { cwd: folder.path });
  change(folder.path);
  const { status, text } = await reload(server.api);
  expect([status, text]).toEqual([422, expect.stringContaining('PH385')]);
  expect(text).not.toContain('hunter');
  await server.stop();
});

test('with files: anywhere, HTTP shows where a mistake is and not the line', async () => {
  using folder = folderOf({ ...files, 'pharos.yaml': `${files['pharos.yaml']}files: anywhere\n` });
  await using server = await serve([], { cwd: folder.path });
  writeFileSync(join(folder.path, 'zones/example.com.yaml'), `${ZONE}include: [../secret]\nrecords: { a: { A: x } }\n`);
  const { status, text } = await reload(server.api);
  expect(status).toBe(422);
  const { diagnostics } = JSON.parse(text) as {
    diagnostics: { code: string; place: { file: string; line: number; excerpt?: string } }[];
  };
  const [own, foreign] = ['zones/example.com.yaml', 'secret'].map((name) =>
    diagnostics.find(({ place }) => place.file === name),
  );
  expect(own?.place.excerpt).toContain('A: x');
  expect(foreign?.place).toMatchObject({ line: 1 });
  expect(foreign?.place.excerpt).toBeUndefined();
  const shown = await (await fetch(`${server.api}/api/v1/status`)).text();
  expect(shown).not.toContain('hunter2 hunter3');
  await server.stop();
});
