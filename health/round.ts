/**
 * One turn of a target: a probe and, while that has no answer, a further probe beside it every `fast`. A silent target
 * must not take `fall` timeouts one after the other: the needed failures come `fast` apart (docs/health.md#silence).
 * The first probe that passes decides the turn.
 *
 *     start       fast      2 × fast              timeout   + fast    + 2 × fast
 *     first probe ├──────────────────────────────────┤ failed
 *                 second   ├──────────────────────────────────┤ failed
 *                          third    ├──────────────────────────────────┤ failed
 */
import type { ProbeResult } from './checks/probe.ts';
import type { Cancel, Clock } from './clock.ts';
import { createStopper, type StopSignal, type Stopper } from './stop-signal.ts';

export type RoundOptions = {
  readonly clock: Clock;
  /** How long the first probe may be without a response before another one starts. */
  readonly doubtMs: number;
  readonly fastMs: number;
  /** Whether to start one more probe while this number of probes has no response. */
  readonly wantsMore: (underWay: number) => boolean;
  /** Never rejects. */
  readonly ask: (signal: StopSignal, first: boolean) => Promise<ProbeResult>;
  /** Called with a result and the start of its probe. No call follows a result that passed, or `cancel`. */
  readonly take: (result: ProbeResult, startedMs: number) => void;
};

export type Round = {
  /** All probes have ended, or one has passed and the others are cancelled. */
  readonly done: Promise<void>;
  readonly cancel: () => void;
};

const NONE: readonly Stopper[] = [];

export function startRound({ clock, doubtMs, fastMs, wantsMore, ask, take }: RoundOptions): Round {
  let underWay = NONE;
  let settled = false;
  const settle = (): void => {
    settled = true;
    for (const stopper of underWay) stopper.abort();
  };

  const probe = async (first: boolean): Promise<void> => {
    const stopper = createStopper();
    const startedMs = clock.now();
    underWay = underWay.length === 0 ? [stopper] : [...underWay, stopper];
    let next: Promise<void> | undefined;
    let cancelTimer: Cancel | undefined;
    if (wantsMore(underWay.length)) {
      cancelTimer = clock.after(first ? doubtMs : fastMs, () => {
        // Responses that arrived while this thread was busy are read before another probe starts.
        cancelTimer = clock.after(0, () => {
          if (!settled && wantsMore(underWay.length)) next = probe(false);
        });
      });
    }
    const result = await ask(stopper, first);
    cancelTimer?.();
    underWay = underWay.length === 1 ? NONE : underWay.filter((other) => other !== stopper);
    if (!settled) {
      if (result.passed) settle();
      take(result, startedMs);
    }
    await next;
  };
  return { done: probe(true), cancel: settle };
}
