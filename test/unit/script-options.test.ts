/** Options of scripts: numbers are read as numbers, and mistakes are told in one line. */
import { describe, expect, expectTypeOf, test } from 'vitest';
import { readOptions } from '../support/script-options.ts';

const OPTIONS = {
  seconds: { type: 'number', default: 5 },
  rounds: { type: 'number', positive: true },
  only: { type: 'string' },
  phase: { type: 'string', multiple: true },
  pin: { type: 'boolean', default: false },
} as const;

describe('options of scripts', () => {
  test.each([
    { args: [], values: { seconds: 5, pin: false } },
    { args: ['--seconds', '2.5', '--rounds=1e3'], values: { seconds: 2.5, rounds: 1000, pin: false } },
    { args: ['--seconds', '0'], values: { seconds: 0, pin: false } },
    { args: ['--only', '7', '--pin'], values: { seconds: 5, only: '7', pin: true } },
    { args: ['--phase', 'a', '--phase', 'b'], values: { seconds: 5, phase: ['a', 'b'], pin: false } },
  ])('$args', ({ args, values }) => {
    expect(readOptions(args, OPTIONS)).toEqual({ kind: 'given', values, positionals: [] });
  });

  test.each([
    { args: ['--help'] },
    { args: ['--seconds', 'abc', '--help'] }, // what is wrong does not matter then
  ])('$args asks for help', ({ args }) => {
    expect(readOptions(args, OPTIONS)).toEqual({ kind: 'help' });
  });

  test.each([
    { args: ['--seconds', 'abc'], message: '--seconds: expected a number, got "abc"' },
    { args: ['--seconds='], message: '--seconds: expected a number, got ""' },
    { args: ['--seconds', 'Infinity'], message: '--seconds: expected a number, got "Infinity"' },
    { args: ['--seconds=-3'], message: '--seconds: expected a number of at least 0, got "-3"' },
    { args: ['--rounds', '0'], message: '--rounds: expected a number above 0, got "0"' },
    { args: ['--seconds'], message: "Option '--seconds <value>' argument missing" },
    { args: ['--seconds', '-3'], message: "Option '--seconds' argument is ambiguous." },
    { args: ['--pin=yes'], message: "Option '--pin' does not take an argument" },
    { args: ['--unknown'], message: "Unknown option '--unknown'" },
    { args: ['a'], message: "Unexpected argument 'a'. This command does not take positional arguments" },
  ])('$args is a mistake', ({ args, message }) => {
    expect(readOptions(args, OPTIONS)).toEqual({ kind: 'wrong', message });
  });

  test('positional arguments are read if they are allowed', () => {
    const outcome = readOptions(['a', '--seconds', '1', 'b'], OPTIONS, { allowPositionals: true });
    expect(outcome).toMatchObject({ values: { seconds: 1 }, positionals: ['a', 'b'] });
  });

  test('values have the types of their options', () => {
    const outcome = readOptions([], OPTIONS);
    if (outcome.kind !== 'given') throw new Error(outcome.kind);
    expectTypeOf(outcome.values).toEqualTypeOf<{
      readonly seconds: number;
      readonly rounds: number | undefined;
      readonly only: string | undefined;
      readonly phase: string[] | undefined;
      readonly pin: boolean;
    }>();
  });

  test('a mistake in the script is not one of its caller', () => {
    expect(() => readOptions([], { long: { type: 'string', short: 'long' } })).toThrow('short');
  });
});
