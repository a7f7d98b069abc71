/**
 * The last differences between the versions of a zone, for IXFR (RFC 1995), and their file beside the journal. The file
 * is only appended to, and then replaced by a shorter one. It is not needed: without it, secondaries transfer the zone.
 */
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { Name } from '../../wire/name.ts';
import { journalPath } from './journal-file.ts';
import { octetsOf, type ZoneDifference } from './zone-difference.ts';

export type HeldDifference = ZoneDifference & {
  /** Serials. */
  readonly from: number;
  readonly to: number;
  /** The digest in the SerialEntry of the version `to`; empty if the file states the serial. */
  readonly digest: string;
};

/** RFC 1995 5: old differences are dropped. */
const MOST_DIFFERENCES = 1000;
const MOST_OCTETS = 1024 * 1024;

/** Its path in the state folder. */
export function historyPath(stateDir: string, apex: Name): string {
  return journalPath(stateDir, apex).replace(/journal$/, 'history');
}

/** Whether there are more differences than are kept. */
export function isTooLong(differences: readonly HeldDifference[], octets: number): boolean {
  return differences.length > MOST_DIFFERENCES || octets > MOST_OCTETS;
}

/** The newest half of the differences that are kept at most. */
export function shortened(differences: readonly HeldDifference[]): readonly HeldDifference[] {
  let octets = 0;
  const first = differences.findLastIndex((each, index) => {
    octets += octetsOf(each);
    return octets > MOST_OCTETS / 2 || differences.length - index > MOST_DIFFERENCES / 2;
  });
  return differences.slice(first + 1);
}

/**
 * The differences that lead without a gap to the last one of the file. Lines from the first damaged one on are left
 * out. No file is an empty history. Throws other errors of the file system.
 */
export function readHistory(path: string): readonly HeldDifference[] {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  let differences: HeldDifference[] = [];
  for (const line of text.split('\n')) {
    const difference = parseLine(line);
    if (!difference) break;
    if (differences.at(-1)?.to !== difference.from) differences = [];
    differences.push(difference);
  }
  return differences;
}

/** The last difference of a file; undefined if there is none, or it cannot be read. */
export function lastDifference(path: string): HeldDifference | undefined {
  try {
    return readHistory(path).at(-1);
  } catch {
    return undefined;
  }
}

/** The line of a difference, with its end. */
export function formatDifference({ from, to, digest, soaBefore, soaAfter, removed, added }: HeldDifference): string {
  const text = (octets: Uint8Array): string => Buffer.from(octets).toString('base64');
  const records = {
    before: text(soaBefore),
    after: text(soaAfter),
    removed: removed.map(text),
    added: added.map(text),
  };
  const json = JSON.stringify({ from, to, digest, ...records });
  return `${checksum(json)} ${json}\n`;
}

function parseLine(line: string): HeldDifference | undefined {
  const json = line.slice(9);
  if (json === '' || line.slice(0, 8) !== checksum(json)) return undefined;
  // The checksum shows that Pharos wrote it.
  const { from, to, digest, before, after, removed, added } = JSON.parse(json) as {
    readonly from: number;
    readonly to: number;
    readonly digest: string;
    readonly before: string;
    readonly after: string;
    readonly removed: readonly string[];
    readonly added: readonly string[];
  };
  const octets = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'));
  return {
    ...{ from, to, digest, soaBefore: octets(before), soaAfter: octets(after) },
    ...{ removed: removed.map(octets), added: added.map(octets) },
  };
}

function checksum(json: string): string {
  return crc32(json).toString(16).padStart(8, '0');
}
