/**
 * Files of many megabytes, read so that nobody waits for it.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';

/**
 * What one call reads. A kernel without preemption gives nobody else the core before the call ends: 22 MB in one go
 * took 12 ms, in which a thread that shared the core answered nothing.
 */
const PIECE_OCTETS = 128 * 1024;

/** The file's octets, as `readFileSync` gives them. Throws what that throws. */
export function readInPieces(path: string): Buffer {
  const fd = openSync(path, 'r');
  try {
    const stat = fstatSync(fd);
    // A pipe or a file of /proc has no size; and what is too large for one buffer has its own error there.
    if (!stat.isFile() || stat.size <= PIECE_OCTETS || stat.size >= 2 ** 31) return readFileSync(fd);
    const octets = Buffer.allocUnsafeSlow(stat.size);
    let length = 0;
    for (;;) {
      const read = readSync(fd, octets, length, Math.min(PIECE_OCTETS, octets.length - length), null);
      length += read;
      // Whoever writes to it meanwhile: what there was when it was opened counts.
      if (read === 0 || length === octets.length) return octets.subarray(0, length);
    }
  } finally {
    closeSync(fd);
  }
}
