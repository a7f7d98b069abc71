/** The questions that are asked for a zone. */
import { expect, test } from 'vitest';
import { addKnown, questionsOf, type KnownNames } from '../../../../cli/compare/zone-names.ts';
import { formatName, parseName } from '../../../../wire/name.ts';
import { typeNumber, typeText } from '../../../../wire/types.ts';

const APEX = parseName('example.com.');

function known(names: Readonly<Record<string, string>>): KnownNames {
  const made: KnownNames = new Map();
  for (const [name, types] of Object.entries(names)) {
    const numbers = types.split(' ').map((type) => typeNumber(type) ?? 0);
    addKnown(made, APEX, name === '@' ? APEX : parseName(name, APEX), numbers);
  }
  return made;
}

function asked(names: KnownNames, seed = 1): readonly string[] {
  return questionsOf(APEX, names, seed).map(({ name, type }) => `${formatName(name)} ${typeText(type)}`);
}

test('every name is asked for its types, for addresses, and for a type that it lacks', () => {
  const questions = asked(known({ '@': 'SOA NS MX', www: 'A TXT' }));
  for (const type of ['SOA', 'NS', 'MX', 'A', 'AAAA']) expect(questions).toContain(`example.com ${type}`);
  for (const type of ['A', 'AAAA', 'TXT']) expect(questions).toContain(`www.example.com ${type}`);
  expect(questions.filter((each) => each.startsWith('www.example.com ')).length).toBeGreaterThanOrEqual(3);
});

test('names that are not in the list: empty non-terminals, below wildcards, absent ones, other letters', () => {
  const names = known({ '@': 'SOA NS', 'a.b.c': 'A', '*.dev': 'A', 'x\\.y': 'A' });
  const questions = asked(names);
  for (const name of ['b.c', 'c', 'dev']) expect(questions).toContain(`${name}.example.com A`);
  const absent = /^x[a-z0-9]{10}/;
  const below = (suffix: string) => questions.filter((each) => each.endsWith(suffix) && absent.test(each));
  expect(below('.dev.example.com A').length).toBeGreaterThanOrEqual(3);
  expect(below('.*.dev.example.com A').length).toBeGreaterThanOrEqual(1);
  expect(below('.example.com A').filter((each) => each.split('.').length === 3).length).toBeGreaterThanOrEqual(8);
  expect(questions.some((each) => each !== each.toLowerCase() && /^a\.b\.c\.example\.com /i.test(each))).toBe(true);
  expect(questions.length).toBe(new Set(questions).size);
});

test('equal seeds give equal questions, others give others', () => {
  const names = known({ '@': 'SOA NS', www: 'A' });
  expect(asked(names, 7)).toEqual(asked(names, 7));
  expect(asked(names, 7)).not.toEqual(asked(names, 8));
});

test('names out of the zone and records of the signer are left out; the root is a zone', () => {
  const names = known({ '@': 'SOA', www: 'A RRSIG NSEC' });
  addKnown(names, APEX, parseName('www.example.net.'), [1]);
  expect([...names.values()].map(({ types }) => [...types])).toEqual([[6], [1]]);
  const root: KnownNames = new Map();
  addKnown(root, parseName('.'), parseName('com.'), [2]);
  expect(questionsOf(parseName('.'), root, 1).length).toBeGreaterThan(10);
});
