/**
 * What outlives the process, in `state_dir`: last known states (health.json), overrides (overrides.json) and
 * weights set at run time (weights.json). `atomic-file.ts` writes them.
 */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { readRegularFile } from '../config/read-file.ts';
import { createWriter } from './atomic-file.ts';
import type { Clock } from './clock.ts';
import { MAX_STATE_FILE_OCTETS, STATE_DEBOUNCE_MS } from './limits.ts';

/** The last known state of a target. */
export type SavedState = {
  /** Where it was probed, `203.0.113.10:443`: the state is of that address and no other. */
  readonly address: string;
  readonly probed: 'up' | 'down';
  /** ISO 8601: since when. */
  readonly since: string;
  /** ISO 8601: since when it comes back to its full weight; undefined when it has it. */
  readonly rampSince?: string | undefined;
};

/** An override as it is kept. */
export type SavedOverride = {
  readonly target: string;
  readonly state: 'up' | 'down' | 'drain';
  readonly reason: string | undefined;
  /** ISO 8601: when it was set, and when it ends by itself. */
  readonly since: string;
  readonly until: string | undefined;
  readonly by: 'operator' | 'schedule';
  /** ISO 8601: when the last answer that names it expires; undefined while answers may name it. */
  readonly safeAt?: string | undefined;
};

/** A weight set at run time as it is kept. */
export type SavedWeight = {
  readonly target: string;
  /** 0 to 65535. */
  readonly weight: number;
  readonly reason: string | undefined;
  /** ISO 8601. */
  readonly since: string;
  readonly by: 'operator' | 'schedule';
};

export type StateStore = {
  /** Read when the store was opened. */
  readonly states: ReadonlyMap<string, SavedState>;
  readonly overrides: readonly SavedOverride[];
  readonly weights: readonly SavedWeight[];
  /** Soon; `states` is called when it is time. */
  saveStates(states: () => ReadonlyMap<string, SavedState>): void;
  /** At once; asked for them when it is time. Resolves when they are on the disk, with false when they could not be written. */
  saveOverrides(overrides: () => readonly SavedOverride[]): Promise<boolean>;
  /** The same for weights. */
  saveWeights(weights: readonly SavedWeight[]): Promise<boolean>;
  /** Writes that failed so far. */
  failures(): number;
  /** Writes what is waiting. */
  close(): Promise<void>;
};

/** Keeps nothing: for a server without a state directory, and for tests. */
export function openMemoryStore(): StateStore {
  return {
    states: new Map(),
    overrides: [],
    weights: [],
    saveStates: () => undefined,
    saveOverrides: () => Promise.resolve(true),
    saveWeights: () => Promise.resolve(true),
    failures: () => 0,
    close: () => Promise.resolve(),
  };
}

/**
 * Reads the files now; the directory is made when first written to. A file that cannot be used is told through
 * `warn`, put aside as `*.bad`, and counts as absent. Never throws.
 */
export function openStateStore(directory: string, clock: Clock, warn: (message: string) => void): StateStore {
  const statesFile = join(directory, 'health.json');
  const overridesFile = join(directory, 'overrides.json');
  const weightsFile = join(directory, 'weights.json');
  const states = new Map<string, SavedState>();
  for (const entry of readEntries(statesFile, 'targets', warn)) {
    const state = readState(entry);
    if (state === undefined) warn(`${statesFile}: left out an entry that is no state: ${excerpt(entry)}`);
    else states.set(state.target, state);
  }
  const overrides: SavedOverride[] = [];
  for (const entry of readEntries(overridesFile, 'overrides', warn)) {
    const override = readOverride(entry);
    if (override === undefined) warn(`${overridesFile}: left out an entry that is no override: ${excerpt(entry)}`);
    else overrides.push(override);
  }
  const weights: SavedWeight[] = [];
  for (const entry of readEntries(weightsFile, 'weights', warn)) {
    const weight = readWeight(entry);
    if (weight === undefined) warn(`${weightsFile}: left out an entry that is no weight: ${excerpt(entry)}`);
    else weights.push(weight);
  }
  const statesWriter = createWriter(statesFile, clock, warn);
  const overridesWriter = createWriter(overridesFile, clock, warn);
  const weightsWriter = createWriter(weightsFile, clock, warn);
  return {
    states,
    overrides,
    weights,
    saveStates(current) {
      statesWriter.later(STATE_DEBOUNCE_MS, () => {
        const targets = [...current()].map(([target, { address, probed, since, rampSince }]) => ({
          target,
          address,
          probed,
          since,
          rampSince,
        }));
        return format('targets', targets);
      });
    },
    saveOverrides: (current) => overridesWriter.now(() => format('overrides', current())),
    saveWeights: (current) => weightsWriter.now(() => format('weights', current)),
    failures: () => statesWriter.failures() + overridesWriter.failures() + weightsWriter.failures(),
    async close() {
      await Promise.all([statesWriter.close(), overridesWriter.close(), weightsWriter.close()]);
    },
  };
}

