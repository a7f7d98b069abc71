/**
 * The `exec` probe: a command in a separate process group, so that all processes it starts end with it. It runs without
 * a shell, with few environment variables, and with an empty standard input.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { CheckSpec } from '../../config/check-kinds.ts';
import { codeOf } from '../../config/unknown-values.ts';
import { systemClock, type Cancel, type Clock } from '../clock.ts';
import { KILLED_WAIT_MS, MAX_COMMANDS_AT_ONCE, MAX_COMMAND_OUTPUT_OCTETS } from '../limits.ts';
import { createProbeSlots, type Release } from '../probe-slots.ts';
import type { StopSignal } from '../stop-signal.ts';
import { judge } from './probe-run.ts';
import {
  NotProbed,
  ProbeFailure,
  asError,
  elapsedSince,
  formatMs,
  onAbort,
  describeError,
  type ProbeOptions,
  type ProbeResult,
  type ProbeTarget,
} from './probe.ts';

type ExecSpec = Extract<CheckSpec, { kind: 'exec' }>;

/** PATH for commands, if this process has none. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Characters of the output's first line that a reason quotes. */
const MAX_QUOTED = 120;

/** One limit for the whole process. */
const turns = createProbeSlots(MAX_COMMANDS_AT_ONCE);

/**
 * Passes when the command exits with 0 within the timeout. The timeout begins when the command starts: time spent
 * waiting for a slot does not count.
 */
export async function probeExec(
  target: ProbeTarget,
  spec: ExecSpec,
  signal: StopSignal,
  { clock = systemClock }: ProbeOptions = {},
): Promise<ProbeResult> {
  const startedMs = clock.now();
  let release: Release;
  try {
    release = await turns.take(signal);
  } catch {
    return { passed: false, reason: 'probe cancelled', elapsedMs: elapsedSince(clock, startedMs) };
  }
  // Aborted between the grant of the slot and its use.
  if (signal.aborted) release();
  const { timeoutMs } = spec;
  const lateReason = `still running after ${formatMs(timeoutMs)}`;
  const command = { target, spec, clock, ended: release };
  const result = await judge({ timeoutMs, signal, clock, lateReason }, (deadline) => run(command, deadline));
  // Only the command knows whether it reached the target.
  return { ...result, answered: false };
}

type Command = {
  readonly target: ProbeTarget;
  readonly spec: ExecSpec;
  readonly clock: Clock;
  /** Called when the process has exited, which may be after the result. */
  readonly ended: Release;
};

function run({ target, spec, clock, ended }: Command, signal: StopSignal): Promise<string> {
  const [program, ...args] = spec.command;
  return new Promise((resolve, reject) => {
    const child = start(program, args, target, spec, ended);
    const killGroup = (): void => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // The group is empty.
      }
    };

    let octets = 0;
    let firstLine = Buffer.alloc(0);
    let failure: unknown;
    let code: number | null = null;
    let killedBy: NodeJS.Signals | null = null;
    let stopWaiting: Cancel | undefined;

    const finish = (): void => {
      stopWaiting?.();
      forget();
      child.stdout.destroy();
      child.stderr.destroy();
      const said = quote(firstLine);
      if (failure !== undefined) reject(asError(failure));
      else if (code === 0) resolve(`exit status 0${said}`);
      else
        reject(
          new ProbeFailure(`${killedBy === null ? `exit status ${String(code)}` : `ended by ${killedBy}`}${said}`),
        );
    };
    const stop = (why: unknown): void => {
      failure ??= why;
      killGroup();
      stopWaiting ??= clock.after(KILLED_WAIT_MS, finish);
    };
    const take = (chunk: Buffer): void => {
      octets += chunk.length;
      if (firstLine.length < MAX_QUOTED * 4) firstLine = Buffer.concat([firstLine, chunk.subarray(0, MAX_QUOTED * 4)]);
      if (octets > MAX_COMMAND_OUTPUT_OCTETS) {
        child.stdout.destroy();
        child.stderr.destroy();
        stop(new ProbeFailure('wrote more than 64 KiB'));
      }
    };

    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', (error) => {
      // The command could not be started. An error of kill is ignored.
      if (child.pid !== undefined) return;
      ended();
      failure ??= startFailure(error, program);
      finish();
    });
    child.on('exit', (status, by) => {
      ended();
      code = status;
      killedBy = by;
      // Ends processes that it left running. Its output is still in the pipes, which close when all writers have ended.
      killGroup();
      stopWaiting ??= clock.after(KILLED_WAIT_MS, finish);
    });
    child.on('close', finish);
    const forget = onAbort(signal, () => {
      stop(signal.reason);
    });
  });
}

/** Throws if the system refuses at once. Most failures come as 'error' events. */
function start(
  program: string,
  args: readonly string[],
  target: ProbeTarget,
  spec: ExecSpec,
  ended: Release,
): ChildProcessByStdio<null, Readable, Readable> {
  try {
    const child = spawn(program, args, {
      cwd: '/',
      env: environmentOf(target, spec),
      stdio: ['ignore', 'pipe', 'pipe'],
      // A new session and process group, with the child's PID as its ID.
      detached: true,
    });
    // Without descriptors the pipes are undefined, despite the types, and the error comes as an event. Without a
    // listener for it, this process would end.
    if ((child.stdout as Readable | undefined) === undefined) {
      child.on('error', () => undefined);
      throw Object.assign(new Error('spawn EMFILE'), { code: 'EMFILE' });
    }
    return child;
  } catch (error) {
    ended();
    throw startFailure(asError(error), program);
  }
}

function environmentOf(target: ProbeTarget, spec: ExecSpec): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'] ?? DEFAULT_PATH,
    PHAROS_ADDRESS: target.host,
    ...(target.port === 0 ? {} : { PHAROS_PORT: String(target.port) }),
    PHAROS_TIMEOUT_MS: String(spec.timeoutMs),
  };
}

/** A command that did not start says nothing about the target. */
function startFailure(error: Error, program: string): NotProbed {
  const code = codeOf(error);
  if (code === 'ENOENT') return new NotProbed(`command not found: ${program}`);
  if (code === 'EACCES') return new NotProbed(`command may not be run: ${program}`);
  return new NotProbed(`command could not be started: ${describeError(error)}`);
}

/** The first line of the output, after a colon; empty if there is none. */
function quote(output: Buffer): string {
  const line = output
    .toString('utf8')
    .trimStart()
    .split('\n', 1)[0]
    ?.replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim();
  return line === undefined || line === '' ? '' : `: ${line.slice(0, MAX_QUOTED)}`;
}
