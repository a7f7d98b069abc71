/**
 * What `loadGeneration` is given for a command started in this process.
 */
import { availableParallelism } from 'node:os';
import type { LoadInput } from '../zones/load-generation.ts';

/** `config` as on the command line: undefined is the configuration of the folder that it is started in. */
export function loadInputFor(config: string | undefined): LoadInput {
  return { file: config, cwd: process.cwd(), env: process.env, cores: availableParallelism() };
}
