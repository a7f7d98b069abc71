/**
 * Jobs of a running server at given times: `schedules`, and the check of the geo databases for `geo.refresh`.
 */
import { stat } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Settings } from '../../config/settings.ts';
import type { Health } from '../../health/engine.ts';
import { prepareCronJob, type CronJob } from '../cron.ts';
import { createSchedules, type PreparedJobs, type ScheduleNews } from './schedules.ts';

export type Calendar = {
  /** The jobs of a generation. Rejects if one of them cannot be created. */
  readonly prepare: (settings: Settings) => Promise<PreparedJobs>;
  /** Prepares and starts them; also after `close`. */
  readonly configure: (settings: Settings) => Promise<void>;
  /** Ends all jobs. */
  readonly close: () => Promise<void>;
};

export type CalendarOptions = {
  readonly health: () => Pick<Health, 'override' | 'weigh'>;
  readonly tell: (news: ScheduleNews) => void;
  readonly reload: () => Promise<unknown>;
  readonly log: Logger;
};

export function createCalendar({ health, tell, reload, log }: CalendarOptions): Calendar {
  const schedules = createSchedules(
    { override: (...change) => health().override(...change), weigh: (...change) => health().weigh(...change) },
    tell,
    (message) => {
      log.warn(message);
    },
  );
  let databases: readonly string[] = [];
  let refresh: string | undefined;
  let look: CronJob | undefined;

  const prepare = async (settings: Settings): Promise<PreparedJobs> => {
    const { refresh: nextRefresh } = settings.geo;
    const paths = settings.geo.databases.map(({ path }) => path);
    const nextLook =
      nextRefresh === undefined || nextRefresh === refresh
        ? undefined
        : prepareLook(nextRefresh, await timesOf(paths), () => timesOf(databases), reload, log);
    const scheduled = schedules.prepare(settings.schedules);
    return {
      start: async () => {
        databases = paths;
        if (nextRefresh !== refresh) {
          const old = look;
          [refresh, look] = [nextRefresh, nextLook];
          look?.start();
          await old?.destroy();
        }
        await scheduled.start();
      },
      discard: async () => {
        await nextLook?.destroy();
        await scheduled.discard();
      },
    };
  };

  return {
    prepare,
    configure: async (settings) => {
      await (await prepare(settings)).start();
    },
    close: async () => {
      await look?.destroy();
      look = refresh = undefined;
      await schedules.stop();
    },
  };
}

/** The times at which the files were changed, as one text. */
async function timesOf(paths: readonly string[]): Promise<string> {
  return (await Promise.all(paths.map(async (path) => (await stat(path).catch(() => undefined))?.mtimeMs ?? 0))).join();
}

/**
 * At the times of the cron line, reloads if a database file has changed since the last check. `last`: the times of the
 * files now.
 */
function prepareLook(
  line: string,
  last: string,
  times: () => Promise<string>,
  reload: () => Promise<unknown>,
  log: Logger,
): CronJob {
  let seen = last;
  return prepareCronJob(line, async () => {
    const now = await times();
    if (now === seen) return;
    seen = now;
    log.info('a geo database changed');
    await reload();
  });
}
