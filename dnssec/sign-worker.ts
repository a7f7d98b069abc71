/** The entry of a thread that makes signatures (sign-threads.ts). */
import { workerData } from 'node:worker_threads';
import { runJobs, type Batch } from './sign-jobs.ts';

runJobs(workerData as Batch);
