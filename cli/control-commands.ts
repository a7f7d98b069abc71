/**
 * Command lines of the commands that change a running server: `drain`, `up`, `down`, `auto`, `weight`, `reload`.
 */
import type { StateOptions } from './control.ts';
import { example, type Cli } from './options.ts';
import { reachable, reachOptions, type ReachFlags } from './reachable.ts';

type Flags = ReachFlags & {
  readonly for?: string;
  readonly reason?: string;
  readonly wait?: boolean;
  readonly force?: boolean;
  readonly dryRun?: boolean;
};

const LOCAL = 'change this node of a fleet alone, not all of them';
const DRY_RUN = 'show which clients would move, and change nothing';
const TARGET = 'www.example.com/seoul-a, www.example.com/@seoul or @seoul';

export function controlCommands(cli: Cli): void {
  for (const state of ['drain', 'up', 'down'] as const) overrideCommand(cli, state);
  autoCommand(cli);
  weightCommand(cli);
  reloadCommand(cli);
}

const SUMMARY = {
  drain: 'remove a VIP or region from DNS answers, and say when it is safe to stop',
  up: 'force a VIP or region up, regardless of its health checks',
  down: 'force a VIP or region down, regardless of its health checks',
} as const;

function overrideCommand({ program, output, done }: Cli, state: keyof typeof SUMMARY): void {
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
    .option('--local', LOCAL)
    .option('--dry-run', DRY_RUN);
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

function autoCommand({ program, output, done }: Cli): void {
  reachable(program.command('auto'), true)
    .summary('clear an override: health checks decide again')
    .description('Clear the override of TARGET that drain, up or down has set. Its health checks decide again.')
    .argument('<target>', TARGET)
    .option('--reason <text>', 'shown in log and events')
    .option('--local', LOCAL)
    .option('--dry-run', DRY_RUN)
    .addHelpText('after', example('pharos auto www.example.com/seoul-a'))
    .action(async (target: string, flags: Flags) => {
      const { giveBack } = await import('./control.ts');
      done(await giveBack(target, ofState(flags), output));
    });
}

function weightCommand({ program, output, done }: Cli): void {
  reachable(program.command('weight'), true)
    .summary('change a weight at run time, or use the weight of the zone file again')
    .description('Set the weight of TARGET. It takes precedence over the zone file, also after reloads and restarts.')
    .argument('<target>', TARGET)
    .argument('<weight>', '0 (standby) to 65535, or auto for the weight of the zone file')
    .option('--reason <text>', 'shown in status, log and events')
    .option('--local', LOCAL)
    .option('--dry-run', DRY_RUN)
    .addHelpText(
      'after',
      example('pharos weight www.example.com/canary 10', 'pharos weight www.example.com/canary auto'),
    )
    .action(async (target: string, weight: string, flags: Flags) => {
      const { setWeight } = await import('./control.ts');
      done(await setWeight(target, weight, ofState(flags), output));
    });
}

function reloadCommand({ program, output, done }: Cli): void {
  reachable(program.command('reload'), true)
    .summary('read the configuration files again: all or nothing')
    .description(
      'Make the server read its files again. If there is a mistake in them, it is shown and nothing changes.',
    )
    .option('--force', 'accept that a zone is gone, or loses more records than reload.max_shrink allows')
    .addHelpText('after', example('pharos reload', 'pharos reload --force'))
    .action(async (flags: Flags) => {
      const { reload } = await import('./control.ts');
      done(await reload({ ...reachOptions(flags), force: flags.force ?? false }, output));
    });
}

function ofState(flags: Flags): StateOptions {
  return {
    ...reachOptions(flags),
    forText: flags.for,
    reason: flags.reason,
    wait: flags.wait ?? false,
    force: flags.force ?? false,
    dryRun: flags.dryRun ?? false,
  };
}
