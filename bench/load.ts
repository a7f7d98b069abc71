/**
 * One round of load by dnsperf: an independent client, the same for every server.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Transport } from './peers/peer.ts';

export type Load = {
  readonly completed: number;
  readonly lost: number;
  readonly queriesPerSecond: number;
};

/** Queries in flight at any time. */
export const OUTSTANDING = 200;

/** dnsperf's name for the transport. */
const MODES: Record<Transport, string> = { udp: 'udp', tcp: 'tcp', tls: 'dot' };

/** Sends the packets of `file` repeatedly for `seconds`. Throws if dnsperf fails. */
export async function runDnsperf(
  program: string,
  port: number,
  file: string,
  seconds: number,
  transport: Transport = 'udp',
): Promise<Load> {
  const args = ['-m', MODES[transport], '-s', '127.0.0.1', '-p', String(port), '-d', file, '-B', '-l', String(seconds)];
  // One client, one thread: if there are as many sockets as clients, no socket is served by two threads.
  const load = ['-c', '1', '-T', '1', '-q', String(OUTSTANDING), '-t', '1'];
  const { stdout } = await promisify(execFile)(program, [...args, ...load], { timeout: (seconds + 20) * 1000 });
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
