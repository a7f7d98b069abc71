/**
 * Loads in the compile thread, so that nothing else waits. Imports no reader, compiler or database: they live
 * and die with that thread, and so does the memory they take.
 */
import { Worker } from 'node:worker_threads';
import type { Outcome } from '../../zones/catalog.ts';
import type { LoadedGeneration, LoadInput } from '../../zones/load-generation.ts';

/** `loadGeneration` in a thread that ends with it. Rejects only where the thread itself fails. */
export function loadInThread(input: LoadInput): Promise<Outcome<LoadedGeneration>> {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const { env, ...rest } = input;
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(`./load-worker${extension}`, import.meta.url), {
      workerData: { ...rest, env: { ...env } },
    });
    let outcome: Outcome<LoadedGeneration> | undefined;
    worker.once('message', (message: Outcome<LoadedGeneration>) => {
      outcome = message;
    });
    worker.once('error', reject);
    // Not before its end: only then is its memory free.
    worker.once('exit', () => {
      if (outcome) resolve(outcome);
      else reject(new Error('the thread that reads the configuration ended without a result'));
    });
  });
}
