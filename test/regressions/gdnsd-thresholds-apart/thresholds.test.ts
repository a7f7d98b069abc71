/**
 * `import gdnsd`: two resources with datacenters of one name shared a region, and so its `min_healthy`, if only one of
 * them had a threshold: simplefo, which has none, left a datacenter whose primary was up. And service_types of extfile
 * beside others became an `all_of` of push checks, which is not valid: the zone could not be loaded. Found by comparing
 * answers with gdnsd 3.8.1.
 */
import { expect, test } from 'vitest';
import { fromGdnsd } from '../../../cli/import/from-gdnsd.ts';
import { writeZone } from '../../../cli/import/write-zone.ts';
import { createReport } from '../../../config/diagnostics.ts';
import { FORCED, PROBED } from '../../../health/health-table.ts';
import { answering, folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

function imported(config: string, records: string) {
  const zone = `@ 300 SOA ns1 host 1 7200 3600 1209600 300\n@ 300 NS ns1\nns1 300 A 192.0.2.53\n${records}`;
  using folder = folderOf({ config, 'zones/example.com': zone });
  const [draft] = fromGdnsd(folder.path, undefined, createReport());
  if (!draft) throw new Error('no zone');
  return { yaml: writeZone(draft, undefined).yaml, notes: draft.notes.map(({ message }) => message) };
}

const TYPES = `service_types => {
  web => { plugin => tcp_connect, port => 80 }
  one => { plugin => extfile, file => one }
  two => { plugin => extfile, file => two }
}\n`;

test.each([
  ['the threshold comes first', ['whole', 'pair']],
  ['the threshold comes last', ['pair', 'whole']],
])('a group without a threshold does not get that of another: %s', (_title, names) => {
  const config = `${TYPES}plugins => { metafo => { service_types => web, resources => {
    whole => { datacenters => [ dc, far ], dcmap => { dc => { up_thresh => 1.0, a => 192.0.2.1, b => 192.0.2.2 }, far => 192.0.2.9 } }
    pair => { datacenters => [ dc, far ], dcmap => { dc => { plugin => simplefo, primary => 192.0.2.3, secondary => 192.0.2.4 }, far => 192.0.2.8 } }
  } } }\n`;
  const { yaml } = imported(config, names.map((name) => `${name} 60 DYNA metafo!${name}\n`).join(''));
  const server = answering({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': yaml });
  for (const target of ['whole.example.com/dc-b', 'pair.example.com/dc-secondary']) {
    server.set(target, { probed: PROBED.DOWN, forced: FORCED.NONE });
  }
  const addressOf = (name: string) => server.ask(`${name}.example.com`, 1).answer.map(({ data }) => data);
  // One of two is below 100 %: the other datacenter. The primary is up: its datacenter.
  expect(addressOf('whole')).toEqual(['c0000209']);
  expect(addressOf('pair')).toEqual(['c0000203']);
});

test.each([
  ['[ one, two ]', 'check: one', /report the worst of them as one/],
  ['[ one, web ]', 'check: web', /only the others are checked/],
])('files beside other checks: %s', (types, check, note) => {
  const config = `${TYPES}plugins => { multifo => { r => { service_types => ${types}, a => 192.0.2.1, b => 192.0.2.2 } } }\n`;
  const { yaml, notes } = imported(config, 'www 60 DYNA multifo!r\n');
  expect(yaml).toContain(check);
  expect(notes).toEqual(expect.arrayContaining([expect.stringMatching(note)]));
  answering({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': yaml });
});
