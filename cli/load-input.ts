/**
 * The input of `loadGeneration` for a command that runs in this process.
 */
import { availableParallelism } from 'node:os';
import { userCacheFolder } from '../config/cache-entry.ts';
import type { LoadInput } from '../zones/load-generation.ts';
import { readVersion } from './version.ts';

/**
 * `config` as on the command line; undefined means the configuration of the current folder. Only a server may write
 * into `state_dir`.
 */
export function loadInputFor(config: string | undefined, { keepsInState = false } = {}): LoadInput {
  const cache = { user: userCacheFolder(process.env), keepsInState, version: readVersion() };
  return { file: config, cwd: process.cwd(), env: process.env, cores: availableParallelism(), cache };
}
