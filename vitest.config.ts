import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Commands and servers of tests keep compiled atlases here, not in the cache folder of the user.
const env = { XDG_CACHE_HOME: fileURLToPath(new URL('node_modules/.cache/xdg', import.meta.url)) };

// Unit tests need nothing but Node.js. Regressions and system tests start servers and run dig, so they get more time.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          env,
          include: ['test/unit/**/*.test.ts'],
          // Nothing here takes long; a busy machine may.
          testTimeout: 30_000,
          // Files share one process per core and its modules, so a unit test must leave nothing behind.
          isolate: false,
          // Node.js loads the modules, as it does for the server: faster than Vite, and its compile cache works.
          experimental: { viteModuleRunner: false },
          maxWorkers: '100%',
          benchmark: { include: [] },
        },
      },
      {
        test: {
          name: 'regressions',
          env,
          include: ['test/regressions/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          benchmark: { include: [] },
        },
      },
      {
        test: {
          name: 'system',
          env,
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
