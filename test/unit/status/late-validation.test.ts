import { expect, test } from 'vitest';
import { createLateValidator } from '../../../status/late-validation.ts';

/** A route whose schema counts how often it is read: the compiler reads it once. */
function build() {
  const { build, prepare } = createLateValidator();
  let reads = 0;
  const route = {
    ...{ method: 'PUT', url: '/', httpPart: 'body' },
    get schema() {
      reads++;
      return { type: 'object', required: ['state'] };
    },
  };
  const compile = build({}, { customOptions: {}, plugins: [] });
  const validate = compile(route as never) as ((data: unknown) => unknown) & { errors?: unknown };
  return { prepare, validate, reads: () => reads };
}

test('a schema is compiled when data is validated, and once', () => {
  const { validate, reads } = build();
  expect(reads()).toBe(0);
  expect(validate({ state: 'up' })).toBe(true);
  expect(validate({})).toBe(false);
  expect(validate.errors).toMatchObject([{ keyword: 'required' }]);
  expect(reads()).toBe(1);
});

test('after a preparation, no request waits for the compiler', async () => {
  const { prepare, validate, reads } = build();
  await prepare();
  expect(reads()).toBe(1);
  expect(validate({ state: 'up' })).toBe(true);
  expect(reads()).toBe(1);
});

test('a preparation that fails does not end the server: the request reports the mistake', async () => {
  const { build: buildBroken, prepare } = createLateValidator();
  const schema = { type: 'no such type' };
  const validate = buildBroken({}, { customOptions: {}, plugins: [] })({ schema, method: 'PUT', url: '/', httpPart: 'body' } as never) as (data: unknown) => unknown; // prettier-ignore
  await prepare();
  expect(() => validate({})).toThrow(/type/);
});
