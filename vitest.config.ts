import { defineConfig } from 'vitest/config';

// Unit tests need nothing but Node.js; the others start servers and run dig, so they get more time.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/regressions/**/*.test.ts'],
          // Nothing here takes long; a busy machine may.
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/{integration,conformance,fuzz}/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
