/**
 * `npm run bench:answer`: `answer()` alone, a batch of queries at a time. For daily work; the figures that count are
 * those of `npm run bench`.
 */
import { test } from 'vitest';
import { BATCH_QUERIES, createReplays } from './replay.ts';

test(`${BATCH_QUERIES} queries`, async ({ bench }) => {
  for (const { name, fill, answer } of createReplays()) {
    await bench(name, () => {
      fill();
      answer();
    }).run();
  }
}, 60_000);
