/**
 * Reads the timing and thresholds of checks.
 */
import type { Place, Report } from './diagnostics.ts';
import { duration, integer, map, optional, valueOf, withDefault, type Read } from './fields.ts';
import { fleetFields, fleetRuleOf, type FleetKeys, type FleetRule } from './fleet-rule.ts';
import {
  MAX_CHECK_INTERVAL_MS,
  MAX_CHECK_TIMEOUT_MS,
  MAX_FLAP_CHANGES,
  MAX_FLAP_MS,
  MAX_RISE_OR_FALL,
  MIN_CHECK_INTERVAL_MS,
  MIN_CHECK_TIMEOUT_MS,
  SYN_AGAIN_MS,
} from './limits.ts';
import { like } from './schema.ts';
import { formatDuration } from './units.ts';
import { nodePlace, type YamlNode } from './yaml.ts';

/** Timing and thresholds of a check (docs/health.md#scheduling). */
export type CheckTiming = {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly fastMs: number;
  /** Passes in a row that bring a target up. */
  readonly rise: number;
  /** Failures in a row that take a target down. */
  readonly fall: number;
  /** Undefined: every change of the state counts, however often it changes. */
  readonly flap?: FlapRule | undefined;
  /** How a fleet decides; undefined: `DEFAULT_FLEET_RULE`. */
  readonly fleet?: FleetRule | undefined;
};

/** `changes` changes of the state within `withinMs` hold the target down for `holdMs` (docs/health.md#flapping). */
export type FlapRule = { readonly changes: number; readonly withinMs: number; readonly holdMs: number };

const DEFAULT_INTERVAL_MS = 10_000;
const DEFAULT_TIMEOUT_MS = 2000;
const DEFAULT_FAST_MS = 1000;

const interval = duration({ minMs: MIN_CHECK_INTERVAL_MS, maxMs: MAX_CHECK_INTERVAL_MS });
const timeout = duration({ minMs: MIN_CHECK_TIMEOUT_MS, maxMs: MAX_CHECK_TIMEOUT_MS });

const flapTime = duration({ minMs: 1000, maxMs: MAX_FLAP_MS });
const readFlap = map('flap', {
  changes: withDefault(integer({ min: 2, max: MAX_FLAP_CHANGES }), 6),
  within: withDefault(flapTime, 10 * 60_000),
  hold: withDefault(flapTime, 5 * 60_000),
});

const flap: Read<FlapRule> = like(readFlap, (node: YamlNode, name: string, report: Report) => {
  const read = readFlap(node, name, report);
  return read && { changes: read.changes, withinMs: read.within, holdMs: read.hold };
});

/** The keys of every check. A compound check has another default for `timeout`. */
export const timingFields = {
  interval: withDefault(interval, DEFAULT_INTERVAL_MS),
  timeout: withDefault(timeout, DEFAULT_TIMEOUT_MS),
  fast: optional(interval),
  rise: withDefault(integer({ min: 1, max: MAX_RISE_OR_FALL }), 2),
  fall: withDefault(integer({ min: 1, max: MAX_RISE_OR_FALL }), 3),
  flap: optional(flap),
  ...fleetFields,
};

/** For checks with another default. */
export const timeoutWithoutDefault = optional(timeout);

/** The values that `timingFields` read. */
export type Timing = {
  readonly interval: number;
  readonly timeout: number;
  readonly fast: number | undefined;
  readonly rise: number;
  readonly fall: number;
  readonly flap: FlapRule | undefined;
} & FleetKeys;

/** Fills in `fast`, and warns of values that delay the detection of failures. */
export function timingOf(read: Timing, node: YamlNode, report: Report): CheckTiming {
  const { interval: intervalMs, timeout: timeoutMs, rise, fall } = read;
  const placeOfKey = (...keys: readonly string[]): Place =>
    nodePlace(keys.flatMap((key) => valueOf(node, key) ?? [])[0] ?? node);
  if (read.fast !== undefined && read.fast > intervalMs) {
    const message = `fast (${formatDuration(read.fast)}) is longer than interval (${formatDuration(intervalMs)})`;
    report.warning('PH044', message, placeOfKey('fast'), 'failures would be detected later than without it');
  }
  if (timeoutMs > intervalMs) {
    const message = `timeout (${formatDuration(timeoutMs)}) is longer than interval (${formatDuration(intervalMs)})`;
    report.warning(
      'PH044',
      message,
      placeOfKey('timeout', 'interval'),
      'the next probe waits for the timeout: shorten it',
    );
  }
  const fleet = fleetRuleOf(read);
  const timing = {
    ...{ intervalMs, timeoutMs, fastMs: read.fast ?? Math.min(DEFAULT_FAST_MS, intervalMs), rise, fall },
    ...(fleet && { fleet }),
  };
  if (read.flap === undefined) return timing;
  warnRareFlap(read.flap, timing, placeOfKey('flap'), report);
  return { ...timing, flap: read.flap };
}

/** Results are at least `fast` apart, so `changes` may take longer than `within`. */
function warnRareFlap(flap: FlapRule, { fastMs, rise, fall }: CheckTiming, place: Place, report: Report): void {
  const gaps = flap.changes - 1;
  const results = Math.floor(gaps / 2) * (rise + fall) + (gaps % 2) * Math.min(rise, fall);
  const leastMs = results * fastMs;
  if (leastMs <= flap.withinMs) return;
  const message = `flap never takes effect: ${flap.changes} changes take ${formatDuration(leastMs)} or more, but within is ${formatDuration(flap.withinMs)}`;
  report.warning('PH066', message, place, 'make within longer, or changes fewer');
}

/** `timingOf` for checks over TCP, which also warns of a timeout that is too short for them. */
export function timingOverTcp(read: Timing, node: YamlNode, report: Report): CheckTiming {
  const timing = timingOf(read, node, report);
  warnShortTimeout(timing.timeoutMs, node, report);
  return timing;
}

/** Measured at 30 % loss: 23 healthy targets taken down with a shorter timeout, none with 2 s. */
function warnShortTimeout(timeoutMs: number, node: YamlNode, report: Report): void {
  if (timeoutMs >= SYN_AGAIN_MS) return;
  const message = `timeout (${formatDuration(timeoutMs)}) is too short for one lost packet: TCP sends a lost SYN again after 1s`;
  report.warning('PH093', message, nodePlace(valueOf(node, 'timeout') ?? node), 'use 2s, or more fall');
}
