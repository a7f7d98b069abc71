/**
 * Writes to a descriptor that somebody else reads without ever waiting for that reader: pipe, terminal, socket or file.
 */
import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import * as c from '../libc.ts';
import { codeOf } from '../../config/unknown-values.ts';

/** Writes what fits now: the octets taken, 0 where the reader has to read first. Throws where the reader is gone. */
export type TryWrite = (octets: Uint8Array) => number;

/** A write of this size does not wait where poll(2) finds room in a pipe (pipe(7), PIPE_BUF). */
const PIPE_BUF_OCTETS = 4096;

/** The way that fits what `fd` is. Where none can be had without waiting, writes wait, as they do by default. */
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
  // O_NONBLOCK belongs to an open file and not to a descriptor: set on `fd`, it would be the shell's too. A pipe or
  // terminal can be opened once more by this path, unless it is another user's.
  if (!kind.isSocket() && process.platform === 'linux') {
    try {
      const own = openSync(
        `/proc/self/fd/${String(fd)}`,
        constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY,
      );
      return (octets) => write(own, octets);
    } catch {
      // The next way.
    }
  }
  if (c.whyNoLibc() !== undefined) return (octets) => write(fd, octets);
  if (kind.isSocket()) return (octets) => send(fd, octets);
  const poll = pollFor(fd);
  return (octets) => (poll(0) ? write(fd, octets.subarray(0, PIPE_BUF_OCTETS)) : 0);
}

function send(fd: number, octets: Uint8Array): number {
  // A Buffer may be a piece of a larger block: the address is that of the whole.
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

/** Whether `fd` has room for a write, waited for at most `ms`. */
function pollFor(fd: number): (ms: number) => boolean {
  // struct pollfd: int fd, short events, short revents.
  const entry = new DataView(new ArrayBuffer(8));
  entry.setInt32(0, fd, true);
  entry.setInt16(4, c.POLLOUT, true);
  const address = c.memoryAddress(entry.buffer);
  return (ms) => entry.byteLength > 0 && c.libc().poll(address, 1, ms) > 0;
}
