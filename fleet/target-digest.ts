/**
 * Digests with which nodes tell whether they mean the same check at an address, the same list of targets, or the same
 * configuration.
 */
import { createHash } from 'node:crypto';
import type { TargetDigest } from './vote-message.ts';

const DIGITS = 16;

/** The digest of a list of targets, in its order. */
export function listDigest(digests: readonly TargetDigest[]): string {
  return digestOf(digests.join());
}

export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, DIGITS);
}
