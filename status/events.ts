/**
 * The event log: the last thousand changes of state, overrides, weights, reloads, schedules and alarms, and the
 * subscribers to new ones. It is kept in memory; the log of the process has all events.
 */
import type { AlarmChange, AlarmCode, AlarmSeverity } from '../config/alarms.ts';
import type { HealthEvent } from '../health/engine.ts';

export type EventDocument = {
  /** Increases with each event; unique across restarts. */
  readonly id: string;
  /** ISO 8601. */
  readonly at: string;
  readonly kind: 'state' | 'override' | 'weight' | 'reload' | 'schedule' | 'alarm';
  /** One line of text. */
  readonly message: string;
  /** The VIP concerned, with its service and region; null for other events. */
  readonly target: string | null;
  readonly service: string | null;
  readonly region: string | null;
  /** States or weights; for an alarm `raised` and `over`; for a reload `ok` and `refused`, in `to` only. */
  readonly from: string | number | null;
  readonly to: string | number | null;
  readonly reason: string | null;
  /** Code, severity and subject of an alarm; null for other events. */
  readonly alarm: AlarmCode | null;
  readonly severity: AlarmSeverity | null;
  readonly subject: string | null;
};

/** A VIP with its service and region, or a service alone. */
export type About = Pick<EventDocument, 'target' | 'service' | 'region'>;

type NewEvent = Partial<Omit<EventDocument, 'id'>> & Pick<EventDocument, 'kind' | 'message'>;

export type EventLog = {
  add(event: NewEvent): void;
  /** Adds an event of the health room. `region` is the name of the target's region. */
  addHealth(event: HealthEvent, region: string | undefined): void;
  /** Adds an alarm that was raised or cleared. `about`: the VIP or the service that its subject names. */
  addAlarm(change: AlarmChange, about?: About): void;
  /** Events after the one with this id, oldest first; all kept events if the id is unknown or undefined. */
  after(id: string | undefined): readonly EventDocument[];
  /** Calls `listener` for each new event until the returned function is called. */
  subscribe(listener: (event: EventDocument) => void): () => void;
};

/** The failure of a region with a few hundred VIPs must not push out all earlier events. */
const MAX_EVENTS = 1000;

const NO_ALARM = { alarm: null, severity: null, subject: null } as const;

/** `wallMs` is the wall clock in milliseconds; its first value is the prefix of the ids. */
export function createEventLog(wallMs: () => number = Date.now, size = MAX_EVENTS): EventLog {
  const run = wallMs().toString(36);
  const ring: EventDocument[] = [];
  const listeners = new Set<(event: EventDocument) => void>();
  let count = 0;

  const add = (event: NewEvent): void => {
    count += 1;
    const at = new Date(wallMs()).toISOString();
    const nothing = { target: null, service: null, region: null, from: null, to: null, reason: null, ...NO_ALARM };
    const document: EventDocument = { id: `${run}-${String(count)}`, at, ...nothing, ...event };
    ring[(count - 1) % size] = document;
    for (const listener of [...listeners]) listener(document);
  };

  return {
    add,
    addHealth(event, region) {
      const { at, kind, target, from, to, reason } = event;
      const message = describe(event);
      const service = target.slice(0, target.lastIndexOf('/'));
      add({ at, kind, message, target, service, region: region ?? null, from, to, reason });
    },
    addAlarm({ alarm: { code, severity, subject, message: reason }, to }, about) {
      const what = subject === null ? code : `${code} ${subject}`;
      const message = to === 'raised' ? `${code}: ${reason}` : `${what} is over`;
      add({
        kind: 'alarm',
        message,
        from: to === 'raised' ? null : 'raised',
        to,
        reason,
        ...about,
        alarm: code,
        severity,
        subject,
      });
    },
    after(id) {
      const [, known = '', number = ''] = /^(\w+)-(\d+)$/.exec(id ?? '') ?? [];
      const last = known === run ? Number(number) : 0;
      const first = Math.max(0, count - size, Math.min(last, count));
      return Array.from({ length: count - first }, (_, index) => ring[(first + index) % size]).filter(
        (event) => event !== undefined,
      );
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
  };
}

/** `www.example.com/seoul-a is down, was up: HTTP 503 (expected 200-399)` */
export function describe({ kind, target, from, to, reason }: HealthEvent): string {
  const what = kind === 'weight' ? `has weight ${String(to)}` : `is ${to}`;
  return from === to ? `${target} ${what}, unchanged: ${reason}` : `${target} ${what}, was ${String(from)}: ${reason}`;
}
