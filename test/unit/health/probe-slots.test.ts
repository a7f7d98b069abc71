import { expect, test } from 'vitest';
import { createProbeSlots } from '../../../health/probe-slots.ts';
import { never, turns as settle } from './support.ts';

test('as many as there are at once, the others in the order they came', async () => {
  const turns = createProbeSlots(2);
  const started: number[] = [];
  const take = (id: number, signal = never) =>
    turns.take(signal).then((release) => {
      started.push(id);
      return release;
    });
  const [first, , third] = [take(1), take(2), take(3), take(4)] as const;
  await settle();
  expect(started).toEqual([1, 2]);
  expect(turns.load()).toEqual({ taken: 2, waiting: 2 });
  const release = await first;
  release();
  // Given back twice it is one turn all the same.
  release();
  await settle();
  expect(started).toEqual([1, 2, 3]);
  (await third)();
  await settle();
  expect(started).toEqual([1, 2, 3, 4]);
  expect(turns.load()).toEqual({ taken: 2, waiting: 0 });
});

test('who is cancelled while waiting is passed over', async () => {
  const turns = createProbeSlots(1);
  const release = await turns.take(never);
  const controller = new AbortController();
  const cancelled = turns.take(controller.signal);
  const next = turns.take(never);
  controller.abort(new Error('no longer'));
  await expect(cancelled).rejects.toThrow('no longer');
  release();
  await expect(next).resolves.toBeTypeOf('function');
  await expect(turns.take(AbortSignal.abort(new Error('never was')))).rejects.toThrow('never was');
  expect(turns.load()).toEqual({ taken: 1, waiting: 0 });
});
