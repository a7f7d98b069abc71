/**
 * Wrong tokens: each is counted, some are logged, and each reply is delayed, longer with each wrong token from the same
 * address. A request with the right token is never delayed.
 */
import { isLoopback, parseAddress } from '../wire/address.ts';
import { createLineLimit } from './line-limit.ts';

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5000;
/** After this time without a wrong token an address starts again with the first delay. */
const FORGET_MS = 60_000;
/** Addresses remembered. The one with the oldest wrong token is forgotten first. */
const MAX_ADDRESSES = 4096;
const LINES_PER_MINUTE = 10;

export type WrongTokens = {
  readonly count: () => number;
  /** Counts a wrong token. Resolves when the reply may be sent. */
  readonly refuse: (peer: string) => Promise<void>;
};

/** `nowMs` is a monotonic clock; `warn` writes one line of the log. */
export function createWrongTokens(
  warn: (fields: object, message: string) => void,
  nowMs: () => number = () => performance.now(),
  sleep: (ms: number) => Promise<void> = sleepUnref,
): WrongTokens {
  const seen = new Map<string, { times: number; lastMs: number }>();
  const mayLog = createLineLimit(LINES_PER_MINUTE, nowMs);
  let count = 0;
  return {
    count: () => count,
    refuse: (peer) => {
      count++;
      const client = networkOf(peer);
      const now = nowMs();
      const known = seen.get(client);
      const times = known === undefined || now - known.lastMs > FORGET_MS ? 1 : known.times + 1;
      seen.delete(client);
      seen.set(client, { times, lastMs: now });
      const [oldest] = seen.keys();
      if (seen.size > MAX_ADDRESSES && oldest !== undefined) seen.delete(oldest);
      const line = mayLog();
      if (line) warn({ peer, ...line, wrong_tokens: count }, 'status server: wrong token');
      return sleep(Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(times - 1, 16)));
    },
  };
}

/** The /64 of an IPv6 client. */
function networkOf(peer: string): string {
  const address = parseAddress(peer);
  if (address?.length !== 16 || isLoopback(address)) return peer;
  return Buffer.from(address.subarray(0, 8)).toString('hex');
}

function sleepUnref(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
