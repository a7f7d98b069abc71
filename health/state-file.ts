/**
 * The state in `state_dir` that outlives the process: last known states (health.json), overrides (overrides.json) and
 * weights set at run time (weights.json). `atomic-file.ts` writes the files.
 */
import { copyFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { createAlarms, type Alarms } from '../config/alarms.ts';
import { MAX_FLAP_CHANGES } from '../config/limits.ts';
import { plainText } from '../config/plain-text.ts';
import { readRegularFile } from '../config/read-file.ts';
import { codeOf, isRecord, messageOf } from '../config/unknown-values.ts';
import { createWriter, type Writer } from './atomic-file.ts';
import type { Clock } from './clock.ts';
import { MAX_STATE_FILE_OCTETS, STATE_DEBOUNCE_MS } from './limits.ts';

/** The suffix of a file that could not be used at a start. It is kept for an operator to inspect. */
export const BAD = '.bad';

/** The last known state of a target. */
export type SavedState = {
  /** Where it was probed, `203.0.113.10:443`: the state is of that address and no other. */
  readonly address: string;
  readonly probed: 'up' | 'down';
  /** ISO 8601: since when. */
  readonly since: string;
  /** ISO 8601: when its ramp began; undefined if it does not ramp. */
  readonly rampSince?: string | undefined;
  /** ISO 8601: its last changes, where its check has `flap`, and until when it is held down. */
  readonly changes?: readonly string[] | undefined;
  readonly heldUntil?: string | undefined;
};

/**
 * The author of an order: an operator, a schedule, or in a fleet an operator of this node alone. An author does not
 * replace the order of a later one in `AUTHORS`.
 */
export type OrderAuthor = (typeof AUTHORS)[number];
export const AUTHORS = ['schedule', 'operator', 'node'] as const;

/** An override as it is kept. */
export type SavedOverride = {
  readonly target: string;
  readonly state: 'up' | 'down' | 'drain';
  readonly reason: string | undefined;
  /** ISO 8601: when it was set, and when it ends by itself. */
  readonly since: string;
  readonly until: string | undefined;
  readonly by: OrderAuthor;
  /** The name of the operator or program that gave the order; undefined if it is not known. */
  readonly who?: string | undefined;
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
  readonly by: OrderAuthor;
  readonly who?: string | undefined;
};

export type StateStore = {
  /** Read when the store was opened. */
  readonly states: ReadonlyMap<string, SavedState>;
  readonly overrides: readonly SavedOverride[];
  readonly weights: readonly SavedWeight[];
  /** Saves soon. `states` is called when the write starts. */
  saveStates(states: () => ReadonlyMap<string, SavedState>): void;
  /** Saves at once. `overrides` is called when the write starts. Resolves when it is done; with false if it failed. */
  saveOverrides(overrides: () => readonly SavedOverride[]): Promise<boolean>;
  /** The same for weights. */
  saveWeights(weights: readonly SavedWeight[]): Promise<boolean>;
  /** Writes that failed so far. */
  failures(): number;
  /** Makes the writes that are still waiting. */
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
 * Reads the files now; the directory is created by the first write. A file that cannot be used counts as absent, and an
 * entry that cannot be used is left out. Both raise the alarm `state_lost`, and the file as it was is kept as `*.bad`.
 * Never throws.
 */
export function openStateStore(directory: string, clock: Clock, alarms: Alarms = createAlarms()): StateStore {
  const at = (name: string): Source => ({ file: join(directory, name), alarms });
  const [statesAt, overridesAt, weightsAt] = [at('health.json'), at('overrides.json'), at('weights.json')];
  const states = new Map<string, SavedState>();
  for (const state of readEntries(statesAt, 'targets', readState)) states.set(state.target, state);
  const overrides = readEntries(overridesAt, 'overrides', readOverride);
  const weights = readEntries(weightsAt, 'weights', readWeight);
  const [statesWriter, overridesWriter, weightsWriter] = [statesAt, overridesAt, weightsAt].map(({ file }) =>
    createWriter(file, { clock, alarms }),
  ) as [Writer, Writer, Writer];
  return {
    states,
    overrides,
    weights,
    saveStates(current) {
      statesWriter.later(STATE_DEBOUNCE_MS, () => {
        const targets = [...current()].map(([target, state]) => ({ target, ...state }));
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

type Source = {
  readonly file: string;
  readonly alarms: Alarms;
};

/** The list in the file, as far as `read` understands it; empty when there is no file. */
function readEntries<Entry>(source: Source, name: string, read: (entry: unknown) => Entry | undefined): Entry[] {
  const { file } = source;
  let entries: readonly unknown[];
  try {
    const text = readRegularFile(file, { maxOctets: MAX_STATE_FILE_OCTETS }).octets.toString('utf8');
    const content: unknown = JSON.parse(text);
    if (!isRecord(content) || content['version'] !== 1) throw new Error('it does not say "version": 1');
    const list = content[name];
    if (!Array.isArray(list)) throw new Error(`it has no list "${name}"`);
    entries = list;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    tellLost(source, `${file} cannot be used: ${messageOf(error)}. Pharos started without it`);
    return [];
  }
  const good = entries.map(read).filter((entry) => entry !== undefined);
  const bad = entries.filter((entry) => read(entry) === undefined);
  if (bad.length > 0) {
    const count = bad.length === 1 ? '1 entry' : `${String(bad.length)} entries`;
    const what = `${file}: left out ${count} of "${name}" that cannot be used, such as ${excerpt(bad[0])}`;
    tellLost(source, what, copyFileSync);
  }
  return good;
}

/** Keeps a file that cannot be used as `*.bad`, and raises `state_lost`. `what`: a sentence without its final dot. */
export function tellLost(
  { file, alarms }: Source,
  what: string,
  keep: (from: string, to: string) => void = renameSync,
): void {
  const bad = `${file}${BAD}`;
  let kept = `The file is kept as ${bad}`;
  try {
    keep(file, bad);
  } catch (error) {
    kept = `The file could not be kept as ${bad}: ${messageOf(error)}`;
  }
  alarms.raise('state_lost', plainText(`${what}. ${kept}`), file);
}

function readState(entry: unknown): (SavedState & { readonly target: string }) | undefined {
  if (!isRecord(entry)) return undefined;
  const { target, address, probed, since, rampSince, changes, heldUntil } = entry;
  if (typeof target !== 'string' || typeof address !== 'string' || !isTime(since)) return undefined;
  if (probed !== 'up' && probed !== 'down') return undefined;
  return {
    target: plainText(target),
    address,
    probed,
    since,
    rampSince: isTime(rampSince) ? rampSince : undefined,
    changes: Array.isArray(changes) ? changes.filter(isTime).slice(-MAX_FLAP_CHANGES) : undefined,
    heldUntil: isTime(heldUntil) ? heldUntil : undefined,
  };
}

function readOverride(entry: unknown): SavedOverride | undefined {
  if (!isRecord(entry)) return undefined;
  const { target, state, reason, since, until, safeAt } = entry;
  if (typeof target !== 'string' || !isTime(since)) return undefined;
  if (state !== 'up' && state !== 'down' && state !== 'drain') return undefined;
  if (reason !== undefined && typeof reason !== 'string') return undefined;
  if (until !== undefined && !isTime(until)) return undefined;
  return {
    target: plainText(target),
    state,
    reason: reason === undefined ? undefined : plainText(reason),
    since,
    until,
    by: authorOf(entry),
    who: whoOf(entry),
    safeAt: isTime(safeAt) ? safeAt : undefined,
  };
}

function readWeight(entry: unknown): SavedWeight | undefined {
  if (!isRecord(entry)) return undefined;
  const { target, weight, reason, since } = entry;
  if (typeof target !== 'string' || !isTime(since)) return undefined;
  if (typeof weight !== 'number' || !Number.isInteger(weight) || weight < 0 || weight > 65_535) return undefined;
  if (reason !== undefined && typeof reason !== 'string') return undefined;
  const plainReason = reason === undefined ? undefined : plainText(reason);
  return { target: plainText(target), weight, reason: plainReason, since, by: authorOf(entry), who: whoOf(entry) };
}

/** Files from before Pharos had schedules have no `by`. */
function authorOf({ by }: Record<string, unknown>): OrderAuthor {
  return AUTHORS.find((author) => author === by) ?? 'operator';
}

function whoOf({ who }: Record<string, unknown>): string | undefined {
  return typeof who === 'string' ? plainText(who) : undefined;
}

function isTime(value: unknown): value is string {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value));
}

function excerpt(entry: unknown): string {
  return JSON.stringify(entry).slice(0, 120);
}
