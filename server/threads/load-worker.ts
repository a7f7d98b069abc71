/**
 * The compile thread. It reads, checks and compiles the configuration, posts the outcome, and ends.
 */
import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { allocateShared } from '../../config/libc.ts';
import type { LoadInput } from '../../zones/load-generation.ts';
import type { FromLoadThread } from './load-thread.ts';

// Answering threads come first. Only Linux has a priority per thread; elsewhere this would apply to the whole server.
if (process.platform === 'linux') setPriority(0, constants.priority.PRIORITY_LOW);

const post = (message: FromLoadThread): void => {
  parentPort?.postMessage(message);
};

// Imported after the priority is set: loading these modules is a large part of a short reload.
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
