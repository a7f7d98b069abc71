/**
 * Shares the descriptors that this process may have open (RLIMIT_NOFILE) among their users, so that clients cannot use
 * up the descriptors of probes and of the status server.
 */
import { readFileSync } from 'node:fs';

/** The usual hard limit of small systems, for systems that do not tell theirs. */
const DEFAULT_OPEN_FILES = 4096;
/** For threads, sockets that listen, files, logs, and the pipes of commands. */
const BASE = 192;

export type DescriptorShares = {
  /** Connections that are held open between probes. */
  readonly watched: number;
  /** Probes in flight. */
  readonly probes: number;
  /** Clients of the status server. */
  readonly http: number;
  /** DNS clients over TCP and TLS. */
  readonly tcp: number;
};

/** The largest number for each use: a quarter for probes, a quarter for watched connections, an eighth for HTTP. */
export function shareDescriptors(files: number = openFilesLimit()): DescriptorShares {
  const part = (divisor: number): number => Math.max(1, Math.floor(files / divisor));
  const base = Math.min(BASE, part(8));
  const shares = { watched: part(4), probes: part(4), http: Math.min(256, part(8)) };
  return { ...shares, tcp: Math.max(1, files - base - shares.watched - shares.probes - shares.http) };
}

function openFilesLimit(): number {
  try {
    // proc_pid_limits(5): soft and hard. Node.js has raised the soft one to the hard one.
    const [, soft = ''] = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
    return soft === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(soft) || DEFAULT_OPEN_FILES;
  } catch {
    return DEFAULT_OPEN_FILES;
  }
}
