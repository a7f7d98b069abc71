/**
 * A target that accepts and resets, as a load balancer without servers does, passed a `tcp` check if this thread saw
 * the connection first and failed if it saw the reset first: its state changed by chance.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { runProbe } from '../../../health/checks/run-probe.ts';
import { PATIENCE_MS } from '../../support/patience.ts';
import { never, tcpCheck } from '../../unit/health/support.ts';

/** In a separate thread, so that it resets while this thread is busy. */
const target = `
  const { parentPort } = require('node:worker_threads');
  const server = require('node:net').createServer((socket) => socket.resetAndDestroy());
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
`;

const RESET = 'connected, and reset at once';

test('it connects, so it passes, whichever event is seen first', async () => {
  const worker = new Worker(target, { eval: true });
  try {
    const [port] = (await once(worker, 'message')) as [number];
    const reasons = new Set<string>();
    for (let round = 0; round < 40 || !reasons.has(RESET); round += 1) {
      const probing = runProbe({ host: '127.0.0.1', port }, tcpCheck({ timeoutMs: PATIENCE_MS }), never);
      await new Promise((resolve) => setImmediate(resolve));
      // Longer and longer: on a busy machine the other thread is not at once on a processor.
      const untilMs = performance.now() + (round % 2) * Math.min(500, 5 * 1.05 ** round);
      while (performance.now() < untilMs);
      const { passed, reason } = await probing;
      expect(passed, reason).toBe(true);
      reasons.add(reason);
    }
  } finally {
    await worker.terminate();
  }
});
