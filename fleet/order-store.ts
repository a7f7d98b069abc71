/**
 * Exchanges the orders of a fleet with a key-value bucket of JetStream. Every node keeps all orders itself: the bucket
 * distributes them, and may lose them.
 *
 * - Each process has one watch. A watch may end unnoticed, so all orders are read again every minute, and at once when
 *   a peer knows a newer one (`catchUp`). If a reading finds an order that the watch missed, a new watch is started.
 * - If a bucket cannot be opened or read, for example while a cluster has no leader, the attempt is repeated until it
 *   succeeds.
 * - Each write names the stored revision that it replaces. If another write was faster, the write is tried again.
 * - Orders that the bucket has lost, or has only in an older revision, are written back.
 */
import { PermissionViolationError, type NatsConnection } from '@nats-io/transport-node';
import { messageOf } from '../config/unknown-values.ts';
import { createSession, type ConnectionSession } from './connection-session.ts';
import {
  storedEntry,
  ORDER_VERSION,
  OrderNotKept,
  OrderOvertaken,
  type OrderBook,
  type OrderEntry,
  type OrderValue,
} from './order-book.ts';
import { openBucket, type OrderBucket, type StoredOrder } from './order-bucket.ts';

const REREAD_MS = 60_000;
/** Least time between two readings of all orders. */
const CATCH_UP_MS = 1000;
/** How often the watch is checked. */
const LOOK_MS = 3000;
/** Time between attempts to open a bucket. */
const LEAST_PAUSE_MS = 250;
const MOST_PAUSE_MS = 2000;
/** How long `put` tries to store an order. */
const PUT_MS = 5000;
/** What an order was made from. */
export type OrderBase = { readonly replaces: number; readonly after: number };

export type OrderStore = {
  /**
   * Stores an order for the fleet. Resolves to its entry, which the book then has. Rejects with OrderNotKept; with
   * OrderOvertaken if the newest order of the key is not that of the revision `replaces`, which is 0 for a first order.
   * Its revision is later than `after`.
   */
  readonly put: (key: string, order: unknown, base?: OrderBase) => Promise<OrderEntry>;
  /** Call on each new connection. Resolves when all stored orders have been taken, or at the next `detach`. */
  readonly attach: (connection: NatsConnection) => Promise<void>;
  /** Call when the connection is lost. */
  readonly detach: () => void;
  /** Reads all orders now. Call when a peer knows a newer one. */
  readonly catchUp: () => void;
  /** Why orders cannot be exchanged; undefined while they can, and without a connection. */
  readonly problem: () => string | undefined;
  readonly close: () => void;
};

export type OrderStoreOptions = {
  readonly fleet: string;
  /** The JetStream domain of the bucket; undefined: that of the servers. */
  readonly domain: string | undefined;
  readonly node: string;
  readonly book: OrderBook;
  /** ISO 8601. */
  readonly now: () => string;
  /** Called when the book has taken a newer order. */
  readonly taken: (entry: OrderEntry) => void;
  readonly warn: (message: string) => void;
};

