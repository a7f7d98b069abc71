/**
 * What a running server does at given times: `schedules` at theirs, and at those of `geo.refresh` a look at the databases.
 */
import { stat } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Settings } from '../../config/settings.ts';
import type { Health } from '../../health/engine.ts';
import { atCronTimes, type CronJob } from '../cron.ts';
import { createSchedules, type ScheduleNews } from './schedules.ts';

export type Calendar = {
  /** Of a generation that comes into force, at the start and after `close` too. */
  readonly configure: (settings: Settings) => Promise<void>;
  /** Does nothing from then on. */
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

  return {
    configure: async (settings) => {
      await schedules.configure(settings.schedules);
      databases = settings.geo.databases.map(({ path }) => path);
      if (settings.geo.refresh === refresh) return;
      await look?.destroy();
      refresh = settings.geo.refresh;
      look = refresh === undefined ? undefined : await watchDatabases(refresh, () => databases, reload, log);
    },
    close: async () => {
      await look?.destroy();
      look = refresh = undefined;
      await schedules.stop();
    },
  };
}

/** At the times of the cron line, reloads where a database file is newer than it was. */
async function watchDatabases(
  line: string,
  paths: () => readonly string[],
  reload: () => Promise<unknown>,
  log: Logger,
): Promise<CronJob> {
  const times = async (): Promise<string> =>
    (await Promise.all(paths().map(async (path) => (await stat(path).catch(() => undefined))?.mtimeMs ?? 0))).join();
  let last = await times();
  return atCronTimes(line, async () => {
    const now = await times();
    if (now === last) return;
    last = now;
    log.info('a geo database changed');
    await reload();
  });
}
