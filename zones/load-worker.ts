/**
 * The compile thread: reads, checks, compiles, posts the outcome, ends.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { loadGeneration, type LoadInput } from './load.ts';

parentPort?.postMessage(loadGeneration(workerData as LoadInput));
