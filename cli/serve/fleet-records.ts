/**
 * Dynamic records in a fleet: the order of a zone has all of them, so that a node needs only the newest one, and names
 * the revision that it replaces, so that an update is processed against the records on which all nodes agree.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { FIXED_TYPES } from '../../config/read-updates.ts';
import { isRecord } from '../../config/unknown-values.ts';
import { orderKey, OrderNotKept, OrderOvertaken, targetOfKey, type OrderEntry } from '../../fleet/order-book.ts';
import type { Fleet } from '../../fleet/start-fleet.ts';
import type { ZoneRecords } from '../../server/transfer/answer-update.ts';
import { MAX_TTL_SECONDS } from '../../wire/limits.ts';
import { canonical, formatName, isWithin, nameKey, type Name } from '../../wire/name.ts';
import { isLaterSerial } from '../../wire/serial.ts';
import { isMetaType } from '../../wire/types.ts';
import { isValidData } from '../../wire/update.ts';
import {
  applyEntry,
  readJournalSet,
  writtenName,
  writeJournalSet,
  type DynamicRecords,
  type JournalEntry,
  type WrittenSet,
} from '../../zones/journal/journal-file.ts';
import { digestOfData, markOfSet, setKey, type DynamicSet } from '../../zones/journal/record-set.ts';

const KIND = 'records';
/** The text of an order. A message of NATS has 1 MB at most, by default. */
const MOST_CHARACTERS = 700_000;
/** What the text may unpack to: names and data of some 100,000 records. */
const MOST_UNPACKED_OCTETS = 32 * 1024 * 1024;
/** How long an update waits until the other nodes serve it. */
const ACKNOWLEDGE_MS = 2000;
const LOOK_AGAIN_MS = 5;

/** All dynamic records of a zone. */
export type ZoneOrder = {
  readonly apex: Name;
  readonly revision: number;
  readonly records: DynamicRecords;
};

export type FleetRecords = {
  /** Why updates of a zone cannot be kept now; undefined if they can. */
  readonly obstacle: (apex: Name) => string | undefined;
  /**
   * Gives all nodes the records of a zone. Resolves to `overtaken` if another node did so since the last order that is
   * in force here. Rejects with OrderNotKept.
   */
  readonly give: (
    apex: Name,
    before: DynamicRecords,
    entries: readonly JournalEntry[],
  ) => Promise<'given' | 'overtaken'>;
  /** Resolves when all nodes that are heard serve what was given last, or after a time limit. */
  readonly served: () => Promise<void>;
  /** Takes an order if it is for records: `next` returns it until it is in force. */
  readonly take: (entry: OrderEntry) => boolean;
  readonly next: () => ZoneOrder | undefined;
  readonly inForce: (order: Pick<ZoneOrder, 'apex' | 'revision'>) => void;
  /** An order could not be put in force: `next` returns it after those of other zones. */
  readonly postpone: (order: ZoneOrder) => void;
  /** The revision of the order of a zone that is in force; undefined if there is none. */
  readonly revisionOf: (apex: Name) => number | undefined;
  /**
   * The files may have changed: `next` returns orders that are in force once more, because this node leaves out what
   * its zones, rules and files did not permit.
   */
  readonly again: () => void;
  /** After a failure: no longer returns an order that was in force, until the files change. Whether it was. */
  readonly leave: (order: ZoneOrder) => boolean;
  /** The lowest revision of an order that waits. */
  readonly pending: () => number | undefined;
};

export function createFleetRecords(fleet: Fleet, warn: (message: string) => void): FleetRecords {
  /** Orders that are not in force, and the revisions of those that are, by key. */
  const waiting = new Map<string, ZoneOrder>();
  const inForce = new Map<string, number>();
  let given = 0;
  const revisionOf = (key: string): number => fleet.orderOf(key)?.revision ?? 0;
  const newest = (key: string): ZoneOrder | undefined => {
    const entry = fleet.orderOf(key);
    return entry && readOrderOf(entry);
  };
  const accept = ({ apex, revision }: Pick<ZoneOrder, 'apex' | 'revision'>): void => {
    const key = recordsKey(apex);
    inForce.set(key, revision);
    if ((waiting.get(key)?.revision ?? Infinity) <= revision) waiting.delete(key);
    fleet.acknowledge();
  };
  const take = (entry: OrderEntry): boolean => {
    if (targetOfKey(entry.key)?.kind !== KIND) return false;
    const order = readOrderOf(entry);
    if (order) waiting.set(entry.key, order);
    else warn(`fleet: the order ${entry.key} has records that this version cannot read: they are not applied`);
    return true;
  };
  // A crash may have come between an order and the journal.
  for (const entry of fleet.orders()) take(entry);
  return {
    take,
    obstacle: (apex) => {
      if (!fleet.isConnected()) return 'NATS cannot be reached, and the other nodes would not get the update';
      const key = recordsKey(apex);
      // The journal of a node that was killed may have a later order than those that it had saved.
      if (revisionOf(key) <= (inForce.get(key) ?? 0)) return undefined;
      return waiting.has(key)
        ? 'records of the fleet are not in force on this node'
        : 'the records of the fleet cannot be read';
    },
    give: async (apex, before, entries) => {
      const key = recordsKey(apex);
      const after = inForce.get(key) ?? 0;
      const replaces = Math.min(after, revisionOf(key));
      const known = replaces === after ? newest(key)?.records : undefined;
      const sets = new Map((known ?? before).sets);
      for (const entry of entries) applyEntry(sets, entry);
      const order = writeZoneOrder(apex, { sets, serial: entries.at(-1)?.serial ?? before.serial });
      try {
        const { revision } = await fleet.order(key, order, { replaces, after });
        given = revision;
        accept({ apex, revision });
        return 'given';
      } catch (error) {
        if (error instanceof OrderOvertaken) return 'overtaken';
        throw error;
      }
    },
    served: async () => {
      const isBehind = (): boolean => fleet.peers().some(({ isFresh, applied }) => isFresh && applied < given);
      for (const until = performance.now() + ACKNOWLEDGE_MS; isBehind() && performance.now() < until;) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
      }
    },
    next: () => waiting.values().next().value,
    inForce: accept,
    revisionOf: (apex) => inForce.get(recordsKey(apex)),
    postpone: (order) => {
      const key = recordsKey(order.apex);
      if (waiting.get(key) !== order) return;
      waiting.delete(key);
      waiting.set(key, order);
    },
    again: () => {
      for (const key of inForce.keys()) {
        const order = newest(key);
        if (order) waiting.set(key, order);
      }
    },
    leave: ({ apex, revision }) => {
      const key = recordsKey(apex);
      return inForce.get(key) === revision && waiting.delete(key);
    },
    pending: () => {
      const isNew = ([key, { revision }]: [string, ZoneOrder]): boolean => revision > (inForce.get(key) ?? 0);
      const revisions = [...waiting].filter(isNew).map(([, { revision }]) => revision);
      return revisions.length === 0 ? undefined : Math.min(...revisions);
    },
  };
}

