/**
 * `npm run bench:answer`: measures `answer()` alone, one batch of queries at a time. For daily work; the published
 * figures are those of `npm run bench`.
 */
import { test } from 'vitest';
import { recordReplay } from './record-replay.ts';
import { BATCH_QUERIES, createReplays } from './replay.ts';

/** As it is installed. */
const ANSWERER = new URL('../dist/answerer.js', import.meta.url).href;

test(`${BATCH_QUERIES} queries`, async ({ bench }) => {
  for (const { name, fill, answer } of await createReplays(recordReplay(), ANSWERER)) {
    await bench(name, () => {
      fill();
      answer();
    }).run();
  }
}, 60_000);
