import { expect, test } from 'vitest';
import { canonical, formatName, nameKey, parseName, type Name } from '../../../../wire/name.ts';
import { formatRdata, parseRdataText } from '../../../../wire/rdata.ts';
import { mostRrsetOctets } from '../../../../wire/response.ts';
import { CLASS, EDE, RCODE, TYPE, typeNumber, typeText } from '../../../../wire/types.ts';
import type { UpdateRecord } from '../../../../wire/update.ts';
import { processUpdate, type SetsOfName } from '../../../../zones/journal/process-update.ts';

const APEX = parseName('example.com.');

/** `name ttl class type data`, or without data. */
function record(line: string): UpdateRecord {
  const [name = '', ttl, of, type = '', ...data] = line.split(' ');
  const number = type === 'ANY' ? TYPE.ANY : (typeNumber(type) ?? 0);
  const text = data.join(' ');
  return {
    name: parseName(name, APEX),
    type: number,
    class: of === 'ANY' ? CLASS.ANY : of === 'NONE' ? CLASS.NONE : of === 'CH' ? CLASS.CH : CLASS.IN,
    ttlSeconds: Number(ttl),
    data: text === '' ? new Uint8Array(0) : parseRdataText(number, text, APEX),
  };
}

function zoneOf(lines: readonly string[]): Map<string, Map<number, { ttlSeconds: number; data: Uint8Array[] }>> {
  const names = new Map<string, Map<number, { ttlSeconds: number; data: Uint8Array[] }>>();
  for (const { name, type, ttlSeconds, data } of lines.map(record)) {
    const sets = names.get(nameKey(name)) ?? new Map<number, { ttlSeconds: number; data: Uint8Array[] }>();
    names.set(nameKey(name), sets);
    sets.set(type, { ttlSeconds, data: [...(sets.get(type)?.data ?? []), data] });
  }
  return names;
}

const ZONE = [
  '@ 300 IN SOA ns1 h 1 2 3 4 5',
  '@ 300 IN NS ns1',
  '@ 300 IN MX 10 mail',
  'ns1 300 IN A 192.0.2.1',
  'two 300 IN A 192.0.2.1',
  'two 300 IN A 192.0.2.2',
  'two 300 IN TXT x',
  'alias 300 IN CNAME two',
  'www 300 IN A 192.0.2.9',
  'sub 300 IN NS ns1',
  'sub 300 IN A 192.0.2.5',
  'd 300 IN DNAME two',
];

type May = (name: Name, type: number) => boolean;

function processed(prerequisites: readonly string[], updates: readonly (string | UpdateRecord)[], may?: May) {
  const zone = zoneOf(ZONE);
  return processUpdate(
    {
      zone: { name: APEX, type: TYPE.SOA, class: CLASS.IN },
      prerequisites: prerequisites.map(record),
      updates: updates.map((each) => (typeof each === 'string' ? record(each) : each)),
    },
    {
      apex: canonical(APEX),
      setsOf: (name) => zone.get(nameKey(name)),
      isSteered: (name) => nameKey(name) === nameKey(parseName('www', APEX)),
      mayChange: may ?? ((_, type) => type !== TYPE.SRV),
    },
  );
}

function run(prerequisites: readonly string[], updates: readonly (string | UpdateRecord)[], may?: May) {
  const result = processed(prerequisites, updates, may);
  if (!result.ok) return result.refusal.rcode;
  return result.changes.flatMap(({ name, sets }) => shown(name, sets)).sort();
}

function shown(name: Name, sets: SetsOfName): string[] {
  const label = name.length === APEX.length ? '@' : Buffer.from(name.subarray(1, 1 + (name[0] ?? 0))).toString();
  return [...sets].flatMap(([type, { ttlSeconds, data }]) =>
    data.map((each) => `${label} ${ttlSeconds} ${typeText(type)} ${formatRdata(type, each)}`),
  );
}

