/**
 * `npm run mutation`: changes the code of decisions in thousands of small ways, one at a time, and runs the unit tests
 * about it. A change that no test notices is printed, with its line. Stryker does the work, with packages of this
 * folder. What it has seen is kept in .mutation/, so a second run tries only what has changed.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { scriptArguments } from '../../support/script-options.ts';
import { GROUPS, type MutationGroup } from './groups.ts';

const HELP = `npm run mutation -- [OPTION ...] [GROUP ...]
  GROUP            ${Object.keys(GROUPS).join(', ')}; all by default
  --concurrency N  changes that are tried at the same time; 1 by default
  --fresh          tries all changes, not only those since the last run
`;

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const HERE = fileURLToPath(new URL('.', import.meta.url));
const KEPT = '.mutation';
/** Percent of the mutants of a group that tests must notice. */
const LEAST_SCORE = 90;
/** The input of random tests is the same for each mutant. */
const SEED = '20261129';
/**
 * A mutant whose tests take this much longer than twice their time is noticed too: they wait for what never comes.
 * Loops that do not end are found by their number of rounds. So long that a busy machine does not count as a fault.
 */
const TIMEOUT_MS = 60_000;

const { values, positionals } = scriptArguments(HELP, {
  concurrency: { type: 'number', default: 1 },
  fresh: { type: 'boolean', default: false },
});

function fail(message: string): never {
  console.error(`mutation: ${message}`);
  process.exit(2);
}

/** What Stryker writes, as far as it is read here (mutation-testing-report-schema). */
type Report = {
  readonly files: Readonly<Record<string, { readonly source: string; readonly mutants: readonly Mutant[] }>>;
};
type Mutant = {
  readonly status: string;
  readonly statusReason?: string;
  readonly replacement?: string;
  readonly location: { readonly start: Position; readonly end: Position };
};
type Position = { readonly line: number; readonly column: number };

/** The files and lines of a group, as Stryker takes them. Fails if a function that a group names is not there. */
function linesOf({ mutate }: MutationGroup): readonly string[] {
  return Object.entries(mutate).flatMap(([file, functions]) => {
    if (functions === 'all') return [file];
    const source = ts.createSourceFile(file, readFileSync(join(ROOT, file), 'utf8'), ts.ScriptTarget.Latest, true);
    const lineAt = (position: number): number => source.getLineAndCharacterOfPosition(position).line + 1;
    return functions.map((name) => {
      const found = source.statements.find((each) => ts.isFunctionDeclaration(each) && each.name?.text === name);
      if (found === undefined) fail(`${file} has no function ${name}: change test/tools/mutation/groups.ts`);
      return `${file}:${lineAt(found.getStart())}-${lineAt(found.getEnd())}`;
    });
  });
}

const isNoticed = ({ status }: Mutant): boolean => status === 'Killed' || status === 'Timeout';
const isMissed = ({ status }: Mutant): boolean => status === 'Survived' || status === 'NoCoverage';

/** Prints what no test noticed, and the score of each file. Returns the score of the group. */
function showReport(group: string, { files }: Report): number {
  let noticed = 0;
  let missed = 0;
  for (const [file, { source, mutants }] of Object.entries(files)) {
    const lines = source.split('\n');
    const survivors = mutants.filter(isMissed);
    const killed = mutants.filter(isNoticed).length;
    noticed += killed;
    missed += survivors.length;
    for (const { status, replacement = '', location } of survivors) {
      const { start, end } = location;
      const text = (lines[start.line - 1] ?? '').slice(start.column - 1, start.line === end.line ? end.column - 1 : undefined); // prettier-ignore
      const untested = status === 'NoCoverage' ? ' (no test runs it)' : '';
      console.log(`${file}:${start.line}:${start.column} ${text} → ${replacement.replace(/\s+/g, ' ')}${untested}`);
    }
    console.log(`${group}: ${file}: ${killed} of ${killed + survivors.length}`);
  }
  const score = (100 * noticed) / Math.max(1, noticed + missed);
  console.log(`${group}: ${noticed} of ${noticed + missed} noticed, ${score.toFixed(1)} %`);
  return score;
}

