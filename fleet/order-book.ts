/**
 * The orders of a fleet that a node knows: the newest order of each key, by revision. Pure; `order-store.ts` exchanges
 * them with JetStream and `state_dir`.
 *
 * An order's revision is the one that JetStream gave it or, if that is greater, the highest known revision plus one: a
 * bucket that lost its data counts from 1 again. A withdrawn order stays as a tombstone, so that a node that was
 * disconnected does not restore it.
 */
import { recordIn } from '../config/unknown-values.ts';

export type OrderEntry = {
  readonly key: string;
  readonly revision: number;
  /** JSON. The withdrawal of an order is also an entry. */
  readonly order: unknown;
  /** ISO 8601, by the clock of the node that took it. */
  readonly at: string;
  /** The node that took it. */
  readonly node: string;
};

/** What is stored for a key. */
export type OrderValue = Omit<OrderEntry, 'key'> & { readonly version: typeof ORDER_VERSION };
export const ORDER_VERSION = 1;

/** NATS cannot be reached, or does not take the order. */
export class OrderNotKept extends Error {
  override readonly name = 'OrderNotKept';
}

/** Another order was stored after the one that this order was made from. */
export class OrderOvertaken extends OrderNotKept {
  constructor() {
    super('another node gave an order at the same time');
  }
}

export type OrderBook = {
  /** Takes the entry and returns true if it is newer than the known one; otherwise returns false. */
  readonly take: (entry: OrderEntry) => boolean;
  readonly get: (key: string) => OrderEntry | undefined;
  readonly entries: () => readonly OrderEntry[];
  /** The highest revision of all; 0 for an empty book. */
  readonly highest: () => number;
};

export function createOrderBook(initial: Iterable<OrderEntry> = []): OrderBook {
  const entries = new Map<string, OrderEntry>();
  let highest = 0;
  const take = (entry: OrderEntry): boolean => {
    highest = Math.max(highest, entry.revision);
    const known = entries.get(entry.key);
    if (known !== undefined && known.revision >= entry.revision) return false;
    entries.set(entry.key, entry);
    return true;
  };
  for (const entry of initial) take(entry);
  return { take, get: (key) => entries.get(key), entries: () => [...entries.values()], highest: () => highest };
}

/**
 * The entry of a stored value. `stored` is the revision that JetStream gave it. Undefined if the value has another
 * version or form.
 */
export function storedEntry(key: string, octets: Uint8Array, stored: number): OrderEntry | undefined {
  const value: Partial<Record<keyof OrderValue, unknown>> = recordIn(octets) ?? {};
  const { version, revision, order, at, node } = value;
  if (version !== ORDER_VERSION || order === undefined) return undefined;
  if (typeof revision !== 'number' || !Number.isSafeInteger(revision)) return undefined;
  if (typeof at !== 'string' || typeof node !== 'string') return undefined;
  return { key, revision: Math.max(stored, revision), order, at, node };
}

/** A key of JetStream's key-value store for a kind of order and its target, which may have any characters. */
export function orderKey(kind: string, target: string): string {
  return `${kind}.${Buffer.from(target).toString('base64url')}`;
}

/** The kind and target of a key. Undefined if it is not the key of an order. */
export function targetOfKey(key: string): { readonly kind: string; readonly target: string } | undefined {
  const [kind, target, more] = key.split('.');
  if (kind === undefined || target === undefined || more !== undefined) return undefined;
  return { kind, target: Buffer.from(target, 'base64url').toString() };
}
