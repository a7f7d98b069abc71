/** Dynamic records in the text of a zone file: the rest of it stays as it is. */
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { editZoneFile } from '../../../cli/edit-zone-file.ts';
import { parseName } from '../../../wire/name.ts';
import { parseRdataText } from '../../../wire/rdata.ts';
import { typeNumber } from '../../../wire/types.ts';
import type { DynamicSet } from '../../../zones/journal/record-set.ts';
import { createDice, printedSeed, trials } from '../../support/random.ts';

const APEX = parseName('example.com.');
const ZONE = `# The shop.
zone: example.com
ttl: 300
nameservers:   [ns1]      # aligned by hand
records:
  ns1:   { A: 192.0.2.1 }
  # The halls.
  www:   { ttl: 1h, A: [192.0.2.2, 192.0.2.3], TXT: x } # both halls

  mail:
    # Since 2019.
    A: 192.0.2.25
    MX:
      - 10 mail
      - 20 other
  last: { AAAA: "2001:db8::" }    # the end

services:
  app:   { vips: { a: { A: 192.0.2.10 } } }
`;

function set(name: string, type: string, ttlSeconds: number, ...data: string[]): DynamicSet {
  const number = typeNumber(type) ?? 0;
  const octets = data.map((each) => parseRdataText(number, each, APEX));
  return { name: parseName(name, APEX), type: number, ttlSeconds, data: octets, base: 'x' };
}

/** The lines that differ. */
function changes(before: string, ...sets: DynamicSet[]): string[] {
  const { text } = editZoneFile(before, APEX, sets);
  const [old, now] = [before.split('\n'), text.split('\n')];
  return [...old.filter((line) => !now.includes(line)).map((line) => `-${line}`), ...now.filter((line) => !old.includes(line)).map((line) => `+${line}`)]; // prettier-ignore
}

test.each<[string, DynamicSet[], string[]]>([
  ['a new name', [set('new', 'A', 60, '192.0.2.9')], ['+  new: { ttl: 60, A: 192.0.2.9 }']],
  ['two types of one new name', [set('new', 'A', 300, '192.0.2.9', '192.0.2.8'), set('new', 'TXT', 60, 'a: b')], ['+  new: { ttl: { TXT: 60 }, A: [ 192.0.2.9, 192.0.2.8 ], TXT: "a: b" }']], // prettier-ignore
  ['names that YAML quotes', [set('@', 'TXT', 300, '${HOME}'), set('*.dev', 'CNAME', 300, 'www')], ['+  "@": { TXT: "$${HOME}" }', '+  "*.dev": { CNAME: www }']], // prettier-ignore
  [
    'a type in place of another, with its TTL',
    [set('www', 'A', 3600, '192.0.2.9')],
    ['-  www:   { ttl: 1h, A: [192.0.2.2, 192.0.2.3], TXT: x } # both halls', '+  www: { ttl: 1h, A: 192.0.2.9, TXT: x } # both halls'], // prettier-ignore
  ],
  [
    'a TTL that the others do not have',
    [set('www', 'A', 60, '192.0.2.9')],
    ['-  www:   { ttl: 1h, A: [192.0.2.2, 192.0.2.3], TXT: x } # both halls', '+  www: { ttl: { TXT: 1h, A: 60 }, A: 192.0.2.9, TXT: x } # both halls'], // prettier-ignore
  ],
  ['a type in a block, whose comments stay', [set('mail', 'A', 300, '192.0.2.26')], ['-    A: 192.0.2.25', '+    A: 192.0.2.26']], // prettier-ignore
  ['a list in a block', [set('mail', 'MX', 300, '10 mail')], ['-    MX:', '-      - 10 mail', '-      - 20 other', '+    MX: 10 mail']], // prettier-ignore
  ['a deleted name', [set('last', 'AAAA', 0)], ['-  last: { AAAA: "2001:db8::" }    # the end', '+  # the end']],
  ['a deleted type', [set('www', 'TXT', 0)], ['-  www:   { ttl: 1h, A: [192.0.2.2, 192.0.2.3], TXT: x } # both halls', '+  www: { ttl: 1h, A: [ 192.0.2.2, 192.0.2.3 ] } # both halls']], // prettier-ignore
])('%s', (_, sets, wanted) => {
  expect(changes(ZONE, ...sets)).toEqual(wanted);
});

test('a file without records gets them at its end', () => {
  const text = 'zone: example.com\nnameservers: [ns1.example.net.]';
  expect(editZoneFile(text, APEX, [set('a', 'A', 300, '192.0.2.1')]).text).toBe(`${text}\n\nrecords:\n  a: { A: 192.0.2.1 }\n`); // prettier-ignore
});

test('lines end as those of the file do', () => {
  const { text } = editZoneFile(ZONE.replaceAll('\n', '\r\n'), APEX, [set('new', 'A', 300, '192.0.2.9'), set('mail', 'A', 300, '192.0.2.9')]); // prettier-ignore
  expect(text.replaceAll('\r\n', '')).not.toContain('\n');
});

test('what a change would also change elsewhere is refused', () => {
  const text = 'zone: example.com\nrecords:\n  a: &a { A: 192.0.2.1 }\n  b: *a\n';
  const { refused, edits } = editZoneFile(text, APEX, [set('a', 'A', 300, '192.0.2.9'), set('b', 'A', 300, '192.0.2.9')]); // prettier-ignore
  expect(refused).toHaveLength(2);
  expect(edits).toEqual([]);
});

