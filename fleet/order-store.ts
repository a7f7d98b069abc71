/**
 * Exchanges the orders of a fleet with a key-value bucket of JetStream. Every node keeps all orders itself: the bucket
 * carries them, and may forget.
 *
 * - One watch per process. The client says nothing when a watch dies, so all orders are read again every minute, and at
 *   once when a peer knows a newer one (`catchUp`). A reading that finds what the watch missed starts a new watch.
 * - A bucket that cannot be opened or read, as while a cluster has no leader, is tried again until it can.
 * - Each write names the stored revision that it replaces. A write that another one has overtaken is tried again.
 * - Orders that the bucket lost, or has an older one of, are written back.
 */
import { jetstream, JetStreamApiError, jetstreamManager } from '@nats-io/jetstream';
import { Kvm, type KV, type KvEntry } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { messageOf } from '../config/unknown-values.ts';
import {
  storedEntry,
  ORDER_VERSION,
  OrderNotKept,
  type OrderBook,
  type OrderEntry,
  type OrderValue,
} from './order-book.ts';

const REREAD_MS = 60_000;
/** Readings that peers ask for follow each other no sooner. */
const CATCH_UP_MS = 1000;
const TIMEOUT_MS = 3000;
/** A reading of all orders that takes longer has failed: its connection or its consumer is gone. */
const READ_MS = 15_000;
/** Time between attempts to open a bucket. */
const LEAST_PAUSE_MS = 250;
const MOST_PAUSE_MS = 5000;
/** How long an order is tried to be kept. */
const PUT_MS = 5000;
/** Copies of the bucket in a cluster of NATS servers: it outlives one of three servers. */
const REPLICAS = 3;

export type OrderStore = {
  /** Keeps an order for the fleet. Resolves with its entry, which has been taken. Rejects with OrderNotKept. */
  readonly put: (key: string, order: unknown) => Promise<OrderEntry>;
  /** Call on each new connection. Resolves when all stored orders have been taken, or with the next `detach`. */
  readonly attach: (connection: NatsConnection) => Promise<void>;
  /** The connection is lost. */
  readonly detach: () => void;
  /** Reads all orders now: a peer knows a newer one. */
  readonly catchUp: () => void;
  /** Why orders cannot be exchanged; undefined while they can, and without a connection. */
  readonly problem: () => string | undefined;
  readonly close: () => void;
};

export type OrderStoreOptions = {
  readonly fleet: string;
  readonly node: string;
  readonly book: OrderBook;
  /** ISO 8601. */
  readonly now: () => string;
  /** A newer order has been taken into the book. */
  readonly taken: (entry: OrderEntry) => void;
  readonly warn: (message: string) => void;
};

