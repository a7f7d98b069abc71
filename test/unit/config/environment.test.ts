import { expect, test } from 'vitest';
import { expandEnvironment, hidePaths, referencesIn } from '../../../config/environment.ts';

const ENV = { TOKEN: 'secret', EMPTY: '', NESTED: '${TOKEN}' };

test.each([
  ['${TOKEN}', 'secret'],
  ['a-${TOKEN}-${TOKEN}', 'a-secret-secret'],
  ['[${EMPTY}]', '[]'],
  ['$${TOKEN}', '${TOKEN}'],
  ['$TOKEN $ {TOKEN}', '$TOKEN $ {TOKEN}'],
  ['${NESTED}', '${TOKEN}'], // the value of a variable is used unchanged
])('%j becomes %j', (text, expanded) => {
  expect(expandEnvironment(text, ENV)).toEqual({ text: expanded, missing: [] });
});

test.each([
  ['${MISSING}', ['MISSING']],
  ['${constructor}', ['constructor']],
  ['${EMPTY}', ['EMPTY']],
])('%j is missing', (text, missing) => {
  expect(expandEnvironment(text, ENV)).toEqual({ text, missing });
});

test.each([
  ['a ${A} $${B} ${C_1}', ['A', 'C_1'], []],
  ['${}', [], ['${}']],
  ['${1A}', [], ['${1A}']],
  ['${TOKEN', [], ['${TOKEN']],
  ['${TOKEN:-x} ${A}', ['A'], ['${TOKEN:-x}']],
])('%j names variables', (text, names, malformed) => {
  expect(referencesIn(text)).toEqual({ names, malformed });
});

test('a path from the environment is in no message', () => {
  const paths = [
    { path: '/srv/dns/zones', shown: '${ZONES}' },
    { path: '/srv/dns', shown: '${DIR}/$&' },
  ];
  expect(hidePaths('/srv/dns/zones/a.yaml, /srv/dns/state', paths)).toBe('${ZONES}/a.yaml, ${DIR}/$&/state');
});
