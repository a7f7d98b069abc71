/**
 * Windows PowerShell writes `aws ... > records.json` as UTF-16 with a byte order mark, and other programs put one
 * before UTF-8: both were "not JSON: Unexpected token", with an invisible token.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { importCommand } from '../../../cli/import.ts';
import { folderOf } from '../../support/pharos.ts';
import { captureOutput } from '../../unit/cli/captured-output.ts';

const A = { Name: 'www.example.com.', Type: 'A', TTL: 60, ResourceRecords: [{ Value: '192.0.2.1' }] };
const TEXT = `\ufeff${JSON.stringify({ ResourceRecordSets: [A] })}`;

test.each([
  ['UTF-8', Buffer.from(TEXT, 'utf8')],
  ['UTF-16, little-endian', Buffer.from(TEXT, 'utf16le')],
  ['UTF-16, big-endian', Buffer.from(TEXT, 'utf16le').swap16()],
])('%s with a byte order mark', (_, octets) => {
  using folder = folderOf({ 'records.json': octets });
  const { output, out, error } = captureOutput();
  const rest = { nameServers: [], output: undefined, json: false };
  const path = join(folder.path, 'records.json');
  expect(importCommand({ format: 'route53', path, zone: 'example.com', ...rest }, output), error()).toBe(0);
  expect(out()).toContain('www: { A: 192.0.2.1 }');
});
