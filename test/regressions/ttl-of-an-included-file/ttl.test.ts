/**
 * From a master file without TTLs, `import bind` made records with the SOA's minimum, as BIND does, and `include` of
 * the same file made records with the zone's `ttl`. After a stated TTL `import` used that one, where BIND keeps the
 * minimum.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fromBind } from '../../../cli/import/from-bind.ts';
import { createReport } from '../../../config/diagnostics.ts';
import { formatName, parseName } from '../../../wire/name.ts';
import { typeText } from '../../../wire/types.ts';
import { ownerOf } from '../../../zones/read/record-store.ts';
import { readZoneText } from '../../unit/zones/read-helper.ts';

const SOA = '@ IN SOA ns1 hostmaster 7 7200 1800 1209600 77\n@ IN NS ns1\n';
const REST = 'ns1 IN A 192.0.2.53\nold 7200 IN A 192.0.2.2\nnext IN A 192.0.2.3\n';

/** As named-compilezone of BIND 9.18 has them. */
test.each<[string, string, Readonly<Record<string, number>>]>([
  ['the minimum', SOA + REST, { 'ns1 A': 77, 'old A': 7200, 'next A': 77, ' SOA': 77, ' NS': 77 }],
  ['$TTL', `$TTL 60\n${SOA}${REST}`, { 'ns1 A': 60, 'old A': 7200, 'next A': 60, ' SOA': 60 }],
  ['the TTL stated last', SOA.replace('IN SOA', '900 IN SOA') + REST, { 'ns1 A': 900, 'old A': 7200, 'next A': 7200 }],
  ['records before the SOA', REST.slice(0, 20) + SOA, { 'ns1 A': 77, ' SOA': 77 }],
])('%s', (_title, text, expected) => {
  const report = createReport();
  const { zone, folder } = readZoneText('zone: shop.example\ninclude: [db.shop]\n', { 'db.shop': text });
  const included = Array.from({ length: zone?.records.count ?? 0 }, (_, row) => {
    const store = zone?.records;
    if (!store) return [];
    const owner = formatName(ownerOf(store, row)).replace(/\.?shop\.example$/, '');
    return [`${owner} ${typeText(store.type[row] ?? 0)}`, store.ttlSeconds[row]];
  });
  expect(Object.fromEntries(included)).toMatchObject(expected);

  const draft = fromBind(join(folder, 'db.shop'), parseName('shop.example.'), report);
  const imported = [...(draft?.owners.values() ?? [])].flatMap(({ owner, rrsets }) =>
    [...rrsets.values()].map(({ type, ttlSeconds }) => [
      `${formatName(owner).replace(/\.?shop\.example$/, '')} ${typeText(type)}`,
      ttlSeconds,
    ]),
  );
  expect(Object.fromEntries(imported)).toEqual(Object.fromEntries(included));
  expect(report.diagnostics).toEqual([]);
});
