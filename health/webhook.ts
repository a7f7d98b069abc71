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

/** Sends one; resolves to the response's status, rejects where there is none. */
export type Post = (settings: NotifySettings, body: string, signal: AbortSignal) => Promise<number>;

export type NotifyStats = {
  readonly sent: number;
  /** Given up, or pushed out by newer ones. */
  readonly dropped: number;
  /** Tries that failed, each of them. */
  readonly failures: number;
  readonly waiting: number;
};

export type Webhook = {
  /** Of a new generation; undefined: what waits is dropped. */
  configure(settings: NotifySettings | undefined): void;
  send(notification: Notification): void;
  stats(): NotifyStats;
  stop(): void;
};

/** Notifications that wait at most; then the oldest goes, since the newest says how things are. */
export const MAX_NOTIFICATIONS = 1000;
/** Tries for one: with the waits between them, some eight minutes. */
export const MAX_TRIES = 10;
/** Before the second try; doubled for each further one, up to the most. */
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 120_000;
const TIMEOUT_MS = 10_000;

export function createWebhook(options: {
  readonly clock: Clock;
  readonly warn: (message: string) => void;
  readonly post?: Post;
}): Webhook {
  const { clock, warn, post = postJson } = options;
  const queue: Notification[] = [];
  const counts = { sent: 0, dropped: 0, failures: 0 };
  let settings: NotifySettings | undefined;
  let tries = 0;
  let busy: AbortController | undefined;
  let cancel: Cancel | undefined;
  /** Said once, until one gets through. */
  let isWarned = false;

  const drop = (count: number): void => {
    queue.splice(0, count);
    counts.dropped += count;
    tries = 0;
  };

  const tell = (message: string): void => {
    if (isWarned) return;
    isWarned = true;
    warn(`health.notify: ${message}`);
  };

  const failed = (why: string, retry: boolean): void => {
    counts.failures += 1;
    tries += 1;
    const where = new URL(settings?.url ?? '').origin; // the path may be a secret
    tell(`${where} did not take a notification: ${why}${retry ? '; it is tried again' : ''}`);
    if (!retry || tries >= MAX_TRIES) {
      drop(1);
      next();
      return;
    }
    cancel = clock.after(Math.min(FIRST_RETRY_MS * 2 ** (tries - 1), MAX_RETRY_MS), () => {
      cancel = undefined;
      next();
    });
  };

  const next = (): void => {
    const [first] = queue;
    if (first === undefined || settings === undefined || busy !== undefined || cancel !== undefined) return;
    const controller = new AbortController();
    busy = controller;
    const timeout = clock.after(TIMEOUT_MS, () => {
      controller.abort(new Error(`no answer within ${String(TIMEOUT_MS / 1000)} s`));
    });
    const done = (result: () => void): void => {
      timeout();
      // Stopped, or given new settings, meanwhile.
      if (busy !== controller) return;
      busy = undefined;
      result();
    };
    post(settings, JSON.stringify(first), controller.signal).then(
      (status) => {
        done(() => {
          // What the other side does not want it will not want later; 408 and 429 say "not now" (RFC 9110, RFC 6585).
          if (status < 200 || status > 299) {
            failed(`status ${String(status)}`, status >= 500 || status === 408 || status === 429);
            return;
          }
          counts.sent += 1;
          isWarned = false;
          tries = 0;
          // The queue may have been cut meanwhile.
          if (queue[0] === first) queue.shift();
          next();
        });
      },
      (error: unknown) => {
        done(() => {
          failed(reasonOf(error), true);
        });
      },
    );
  };

  const halt = (): void => {
    const running = busy;
    busy = undefined;
    running?.abort();
    cancel?.();
    cancel = undefined;
    tries = 0;
  };

  return {
    configure(wanted) {
      if (JSON.stringify(wanted) === JSON.stringify(settings)) return;
      halt();
      settings = wanted;
      isWarned = false;
      if (settings === undefined) drop(queue.length);
      next();
    },
    send(notification) {
      if (settings === undefined) return;
      queue.push(notification);
      if (queue.length > MAX_NOTIFICATIONS) {
        drop(1);
        tell(`more than ${String(MAX_NOTIFICATIONS)} notifications wait, the oldest are dropped`);
      }
      next();
    },
    stats: () => ({ ...counts, waiting: queue.length }),
    stop() {
      halt();
      drop(queue.length);
      settings = undefined;
    },
  };
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
