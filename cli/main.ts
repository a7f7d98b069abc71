/**
 * The `pharos` command: reads the command line and hands over to one module a command, loaded only then.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { SimulateRequest } from '../server/forecast/simulate-failure.ts';
import type { ExplainRequest } from '../steering/trace.ts';
import { controlCommands } from './control-commands.ts';
import { EXIT, terminal, type Output } from './output.ts';
import { readVersion } from './version.ts';

type ExplainFlags = {
  readonly client?: string;
  readonly country?: string;
  readonly at?: string;
  readonly resolver?: string;
  readonly down?: readonly string[];
  readonly config?: string;
  readonly api?: string;
  readonly token?: string;
  readonly json?: boolean;
};

type SimulateFlags = Omit<ExplainFlags, 'client' | 'country' | 'at' | 'resolver'> & {
  readonly weigh: SimulateRequest['weigh'];
  readonly all?: boolean;
};

/**
 * Runs one command line, without `node` and the script's name.
 *
 * @returns the exit code of SPEC 1: 0 done, 1 what was asked failed, 2 wrong usage.
 */
export async function main(args: readonly string[], output: Output): Promise<number> {
  let code: number = EXIT.OK;
  const program = commands(output, (result) => {
    code = result;
  });
  if (args.length === 0) {
    output.error(program.helpInformation().trimEnd());
    return EXIT.USAGE;
  }
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    // commander has said what was wrong by now; --help and --version end here too, with 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.OK : EXIT.USAGE;
    output.error(`pharos: ${error instanceof Error ? describe(error) : String(error)}`);
    return EXIT.FAILED;
  }
}

/** A mistake of the user has a message; a fault of the program also needs its stack, to be reported. */
function describe(error: Error): string {
  const fault = error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError;
  if (fault && error.stack !== undefined) return `internal error, please report it\n${error.stack}`;
  return 'hint' in error && typeof error.hint === 'string' ? `${error.message}\n  ${error.hint}` : error.message;
}

function commands(output: Output, done: (code: number) => void): Command {
  const program = new Command('pharos')
    .description('Authoritative DNS server that steers clients to the right region.')
    .version(readVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        output.out(text.trimEnd());
      },
      writeErr: (text) => {
        output.error(text.trimEnd());
      },
    })
    .showHelpAfterError('(--help shows what it takes)');
  program.addHelpText(
    'after',
    example('pharos demo', 'pharos check pharos.yaml', 'pharos explain www.example.com --client 203.0.113.7'),
  );

  program
    .command('serve')
    .summary('run the server')
    .description('Run the server. SIGHUP reads the files again, SIGTERM finishes what is in flight and ends.')
    .argument('[config]', 'configuration file (default: ./pharos.yaml where there is one)')
    .option('--takeover', 'take the place of the server that runs with the same state_dir, without losing a query')
    .addHelpText('after', example('pharos serve /etc/pharos/pharos.yaml', 'pharos serve --takeover'))
    .action(async (config: string | undefined, { takeover = false }: { readonly takeover?: boolean }) => {
      const { serve } = await import('./serve.ts');
      done(await serve({ config, takeover }));
    });

  program
    .command('demo')
    .summary('three regional backends on this machine and a server in front of them')
    .description('Start three small regional backends on this machine and a server in front of them, for a first look.')
    .addOption(new Option('--port <port>', 'port for DNS; 0 takes a free one').argParser(portNumber).default(5300))
    .addOption(
      new Option('--status-port <port>', 'port for the status page; 0 takes a free one')
        .argParser(portNumber)
        .default(8053),
    )
    .addHelpText('after', example('pharos demo', 'pharos demo --port 5353 --status-port 8080'))
    .action(async (flags: { readonly port: number; readonly statusPort: number }) => {
      const { demo } = await import('./demo.ts');
      done(await demo(flags));
    });

  program
    .command('check')
    .summary('read everything and print every mistake')
    .description(
      'Read the configuration, zones and databases and print every mistake with its place and a hint.\n' +
        'Exit code 0 when there is no error. Whether the ports are free is not looked at.',
    )
    .argument('[config]', 'configuration file (default: ./pharos.yaml where there is one)')
    .option('--json', 'print {ok, diagnostics, summary} as JSON')
    .addHelpText('after', example('pharos check /etc/pharos/pharos.yaml'))
    .action(async (config: string | undefined, flags: { readonly json?: boolean }) => {
      const { runCheck } = await import('./check.ts');
      done(runCheck({ config, json: flags.json ?? false }, output));
    });

  explainCommand(program, output, done);
  simulateCommand(program, output, done);
  controlCommands(program, output, done, example);
  diffCommand(program, output, done);
  importCommands(program, output, done);
  return program;
}

