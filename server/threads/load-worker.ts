/**
 * The compile thread: reads, checks, compiles, posts the outcome, ends.
 */
import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import type { LoadInput } from '../../zones/load-generation.ts';
import { allocateShared } from '../libc.ts';
import type { FromLoadThread } from './load-thread.ts';

// Answering threads come first. Only on Linux is a priority a thread's own; elsewhere it would be the whole server's.
if (process.platform === 'linux') setPriority(0, constants.priority.PRIORITY_LOW);

const post = (message: FromLoadThread): void => {
  parentPort?.postMessage(message);
};

// Not before: reading these modules is a good part of a short reload.
const [{ announceReads }, { loadGeneration }, { packGeneration }] = [
  await import('../../config/read-file.ts'),
  await import('../../zones/load-generation.ts'),
  await import('../../zones/packed-generation.ts'),
];
announceReads((path) => {
  post({ kind: 'reading', path });
});
const outcome = loadGeneration(workerData as LoadInput, allocateShared);
if (outcome.ok) {
  const value = { ...outcome.value, packed: packGeneration(outcome.value) };
  post({ kind: 'done', outcome: { ...outcome, value } });
} else {
  post({ kind: 'done', outcome });
}
