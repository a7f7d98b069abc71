/**
 * The library that makes one system call fail (faults.c): compiled once, and told what to do through a file.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Numbers as in faults.c. */
export const CALL = {
  ...{ open: 1, read: 2, write: 3, fsync: 4, rename: 5, mkdir: 6, truncate: 7, socket: 8, bind: 9, listen: 10 },
  ...{ accept: 11, connect: 12, thread: 14, send: 15, receive: 16 },
} as const;
export type Call = keyof typeof CALL;

/** Numbers of Linux; `SHORT`: a write that writes half of its octets. */
const ERRNO = { EINTR: 4, EIO: 5, EAGAIN: 11, ENOMEM: 12, EMFILE: 24, ENOSPC: 28, EADDRINUSE: 98, ENOBUFS: 105, EBADF: 9, SHORT: 1000 } as const; // prettier-ignore
export type FaultError = keyof typeof ERRNO;

/**
 * Descriptors that count: of regular files, and of sockets. Pipes and others are left out for writes: libuv has some of
 * its own that cannot fail, and ends the process if they do.
 */
const KIND = { FILE: 1, SOCKET: 2, ANY: 15 } as const;

export type Fault = {
  readonly call: Call;
  readonly error: FaultError;
  readonly kinds: number;
  /** Such calls that come first. */
  readonly before: number;
};

/** Every call that can fail, with the errors that it can have. */
export const FAULTS: readonly Omit<Fault, 'before'>[] = [
  ...(['ENOSPC', 'EIO', 'SHORT'] as const).map((error) => ({ call: 'write' as const, error, kinds: KIND.FILE })),
  ...(['EAGAIN', 'EINTR'] as const).map((error) => ({
    call: 'write' as const,
    error,
    kinds: KIND.SOCKET,
  })),
  ...(['EMFILE', 'ENOSPC', 'EIO', 'EINTR'] as const).map((error) => ({
    call: 'open' as const,
    error,
    kinds: KIND.ANY,
  })),
  ...(['EIO', 'EINTR'] as const).map((error) => ({ call: 'read' as const, error, kinds: KIND.FILE })),
  ...(['EIO', 'ENOSPC'] as const).map((error) => ({ call: 'fsync' as const, error, kinds: KIND.ANY })),
  ...(['EIO', 'ENOSPC'] as const).map((error) => ({ call: 'rename' as const, error, kinds: KIND.ANY })),
  { call: 'mkdir', error: 'ENOSPC', kinds: KIND.ANY },
  { call: 'truncate', error: 'EIO', kinds: KIND.ANY },
  ...(['EMFILE', 'ENOBUFS'] as const).map((error) => ({ call: 'socket' as const, error, kinds: KIND.ANY })),
  { call: 'bind', error: 'EADDRINUSE', kinds: KIND.ANY },
  { call: 'listen', error: 'EADDRINUSE', kinds: KIND.ANY },
  { call: 'accept', error: 'EMFILE', kinds: KIND.ANY },
  { call: 'connect', error: 'ENOMEM', kinds: KIND.ANY },
  { call: 'thread', error: 'EAGAIN', kinds: KIND.ANY },
  ...(['EINTR', 'ENOBUFS'] as const).map((error) => ({ call: 'send' as const, error, kinds: KIND.ANY })),
  // EBADF ends the answering thread: its socket is broken.
  ...(['EINTR', 'ENOMEM', 'EBADF'] as const).map((error) => ({ call: 'receive' as const, error, kinds: KIND.ANY })),
];

export type FaultLibrary = {
  /** For the environment of a server. */
  readonly env: NodeJS.ProcessEnv;
  readonly arm: (fault: Fault) => void;
  /** No call fails any more; returns how many have since `arm`. */
  readonly disarm: () => number;
  readonly [Symbol.dispose]: () => void;
};

let compiled: string | undefined;

/** Needs `cc`. */
export function createFaultLibrary(): FaultLibrary {
  const folder = mkdtempSync(join(tmpdir(), 'pharos-faults-'));
  compiled ??= compile(folder);
  const path = join(folder, 'control');
  writeFileSync(path, Buffer.alloc(4096));
  const fd = openSync(path, 'r+');
  const put = (values: readonly number[], at: number): void => {
    writeSync(fd, Uint8Array.from(Buffer.from(Int32Array.from(values).buffer)), 0, values.length * 4, at);
  };
  return {
    env: { LD_PRELOAD: compiled, PHAROS_FAULT_FILE: path },
    arm: ({ call, error, kinds, before }) => {
      put([ERRNO[error], kinds, before, 0], 4);
      // Last, because the server looks at this one first.
      put([CALL[call]], 0);
    },
    disarm: () => {
      put([0], 0);
      const failed = Buffer.alloc(4);
      readSync(fd, failed, 0, 4, 16);
      return failed.readInt32LE(0);
    },
    [Symbol.dispose]: () => {
      closeSync(fd);
    },
  };
}

function compile(folder: string): string {
  const library = join(folder, 'faults.so');
  const source = fileURLToPath(new URL('faults.c', import.meta.url));
  execFileSync('cc', ['-shared', '-fPIC', '-O2', '-o', library, source]);
  return library;
}
