/**
 * Exchanges the orders of a fleet with a key-value bucket of JetStream. Every node keeps all orders itself: the bucket
 * carries them, and may forget.
 *
 * - One watch per process. The client says nothing when a watch dies, so all keys are read again every minute.
 * - Each write names the stored revision that it replaces. A write that another one has overtaken is tried again.
 * - Orders that the bucket lost, or has an older one of, are written back.
 */
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
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
const ATTEMPTS = 8;
const TIMEOUT_MS = 3000;

export type OrderStore = {
  /** Keeps an order for the fleet. Resolves with its entry, which has been taken. Rejects with OrderNotKept. */
  readonly put: (key: string, order: unknown) => Promise<OrderEntry>;
  /** Call on each new connection. Resolves when all stored orders have been taken. */
  readonly attach: (connection: NatsConnection) => Promise<void>;
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
  let stopWatch: (() => void) | undefined;
  let timer: NodeJS.Timeout | undefined;
  let epoch = 0;

  const take = (entry: OrderEntry): void => {
    if (book.take(entry)) taken(entry);
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

  /** Reads every key, and writes back what the bucket lost. */
  const reread = async (kv: KV): Promise<void> => {
    const stored: KvEntry[] = [];
    for await (const key of await kv.keys()) {
      const entry = await kv.get(key);
      if (entry !== null) stored.push(entry);
    }
    const entries = stored.flatMap((each) => readEntry(each) ?? []).sort((a, b) => a.revision - b.revision);
    // A later order may overrule an earlier one with another target.
    entries.forEach(take);
    const found = new Map(entries.map(({ key, revision }) => [key, revision]));
    for (const entry of book.entries()) {
      if ((found.get(entry.key) ?? 0) < entry.revision) await writeBack(kv, entry);
    }
  };
  const writeBack = async (kv: KV, entry: OrderEntry): Promise<void> => {
    try {
      const stored = await kv.get(entry.key);
      const kept = stored === null ? undefined : heard(stored);
      if (kept !== undefined && kept.revision >= entry.revision) return;
      await write(kv, entry.key, { ...entry, version: ORDER_VERSION }, stored?.revision);
    } catch (error) {
      // Another node wrote it first, or NATS is gone: the next reading finds out.
      if (!isOvertaken(error)) throw error;
    }
  };
  const rereadLater = (kv: KV, own: number): void => {
    timer = setTimeout(() => {
      void reread(kv)
        .catch((error: unknown) => {
          warn(`fleet: orders could not be read again: ${messageOf(error)}`);
        })
        .finally(() => {
          if (epoch === own) rereadLater(kv, own);
        });
    }, REREAD_MS);
    timer.unref();
  };
  const detach = (): void => {
    epoch += 1;
    clearTimeout(timer);
    stopWatch?.();
    stopWatch = undefined;
    bucket = undefined;
  };

  return {
    close: detach,
    attach: async (connection) => {
      detach();
      const own = epoch;
      const kv = await openBucket(connection, bucketName(fleet));
      if (epoch !== own) return;
      bucket = kv;
      const watch = await kv.watch({ include: 'updates' });
      stopWatch = () => {
        watch.stop();
      };
      void (async () => {
        for await (const stored of watch) heard(stored);
      })().catch((error: unknown) => {
        warn(`fleet: the watch for orders ended: ${messageOf(error)}`);
      });
      await reread(kv);
      if (epoch === own) rereadLater(kv, own);
    },
    put: async (key, order) => {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const kv = bucket;
        if (kv === undefined) throw new OrderNotKept('NATS cannot be reached');
        try {
          const stored = await kv.get(key);
          if (stored !== null) heard(stored);
          const value: OrderValue = { version: ORDER_VERSION, revision: book.highest() + 1, order, at: now(), node };
          const revision = await write(kv, key, value, stored?.revision);
          const entry = { key, revision: Math.max(revision, value.revision), order, at: value.at, node };
          take(entry);
          return entry;
        } catch (error) {
          if (!isOvertaken(error)) throw new OrderNotKept(messageOf(error));
        }
      }
      throw new OrderNotKept('other nodes changed the same target at the same time');
    },
  };
}

/** The key-value bucket of a fleet's orders. */
export function bucketName(fleet: string): string {
  return `pharos_${fleet}_orders`;
}

async function openBucket(connection: NatsConnection, name: string): Promise<KV> {
  // Fails at once, with a clear message, where the server has no JetStream.
  await jetstreamManager(connection, { timeout: TIMEOUT_MS });
  return new Kvm(jetstream(connection, { timeout: TIMEOUT_MS })).create(name, { history: 1, timeout: TIMEOUT_MS });
}

/** Writes a value in place of the one with the stored revision, or a first one. Returns the revision it was given. */
function write(kv: KV, key: string, value: OrderValue, replaces: number | undefined): Promise<number> {
  return replaces === undefined ? kv.create(key, encode(value)) : kv.update(key, encode(value), replaces, TIMEOUT_MS);
}

/** JetStream's "wrong last sequence". */
function isOvertaken(error: unknown): boolean {
  return error instanceof Error && /wrong last sequence/i.test(error.message);
}

function encode(value: OrderValue): Uint8Array {
  const { version, revision, order, at, node } = value;
  return Buffer.from(JSON.stringify({ version, revision, order, at, node }));
}