export function createOrderStore(options: OrderStoreOptions): OrderStore {
  const { fleet, domain, warn } = options;
  const { heard, reread, put } = createOrderFiler(options);
  let bucket: OrderBucket | undefined;
  let problem: string | undefined;
  let session: ConnectionSession | undefined;

  /** Opens the bucket, watches and reads it, until the session ends. Throws when it has to be opened again. */
  const exchange = async (connection: NatsConnection, own: ConnectionSession, ready: () => void): Promise<void> => {
    const kv = await openBucket(connection, fleet, domain);
    const watch = await kv.watch(heard);
    try {
      if (own.isOver()) return;
      bucket = kv;
      await reread(kv);
      problem = undefined;
      ready();
      for (let nextMs = performance.now() + REREAD_MS; ;) {
        const isAsked = await own.pause(LOOK_MS);
        if (own.isOver()) return;
        if (watch.isDead()) throw new Error('the watch ended');
        if (!isAsked && performance.now() < nextMs) continue;
        if (await reread(kv)) throw new Error('the watch had missed an order');
        nextMs = performance.now() + REREAD_MS;
        await own.rest(CATCH_UP_MS);
      }
    } finally {
      watch.stop();
    }
  };
  /** Exchanges orders until the session ends. */
  const run = async (connection: NatsConnection, own: ConnectionSession, ready: () => void): Promise<void> => {
    let pauseMs = LEAST_PAUSE_MS;
    while (!own.isOver()) {
      try {
        await exchange(connection, own, () => {
          pauseMs = LEAST_PAUSE_MS;
          ready();
        });
      } catch (error) {
        if (own.isOver()) return;
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
    put: async (key, order, base) => {
      const untilMs = performance.now() + PUT_MS;
      for (;;) {
        if (session === undefined) throw new OrderNotKept('NATS cannot be reached');
        let why = problem ?? 'the orders have not been read yet';
        try {
          if (bucket !== undefined) return await put(bucket, key, order, base);
        } catch (error) {
          if (error instanceof OrderOvertaken) throw error;
          why = isOvertaken(error) ? 'other nodes changed the same target at the same time' : messageOf(error);
          if (error instanceof PermissionViolationError) throw new OrderNotKept(why);
          if (!isOvertaken(error)) session.wake();
          else if (performance.now() <= untilMs) continue;
        }
        if (performance.now() > untilMs) throw new OrderNotKept(why);
        // The cluster may be choosing a leader.
        await pause(LEAST_PAUSE_MS);
      }
    },
  };
}

/** Moves orders between an open bucket and the book. */
function createOrderFiler({ node, book, now, taken, warn }: OrderStoreOptions): {
  /** Takes an order that was read. Undefined if it has another version. */
  readonly heard: (stored: StoredOrder) => OrderEntry | undefined;
  /** Reads all orders, and writes back what the bucket lost. True if one of them was new. */
  readonly reread: (bucket: OrderBucket) => Promise<boolean>;
  /** Writes a new order, and takes it. */
  readonly put: (bucket: OrderBucket, key: string, order: unknown, base?: OrderBase) => Promise<OrderEntry>;
} {
  /** True if it is newer. */
  const take = (entry: OrderEntry): boolean => {
    const isNewer = book.take(entry);
    if (isNewer) taken(entry);
    return isNewer;
  };
  const readEntry = ({ key, octets, revision }: StoredOrder): OrderEntry | undefined => {
    const entry = storedEntry(key, octets, revision);
    if (entry === undefined) warn(`fleet: the stored order ${key} has another version: it is not applied`);
    return entry;
  };
  const heard = (stored: StoredOrder): OrderEntry | undefined => {
    const entry = readEntry(stored);
    if (entry !== undefined) take(entry);
    return entry;
  };

  const reread = async (kv: OrderBucket): Promise<boolean> => {
    const entries = (await kv.all()).flatMap((each) => readEntry(each) ?? []);
    entries.sort((a, b) => a.revision - b.revision);
    // A later order may overrule an earlier one with another target.
    const isNew = entries.map(take).includes(true);
    const found = new Map(entries.map(({ key, revision }) => [key, revision]));
    for (const entry of book.entries()) {
      if ((found.get(entry.key) ?? 0) < entry.revision) await writeBack(kv, entry);
    }
    return isNew;
  };
  const writeBack = async (kv: OrderBucket, entry: OrderEntry): Promise<void> => {
    try {
      const stored = await kv.get(entry.key);
      const kept = stored === undefined ? undefined : heard(stored);
      if (kept !== undefined && kept.revision >= entry.revision) return;
      await kv.write(entry.key, encode({ ...entry, version: ORDER_VERSION }), stored?.revision);
    } catch (error) {
      // Another node wrote it first; the next reading finds that order.
      if (!isOvertaken(error)) throw error;
    }
  };
  const put = async (kv: OrderBucket, key: string, order: unknown, base?: OrderBase): Promise<OrderEntry> => {
    const stored = await kv.get(key);
    if (stored !== undefined) heard(stored);
    if (base !== undefined && (book.get(key)?.revision ?? 0) !== base.replaces) throw new OrderOvertaken();
    const highest = Math.max(book.highest(), base?.after ?? 0);
    const value: OrderValue = { version: ORDER_VERSION, revision: highest + 1, order, at: now(), node };
    const revision = await kv.write(key, encode(value), stored?.revision);
    const entry = { key, revision: Math.max(revision, value.revision), order, at: value.at, node };
    take(entry);
    return entry;
  };
  return { heard, reread, put };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** JetStream's "wrong last sequence". */
function isOvertaken(error: unknown): boolean {
  return error instanceof Error && /wrong last sequence/i.test(error.message);
}

function encode(value: OrderValue): Uint8Array {
  const { version, revision, order, at, node } = value;
  return Buffer.from(JSON.stringify({ version, revision, order, at, node }));
}
