/**
 * Rounds of load: by dnsperf, an independent client, the same for every server; and at a fixed rate, by paced-load.ts.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { aheadOfOthers, findProgram } from '../test/support/server-process.ts';
import type { LoadReport } from './paced-load.ts';
import type { Transport } from './peers/peer.ts';

export type Load = {
  readonly completed: number;
  readonly lost: number;
  readonly queriesPerSecond: number;
};

/**
 * The load of dnsperf: the number of its sockets, each with a different port, and of the queries in flight in total.
 */
export type Pattern = { readonly sockets: number; readonly outstanding: number };

/** The name in options and tables, such as 100x200. */
export function patternName({ sockets, outstanding }: Pattern): string {
  return `${sockets}x${outstanding}`;
}

/** dnsperf's name for the transport. */
const MODES: Record<Transport, string> = { udp: 'udp', tcp: 'tcp', tls: 'dot' };

export type LoadOptions = {
  readonly transport: Transport;
  readonly pattern: Pattern;
  /** The core that dnsperf is pinned to; undefined for any. */
  readonly core?: number | undefined;
};

/** Sends the packets of `file` repeatedly for `seconds`. Throws if dnsperf fails. */
export async function runDnsperf(
  program: string,
  port: number,
  file: string,
  seconds: number,
  { transport, pattern, core }: LoadOptions,
): Promise<Load> {
  const args = ['-m', MODES[transport], '-s', '127.0.0.1', '-p', String(port), '-d', file, '-B', '-l', String(seconds)];
  const { sockets, outstanding } = pattern;
  const load = ['-c', String(sockets), '-T', '1', '-q', String(outstanding), '-t', '1'];
  const command = [...(core === undefined ? [] : ['taskset', '-c', String(core)]), program, ...args, ...load];
  const [first = program, ...rest] = command;
  const { stdout } = await promisify(execFile)(first, rest, { timeout: (seconds + 20) * 1000 });
  const number = (pattern: RegExp): number => {
    const text = pattern.exec(stdout)?.[1];
    if (text === undefined) throw new Error(`dnsperf printed no ${pattern.source}:\n${stdout}`);
    return Number(text);
  };
  return {
    completed: number(/Queries completed:\s+(\d+)/),
    lost: number(/Queries lost:\s+(\d+)/),
    queriesPerSecond: number(/Queries per second:\s+([\d.]+)/),
  };
}

/** A command that runs on one core, where taskset is installed. */
export function pinned(core: number, [program, ...args]: readonly [string, ...string[]]): [string, string[]] {
  if (findProgram('taskset') === undefined) return [program, args];
  return ['taskset', ['-c', String(core), program, ...args]];
}

export type PacedLoad = {
  readonly port: number;
  /** Queries per second. */
  readonly rate: number;
  readonly seconds: number;
  /** A file of `writePackets`; they are sent repeatedly. */
  readonly packets: string;
  /** The core that the generator is pinned to. */
  readonly core: number;
};

/**
 * Sends at a fixed rate, ahead of what else runs on the core. Throws if the generator is too slow and leaves out more
 * than a tenth of a second's queries, unless `mayBeSlow`: then `unsent` of the report is their number.
 */
export async function runPacedLoad(
  { port, rate, seconds, packets, core }: PacedLoad,
  { mayBeSlow = false } = {},
): Promise<LoadReport> {
  const script = fileURLToPath(new URL('paced-load.ts', import.meta.url));
  const args = [port, rate, seconds].map(String);
  const command = aheadOfOthers(...pinned(core, [process.execPath, script, ...args, packets]));
  const { stdout } = await promisify(execFile)(...command, { maxBuffer: 2 ** 28 });
  const report = JSON.parse(stdout) as LoadReport;
  if (!mayBeSlow && report.unsent > rate / 10) throw new Error(`the generator did not send ${report.unsent} queries`);
  return report;
}
