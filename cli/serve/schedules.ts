/**
 * Runs `schedules`: each sets weights and states at its times, like an operator through the API.
 */
import type { Logger } from 'node-cron';
import type { ScheduleSpec } from '../../config/settings.ts';
import type { Health, OverrideOutcome } from '../../health/engine.ts';
import { prepareCronJob, type CronJob } from '../cron.ts';

/** A change by a schedule, or one that it left to an override of an operator. */
export type ScheduleNews = { readonly target: string; readonly message: string; readonly reason: string };

export type Schedules = {
  /** The jobs of a generation. Throws if a line is not valid. */
  prepare(specs: readonly ScheduleSpec[]): PreparedJobs;
  /** Prepares and starts them. Changes that earlier schedules made are kept. */
  configure(specs: readonly ScheduleSpec[]): Promise<void>;
  stop(): Promise<void>;
};

/** Jobs that do not run yet. The caller must call one of the two functions. */
export type PreparedJobs = {
  /** Ends the previous jobs, and starts these. */
  readonly start: () => Promise<void>;
  readonly discard: () => Promise<void>;
};

/** The reason of every change by a schedule; the cron line follows. */
const REASON = 'schedule';

export function createSchedules(
  health: Pick<Health, 'override' | 'weigh'>,
  tell: (news: ScheduleNews) => void,
  warn: (message: string) => void,
): Schedules {
  let jobs: readonly CronJob[] = [];
  const replaceJobs = async (next: readonly CronJob[]): Promise<void> => {
    const old = jobs;
    jobs = next;
    for (const job of next) job.start();
    await destroyAll(old);
  };
  const logger: Logger = {
    info: () => undefined,
    debug: () => undefined,
    warn,
    error: (message) => {
      warn(message instanceof Error ? message.message : message);
    },
  };
  const prepare = (specs: readonly ScheduleSpec[]): PreparedJobs => {
    const next = specs.map((spec) => {
      const apply = (): void => {
        applySchedule(spec, health, tell);
      };
      return prepareCronJob(spec.at, apply, { logger, timezone: spec.timezone });
    });
    return { start: () => replaceJobs(next), discard: () => destroyAll(next) };
  };
  return {
    prepare,
    configure: (specs) => prepare(specs).start(),
    stop: () => replaceJobs([]),
  };
}

async function destroyAll(jobs: readonly CronJob[]): Promise<void> {
  for (const job of jobs) await job.destroy();
}

/** Applies the schedule now. */
export function applySchedule(
  { at, set }: ScheduleSpec,
  health: Pick<Health, 'override' | 'weigh'>,
  tell: (news: ScheduleNews) => void,
): void {
  const reason = `${REASON} "${at}"`;
  for (const { target, weight, state } of set) {
    if (weight !== undefined) {
      const outcome = health.weigh(target, weight === 'auto' ? undefined : { weight, reason }, 'schedule');
      tell({ target, message: words(target, `weight ${String(weight)}`, outcome), reason });
    }
    if (state !== undefined) {
      const outcome = health.override(target, state === 'auto' ? undefined : { state, reason }, 'schedule');
      tell({ target, message: words(target, state, outcome), reason });
    }
  }
}

function words(target: string, what: string, outcome: OverrideOutcome): string {
  if (outcome.kind === 'unknown target') return `${target} does not exist: nothing was set`;
  const kept = outcome.kept.length === 0 ? '' : `; overrides of operators are kept for ${outcome.kept.join(', ')}`;
  return outcome.targets.length === 0 ? `${target} was not set to ${what}${kept}` : `${target} set to ${what}${kept}`;
}
