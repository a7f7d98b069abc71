/**
 * Options of the commands for running servers: which servers, and how their replies are printed.
 */
import type { Command } from 'commander';
import type { ControlOptions } from './control.ts';
import { collect } from './options.ts';

/** What commander reads. `api` is a list if the command takes several servers. */
export type ReachFlags = {
  readonly api?: string | readonly string[];
  readonly token?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly config?: string;
  readonly json?: boolean;
  readonly local?: boolean;
};

/** Adds the options. `several`: the command may be sent to more than one server. */
export function reachable(command: Command, several = false): Command {
  const words = "the server's status address (default: that of the configuration, else http://127.0.0.1:8053)";
  return (
    several
      ? command.option('--api <url>', `${words}; give it several times for several servers`, collect)
      : command.option('--api <url>', words)
  )
    .option('--token <token>', "the server's status.token (default: PHAROS_TOKEN, else that of the configuration)")
    .option('--ca <file>', 'the authorities that verify an https server (default: PHAROS_CA, else those of the system)')
    .option('--cert <file>', 'a client certificate for https (default: PHAROS_CERT)')
    .option('--key <file>', 'its key (default: PHAROS_KEY)')
    .option('--config <file>', "the server's configuration (default: ./pharos.yaml if it exists)")
    .option('--json', 'print the reply of the API');
}

/** The options of a command made by `reachable`, with the folder and the environment of this process. */
export function reachOptions({
  api,
  token,
  ca,
  cert,
  key,
  config,
  json = false,
  local = false,
}: ReachFlags): ControlOptions & { readonly local: boolean } {
  const [first, ...alsoApis] = api === undefined ? [] : [api].flat();
  return {
    api: first,
    alsoApis,
    token,
    tls: { ca, cert, key },
    config,
    json,
    local,
    cwd: process.cwd(),
    env: process.env,
  };
}
