/**
 * Command lines of the commands for a running server: `status`, `fleet`, `drain`, `up`, `down`, `auto`, `weight`, `reload`.
 */
import type { Command } from 'commander';
import type { StateOptions } from './control.ts';
import type { Output } from './output.ts';

type Flags = {
  readonly api?: string | readonly string[];
  readonly token?: string;
  readonly config?: string;
  readonly json?: boolean;
  readonly for?: string;
  readonly reason?: string;
  readonly wait?: boolean;
  readonly force?: boolean;
  readonly watch?: boolean;
  readonly all?: boolean;
  readonly local?: boolean;
  readonly interval: string;
};

/** The program, and what its commands write to. */
type Cli = {
  readonly program: Command;
  readonly output: Output;
  /** Takes the exit code. */
  readonly done: (code: number) => void;
  /** Makes the last part of a help text. */
  readonly example: (...lines: readonly string[]) => string;
};

const LOCAL = 'change this node of a fleet alone, not all of them';
const TARGET = 'www.example.com/seoul-a, www.example.com/@seoul or @seoul';

export function controlCommands(cli: Cli): void {
  statusCommand(cli);
  fleetCommand(cli);
  for (const state of ['drain', 'up', 'down'] as const) overrideCommand(cli, state);
  autoCommand(cli);
  weightCommand(cli);
  reloadCommand(cli);
}

function statusCommand({ program, output, done, example }: Cli): void {
  reachable(program.command('status'))
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
      const stopped = new AbortController();
      const stop = (): void => {
        stopped.abort();
      };
      const { watch = false } = flags;
      const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
      if (watch) for (const signal of signals) process.once(signal, stop);
      const screen = watch && process.stdout.isTTY ? openScreen(process.stdout) : undefined;
      const options = { ...common(flags), service, watch, intervalMs, screen, signal: stopped.signal };
      done(await runStatus(options, output));
      for (const signal of signals) process.off(signal, stop);
    });
}

const SUMMARY = {
  drain: 'remove a VIP or region from DNS answers, and say when it is safe to stop',
  up: 'force a VIP or region up, regardless of its health checks',
  down: 'force a VIP or region down, regardless of its health checks',
} as const;

function overrideCommand({ program, output, done, example }: Cli, state: keyof typeof SUMMARY): void {
  const command = reachable(program.command(state), true)
    .summary(SUMMARY[state])
    .description(
      state === 'drain'
        ? 'Remove TARGET from DNS answers, and say when cached answers that name it expire.'
        : `Force TARGET ${state}, regardless of its health checks. The checks continue.`,
    )
    .argument('<target>', TARGET)
    .option('--for <duration>', 'how long, such as 30m (default: until "pharos auto")')
    .option('--reason <text>', 'shown in status, log and events')
    .option('--local', LOCAL);
  if (state === 'drain') {
    command
      .option('--wait', 'wait until it is safe to stop')
      .option('--force', 'drain although no other VIP of a service is available');
  }
  command
    .addHelpText(
      'after',
      state === 'drain'
        ? example('pharos drain www.example.com/seoul-a --for 30m --reason "new kernel"', 'pharos drain @seoul --wait')
        : example(`pharos ${state} www.example.com/seoul-a --for 30m --reason "the check is wrong"`),
    )
    .action(async (target: string, flags: Flags) => {
      const { forceState } = await import('./control.ts');
      done(await forceState(target, state, ofState(flags), output));
    });
}

function autoCommand({ program, output, done, example }: Cli): void {
  reachable(program.command('auto'), true)
    .summary('clear an override: health checks decide again')
    .description('Clear the override of TARGET that drain, up or down has set. Its health checks decide again.')
    .argument('<target>', TARGET)
    .option('--local', LOCAL)
    .addHelpText('after', example('pharos auto www.example.com/seoul-a'))
    .action(async (target: string, flags: Flags) => {
      const { giveBack } = await import('./control.ts');
      done(await giveBack(target, common(flags), output));
    });
}

function weightCommand({ program, output, done, example }: Cli): void {
  reachable(program.command('weight'), true)
    .summary('change a weight at run time, or use the weight of the zone file again')
    .description('Set the weight of TARGET. It takes precedence over the zone file, also after reloads and restarts.')
    .argument('<target>', TARGET)
    .argument('<weight>', '0 (standby) to 65535, or auto for the weight of the zone file')
    .option('--reason <text>', 'shown in status, log and events')
    .option('--local', LOCAL)
    .addHelpText(
      'after',
      example('pharos weight www.example.com/canary 10', 'pharos weight www.example.com/canary auto'),
    )
    .action(async (target: string, weight: string, flags: Flags) => {
      const { setWeight } = await import('./control.ts');
      done(await setWeight(target, weight, ofState(flags), output));
    });
}

function reloadCommand({ program, output, done, example }: Cli): void {
  reachable(program.command('reload'))
    .summary('read the configuration files again: all or nothing')
    .description(
      'Make the server read its files again. If there is a mistake in them, it is shown and nothing changes.',
    )
    .option('--force', 'accept that a zone is gone, or loses more records than reload.max_shrink allows')
    .addHelpText('after', example('pharos reload', 'pharos reload --force'))
    .action(async (flags: Flags) => {
      const { reload } = await import('./control.ts');
      done(await reload({ ...common(flags), force: flags.force ?? false }, output));
    });
}

/** `several`: the command may be sent to more than one server. */
function reachable(command: Command, several = false): Command {
  const words = "the server's status address (default: that of the configuration, else http://127.0.0.1:8053)";
  const collect = (url: string, before: readonly string[] = []): readonly string[] => [...before, url];
  return (
    several
      ? command.option('--api <url>', `${words}; give it several times for several servers`, collect)
      : command.option('--api <url>', words)
  )
    .option('--token <token>', "the server's status.token (default: PHAROS_TOKEN, else that of the configuration)")
    .option('--config <file>', "the server's configuration (default: ./pharos.yaml if it exists)")
    .option('--json', 'print the reply of the API');
}

function fleetCommand({ program, output, done, example }: Cli): void {
  reachable(program.command('fleet'))
    .summary('show the nodes of the fleet, and who sees what')
    .description(
      'Show the nodes of the fleet that a running server belongs to, and the targets on which they disagree.',
    )
    .option('--all', 'show the votes on every target')
    .addHelpText('after', example('pharos fleet', 'pharos fleet --api http://192.0.2.53:8053 --all'))
    .action(async (flags: Flags) => {
      const { runFleet } = await import('./fleet.ts');
      done(await runFleet({ ...common(flags), all: flags.all ?? false }, output));
    });
}

function common({
  api,
  token,
  config,
  json = false,
  local = false,
}: Flags): Omit<StateOptions, 'forText' | 'reason' | 'wait'> {
  const [first, ...alsoApis] = api === undefined ? [] : [api].flat();
  return { api: first, alsoApis, token, config, json, local, cwd: process.cwd(), env: process.env };
}

function ofState(flags: Flags): StateOptions {
  return {
    ...common(flags),
    forText: flags.for,
    reason: flags.reason,
    wait: flags.wait ?? false,
    force: flags.force ?? false,
  };
}
