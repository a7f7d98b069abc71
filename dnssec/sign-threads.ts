/**
 * Makes signatures in several threads. A thread that starts these threads passes its priority on to them.
 */
import { Worker } from 'node:worker_threads';
import { countJobs, batchOf, finishJobs, jobsDone, runJobs, stopJobs, type Batch, type JobKey, type OpenJobs } from './sign-jobs.ts'; // prettier-ignore

const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './sign-worker.ts' : './sign-worker.js', import.meta.url);

/** Fewer are made by the calling thread alone: a thread takes some 30 ms to start. */
const LEAST_JOBS = 4000;
/** More threads gain little: one thread collects the jobs and uses the signatures. */
const MOST_THREADS = 16;

function startThreads(batch: Batch, threads: number, ended?: () => void): readonly Worker[] {
  return Array.from({ length: Math.min(threads, MOST_THREADS) }, () => {
    const worker = new Worker(ENTRY, { name: 'sign', workerData: batch });
    // The jobs of a thread that fails are done by `finishJobs`.
    worker.on('error', () => undefined);
    if (ended) worker.on('exit', ended);
    worker.unref();
    return worker;
  });
}

/** Makes all signatures, and returns when they are there. */
export function signNow(open: OpenJobs, keys: readonly JobKey[], cores: number): Batch {
  const batch = batchOf(open, keys);
  const threads = countJobs(open) < LEAST_JOBS ? [] : startThreads(batch, cores - 1);
  runJobs(batch);
  finishJobs(batch);
  for (const thread of threads) void thread.terminate();
  return batch;
}

export type BackgroundSigning = { readonly stop: () => void };

const LOOK_EVERY_MS = 250;

/** Makes signatures while the calling thread does other work. `done` is called when all are there. */
export function signInBackground(
  batch: Batch,
  cores: number,
  { progress, done }: { readonly progress: (made: number) => void; readonly done: () => void },
): BackgroundSigning {
  let running = 0;
  const threads = startThreads(batch, Math.max(1, cores - 1), () => running--);
  running = threads.length;
  const timer = setInterval(() => {
    progress(jobsDone(batch));
    if (jobsDone(batch) < batch.count && running > 0) return;
    clearInterval(timer);
    finishJobs(batch);
    done();
  }, LOOK_EVERY_MS);
  return {
    stop: () => {
      clearInterval(timer);
      stopJobs(batch);
      for (const thread of threads) void thread.terminate();
    },
  };
}
