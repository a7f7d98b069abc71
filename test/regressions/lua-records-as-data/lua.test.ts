/**
 * `pharos import bind` took the LUA records in a transfer of PowerDNS (TYPE65402) as data, without a note, so clients
 * got the script instead of an address.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { importCommand } from '../../../cli/import.ts';
import { folderOf } from '../../support/pharos.ts';
import { captureOutput } from '../../unit/cli/captured-output.ts';

// As dig prints a transfer of PowerDNS 4.7.3.
const TRANSFER = `
example.com.      3600 IN SOA ns1.example.com. hostmaster.example.com. 2026112901 7200 1800 1209600 300
example.com.      3600 IN NS ns1.example.com.
ns1.example.com.  3600 IN A 192.0.2.11
near.example.com. 20 IN TYPE65402 \\# 47 00012C7069636B636C6F73657374287B273230332E302E3131332E31 30272C273230332E302E3131332E3230277D29
example.com.      3600 IN TYPE65401 \\# 17 0377777707 6578616D706C65036E657400
odd.example.com.  20 IN TYPE65402 \\# 1 00
example.com.      3600 IN SOA ns1.example.com. hostmaster.example.com. 2026112901 7200 1800 1209600 300
`;

test('LUA of PowerDNS is dropped with a note that has the script, and ALIAS is imported', () => {
  using folder = folderOf({ axfr: TRANSFER });
  const { output, out, error } = captureOutput();
  const rest = { zone: undefined, nameServers: [], output: undefined, json: false };
  expect(importCommand({ format: 'bind', path: join(folder.path, 'axfr'), ...rest }, output), error()).toBe(0);
  expect(out()).not.toContain('TYPE654');
  expect(error()).toContain(`dropped near: LUA A "pickclosest({'203.0.113.10','203.0.113.20'})": write a service`);
  expect(out()).toMatch(/ALIAS: www\.example\.net\./);
  expect(error()).toContain('dropped odd: LUA');
  expect(error()).not.toContain('SOA');
});
