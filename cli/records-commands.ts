/**
 * Command lines of `pharos records`.
 */
import type { Command } from 'commander';
import { example, type Cli } from './options.ts';
import { reachable, reachOptions, type ReachFlags } from './reachable.ts';
import type { ChangeOptions } from './records.ts';

type Flags = ReachFlags & {
  readonly dynamic?: boolean;
  readonly ttl: string;
  readonly add?: boolean;
  readonly serial?: string;
  readonly dryRun?: boolean;
};

export function recordsCommands(cli: Cli): void {
  const { program, output, done } = cli;
  const records = program
    .command('records')
    .summary('list and change records while the server runs')
    .description('List and change the records of a zone while the server runs, and write such changes into its file.')
    .addHelpText(
      'after',
      example('pharos records list example.com', 'pharos records set example.com www A 192.0.2.1 --ttl 5m'),
    );
  const add = (name: string, summary: string, description: string): Command =>
    reachable(
      records.command(name).summary(summary).description(description).argument('<zone>', 'such as example.com'),
    );
  const changing = (command: Command): Command =>
    command
      .argument('<name>', 'relative to the zone, or absolute; @ is the zone itself')
      .argument('<type>', 'such as A or TXT')
      .option('--serial <serial>', 'change only if the zone has this serial')
      .option('--dry-run', 'show what would change, and change nothing');
  const optionsOf = (zone: string, name: string, type: string, flags: Flags): ChangeOptions => ({
    ...reachOptions(flags),
    ...{ zone, name, type, serial: flags.serial, dryRun: flags.dryRun ?? false },
  });

  add('list', 'list records, those of files and dynamic ones', 'List the records of a zone: of its files, and dynamic.')
    .argument('[name]', 'only this name')
    .argument('[type]', 'only this type')
    .option('--dynamic', 'only dynamic records')
    .addHelpText('after', example('pharos records list example.com', 'pharos records list example.com www A'))
    .action(async (zone: string, name: string | undefined, type: string | undefined, flags: Flags) => {
      const { showRecords } = await import('./records.ts');
      const { dynamic: onlyDynamic = false } = flags;
      done(await showRecords({ ...reachOptions(flags), zone, name, type, onlyDynamic }, output));
    });
  changing(
    add(
      'set',
      'set the records of a name and type',
      'Set the records of a name and type, in place of those that it has. Done when they are on the disk and served.',
    ),
  )
    .argument('<data...>', 'each record in presentation format')
    .option('--ttl <duration>', 'such as 60 or 5m', '300')
    .option('--add', 'keep the records that the name and type has')
    .addHelpText(
      'after',
      example(
        'pharos records set example.com www A 192.0.2.1 192.0.2.2 --ttl 5m',
        'pharos records set --ttl 60 --add -- example.com _acme-challenge TXT "$TOKEN"',
      ),
    )
    .action(async (zone: string, name: string, type: string, data: readonly string[], flags: Flags) => {
      const { setRecords } = await import('./records.ts');
      const { ttl, add: keeps = false } = flags;
      done(await setRecords({ ...optionsOf(zone, name, type, flags), data, ttl, keeps }, output));
    });
  changing(
    add('delete', 'delete the records of a name and type', 'Delete the records of a name and type, or some of them.'),
  )
    .argument('[data...]', 'only these records')
    .addHelpText('after', example('pharos records delete example.com _acme-challenge TXT'))
    .action(async (zone: string, name: string, type: string, data: readonly string[], flags: Flags) => {
      const { deleteRecords } = await import('./records.ts');
      done(await deleteRecords({ ...optionsOf(zone, name, type, flags), data }, output));
    });
  add(
    'adopt',
    "write dynamic records into the zone's file",
    'Write the dynamic records of a zone into its YAML file, which keeps its comments, and make the server reload.\n' +
      'The journal then no longer has them. Run it where the files are.',
  )
    .option('--dry-run', 'show how the file would change, and change nothing')
    .addHelpText('after', example('pharos records adopt example.com --dry-run', 'pharos records adopt example.com'))
    .action(async (zone: string, flags: Flags) => {
      const { adoptRecords } = await import('./adopt-records.ts');
      done(await adoptRecords({ ...reachOptions(flags), zone, dryRun: flags.dryRun ?? false }, output));
    });
}
