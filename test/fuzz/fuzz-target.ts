/**
 * A fuzz target: one reader of octets from outside, how its input is made, and what must hold for every input.
 * `npm run fuzz` and the tests run targets; a failing input is kept as a file, which the tests replay.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';

/** What runs inputs, with what it needs for all of them, such as a server. */
export type Opened<Input> = {
  /** Throws if a property does not hold. */
  readonly run: (input: Input) => void | Promise<void>;
  readonly close?: () => void | Promise<void>;
};

export type FuzzTarget = {
  readonly name: string;
  /** Which readers it tries, for `npm run fuzz -- --list`. */
  readonly about: string;
  /** Inputs in a run of CI; `npm test` takes a quarter of them. */
  readonly trials: number;
  /** Inputs are data that JSON can keep, and Buffers. */
  readonly inputs: fc.Arbitrary<unknown>;
  readonly open: () => Opened<unknown> | Promise<Opened<unknown>>;
};

/** Makes a target whose `run` takes what `inputs` makes. */
export function fuzzTarget<Input>(
  target: Omit<FuzzTarget, 'inputs' | 'open'> & {
    readonly inputs: fc.Arbitrary<Input>;
    readonly open: () => Opened<Input> | Promise<Opened<Input>>;
  },
): FuzzTarget {
  return { ...target, open: async () => (await target.open()) as Opened<unknown> };
}

/**
 * CPU time that one input may take: an input that takes seconds blocks its thread for seconds. It is not wall time,
 * which depends on what else runs.
 */
const MAX_CPU_SECONDS = 5;

export type FuzzFailure = { readonly input: unknown; readonly error: string };
export type FuzzResult = { readonly inputs: number; readonly failure: FuzzFailure | undefined };

export type FuzzLimits = {
  readonly seed: number;
  readonly inputs: number;
  /** Ends earlier after this time. */
  readonly ms?: number;
};

/** Tries inputs until one fails; a failing one is then made as small as possible. */
export async function fuzz(target: FuzzTarget, { seed, inputs, ms }: FuzzLimits): Promise<FuzzResult> {
  const opened = await target.open();
  try {
    const property = fc.asyncProperty(target.inputs, (input) => tryInput(opened, input));
    const limits = ms === undefined ? {} : { interruptAfterTimeLimit: ms, markInterruptAsFailure: false };
    const { failed, counterexample, errorInstance, numRuns } = await fc.check(property, {
      seed,
      numRuns: inputs,
      ...limits,
    });
    if (!failed || counterexample === null) return { inputs: numRuns, failure: undefined };
    const error =
      errorInstance instanceof Error ? (errorInstance.stack ?? errorInstance.message) : String(errorInstance);
    return { inputs: numRuns, failure: { input: counterexample[0], error } };
  } finally {
    await opened.close?.();
  }
}

/** Runs one input; throws if a property does not hold. */
export async function tryInput(opened: Opened<unknown>, input: unknown): Promise<void> {
  const before = process.cpuUsage();
  await opened.run(input);
  const { user, system } = process.cpuUsage(before);
  const seconds = (user + system) / 1e6;
  if (seconds > MAX_CPU_SECONDS) throw new Error(`it took ${seconds.toFixed(1)} s of CPU time`);
}

/** The inputs that once failed: CRASHERS/TARGET/NAME.json. */
const CRASHERS = fileURLToPath(new URL('crashers/', import.meta.url));

/** A kept input; `error` is what it did when it was found. */
export type Crasher = { readonly file: string; readonly input: unknown };

export function crashersOf(target: string): readonly Crasher[] {
  const folder = join(CRASHERS, target);
  let names: string[];
  try {
    names = readdirSync(folder).sort();
  } catch {
    return [];
  }
  return names.map((name) => ({ file: name, input: readCrasher(readFileSync(join(folder, name), 'utf8')) }));
}

/** Keeps a failing input, and returns the path of its file. */
export function keepCrasher(target: string, { input, error }: FuzzFailure, seed: number): string {
  const text = JSON.stringify({ seed, error: error.split('\n').slice(0, 8), input }, undefined, 1);
  const folder = join(CRASHERS, target);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${createHash('sha256').update(JSON.stringify(input)).digest('hex').slice(0, 12)}.json`);
  writeFileSync(file, `${text}\n`);
  return file;
}

function readCrasher(text: string): unknown {
  const { input } = JSON.parse(text, (_key, value: unknown) => reviveBuffer(value)) as { readonly input: unknown };
  return input;
}

/** JSON has a Buffer as `{ type: 'Buffer', data: [...] }`. */
function reviveBuffer(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { type, data } = value as { readonly type?: unknown; readonly data?: unknown };
  return type === 'Buffer' && Array.isArray(data) ? Buffer.from(data as number[]) : value;
}
