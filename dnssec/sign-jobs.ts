/**
 * Signatures to make, in shared memory: any number of threads take jobs until none is left.
 *
 *     job      position and number of the octets to sign, number of the key
 *     output   a slot for each job: the signature, of the length that its key makes
 */
import type { KeyObject } from 'node:crypto';
import { ALGORITHMS } from './algorithms.ts';

/** A private key for another thread. */
export type JobKey = { readonly algorithm: number; readonly privateKey: KeyObject; readonly signatureOctets: number };

export type Batch = {
  readonly count: number;
  readonly keys: readonly JobKey[];
  /** CONTROL. */
  readonly control: Int32Array<SharedArrayBuffer>;
  /** JOB. */
  readonly jobs: Int32Array<SharedArrayBuffer>;
  readonly octets: Uint8Array<SharedArrayBuffer>;
  readonly output: Uint8Array<SharedArrayBuffer>;
  /** Octets of a slot. */
  readonly slotOctets: number;
};

const CONTROL = { NEXT: 0, DONE: 1, STOP: 2, WORDS: 4 } as const;
const JOB = { AT: 0, OCTETS: 1, KEY: 2, DONE: 3, WORDS: 4 } as const;
/** Jobs that a thread takes at once: some milliseconds of work. */
const SLICE = 64;

/** Jobs that are collected one by one. */
export type OpenJobs = { octets: Uint8Array; used: number; readonly jobs: number[] };

export function createOpenJobs(): OpenJobs {
  return { octets: new Uint8Array(4096), used: 0, jobs: [] };
}

export function countJobs({ jobs }: OpenJobs): number {
  return jobs.length / 3;
}

/** Adds a job that signs `octets[from...end]` with the key of this number. */
export function addJob(open: OpenJobs, octets: Uint8Array, from: number, end: number, key: number): void {
  const length = end - from;
  if (open.used + length > open.octets.length) {
    const larger = new Uint8Array(Math.max(open.octets.length * 2, open.used + length));
    larger.set(open.octets.subarray(0, open.used));
    open.octets = larger;
  }
  open.octets.set(octets.subarray(from, end), open.used);
  open.jobs.push(open.used, length, key);
  open.used += length;
}

export function batchOf(open: OpenJobs, keys: readonly JobKey[]): Batch {
  const count = countJobs(open);
  const slotOctets = Math.max(1, ...keys.map(({ signatureOctets }) => signatureOctets));
  const jobs = new Int32Array(new SharedArrayBuffer(count * JOB.WORDS * 4));
  for (let job = 0; job < count; job++) {
    jobs[job * JOB.WORDS + JOB.AT] = open.jobs[job * 3] ?? 0;
    jobs[job * JOB.WORDS + JOB.OCTETS] = open.jobs[job * 3 + 1] ?? 0;
    jobs[job * JOB.WORDS + JOB.KEY] = open.jobs[job * 3 + 2] ?? 0;
  }
  const octets = new Uint8Array(new SharedArrayBuffer(open.used));
  octets.set(open.octets.subarray(0, open.used));
  return {
    ...{ count, keys, jobs, octets, slotOctets },
    control: new Int32Array(new SharedArrayBuffer(CONTROL.WORDS * 4)),
    output: new Uint8Array(new SharedArrayBuffer(count * slotOctets)),
  };
}

/** Takes jobs and signs until none is left. Runs in any thread. */
export function runJobs(batch: Batch): void {
  const { control, count } = batch;
  for (;;) {
    const first = Atomics.add(control, CONTROL.NEXT, SLICE);
    if (first >= count || Atomics.load(control, CONTROL.STOP) !== 0) return;
    for (let job = first; job < Math.min(count, first + SLICE); job++) signJob(batch, job);
    Atomics.notify(control, CONTROL.DONE);
  }
}

function signJob({ keys, control, jobs, octets, output, slotOctets }: Batch, job: number): void {
  const at = jobs[job * JOB.WORDS + JOB.AT] ?? 0;
  const key = keys[jobs[job * JOB.WORDS + JOB.KEY] ?? 0];
  const algorithm = key && ALGORITHMS.get(key.algorithm);
  if (!algorithm) throw new RangeError('a job names an unknown key');
  const data = octets.subarray(at, at + (jobs[job * JOB.WORDS + JOB.OCTETS] ?? 0));
  output.set(algorithm.sign(data, key.privateKey), job * slotOctets);
  if (Atomics.exchange(jobs, job * JOB.WORDS + JOB.DONE, 1) === 0) Atomics.add(control, CONTROL.DONE, 1);
}

/** Number of jobs that are done. */
export function jobsDone({ control }: Batch): number {
  return Atomics.load(control, CONTROL.DONE);
}

/** Makes the threads stop at the next slice. */
export function stopJobs({ control }: Batch): void {
  Atomics.store(control, CONTROL.STOP, 1);
}

/** Waits for other threads. Signs what they did not finish in time. */
export function finishJobs(batch: Batch): void {
  const { control, count, jobs } = batch;
  for (let done = jobsDone(batch); done < count; done = jobsDone(batch)) {
    if (Atomics.wait(control, CONTROL.DONE, done, SLOW_MS) !== 'timed-out' || jobsDone(batch) > done) continue;
    for (let job = 0; job < count; job++) {
      if (Atomics.load(jobs, job * JOB.WORDS + JOB.DONE) === 0) signJob(batch, job);
    }
  }
}

/** A slice takes some milliseconds, or with large RSA keys some hundred. */
const SLOW_MS = 5000;

/** The signature of a job that is done: a view. */
export function signatureOf({ keys, jobs, output, slotOctets }: Batch, job: number): Uint8Array {
  const at = job * slotOctets;
  const octets = keys[jobs[job * JOB.WORDS + JOB.KEY] ?? 0]?.signatureOctets ?? 0;
  return output.subarray(at, at + octets);
}
