import { defineConfig } from 'vitest/config';

// Unit tests need nothing but Node.js. Regressions and system tests start servers and run dig, so they get more time.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          // Nothing here takes long; a busy machine may.
          testTimeout: 30_000,
          benchmark: { include: [] },
        },
      },
      {
        test: {
          name: 'regressions',
          include: ['test/regressions/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          benchmark: { include: [] },
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/{integration,conformance,fuzz,browser}/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          benchmark: { include: [] },
        },
      },
      {
        test: {
          name: 'bench',
          include: [],
          benchmark: { include: ['bench/*.bench.ts'] },
          // As the server loads its modules: Vite's way makes every import of one from another a call.
          experimental: { viteModuleRunner: false },
        },
      },
    ],
  },
});