export function createOrderStore(options: OrderStoreOptions): OrderStore {
  const { fleet, node, book, now, taken, warn } = options;
  let bucket: KV | undefined;
  let problem: string | undefined;
  let session: Session | undefined;

  /** True: it is newer. */
  const take = (entry: OrderEntry): boolean => {
    const isNewer = book.take(entry);
    if (isNewer) taken(entry);
    return isNewer;
  };
  const readEntry = (stored: KvEntry): OrderEntry | undefined => {
    if (stored.operation !== 'PUT') return undefined;
    const entry = storedEntry(stored.key, stored.value, stored.revision);
    if (entry === undefined) warn(`fleet: the stored order ${stored.key} has another version: it is not applied`);
    return entry;
  };
  const heard = (stored: KvEntry): OrderEntry | undefined => {
    const entry = readEntry(stored);
    if (entry !== undefined) take(entry);
    return entry;
  };

  /** Reads all orders, and writes back what the bucket lost. True: one of them was new. */
  const reread = async (kv: KV): Promise<boolean> => {
    const entries = (await readAll(kv)).flatMap((each) => readEntry(each) ?? []);
    entries.sort((a, b) => a.revision - b.revision);
    // A later order may overrule an earlier one with another target.
    const isNew = entries.map(take).includes(true);
    const found = new Map(entries.map(({ key, revision }) => [key, revision]));
    for (const entry of book.entries()) {
      if ((found.get(entry.key) ?? 0) < entry.revision) await writeBack(kv, entry);
    }
    return isNew;
  };
  const writeBack = async (kv: KV, entry: OrderEntry): Promise<void> => {
    try {
      const stored = await kv.get(entry.key);
      const kept = stored === null ? undefined : heard(stored);
      if (kept !== undefined && kept.revision >= entry.revision) return;
      await write(kv, entry.key, { ...entry, version: ORDER_VERSION }, stored?.revision);
    } catch (error) {
      // Another node wrote it first: the next reading finds out.
      if (!isOvertaken(error)) throw error;
    }
  };

  /** Opens the bucket, watches and reads it, until the session ends. Throws when it has to be opened again. */
  const exchange = async (connection: NatsConnection, own: Session, ready: () => void): Promise<void> => {
    const kv = await openBucket(connection, bucketName(fleet));
    if (own.isOver) return;
    bucket = kv;
    const watch = await kv.watch({ include: 'updates' });
    let hasEnded = false;
    void (async () => {
      for await (const stored of watch) heard(stored);
      hasEnded = true;
    })();
    try {
      await reread(kv);
      problem = undefined;
      ready();
      for (;;) {
        await own.pause(REREAD_MS);
        if (own.isOver) return;
        if (await reread(kv)) throw new Error('the watch had missed an order');
        if (hasEnded) throw new Error('the watch ended');
        await own.rest(CATCH_UP_MS);
      }
    } finally {
      watch.stop();
    }
  };
  /** Exchanges orders until the session ends. */
  const run = async (connection: NatsConnection, own: Session, ready: () => void): Promise<void> => {
    let pauseMs = LEAST_PAUSE_MS;
    while (!own.isOver) {
      try {
        await exchange(connection, own, () => {
          pauseMs = LEAST_PAUSE_MS;
          ready();
        });
      } catch (error) {
        if (own.isOver) return;
        const why = messageOf(error);
        if (problem !== why) warn(`fleet: orders are exchanged anew: ${why}`);
        problem = why;
        await own.rest(pauseMs);
        pauseMs = Math.min(MOST_PAUSE_MS, pauseMs * 2);
      }
    }
  };
  const detach = (): void => {
    session?.end();
    session = undefined;
    bucket = undefined;
    problem = undefined;
  };
  const tryToPut = async (kv: KV, key: string, order: unknown): Promise<OrderEntry> => {
    const stored = await kv.get(key);
    if (stored !== null) heard(stored);
    const value: OrderValue = { version: ORDER_VERSION, revision: book.highest() + 1, order, at: now(), node };
    const revision = await write(kv, key, value, stored?.revision);
    const entry = { key, revision: Math.max(revision, value.revision), order, at: value.at, node };
    take(entry);
    return entry;
  };

  return {
    detach,
    close: detach,
    problem: () => problem,
    catchUp: () => {
      session?.wake();
    },
    attach: (connection) => {
      detach();
      const own = createSession();
      session = own;
      return new Promise((resolve) => {
        void run(connection, own, resolve).finally(resolve);
      });
    },
    put: async (key, order) => {
      const untilMs = performance.now() + PUT_MS;
      for (;;) {
        const kv = bucket;
        if (kv === undefined) throw new OrderNotKept(problem ?? 'NATS cannot be reached');
        try {
          return await tryToPut(kv, key, order);
        } catch (error) {
          const why = isOvertaken(error) ? 'other nodes changed the same target at the same time' : messageOf(error);
          if (performance.now() > untilMs) throw new OrderNotKept(why);
          // The bucket may be gone, or its cluster may be choosing a leader.
          if (!isOvertaken(error)) await Promise.all([session?.wake(), pause(LEAST_PAUSE_MS)]);
        }
      }
    },
  };
}

