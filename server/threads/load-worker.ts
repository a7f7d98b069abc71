/**
 * The compile thread: reads, checks, compiles, posts the outcome, ends.
 */
import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import type { LoadInput } from '../../zones/load-generation.ts';
import { allocateShared } from '../io/libc.ts';

// Whoever answers comes first. Only on Linux is a priority a thread's own; elsewhere it would be the whole server's.
if (process.platform === 'linux') setPriority(0, constants.priority.PRIORITY_LOW);

// Not before: reading these modules is a good part of a short reload.
const { loadGeneration } = await import('../../zones/load-generation.ts');
parentPort?.postMessage(loadGeneration(workerData as LoadInput, allocateShared));
