import type { LookupAddress } from 'node:dns';
import { expect, test } from 'vitest';
import { createLookup } from '../../../../health/checks/resolve-host.ts';
import { LOOKUP_FRESH_MS, LOOKUP_STALE_MS, MAX_LOOKUPS } from '../../../../health/limits.ts';

const address = (last: number): LookupAddress => ({ address: `192.0.2.${last}`, family: 4 });

function resolver() {
  let nowMs = 0;
  const asked: { name: string; answer: (error: Error | null, ...addresses: LookupAddress[]) => void }[] = [];
  const resolve = createLookup(
    (name, done) => {
      asked.push({
        name,
        answer: (error, ...addresses) => {
          done(error, addresses);
        },
      });
    },
    () => nowMs,
  );
  const got: string[] = [];
  return {
    asked,
    got,
    ask: (name: string) => {
      resolve(name, (error, addresses) => got.push(error?.message ?? addresses.map((one) => one.address).join()));
    },
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

test('a name is asked for once, however many wait for it, and then known for a while', () => {
  const { ask, asked, got } = resolver();
  ask('a');
  ask('a');
  asked[0]?.answer(null, address(1));
  ask('a');
  expect([asked.length, got]).toEqual([1, ['192.0.2.1', '192.0.2.1', '192.0.2.1']]);
});

test('then the old address serves at once, while it is asked for again', () => {
  const { ask, asked, got, pass } = resolver();
  ask('a');
  asked[0]?.answer(null, address(1));
  pass(LOOKUP_FRESH_MS);
  ask('a');
  asked[1]?.answer(null, address(2));
  ask('a');
  expect(got).toEqual(['192.0.2.1', '192.0.2.1', '192.0.2.2']);
});

test('and while the resolver fails, but not for ever', () => {
  const { ask, asked, got, pass } = resolver();
  ask('a');
  asked[0]?.answer(null, address(1));
  pass(LOOKUP_FRESH_MS);
  ask('a');
  asked[1]?.answer(new Error('lame'));
  pass(LOOKUP_STALE_MS);
  ask('a');
  asked[2]?.answer(new Error('lame'));
  expect(got).toEqual(['192.0.2.1', '192.0.2.1', 'lame']);
});

test('few look-ups run at once; the others wait their turn', () => {
  const { ask, asked } = resolver();
  for (const name of ['a', 'b', 'c', 'd']) ask(name);
  expect(asked).toHaveLength(MAX_LOOKUPS);
  asked[0]?.answer(null, address(1));
  expect(asked.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
});
