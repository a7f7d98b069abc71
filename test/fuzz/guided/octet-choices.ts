/** Random choices read from octets: what changes the octets changes an input, and keeps its structure. */
import * as fc from 'fast-check';

/** Half of a range of 32 bits: generators of pure-rand give signed numbers. */
const HALF = 0x8000_0000;

/** Makes an input of `inputs`. Choices after the last octet are the first ones, so short octets are simple inputs. */
export function inputFrom<Input>(inputs: fc.Arbitrary<Input>, octets: Uint8Array): fc.Value<Input> {
  return inputs.generate(choicesFrom(octets, 0), undefined);
}

/** Reads choices from `at` on. A choice takes as few octets as its range needs, so equal octets stay equal values. */
function choicesFrom(octets: Uint8Array, from: number): fc.Random {
  let at = from;
  const take = (count: number): number => {
    let value = 0;
    for (let index = 0; index < count; index++) value += (octets[at++] ?? 0) * 2 ** (8 * index);
    return value;
  };
  const generator = { next: () => take(4) - HALF, clone: () => generator, getState: () => [at] };
  return Object.assign(new fc.Random(generator), {
    clone: () => choicesFrom(octets, at),
    nextInt: (min = -HALF, max = HALF - 1): number => {
      const size = max - min + 1;
      return min + (take(size <= 0x100 ? 1 : size <= 0x1_0000 ? 2 : 4) % size);
    },
  });
}

/** Inputs that are always the one of `octets`, which fast-check can make smaller. */
export function onlyInput<Input>(inputs: fc.Arbitrary<Input>, octets: Uint8Array): fc.Arbitrary<Input> {
  return Object.assign(Object.create(inputs) as fc.Arbitrary<Input>, { generate: () => inputFrom(inputs, octets) });
}
