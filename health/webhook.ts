/**
 * `health.notify`: each change of a VIP's probed state, and each alarm, goes to a webhook. They go one at a time and in
 * order, so that a reader sees events in the order they happened. A slow or dead webhook delays no other work.
 */
import type { AlarmCode, AlarmSeverity } from '../config/alarms.ts';
import type { NotifySettings } from '../config/settings.ts';
import { describeError } from './checks/probe.ts';
import type { Cancel, Clock } from './clock.ts';

/** The body of a POST. */
export type Notification = StateNotification | AlarmNotification;

/** A VIP's probed state changed. */
export type StateNotification = {
  readonly target: string;
  readonly vip: string;
  readonly service: string;
  readonly region: string | null;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
  /** ISO 8601. */
  readonly time: string;
  readonly node: string;
};

/** An alarm was raised or is over. It also has the members of a change of state, so that their readers can show it. */
export type AlarmNotification = {
  readonly kind: 'alarm';
  readonly alarm: AlarmCode;
  readonly severity: AlarmSeverity;
  readonly subject: string | null;
  /** Null where the alarm is not about a VIP, a service, or a VIP with a region. */
  readonly target: string | null;
  readonly vip: string | null;
  readonly service: string | null;
  readonly region: string | null;
  readonly from: 'raised' | 'over';
  readonly to: 'raised' | 'over';
  /** The alarm's message. */
  readonly reason: string;
  /** ISO 8601. */
  readonly time: string;
  readonly node: string;
};

/** Sends one notification. Resolves to the response's status, and rejects without a response. */
export type Post = (settings: NotifySettings, body: string, signal: AbortSignal) => Promise<number>;

export type NotifyStats = {
  readonly sent: number;
  /** Notifications that were given up or displaced by newer ones. */
  readonly dropped: number;
  /** Failed tries. */
  readonly failures: number;
  readonly waiting: number;
};

export type Webhook = {
  /** Takes the settings of a new generation; undefined: waiting notifications are dropped. */
  configure(settings: NotifySettings | undefined): void;
  send(notification: Notification): void;
  stats(): NotifyStats;
  stop(): void;
};

/** Notifications that wait at most. Then the oldest is dropped, since the newest describes the current state. */
export const MAX_NOTIFICATIONS = 1000;
/** Tries per notification: about eight minutes, with the waits between them. */
export const MAX_TRIES = 10;
/** The wait before the second try; doubled for each further one, up to MAX_RETRY_MS. */
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 120_000;
const TIMEOUT_MS = 10_000;

type State = {
  readonly clock: Clock;
  readonly warn: (message: string) => void;
  readonly post: Post;
  readonly queue: Notification[];
  readonly counts: { sent: number; dropped: number; failures: number };
  settings: NotifySettings | undefined;
  /** Tries that the first of the queue has had. */
  tries: number;
  /** Aborts the try under way. */
  busy: AbortController | undefined;
  /** Cancels the wait before the next try. */
  cancelRetry: Cancel | undefined;
  /** A warning is logged once, until a notification is sent. */
  isWarned: boolean;
};

export function createWebhook(options: Pick<State, 'clock' | 'warn'> & { readonly post?: Post }): Webhook {
  const state: State = {
    post: postJson,
    ...options,
    queue: [],
    counts: { sent: 0, dropped: 0, failures: 0 },
    settings: undefined,
    tries: 0,
    busy: undefined,
    cancelRetry: undefined,
    isWarned: false,
  };
  const { counts, queue } = state;
  return {
    configure(wanted) {
      if (JSON.stringify(wanted) === JSON.stringify(state.settings)) return;
      halt(state);
      state.settings = wanted;
      state.isWarned = false;
      if (wanted === undefined) drop(state, queue.length);
      sendNext(state);
    },
    send(notification) {
      if (state.settings === undefined) return;
      queue.push(notification);
      if (queue.length > MAX_NOTIFICATIONS) {
        drop(state, 1);
        warnOnce(state, `more than ${String(MAX_NOTIFICATIONS)} notifications waiting; dropping the oldest`);
      }
      sendNext(state);
    },
    stats: () => ({ ...counts, waiting: queue.length }),
    stop() {
      halt(state);
      drop(state, queue.length);
      state.settings = undefined;
    },
  };
}

function sendNext(state: State): void {
  const { clock, post, queue, settings } = state;
  const [first] = queue;
  if (first === undefined || settings === undefined || state.busy !== undefined || state.cancelRetry !== undefined)
    return;
  const controller = new AbortController();
  state.busy = controller;
  const cancelTimeout = clock.after(TIMEOUT_MS, () => {
    controller.abort(new Error(`no answer within ${String(TIMEOUT_MS / 1000)} s`));
  });
  /** Whether the result still counts: it does not if the try was stopped or the settings changed meanwhile. */
  const ended = (): boolean => {
    cancelTimeout();
    if (state.busy !== controller) return false;
    state.busy = undefined;
    return true;
  };
  post(settings, JSON.stringify(first), controller.signal).then(
    (status) => {
      if (ended()) takeStatus(state, first, status);
    },
    (error: unknown) => {
      if (ended()) takeFailure(state, reasonOf(error), true);
    },
  );
}

function takeStatus(state: State, sent: Notification, status: number): void {
  if (status < 200 || status > 299) {
    // A rejected notification stays rejected; 408 and 429 mean "not now" (RFC 9110, RFC 6585).
    takeFailure(state, `HTTP ${String(status)} (expected 200-299)`, status >= 500 || status === 408 || status === 429);
    return;
  }
  state.counts.sent += 1;
  state.isWarned = false;
  state.tries = 0;
  // The queue may have been cut meanwhile.
  if (state.queue[0] === sent) state.queue.shift();
  sendNext(state);
}

function takeFailure(state: State, why: string, retry: boolean): void {
  state.counts.failures += 1;
  state.tries += 1;
  const where = new URL(state.settings?.url ?? '').origin; // the path may be a secret
  warnOnce(state, `${where} did not accept a notification: ${why}${retry ? '; trying again' : ''}`);
  if (!retry || state.tries >= MAX_TRIES) {
    drop(state, 1);
    sendNext(state);
    return;
  }
  state.cancelRetry = state.clock.after(Math.min(FIRST_RETRY_MS * 2 ** (state.tries - 1), MAX_RETRY_MS), () => {
    state.cancelRetry = undefined;
    sendNext(state);
  });
}

/** Ends the try under way and the wait for the next one. */
function halt(state: State): void {
  const { busy } = state;
  state.busy = undefined;
  busy?.abort();
  state.cancelRetry?.();
  state.cancelRetry = undefined;
  state.tries = 0;
}

function drop(state: State, count: number): void {
  state.queue.splice(0, count);
  state.counts.dropped += count;
  state.tries = 0;
}

function warnOnce(state: State, message: string): void {
  if (state.isWarned) return;
  state.isWarned = true;
  state.warn(`health.notify: ${message}`);
}

const postJson: Post = async ({ url, headers, token }, body, signal) => {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body,
    redirect: 'manual',
    signal,
  });
  // An unread body would keep the connection open. Its content is not needed.
  await response.body?.cancel();
  return response.status;
};

/** fetch hides the reason in `cause`. */
function reasonOf(error: unknown): string {
  return describeError(error instanceof Error && error.cause !== undefined ? error.cause : error);
}
