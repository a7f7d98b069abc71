/**
 * The connection to NATS: core subjects, and the connection that JetStream uses. It retries without end, never delays
 * the caller, and reports when it is connected and when not.
 *
 * The client's defaults end a connection after ten attempts, and notice a half-open one after four minutes; both are
 * changed here.
 */
import {
  connect,
  credsAuthenticator,
  nkeyAuthenticator,
  PermissionViolationError,
  type ConnectionOptions,
  type Msg,
  type NatsConnection,
} from '@nats-io/transport-node';
import type { FleetSettings } from '../config/settings.ts';
import { messageOf } from '../config/unknown-values.ts';

/** With these pings, the client detects a half-open connection within 15 s. */
const PING_INTERVAL_MS = 5000;
const MAX_PINGS_OUT = 2;
/**
 * Time between two attempts at one server: half of the time that NATS has been away, within these limits, and up to as
 * much again at random, so that the nodes of a fleet do not come back in the same moment.
 */
const LEAST_DELAY_MS = 500;
const MOST_DELAY_MS = 5000;
/** A subscription that NATS refused is tried again after this time: permissions may have been extended. */
const SUBSCRIBE_AGAIN_MS = 10_000;
/** How long a refused subject is remembered. A refusal of heartbeats repeats every second. */
const REFUSED_MS = 60_000;

/** Takes a message that was published to a subject. `reply` answers a request. */
export type TakeMessage = (octets: Uint8Array, reply: (octets: Uint8Array) => void, subject: string) => void;

export type NatsLink = {
  /** False if not connected: nothing was sent. */
  publish(subject: string, octets: Uint8Array): boolean;
  /** Subscriptions outlive reconnects. */
  subscribe(subject: string, take: TakeMessage): void;
  /** Undefined if there is no reply in time, or no connection. */
  request(subject: string, octets: Uint8Array, timeoutMs: number): Promise<Uint8Array | undefined>;
  /** Undefined while not connected. */
  connection(): NatsConnection | undefined;
  /** Why the last attempt to connect failed; undefined while connected, and until the first attempt has ended. */
  failure(): string | undefined;
  /**
   * Operations that NATS does not permit this node, such as `publish to "pharos.prod.vote.ams1"`. Empty if none is
   * known.
   */
  refused(): readonly string[];
  close(): Promise<void>;
};

export type NatsLinkOptions = {
  readonly settings: Pick<FleetSettings, 'servers' | 'login' | 'tls' | 'name' | 'node'>;
  readonly warn: (message: string) => void;
  /** Called when a connection is made, and when it is lost. */
  readonly connected: (isConnected: boolean) => void;
};

type Subscription = Parameters<NatsLink['subscribe']>;

/** Starts to connect in the background. Never throws for a server that cannot be reached. */
export function openLink(options: NatsLinkOptions): NatsLink {
  const { settings, warn, connected } = options;
  let connection: NatsConnection | undefined;
  let isUp = false;
  let isClosed = false;
  let failure: string | undefined;
  let retry: NodeJS.Timeout | undefined;
  const backoff = createBackoff();
  const refusals = createRefusals();
  const subscriptions = createSubscriptions();

  const setUp = (up: boolean, why?: string): void => {
    failure = up ? undefined : why;
    if (up) {
      refusals.clear();
      backoff.end();
    }
    if (isUp === up) return;
    isUp = up;
    connected(up);
  };
  const failed = (why: string): void => {
    // One log line per cause, because attempts continue until NATS is back.
    if (failure !== why) warn(`fleet: cannot connect to NATS at ${settings.servers.join(', ')}: ${why}`);
    failure = why;
  };
  const open = async (): Promise<void> => {
    try {
      const opened = await connect({ ...connectionOptions(settings), reconnectDelayHandler: backoff.delay });
      if (isClosed) {
        await opened.close();
        return;
      }
      connection = opened;
      void follow(opened);
      subscriptions.open(opened);
      setUp(true);
    } catch (error) {
      failed(messageOf(error));
      again();
    }
  };
  const again = (): void => {
    if (isClosed) return;
    retry = setTimeout(() => void open(), backoff.delay());
    retry.unref();
  };
  const report = (error: Error): void => {
    if (error instanceof PermissionViolationError) {
      const what = `${error.operation === 'publish' ? 'publish' : 'subscribe'} to "${error.subject}"`;
      if (refusals.add(what)) warn(`fleet: NATS does not permit this node to ${what}`);
    } else if (isUp) warn(`fleet: NATS: ${error.message}`);
    // An error during a reconnect means that an attempt has failed.
    else failed(error.message);
  };
  /** Follows the state of a connection until it is closed for good, which a server may cause. */
  const follow = async (on: NatsConnection): Promise<void> => {
    for await (const status of on.status()) {
      if (status.type === 'disconnect') setUp(false, failure ?? 'the connection was lost');
      else if (status.type === 'reconnect') setUp(true);
      else if (status.type === 'error') report(status.error);
    }
    const error = await on.closed();
    const why = error ? error.message : 'the connection was closed';
    setUp(false, why);
    connection = undefined;
    if (!isClosed) {
      warn(`fleet: the connection to NATS was closed: ${why}; connecting again`);
      again();
    }
  };

  void open();
  return {
    publish: (subject, octets) => {
      // `publish` throws if the connection was drained by `close`, or if the message is too large for the server.
      if (!isUp || isClosed || connection === undefined) return false;
      try {
        connection.publish(subject, octets);
        return true;
      } catch (error) {
        warn(`fleet: a message to ${subject} could not be sent: ${messageOf(error)}`);
        return false;
      }
    },
    subscribe: (...subscription) => {
      subscriptions.add(subscription, connection);
    },
    request: async (subject, octets, timeoutMs) => {
      if (!isUp || connection === undefined) return undefined;
      try {
        const { data } = await connection.request(subject, octets, { timeout: timeoutMs });
        return data;
      } catch {
        return undefined;
      }
    },
    connection: () => (isUp ? connection : undefined),
    failure: () => failure,
    refused: refusals.list,
    close: async () => {
      isClosed = true;
      clearTimeout(retry);
      const last = connection;
      if (last === undefined) return;
      // `drain` sends what was published; a server that is gone does not answer it.
      if (isUp) await Promise.race([last.drain().catch(() => undefined), delay(1000)]);
      if (!last.isClosed()) await last.close();
    },
  };
}

