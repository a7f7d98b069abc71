/**
 * The connection to NATS: core subjects, and the connection that JetStream uses. It never gives up, never delays the
 * caller, and says when it is connected and when not.
 *
 * The client's defaults end a connection after ten attempts, and notice a half-open one after four minutes; both are
 * changed here.
 */
import {
  connect,
  credsAuthenticator,
  nkeyAuthenticator,
  type ConnectionOptions,
  type Msg,
  type NatsConnection,
} from '@nats-io/transport-node';
import type { FleetSettings } from '../config/settings.ts';
import { messageOf } from '../config/unknown-values.ts';

/** Pings that find a half-open connection within 15 s. */
const PING_INTERVAL_MS = 5000;
const MAX_PINGS_OUT = 2;
/** Time between attempts: grows from the least to the most, with up to as much again at random. */
const LEAST_DELAY_MS = 500;
const MOST_DELAY_MS = 15_000;

export type NatsLink = {
  /** False: not connected, and nothing was sent. */
  publish(subject: string, octets: Uint8Array): boolean;
  /** `reply` answers a request. Subscriptions outlive reconnects. */
  subscribe(subject: string, take: (octets: Uint8Array, reply: (octets: Uint8Array) => void) => void): void;
  /** Undefined: no answer in time, or not connected. */
  request(subject: string, octets: Uint8Array, timeoutMs: number): Promise<Uint8Array | undefined>;
  /** Undefined while not connected. */
  connection(): NatsConnection | undefined;
  close(): Promise<void>;
};

export type NatsLinkOptions = {
  readonly settings: Pick<FleetSettings, 'servers' | 'login' | 'tls' | 'name' | 'node'>;
  readonly warn: (message: string) => void;
  /** Called for the first connection and each later one, and when one is lost. */
  readonly connected: (isConnected: boolean) => void;
};

type Subscription = Parameters<NatsLink['subscribe']>;

/** Starts to connect in the background. Never throws for a server that cannot be reached. */
export function openLink(options: NatsLinkOptions): NatsLink {
  const { settings, warn, connected } = options;
  let connection: NatsConnection | undefined;
  let isUp = false;
  let isClosed = false;
  let attempts = 0;
  let retry: NodeJS.Timeout | undefined;
  const subscriptions: Subscription[] = [];

  const nextDelay = (): number => {
    attempts += 1;
    const delay = Math.min(MOST_DELAY_MS, LEAST_DELAY_MS * 2 ** Math.min(attempts - 1, 10));
    return delay * (1 + Math.random());
  };
  const setUp = (up: boolean): void => {
    if (up) attempts = 0;
    if (isUp === up) return;
    isUp = up;
    connected(up);
  };
  const subscribeOn = (on: NatsConnection, [subject, take]: Subscription): void => {
    on.subscribe(subject, {
      callback: (error, message: Msg) => {
        if (error !== null) {
          warn(`fleet: a message to ${subject} could not be read: ${error.message}`);
          return;
        }
        take(message.data, (octets) => message.respond(octets));
      },
    });
  };

  const open = async (): Promise<void> => {
    try {
      const opened = await connect({
        ...connectionOptions(settings),
        reconnectDelayHandler: nextDelay,
      });
      if (isClosed) {
        await opened.close();
        return;
      }
      connection = opened;
      for (const subscription of subscriptions) subscribeOn(opened, subscription);
      setUp(true);
      void follow(opened);
    } catch (error) {
      warn(`fleet: cannot connect to NATS at ${settings.servers.join(', ')}: ${messageOf(error)}`);
      again();
    }
  };
  const again = (): void => {
    if (isClosed) return;
    retry = setTimeout(() => void open(), nextDelay());
    retry.unref();
  };
  /** Follows the state of a connection until it is closed for good, which a server may cause. */
  const follow = async (on: NatsConnection): Promise<void> => {
    for await (const status of on.status()) {
      if (status.type === 'disconnect') setUp(false);
      else if (status.type === 'reconnect') setUp(true);
      else if (status.type === 'error') warn(`fleet: NATS: ${status.error.message}`);
    }
    const error = await on.closed();
    setUp(false);
    connection = undefined;
    if (!isClosed) {
      warn(`fleet: the connection to NATS was closed${error ? `: ${error.message}` : ''}; connecting again`);
      again();
    }
  };

  void open();
  return {
    publish: (subject, octets) => {
      if (!isUp || connection === undefined) return false;
      connection.publish(subject, octets);
      return true;
    },
    subscribe: (...subscription) => {
      subscriptions.push(subscription);
      if (connection) subscribeOn(connection, subscription);
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
    close: async () => {
      isClosed = true;
      clearTimeout(retry);
      if (connection === undefined) return;
      // `drain` sends what was published; a server that is gone does not answer it.
      if (isUp) await Promise.race([connection.drain().catch(() => undefined), delay(1000)]);
      if (!connection.isClosed()) await connection.close();
    },
  };
}

function connectionOptions({ servers, login, tls, name, node }: NatsLinkOptions['settings']): ConnectionOptions {
  const { credentials, user, password, token, nkey } = login;
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
    ...(tls !== undefined && {
      tls: {
        ...(tls.ca !== undefined && { ca: tls.ca }),
        ...(tls.cert !== undefined && { cert: tls.cert }),
        ...(tls.key !== undefined && { key: tls.key }),
      },
    }),
  };
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
