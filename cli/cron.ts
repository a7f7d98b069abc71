/**
 * Runs jobs at the times of cron lines, as crontab(5) defines them. node-cron keeps the time.
 */
import { createTask, type Logger, type TaskContext } from 'node-cron';

export type CronJob = { start(): void; destroy(): Promise<void> };

export type CronOptions = {
  /** IANA name; undefined for the time zone of this machine. */
  readonly timezone?: string | undefined;
  readonly logger?: Logger;
};

/**
 * Expressions of node-cron for a cron line. crontab(5): if day of month and weekday are both restricted, a line is due
 * when either matches. node-cron requires both to match, so such a line becomes two expressions.
 */
export function cronExpressions(line: string): readonly string[] {
  const fields = line.trim().split(/\s+/);
  // `@daily` and similar lines have one field.
  if (fields.length < 5) return [line];
  const day = fields.length - 3;
  const weekday = fields.length - 1;
  if (isAny(fields[day]) || isAny(fields[weekday])) return [line];
  return [fields.with(weekday, '*').join(' '), fields.with(day, '*').join(' ')];
}

/** cron treats a field that begins with `*`, also one with a step, as unrestricted. */
function isAny(field = ''): boolean {
  return field.startsWith('*') || field === '?';
}

/** `prepareCronJob`, started. */
export function atCronTimes(line: string, run: () => void | Promise<void>, options: CronOptions = {}): CronJob {
  const job = prepareCronJob(line, run, options);
  job.start();
  return job;
}

/**
 * From `start` on, calls `run` each time the line is due: once per moment, also if several of its expressions are due.
 * If a moment is missed, because this thread was too busy or the clock jumped over it, calls `run` as soon as possible.
 * Throws if the line is not valid.
 */
export function prepareCronJob(line: string, run: () => void | Promise<void>, options: CronOptions = {}): CronJob {
  const { timezone, logger } = options;
  let lastMs: number | undefined;
  const due = ({ date }: TaskContext): void | Promise<void> => {
    const ms = Math.floor(date.getTime() / 1000) * 1000;
    if (ms === lastMs) return undefined;
    lastMs = ms;
    return run();
  };
  const tasks = cronExpressions(line).map((expression) => {
    const task = createTask(expression, due, {
      ...(timezone === undefined ? {} : { timezone }),
      ...(logger === undefined ? {} : { logger }),
    });
    task.on('execution:missed', due);
    return task;
  });
  return {
    start: () => {
      for (const task of tasks) void task.start();
    },
    destroy: async () => {
      for (const task of tasks) await task.destroy();
    },
  };
}
