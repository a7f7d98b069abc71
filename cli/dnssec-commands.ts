/**
 * Command lines of `pharos dnssec`.
 */
import type { Command } from 'commander';
import { example, type Cli } from './options.ts';
import type { DnssecOptions } from './signed-zone.ts';

type Flags = { readonly config?: string; readonly json?: boolean };
type StatusFlags = Flags & { readonly api?: string; readonly token?: string };
type RollFlags = Flags & { readonly zsk?: boolean; readonly algorithm?: string };
type RetireFlags = Flags & { readonly parent?: string; readonly server?: readonly string[] };
type ImportFlags = Flags & { readonly zsk?: boolean };

export function dnssecCommands({ program, output, done }: Cli): void {
  const dnssec = program
    .command('dnssec')
    .summary('show and change the keys of a signed zone')
    .description('Show and change the keys of a zone that Pharos signs (dnssec: in the zone file).')
    .addHelpText('after', example('pharos dnssec status example.com', 'pharos dnssec ds example.com'));
  const add = (name: string, summary: string, description: string): Command =>
    dnssec
      .command(name)
      .summary(summary)
      .description(description)
      .argument('<zone>', 'such as example.com')
      .option('--config <file>', 'configuration file (default: ./pharos.yaml if it exists)');
  const optionsOf = (zone: string, { config, json = false }: Flags): DnssecOptions => ({ zone, config, json });

  add(
    'status',
    'show the keys and their states',
    'Show the keys of a zone and their states. In a fleet, asks the server whether CDS is published.',
  )
    .option('--json', 'print as JSON')
    .option('--api <url>', 'status address of the server of a fleet (default: that of the configuration)')
    .option('--token <token>', 'token of that server (default: PHAROS_TOKEN, else that of the configuration)')
    .addHelpText('after', example('pharos dnssec status example.com'))
    .action(async (zone: string, { api, token, ...flags }: StatusFlags) => {
      const { dnssecStatus } = await import('./dnssec.ts');
      done(await dnssecStatus({ ...optionsOf(zone, flags), api, token }, output));
    });
  add('ds', 'print the DS records for the parent', 'Print the DS records that the parent zone must have.')
    .option('--json', 'print as JSON')
    .addHelpText('after', example('pharos dnssec ds example.com'))
    .action(async (zone: string, flags: Flags) => {
      const { dnssecDs } = await import('./dnssec.ts');
      done(dnssecDs(optionsOf(zone, flags), output));
    });
  add(
    'roll',
    'begin a key roll: make a new key',
    'Begin a key roll: make a new key, by default for the DS at the parent. Prints what to do next.',
  )
    .option('--json', 'print as JSON')
    .option('--zsk', 'roll the zone signing key')
    .option('--algorithm <name>', 'change the algorithm of all keys, such as ed25519')
    .addHelpText('after', example('pharos dnssec roll example.com'))
    .action(async (zone: string, flags: RollFlags) => {
      const { dnssecRoll } = await import('./dnssec-roll.ts');
      done(dnssecRoll({ ...optionsOf(zone, flags), zsk: flags.zsk ?? false, algorithm: flags.algorithm }, output));
    });
  add(
    'retire',
    'end a key roll: the old key leaves the zone',
    'End a key roll. Asks the parent for its DS, and secondaries for the new key. Refuses what is not safe yet.',
  )
    .argument('<key>', 'key tag or file name of the old key')
    .option('--json', 'print as JSON')
    .option('--parent <address>', 'name server to ask for the DS (default: those of the parent)')
    .option('--server <address...>', 'more name servers of the zone that must have the new key')
    .addHelpText('after', example('pharos dnssec retire example.com 12345'))
    .action(async (zone: string, key: string, flags: RetireFlags) => {
      const { dnssecRetire } = await import('./dnssec-retire.ts');
      const { parent, server: servers = [] } = flags;
      done(await dnssecRetire({ ...optionsOf(zone, flags), key, parent, servers }, output));
    });
  add(
    'import',
    'take over key files of another signer',
    'Copy keys, so that a signed zone moves in with them: files of BIND (K*.private, K*.key) or of Knot (*.pem).',
  )
    .argument('<files...>', 'the .private or .key file of each pair, or .pem files')
    .option('--json', 'print as JSON')
    .option('--zsk', 'keys in .pem files are zone signing keys (flags 256)')
    .addHelpText('after', example('pharos dnssec import example.com Kexample.com.+013+12345.private'))
    .action(async (zone: string, files: readonly string[], flags: ImportFlags) => {
      const { dnssecImport } = await import('./dnssec.ts');
      done(dnssecImport({ ...optionsOf(zone, flags), files, zsk: flags.zsk ?? false }, output));
    });
}