type Model = Map<string, Map<string, { ttl: number; data: string[] }>>;

/** The records of a file, by owner and type. */
function modelOf(text: string): Model {
  const file = parse(text) as { ttl?: unknown; records?: Readonly<Record<string, Readonly<Record<string, unknown>>>> };
  const seconds = (ttl: unknown): number =>
    typeof ttl === 'string' ? Number(ttl.slice(0, -1)) * (ttl.endsWith('h') ? 3600 : ttl.endsWith('m') ? 60 : 86_400) : Number(ttl); // prettier-ignore
  const model: Model = new Map();
  for (const [name, { ttl, ...types }] of Object.entries(file.records ?? {})) {
    const sets = Object.entries(types).map(([type, values]) => {
      const own = typeof ttl === 'object' && ttl !== null ? (ttl as Readonly<Record<string, unknown>>)[type] : ttl;
      return [type, { ttl: seconds(own ?? file.ttl ?? 300), data: [values].flat().map(String) }] as const;
    });
    model.set(name, new Map(sets));
  }
  return model;
}

const comments = (text: string): string[] => text.match(/#.*/g) ?? [];

/** The lines of an owner. */
function ownerIn(text: string, name: string): string {
  return text.split(/^(?= {2}["\w])/m).find((each) => each.trimStart().startsWith(`"${name}"`)) ?? '';
}

test('random files and records: the records are those wanted, and every comment stays', () => {
  const { chance, pick, below } = createDice(printedSeed('zone files'));
  const values = { A: ['192.0.2.1', '192.0.2.2', '192.0.2.3'], AAAA: ['2001:db8::1', '2001:db8::2'], TXT: ['a', 'b c', 'd: e'] }; // prettier-ignore
  const types = Object.keys(values) as (keyof typeof values)[];
  const ttls = [60, 300, 3600, 86_400];
  const dataOf = (type: keyof typeof values): string[] => values[type].slice(0, 1 + below(values[type].length));
  for (let round = 0; round < trials(300); round++) {
    let count = 0;
    const comment = (): string => (chance(0.3) ? ` # note ${++count}` : '');
    const owners = ['@', 'www', 'a.b', '*.x', 'mail', 'y'].filter(() => chance(0.6));
    const lines = owners.flatMap((owner) => {
      const sets = types.filter(() => chance(0.5)).map((type) => [type, dataOf(type)] as const);
      if (sets.length === 0) sets.push(['A', ['192.0.2.1']]);
      const ttl = chance(0.5) ? [] : chance(0.5) ? [`ttl: ${pick(['1m', '300', '1h', '60'])}`] : [`ttl: { ${pick(sets)[0]}: ${pick(['1m', '1d'])} }`]; // prettier-ignore
      const fields = sets.map(([type, data]) => `${type}: ${JSON.stringify(data.length === 1 ? data[0] : data)}`);
      const head = chance(0.3) ? [`  # above ${++count}`] : [];
      if (chance(0.5)) return [...head, `  "${owner}": { ${[...ttl, ...fields].join(', ')} }${comment()}`];
      return [...head, `  "${owner}":${comment()}`, ...[...ttl, ...fields].map((field) => `    ${field}${comment()}`)];
    });
    const text = [`zone: example.com`, `ttl: ${pick(['5m', '300', '60'])}`, ...(lines.length > 0 ? ['records:', ...lines] : []), 'checks: {} # last', ''].join('\n'); // prettier-ignore
    const model = modelOf(text);
    const sets: DynamicSet[] = [];
    for (const owner of ['@', 'www', 'a.b', '*.x', 'mail', 'y', 'new', 'other'].filter(() => chance(0.4))) {
      for (const type of types.filter(() => chance(0.4))) {
        const own = model.get(owner) ?? new Map<string, { ttl: number; data: string[] }>();
        const [ttl, data] = [pick(ttls), chance(0.3) ? [] : dataOf(type)];
        sets.push(set(owner, type, ttl, ...data));
        if (data.length === 0) own.delete(type);
        else own.set(type, { ttl, data });
        if (own.size === 0) model.delete(owner);
        else model.set(owner, own);
      }
    }
    const edited = editZoneFile(text, APEX, sets);
    const sorted = (of: Model) => [...of].map(([name, own]) => [name, [...own].sort()]).sort();
    expect(sorted(modelOf(edited.text)), `${text}\n=>\n${edited.text}`).toEqual(sorted(model));
    expect(edited.refused).toEqual([]);
    // Those of deleted names, types and TTLs go with them.
    const lost = new Set<string>();
    let name = '';
    for (const line of text.split('\n')) {
      name = /^ {2}"(.*?)":/.exec(line)?.[1] ?? name;
      const type = /^ {4}(\w+):/.exec(line)?.[1] ?? '';
      const isGone = type === 'ttl' ? !ownerIn(edited.text, name).includes('ttl:') : type !== '' && model.get(name)?.has(type) !== true; // prettier-ignore
      if (!model.has(name) || isGone) for (const each of comments(line)) lost.add(each);
    }
    const wanted = comments(text).filter((each) => !lost.has(each) || each.includes('above'));
    expect(comments(edited.text), `${text}\n=>\n${edited.text}`).toEqual(expect.arrayContaining(wanted));
  }
});
