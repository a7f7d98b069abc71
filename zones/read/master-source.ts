/**
 * Reads a master file's octets, and converts offsets to places for diagnostics.
 */
import type { Place } from '../../config/diagnostics.ts';
import { MAX_DATA_OCTETS } from '../../config/limits.ts';
import { faultOf, readRegularFile } from '../../config/read-file.ts';
import { lineAfter } from './master-lexer.ts';

/** Characters of a line kept for the excerpt. */
const MAX_EXCERPT = 1000;

/**
 * The file's octets with a newline at the end, or the reason why it cannot be read. It must be in the folder `below`.
 */
export function readBytes(path: string, below?: string): Buffer | ReturnType<typeof faultOf> {
  try {
    const { octets } = readRegularFile(path, { maxOctets: MAX_DATA_OCTETS, below });
    return octets.at(-1) === 0x0a ? octets : Buffer.concat([octets, Buffer.from('\n')]);
  } catch (error) {
    return faultOf(error);
  }
}

/** The offset after a byte order mark, which some editors write. */
export function startOfText(bytes: Buffer): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
}

/** The place of `offset`, which is in the entry that starts at `start` on `line`. */
export function placeInMasterFile(
  source: { readonly path: string; readonly bytes: Buffer; readonly line: number },
  start: number,
  offset: number,
  length: number,
): Place {
  const { bytes, path: file } = source;
  offset = Math.max(start, Math.min(offset, bytes.length - 1));
  let { line } = source;
  for (let at = bytes.indexOf(0x0a, start); at >= 0 && at < offset; at = bytes.indexOf(0x0a, at + 1)) line++;
  const from = Math.max(startOfText(bytes), offset === 0 ? 0 : bytes.lastIndexOf(0x0a, offset - 1) + 1);
  const text = bytes.toString('utf8', from, lineAfter(bytes, offset)).replace(/\r?\n$/, '');
  const column = bytes.toString('utf8', from, offset).length + 1;
  return { file, line, column, length: Math.max(1, length), excerpt: text.slice(0, MAX_EXCERPT), foreign: true };
}