function explainCommand(program: Command, output: Output, done: (code: number) => void): void {
  program
    .command('explain')
    .summary('the whole decision for one client')
    .description(
      'Show how one client is answered: where it is, every VIP with its state, what each step kept and why.\n' +
        'From the files, where no health is known, unless --api names a running server: it is never looked for.',
    )
    .argument('<name>', 'the name asked for')
    .argument('[type]', 'the type asked for', 'A')
    .option('--client <ip>', "the client's address or network, as in EDNS Client Subnet")
    .option('--resolver <ip>', 'the address that the query comes from')
    .option('--country <cc>', 'a country in place of an address: KR')
    .option('--at <lat,lon>', 'a point in place of an address: 37.57,126.98')
    .option('--down <target>', 'what if this target were down (repeatable): www.example.com/seoul-a, @seoul', collect)
    .option('--config <file>', 'the files: a configuration (default: ./pharos.yaml where there is one)')
    .option('--api <url>', 'ask the running server with this status address, not the files: http://127.0.0.1:8053')
    .option('--token <token>', "the server's status.token (default: the environment's PHAROS_TOKEN)")
    .option('--json', 'print the trace as JSON, as the API gives it')
    .addHelpText(
      'after',
      example(
        'pharos explain www.example.com --client 203.0.113.7',
        'pharos explain www.example.com --client 203.0.113.7 --api http://127.0.0.1:8053',
        'pharos explain www.example.com AAAA --country KR --down @seoul',
      ),
    )
    .action(async (name: string, type: string, flags: ExplainFlags, command: Command) => {
      refuseBoth(flags, command);
      const { explain } = await import('./explain.ts');
      const { json, config, api, token, ...client } = flags;
      const request: ExplainRequest = { name, type: type.toUpperCase(), ...client };
      done(
        await explain({ request, config, api, token: token ?? process.env.PHAROS_TOKEN, json: json ?? false }, output),
      );
    });
}

function simulateCommand(program: Command, output: Output, done: (code: number) => void): void {
  program
    .command('simulate')
    .summary('who moves where if a VIP or region fails')
    .description(
      'Show what share of the clients moves where, by country, if targets fail, and how much more the others get.\n' +
        'From the files, where no health is known, unless --api names a running server: it is never looked for.',
    )
    .option(
      '--down <target>',
      'what fails (repeatable): www.example.com/seoul-a, www.example.com/@seoul, @seoul',
      collect,
    )
    .addOption(
      new Option('--weigh <by>', 'weigh clients by what the server has counted, where that is enough, or by addresses')
        .choices(['auto', 'addresses', 'served'] as const)
        .default('auto'),
    )
    .option('--all', 'show every country and every move, not only the largest')
    .option('--config <file>', 'the files: a configuration (default: ./pharos.yaml where there is one)')
    .option('--api <url>', 'ask the running server with this status address, not the files: http://127.0.0.1:8053')
    .option('--token <token>', "the server's status.token (default: the environment's PHAROS_TOKEN)")
    .option('--json', 'print the shares as JSON, as the API gives them')
    .addHelpText(
      'after',
      example(
        'pharos simulate --down @seoul',
        'pharos simulate --down www.example.com/seoul-a --down www.example.com/seoul-b --api http://127.0.0.1:8053',
      ),
    )
    .action(async (flags: SimulateFlags, command: Command) => {
      refuseBoth(flags, command);
      const { simulate } = await import('./simulate.ts');
      const { down = [], weigh, all = false, json = false, config, api, token = process.env.PHAROS_TOKEN } = flags;
      done(await simulate({ request: { down, weigh }, config, api, token, json, all }, output));
    });
}

