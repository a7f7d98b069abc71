/**
 * Digests that nodes compare to know that they speak of the same: of a check at its address, of a list of these, of a
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
