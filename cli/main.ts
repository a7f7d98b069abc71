/**
 * The `pharos` command: reads the command line, and loads and calls the module of its command.
 */
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { SimulateRequest } from '../server/forecast/simulate-failure.ts';
import type { ExplainRequest } from '../steering/trace.ts';
import { compareCommandLine } from './compare-command.ts';
import type { Shell } from './completion.ts';
import { controlCommands } from './control-commands.ts';
import { dnssecCommands } from './dnssec-commands.ts';
import { FORMATS } from './import/format-names.ts';
import { collect, example, type Cli } from './options.ts';
import { EXIT, terminal, type Output } from './output.ts';
import { recordsCommands } from './records-commands.ts';
import { reportCommands } from './report-commands.ts';
import type { SchemaOf } from './show-schema.ts';
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

type DemoFlags = { readonly port: number; readonly statusPort: number; readonly fleet?: boolean };

type SimulateFlags = Omit<ExplainFlags, 'client' | 'country' | 'at' | 'resolver'> & {
  readonly weigh: SimulateRequest['weigh'];
  readonly all?: boolean;
};

/**
 * Runs one command line, without `node` and the script's name.
 *
 * @returns the exit code (docs/commands.md#exit-codes): 0 done, 1 failed, 2 wrong usage.
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
    // commander has printed the message. --help and --version end here too, with 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.OK : EXIT.USAGE;
    output.error(`pharos: ${error instanceof Error ? describe(error) : String(error)}`);
    return EXIT.FAILED;
  }
}

/** The message for a mistake of the user. A fault of the program is shown with its stack, for a report. */
function describe(error: Error): string {
  const fault = error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError;
  if (fault && error.stack !== undefined) return `internal error, please report it\n${error.stack}`;
  if ('code' in error && error.code === 'ERR_WORKER_INIT_FAILED')
    return `cannot start a thread: ${error.message}\n  ${THREAD_HINT}`;
  return 'hint' in error && typeof error.hint === 'string' ? `${error.message}\n  ${error.hint}` : error.message;
}

/** The error of Node.js has no more than the name of the system's error. */
const THREAD_HINT =
  'this user, this service or this machine has too many processes: see ulimit -u, TasksMax of systemd, pids.max of the cgroup';

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
    .showHelpAfterError('(--help shows the options)');
  program.addHelpText(
    'after',
    example('pharos demo', 'pharos check pharos.yaml', 'pharos explain www.example.com --client 203.0.113.7'),
  );

  program
    .command('serve')
    .summary('run the server')
    .description('Run the server. SIGHUP reloads the files. SIGTERM finishes queries in flight and stops.')
    .argument('[config]', 'configuration file (default: ./pharos.yaml if it exists)')
    .option('--takeover', 'take over from the server that runs with the same state_dir, without losing a query')
    .addHelpText('after', example('pharos serve /etc/pharos/pharos.yaml', 'pharos serve --takeover'))
    .action(async (config: string | undefined, { takeover = false }: { readonly takeover?: boolean }) => {
      const { serve } = await import('./serve.ts');
      done(await serve({ config, takeover }));
    });

  program
    .command('demo')
    .summary('run a demo: three regional backends and a server in front of them, on this machine')
    .description('Start three small regional backends on this machine and a server in front of them, for a first look.')
    .addOption(new Option('--port <port>', 'port for DNS; 0 chooses a free one').argParser(portNumber).default(5300))
    .addOption(
      new Option('--status-port <port>', 'port for the status page; 0 chooses a free one')
        .argParser(portNumber)
        .default(8053),
    )
    .option('--fleet', 'a fleet: three nodes in three regions and a NATS server; each node has the next ports')
    .addHelpText('after', example('pharos demo', 'pharos demo --port 5353 --status-port 8080', 'pharos demo --fleet'))
    .action(async ({ fleet = false, ...ports }: DemoFlags) => {
      done(
        fleet
          ? await (await import('./demo-fleet.ts')).fleetDemo(ports)
          : await (await import('./demo.ts')).demo(ports),
      );
    });

  program
    .command('check')
    .summary('read all files and print every mistake')
    .description(
      'Read the configuration, zones and databases, and print every mistake with its position and a hint.\n' +
        'Exit code 0 if there is no error. Does not check whether the ports are free.',
    )
    .argument('[config]', 'configuration file (default: ./pharos.yaml if it exists)')
    .option('--json', 'print {ok, diagnostics, summary} as JSON')
    .addHelpText('after', example('pharos check /etc/pharos/pharos.yaml'))
    .action(async (config: string | undefined, flags: { readonly json?: boolean }) => {
      const { runCheck } = await import('./check.ts');
      done(runCheck({ config, json: flags.json ?? false }, output));
    });

  explainCommand(program, output, done);
  simulateCommand(program, output, done);
  const cli: Cli = { program, output, done };
  reportCommands(cli);
  controlCommands(cli);
  diffCommand(program, output, done);
  recordsCommands(cli);
  dnssecCommands(cli);
  importCommands(program, output, done);
  exportCommand(cli);
  compareCommandLine(cli);
  programCommands(cli);
  return program;
}

