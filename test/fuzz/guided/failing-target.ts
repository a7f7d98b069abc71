/** A target that fails, for the test of guided runs. */
import * as fc from 'fast-check';
import { fuzzTarget } from '../fuzz-target.ts';

export const failing = fuzzTarget<number[]>({
  name: 'failing',
  about: 'numbers above 99',
  trials: 1,
  inputs: fc.array(fc.nat(255)),
  open: () => ({
    run: (numbers) => {
      if (numbers.some((each) => each > 99)) throw new Error('above 99');
    },
  }),
});

export const TARGETS = [failing];
