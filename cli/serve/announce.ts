/**
 * What happens in a running server, told to everybody who wants to know: the log, the events of the API, the
 * webhook of `health.notify`.
 */
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { Alarm } from '../../config/alarms.ts';
import { fileAndLine } from '../../config/diagnostics.ts';
import { systemClock } from '../../health/clock.ts';
import type { HealthEvent } from '../../health/engine.ts';
import { createNotifier, type NotifyStats } from '../../health/webhook.ts';
import { createEventLog, describe, type EventLog } from '../../status/events.ts';
import type { LastReload, RunningGeneration } from '../../status/runtime.ts';
import type { ScheduleNews } from './schedules.ts';

export type News = {
  readonly events: EventLog;
  readonly notifications: () => NotifyStats;
  readonly health: (event: HealthEvent) => void;
  readonly scheduled: (news: ScheduleNews) => void;
  /** `generation` is the one in force afterwards. */
  readonly reloaded: (reload: LastReload, generation: number) => void;
  /** Has the alarms looked at from now on. */
  readonly watchAlarms: (alarms: () => readonly Alarm[]) => void;
  /** A new generation: its webhook, and the regions of its VIPs. */
  readonly configure: (generation: RunningGeneration) => void;
  readonly stop: () => void;
};

/** Alarms have no event of their own, and are few: looking is cheap. */
const ALARM_LOOK_MS = 1000;

export function createNews(log: Logger): News {
  const events = createEventLog();
  const notifier = createNotifier({
    clock: systemClock,
    warn: (message) => {
      log.warn(message);
    },
  });
  let node = hostname();
  let regions = new Map<string, string>();
  let look = (): void => undefined;
  let timer: NodeJS.Timeout | undefined;

  return {
    events,
    notifications: () => notifier.stats(),
    health(event) {
      const region = regions.get(event.target);
      log.info(event, describe(event));
      events.addHealth(event, region);
      if (event.kind !== 'state') return;
      const { at: time, target, from, to, reason } = event;
      const slash = target.lastIndexOf('/');
      const names = { target, vip: target.slice(slash + 1), service: target.slice(0, slash), region: region ?? null };
      notifier.send({ ...names, from, to, reason, time, node });
    },
    scheduled({ target, message, reason }) {
      log.info({ kind: 'schedule', target, reason }, message);
      const slash = target.lastIndexOf('/');
      const about = slash < 0 ? {} : { target, service: target.slice(0, slash), region: regions.get(target) ?? null };
      events.add({ kind: 'schedule', message, reason, ...about });
    },
    reloaded({ ok, at, diagnostics }, generation) {
      const first = diagnostics.find(({ severity }) => severity === 'error');
      const reason = first === undefined ? null : `${fileAndLine(first.place)}: ${first.message}`;
      const message = ok
        ? `generation ${String(generation)} is served`
        : `the reload was refused, generation ${String(generation)} goes on`;
      events.add({ kind: 'reload', at: at.toISOString(), message, to: ok ? 'ok' : 'refused', reason });
      look();
    },
    watchAlarms(alarms) {
      look = () => {
        events.addAlarms(alarms());
      };
      look();
      clearInterval(timer);
      timer = setInterval(look, ALARM_LOOK_MS).unref();
    },
    configure({ settings, catalog }) {
      node = settings.dns.nsid ?? hostname();
      regions = new Map(
        catalog.vips.flatMap(({ target, region }) => {
          const name = catalog.regions[region]?.name ?? '';
          return name === '' ? [] : [[target, name] as const];
        }),
      );
      notifier.configure(settings.health.notify);
    },
    stop() {
      clearInterval(timer);
      notifier.stop();
    },
  };
}
