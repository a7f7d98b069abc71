/**
 * The key-value bucket of JetStream that carries a fleet's orders: reading, writing and watching it.
 *
 * The watch is implemented here, because the client's watch does not report that it has ended, and leaves its consumer
 * on the server for five minutes: after a few reconnects, a large fleet would have thousands of consumers.
 */
import {
  AckPolicy,
  DeliverPolicy,
  jetstream,
  JetStreamApiError,
  jetstreamManager,
  type JetStreamManager,
} from '@nats-io/jetstream';
import { Kvm, type KV } from '@nats-io/kv';
import { createInbox, nanos, nuid, type Msg, type NatsConnection } from '@nats-io/transport-node';

const TIMEOUT_MS = 3000;
/** Copies of the bucket in a cluster of NATS servers: it survives the loss of one of three servers. */
const REPLICAS = 3;
/** How often the server sends a heartbeat for a watch, and how long a watch may be silent. */
const WATCH_BEAT_MS = 5000;
const WATCH_SILENT_MS = 12_000;
/** The server removes a watch whose node is gone after this time. */
const WATCH_KEPT_MS = 10_000;
/** Orders that are read at the same time. */
const READS = 32;

/** The value that is stored for a key, with the revision that JetStream gave it. */
export type StoredOrder = { readonly key: string; readonly octets: Uint8Array; readonly revision: number };

export type OrderWatch = {
  /** Whether it has been silent for too long. */
  isDead(): boolean;
  stop(): void;
};

export type OrderBucket = {
  /** Undefined if nothing is stored. */
  get(key: string): Promise<StoredOrder | undefined>;
  all(): Promise<readonly StoredOrder[]>;
  /** Writes in place of the stored revision, or a first value. Resolves to the new revision. */
  write(key: string, octets: Uint8Array, replaces: number | undefined): Promise<number>;
  /** Calls `heard` for each value that is written from now on. */
  watch(heard: (stored: StoredOrder) => void): Promise<OrderWatch>;
};

/** The name of a fleet's bucket. */
export function bucketName(fleet: string): string {
  return `pharos_${fleet}_orders`;
}

/**
 * Opens a fleet's bucket; creates it if it does not exist. `domain` is the JetStream domain; undefined: that of the
 * server.
 */
export async function openBucket(connection: NatsConnection, fleet: string, domain?: string): Promise<OrderBucket> {
  const at = { timeout: TIMEOUT_MS, ...(domain !== undefined && { domain }) };
  // Fails at once, with a clear message, where the server has no JetStream.
  const manager = await jetstreamManager(connection, at);
  const buckets = new Kvm(jetstream(connection, at));
  const name = bucketName(fleet);
  const create = (replicas: number): Promise<KV> => buckets.create(name, { history: 1, timeout: TIMEOUT_MS, replicas });
  // One server takes one replica only, as does a cluster of which too few servers run.
  const kv = await create(REPLICAS).catch((error: unknown) => {
    if (hasTooFewServers(error)) return create(1);
    throw error;
  });
  const { streamInfo } = await kv.status();
  const { num_replicas: replicas, name: stream } = streamInfo.config;
  if (replicas === 1 && connection.info?.cluster !== undefined) {
    // The cluster may have grown since the bucket was created.
    await manager.streams.update(stream, { num_replicas: REPLICAS }).catch(() => undefined);
  }
  const prefix = `$KV.${name}.`;
  const get = async (key: string): Promise<StoredOrder | undefined> => {
    const entry = await kv.get(key);
    return entry?.operation === 'PUT' ? { key, octets: entry.value, revision: entry.revision } : undefined;
  };
  return {
    get,
    all: async () => {
      const { state } = await manager.streams.info(stream, { subjects_filter: `${prefix}>` });
      const keys = Object.keys(state.subjects ?? {}).map((subject) => subject.slice(prefix.length));
      const stored: (StoredOrder | undefined)[] = [];
      for (let start = 0; start < keys.length; start += READS) {
        stored.push(...(await Promise.all(keys.slice(start, start + READS).map(get))));
      }
      return stored.filter((each) => each !== undefined);
    },
    write: (key, octets, replaces) =>
      replaces === undefined ? kv.create(key, octets) : kv.update(key, octets, replaces, TIMEOUT_MS),
    watch: (heard) => openWatch(connection, manager, stream, prefix, heard),
  };
}

async function openWatch(
  connection: NatsConnection,
  manager: JetStreamManager,
  stream: string,
  prefix: string,
  heard: (stored: StoredOrder) => void,
): Promise<OrderWatch> {
  const inbox = createInbox();
  const name = `watch_${nuid.next()}`;
  let heardMs = performance.now();
  const subscription = connection.subscribe(inbox, {
    callback: (error, message: Msg) => {
      if (error !== null) return;
      heardMs = performance.now();
      const revision = revisionOf(message.reply);
      if (revision === undefined || !message.subject.startsWith(prefix) || message.headers?.has('KV-Operation')) return;
      heard({ key: message.subject.slice(prefix.length), octets: message.data, revision });
    },
  });
  try {
    await manager.consumers.add(stream, {
      name,
      deliver_subject: inbox,
      deliver_policy: DeliverPolicy.New,
      ack_policy: AckPolicy.None,
      filter_subject: `${prefix}>`,
      idle_heartbeat: nanos(WATCH_BEAT_MS),
      inactive_threshold: nanos(WATCH_KEPT_MS),
      mem_storage: true,
      num_replicas: 1,
    });
  } catch (error) {
    subscription.unsubscribe();
    throw error;
  }
  return {
    isDead: () => performance.now() - heardMs > WATCH_SILENT_MS,
    stop: () => {
      subscription.unsubscribe();
      // Without a connection, the server removes the consumer after WATCH_KEPT_MS.
      if (!connection.isClosed()) manager.consumers.delete(stream, name).catch(() => undefined);
    },
  };
}

/** The revision in the reply subject of a message of a watch; undefined for the server's heartbeats. */
function revisionOf(reply: string | undefined): number | undefined {
  // `$JS.ACK.STREAM.CONSUMER.DELIVERED.REVISION.…`; newer servers put the domain and the account before STREAM.
  const tokens = reply?.split('.') ?? [];
  if (tokens[0] !== '$JS' || tokens[1] !== 'ACK') return undefined;
  return Number(tokens[tokens.length === 9 ? 5 : 7]);
}

/** "no suitable peers for placement", "insufficient resources", "replicas > 1 not supported in non-clustered mode". */
const TOO_MANY_REPLICAS: readonly number[] = [10005, 10023, 10074];

function hasTooFewServers(error: unknown): boolean {
  return error instanceof JetStreamApiError && TOO_MANY_REPLICAS.includes(error.code);
}
