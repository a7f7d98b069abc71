/**
 * Digests of targets and of lists of them. Nodes compare them to know that they speak of the same check at the same
 * address.
 */
import { createHash } from 'node:crypto';
import type { CheckSpec } from '../config/check-kinds.ts';
import type { TargetDigest } from './vote-message.ts';

const DIGITS = 16;

/** The digest of a check at an address. The name of the check does not count, and neither does how votes are counted. */
export function targetDigest(check: CheckSpec, address: string): TargetDigest {
  return digestOf(JSON.stringify([{ ...check, name: '' }, address], sortedKeys));
}

/** The digest of a list of targets, in its order. */
export function listDigest(digests: readonly TargetDigest[]): string {
  return digestOf(digests.join());
}

export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, DIGITS);
}

function sortedKeys(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
