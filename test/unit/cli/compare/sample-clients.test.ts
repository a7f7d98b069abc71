/** Clients of a file, and samples of the location databases. */
import { describe, expect, test } from 'vitest';
import { parseClients, sampleClients } from '../../../../cli/compare/sample-clients.ts';
import { viewAtlas } from '../../../../geo/atlas-view.ts';
import { locationAt } from '../../../../geo/location.ts';
import { writeMmdb } from '../../../support/mmdb.ts';
import { load } from '../../../support/pharos.ts';

describe('a file', () => {
  test('addresses, networks, words and comments', () => {
    const clients = parseClients(
      '# offices\n203.0.113.7\n198.51.100.0/25 Seoul office\n\n2001:db8::1 # v6\r\n10.0.0.0/8\n',
    );
    if (typeof clients === 'string') throw new Error(clients);
    expect(clients.map(({ text, place }) => [text, place])).toEqual([
      ['203.0.113.0/24', ''],
      ['198.51.100.0/25', 'Seoul office'],
      ['2001:db8::/56', 'v6'],
      ['10.0.0.0/8', ''],
    ]);
  });

  test.each(['203.0.113', 'www.example.com', '10.0.0.0/33'])('a mistake: %s', (word) => {
    expect(parseClients(`192.0.2.1\n${word}\n`)).toBe(`line 2: "${word}" is not an address or network`);
  });
});

describe('a sample', () => {
  const generation = load({
    'pharos.yaml': 'geo: { databases: [geo.mmdb], networks: { 10.1.0.0/16: KR, 10.2.0.0/16: JP } }\n',
    'geo.mmdb': writeMmdb([
      ['203.0.112.0/20', { country: { iso_code: 'KR' } }],
      ['198.51.100.0/24', { country: { iso_code: 'JP' } }],
      ['192.0.2.0/28', { country: { iso_code: 'IE' } }],
      ['2001:db8::/32', { country: { iso_code: 'KR' } }],
    ]),
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns.example.net.]
services: { www: { vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2 } }, steer: [{ geo: { KR: a, default: b } }] } }
`
      .replace('KR: a, default: b', 'KR: here, default: there')
      .replace('a: { A', 'a: { region: here, A')
      .replace('b: { A', 'b: { region: there, A')
      .replace('services:', 'regions: { here: {}, there: {} }\nservices:'),
  });
  const atlas = { ...viewAtlas(generation.atlas), places: generation.locations };

  test('has clients of each country, family and own network, where the atlas finds them', () => {
    const clients = sampleClients(atlas, 2, 7);
    const counts = new Map<string, number>();
    for (const { subnet, place } of clients) {
      expect(locationAt(atlas, atlas.places, subnet.bytes).country).toBe(place);
      const key = `${place} ${subnet.bytes.length === 4 ? subnet.bytes[0] : 'v6'}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect([...counts.keys()].sort()).toEqual(['IE 192', 'JP 10', 'JP 198', 'KR 10', 'KR 203', 'KR v6']);
    expect(clients.find(({ place }) => place === 'IE')?.subnet.bits).toBe(28);
    expect(clients.find(({ place, subnet }) => place === 'KR' && subnet.bytes[0] === 203)?.subnet.bits).toBe(24);
  });

  test('equal seeds give equal clients, others give others', () => {
    expect(sampleClients(atlas, 1, 7)).toEqual(sampleClients(atlas, 1, 7));
    expect(sampleClients(atlas, 1, 7)).not.toEqual(sampleClients(atlas, 1, 8));
  });
});
