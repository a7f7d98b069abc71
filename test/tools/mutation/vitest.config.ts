import { defineConfig } from 'vitest/config';
import { TEST_MS } from '../../support/patience.ts';

// The tests of one group, loaded as the project `unit` of ../../../vitest.config.ts loads them.
export default defineConfig({
  test: {
    testTimeout: TEST_MS,
    hookTimeout: TEST_MS,
    include: ['test/tools/mutation/all-tests.ts'],
    runner: 'test/tools/mutation/kept-tests.ts',
    experimental: { viteModuleRunner: false },
    benchmark: { include: [] },
  },
});
