/**
 * The systemd unit had "LimitNICE=0", which gives no right at all: without a sign, systemd.exec(5) takes the value as
 * that of setrlimit(2), where 20 stands for nice 0. A restarted answering thread kept nice 10.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const UNIT = new URL('../../../deploy/pharos.service', import.meta.url);

/** The value of RLIMIT_NICE that systemd sets. */
function rlimitOf(value: string): number {
  return /^[+-]/.test(value) ? 20 - Number(value) : Number(value);
}

test('with the unit, threads may return to nice 0, and not below', () => {
  const value = /^LimitNICE=(\S+)$/m.exec(readFileSync(UNIT, 'utf8'))?.[1];
  expect(rlimitOf(value ?? '')).toBe(20);
});
