/**
 * A target that accepts and resets, as a load balancer without servers does, passed a `tcp` check if this thread saw
 * the connection first and failed if it saw the reset first: its state changed by chance.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { runProbe } from '../../../health/checks/run-probe.ts';
import { never, tcpCheck } from '../../unit/health/support.ts';

/** In a separate thread, so that it resets while this thread is busy. */
const target = `
  const { parentPort } = require('node:worker_threads');
  const server = require('node:net').createServer((socket) => socket.resetAndDestroy());
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
`;

test('it connects, so it passes, whichever event is seen first', async () => {
  const worker = new Worker(target, { eval: true });
  try {
    const [port] = (await once(worker, 'message')) as [number];
    const reasons = new Set<string>();
    for (let round = 0; round < 40; round += 1) {
      const probing = runProbe({ host: '127.0.0.1', port }, tcpCheck({ timeoutMs: 5000 }), never);
      await new Promise((resolve) => setImmediate(resolve));
      const untilMs = performance.now() + (round % 2) * 5;
      while (performance.now() < untilMs);
      const { passed, reason } = await probing;
      expect(passed, reason).toBe(true);
      reasons.add(reason);
    }
    expect(reasons).toContain('connected, and reset at once');
  } finally {
    await worker.terminate();
  }
});
