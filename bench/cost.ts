/**
 * `node bench/cost.ts [--write | --record FOLDER]`: counts the instructions per query in `answer()`, for each of the
 * benchmark's cases and as their average. Fails if the average is more than a tenth above the committed figure;
 * `--write` writes the new figure. valgrind counts, so a slow or busy machine does not change the figure. It counts
 * only between the marks of replay.ts: not the start, not the compiler, not the copying of queries. `--record` writes
 * the input of replay.ts and counts nothing.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { rolldown } from 'rolldown';
import { scriptOptions } from '../test/support/script-options.ts';
import { findProgram } from '../test/support/server-process.ts';
import { recordReplay } from './record-replay.ts';
import { BATCH_QUERIES, COUNTED_BATCHES, saveReplay } from './replay.ts';

const HELP = `node bench/cost.ts [OPTION ...]
  --write          writes the new figure into cost.json
  --record FOLDER  writes the input of replay.ts there, and counts nothing
`;
const COMMITTED = new URL('cost.json', import.meta.url);
/** As it is installed. */
const ANSWERER = new URL('../dist/answerer.js', import.meta.url).href;
const TOLERANCE = 1.1;
/** One thread, which compiles at the same points of every run. */
const NODE_FLAGS = ['--single-threaded', '--predictable', '--random-seed=1', '--hash-seed=1'];
/** libc function that `mark` of replay.ts calls: valgrind writes what it counted since the previous call. */
const MARK = 'getppid';

const values = scriptOptions(HELP, { write: { type: 'boolean', default: false }, record: { type: 'string' } });
const valgrind = findProgram('valgrind');
if (values.record !== undefined) {
  mkdirSync(values.record, { recursive: true });
  saveReplay(values.record, recordReplay());
} else if (valgrind === undefined) console.log('cost: valgrind is not installed, nothing was counted');
else report(await countInstructions(valgrind));

function report(counts: ReadonlyMap<string, number>): void {
  const committed = JSON.parse(readFileSync(COMMITTED, 'utf8')) as { readonly instructions: number };
  const limit = Math.floor(committed.instructions * TOLERANCE);
  const instructions = Math.round([...counts.values()].reduce((sum, count) => sum + count, 0) / counts.size);
  const cases = [...counts].map(([name, count]) => `${name} ${Math.round(count)}`).join(', ');
  console.log(`cost: ${instructions} instructions a query (${cases})`);
  console.log(`cost: committed ${committed.instructions}, limit ${limit}`);
  if (values.write) {
    writeFileSync(COMMITTED, `${JSON.stringify({ instructions }, null, 2)}\n`);
  } else if (instructions > limit) {
    console.error('cost: answering has become dearer; see "Cost of a query" in bench/README.md');
    process.exitCode = 1;
  }
}

/**
 * As one file of JavaScript: where WebAssembly runs, such as the compiler of TypeScript, the engine checks before each
 * access whether an array is still there. It does not run in the threads of a server.
 */
async function bundleReplay(file: string): Promise<void> {
  const input = fileURLToPath(new URL('replay.ts', import.meta.url));
  const build = await rolldown({ input, platform: 'node', external: /^node:/ });
  await build.write({ file, format: 'esm' });
  await build.close();
}

/** Instructions per query of each case. */
async function countInstructions(valgrind: string): Promise<Map<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'pharos-cost-'));
  try {
    const input = recordReplay();
    saveReplay(folder, input);
    const program = join(folder, 'replay.mjs');
    await bundleReplay(program);
    const replay = [...NODE_FLAGS, program, folder, ANSWERER];
    const out = join(folder, 'counts');
    const tool = ['--tool=callgrind', `--dump-before=${MARK}`, '--combine-dumps=yes', `--callgrind-out-file=${out}`];
    await promisify(execFile)(valgrind, [...tool, process.execPath, ...replay], { maxBuffer: 1 << 26 });
    return countsOf(readFileSync(out, 'latin1'), input.cases);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The parts of the output alternate: before a mark, and the batches of one case between two marks. */
function countsOf(text: string, cases: readonly { readonly name: string }[]): Map<string, number> {
  const totals = [...text.matchAll(/^totals: (\d+)$/gm)].map(([, total]) => Number(total));
  const counted = totals.filter((_, index) => index % 2 === 1);
  if (counted.length < cases.length) throw new Error('valgrind counted nothing');
  return new Map(
    cases.map(({ name }, number) => {
      const rounds = counted.filter((_, index) => index % cases.length === number).sort((a, b) => a - b);
      // In a round where the engine does something else, such as collecting garbage, the count is higher.
      return [name, (rounds[rounds.length >> 1] ?? 0) / (COUNTED_BATCHES * BATCH_QUERIES)];
    }),
  );
}
