/**
 * `pharos import route53` wrote an ALIAS of a service with TXT records at a name that has TXT records too, which
 * `check` refuses.
 */
import { expect, test } from 'vitest';
import { importValid } from '../../unit/cli/import/run-import.ts';

const record = (Name: string, Type: string, Value: string, more: Readonly<Record<string, unknown>> = {}) => ({
  ...{ Name, Type, TTL: 60, ResourceRecords: [{ Value }] },
  ...more,
});
const weighted = (SetIdentifier: string) => ({ SetIdentifier, Weight: 1 });

test('an alias of a service with a type that its own name has', () => {
  const ResourceRecordSets = [
    record('example.com.', 'SOA', 'ns1.example.com. h.example.com. 1 7200 900 1209600 86400'),
    record('example.com.', 'NS', 'ns.example.net.'),
    record('example.com.', 'TXT', '"v=spf1 -all"'),
    { Name: 'example.com.', Type: 'A', AliasTarget: { DNSName: 'www.example.com.', EvaluateTargetHealth: false } },
    record('www.example.com.', 'A', '203.0.113.1', weighted('a')),
    record('www.example.com.', 'A', '203.0.113.2', weighted('b')),
    record('www.example.com.', 'TXT', '"one"', weighted('a')),
  ];
  const { notes } = importValid('route53', { 'r.json': JSON.stringify({ ResourceRecordSets }) }, 'r.json');
  expect(notes).toContain(
    'dropped @: ALIAS www.example.com: it leads to a service with TXT records, which the name has too',
  );
});
