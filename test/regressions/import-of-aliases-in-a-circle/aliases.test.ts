/**
 * `pharos import route53` wrote two ALIASes that lead to each other, which `check` refuses: in Route 53 the
 * alias of one type may lead to a name whose alias of another type leads back.
 */
import { expect, test } from 'vitest';
import { importValid } from '../../unit/cli/import/run-import.ts';

const record = (Name: string, Type: string, Value: string) => ({ Name, Type, TTL: 60, ResourceRecords: [{ Value }] });
const alias = (Name: string, Type: string, DNSName: string) => ({
  ...{ Name, Type },
  AliasTarget: { DNSName, EvaluateTargetHealth: false },
});

test('aliases of different types that lead to each other', () => {
  const ResourceRecordSets = [
    record('example.com.', 'SOA', 'ns1.example.com. h.example.com. 1 7200 900 1209600 86400'),
    record('example.com.', 'NS', 'ns.example.net.'),
    { ...alias('example.com.', 'A', 'one.example.com.'), SetIdentifier: 'most', Weight: 9 },
    { ...alias('example.com.', 'A', 'd1.cloudfront.net.'), SetIdentifier: 'few', Weight: 1 },
    alias('one.example.com.', 'AAAA', 'example.com.'),
    record('one.example.com.', 'TXT', '"text"'),
  ];
  const { notes } = importValid('route53', { 'r.json': JSON.stringify({ ResourceRecordSets }) }, 'r.json');
  expect(notes.filter((note) => note.startsWith('dropped') && note.includes('ALIAS'))).toEqual([
    'dropped one: ALIAS example.com: it leads back to itself over other aliases',
  ]);
});