/** Stryker tells tests by their names alone, so what it has seen is of no use when a test file has changed. */
function seenFile(name: string, { tests }: MutationGroup): string {
  const hash = createHash('sha256');
  for (const file of tests) hash.update(readFileSync(join(ROOT, file)));
  const seen = `${name}-seen-${hash.digest('hex').slice(0, 12)}.json`;
  for (const old of readdirSync(join(ROOT, KEPT))) {
    if (old.startsWith(`${name}-seen-`) && old !== seen) rmSync(join(ROOT, KEPT, old));
  }
  return `${KEPT}/${seen}`;
}

/** Runs Stryker for a group. */
function runGroup(name: string, group: MutationGroup): number {
  const kept = (kind: string): string => `${KEPT}/${name}-${kind}.json`;
  mkdirSync(join(ROOT, KEPT), { recursive: true });
  const settings = {
    plugins: [join(HERE, 'stryker-runner.ts')],
    testRunner: 'kept',
    mutate: linesOf(group),
    // Words of messages have tests where messages are tested.
    mutator: { excludedMutations: ['StringLiteral'] },
    tempDirName: `${KEPT}/sandbox`,
    ignorePatterns: [KEPT, 'dist', 'dist.*', 'docs/site', 'state'],
    incremental: true,
    incrementalFile: seenFile(name, group),
    force: values.fresh,
    reporters: ['json', 'progress-append-only'],
    jsonReporter: { fileName: kept('report') },
    concurrency: values.concurrency,
    timeoutMS: TIMEOUT_MS,
    dryRunTimeoutMinutes: 60,
    timeoutFactor: 2,
    allowConsoleColors: false,
  };
  writeFileSync(join(ROOT, kept('settings')), JSON.stringify(settings));
  rmSync(join(ROOT, kept('report')), { force: true });
  const { status } = spawnSync(
    process.execPath,
    [join(HERE, 'node_modules/@stryker-mutator/core/bin/stryker.js'), 'run', kept('settings')],
    {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: {
        ...process.env,
        PHAROS_MUTATION_TESTS: group.tests.join(';'),
        PHAROS_TRIALS: String(group.trials),
        PHAROS_SEED: SEED,
      },
    },
  );
  if (status !== 0 || !existsSync(join(ROOT, kept('report')))) fail(`Stryker failed for ${name}`);
  return showReport(name, JSON.parse(readFileSync(join(ROOT, kept('report')), 'utf8')) as Report);
}

if (values.concurrency < 1) fail(`invalid number "${values.concurrency}" for --concurrency`);
const names = positionals.length > 0 ? positionals : Object.keys(GROUPS);
const groups = names.map((name): readonly [string, MutationGroup] => {
  const group = GROUPS[name];
  return group ? [name, group] : fail(`unknown group "${name}"; the groups are ${Object.keys(GROUPS).join(', ')}`);
});
if (!existsSync(join(HERE, 'node_modules/.package-lock.json'))) {
  console.error('mutation: bringing Stryker into test/tools/mutation (about 60 MB)');
  const { status } = spawnSync('npm', ['ci', '--loglevel=error'], { cwd: HERE, stdio: 'inherit' });
  if (status !== 0) fail('npm ci failed in test/tools/mutation');
}
// Other work on the machine comes first; the tests inherit this.
setPriority(Math.max(10, getPriority()));
const low = groups.filter(([name, group]) => runGroup(name, group) < LEAST_SCORE).map(([name]) => name);
if (low.length > 0) console.error(`mutation: less than ${LEAST_SCORE} % in ${low.join(', ')}`);
process.exitCode = low.length > 0 ? 1 : 0;
