import { expect, test } from 'vitest';
import { expandEnvironment } from '../../../config/environment.ts';

const ENV = { TOKEN: 'secret', EMPTY: '', NESTED: '${TOKEN}' };

test.each([
  ['${TOKEN}', 'secret'],
  ['a-${TOKEN}-${TOKEN}', 'a-secret-secret'],
  ['[${EMPTY}]', '[]'],
  ['$${TOKEN}', '${TOKEN}'],
  ['$TOKEN $ {TOKEN}', '$TOKEN $ {TOKEN}'],
  ['${NESTED}', '${TOKEN}'], // what a variable holds is taken as it stands
])('%j becomes %j', (text, expanded) => {
  expect(expandEnvironment(text, ENV)).toEqual({ text: expanded, problems: [] });
});

test.each([
  ['${MISSING}', [{ reference: '${MISSING}', name: 'MISSING' }]],
  ['${constructor}', [{ reference: '${constructor}', name: 'constructor' }]],
  ['${}', [{ reference: '${}', name: undefined }]],
  ['${1A}', [{ reference: '${1A}', name: undefined }]],
  ['${TOKEN', [{ reference: '${TOKEN', name: undefined }]],
  ['${TOKEN:-x}', [{ reference: '${TOKEN:-x}', name: undefined }]],
])('%j has a problem', (text, problems) => {
  expect(expandEnvironment(text, ENV)).toEqual({ text, problems });
});
