/**
 * Cron lines at work: what is due, and when, as crontab(5) says. node-cron keeps the time.
 */
import { schedule, type Logger, type TaskContext } from 'node-cron';

export type CronJob = { destroy(): Promise<void> };

export type CronOptions = {
  /** IANA; undefined for the server's own. */
  readonly timezone?: string | undefined;
  readonly logger?: Logger;
};

/**
 * The expressions that a cron line stands for. crontab(5): where day of month and weekday are both restricted, a line
 * is due when either matches. node-cron wants both to match, so such a line becomes two.
 */
export function cronExpressions(line: string): readonly string[] {
  const fields = line.trim().split(/\s+/);
  // `@daily` and the like have one field.
  if (fields.length < 5) return [line];
  const day = fields.length - 3;
  const weekday = fields.length - 1;
  if (isAny(fields[day]) || isAny(fields[weekday])) return [line];
  return [fields.with(weekday, '*').join(' '), fields.with(day, '*').join(' ')];
}

/** As cron reads it: a field that begins with `*`, also one with a step, restricts nothing. */
function isAny(field = ''): boolean {
  return field.startsWith('*') || field === '?';
}

/**
 * Runs `run` each time the line is due: once for each moment, whichever of its expressions are due. A moment that came
 * while this thread was busy, or that the clock jumped over, is made up for at once.
 */
export function atCronTimes(line: string, run: () => void | Promise<void>, options: CronOptions = {}): CronJob {
  const { timezone, logger } = options;
  let lastMs: number | undefined;
  const due = ({ date }: TaskContext): void | Promise<void> => {
    const ms = Math.floor(date.getTime() / 1000) * 1000;
    if (ms === lastMs) return undefined;
    lastMs = ms;
    return run();
  };
  const tasks = cronExpressions(line).map((expression) => {
    const task = schedule(expression, due, {
      ...(timezone === undefined ? {} : { timezone }),
      ...(logger === undefined ? {} : { logger }),
    });
    task.on('execution:missed', due);
    return task;
  });
  return {
    destroy: async () => {
      for (const task of tasks) await task.destroy();
    },
  };
}
