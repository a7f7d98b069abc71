/**
 * The event log: the last thousand changes of state, overrides, weights, reloads, schedules, alarms and dynamic
 * updates, and the subscribers to new ones. It is kept in memory; the log of the process has all events.
 */
import type { AlarmChange, AlarmCode, AlarmSeverity } from '../config/alarms.ts';
import type { HealthEvent } from '../health/engine.ts';

/** The records that a dynamic update concerns. */
export type UpdateDetails = {
  readonly zone: string;
  /** The name of its TSIG key; null if it came over HTTP, and if the files of the zone replaced dynamic records. */
  readonly key: string | null;
  /** The address of the client. */
  readonly peer: string | null;
  /** The first of them, with the number of records that each has now; null if nothing has changed. */
  readonly sets: readonly { readonly name: string; readonly type: string; readonly records: number | null }[];
  /** How many further ones there are. */
  readonly more: number;
};

export type EventDocument = {
  /** Increases with each event; unique across restarts. */
  readonly id: string;
  /** ISO 8601. */
  readonly at: string;
  readonly kind: 'state' | 'override' | 'weight' | 'reload' | 'schedule' | 'alarm' | 'request' | 'update' | 'alias';
  /** One line of text. */
  readonly message: string;
  /** The VIP concerned, with its service and region; null for other events. */
  readonly target: string | null;
  readonly service: string | null;
  readonly region: string | null;
  /**
   * States or weights; for an alarm `raised` and `over`. In `to` only: for a reload `ok` and `refused`, for an update
   * `done`, `refused`, `failed` and `dropped`. For an alias the addresses of the name that it leads to.
   */
  readonly from: string | number | null;
  readonly to: string | number | null;
  readonly reason: string | null;
  /** The name of the token, client certificate or TSIG key behind the change; null if it is not known. */
  readonly who: string | null;
  /** Code, severity and subject of an alarm; null for other events. */
  readonly alarm: AlarmCode | null;
  readonly severity: AlarmSeverity | null;
  readonly subject: string | null;
  /** The records that an update concerns; null for other events. */
  readonly update: UpdateDetails | null;
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
/**
 * The part of the kept events that may be updates: programs send thousands of them, which must not push out the others.
 */
const UPDATES_PART = 0.25;

const NO_ALARM = { alarm: null, severity: null, subject: null } as const;

/** `wallMs` is the wall clock in milliseconds; its first value is the prefix of the ids. */
export function createEventLog(wallMs: () => number = Date.now, size = MAX_EVENTS): EventLog {
  const run = wallMs().toString(36);
  /** Kept events with their numbers, oldest first. */
  const kept: { readonly number: number; readonly document: EventDocument }[] = [];
  const listeners = new Set<(event: EventDocument) => void>();
  let count = 0;
  let updates = 0;

  const keep = (document: EventDocument): void => {
    kept.push({ number: count, document });
    if (document.kind === 'update') updates++;
    const tooMany = updates > size * UPDATES_PART && document.kind === 'update';
    if (!tooMany && kept.length <= size) return;
    const at = tooMany ? kept.findIndex((each) => each.document.kind === 'update') : 0;
    if (kept[at]?.document.kind === 'update') updates--;
    kept.splice(at, 1);
  };
  const add = (event: NewEvent): void => {
    count += 1;
    const at = new Date(wallMs()).toISOString();
    const nothing = {
      target: null,
      service: null,
      region: null,
      from: null,
      to: null,
      reason: null,
      who: null,
      ...NO_ALARM,
      update: null,
    };
    const document: EventDocument = { id: `${run}-${String(count)}`, at, ...nothing, ...event };
    keep(document);
    for (const listener of [...listeners]) listener(document);
  };

  return {
    add,
    addHealth(event, region) {
      const { at, kind, target, from, to, reason, who = null } = event;
      const message = describe(event);
      const service = target.slice(0, target.lastIndexOf('/'));
      add({ at, kind, message, target, service, region: region ?? null, from, to, reason, who });
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
      return kept.filter(({ number: each }) => each > Math.min(last, count)).map(({ document }) => document);
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
