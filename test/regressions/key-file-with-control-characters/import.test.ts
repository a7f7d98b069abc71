/**
 * `pharos dnssec import` showed the name in a key file as it was: with control characters, such as those that change
 * the colours of a terminal. The fuzz target `key-files` found it. Messages of the command are now plain text.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { dnssecImport } from '../../../cli/dnssec.ts';
import { makeKey } from '../../../dnssec/key-files.ts';
import { parseName } from '../../../wire/name.ts';
import { folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

test('a message about a key file has no control characters', () => {
  using folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': 'listen: 127.0.0.1:0\n',
    'zones/example.com.yaml':
      'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\ndnssec: { keys: ../keys }\n',
  });
  mkdirSync(join(folder.path, 'keys'), { mode: 0o700 });
  const from = mkdtempSync(join(tmpdir(), 'pharos-key-'));
  try {
    const { file } = makeKey(from, parseName('example.com.'), 1_790_000_000);
    const key = file.replace(/private$/, 'key');
    writeFileSync(key, readFileSync(key, 'utf8').replace(/^example/m, '\u001b[31mexample'));
    const lines: string[] = [];
    const add = (line: string): void => {
      lines.push(line);
    };
    const options = {
      zone: 'example.com',
      files: [file],
      zsk: false,
      json: false,
      config: join(folder.path, 'pharos.yaml'),
    };
    expect(
      dnssecImport(options, { out: add, error: add, style: (_, text) => text, styleError: (_, text) => text }),
    ).toBe(1);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('the .key file is of');
    expect(lines[0]).not.toContain('\u001b');
  } finally {
    rmSync(from, { recursive: true });
  }
});
