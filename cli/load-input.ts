/**
 * The input of `loadGeneration` for a command that runs in this process.
 */
import { availableParallelism } from 'node:os';
import type { LoadInput } from '../zones/load-generation.ts';

/** `config` as on the command line; undefined means the configuration of the current folder. */
export function loadInputFor(config: string | undefined): LoadInput {
  return { file: config, cwd: process.cwd(), env: process.env, cores: availableParallelism() };
}