function explainCommand(program: Command, output: Output, done: (code: number) => void): void {
  program
    .command('explain')
    .summary('show the whole decision for one client')
    .description(
      'Show how one client is answered: its location, every VIP with its state, what each step kept, and why.\n' +
        'Uses the files, without health states, unless --api names a running server.',
    )
    .argument('<name>', 'the query name')
    .argument('[type]', 'the query type', 'A')
    .option('--client <ip>', "the client's address or network, as in EDNS Client Subnet")
    .option('--resolver <ip>', 'the address that the query comes from')
    .option('--country <cc>', 'a country instead of an address: KR')
    .option('--at <lat,lon>', 'a location instead of an address: 37.57,126.98')
    .option('--down <target>', 'assume that this target is down (repeatable): www.example.com/seoul-a, @seoul', collect)
    .option('--config <file>', 'the files: a configuration (default: ./pharos.yaml if it exists)')
    .option('--api <url>', 'ask the running server with this status address, not the files: http://127.0.0.1:8053')
    .option('--token <token>', "the server's status.token (default: the environment variable PHAROS_TOKEN)")
    .option('--json', 'print the trace as JSON, as in the API')
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
    .summary('show which clients move where if a VIP or region fails')
    .description(
      'Show which share of the clients moves where if targets fail, by country, and how much more the others get.\n' +
        'Uses the files, without health states, unless --api names a running server.',
    )
    .option(
      '--down <target>',
      'what fails (repeatable): www.example.com/seoul-a, www.example.com/@seoul, @seoul',
      collect,
    )
    .addOption(
      new Option('--weigh <by>', 'weigh clients by the counts of the server, if it has enough, or by addresses')
        .choices(['auto', 'addresses', 'served'] as const)
        .default('auto'),
    )
    .option('--all', 'show every country and move, not only the largest')
    .option('--config <file>', 'the files: a configuration (default: ./pharos.yaml if it exists)')
    .option('--api <url>', 'ask the running server with this status address, not the files: http://127.0.0.1:8053')
    .option('--token <token>', "the server's status.token (default: the environment variable PHAROS_TOKEN)")
    .option('--json', 'print the shares as JSON, as in the API')
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
    .summary('show the impact of a change: differences, and clients that move')
    .description(
      'Compare two configurations: records and services that differ, and which share of the clients moves, by country.\n' +
        'Each is a configuration file, or its folder.',
    )
    .argument('<old>', 'the configuration before')
    .argument('<new>', 'the configuration after')
    .option('--all', 'show every record, country and move')
    .option('--api <url>', 'weigh clients by the counts of the server with this status address')
    .option('--token <token>', "the server's status.token (default: the environment variable PHAROS_TOKEN)")
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
    .summary('write zone YAML from the files of another system')
    .description(
      'Write zone YAML from the files of another system. The YAML goes to stdout.\n' +
        'Differences from the source go to stderr, and as comments into the YAML.',
    )
    .addArgument(
      new Argument('<format>', 'the system that the file is from')
        .choices(FORMATS)
        // import.ts rejects other formats, and its message names these.
        .argParser((format) => format),
    )
    .argument('<file>', 'the file, or a folder of them, except for bind and powerdns')
    .option('--zone <name>', "the zone's name, if the file does not have it or has several zones")
    .option('--nameserver <name>', 'a name server, instead of those of the file (repeatable)', collect)
    .option('-o, --output <file>', 'write to this file; to a folder, one file per zone')
    .option('--json', 'print the report as JSON; without --output it includes the YAML')
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

function exportCommand({ program, output, done }: Cli): void {
  program
    .command('export')
    .summary('write a zone as a master file for BIND, NSD or Knot, or for octoDNS')
    .description(
      'Write a zone of the files as an RFC 1035 master file (bind) or as YAML of octoDNS. In a master file, steered names\n' +
        'have their default answer: that of a client of unknown location while all VIPs are up. In octoDNS they have pools\n' +
        'and rules. Comments say what is left out. The file goes to stdout.',
    )
    .argument('<zone>', "the zone's name")
    .option('--config <file>', 'the files: a configuration (default: ./pharos.yaml if it exists)')
    .option('--format <format>', 'bind for a master file, or octodns', 'bind')
    .option('-o, --output <file>', 'write to this file')
    .addHelpText(
      'after',
      example(
        'pharos export example.com',
        'pharos export example.com -o /var/lib/bind/example.com.db',
        'pharos export example.com --format octodns -o config/example.com.yaml',
      ),
    )
    .action(
      async (
        zone: string,
        flags: Pick<ImportFlags, 'output'> & { readonly config?: string; readonly format: string },
      ) => {
        const { exportZone } = await import('./export.ts');
        done(exportZone({ zone, format: flags.format, config: flags.config, output: flags.output }, output));
      },
    );
}

/** Commands about the program itself. */
function programCommands({ program, output, done }: Cli): void {
  program
    .command('schema')
    .summary('print the JSON Schema of pharos.yaml or of zone files')
    .description(
      'Print the JSON Schema of pharos.yaml (config) or of zone files (zone). Editors with yaml-language-server read it\n' +
        'by a comment in the first line: # yaml-language-server: $schema=FILE',
    )
    .addArgument(
      new Argument('[of]', 'the kind of files').choices(['config', 'zone'] satisfies SchemaOf[]).default('config'),
    )
    .addHelpText('after', example('pharos schema zone > zone.schema.json'))
    .action(async (of: SchemaOf) => {
      const { schemaText } = await import('./show-schema.ts');
      output.out(schemaText(of));
      done(EXIT.OK);
    });

  program
    .command('completion')
    .summary('print a script that completes command lines in bash, zsh or fish')
    .description(
      'Print a script with which a shell completes command lines. In ~/.bashrc, or in ~/.zshrc after compinit:\n' +
        'source <(pharos completion bash)',
    )
    .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish'] satisfies Shell[]))
    .addHelpText(
      'after',
      example(
        'pharos completion bash > /etc/bash_completion.d/pharos',
        'pharos completion fish > ~/.config/fish/completions/pharos.fish',
      ),
    )
    .action(async (shell: Shell) => {
      const { completionScript } = await import('./completion.ts');
      output.out(completionScript(program, shell));
      done(EXIT.OK);
    });

  program
    .command('version')
    .summary('show the version, the revision, Node.js and the platform')
    .description('Show what runs here, for a report of a fault: version, revision, Node.js and platform.')
    .option('--json', 'print it as JSON')
    .addHelpText('after', example('pharos version --json'))
    .action(async (flags: { readonly json?: boolean }) => {
      const { showVersion } = await import('./show-version.ts');
      done(showVersion({ json: flags.json ?? false }, output));
    });
}

/** --config and --api exclude each other. */
function refuseBoth({ api, config }: Pick<ExplainFlags, 'api' | 'config'>, command: Command): void {
  if (api === undefined || config === undefined) return;
  command.error('error: --api asks a running server, which has its own files: omit --config');
}

function portNumber(value: string): number {
  const port = /^\d{1,5}$/.test(value) ? Number(value) : -1;
  if (port >= 0 && port <= 65_535) return port;
  throw new InvalidArgumentError('Expected a port number, 0 to 65535.');
}

process.exitCode = await main(process.argv.slice(2), terminal());
