/**
 * The options of scripts in bench/ and test/: those of node:util's parseArgs, numbers, and --help.
 */
import { parseArgs, type ParseArgsOptionDescriptor, type ParseArgsOptionsConfig } from 'node:util';

/** A finite number from 0 on, or only above 0. */
type NumberOption = { readonly type: 'number'; readonly default?: number; readonly positive?: boolean };
type Option = ParseArgsOptionDescriptor | NumberOption;
type Options = Readonly<Record<string, Option>>;

type ValueOf<Each> = Each extends { type: 'number' } ? number : Each extends { type: 'boolean' } ? boolean : string;
/** Without a default, an option that was not given is undefined. */
type Values<All extends Options> = {
  readonly [Name in keyof All]:
    | (All[Name] extends { multiple: true } ? ValueOf<All[Name]>[] : ValueOf<All[Name]>)
    | (All[Name] extends { default: string | number | boolean } ? never : undefined);
};

type Given<All extends Options> = { readonly values: Values<All>; readonly positionals: readonly string[] };
type Outcome<All extends Options> =
  | ({ readonly kind: 'given' } & Given<All>)
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly message: string };

/**
 * The values of this script's options. After --help, prints `help` and ends the process with 0. After a mistake, such
 * as an unknown option or a positional argument, prints what is wrong and `help` on stderr, and ends it with 2.
 */
export function scriptOptions<All extends Options>(help: string, options: All): Values<All> {
  return givenOrEnd(help, readOptions(process.argv.slice(2), options)).values;
}

/** The same for a script that takes positional arguments too. */
export function scriptArguments<All extends Options>(help: string, options: All): Given<All> {
  return givenOrEnd(help, readOptions(process.argv.slice(2), options, { allowPositionals: true }));
}

function givenOrEnd<All extends Options>(help: string, outcome: Outcome<All>): Given<All> {
  switch (outcome.kind) {
    case 'given':
      return outcome;
    case 'help':
      process.stdout.write(help);
      return process.exit(0);
    case 'wrong':
      process.stderr.write(`${outcome.message}\n\n${help}`);
      return process.exit(2);
  }
}

/** Reads the arguments of a command line. The message about a mistake is one line. */
export function readOptions<All extends Options>(
  args: readonly string[],
  options: All,
  { allowPositionals = false } = {},
): Outcome<All> {
  const named = Object.entries<Option>(options);
  const parsable: ParseArgsOptionsConfig = { help: { type: 'boolean' } };
  for (const [name, option] of named) parsable[name] = option.type === 'number' ? { type: 'string' } : option;
  try {
    const parsed = parseArgs({ args, options: parsable, allowPositionals });
    if (parsed.values['help'] === true) return { kind: 'help' };
    const values = Object.fromEntries(
      named.map(([name, option]) => {
        const value = parsed.values[name];
        return [name, option.type === 'number' ? numberOf(name, value, option) : value];
      }),
    );
    // parseArgs and `numberOf` give each option the type that `Values` says.
    return { kind: 'given', values: values as Values<All>, positionals: parsed.positionals };
  } catch (error) {
    if (!isMistake(error)) throw error;
    const [message = ''] = error.message.split('\n');
    return { kind: 'wrong', message };
  }
}

class NumberError extends Error {}

function isMistake(error: unknown): error is Error {
  if (error instanceof NumberError) return true;
  return error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_');
}

function numberOf(name: string, text: unknown, option: NumberOption): number | undefined {
  if (typeof text !== 'string') return option.default;
  const value = text.trim() === '' ? Number.NaN : Number(text);
  const isPositive = option.positive === true;
  if (Number.isFinite(value) && (isPositive ? value > 0 : value >= 0)) return value;
  const range = Number.isFinite(value) ? (isPositive ? ' above 0' : ' of at least 0') : '';
  throw new NumberError(`--${name}: expected a number${range}, got "${text}"`);
}