function format(name: string, entries: readonly unknown[]): string {
  const lines = entries.map((entry) => `    ${JSON.stringify(entry)}`).join(',\n');
  return `{\n  "version": 1,\n  "${name}": [${lines === '' ? '' : `\n${lines}\n  `}]\n}\n`;
}

/** The list in the file; empty when there is no file. */
function readEntries(file: string, name: string, warn: (message: string) => void): readonly unknown[] {
  try {
    const text = readRegularFile(file, { maxOctets: MAX_STATE_FILE_OCTETS }).octets.toString('utf8');
    const content: unknown = JSON.parse(text);
    if (!isRecord(content) || content['version'] !== 1) throw new Error('it does not say "version": 1');
    const entries = content[name];
    if (!Array.isArray(entries)) throw new Error(`it has no list "${name}"`);
    return entries;
  } catch (error) {
    if (isRecord(error) && error['code'] === 'ENOENT') return [];
    const aside = putAside(file);
    warn(`${file} cannot be used: ${messageOf(error)}; starting without it${aside}`);
    return [];
  }
}

function putAside(file: string): string {
  try {
    renameSync(file, `${file}.bad`);
    return `; it was put aside as ${file}.bad`;
  } catch (error) {
    return `; it could not be put aside: ${messageOf(error)}`;
  }
}

function readState(entry: unknown): (SavedState & { readonly target: string }) | undefined {
  if (!isRecord(entry)) return undefined;
  const { target, address, probed, since, rampSince } = entry;
  if (typeof target !== 'string' || typeof address !== 'string' || !isTime(since)) return undefined;
  if (probed !== 'up' && probed !== 'down') return undefined;
  return { target, address, probed, since, rampSince: isTime(rampSince) ? rampSince : undefined };
}

function readOverride(entry: unknown): SavedOverride | undefined {
  if (!isRecord(entry)) return undefined;
  const { target, state, reason, since, until, safeAt } = entry;
  if (typeof target !== 'string' || !isTime(since)) return undefined;
  if (state !== 'up' && state !== 'down' && state !== 'drain') return undefined;
  if (reason !== undefined && typeof reason !== 'string') return undefined;
  if (until !== undefined && !isTime(until)) return undefined;
  return { target, state, reason, since, until, by: authorOf(entry), safeAt: isTime(safeAt) ? safeAt : undefined };
}

function readWeight(entry: unknown): SavedWeight | undefined {
  if (!isRecord(entry)) return undefined;
  const { target, weight, reason, since } = entry;
  if (typeof target !== 'string' || !isTime(since)) return undefined;
  if (typeof weight !== 'number' || !Number.isInteger(weight) || weight < 0 || weight > 65_535) return undefined;
  if (reason !== undefined && typeof reason !== 'string') return undefined;
  return { target, weight, reason, since, by: authorOf(entry) };
}

/** Files of before schedules have no `by`. */
function authorOf({ by }: Record<string, unknown>): 'operator' | 'schedule' {
  return by === 'schedule' ? 'schedule' : 'operator';
}

function isTime(value: unknown): value is string {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function excerpt(entry: unknown): string {
  return JSON.stringify(entry).slice(0, 120);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
