/**
 * Runs tests with random input many times, each time with a new seed, and prints how to repeat what failed:
 * `npm run hammer -- [--rounds N] [--minutes N] [--seed N] [--trials N] [FILE ...]`. Without files: all unit tests that
 * print a seed. `--trials 10` tries ten times as many cases with each seed, which costs less than ten seeds.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    minutes: { type: 'string' },
    seed: { type: 'string' },
    trials: { type: 'string' },
  },
});

/** A number of the command line: more than 0. Ends the process with 2 otherwise. */
function amount(name: keyof typeof values, unsaid: number): number {
  const text = values[name];
  const value = Number(text ?? unsaid);
  if (value > 0) return value;
  console.error(`hammer: invalid number "${text}" for --${name}`);
  process.exit(2);
}

const trials = String(amount('trials', 1));
/** More trials take longer, also on a machine that has other work. */
const PATIENT = ['--testTimeout=3600000', '--hookTimeout=3600000'];

/** What `--reporter=json` writes, as far as it is read here. */
type Report = {
  readonly testResults: readonly {
    readonly name: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
};
type Failure = { readonly file: string; readonly test: string; readonly why: string; readonly seed: number };

/** Without PHAROS_SEED these tests always have the same seed: with another, some fail by chance. */
const FIXED = /printedSeed\([^()]*, [\d_]+\)/;
const textOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const files =
  positionals.length > 0
    ? positionals
    : readdirSync(join(ROOT, 'test/unit'), { recursive: true, encoding: 'utf8' })
        .map((path) => join('test/unit', path))
        .filter((file) => file.endsWith('.test.ts') && /printedSeed|PHAROS_SEED/.test(textOf(file)))
        .filter((file) => !FIXED.test(textOf(file)));

/** One run of all files with a seed. */
async function round(seed: number, folder: string): Promise<Failure[]> {
  const json = join(folder, `${seed}.json`);
  const child = spawn(
    process.execPath,
    [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--reporter=json', `--outputFile=${json}`, '--maxWorkers=1', ...PATIENT, ...files],
    { cwd: ROOT, env: { ...process.env, PHAROS_SEED: String(seed), PHAROS_TRIALS: trials }, stdio: ['ignore', 'ignore', 'pipe'] },
  ); // prettier-ignore
  let said = '';
  child.stderr.on('data', (text: Buffer) => (said += text.toString()));
  await once(child, 'close');
  let report: Report;
  try {
    report = JSON.parse(readFileSync(json, 'utf8')) as Report;
  } catch {
    throw new Error(`vitest wrote no report:\n${said}`);
  }
  return report.testResults.flatMap(({ name, message = '', assertionResults }): Failure[] => {
    const file = relative(ROOT, name);
    const failed = assertionResults.filter(({ status }) => status === 'failed');
    if (assertionResults.length === 0) return [{ file, test: '', why: message, seed }];
    return failed.map(({ fullName, failureMessages = [] }) => ({ file, test: fullName, why: failureMessages.join('\n'), seed })); // prettier-ignore
  });
}

// Other work on the machine comes first; the tests inherit this.
setPriority(10);
const folder = mkdtempSync(join(tmpdir(), 'pharos-hammer-'));
process.once('exit', () => {
  rmSync(folder, { recursive: true, force: true });
});
const failures: Failure[] = [];
const untilMs = performance.now() + amount('minutes', Infinity) * 60_000;
const rounds = amount('rounds', values.minutes === undefined ? 30 : Infinity);
const first = amount('seed', 1 + Math.floor(Math.random() * 0x7000_0000));
console.log(`hammer: ${files.length} files, seeds from ${first}`);
for (let number = 0; number < rounds && performance.now() < untilMs; number++) {
  const seed = first + number;
  const beganMs = performance.now();
  const found = await round(seed, folder);
  failures.push(...found);
  console.log(`round ${number + 1}, seed ${seed}: ${((performance.now() - beganMs) / 1000).toFixed(1)} s, ${found.length} failed`); // prettier-ignore
  for (const { file, test, why } of found) {
    const note = FIXED.test(textOf(file)) ? ' (has a fixed seed: may fail by chance with another)' : '';
    console.log(`  PHAROS_SEED=${seed} sh bin/run vitest run ${file} -t ${JSON.stringify(test)}${note}`);
    for (const line of why.split('\n').slice(0, 12)) console.log(`    ${line}`);
  }
}
console.log(`hammer: ${failures.length} failures`);
process.exitCode = failures.length > 0 ? 1 : 0;
