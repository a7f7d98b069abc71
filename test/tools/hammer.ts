/**
 * `npm run hammer`: runs tests with random input many times, each time with a new seed, and prints how to repeat what
 * failed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { scriptArguments } from '../support/script-options.ts';

const HELP = `npm run hammer -- [OPTION ...] [FILE ...]
  FILE         test files; all unit tests that print a seed by default
  --rounds N   runs, each with a new seed; 30 by default, and no limit with --minutes
  --minutes N  no new run after this time
  --seed N     the first seed; random by default
  --trials N   N times as many cases with each seed, which costs less than N seeds; 1 by default
`;

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const { values, positionals } = scriptArguments(HELP, {
  rounds: { type: 'number', positive: true },
  minutes: { type: 'number', positive: true },
  seed: { type: 'number', default: 1 + Math.floor(Math.random() * 0x7000_0000), positive: true },
  trials: { type: 'number', default: 1, positive: true },
});

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
    { cwd: ROOT, env: { ...process.env, PHAROS_SEED: String(seed), PHAROS_TRIALS: String(values.trials) }, stdio: ['ignore', 'ignore', 'pipe'] },
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
const untilMs = performance.now() + (values.minutes ?? Infinity) * 60_000;
const rounds = values.rounds ?? (values.minutes === undefined ? 30 : Infinity);
const first = values.seed;
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
