/**
 * Keys of `geo` for cities and for areas (docs/steering.md#geo), from databases to packets.
 */
import { expect, test } from 'vitest';
import { explainFrom } from '../../../server/explain/explain-answer.ts';
import { subnetOption, T } from '../../support/message.ts';
import { writeMmdb, type MmdbValue } from '../../support/mmdb.ts';
import { answering, mistakesOf, type Files } from '../../support/pharos.ts';

const LOS_ANGELES = { country: { iso_code: 'US' }, subdivisions: [{ iso_code: 'CA' }], city: { names: { en: 'Los Angeles' } } }; // prettier-ignore
const ROWS: readonly (readonly [string, MmdbValue])[] = [
  ['1.0.0.0/8', { country: { iso_code: 'KR' }, city: { names: { en: 'Seoul' } } }],
  ['2.0.0.0/8', { country: { iso_code: 'KR' }, city: { names: { en: 'Busan' } } }],
  ['3.0.0.0/8', LOS_ANGELES],
  ['4.0.0.0/8', { country: { iso_code: 'US' }, city: { names: { en: 'Los Angeles' } } }],
  ['5.0.0.0/8', { country: { iso_code: 'EU' }, continent: { code: 'EU' } }],
  ['6.0.0.0/8', { country: { iso_code: 'DE' } }],
  ['7.0.0.0/8', { country: { iso_code: 'AP' }, continent: { code: 'AS' } }],
  ['8.0.0.0/8', { country: { iso_code: 'KR' }, city: { names: { en: 'Seoul' } }, autonomous_system_number: 64_500 }],
];

/** Each key leads to the VIP of its place in the map: 192.0.2.1 and so on. */
function filesOf(keys: readonly string[], rows = ROWS): Files {
  const vips = keys.map((_, at) => `v${at}: { region: r${at}, A: 192.0.2.${at} }`);
  const regions = keys.map((_, at) => `r${at}: {}`);
  return {
    'pharos.yaml': 'geo: { databases: [place.mmdb] }\n',
    'place.mmdb': writeMmdb(rows),
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns.example.net.]
regions: { ${regions.join(', ')} }
services:
  www:
    vips: { ${vips.join(', ')} }
    steer: [{ geo: { ${keys.map((key, at) => `"${key}": r${at}`).join(', ')} } }]
`,
  };
}

test.each<[keys: string[], by: Record<number, string>]>([
  [['default', 'KR/seoul', 'KR'], { 1: 'KR/seoul', 2: 'KR', 8: 'KR/seoul', 6: 'default' }],
  [['default', 'kr/BUSAN', 'AS64500', '1.0.0.0/8', 'KR/Seoul'], { 1: '1.0.0.0/8', 2: 'kr/BUSAN', 8: 'AS64500' }],
  [['default', 'US/Los Angeles', 'US-CA/Los Angeles', 'US-CA'], { 3: 'US-CA/Los Angeles', 4: 'US/Los Angeles' }],
  [['default', 'US/Los Angeles', 'US-CA'], { 3: 'US/Los Angeles', 4: 'US/Los Angeles' }],
  [['default', 'EU', 'europe', 'AP', 'asia'], { 5: 'EU', 6: 'europe', 7: 'AP', 1: 'asia', 3: 'default' }],
  [['default', 'europe', 'asia'], { 5: 'europe', 7: 'asia' }],
])('%j', (keys, by) => {
  const server = answering(filesOf(keys));
  for (const [octet, key] of Object.entries(by)) {
    const client = `${octet}.0.0.1`;
    const options = [subnetOption(Uint8Array.of(Number(octet), 0, 0, 1), 32)];
    const { answer } = server.ask('www.example.com', T.A, { edns: { options } });
    expect(
      answer.map(({ data }) => data),
      client,
    ).toEqual([`c00002${keys.indexOf(key).toString(16).padStart(2, '0')}`]);
    const explained = explainFrom(server.generation, { name: 'www.example.com', type: 'A', client });
    expect(explained.ok && explained.trace.steps[0]?.why).toBe(`${key} -> r${keys.indexOf(key)}`);
  }
});

test('explain shows the city, and an area in place of a country', () => {
  const { generation } = answering(filesOf(['default', 'KR/Seoul', 'EU', 'europe']));
  const clientOf = (client: string): unknown => {
    const explained = explainFrom(generation, { name: 'www.example.com', type: 'A', client });
    return explained.ok ? explained.trace.client : explained.message;
  };
  expect(clientOf('3.0.0.1')).toMatchObject({ country: 'US', subdivision: 'US-CA', city: 'Los Angeles' });
  const how = 'the geo database, which has no country for it, only the area EU';
  expect(clientOf('5.0.0.1')).toMatchObject({ country: '', continent: 'europe', how });
});

test('check warns of cities without a database that has some', () => {
  const keys = ['default', 'KR/Seoul', 'US-CA/Los Angeles'];
  const countries = ROWS.map(([network]) => [network, { country: { iso_code: 'KR' } }] as const);
  const told = (rows: typeof ROWS): string[] =>
    mistakesOf(filesOf(keys, rows)).filter((line) => line.includes('PH409'));
  expect(told(ROWS)).toEqual([]);
  expect(told(countries)).toEqual([
    expect.stringContaining(
      'service www.example.com: no database has cities, so no client matches KR/Seoul and 1 more',
    ),
  ]);
});
