/**
 * Command lines of `pharos dnssec`.
 */
import type { Command } from 'commander';
import type { DnssecOptions } from './dnssec.ts';
import { example, type Cli } from './options.ts';

type Flags = { readonly config?: string; readonly json?: boolean; readonly parent?: string };

export function dnssecCommands({ program, output, done }: Cli): void {
  const dnssec = program
    .command('dnssec')
    .summary('show and change the keys of a signed zone')
    .description('Show and change the keys of a zone that Pharos signs (dnssec: in the zone file).');
  const add = (name: string, summary: string, description: string): Command =>
    dnssec
      .command(name)
      .summary(summary)
      .description(description)
      .argument('<zone>', 'such as example.com')
      .option('--config <file>', 'configuration file (default: ./pharos.yaml if it exists)');
  const optionsOf = (zone: string, { config, json = false }: Flags): DnssecOptions => ({ zone, config, json });

  add('status', 'show the keys and their states', 'Show the keys of a zone and their states.')
    .option('--json', 'print as JSON')
    .addHelpText('after', example('pharos dnssec status example.com'))
    .action(async (zone: string, flags: Flags) => {
      const { dnssecStatus } = await import('./dnssec.ts');
      done(dnssecStatus(optionsOf(zone, flags), output));
    });
  add('ds', 'print the DS records for the parent', 'Print the DS records that the parent zone must have.')
    .option('--json', 'print as JSON')
    .addHelpText('after', example('pharos dnssec ds example.com'))
    .action(async (zone: string, flags: Flags) => {
      const { dnssecDs } = await import('./dnssec.ts');
      done(dnssecDs(optionsOf(zone, flags), output));
    });
  add('roll', 'make a new key that signs beside the present one', 'Begin a key roll. Prints what to do next.')
    .addHelpText('after', example('pharos dnssec roll example.com'))
    .action(async (zone: string, flags: Flags) => {
      const { dnssecRoll } = await import('./dnssec.ts');
      done(dnssecRoll(optionsOf(zone, flags), output));
    });
  add(
    'retire',
    'end a key roll: the old key leaves the zone',
    'End a key roll. Asks for the DS records at the parent, and refuses what is not safe yet.',
  )
    .argument('<tag>', 'key tag of the old key')
    .option('--parent <address>', "name server to ask for the DS (default: this machine's resolver)")
    .addHelpText('after', example('pharos dnssec retire example.com 12345'))
    .action(async (zone: string, tag: string, flags: Flags) => {
      const { dnssecRetire } = await import('./dnssec.ts');
      done(await dnssecRetire({ ...optionsOf(zone, flags), tag, parent: flags.parent }, output));
    });
  add(
    'import',
    'take over key files of another signer',
    'Copy pairs of key files of BIND (K*.key and K*.private), so that a signed zone moves in with its keys.',
  )
    .argument('<files...>', 'the .private or .key file of each pair')
    .addHelpText('after', example('pharos dnssec import example.com Kexample.com.+013+12345.private'))
    .action(async (zone: string, files: readonly string[], flags: Flags) => {
      const { dnssecImport } = await import('./dnssec.ts');
      done(dnssecImport({ ...optionsOf(zone, flags), files }, output));
    });
}