test.each([
  ['the name is in use', ['two 0 ANY ANY'], []],
  ['the name is not in use', ['none 0 NONE ANY'], []],
  ['the set exists', ['two 0 ANY A'], []],
  ['the set does not exist', ['two 0 NONE MX'], []],
  ['the set has these records, in any order', ['two 0 IN A 192.0.2.2', 'two 0 IN A 192.0.2.1'], []],
  ['the name is not in use, but must be', ['none 0 ANY ANY'], RCODE.NXDOMAIN],
  ['the name is in use, but must not be', ['two 0 NONE ANY'], RCODE.YXDOMAIN],
  ['the set does not exist, but must', ['two 0 ANY MX'], RCODE.NXRRSET],
  ['the set of a name that does not exist must exist', ['none 0 ANY A'], RCODE.NXRRSET],
  ['the set exists, but must not', ['two 0 NONE A'], RCODE.YXRRSET],
  ['the set has more records', ['two 0 IN A 192.0.2.1'], RCODE.NXRRSET],
  ['the set has other records', ['ns1 0 IN A 192.0.2.2'], RCODE.NXRRSET],
  ['the set has these records, one of them stated twice', ['two 0 IN A 192.0.2.1', 'two 0 IN A 192.0.2.2', 'two 0 IN A 192.0.2.1'], []], // prettier-ignore
  ['names in any case', ['TWO 0 IN TXT x', '@ 0 IN MX 10 MAIL'], []],
  ['several sets have these records', ['two 0 IN TXT x', 'two 0 IN A 192.0.2.1', 'ns1 0 IN A 192.0.2.1', 'two 0 IN A 192.0.2.2'], []], // prettier-ignore
  ['the last of several sets has other records', ['two 0 IN TXT x', 'ns1 0 IN A 192.0.2.2'], RCODE.NXRRSET],
  ['the set has fewer records', ['ns1 0 IN A 192.0.2.1', 'ns1 0 IN A 192.0.2.2'], RCODE.NXRRSET],
  ['no such set', ['two 0 IN MX 10 mail'], RCODE.NXRRSET],
  ['no such name', ['none 0 IN A 192.0.2.1'], RCODE.NXRRSET],
  ['records are compared last', ['ns1 0 IN A 192.0.2.2', 'none 0 ANY ANY'], RCODE.NXDOMAIN],
  ['the first that fails decides', ['two 0 NONE A', 'none 0 ANY ANY'], RCODE.YXRRSET],
  ['the zone itself is in use', ['@ 0 ANY ANY'], []],
  ['a TTL', ['two 1 ANY A'], RCODE.FORMERR],
  ['a TTL with records', ['two 1 IN TXT x'], RCODE.FORMERR],
  ['data with NONE', ['two 0 NONE MX 10 mail'], RCODE.FORMERR],
  ['a meta type with IN', ['two 0 IN ANY'], RCODE.FORMERR],
  ['a meta type with ANY', ['two 0 ANY TYPE252'], RCODE.FORMERR],
  ['a meta type with NONE', ['two 0 NONE TYPE252'], RCODE.FORMERR],
  ['data with ANY', ['two 0 ANY A 192.0.2.1'], RCODE.FORMERR],
  ['another class', ['two 0 CH A'], RCODE.FORMERR],
  ['a name outside the zone', ['example.org. 0 ANY A'], RCODE.NOTZONE],
])('prerequisite: %s', (_, prerequisites, expected) => {
  expect(run(prerequisites, [])).toEqual(expected);
});

