/**
 * `pharos import gdnsd` took a resource for one of addresses if names were two resources below it, and wrote a zone
 * that
 * `check` refuses: a service with addresses and names.
 */
import { expect, test } from 'vitest';
import { importValid } from '../../unit/cli/import/run-import.ts';

test('names two resources below a datacenter beside one with addresses', () => {
  const config = `plugins => { metafo => { resources => {
  outer => { datacenters => [ a, b ], dcmap => { a => %metafo!middle, b => 192.0.2.3 } }
  middle => { datacenters => [ x ], dcmap => { x => %metafo!leaf } }
  leaf => { datacenters => [ p, q ], dcmap => { p => p.example.net., q => q.example.net. } }
} } }`;
  const zone = '@ 300 SOA ns1 host 1 7200 3600 1209600 300\n@ NS ns1\nns1 A 192.0.2.53\nwww 60 DYNC metafo!outer\n';
  const { out, notes } = importValid('gdnsd', { 'g/config': config, 'g/zones/example.com': zone }, 'g');
  expect(notes).toContain('dropped www: the datacenter a, a name among addresses');
  expect(out).toContain('b: { region: b, A: 192.0.2.3 }');
});
