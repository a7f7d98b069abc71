/**
 * A test runner for Stryker: its own for vitest starts a thread and loads all modules for each mutant, which takes half
 * a second of CPU time. This one keeps the thread (kept-tests.ts), and starts another only for a mutant of code that
 * runs while modules are loaded, or when a mutant has left something behind.
 */
import { BroadcastChannel } from 'node:worker_threads';
import { createVitest, type Vitest } from 'vitest/node';
import { CHANNEL, FIRST_MUTANT, type Order, type Reply } from './messages.ts';

/** The part of Stryker's MutantRunOptions that is read here. */
type MutantRun = {
  readonly activeMutant: { readonly id: string };
  readonly testFilter?: readonly string[];
  readonly hitLimit?: number;
  readonly timeout: number;
  readonly mutantActivation: 'runtime' | 'static';
  readonly reloadEnvironment: boolean;
};

type Session = {
  readonly ask: (order: Order) => Promise<Reply>;
  readonly end: () => Promise<void>;
};

/** Starts a thread that loads the tests, with a mutant that is active from the start. */
async function startSession(vitest: Vitest, firstMutant: string): Promise<Session> {
  const channel = new BroadcastChannel(CHANNEL);
  let heard: (reply: Reply) => void = () => undefined;
  let failed: (error: Error) => void = () => undefined;
  const next = (): Promise<Reply> =>
    new Promise<Reply>((resolve, reject) => {
      heard = resolve;
      failed = reject;
    });
  channel.onmessage = (event) => {
    heard((event as unknown as { readonly data: Reply }).data);
  };
  process.env[FIRST_MUTANT] = firstMutant;
  const ready = next();
  vitest.state.filesMap.clear();
  const finished = vitest.start().then(
    () => {
      failed(new Error(`the tests could not be loaded: ${JSON.stringify(vitest.state.getFiles().flatMap(({ result }) => result?.errors ?? []).map(({ message }) => message))}`)); // prettier-ignore
    },
    (error: unknown) => {
      failed(error instanceof Error ? error : new Error(String(error)));
    },
  );
  await ready;
  return {
    ask: (order) => {
      const reply = next();
      channel.postMessage(order);
      return reply;
    },
    end: async () => {
      channel.postMessage({ kind: 'end' } satisfies Order);
      await finished;
      channel.close();
    },
  };
}

/** Of a test in a process that did not make the dry run. */
const UNKNOWN = { ms: 1, kills: 0 };

class KeptRunner {
  private vitest: Vitest | undefined;
  private session: Session | undefined;
  /** By test: its time, and how many mutants it has noticed. */
  private readonly known = new Map<string, { readonly ms: number; readonly kills: number }>();

  capabilities() {
    return { reloadEnvironment: true };
  }

  async init(): Promise<void> {
    process.env['NODE_ENV'] = 'test';
    process.env['VITEST'] = '1';
    this.vitest = await createVitest({
      ...{ config: 'test/tools/mutation/vitest.config.ts', pool: 'threads', maxWorkers: 1, watch: false },
      ...{ coverage: { enabled: false }, onConsoleLog: () => false, reporters: [{}] },
    });
  }

  /** The thread; a new one if `anew`. */
  private async open(anew = false, firstMutant = ''): Promise<Session> {
    if (!this.vitest) throw new Error('init comes first');
    if (anew) {
      await this.session?.end();
      this.session = undefined;
    }
    this.session ??= await startSession(this.vitest, firstMutant);
    return this.session;
  }

  /** The first failure ends the run of a mutant, so tests that are fast for what they notice come first. */
  private inOrder(tests: readonly string[]): readonly string[] {
    const price = (id: string): number => {
      const { ms, kills } = this.known.get(id) ?? UNKNOWN;
      return ms / (1 + kills);
    };
    return tests.toSorted((a, b) => price(a) - price(b));
  }

  async dryRun() {
    const reply = await (await this.open()).ask({ kind: 'dry' });
    if (reply.kind !== 'dry') throw new Error(`unexpected ${reply.kind}`);
    for (const { id, ms } of reply.outcomes) this.known.set(id, { ms, kills: 0 });
    const tests = reply.outcomes.map(({ id, ms, failure }) => ({
      ...{ id, name: id, timeSpentMs: ms },
      ...(failure === undefined ? { status: 0 } : { status: 1, failureMessage: failure }),
    }));
    return { status: 'complete', tests, mutantCoverage: reply.coverage ?? { static: {}, perTest: {} } };
  }

  async mutantRun({ activeMutant, testFilter, hitLimit, timeout, mutantActivation, reloadEnvironment }: MutantRun) {
    const isStatic = mutantActivation === 'static';
    // Before Stryker ends this process.
    const timeoutMs = timeout * 0.8;
    const tests = testFilter && this.inOrder(testFilter);
    const order: Order = { kind: 'mutant', mutant: activeMutant.id, tests, hitLimit, timeoutMs };
    const run = async (anew: boolean): Promise<Reply & { kind: 'mutant' }> => {
      const first = isStatic ? activeMutant.id : '';
      let session: Session;
      try {
        session = await this.open(anew || isStatic, first);
      } catch (error) {
        // Modules that cannot be loaded with this mutant are noticed.
        this.session = undefined;
        if (!isStatic) throw error;
        const killer = { id: 'the tests can be loaded', ms: 0, failure: String(error) };
        return { kind: 'mutant', ran: 0, killer, isEndless: false, isLate: false, isSpoiled: false };
      }
      const reply = await session.ask(order);
      if (reply.kind !== 'mutant') throw new Error(`unexpected ${reply.kind}`);
      return reply;
    };
    let reply = await run(reloadEnvironment);
    if (reply.isSpoiled) {
      reply = await run(true);
      await this.open(true);
    }
    const { ran, killer, isEndless, isLate } = reply;
    if (killer) {
      const { ms, kills } = this.known.get(killer.id) ?? UNKNOWN;
      this.known.set(killer.id, { ms, kills: kills + 1 });
    }
    if (isLate) await this.open(true);
    if (isEndless || isLate) return { status: 'timeout', reason: 'a loop that does not end' };
    if (killer === undefined) return { status: 'survived', nrOfTests: ran };
    return { status: 'killed', nrOfTests: ran, killedBy: [killer.id], failureMessage: killer.failure ?? '' };
  }

  async dispose(): Promise<void> {
    await this.session?.end();
    await this.vitest?.close();
  }
}

/** As `declareFactoryPlugin` of @stryker-mutator/api makes it. */
export const strykerPlugins = [{ kind: 'TestRunner', name: 'kept', factory: () => new KeptRunner() }];
