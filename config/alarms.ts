/**
 * Alarms: conditions that an operator must act on. Any room raises and clears them here. Status, page, metrics, events
 * and webhook read the list.
 */
import { plainText } from './plain-text.ts';

/** Every alarm by its code, with its severity. The codes are part of the API. */
export const ALARMS = {
  /** No VIP of a service is available. */
  service_down: 'critical',
  /** Some VIPs of a service are down. */
  service_degraded: 'warning',
  /** Many VIPs failed at once, so the fault is probably on this node. States are frozen. */
  suspect: 'critical',
  /** The last reload had errors. The previous generation is still served. */
  reload_refused: 'warning',
  /** A reload takes longer than its time limit. */
  reload_stuck: 'critical',
  /** A file of `state_dir` could not be written. */
  state_not_saved: 'critical',
  /** A file of `state_dir` could not be read at the start. */
  state_lost: 'critical',
  /** The journal of a zone was damaged: dynamic records are lost. */
  journal_damaged: 'critical',
  /** A target has been drained for a long time. */
  drained_long: 'warning',
  /** A fault of this machine (descriptors, memory, ports) keeps targets from being probed. Their states are frozen. */
  not_probed: 'critical',
  /** A VIP changed its state so often that `flap` holds it down. */
  flapping: 'warning',
  /**
   * The signatures of a zone end soon, because they could not be made again. Validating resolvers then reject the zone.
   */
  signatures_expiring: 'critical',
  /** A certificate ends soon: of this server, or one that a check saw. */
  certificate_expiring: 'warning',
  /** No other node of the fleet is heard: this node decides alone. */
  alone: 'critical',
  /** NATS does not permit this node a subject that the fleet needs. */
  nats_refused: 'critical',
  /** Orders of the fleet do not reach this node, although NATS can be reached. */
  orders_stopped: 'critical',
  /** Another server has the name of this node. */
  node_name_twice: 'critical',
  /** Regions of the fleet have seen different states of a target for a while. */
  split_verdict: 'warning',
  /** Nodes of the fleet have different configurations. */
  configuration_drift: 'warning',
  /** The clock of another node of the fleet differs. */
  clock_skew: 'warning',
  /** A name outside the zones that an ALIAS leads to could not be resolved for a while. */
  alias_unresolved: 'warning',
  /** No more TCP or HTTP clients are accepted. */
  connections_full: 'warning',
  /** Lines of the audit log could not be written. */
  audit_not_written: 'critical',
  /** Log lines were dropped because the reader of the log does not keep up. */
  log_dropped: 'warning',
} as const satisfies Record<string, AlarmSeverity>;

export type AlarmSeverity = 'warning' | 'critical';
export type AlarmCode = keyof typeof ALARMS;

export type Alarm = {
  readonly code: AlarmCode;
  readonly severity: AlarmSeverity;
  /** The target, service, zone or file concerned; null where the code needs none. */
  readonly subject: string | null;
  /** One sentence in plain English: what is wrong, and what happens now. */
  readonly message: string;
  /** ISO 8601. */
  readonly since: string;
};

export type Alarms = {
  /** Raises an alarm, or changes the message of an active one. Each pair of code and subject has one alarm. */
  raise(code: AlarmCode, message: string, subject?: string): void;
  /** Ends an alarm. Does nothing if it is not active. */
  clear(code: AlarmCode, subject?: string): void;
  /** Ends all alarms with this code whose subject is not among `subjects`. */
  retain(code: AlarmCode, subjects: ReadonlySet<string>): void;
  /** The active alarms: critical ones first, then the oldest first. */
  list(): readonly Alarm[];
  /** Calls `listener` for each alarm that is raised or ends from now on. */
  watch(listener: (change: AlarmChange) => void): void;
};

/** A new message of an active alarm is not a change. */
export type AlarmChange = { readonly alarm: Alarm; readonly to: 'raised' | 'over' };

/**
 * `wallMs` is the wall clock in milliseconds since 1970. `forPeople` removes from a text the parts that messages must
 * not show.
 */
export function createAlarms(
  wallMs: () => number = Date.now,
  forPeople: (text: string) => string = (text) => text,
): Alarms {
  const up = new Map<string, Alarm>();
  const listeners: ((change: AlarmChange) => void)[] = [];
  const keyOf = (code: AlarmCode, subject: string | null): string => `${code} ${plainText(subject ?? '')}`;
  const tell = (change: AlarmChange): void => {
    for (const listener of listeners) listener({ ...change, alarm: shown(change.alarm) });
  };
  const shown = (alarm: Alarm): Alarm => ({
    ...alarm,
    message: forPeople(alarm.message),
    subject: alarm.subject === null ? null : forPeople(alarm.subject),
  });
  const end = (key: string): void => {
    const alarm = up.get(key);
    if (alarm === undefined) return;
    up.delete(key);
    tell({ alarm, to: 'over' });
  };
  return {
    raise(code, message, subject) {
      const key = keyOf(code, subject ?? null);
      const before = up.get(key);
      const since = before?.since ?? new Date(wallMs()).toISOString();
      const alarm: Alarm = {
        code,
        severity: ALARMS[code],
        subject: subject === undefined ? null : plainText(subject),
        message: plainText(message),
        since,
      };
      up.set(key, alarm);
      if (before === undefined) tell({ alarm, to: 'raised' });
    },
    clear(code, subject) {
      end(keyOf(code, subject ?? null));
    },
    retain(code, subjects) {
      const kept = new Set([...subjects].map((subject) => keyOf(code, subject)));
      for (const [key, alarm] of [...up]) if (alarm.code === code && !kept.has(key)) end(key);
    },
    list: () => [...up.values()].sort(byUrgency).map(shown),
    watch(listener) {
      listeners.push(listener);
    },
  };
}

/** Orders alarms: critical ones first, then by their start. */
export function byUrgency(a: Alarm, b: Alarm): number {
  if (a.severity !== b.severity) return a.severity === 'critical' ? -1 : 1;
  return a.since < b.since ? -1 : a.since > b.since ? 1 : 0;
}
