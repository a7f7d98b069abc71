/**
 * Runs the tests that vitest has collected again and again, once for each mutant that comes over a channel, in one
 * thread: to start a thread and to load the modules takes far longer than most tests. Modules keep what they remember
 * between two mutants, so a test that fails is run once more without the mutant.
 */
import { BroadcastChannel } from 'node:worker_threads';
import { TestRunner, type RunnerTask, type RunnerTestCase, type RunnerTestFile, type RunnerTestSuite } from 'vitest';
import { CHANNEL, FIRST_MUTANT, type Order, type Outcome, type Reply, type StrykerNamespace } from './messages.ts';

const shared = globalThis as { __stryker__?: StrykerNamespace };
const stryker = (shared.__stryker__ ??= {});
// A mutant of code that runs while modules are loaded. Config files and this file are not instrumented.
if (process.env[FIRST_MUTANT] !== undefined && process.env[FIRST_MUTANT] !== '') {
  stryker.activeMutant = process.env[FIRST_MUTANT];
}

// Tests put others in their place.
const [setRealTimeout, clearRealTimeout] = [setTimeout, clearTimeout];

type Named = { readonly id: string; readonly test: RunnerTestCase };

/** All tests, each with a name that no other has. */
function testsOf(files: readonly RunnerTestFile[]): Named[] {
  const seen = new Map<string, number>();
  const found: Named[] = [];
  const visit = (task: RunnerTask, path: string): void => {
    const name = path === '' ? task.name : `${path} > ${task.name}`;
    if (task.type === 'suite') for (const each of task.tasks) visit(each, name);
    else if (task.mode === 'run' || task.mode === 'queued') {
      const count = (seen.get(name) ?? 0) + 1;
      seen.set(name, count);
      found.push({ id: count === 1 ? name : `${name} #${count}`, test: task });
    }
  };
  for (const file of files) for (const task of file.tasks) visit(task, '');
  return found;
}

/** From the outermost. */
function suitesOf(test: RunnerTestCase): readonly RunnerTestSuite[] {
  const suites: RunnerTestSuite[] = [];
  for (let suite = test.suite ?? test.file; ; suite = suite.suite ?? test.file) {
    suites.unshift(suite);
    if (suite === test.file) return suites;
  }
}

const hooksOf = (suite: RunnerTestSuite) => TestRunner.getSuiteHooks(suite);

export default class KeptTests extends TestRunner {
  /** Suites whose `beforeAll` has run for this mutant. */
  private begun = new Set<RunnerTestSuite>();
  private ended = new Set<RunnerTestSuite>();

  async onBeforeRunFiles(files: RunnerTestFile[]): Promise<void> {
    // Without an answer, `startSession` fails: the tests could not be loaded.
    if (files.some(({ result }) => result?.state === 'fail')) return;
    const tests = testsOf(files);
    for (const file of files) await this.onBeforeRunSuite(file);
    const channel = new BroadcastChannel(CHANNEL);
    const reply = (message: Reply): void => {
      channel.postMessage(message);
    };
    await new Promise<void>((resolve, reject) => {
      channel.onmessage = (event) => {
        const order = (event as unknown as { readonly data: Order | Reply }).data;
        this.obey(order as Order, tests).then((message) => {
          if (message === undefined) resolve();
          else reply(message);
        }, reject);
      };
      reply({ kind: 'ready' });
    });
    channel.close();
    for (const suite of this.ended) for (const hook of hooksOf(suite).afterAll) await hook(suite);
    // They have run.
    for (const file of files) file.tasks.length = 0;
  }

  private async obey(order: Order, tests: Named[]): Promise<Reply | undefined> {
    if (order.kind === 'end') return undefined;
    this.begun = new Set();
    if (order.kind === 'dry') {
      const outcomes: Outcome[] = [];
      for (const test of tests) outcomes.push(await this.runOne(test));
      stryker.currentTestId = undefined;
      return { kind: 'dry', outcomes, coverage: stryker.mutantCoverage };
    }
    const chosen = order.tests?.flatMap((id) => tests.find((test) => test.id === id) ?? []) ?? tests;
    const wasFirst = stryker.activeMutant === order.mutant;
    Object.assign(stryker, { activeMutant: order.mutant, hitCount: 0, hitLimit: order.hitLimit });
    let ran = 0;
    let killer: Outcome | undefined;
    let isLate = false;
    const untilMs = performance.now() + order.timeoutMs;
    for (const test of chosen) {
      ran += 1;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<undefined>((resolve) => {
        timer = setRealTimeout(resolve, Math.max(1, untilMs - performance.now()), undefined);
      });
      const outcome = await Promise.race([this.runOne(test), late]);
      clearRealTimeout(timer);
      isLate = outcome === undefined;
      if (outcome !== undefined && outcome.failure === undefined) continue;
      killer = outcome;
      break;
    }
    const isEndless = order.hitLimit !== undefined && (stryker.hitCount ?? 0) > order.hitLimit;
    Object.assign(stryker, { activeMutant: undefined, hitCount: undefined, hitLimit: undefined });
    let isSpoiled = false;
    const again = chosen.find(({ id }) => id === killer?.id);
    if (again !== undefined && !wasFirst) {
      this.begun = new Set();
      isSpoiled = (await this.runOne(again)).failure !== undefined;
    }
    return { kind: 'mutant', ran, killer, isEndless, isLate, isSpoiled };
  }

  private async runOne({ id, test }: Named): Promise<Outcome> {
    const suites = suitesOf(test);
    const beganMs = performance.now();
    const cleanUps: (() => unknown)[] = [];
    let failure: string | undefined;
    stryker.currentTestId = id;
    try {
      for (const suite of suites) {
        if (this.begun.has(suite)) continue;
        this.begun.add(suite);
        this.ended.add(suite);
        for (const hook of hooksOf(suite).beforeAll) await hook(suite);
      }
      this.onBeforeTryTask(test, { retry: 0, repeats: 0 });
      for (const suite of suites) {
        for (const hook of hooksOf(suite).beforeEach) {
          const cleanUp: unknown = await hook(test.context, suite);
          if (typeof cleanUp === 'function') cleanUps.unshift(cleanUp as () => unknown);
        }
      }
      await TestRunner.getTestFn(test)();
    } catch (error) {
      failure = String(error).slice(0, 500);
    }
    try {
      for (const cleanUp of cleanUps) await cleanUp();
      for (const suite of suites.toReversed()) {
        for (const hook of hooksOf(suite).afterEach) await hook(test.context, suite);
      }
    } catch (error) {
      failure ??= String(error).slice(0, 500);
    }
    return { id, ms: performance.now() - beganMs, failure };
  }
}
