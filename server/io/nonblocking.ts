/**
 * Writes to a pipe, terminal, socket or file without ever waiting for its reader.
 */
import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import * as c from '../../config/libc.ts';
import { codeOf } from '../../config/unknown-values.ts';

/**
 * Writes as much as fits. Returns the octets written, 0 when the reader must read first. Throws when the reader has
 * closed.
 */
export type TryWrite = (octets: Uint8Array) => number;

/** When poll(2) reports a pipe as writable, a write of this size does not block (pipe(7), PIPE_BUF). */
const PIPE_BUF_OCTETS = 4096;

/** Chooses the method for the kind of `fd`. Writes block, as by default, when no nonblocking method is available. */
export function nonblockingWrite(fd: number): TryWrite {
  const kind = fstatSync(fd);
  const write = (target: number, octets: Uint8Array): number => {
    try {
      return writeSync(target, octets);
    } catch (error) {
      if (codeOf(error) === 'EAGAIN') return 0;
      throw error;
    }
  };
  if (kind.isFile()) return (octets) => write(fd, octets);
  // O_NONBLOCK applies to the open file, not to the descriptor: set on `fd`, it would affect the shell too. This path
  // opens a pipe or terminal a second time, unless another user owns it.
  if (!kind.isSocket() && process.platform === 'linux') {
    try {
      const own = openSync(
        `/proc/self/fd/${String(fd)}`,
        constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY,
      );
      return (octets) => write(own, octets);
    } catch {
      // Try the next method.
    }
  }
  if (c.whyNoLibc() !== undefined) return (octets) => write(fd, octets);
  if (kind.isSocket()) return (octets) => send(fd, octets);
  const poll = pollFor(fd);
  return (octets) => (poll(0) ? write(fd, octets.subarray(0, PIPE_BUF_OCTETS)) : 0);
}

function send(fd: number, octets: Uint8Array): number {
  // A Buffer may be part of a larger block, and `memoryAddress` returns the address of the block.
  const copy = new Uint8Array(new ArrayBuffer(octets.length));
  copy.set(octets);
  const sent = c
    .libc()
    .sendto(fd, c.memoryAddress(copy.buffer), copy.length, c.MSG_DONTWAIT | c.MSG_NOSIGNAL, c.NULL, 0);
  if (sent >= 0) return sent;
  const errno = c.libc().errno();
  if (errno === c.ERRNO.EAGAIN || errno === c.ERRNO.EINTR) return 0;
  throw new Error(`send: errno ${String(errno)}`);
}

/** Whether `fd` becomes writable within `ms`. */
function pollFor(fd: number): (ms: number) => boolean {
  // struct pollfd: int fd, short events, short revents.
  const entry = new DataView(new ArrayBuffer(8));
  entry.setInt32(0, fd, true);
  entry.setInt16(4, c.POLLOUT, true);
  const address = c.memoryAddress(entry.buffer);
  return (ms) => entry.byteLength > 0 && c.libc().poll(address, 1, ms) > 0;
}
