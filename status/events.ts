/**
 * What happened: changes of state, overrides, weights, reloads, schedules and alarms, the last thousand of them, and
 * who wants to hear of the next one. Kept in memory; the log keeps them for good.
 */
import type { AlarmChange, AlarmCode, AlarmSeverity } from '../config/alarms.ts';
import type { HealthEvent } from '../health/engine.ts';

export type EventDocument = {
  /** Grows with each event; two runs of a server have none in common. */
  readonly id: string;
  /** ISO 8601. */
  readonly at: string;
  readonly kind: 'state' | 'override' | 'weight' | 'reload' | 'schedule' | 'alarm';
  /** In words, on one line. */
  readonly message: string;
  /** The VIP that it is about, with its service and region; null where it is about none. */
  readonly target: string | null;
  readonly service: string | null;
  readonly region: string | null;
  /** States or weights; of an alarm `raised` and `over`, of a reload `ok` and `refused` in `to`. */
  readonly from: string | number | null;
  readonly to: string | number | null;
  readonly reason: string | null;
  /** Of an alarm: its code, its severity, and what it is about; else null. */
  readonly alarm: AlarmCode | null;
  readonly severity: AlarmSeverity | null;
  readonly subject: string | null;
};

/** A VIP with its service and region, or a service alone. */
export type About = Pick<EventDocument, 'target' | 'service' | 'region'>;

type NewEvent = Partial<Omit<EventDocument, 'id'>> & Pick<EventDocument, 'kind' | 'message'>;

export type EventLog = {
  add(event: NewEvent): void;
  /** Adds what the health room says. `region` is the name of the target's. */
  addHealth(event: HealthEvent, region: string | undefined): void;
  /** Adds an alarm that was raised or is over. `about`: the VIP or the service that its subject names. */
  addAlarm(change: AlarmChange, about?: About): void;
  /** After the event with this id, oldest first; all that are kept where it is unknown, or not given. */
  after(id: string | undefined): readonly EventDocument[];
  /** Calls for each new event, until the returned function is called. */
  subscribe(listener: (event: EventDocument) => void): () => void;
};

/** A region of a few hundred VIPs that fails must not push everything before it out. */
const MAX_EVENTS = 1000;

const NO_ALARM = { alarm: null, severity: null, subject: null } as const;

/** `wallMs` tells the time, and gives the ids of this run their beginning. */
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
  const what = kind === 'weight' ? `weighs ${String(to)}` : `is ${to}`;
  return from === to ? `${target} ${what}, as before: ${reason}` : `${target} ${what}, was ${String(from)}: ${reason}`;
}
