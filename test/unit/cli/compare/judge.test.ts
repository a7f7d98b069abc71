/** What counts as a difference between two responses. The responses are written by hand, octet by octet. */
import { describe, expect, test } from 'vitest';
import { questionEnd } from '../../../../cli/compare/dns-client.ts';
import { judgeResponses, listText } from '../../../../cli/compare/judge.ts';
import { encodeQuery } from '../../../../wire/message.ts';
import { parseName } from '../../../../wire/name.ts';
import { parseRdataText } from '../../../../wire/rdata.ts';
import { readResponse } from '../../../../wire/read-response.ts';
import { typeNumber } from '../../../../wire/types.ts';
import { answerMessage, type Sections } from './messages.ts';

const ORIGIN = parseName('example.com.');
const NAME = parseName('www', ORIGIN);
const QUERY = encodeQuery(NAME, 1);
const SOA = '@ 300 SOA ns1 host 7 7200 1800 1209600 60';

function differences(one: Sections, other: Sections) {
  const [a, b] = [one, other].map((sections) => readResponse(answerMessage(QUERY, sections)));
  if (!a || !b) throw new Error('two responses are needed');
  return judgeResponses(a, b, { type: 1, query: QUERY, questionEnd: questionEnd(QUERY) });
}

describe('no difference', () => {
  test.each<[title: string, one: Sections, other: Sections]>([
    [
      'the order of records',
      { answer: ['www 60 A 192.0.2.1', 'www 60 A 192.0.2.2'] },
      { answer: ['www 60 A 192.0.2.2', 'www 60 A 192.0.2.1'] },
    ],
    ['a record twice', { answer: ['www 60 A 192.0.2.1', 'www 60 A 192.0.2.1'] }, { answer: ['www 60 A 192.0.2.1'] }],
    [
      'NS beside an answer',
      { answer: ['www 60 A 192.0.2.1'], authority: ['@ 60 NS ns1'] },
      { answer: ['www 60 A 192.0.2.1'] },
    ],
    [
      'additional addresses',
      { answer: ['www 60 A 192.0.2.1'], additional: ['ns1 60 A 192.0.2.53'] },
      { answer: ['www 60 A 192.0.2.1'] },
    ],
    ['the case of names', { answer: ['WWW 60 CNAME Mail'] }, { answer: ['www 60 CNAME mail'] }],
    ['the scope of a negative answer', { authority: [SOA], scope: 24 }, { authority: [SOA], scope: 0 }],
    ['no client subnet, and scope 0', { answer: ['www 60 A 192.0.2.1'], scope: 0 }, { answer: ['www 60 A 192.0.2.1'] }],
    [
      'glue that the referral does not need',
      { authority: ['www 60 NS ns.www', 'www 60 NS ns1'], additional: ['ns.www 60 A 192.0.2.1', 'ns1 60 A 192.0.2.2'] },
      { authority: ['www 60 NS ns.www', 'www 60 NS ns1'], additional: ['ns.www 60 A 192.0.2.1'] },
    ],
  ])('%s', (_title, one, other) => {
    expect(differences(one, other)).toEqual([]);
    expect(differences(other, one)).toEqual([]);
  });
});

describe('differences', () => {
  const www: Sections = { answer: ['www 60 A 192.0.2.1'] };
  test.each<[kind: string, one: Sections, other: Sections, a: string, b: string]>([
    ['name', www, { rcode: 3, authority: [SOA] }, '192.0.2.1', 'NXDOMAIN'],
    ['name', { authority: [SOA] }, { rcode: 3, authority: [SOA] }, '(none)', 'NXDOMAIN'],
    ['rcode', www, { rcode: 5 }, 'NOERROR', 'REFUSED'],
    ['aa', www, { ...www, flags: 0x8000 }, 'AA', 'no AA'],
    ['records', www, { answer: ['www 60 A 192.0.2.2'] }, '192.0.2.1', '192.0.2.2'],
    ['records', www, { answer: [...(www.answer ?? []), 'www 60 A 192.0.2.2'] }, '192.0.2.1', '192.0.2.1, 192.0.2.2'],
    ['records', www, { answer: ['www 60 CNAME mail'] }, '192.0.2.1', 'CNAME mail.example.com.'],
    ['ttl', www, { answer: ['www 20 A 192.0.2.1'] }, 'TTL of A 60', 'TTL of A 20'],
    ['authority', { authority: [SOA] }, { authority: [] }, '@', '(none)'],
    ['authority', { authority: ['www 60 NS ns1'] }, { authority: ['www 60 NS ns2'] }, 'NS ns1', 'NS ns2'],
    [
      'authority',
      { authority: ['www 60 NS ns1', `www 60 DS 1 13 2 ${'ab'.repeat(32)}`] },
      { authority: ['www 60 NS ns1'] },
      '1 13 2',
      '(none)',
    ],
    ['serial', { authority: [SOA] }, { authority: [SOA.replace(' 7 ', ' 8 ')] }, 'serial 7', 'serial 8'],
    ['ttl', { authority: [SOA] }, { authority: [SOA.replace('300', '60')] }, 'TTL of SOA 300', 'TTL of SOA 60'],
    [
      'glue',
      { authority: ['www 60 NS ns.www'], additional: ['ns.www 60 A 192.0.2.1'] },
      { authority: ['www 60 NS ns.www'] },
      '192.0.2.1',
      '(none)',
    ],
    ['scope', { ...www, scope: 24 }, { ...www, scope: 16 }, 'scope 24', 'scope 16'],
    ['edns', www, { ...www, hasEdns: false }, 'EDNS', 'no EDNS'],
    ['case', www, { ...www, question: 'WWW' }, 'as asked', 'other letters'],
  ])('%s', (kind, one, other, a, b) => {
    const [first, ...more] = differences(one, other);
    expect(more).toEqual([]);
    expect(first?.kind).toBe(kind);
    if (kind === 'authority') return;
    expect([first?.a, first?.b]).toEqual([a, b]);
    expect(differences(other, one)[0]).toEqual({ kind, a: b, b: a });
  });

  test('all that differ', () => {
    const other: Sections = { answer: ['www 20 A 192.0.2.2'], flags: 0x8000, scope: 8 };
    expect(differences(www, other).map(({ kind }) => kind)).toEqual(['aa', 'scope', 'records', 'ttl']);
  });
});

test('a long list is counted, and data of a wrong form is shown as octets', () => {
  const record = (type: string, text: string) => {
    const number = typeNumber(type) ?? 0;
    return { owner: NAME, type: number, class: 1, ttlSeconds: 1, rdata: parseRdataText(number, text, ORIGIN) };
  };
  const many = Array.from({ length: 9 }, (_, index) => record('A', `192.0.2.${index}`));
  expect(listText(many, 1)).toBe('192.0.2.0, 192.0.2.1, 192.0.2.2, 192.0.2.3 and 5 more');
  expect(listText([{ ...record('A', '192.0.2.1'), rdata: Uint8Array.of(1, 2) }], 1)).toBe('\\# 2 0102');
});
