/**
 * Command lines of the commands that show a running server: `status`, `events`, `overrides`, `fleet`.
 */
import type { Command } from 'commander';
import { example, type Cli } from './options.ts';
import { reachable, reachOptions, type ReachFlags } from './reachable.ts';

type Flags = ReachFlags & {
  readonly watch?: boolean;
  readonly follow?: boolean;
  readonly all?: boolean;
  readonly interval: string;
};

export function reportCommands(cli: Cli): void {
  statusCommand(cli);
  eventsCommand(cli);
  overridesCommand(cli);
  fleetCommand(cli);
}

function statusCommand({ program, output, done }: Cli): void {
  reachable(program.command('status'), true)
    .summary('show health, overrides and the split of answers of a running server')
    .description('Show the state of every VIP of a running server, and how answers are split among them.')
    .argument('[service]', 'only this service')
    .option('--watch', 'repeat until Ctrl-C; SERVED then counts the answers since the previous report')
    .option('--interval <duration>', 'time between two reports, with --watch', '2s')
    .addHelpText('after', example('pharos status', 'pharos status www.example.com --watch'))
    .action(async (service: string | undefined, flags: Flags, command: Command) => {
      const [{ runStatus }, { openScreen }, { parseDurationMs }] = await Promise.all([
        import('./status.ts'),
        import('./watch-screen.ts'),
        import('../config/units.ts'),
      ]);
      const intervalMs = parseDurationMs(flags.interval) ?? 0;
      if (intervalMs < 100) command.error('error: --interval must be a duration of at least 100ms, such as 2s');
      const { watch = false } = flags;
      const screen = watch && process.stdout.isTTY ? openScreen(process.stdout) : undefined;
      const options = { ...reachOptions(flags), service, watch, intervalMs, screen };
      done(await untilStopped(watch, (signal) => runStatus({ ...options, signal }, output)));
    });
}

function eventsCommand({ program, output, done }: Cli): void {
  reachable(program.command('events'), true)
    .summary('show what happened: changes of state, overrides, reloads, alarms')
    .description(
      'Show the recent events of a running server, oldest first: changes of health, overrides and weights, reloads,\n' +
        'schedules, alarms. With --follow, new events are shown until Ctrl-C, also after the server has restarted.',
    )
    .option('-f, --follow', 'wait for new events, until Ctrl-C')
    .addHelpText('after', example('pharos events', 'pharos events --follow --json'))
    .action(async (flags: Flags) => {
      const { runEvents } = await import('./show-events.ts');
      const { follow = false } = flags;
      done(await untilStopped(follow, (signal) => runEvents({ ...reachOptions(flags), follow, signal }, output)));
    });
}

function overridesCommand({ program, output, done }: Cli): void {
  reachable(program.command('overrides'), true)
    .summary('list overrides and run-time weights, with who set them, why and until when')
    .description(
      'List what operators and schedules have changed at run time, oldest first: forced states, drains and weights.\n' +
        '"pharos auto TARGET" clears an override, "pharos weight TARGET auto" a weight.',
    )
    .addHelpText('after', example('pharos overrides', 'pharos overrides --json'))
    .action(async (flags: Flags) => {
      const { runOverrides } = await import('./list-overrides.ts');
      done(await runOverrides(reachOptions(flags), output));
    });
}

function fleetCommand({ program, output, done }: Cli): void {
  const fleet = reachable(program.command('fleet'))
    .summary('show the nodes of the fleet, and who sees what')
    .description(
      'Show the nodes of the fleet that a running server belongs to, and the targets on which they disagree.',
    )
    .option('--all', 'show the votes on every target')
    .addHelpText('after', example('pharos fleet', 'pharos fleet --api http://192.0.2.53:8053 --all'))
    .action(async (flags: Flags) => {
      const { runFleet } = await import('./fleet.ts');
      done(await runFleet({ ...reachOptions(flags), all: flags.all ?? false }, output));
    });
  reachable(fleet.command('forget'))
    .summary('forget a node that left for good')
    .description(
      'Forget NODE, which left the fleet for good: drains no longer wait for it. It comes back if it is heard again.',
    )
    .argument('<node>', 'its name, as pharos fleet shows it')
    .option('--local', 'change this node of a fleet alone, not all of them')
    .addHelpText('after', example('pharos fleet forget fra2'))
    // Options that `fleet` has too are read as those of `fleet`.
    .action(async (node: string, _: Flags, command: Command) => {
      const flags = command.optsWithGlobals<Flags>();
      const { forgetNode } = await import('./fleet.ts');
      done(await forgetNode(node, reachOptions(flags), output));
    });
}

const STOPPING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs a command. If it `lasts`, the signals that usually end a process end it with its own exit code. */
async function untilStopped(lasts: boolean, command: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const stopped = new AbortController();
  const stop = (): void => {
    stopped.abort();
  };
  if (lasts) for (const signal of STOPPING) process.once(signal, stop);
  try {
    return await command(stopped.signal);
  } finally {
    for (const signal of STOPPING) process.off(signal, stop);
  }
}