/** The time of one connection. */
type Session = {
  readonly isOver: boolean;
  /** Resolves after `ms`, with the next `wake`, or at the end. */
  pause(ms: number): Promise<void>;
  /** Resolves after `ms`, or at the end; a `wake` meanwhile ends the next pause. */
  rest(ms: number): Promise<void>;
  wake(): void;
  end(): void;
};

function createSession(): Session {
  let isOver = false;
  let isAwake = false;
  let stop: (() => void) | undefined;
  let wake: (() => void) | undefined;
  const wait = (ms: number, resting: boolean): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        stop = undefined;
        wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, ms);
      timer.unref();
      stop = done;
      if (!resting) wake = done;
    });
  return {
    get isOver() {
      return isOver;
    },
    pause: async (ms) => {
      if (!isAwake && !isOver) await wait(ms, false);
      isAwake = false;
    },
    rest: async (ms) => {
      if (!isOver) await wait(ms, true);
    },
    wake: () => {
      isAwake = true;
      wake?.();
    },
    end: () => {
      isOver = true;
      stop?.();
    },
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** The key-value bucket of a fleet's orders. */
export function bucketName(fleet: string): string {
  return `pharos_${fleet}_orders`;
}

async function openBucket(connection: NatsConnection, name: string): Promise<KV> {
  // Fails at once, with a clear message, where the server has no JetStream.
  const manager = await jetstreamManager(connection, { timeout: TIMEOUT_MS });
  const buckets = new Kvm(jetstream(connection, { timeout: TIMEOUT_MS }));
  const create = (replicas: number): Promise<KV> => buckets.create(name, { history: 1, timeout: TIMEOUT_MS, replicas });
  // One server takes one replica only, as does a cluster of which too few servers run.
  const bucket = await create(REPLICAS).catch((error: unknown) => {
    if (hasTooFewServers(error)) return create(1);
    throw error;
  });
  const { streamInfo } = await bucket.status();
  const { num_replicas: replicas, name: stream } = streamInfo.config;
  if (replicas === 1 && connection.info?.cluster !== undefined) {
    // The cluster may have grown since the bucket was created.
    await manager.streams.update(stream, { num_replicas: REPLICAS }).catch(() => undefined);
  }
  return bucket;
}

/** All stored values. Throws if they do not arrive. */
async function readAll(kv: KV): Promise<readonly KvEntry[]> {
  const reading = await kv.history();
  const stored: KvEntry[] = [];
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    reading.stop();
  }, READ_MS);
  try {
    for await (const entry of reading) stored.push(entry);
  } finally {
    clearTimeout(timer);
  }
  if (isLate) throw new Error(`the orders could not be read within ${String(READ_MS / 1000)} s`);
  return stored;
}

/** Writes a value in place of the one with the stored revision, or a first one. Returns the revision it was given. */
function write(kv: KV, key: string, value: OrderValue, replaces: number | undefined): Promise<number> {
  return replaces === undefined ? kv.create(key, encode(value)) : kv.update(key, encode(value), replaces, TIMEOUT_MS);
}

/** "no suitable peers for placement", "insufficient resources", "replicas > 1 not supported in non-clustered mode". */
const TOO_MANY_REPLICAS: readonly number[] = [10005, 10023, 10074];

function hasTooFewServers(error: unknown): boolean {
  return error instanceof JetStreamApiError && TOO_MANY_REPLICAS.includes(error.code);
}

/** JetStream's "wrong last sequence". */
function isOvertaken(error: unknown): boolean {
  return error instanceof Error && /wrong last sequence/i.test(error.message);
}

function encode(value: OrderValue): Uint8Array {
  const { version, revision, order, at, node } = value;
  return Buffer.from(JSON.stringify({ version, revision, order, at, node }));
}