/** Undefined also if it is for another zone than its key says. */
function readOrderOf(entry: OrderEntry): ZoneOrder | undefined {
  const order = readZoneOrder(entry);
  return order && recordsKey(order.apex) === entry.key ? order : undefined;
}

function recordsKey(apex: Name): string {
  return orderKey(KIND, formatName(canonical(apex)));
}

/** Throws OrderNotKept if the records are too many. */
export function writeZoneOrder(
  apex: Name,
  { sets, serial }: DynamicRecords,
): { readonly zone: string; readonly packed: string } {
  const json = JSON.stringify({ serial, sets: [...sets.values()].map(writeJournalSet) });
  const packed = deflateRawSync(json).toString('base64');
  if (packed.length > MOST_CHARACTERS || json.length > MOST_UNPACKED_OCTETS) {
    throw new OrderNotKept(`${formatName(apex)} has too many dynamic records for a message to the fleet`);
  }
  return { zone: formatName(apex), packed };
}

/** Undefined if it has another form. */
export function readZoneOrder({ order, revision }: Pick<OrderEntry, 'order' | 'revision'>): ZoneOrder | undefined {
  if (!isRecord(order) || typeof order['zone'] !== 'string' || typeof order['packed'] !== 'string') return undefined;
  try {
    const octets = inflateRawSync(Buffer.from(order['packed'], 'base64'), { maxOutputLength: MOST_UNPACKED_OCTETS });
    const { serial, sets }: Partial<Record<string, unknown>> = JSON.parse(octets.toString()) as object;
    if (!Array.isArray(sets) || !sets.every(isWrittenSet) || !Number.isSafeInteger(serial)) return undefined;
    const read = sets.map(readJournalSet);
    const apex = canonical(writtenName(order['zone']));
    if (!read.every((set) => isDynamic(set, apex))) return undefined;
    return {
      apex,
      revision,
      records: { serial: Number(serial) >>> 0, sets: new Map(read.map((set) => [setKey(set.name, set.type), set])) },
    };
  } catch {
    return undefined;
  }
}

/** Whether an update could have made the set: any client with a login for NATS can write an order. */
function isDynamic({ name, type, ttlSeconds, data }: DynamicSet, apex: Name): boolean {
  if (!isWithin(canonical(name), apex) || isMetaType(type) || FIXED_TYPES.has(type)) return false;
  if (type < 0 || type > 0xffff || ttlSeconds < 0 || ttlSeconds > MAX_TTL_SECONDS) return false;
  return data.every((each) => isValidData(type, each));
}

function isWrittenSet(value: unknown): value is WrittenSet {
  if (!isRecord(value)) return false;
  const { name, type, base, ttl, data } = value;
  return (
    [name, base].every((each) => typeof each === 'string') &&
    [type, ttl].every(Number.isSafeInteger) &&
    Array.isArray(data) &&
    data.every((each) => typeof each === 'string')
  );
}

/**
 * What the journal of this node needs to have the records of an order. The files win: a set that was made from other
 * records than those of the files here is left out.
 */
export function entryForOrder(
  { records }: ZoneOrder,
  own: DynamicRecords,
  zone: ZoneRecords,
): JournalEntry | undefined {
  const fits = ({ name, type, base }: DynamicSet): boolean => {
    if (zone.isSteered(name)) return false;
    const held = own.sets.get(setKey(name, type));
    return base === (held?.base ?? digestOfData(type, zone.setsOf(name)?.get(type)?.data ?? []));
  };
  const isNew = (set: DynamicSet): boolean => {
    const held = own.sets.get(setKey(set.name, set.type));
    return held === undefined || markOfSet(held) !== markOfSet(set);
  };
  const changed = [...records.sets.values()].filter((set) => isNew(set) && fits(set));
  const gone = [...own.sets].flatMap(([key, set]) => (records.sets.has(key) ? [] : { ...set, isForgotten: true }));
  if (changed.length + gone.length === 0) return undefined;
  const next = (zone.serial + 1) >>> 0 || 1;
  return { serial: isLaterSerial(records.serial, next) ? records.serial : next, sets: [...changed, ...gone] };
}

/** The names of an entry. */
export function namesOf({ sets }: JournalEntry): readonly Name[] {
  return [...new Map(sets.map(({ name }) => [nameKey(name), name])).values()];
}
