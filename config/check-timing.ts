/**
 * What every check has: how often, how long, and how many results in a row decide.
 */
import type { Place, Report } from './diagnostics.ts';
import { duration, integer, optional, valueOf, withDefault } from './fields.ts';
import {
  MAX_CHECK_INTERVAL_MS,
  MAX_CHECK_TIMEOUT_MS,
  MAX_RISE_OR_FALL,
  MIN_CHECK_INTERVAL_MS,
  MIN_CHECK_TIMEOUT_MS,
  SYN_AGAIN_MS,
} from './limits.ts';
import type { CheckTiming } from './settings.ts';
import { formatDuration } from './units.ts';
import { nodePlace, type YamlNode } from './yaml.ts';

const DEFAULT_INTERVAL_MS = 10_000;
const DEFAULT_TIMEOUT_MS = 2000;
const DEFAULT_FAST_MS = 1000;

const interval = duration({ minMs: MIN_CHECK_INTERVAL_MS, maxMs: MAX_CHECK_INTERVAL_MS });
const timeout = duration({ minMs: MIN_CHECK_TIMEOUT_MS, maxMs: MAX_CHECK_TIMEOUT_MS });

/** The keys of every check; a compound one has another default for `timeout`. */
export const timingFields = {
  interval: withDefault(interval, DEFAULT_INTERVAL_MS),
  timeout: withDefault(timeout, DEFAULT_TIMEOUT_MS),
  fast: optional(interval),
  rise: withDefault(integer({ min: 1, max: MAX_RISE_OR_FALL }), 2),
  fall: withDefault(integer({ min: 1, max: MAX_RISE_OR_FALL }), 3),
};

/** For checks whose default is not the usual one. */
export const timeoutWithoutDefault = optional(timeout);

/** What `timingFields` read. */
export type Timing = {
  readonly interval: number;
  readonly timeout: number;
  readonly fast: number | undefined;
  readonly rise: number;
  readonly fall: number;
};

/** Fills in `fast`, and warns of what makes a failure be seen late. */
export function timingOf(read: Timing, node: YamlNode, report: Report): CheckTiming {
  const { interval: intervalMs, timeout: timeoutMs, rise, fall } = read;
  const placeOfKey = (...keys: readonly string[]): Place =>
    nodePlace(keys.flatMap((key) => valueOf(node, key) ?? [])[0] ?? node);
  if (read.fast !== undefined && read.fast > intervalMs) {
    const message = `fast (${formatDuration(read.fast)}) is longer than interval (${formatDuration(intervalMs)})`;
    report.warning('PH044', message, placeOfKey('fast'), 'a failure would be seen later than without it');
  }
  if (timeoutMs > intervalMs) {
    const message = `timeout (${formatDuration(timeoutMs)}) is longer than interval (${formatDuration(intervalMs)})`;
    report.warning('PH044', message, placeOfKey('timeout', 'interval'), 'the next probe waits for it: shorten it');
  }
  return { intervalMs, timeoutMs, fastMs: read.fast ?? Math.min(DEFAULT_FAST_MS, intervalMs), rise, fall };
}

/** For checks over TCP. Measured at 30 % loss: 23 healthy targets taken down with less, none with 2 s. */
export function warnShortTimeout(timeoutMs: number, node: YamlNode, report: Report): void {
  if (timeoutMs >= SYN_AGAIN_MS) return;
  const message = `timeout (${formatDuration(timeoutMs)}) does not outlive one lost packet: TCP sends a SYN again after 1s`;
  report.warning('PH093', message, nodePlace(valueOf(node, 'timeout') ?? node), 'use 2s, or more fall');
}