function diffCommand(program: Command, output: Output, done: (code: number) => void): void {
  program
    .command('diff')
    .summary('the impact of a change: what differs, and who moves')
    .description(
      'Compare two configurations: records and services that differ, and what share of the clients moves, by country.\n' +
        'Each is a configuration file, or the folder that it is in.',
    )
    .argument('<old>', 'the configuration before')
    .argument('<new>', 'the configuration after')
    .option('--all', 'show every record, country and move')
    .option('--api <url>', 'weigh clients by what the server at this status address has counted')
    .option('--token <token>', "the server's status.token (default: the environment's PHAROS_TOKEN)")
    .option('--json', 'print the differences as JSON')
    .addHelpText('after', example('pharos diff /etc/pharos/pharos.yaml ./pharos.yaml'))
    .action(async (before: string, after: string, flags: Omit<SimulateFlags, 'down' | 'weigh' | 'config'>) => {
      const { diff } = await import('./diff.ts');
      const { all = false, json = false, api, token = process.env.PHAROS_TOKEN } = flags;
      done(await diff({ before, after, api, token, json, all }, output));
    });
}

type ImportFlags = {
  readonly zone?: string;
  readonly nameserver?: readonly string[];
  readonly output?: string;
  readonly json?: boolean;
};

function importCommands(program: Command, output: Output, done: (code: number) => void): void {
  program
    .command('import')
    .summary('zone YAML from the files of another system')
    .description(
      'Write zone YAML from master files (bind), Route 53, gdnsd or octoDNS. The YAML goes to stdout; what is not as it\n' +
        'was, to stderr and as comments into the YAML.',
    )
    .argument('<format>', 'bind, route53, gdnsd or octodns')
    .argument('<file>', 'the file; for gdnsd its configuration, or the folder that it is in')
    .option('--zone <name>', "the zone's name, where the file does not tell it or has several")
    .option('--nameserver <name>', "a name server, in place of the file's (repeatable)", collect)
    .option('-o, --output <file>', 'write there; into a folder, one file a zone')
    .option('--json', 'print the report as JSON; with the YAML where there is no --output')
    .addHelpText(
      'after',
      example(
        'pharos import bind /etc/bind/db.example.com -o zones/example.com.yaml',
        'pharos import route53 records.json --nameserver ns1.example.com --nameserver ns2.example.com',
        'pharos import gdnsd /etc/gdnsd -o zones',
      ),
    )
    .action(async (format: string, path: string, flags: ImportFlags) => {
      const { importCommand } = await import('./import.ts');
      const { zone, nameserver: nameServers = [], json = false } = flags;
      done(importCommand({ format, path, zone, nameServers, output: flags.output, json }, output));
    });
}

/** Either the files or a server is asked. */
function refuseBoth({ api, config }: Pick<ExplainFlags, 'api' | 'config'>, command: Command): void {
  if (api === undefined || config === undefined) return;
  command.error('error: --api asks a running server, which has its own files: leave --config out');
}

function portNumber(value: string): number {
  const port = /^\d{1,5}$/.test(value) ? Number(value) : -1;
  if (port >= 0 && port <= 65_535) return port;
  throw new InvalidArgumentError('Expected a port number, 0 to 65535.');
}

function collect(value: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), value];
}

function example(...lines: readonly string[]): string {
  return `\nExample${lines.length > 1 ? 's' : ''}:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}

process.exitCode = await main(process.argv.slice(2), terminal());
