/**
 * The packet path allocates nothing per query. Measured in a separate process, so that nothing else is in the heap.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { LONG_TESTS } from '../../../support/random.ts';

test.runIf(LONG_TESTS)('200,000 queries of each kind leave nothing on the heap', async () => {
  const script = fileURLToPath(new URL('./answer-allocation.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', script]);
  const octets = JSON.parse(stdout) as Record<string, number>;
  expect(Object.keys(octets)).toHaveLength(16);
  // A number on the heap takes 12 octets per query, the smallest object 16. V8 counts by pages of 256 KiB: 1.3 octets
  // per query each, whatever filled them.
  for (const [kind, each] of Object.entries(octets)) expect(each, kind).toBeLessThan(6);
});
