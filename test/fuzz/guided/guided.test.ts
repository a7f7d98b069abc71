/** Choices that are read from octets, and a short guided run where Jazzer.js is installed. */
import { existsSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { folderOf } from '../../support/pharos.ts';
import { TARGETS } from '../all-targets.ts';
import { fuzz } from '../fuzz-target.ts';
import { proxyHeaders } from '../targets/streams.ts';
import { failing } from './failing-target.ts';
import { inputFrom, onlyInput } from './octet-choices.ts';
import { runGuided } from './run-guided.ts';

const HAS_JAZZER = existsSync(new URL('node_modules/.package-lock.json', import.meta.url));

const valueOf = <Input>(inputs: fc.Arbitrary<Input>, ...octets: readonly number[]): Input =>
  inputFrom(inputs, Uint8Array.from(octets)).value;

describe('choices', () => {
  test.each([
    ['an octet is a number of this size', fc.nat(255), [200], 200],
    ['so are two and four, the least significant first', fc.tuple(fc.nat(0xffff), fc.nat(0x7fff_ffff)), [1, 2, 3, 4, 5, 6], [0x0201, 0x0605_0403]], // prettier-ignore
    ['numbers begin with the smallest', fc.integer({ min: -3, max: 3 }), [6], 3],
    ['an array has its length first', fc.array(fc.constantFrom('a', 'b'), { maxLength: 3 }), [2, 0, 1], ['a', 'b']],
    ['a later octet changes a later choice', fc.array(fc.constantFrom('a', 'b'), { maxLength: 3 }), [2, 0, 0], ['a', 'a']], // prettier-ignore
    ['after the last octet, choices are the first ones', fc.tuple(fc.nat(255), fc.nat(255), fc.constantFrom('a', 'b')), [7], [7, 0, 'a']], // prettier-ignore
  ] as readonly (readonly [string, fc.Arbitrary<unknown>, readonly number[], unknown])[])(
    '%s',
    (_, inputs, octets, expected) => {
      expect(valueOf(inputs, ...octets)).toEqual(expected);
    },
  );

  test('every choice of one kind can be reached', () => {
    const kinds = fc.oneof(fc.constant('x'), { weight: 3, arbitrary: fc.constantFrom('y', 'z') }, fc.boolean());
    const found = new Set<unknown>();
    for (let kind = 0; kind < 256; kind++) for (const choice of [0, 1]) found.add(valueOf(kinds, kind, choice));
    expect(found).toEqual(new Set(['x', 'y', 'z', false, true]));
  });

  test.each(TARGETS.map((target) => [target.name, target] as const))(
    'equal octets are equal inputs: %s',
    (_, target) => {
      const octets = Uint8Array.from({ length: 400 }, (__, index) => (index * 167 + 13) & 255);
      const [first, second] = [inputFrom(target.inputs, octets).value, inputFrom(target.inputs, octets).value];
      expect(first).toEqual(second);
      expect(first).not.toEqual(valueOf(target.inputs));
    },
  );

  test('an input that fails is made smaller', async () => {
    const inputs = onlyInput(failing.inputs, Uint8Array.of(3, 9, 250, 40));
    const { failure } = await fuzz({ ...failing, inputs }, { seed: 1, inputs: 1 });
    expect(failure?.input).toEqual([100]);
  });
});

describe.runIf(HAS_JAZZER)('a guided run', () => {
  test('reaches code that its first inputs do not reach', async () => {
    using folder = folderOf({});
    const { inputs, reached, failure } = await runGuided(proxyHeaders, { seed: 1, inputs: 3000, folder: folder.path });
    expect(failure).toBeUndefined();
    expect(inputs).toBeGreaterThanOrEqual(3000);
    expect(reached[0]).toBeGreaterThan(0);
    expect(reached[1]).toBeGreaterThan(reached[0]);
  });

  test('ends with the smallest input that fails', async () => {
    using folder = folderOf({});
    const module = new URL('failing-target.ts', import.meta.url).href;
    const { failure } = await runGuided(failing, { seed: 1, inputs: 100_000, folder: folder.path, module });
    expect(failure?.input).toEqual([100]);
    expect(failure?.error).toContain('above 99');
  });
});
