/**
 * Guided runs: libFuzzer changes octets, which are read as choices of an input. It keeps octets that reach code that
 * none reached before, in .fuzz/TARGET/kept, and changes them further; a later run begins with them.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fuzz, type FuzzFailure, type FuzzTarget } from '../fuzz-target.ts';
import { inputFrom, onlyInput } from './octet-choices.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const ALL = new URL('../all-targets.ts', import.meta.url).href;
const PROCESS = fileURLToPath(new URL('guided-process.ts', import.meta.url));

export type GuidedLimits = {
  readonly seed: number;
  /** The run ends after this number of inputs; without it, after this time (1 minute by default). */
  readonly inputs?: number | undefined;
  readonly minutes?: number | undefined;
  /** Where octets are kept. */
  readonly folder?: string;
  /** The module that has the target in its `TARGETS`. */
  readonly module?: string;
};
export type GuidedResult = {
  readonly inputs: number;
  /** Places in the code that inputs reached: the kept ones at the start, and all at the end. */
  readonly reached: readonly [number, number];
  readonly failure: FuzzFailure | undefined;
};

/** Runs a target, with 1 GiB of memory. Throws if the process cannot start. */
export async function runGuided(
  target: FuzzTarget,
  { seed, inputs, minutes, folder = join(ROOT, '.fuzz', target.name), module = ALL }: GuidedLimits,
): Promise<GuidedResult> {
  const kept = join(folder, 'kept');
  const log = join(folder, 'log');
  mkdirSync(kept, { recursive: true });
  for (const name of failuresIn(folder)) rmSync(join(folder, name));
  const errors = openSync(log, 'w');
  const { status } = spawnSync(
    process.execPath,
    [
      ...['--max-old-space-size=1024', PROCESS, module, target.name, folder, kept],
      // libFuzzer takes 0 as no seed.
      `-seed=${Math.max(1, seed)}`,
      inputs === undefined ? `-max_total_time=${Math.ceil((minutes ?? 1) * 60)}` : `-runs=${inputs}`,
      `-artifact_prefix=${folder}/`,
      ...['-len_control=0', '-max_len=1024', '-rss_limit_mb=0', '-timeout=300', '-report_slow_units=300'],
    ],
    { cwd: ROOT, stdio: ['ignore', 'ignore', errors] },
  );
  closeSync(errors);
  const text = readFileSync(log, 'latin1');
  // Octets that fail are in two files: the end of the process is a failure to libFuzzer too.
  const failures = failuresIn(folder);
  const name = failures.includes('failed') ? 'failed' : failures[0];
  if (status !== 0 && name === undefined) throw new Error(`the process of ${target.name} ended: ${text.slice(-800)}`);
  const reached = [...text.matchAll(/^#\d+\s+\w+\s+cov: (\d+)/gm)].map(([, places]) => Number(places));
  return {
    inputs: Number([...text.matchAll(/^#(\d+)/gm)].at(-1)?.[1] ?? 0),
    reached: [reached[0] ?? 0, reached.at(-1) ?? 0],
    failure: name === undefined ? undefined : await failureOf(target, readFileSync(join(folder, name)), name, text),
  };
}

/** Files with octets that failed: those of guided-process.ts, and those of libFuzzer when the process ends or hangs. */
function failuresIn(folder: string): readonly string[] {
  return readdirSync(folder).filter((name) => /^(failed|(crash|timeout|oom)-[0-9a-f]+)$/.test(name));
}

/** Makes the input of octets that failed as small as possible, unless it may end this process too. */
async function failureOf(target: FuzzTarget, octets: Buffer, file: string, log: string): Promise<FuzzFailure> {
  const inputs = onlyInput(target.inputs, octets);
  const again = file === 'failed' ? await fuzz({ ...target, inputs }, { seed: 0, inputs: 1 }) : undefined;
  return (
    again?.failure ?? {
      input: inputFrom(target.inputs, octets).value,
      error: `the process ended: ${log.match(/^.*ERROR.*$/gm)?.join('\n') ?? file}`,
    }
  );
}
