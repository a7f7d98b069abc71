/**
 * Puts a loaded generation in force. Every step that may fail comes before the switch, and is undone if one fails.
 */
import type { Logger } from 'pino';
import type { Calendar } from './calendar.ts';
import type { Current } from './generation.ts';

/** A part that keeps data of the generation in force. `replaced` is called when another generation is put in force. */
export type Follower = { readonly replaced: (before: Current, next: Current) => void };

export type ActivateParts = {
  readonly state: { current: Current };
  readonly calendar: Pick<Calendar, 'prepare'>;
  /** Fills the generation's health table. May throw. */
  readonly configureHealth: (generation: Current, before: Current) => void;
  /** Gives the generation to every thread. If one fails, no thread keeps it, and the promise rejects. */
  readonly publish: (generation: Current) => Promise<void>;
  readonly followers: readonly Follower[];
  readonly log: Pick<Logger, 'error'>;
};

/** Rejects with the error of a step before the switch. Then the previous generation stays in force. */
export async function activate(next: Current, parts: ActivateParts): Promise<void> {
  const { state, calendar, configureHealth, publish, followers, log } = parts;
  const before = state.current;
  const jobs = await calendar.prepare(next.settings);
  try {
    // Before threads use the table: their first answers need its states.
    configureHealth(next, before);
    await publish(next);
  } catch (error) {
    await jobs.discard();
    configureHealth(before, next);
    throw error;
  }
  // The threads serve the generation now, so the other parts must get it even if one part fails.
  state.current = next;
  for (const follower of followers) {
    try {
      follower.replaced(before, next);
    } catch (error) {
      log.error({ err: error }, `internal error after the reload to generation ${String(next.number)}`);
    }
  }
  await jobs.start();
}
