/**
 * Names outside the zones that aliases lead to: the addresses that were found last, which `aliases.json` in the state
 * folder keeps over restarts.
 */
import { join } from 'node:path';
import { readRegularFile } from '../config/read-file.ts';
import { isRecord } from '../config/unknown-values.ts';
import { MAX_STATE_FILE_OCTETS } from '../health/limits.ts';
import { parseAddress } from '../wire/address.ts';
import { MAX_TTL_SECONDS } from '../wire/limits.ts';

/** The addresses of a name, sorted, as text. */
export type ForeignAddresses = {
  readonly a: readonly string[];
  readonly aaaa: readonly string[];
  readonly ttlSeconds: number;
  /** When they were found, in milliseconds since 1970. */
  readonly foundAtMs: number;
};

/** By name, in canonical text. */
export type ForeignNames = ReadonlyMap<string, ForeignAddresses>;

/** Its name in the state folder. */
export const FOREIGN_FILE = 'aliases.json';

/** The addresses of the last run. None if the file is missing; none, with a warning to `warn`, if it cannot be used. */
export function readForeignNames(stateDir: string, warn: (message: string) => void): ForeignNames {
  const path = join(stateDir, FOREIGN_FILE);
  try {
    const parsed: unknown = JSON.parse(
      readRegularFile(path, { maxOctets: MAX_STATE_FILE_OCTETS }).octets.toString('utf8'),
    );
    const { version, names } = (parsed ?? {}) as { readonly version?: unknown; readonly names?: unknown };
    if (version !== 1 || !isRecord(names)) throw new Error('it must have "version": 1 and "names"');
    return new Map(Object.entries(names).flatMap(([name, value]) => (isAddresses(value) ? [[name, value]] : [])));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      warn(`${path} cannot be used, so the names of aliases must be resolved again: ${(error as Error).message}`);
    }
    return new Map();
  }
}

export function formatForeignNames(names: ForeignNames): string {
  const lines = [...names].map(([name, addresses]) => `${JSON.stringify(name)}: ${JSON.stringify(addresses)}`);
  return `{"version": 1, "names": {\n${lines.join(',\n')}\n}}\n`;
}

function isAddresses(value: unknown): value is ForeignAddresses {
  if (!isRecord(value)) return false;
  const { a, aaaa, ttlSeconds, foundAtMs } = value;
  const isTtl = Number.isInteger(ttlSeconds) && Number(ttlSeconds) >= 0 && Number(ttlSeconds) <= MAX_TTL_SECONDS;
  return isList(a, 4) && isList(aaaa, 16) && isTtl && Number.isFinite(foundAtMs);
}

function isList(value: unknown, octets: number): boolean {
  return (
    Array.isArray(value) && value.every((text) => typeof text === 'string' && parseAddress(text)?.length === octets)
  );
}
