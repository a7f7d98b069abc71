/**
 * Zones that are signed in the background (zones/postponed.ts): how far they are, for the log and the status document,
 * and the reload that puts their signatures in force.
 */
import type { Logger } from 'pino';
import type { SigningWatch } from '../../server/threads/load-thread.ts';
import type { SigningProgress } from '../../zones/postponed.ts';

export type SigningKeeper = SigningWatch & {
  readonly zones: () => readonly SigningProgress[];
  /** `reload` takes the signatures of a zone into use. */
  readonly start: (reload: () => Promise<unknown>, log: Pick<Logger, 'info'>) => void;
};

const LOG_EVERY_MS = 10_000;

export function createSigningKeeper(nowMs: () => number = () => performance.now()): SigningKeeper {
  let zones: readonly SigningProgress[] = [];
  let reload: (() => Promise<unknown>) | undefined;
  let log: Pick<Logger, 'info'> | undefined;
  let loggedAt = -Infinity;
  let isFinished = false;
  return {
    zones: () => zones,
    signing(progress) {
      zones = progress;
      if (!log || nowMs() - loggedAt < LOG_EVERY_MS) return;
      loggedAt = nowMs();
      for (const each of zones) if (each.made < each.total) log.info(progressText(each));
    },
    signed(zone) {
      zones = zones.filter((each) => each.zone !== zone);
      log?.info(`${zone}: all signatures are made`);
      if (reload) void reload();
      else isFinished = true;
    },
    start(how, where) {
      [reload, log] = [how, where];
      if (isFinished) void reload();
    },
  };
}

/** `example.com is being signed: 350,000 of 2,000,000 signatures`. */
function progressText({ zone, made, total }: SigningProgress): string {
  return `${zone} is being signed: ${made.toLocaleString('en')} of ${total.toLocaleString('en')} signatures`;
}
