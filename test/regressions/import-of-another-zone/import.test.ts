/**
 * `pharos import --zone` with the name of a zone other than the file's dropped every record, wrote an empty zone, and
 * exited with 0.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { importCommand } from '../../../cli/import.ts';
import { folderOf } from '../../support/pharos.ts';
import { captureOutput } from '../../unit/cli/captured-output.ts';

const SOA = 'ns1.example.com. hostmaster.example.com. 1 7200 900 1209600 60';
const SOURCES = {
  bind: `$ORIGIN example.com.\n@ 300 IN SOA ${SOA}\n@ 300 NS ns1\nns1 300 A 192.0.2.53\n`,
  route53: JSON.stringify({
    ResourceRecordSets: [{ Name: 'example.com.', Type: 'SOA', TTL: 900, ResourceRecords: [{ Value: SOA }] }],
  }),
};

test.each(Object.entries(SOURCES))('%s: nothing in the file is in the zone', (format, text) => {
  using folder = folderOf({ source: text });
  const { output, out, error } = captureOutput();
  const path = join(folder.path, 'source');
  const rest = { nameServers: [], output: undefined, json: false };
  expect(importCommand({ format, path, zone: 'example.org', ...rest }, output)).toBe(1);
  expect(out()).toBe('');
  expect(error()).toMatch(/PH502: nothing in the file is in the zone example\.org/);
  expect(importCommand({ format, path, zone: 'example.com', ...rest }, output)).toBe(0);
});