test.each([
  ['adds a record', ['two 60 IN A 192.0.2.3'], ['two 300 TXT "x"', 'two 60 A 192.0.2.1', 'two 60 A 192.0.2.2', 'two 60 A 192.0.2.3']], // prettier-ignore
  ['adds a name', ['NEW 60 IN TXT a'], ['new 60 TXT "a"']],
  ['deletes a set', ['two 0 ANY A'], ['two 300 TXT "x"']],
  ['deletes a name', ['two 0 ANY ANY'], []],
  ['deletes a record', ['two 0 NONE A 192.0.2.1'], ['two 300 A 192.0.2.2', 'two 300 TXT "x"']],
  ['replaces a set', ['two 0 ANY A', 'two 60 IN A 192.0.2.7'], ['two 300 TXT "x"', 'two 60 A 192.0.2.7']],
  ['deletes what is not there', ['none 0 ANY A', 'none 0 NONE A 192.0.2.1'], []],
  ['replaces a CNAME', ['alias 60 IN CNAME ns1'], ['alias 60 CNAME ns1.example.com.']],
  ['ignores a record beside a CNAME', ['alias 60 IN A 192.0.2.1'], ['alias 300 CNAME two.example.com.']],
  ['adds a CNAME to a new name', ['new 60 IN CNAME two'], ['new 60 CNAME two.example.com.']],
  [
    'adds a DNAME to a name with records',
    ['ns1 60 IN DNAME two'],
    ['ns1 300 A 192.0.2.1', 'ns1 60 DNAME two.example.com.'],
  ],
  ['adds a KEY beside a CNAME, and a CNAME beside a KEY', ['alias 60 IN KEY 256 3 13 AAAA', 'new 60 IN KEY 256 3 13 AAAA', 'new 60 IN CNAME two'], ['alias 300 CNAME two.example.com.', 'alias 60 KEY 256 3 13 AAAA', 'new 60 CNAME two.example.com.', 'new 60 KEY 256 3 13 AAAA']], // prettier-ignore
  ['replaces a DNAME', ['d 60 IN DNAME ns1'], ['d 60 DNAME ns1.example.com.']],
  ['ignores a CNAME beside a DNAME', ['d 60 IN CNAME two'], ['d 300 DNAME two.example.com.']],
  ['replaces the only record of a name by a CNAME', ['ns1 0 NONE A 192.0.2.1', 'ns1 60 IN CNAME two'], ['ns1 60 CNAME two.example.com.']], // prettier-ignore
  ['replaces a CNAME by a record', ['alias 0 ANY CNAME', 'alias 60 IN A 192.0.2.1'], ['alias 60 A 192.0.2.1']],
  ['replaces a record by one with names in another case', ['sub 60 IN NS NS1'], ['sub 300 A 192.0.2.5', 'sub 60 NS NS1.example.com.']], // prettier-ignore
  ['deletes a record with names in another case', ['sub 0 NONE NS NS1'], ['sub 300 A 192.0.2.5']],
  ['changes a delegation', ['sub 0 ANY NS', 'sub 60 IN NS ns2'], ['sub 300 A 192.0.2.5', 'sub 60 NS ns2.example.com.']],
  ['deletes a name with NS below the zone itself', ['sub 0 ANY ANY'], []],
  ['deletes one type of the zone itself', ['@ 0 ANY MX'], ['@ 300 NS ns1.example.com.', '@ 300 SOA ns1.example.com. h.example.com. 1 2 3 4 5']], // prettier-ignore
  ['joins changes of a name in any case', ['new 60 IN TXT a', 'NEW 60 IN TXT b'], ['new 60 TXT "a"', 'new 60 TXT "b"']],
  ['a deletion leaves the records that differ', ['two 0 NONE A 192.0.2.9'], ['two 300 A 192.0.2.1', 'two 300 A 192.0.2.2', 'two 300 TXT "x"']], // prettier-ignore
  ['the greatest TTL', ['new 2147483647 IN TXT a'], ['new 2147483647 TXT "a"']],
  ['ignores a CNAME beside records', ['ns1 60 IN CNAME two'], ['ns1 300 A 192.0.2.1']],
  ['deletes all but SOA and NS of the zone', ['@ 0 ANY ANY'], ['@ 300 NS ns1.example.com.', '@ 300 SOA ns1.example.com. h.example.com. 1 2 3 4 5']], // prettier-ignore
])('%s', (_, updates, expected) => {
  expect(run([], updates)).toEqual(expected);
});

test.each([
  ['a steered name', ['www 60 IN TXT a'], RCODE.REFUSED],
  ['a steered name among others', ['new 60 IN TXT a', 'www 0 ANY ANY'], RCODE.REFUSED],
  ['SOA', ['@ 60 IN SOA ns1 h 9 2 3 4 5'], RCODE.REFUSED],
  ['NS of the zone', ['@ 0 NONE NS ns1'], RCODE.REFUSED],
  ['types of DNSSEC', ['@ 60 IN CDS 0 0 0 00'], RCODE.REFUSED],
  ['a type without permission', ['new 60 IN SRV 1 1 1 ns1'], RCODE.REFUSED],
  ['a name outside the zone', ['example.org. 60 IN A 192.0.2.1'], RCODE.NOTZONE],
  ['a meta type', ['new 60 IN ANY'], RCODE.FORMERR],
  ['deletion with a TTL', ['two 1 ANY A'], RCODE.FORMERR],
  ['deletion with data', ['two 0 ANY A 192.0.2.1'], RCODE.FORMERR],
  ['deletion of a record with a TTL', ['two 1 NONE A 192.0.2.1'], RCODE.FORMERR],
  ['deletion of a record of a meta type', ['two 0 NONE ANY'], RCODE.FORMERR],
  ['deletion of a meta type', ['two 0 ANY TYPE252'], RCODE.FORMERR],
  ['a TTL that is too great', ['new 2147483648 IN TXT a'], RCODE.FORMERR],
  ['deletion of SOA', ['@ 0 ANY SOA'], RCODE.REFUSED],
  ['deletion of NS of the zone', ['@ 0 ANY NS'], RCODE.REFUSED],
  ['deletion outside the zone', ['example.org. 0 ANY ANY'], RCODE.NOTZONE],
  ['the second of two', ['new 60 IN TXT a', 'two 0 CH A'], RCODE.FORMERR],
  ['another class', ['two 0 CH A'], RCODE.FORMERR],
  ['no data', ['two 60 IN A'], RCODE.FORMERR],
])('refuses the whole update: %s', (_, updates, expected) => {
  expect(run([], updates)).toBe(expected);
});

