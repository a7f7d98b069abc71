/**
 * Alarms: what an operator must act on, from the moment it starts until it is over. Any room raises and clears them
 * here. Status, page, metrics, events and webhook read the list.
 */

/** Every alarm by its code, with its severity. The codes are part of the API. */
export const ALARMS = {
  /** No VIP of a service is available. */
  service_down: 'critical',
  /** Some VIPs of a service are down. */
  service_degraded: 'warning',
  /** So many VIPs failed at once that the fault is probably on this node. States are frozen. */
  suspect: 'critical',
  /** The last reload had errors. The previous generation is still served. */
  reload_refused: 'warning',
  /** A reload takes longer than its time limit. */
  reload_stuck: 'critical',
  /** A file of `state_dir` could not be written. */
  state_not_saved: 'critical',
  /** A file of `state_dir` could not be read at the start. */
  state_lost: 'critical',
  /** A target has been drained for a long time. */
  drained_long: 'warning',
  /** A fault of this machine (descriptors, memory, ports) keeps targets from being probed. Their states hold. */
  not_probed: 'critical',
  /** A VIP changed its state so often that `flap` holds it down. */
  flapping: 'warning',
  /** A certificate ends soon: of this server, or one that a check saw. */
  certificate_expiring: 'warning',
  /** No more TCP or HTTP clients are accepted. */
  connections_full: 'warning',
  /** Log lines were dropped because the reader of the log does not keep up. */
  log_dropped: 'warning',
} as const satisfies Record<string, Severity>;

export type Severity = 'warning' | 'critical';
export type AlarmCode = keyof typeof ALARMS;

export type Alarm = {
  readonly code: AlarmCode;
  readonly severity: Severity;
  /** What it is about: a target, a service, a zone, a file. Null where the code says it all. */
  readonly subject: string | null;
  /** One sentence in plain English: what is wrong, and what happens now. */
  readonly message: string;
  /** ISO 8601. */
  readonly since: string;
};

export type Alarms = {
  /** Raises an alarm, or changes the message of one that is up. One alarm per code and subject. */
  raise(code: AlarmCode, message: string, subject?: string): void;
  /** Ends an alarm. Does nothing where none is up. */
  clear(code: AlarmCode, subject?: string): void;
  /** All that are up: critical ones first, then the oldest first. */
  list(): readonly Alarm[];
};

/** `wallMs` is the wall clock in milliseconds since 1970. */
export function createAlarms(wallMs: () => number = Date.now): Alarms {
  const up = new Map<string, Alarm>();
  const keyOf = (code: AlarmCode, subject: string | undefined): string => `${code} ${subject ?? ''}`;
  return {
    raise(code, message, subject) {
      const key = keyOf(code, subject);
      const since = up.get(key)?.since ?? new Date(wallMs()).toISOString();
      up.set(key, { code, severity: ALARMS[code], subject: subject ?? null, message, since });
    },
    clear(code, subject) {
      up.delete(keyOf(code, subject));
    },
    list: () => [...up.values()].sort(byUrgency),
  };
}

/** Orders alarms: critical ones first, then by their start. */
export function byUrgency(a: Alarm, b: Alarm): number {
  if (a.severity !== b.severity) return a.severity === 'critical' ? -1 : 1;
  return a.since < b.since ? -1 : a.since > b.since ? 1 : 0;
}
