/**
 * A rejected reload logged the warnings of all files as errors, and alerts based on the level counted them.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderOf } from '../../support/pharos.ts';
import { serve } from '../../support/process.ts';

test('each diagnostic is logged with its own severity', async () => {
  using folder = folderOf({
    'pharos.yaml': 'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0 }\n',
    'zones/a.yaml': 'zone: a.example\nnameservers: [ns1]\nrecords: { ns1: { A: [192.0.2.53, 192.0.2.53] } }\n',
  });
  await using server = await serve([], { cwd: folder.path });
  writeFileSync(join(folder.path, 'zones/b.yaml'), 'zone: b.example\n');
  server.child.kill('SIGHUP');
  await server.until(/reload re(?:fused|jected)/i);
  const lines = server.stdout().trim().split('\n');
  const levels = (code: string): string[] =>
    lines.flatMap((line) => {
      const { level, msg, kind } = JSON.parse(line) as { level: string; msg: string; kind?: string };
      // The alarm `reload_refused` quotes the first error.
      return msg.includes(` ${code}:`) && kind !== 'alarm' ? [level] : [];
    });
  // One at the start, one at the reload.
  expect(levels('warning PH342')).toEqual(['warn', 'warn']);
  expect(levels('error PH358')).toEqual(['error']);
});
