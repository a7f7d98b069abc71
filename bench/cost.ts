/**
 * `node bench/cost.ts [--write]`: counts the instructions per query in `answer()`, as an average over the benchmark's
 * cases. Fails if the count is more than a tenth above the committed figure; `--write` writes the new figure. valgrind
 * counts, so a slow or busy machine does not change the figure. The difference between a short run and a long one
 * excludes the cost of the start.
 */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { findProgram } from '../test/support/server-process.ts';
import { BATCH_QUERIES, REPLAYED } from './replay.ts';

const COMMITTED = new URL('cost.json', import.meta.url);
const TOLERANCE = 1.1;
/** Batches of each case: all code is compiled by the end of the short run. */
const SHORT = 400;
const LONG = 900;
/** One thread, which compiles at the same points of every run. */
const NODE_FLAGS = ['--single-threaded', '--predictable', '--random-seed=1', '--hash-seed=1'];

const { values } = parseArgs({ options: { write: { type: 'boolean' } } });
const valgrind = findProgram('valgrind');
if (valgrind === undefined) {
  console.log('cost: valgrind is not installed, nothing was counted');
} else {
  const [short, long] = await Promise.all([countInstructions(valgrind, SHORT), countInstructions(valgrind, LONG)]);
  const queries = (LONG - SHORT) * BATCH_QUERIES * REPLAYED.length;
  report(Math.round((long - short) / queries));
}

function report(instructions: number): void {
  const committed = JSON.parse(readFileSync(COMMITTED, 'utf8')) as { readonly instructions: number };
  const limit = Math.floor(committed.instructions * TOLERANCE);
  console.log(`cost: ${instructions} instructions a query; committed ${committed.instructions}, limit ${limit}`);
  if (values.write) {
    writeFileSync(COMMITTED, `${JSON.stringify({ instructions }, null, 2)}\n`);
  } else if (instructions > limit) {
    console.error('cost: answering has become dearer; see "What a query costs" in bench/README.md');
    process.exitCode = 1;
  }
}

/** Instructions of a whole process that answers this many batches of each case. */
async function countInstructions(program: string, batches: number): Promise<number> {
  const tool = ['--tool=cachegrind', '--cache-sim=no', '--cachegrind-out-file=/dev/null'];
  const replay = fileURLToPath(new URL('replay.ts', import.meta.url));
  const args = [...tool, process.execPath, ...NODE_FLAGS, replay, String(batches)];
  const { stderr } = await promisify(execFile)(program, args, { maxBuffer: 1 << 26 });
  const text = /I\s+refs:\s+([\d,]+)/.exec(stderr)?.[1];
  if (text === undefined) throw new Error(`valgrind counted nothing:\n${stderr}`);
  return Number(text.replaceAll(',', ''));
}