/** Keeps the subscriptions, and makes them again on each new connection. */
function createSubscriptions(): {
  readonly add: (subscription: Subscription, on: NatsConnection | undefined) => void;
  readonly open: (on: NatsConnection) => void;
} {
  const all: Subscription[] = [];
  const subscribeOn = (on: NatsConnection, subscription: Subscription): void => {
    const [subject, take] = subscription;
    on.subscribe(subject, {
      callback: (error, message: Msg) => {
        if (error !== null) subscribeLater(on, subscription);
        // The last messages arrive while the connection is drained.
        else if (!on.isDraining()) take(message.data, (octets) => message.respond(octets), message.subject);
      },
    });
  };
  const subscribeLater = (on: NatsConnection, subscription: Subscription): void => {
    setTimeout(() => {
      if (!on.isClosed()) subscribeOn(on, subscription);
    }, SUBSCRIBE_AGAIN_MS).unref();
  };
  return {
    add: (subscription, on) => {
      all.push(subscription);
      if (on) subscribeOn(on, subscription);
    },
    open: (on) => {
      for (const subscription of all) subscribeOn(on, subscription);
    },
  };
}

/** How long to wait before the next attempt. The client asks several times per attempt. */
function createBackoff(): { readonly delay: () => number; readonly end: () => void } {
  let awaySinceMs: number | undefined;
  let jitter = 1;
  return {
    delay: () => {
      const nowMs = performance.now();
      if (awaySinceMs === undefined) {
        awaySinceMs = nowMs;
        jitter = 1 + Math.random();
      }
      return Math.min(MOST_DELAY_MS, Math.max(LEAST_DELAY_MS, (nowMs - awaySinceMs) / 2)) * jitter;
    },
    /** Call when connected: the next attempt then belongs to another outage. */
    end: () => {
      awaySinceMs = undefined;
    },
  };
}

/** The operations that NATS refused within the last REFUSED_MS. */
function createRefusals(): {
  /** True if it was not known. */
  readonly add: (what: string) => boolean;
  readonly list: () => readonly string[];
  readonly clear: () => void;
} {
  const seenMs = new Map<string, number>();
  const list = (): readonly string[] => {
    const oldestMs = performance.now() - REFUSED_MS;
    for (const [what, ms] of seenMs) if (ms < oldestMs) seenMs.delete(what);
    return [...seenMs.keys()];
  };
  return {
    list,
    clear: () => {
      seenMs.clear();
    },
    add: (what) => {
      const isNew = !list().includes(what);
      seenMs.set(what, performance.now());
      return isNew;
    },
  };
}

function connectionOptions({ servers, login, tls, name, node }: NatsLinkOptions['settings']): ConnectionOptions {
  const { credentials, user, password, token, nkey } = login;
  // The client ignores the scheme of a server, and servers of a cluster name each other without one.
  const needsTls = tls !== undefined || servers.some((server) => server.startsWith('tls:'));
  const text = new TextEncoder();
  return {
    servers: [...servers],
    name: `pharos ${name} ${node}`,
    maxReconnectAttempts: -1,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: MAX_PINGS_OUT,
    ignoreAuthErrorAbort: true,
    timeout: 5000,
    ...(user !== undefined && password !== undefined && { user, pass: password }),
    ...(token !== undefined && { token }),
    ...(credentials !== undefined && { authenticator: credsAuthenticator(text.encode(credentials)) }),
    ...(nkey !== undefined && { authenticator: nkeyAuthenticator(text.encode(nkey)) }),
    ...(needsTls && {
      tls: {
        ...(tls?.ca !== undefined && { ca: tls.ca }),
        ...(tls?.cert !== undefined && { cert: tls.cert }),
        ...(tls?.key !== undefined && { key: tls.key }),
      },
    }),
  };
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