test('prerequisites come before permission, and permission before the scan', () => {
  expect(run(['none 0 ANY ANY'], ['www 60 IN TXT a'])).toBe(RCODE.NXDOMAIN);
  expect(run([], ['www 60 IN TXT a', 'two 0 CH A'])).toBe(RCODE.REFUSED);
});

test('a name outside the zone is NOTZONE also for a key without any permission', () => {
  expect(run([], ['example.org. 60 IN A 192.0.2.1'], () => false)).toBe(RCODE.NOTZONE);
});

test('deleting a name needs permission for all of its types', () => {
  expect(run([], ['two 0 ANY ANY'], (_, type) => type === TYPE.TXT)).toBe(RCODE.REFUSED);
  expect(run([], ['none 0 ANY ANY'], () => false)).toBe(RCODE.REFUSED);
});

test.each([
  ['the types that a name has', ['two 0 ANY ANY'], [TYPE.A, TYPE.TXT], []],
  ['of the zone itself: not SOA and NS', ['@ 0 ANY ANY'], [TYPE.MX], ['@ 300 NS ns1.example.com.', '@ 300 SOA ns1.example.com. h.example.com. 1 2 3 4 5']], // prettier-ignore
  ['NS below the zone itself', ['sub 0 ANY ANY'], [TYPE.A], RCODE.REFUSED],
  ['a name without records: TXT is enough', ['none 0 ANY ANY'], [TYPE.TXT], []],
  ['a name without records: A is enough', ['none 0 ANY ANY'], [TYPE.A], []],
  ['a name without records: another type is not', ['none 0 ANY ANY'], [TYPE.MX], RCODE.REFUSED],
  ['a set', ['two 0 ANY A'], [TYPE.A], ['two 300 TXT "x"']],
  ['another set', ['two 0 ANY A'], [TYPE.TXT], RCODE.REFUSED],
] as const)('permission to delete %s', (_, updates, types, expected) => {
  expect(run([], updates, (__, type) => (types as readonly number[]).includes(type))).toEqual(expected);
});

test('a refusal says why, and whether the key is at fault', () => {
  const refusal = (updates: readonly string[]) => {
    const result = processed([], updates);
    return result.ok ? undefined : result.refusal;
  };
  const prohibited = (text: string) => ({ rcode: RCODE.REFUSED, info: { code: EDE.PROHIBITED, text } });
  expect(refusal(['www 60 IN TXT a'])).toEqual(prohibited('a steered name is not changed by updates'));
  expect(refusal(['@ 60 IN SOA ns1 h 9 2 3 4 5'])).toEqual(prohibited('SOA is not changed by updates'));
  expect(refusal(['@ 0 ANY NS'])).toEqual(prohibited('NS of the zone itself is not changed by updates'));
  expect(refusal(['new 60 IN SRV 1 1 1 ns1'])).toEqual({
    ...prohibited('updates forbids this key to change this name and type'),
    isForbidden: true,
  });
});

test('permission is asked for the canonical name', () => {
  const asked: string[] = [];
  run(
    [],
    ['NEW 60 IN TXT a', 'two 0 ANY ANY'],
    (name, type) => asked.push(`${formatName(name)} ${typeText(type)}`) > 0,
  );
  expect(asked).toEqual(['new.example.com TXT', 'two.example.com A', 'two.example.com TXT']);
});

test('records of a name and type that do not fit into a message are refused, and those that just fit are not', () => {
  const name = parseName('new', APEX);
  /** TXT data of a number of octets. */
  const text = (octets: number): Uint8Array => {
    const data = new Uint8Array(octets);
    for (let at = 0; at < octets; at += 256) data[at] = Math.min(255, octets - at - 1);
    return data;
  };
  const adding = (...sizes: number[]) =>
    processed([], sizes.map((octets, at) => {
      const data = text(octets);
      data[1] = at;
      return { name, type: TYPE.TXT, class: CLASS.IN, ttlSeconds: 60, data };
    })); // prettier-ignore
  const most = mostRrsetOctets(name.length);
  expect(adding(most - 12).ok).toBe(true);
  expect(adding(most - 12 - 20, 8).ok).toBe(true);
  const tooLarge = {
    ok: false,
    refusal: {
      rcode: RCODE.SERVFAIL,
      info: { code: EDE.PROHIBITED, text: 'the records of a name and type do not fit into a message' },
    },
  };
  expect(adding(most - 11)).toEqual(tooLarge);
  expect(adding(most - 12 - 20, 9)).toEqual(tooLarge);
});
