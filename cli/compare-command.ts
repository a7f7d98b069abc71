/**
 * Command line of `pharos compare`.
 */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { KINDS, type Kind } from './compare/kinds.ts';
import { collect, example, type Cli } from './options.ts';

type Flags = {
  readonly server?: readonly string[];
  readonly config?: string;
  readonly file?: string;
  readonly axfr?: boolean;
  readonly tsig?: string;
  readonly clients?: string;
  readonly sample: number;
  readonly seed: number;
  readonly everyClient?: boolean;
  readonly repeat: number;
  readonly inFlight: number;
  readonly timeout: string;
  readonly ignore?: readonly Kind[];
  readonly json?: boolean;
};

/** The largest numbers of options. */
const MAX = { sample: 1000, repeat: 100_000, inFlight: 4096, seed: 0x7fff_ffff } as const;

export function compareCommandLine({ program, output, done }: Cli): void {
  program
    .command('compare')
    .summary('ask two servers for a zone, and show what differs')
    .description(
      'Ask two name servers of any kind for every name and type of a zone, for absent names, and for clients of every\n' +
        'country. Show what differs. Exit code 1 if something differs or a server cannot be reached.',
    )
    .argument('<zone>', "the zone's name")
    .option('--server <server>', 'the two servers: ADDRESS, NAME or ADDRESS:PORT (give it twice)', collect)
    .option('--config <file>', 'take names from a configuration or zone file of Pharos')
    .option('--file <file>', 'take names from a master file')
    .option('--axfr', 'take names from a zone transfer, which one server must allow')
    .option('--tsig <key>', 'key for --axfr: NAME:SECRET or ALGORITHM:NAME:SECRET (default: PHAROS_TSIG)')
    .option('--clients <file>', 'clients: one address or network per line')
    .addOption(
      new Option('--sample <n>', 'clients per country, for IPv4 and IPv6 each; 0: no clients')
        .argParser(numberUpTo(0, MAX.sample))
        .default(1),
    )
    .addOption(
      new Option('--seed <n>', 'seed of the random clients and names').argParser(numberUpTo(0, MAX.seed)).default(1),
    )
    .option('--every-client', 'ask for every client, even if both servers answer with scope 0')
    .addOption(
      new Option('--repeat <n>', 'largest number of answers to compare if answers vary')
        .argParser(numberUpTo(20, MAX.repeat))
        .default(200),
    )
    .addOption(
      new Option('--ignore <kinds>', `kinds of differences to ignore: ${Object.keys(KINDS).join(', ')}`).argParser(
        kindsOf,
      ),
    )
    .addOption(
      new Option('--in-flight <n>', 'queries in flight at each server')
        .argParser(numberUpTo(1, MAX.inFlight))
        .default(32),
    )
    .option('--timeout <duration>', 'time to wait for a response; every query has three tries', '2s')
    .option('--json', 'print the differences as JSON')
    .addHelpText(
      'after',
      example(
        'pharos compare --server 192.0.2.53 --server 127.0.0.1:5300 example.com --file db.example.com',
        'pharos compare --server ns1.example.com --server 192.0.2.54 example.com --axfr --ignore serial,ttl',
        'pharos compare --server 192.0.2.53 --server 192.0.2.54 example.com --config pharos.yaml --sample 3',
      ),
    )
    .action(async (zone: string, flags: Flags, command: Command) => {
      const [{ compareCommand }, { parseTsigKey }, { parseDurationMs }] = await Promise.all([
        import('./compare.ts'),
        import('./compare/transfer-zone.ts'),
        import('../config/units.ts'),
      ]);
      const timeoutMs = parseDurationMs(flags.timeout) ?? 0;
      if (timeoutMs < 10) command.error('error: --timeout must be a duration of at least 10ms, such as 2s');
      const tsig = flags.tsig ?? process.env.PHAROS_TSIG;
      const key = tsig === undefined || flags.axfr !== true ? undefined : parseTsigKey(tsig);
      if (typeof key === 'string') return command.error(`error: invalid key for --tsig: ${key}`);
      const { server: servers = [], config, file, axfr = false, clients, sample, seed, json = false } = flags;
      const { everyClient = false, repeat: repeats, inFlight, ignore = [] } = flags;
      const names = { zone, servers, config, file, axfr, key };
      const how = { clients, sample, seed, everyClient, repeats, inFlight, timeoutMs, ignored: new Set(ignore), json };
      done(await compareCommand({ ...names, ...how }, output));
    });
}

function numberUpTo(least: number, most: number): (value: string) => number {
  return (value) => {
    const number = /^\d{1,10}$/.test(value) ? Number(value) : -1;
    if (number >= least && number <= most) return number;
    throw new InvalidArgumentError(`Expected a number, ${least} to ${most}.`);
  };
}

function kindsOf(value: string): readonly Kind[] {
  return value.split(',').map((word) => {
    if (Object.hasOwn(KINDS, word)) return word as Kind;
    throw new InvalidArgumentError(`Expected kinds with commas between: ${Object.keys(KINDS).join(', ')}.`);
  });
}
