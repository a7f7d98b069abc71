/**
 * `beacon.json` in the state folder: the samples of users' browsers, one network per line.
 */
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { readRegularFile } from '../config/read-file.ts';
import { isRecord } from '../config/unknown-values.ts';
import type { BeaconSamples, SavedNetwork } from '../geo/beacon-samples.ts';
import { writeAtomically } from '../health/atomic-file.ts';
import { MAX_STATE_FILE_OCTETS } from '../health/limits.ts';

/** Its name in the state folder. */
export const BEACON_FILE = 'beacon.json';
/** Networks written per turn of the event loop. */
const NETWORKS_A_TURN = 200;

/** Samples of the last run. None if the file is missing; none, with a warning to `warn`, if it cannot be used. */
export function readBeaconFile(stateDir: string, warn: (message: string) => void): readonly SavedNetwork[] {
  const path = join(stateDir, BEACON_FILE);
  try {
    const parsed: unknown = JSON.parse(
      readRegularFile(path, { maxOctets: MAX_STATE_FILE_OCTETS }).octets.toString('utf8'),
    );
    const { version, networks } = (parsed ?? {}) as { readonly version?: unknown; readonly networks?: unknown };
    if (version === 1 && Array.isArray(networks)) return networks.filter(isSavedNetwork);
    throw new Error('it must have "version": 1 and "networks"');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      warn(`${path} cannot be used, so latency must be measured again: ${(error as Error).message}`);
    }
    return [];
  }
}

function isSavedNetwork(value: unknown): value is SavedNetwork {
  if (!isRecord(value)) return false;
  const { network, country, asn, samples } = value;
  return (
    typeof network === 'string' &&
    typeof country === 'string' &&
    typeof asn === 'number' &&
    isRecord(samples) &&
    Object.values(samples).every((list) => Array.isArray(list) && list.every(isSample))
  );
}

function isSample(value: unknown): boolean {
  return Array.isArray(value) && value.length === 3 && value.every((part) => Number.isFinite(part) && part >= 0);
}

/** Replaces the file atomically: it has either the old or the new content. Rejects with the system's error. */
export async function writeBeaconFile(stateDir: string, samples: BeaconSamples): Promise<void> {
  const lines: string[] = [];
  for (const network of samples.save()) {
    lines.push(JSON.stringify(network));
    if (lines.length % NETWORKS_A_TURN === 0) await setImmediate();
  }
  await writeAtomically(join(stateDir, BEACON_FILE), `{"version":1,"networks":[\n${lines.join(',\n')}\n]}\n`);
}
