/**
 * A server under test: started, awaited, measured through /proc, and ended by its process number.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { encodeQuery } from '../../bench/packets.ts';
import { ask } from '../../bench/read-response.ts';

/** A server that answers on 127.0.0.1. */
export type Running = {
  readonly port: number;
  /** Its TLS port, if it has one. */
  readonly tlsPort?: number;
  /** Its main process. */
  readonly pid: number;
  /** From its start to its first answer. */
  readonly startMs: number;
  /** Ends it; resolves when it is gone. */
  stop(): Promise<void>;
};

/** Time used so far by all threads of all its processes, in seconds. */
export type CpuTime = { readonly user: number; readonly system: number };

/** USER_HZ: the unit of /proc. Linux shows 100 to programs whatever the kernel's own tick is. */
const TICKS_PER_SECOND = 100;
/** A limit for a start that hangs. On a machine with other work, a large one takes minutes. */
const START_MS = 600_000;
const STOP_MS = 10_000;
const POLL_MS = 20;

/**
 * Gives a command priority over others on its core, if that is permitted. Not in real time: the kernel suspends such a
 * thread for 50 ms per second, after which a load generator would send a burst.
 */
export function aheadOfOthers(program: string, args: readonly string[]): [string, string[]] {
  return process.getuid?.() === 0 ? ['nice', ['-n', '-5', program, ...args]] : [program, [...args]];
}

/** Path of a program, also in the folders of administrators; undefined if it is not installed. */
export function findProgram(name: string): string | undefined {
  for (const folder of [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin']) {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // Not here: look further.
    }
  }
  return undefined;
}

/**
 * Starts a program that serves DNS on `port` in the foreground, and waits until it answers for every zone of `zones`.
 * Throws, with the program's output, if it ends or does not answer.
 */
export async function startServer(
  program: string,
  args: readonly string[],
  port: number,
  zones: string | readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Running> {
  const startedAt = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  const kill = (): void => {
    for (const pid of processTree(child.pid)) process.kill(pid, 'SIGKILL');
  };
  // However this process ends, the server must not outlive it.
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  let said = '';
  const listen = (text: Buffer): void => {
    said = (said + text.toString()).slice(-4000);
  };
  child.stdout.on('data', listen);
  child.stderr.on('data', listen);
  const failed = once(child, 'error').then(([error]) => {
    throw error instanceof Error ? error : new Error(String(error));
  });
  failed.catch(() => undefined);
  const waiting = [zones].flat();
  const deadline = startedAt + START_MS;
  for (let zone = waiting.shift(); zone !== undefined;) {
    const response = await Promise.race([ask(port, encodeQuery(zone, 'SOA'), 200), failed]);
    if (response?.rcode === 0) {
      zone = waiting.shift();
      continue;
    }
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}:\n${said}`);
    if (performance.now() > deadline) {
      await end(child);
      throw new Error(`${program} did not answer within ${START_MS / 1000} s:\n${said}`);
    }
    await delay(POLL_MS);
  }
  const startMs = performance.now() - startedAt;
  return { port, pid: child.pid ?? 0, startMs, stop: () => end(child) };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await gone;
  clearTimeout(timer);
}

/** The process and all its descendants; none if `pid` is undefined, as that of a program that did not start. */
export function processTree(pid: number | undefined): number[] {
  if (pid === undefined) return [];
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const fields = statFields(Number(entry));
    if (fields) parents.set(Number(entry), Number(fields[1]));
  }
  const tree = [pid];
  // The list grows while it is read, because children have children.
  for (const member of tree) for (const [child, parent] of parents) if (parent === member) tree.push(child);
  return tree;
}

export function cpuTime(pids: readonly number[]): CpuTime {
  let user = 0;
  let system = 0;
  for (const pid of pids) {
    const fields = statFields(pid);
    user += Number(fields?.[11] ?? 0) / TICKS_PER_SECOND;
    system += Number(fields?.[12] ?? 0) / TICKS_PER_SECOND;
  }
  return { user, system };
}

/** Octets in memory; shared memory is counted once (Pss) if the kernel reports it, otherwise resident memory. */
export function memoryOctets(pids: readonly number[]): number {
  let kibibytes = 0;
  for (const pid of pids) {
    const pss = /^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1];
    const rss = /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`))?.[1];
    kibibytes += Number(pss ?? rss ?? 0);
  }
  return kibibytes * 1024;
}

/** proc_pid_stat(5) from the third field on: state, ppid, ...; undefined if the process is gone. */
function statFields(pid: number): string[] | undefined {
  const text = read(`/proc/${pid}/stat`);
  // The second field is the program's name in parentheses, which may contain anything.
  return text === '' ? undefined : text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
