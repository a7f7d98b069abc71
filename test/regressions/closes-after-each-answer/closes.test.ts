/**
 * A target that closes the connection after each answer, without announcing it, was always probed every `fast`: each
 * close was taken for the beginning of a crash.
 */
import { once } from 'node:events';
import * as net from 'node:net';
import { expect, test } from 'vitest';
import { overSocket } from '../../../health/connection.ts';
import { MAX_HARMLESS_CLOSES } from '../../../health/limits.ts';
import { createWatch } from '../../../health/watch.ts';
import { createManualClock, listen } from '../../unit/health/support.ts';

async function closing() {
  const clock = createManualClock();
  const ends: net.Socket[] = [];
  const served = await listen(net.createServer((socket) => ends.push(socket)));
  let lost = 0;
  const watch = createWatch(clock, () => (lost += 1), 10);
  /**
   * Makes one passed probe, whose connection the target closes after some time; returns how many probes that caused.
   */
  const close = async (idleMs: number): Promise<number> => {
    const before = lost;
    const socket = net.connect(served.port, '127.0.0.1');
    await once(socket, 'connect');
    await expect.poll(() => ends.length).toBe(1);
    watch.drop('k');
    watch.keep('k', overSocket(socket));
    await clock.advance(idleMs);
    ends.pop()?.end();
    await expect.poll(() => watch.size()).toBe(0);
    return lost - before;
  };
  const end = async (): Promise<void> => {
    watch.stop();
    await served.close();
  };
  return { watch, close, end, served, clock };
}

test('after a few harmless closes in a row the extra probes stop', async () => {
  const { close, end } = await closing();
  for (let index = 0; index <= MAX_HARMLESS_CLOSES; index += 1) expect(await close(5)).toBe(index < MAX_HARMLESS_CLOSES ? 1 : 0); // prettier-ignore
  for (let index = 0; index < 5; index += 1) expect(await close(5)).toBe(0);
  await end();
});

test('a close that comes sooner than any of these causes a probe, and so does any after a failure', async () => {
  const { close, end, watch } = await closing();
  for (let index = 0; index < MAX_HARMLESS_CLOSES; index += 1) await close(5000);
  expect([await close(5000), await close(3000)]).toEqual([0, 1]);
  watch.failed('k');
  expect(await close(5000)).toBe(1);
  await end();
});

test('one that stays open until the next probe resets the count', async () => {
  const { close, end, watch, served } = await closing();
  for (let index = 0; index < MAX_HARMLESS_CLOSES; index += 1) await close(5);
  const socket = net.connect(served.port, '127.0.0.1');
  await once(socket, 'connect');
  watch.keep('k', overSocket(socket));
  watch.drop('k');
  expect(watch.size()).toBe(0);
  await end();
});
