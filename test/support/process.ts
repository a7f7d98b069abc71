/**
 * The commands as processes: starts `bin/pharos`, waits for its output, ends it by its id.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { checkListen } from '../../server/io/check-listen.ts';
import { PATIENCE_MS, TEST_MS } from './patience.ts';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const PHAROS = `${ROOT}bin/pharos`;

/** Whether a program is installed: tests that need a missing one are skipped, and counted as skipped. */
export function has(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

export type Finished = {
  /** The exit code, or the signal that ended it. */
  readonly code: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
};

export type Running = {
  readonly child: ChildProcess;
  /** Its output so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves to the match as soon as stdout has one; throws if the process ends without one, or after `ms`. */
  readonly until: (pattern: RegExp, ms?: number) => Promise<RegExpExecArray>;
  /** Resolves when it has ended. */
  readonly finished: Promise<Finished>;
  /** SIGTERM, or another; resolves when it has ended. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<Finished>;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
};

export type StartOptions = {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly command?: string;
};

/** Starts `pharos` (or another command) with these arguments. */
export function start(args: readonly string[], { cwd, env, command = PHAROS }: StartOptions = {}): Running {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const look of [...waiting]) look();
  };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    wake();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  let ended = false;
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code: number | null, signal: NodeJS.Signals | null) => {
      ended = true;
      // Node.js gives one of the two.
      resolve({ code: (code ?? signal) as number | NodeJS.Signals, stdout, stderr });
      wake();
    });
  });
  const until = (pattern: RegExp, ms = PATIENCE_MS): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        waiting.delete(look);
      };
      const give = (why: string): void => {
        done();
        reject(new Error(`${why} before it wrote ${String(pattern)}\n${stdout}${stderr}`));
      };
      const look = (): void => {
        const match = pattern.exec(stdout);
        if (match) {
          done();
          resolve(match);
        } else if (ended) give('it ended');
      };
      const timer = setTimeout(() => {
        give(`${ms} ms passed`);
      }, ms);
      waiting.add(look);
      look();
    });
  const stop = (signal: NodeJS.Signals = 'SIGTERM'): Promise<Finished> => {
    if (!ended) child.kill(signal);
    return finished;
  };
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    until,
    finished,
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop('SIGKILL');
    },
  };
}

/** Runs a command to its end. */
export function run(args: readonly string[], options: StartOptions = {}): Promise<Finished> {
  return start(args, options).finished;
}

export type Served = Running & {
  readonly port: number;
  /** `http://127.0.0.1:…`, without a final slash. */
  readonly api: string;
};

/** `pharos serve` on one address and with a status server; resolves when it serves. */
export async function serve(args: readonly string[], options: StartOptions = {}): Promise<Served> {
  const running = start(['serve', ...args], options);
  const line = await running.until(/"listen":\["[^"]*:(\d+)"\],"status":"(http[^"]*)\/".*"msg":"serving"/);
  return { ...running, port: Number(line[1]), api: line[2] ?? '' };
}

/** `dig +short`: its output, trimmed. */
export async function dig(port: number, ...more: readonly string[]): Promise<string> {
  const args = ['@127.0.0.1', '-p', String(port), '+short', '+tries=1', '+time=20', ...more];
  const { stdout } = await run(args, { command: 'dig' });
  return stdout.trim();
}

/** Calls again until the predicate holds; throws with the last value after `ms`. Resolves to the elapsed ms. */
export async function eventually<T>(
  ask: () => Promise<T>,
  holds: (value: T) => boolean,
  ms = PATIENCE_MS,
): Promise<number> {
  const begin = performance.now();
  for (;;) {
    const value = await ask();
    const passed = performance.now() - begin;
    if (holds(value)) return passed;
    if (passed > ms) throw new Error(`after ${Math.round(passed)} ms it was still ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The default addresses of DNS and status server, which demo and documents use. */
const DEFAULTS = [5300, 8053].map((port) => ({ host: '127.0.0.1', port }));
/** The process that holds it uses the default addresses; the system releases it when a process dies. */
const TURN = { host: '127.0.0.1', port: 5299 };

/** For the few tests that need the default addresses: waits for its turn, and until no other process has them. */
export async function defaultAddresses(): Promise<AsyncDisposable> {
  const turn = createServer();
  const take = async (): Promise<boolean> => {
    turn.listen(TURN);
    return once(turn, 'listening').then(
      () => true,
      () => false,
    );
  };
  await eventually(take, (taken) => taken, TEST_MS / 2);
  try {
    await eventually(
      () => checkListen(DEFAULTS),
      (failure) => failure === undefined,
    );
  } catch (error) {
    turn.close();
    throw error;
  }
  return {
    [Symbol.asyncDispose]: async () => {
      turn.close();
      await once(turn, 'close');
    },
  };
}
