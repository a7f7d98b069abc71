/**
 * Reports events of a running server to the log, the events of the API, and the webhook of `health.notify`.
 */
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { AlarmChange, AlarmCode, Alarms } from '../../config/alarms.ts';
import { fileAndLine } from '../../config/diagnostics.ts';
import { plainText } from '../../config/plain-text.ts';
import { systemClock } from '../../health/clock.ts';
import type { HealthEvent } from '../../health/engine.ts';
import { createWebhook, type NotifyStats } from '../../health/webhook.ts';
import type { AuditedRequest } from '../../status/audit.ts';
import { createEventLog, describe, type About, type EventLog } from '../../status/events.ts';
import type { LastReload, RunningGeneration } from '../../status/runtime.ts';
import type { ScheduleNews } from './schedules.ts';

export type News = {
  readonly events: EventLog;
  readonly notifications: () => NotifyStats;
  readonly health: (event: HealthEvent) => void;
  readonly scheduled: (news: ScheduleNews) => void;
  /** `generation` is the one in force afterwards. */
  readonly reloaded: (reload: LastReload, generation: number, who?: string) => void;
  /** Reports a request that a person or program with a name made, unless its effect is an event itself. */
  readonly requested: (request: AuditedRequest) => void;
  /** Reports the alarms that are raised now, and from now on each that is raised or cleared. */
  readonly watchAlarms: (alarms: Alarms) => void;
  /** Takes over the webhook, the services and the regions of a new generation. */
  readonly configure: (generation: RunningGeneration) => void;
  readonly stop: () => void;
};

/** Alarms whose cause writes to the log each time. Logging the alarm would repeat the message. */
const LOGGED_BY_CAUSE: ReadonlySet<AlarmCode> = new Set(['reload_refused', 'reload_stuck']);

/** Changes that the parts of the server report themselves. */
const HAS_EVENTS = /^\/api\/v1\/(?:overrides|weights|reload|records)\b/;

export function createNews(log: Logger): News {
  const events = createEventLog();
  const notifier = createWebhook({
    clock: systemClock,
    warn: (message) => {
      log.warn(message);
    },
  });
  let node = hostname();
  /** Region names by target; null without a region. */
  let targets = new Map<string, string | null>();
  let services = new Set<string>();

  const aboutTarget = (target: string): About & { target: string; service: string } => ({
    target,
    service: target.slice(0, target.lastIndexOf('/')),
    region: targets.get(target) ?? null,
  });
  const aboutSubject = (subject: string | null): About => {
    if (subject !== null && targets.has(subject)) return aboutTarget(subject);
    return { target: null, service: subject !== null && services.has(subject) ? subject : null, region: null };
  };
  const tellAlarm = (change: AlarmChange): void => {
    const { alarm, to } = change;
    const { code, severity, subject, message } = alarm;
    const fields = { kind: 'alarm', alarm: code, subject };
    const isLogged = to === 'raised' && LOGGED_BY_CAUSE.has(code);
    if (to === 'over') log.info(fields, `alarm over: ${code}${subject === null ? '' : ` ${subject}`}`);
    else if (severity === 'critical' && !isLogged) log.error(fields, message);
    else if (!isLogged) log.warn(fields, message);
    const about = aboutSubject(subject);
    events.addAlarm(change, about);
    notifier.send({
      kind: 'alarm',
      alarm: code,
      severity,
      subject,
      ...about,
      vip: about.target === null ? null : vipOf(about.target),
      from: to === 'raised' ? 'over' : 'raised',
      to,
      reason: message,
      time: new Date().toISOString(),
      node,
    });
  };

  return {
    events,
    notifications: () => notifier.stats(),
    health(event) {
      const { at: time, kind, target, from, to, reason, who } = event;
      const about = aboutTarget(target);
      // The log adds its time.
      const fields = { kind, target, from, to, reason, ...(who === undefined ? {} : { who }) };
      if (kind === 'state' && to === 'down') log.warn(fields, describe(event));
      else log.info(fields, describe(event));
      events.addHealth(event, about.region ?? undefined);
      if (kind !== 'state') return;
      notifier.send({ ...about, vip: vipOf(target), from, to, reason, time, node });
    },
    scheduled({ target, message, reason }) {
      log.info({ kind: 'schedule', target, reason }, message);
      events.add({ kind: 'schedule', message, reason, ...(target.includes('/') ? aboutTarget(target) : {}) });
    },
    reloaded({ ok, at, diagnostics }, generation, who) {
      const first = diagnostics.find(({ severity }) => severity === 'error');
      const reason = first === undefined ? null : `${fileAndLine(first.place)}: ${first.message}`;
      const message = ok
        ? `generation ${String(generation)} is served`
        : `Reload rejected; still serving generation ${String(generation)}`;
      events.add({
        kind: 'reload',
        at: at.toISOString(),
        message,
        to: ok ? 'ok' : 'refused',
        reason,
        who: who ?? null,
      });
    },
    requested(request) {
      tellRequest(events, request);
    },
    watchAlarms(alarms) {
      for (const alarm of alarms.list()) tellAlarm({ alarm, to: 'raised' });
      alarms.watch(tellAlarm);
    },
    configure({ settings, catalog }) {
      node = settings.dns.nsid ?? hostname();
      targets = new Map(
        catalog.vips.map(({ target, region }) => [target, catalog.regions[region]?.name || null] as const),
      );
      services = new Set(catalog.services.map(({ name }) => name));
      notifier.configure(settings.health.notify);
    },
    stop() {
      notifier.stop();
    },
  };
}

function vipOf(target: string): string {
  return target.slice(target.lastIndexOf('/') + 1);
}

function tellRequest(events: EventLog, { who, method, url, outcome, detail }: AuditedRequest): void {
  if (who === null || (outcome === 'done' && HAS_EVENTS.test(url))) return;
  const [path = ''] = url.split('?', 1);
  events.add({
    kind: 'request',
    message: plainText(`${who}: ${method} ${path} ${outcome}`),
    to: outcome,
    reason: detail,
    who,
  });
}
