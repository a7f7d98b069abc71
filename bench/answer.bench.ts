/**
 * `npm run bench:answer`: measures `answer()` alone, one batch of queries at a time. For daily work; the published
 * figures are those of `npm run bench`.
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
