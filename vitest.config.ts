import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { PATIENCE_MS, TEST_MS } from './test/support/patience.ts';

// The processes of tests keep compiled modules here, as `bin/pharos` does.
process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(new URL('node_modules/.cache/node', import.meta.url));
// Commands and servers of tests keep compiled atlases here, not in the cache folder of the user.
const env = { XDG_CACHE_HOME: fileURLToPath(new URL('node_modules/.cache/xdg', import.meta.url)) };
const patience = { testTimeout: TEST_MS, hookTimeout: TEST_MS, expect: { poll: { timeout: PATIENCE_MS } } };

/** Node.js loads the modules, as it does for the server: faster than Vite, and its compile cache works. */
const native = { experimental: { viteModuleRunner: false } };
/** One process per worker runs all of its files, and loads each module once: tests must leave nothing behind in it. */
const shared = { ...native, isolate: false };

/** Servers and clients of these tests wait more than they compute, so two more files than two cores run at a time. */
const together = { maxWorkers: 4, sequence: { groupOrder: 2 } };

/**
 * Regressions come last: many short files, which keep all workers busy until the end. Vitest would end with system
 * tests, of which even a small file may take half a minute.
 */
class ShortFilesLast extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isShort = ({ project }: TestSpecification): number => Number(project.name === 'regressions');
    return (await super.sort(files)).sort((a, b) => isShort(a) - isShort(b));
  }
}

// Unit tests need nothing but Node.js. Regressions and system tests start servers and run dig.
export default defineConfig({
  test: {
    sequence: { sequencer: ShortFilesLast },
    projects: [
      {
        test: {
          ...patience,
          name: 'unit',
          env,
          include: ['test/unit/**/*.test.ts'],
          ...shared,
          // Each waits for a tenth of its time: for timers, and for processes that it starts.
          maxWorkers: Math.ceil(availableParallelism() * 1.5),
          sequence: { groupOrder: 1 },
          benchmark: { include: [] },
        },
      },
      {
        test: {
          ...patience,
          ...shared,
          name: 'regressions',
          env,
          include: ['test/regressions/**/*.test.ts'],
          ...together,
          benchmark: { include: [] },
        },
      },
      {
        // Comparisons and random input: they need time, and none of them depends on it.
        test: {
          ...patience,
          ...shared,
          name: 'conformance',
          env,
          include: ['test/{conformance,fuzz}/**/*.test.ts'],
          ...together,
          benchmark: { include: [] },
        },
      },
      {
        test: {
          ...patience,
          ...shared,
          name: 'system',
          env,
          include: ['test/{integration,browser}/**/*.test.ts'],
          ...together,
          benchmark: { include: [] },
        },
      },
      {
        test: {
          name: 'bench',
          include: [],
          benchmark: { include: ['bench/*.bench.ts'] },
          // Vite's way makes every import of one module from another a call.
          ...native,
        },
      },
    ],
  },
});
