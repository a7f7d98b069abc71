/**
 * Reads dynamic updates (RFC 2136 2): the records of the three sections after the zone, with uncompressed data. It
 * allocates memory: updates are rare.
 */
import { HEADER_OCTETS, MAX_NAME_OCTETS } from './limits.ts';
import type { Name } from './name.ts';
import { get16, get8 } from './octets.ts';
import { layouts } from './rdata/table.ts';
import { formatRdata } from './rdata.ts';
import { CLASS, TYPE } from './types.ts';

/** A record of a message. */
export type UpdateRecord = {
  /** As written, without compression. */
  readonly name: Name;
  readonly type: number;
  readonly class: number;
  readonly ttlSeconds: number;
  /** Without compression. */
  readonly data: Uint8Array;
};

export type UpdateMessage = {
  readonly zone: { readonly name: Name; readonly type: number; readonly class: number };
  readonly prerequisites: readonly UpdateRecord[];
  readonly updates: readonly UpdateRecord[];
};

/** Reads an update; undefined if it is malformed. The additional section is skipped. */
export function readUpdate(message: Uint8Array): UpdateMessage | undefined {
  if (message.length < HEADER_OCTETS || get16(message, 4) !== 1) return undefined;
  const zone = expandName(message, HEADER_OCTETS, message.length);
  if (!zone || zone.next + 4 > message.length) return undefined;
  const cursor = { at: zone.next + 4 };
  const prerequisites = messageRecords(message, cursor, get16(message, 6));
  const updates = prerequisites && messageRecords(message, cursor, get16(message, 8));
  if (!updates || [...prerequisites, ...updates].some(isMalformed)) return undefined;
  const [type, zoneClass] = [get16(message, zone.next), get16(message, zone.next + 2)];
  return { zone: { name: zone.name, type, class: zoneClass }, prerequisites, updates };
}

/** Whether a record has data that its type cannot have. */
function isMalformed({ type, class: of, data }: UpdateRecord): boolean {
  return (of === CLASS.IN || of === CLASS.NONE) && data.length > 0 && !isValidData(type, data);
}

/** Reads `count` records from `cursor.at`, and moves it behind them; undefined if they are malformed. */
export function messageRecords(
  message: Uint8Array,
  cursor: { at: number },
  count: number,
): readonly UpdateRecord[] | undefined {
  const records: UpdateRecord[] = [];
  for (let left = count; left > 0; left--) {
    const owner = expandName(message, cursor.at, message.length);
    if (!owner || owner.next + 10 > message.length) return undefined;
    const at = owner.next;
    const end = at + 10 + get16(message, at + 8);
    if (end > message.length) return undefined;
    const type = get16(message, at);
    const data = end === at + 10 ? new Uint8Array(0) : expandData(message, type, at + 10, end);
    if (!data) return undefined;
    const ttlSeconds = get16(message, at + 4) * 0x1_0000 + get16(message, at + 6);
    records.push({ name: owner.name, type, class: get16(message, at + 2), ttlSeconds, data });
    cursor.at = end;
  }
  return records;
}

/** Whether the octets are data of the type. Data of unknown types is always valid (RFC 3597). */
export function isValidData(type: number, data: Uint8Array): boolean {
  return data.length > 0 && (!layouts.has(type) || !formatRdata(type, data).startsWith('\\#'));
}

/** The name at `start` without compression, and the position after it; undefined if it is malformed. */
function expandName(
  message: Uint8Array,
  start: number,
  end: number,
): { readonly name: Name; readonly next: number } | undefined {
  const name = new Uint8Array(MAX_NAME_OCTETS);
  let [at, octets, next, limit] = [start, 0, -1, end];
  for (;;) {
    if (at >= limit) return undefined;
    const length = get8(message, at);
    if (length >= 0xc0) {
      if (at + 2 > limit) return undefined;
      const target = get16(message, at) & 0x3fff;
      if (next < 0) next = at + 2;
      // RFC 1035 4.1.4: a pointer points backwards. So there is no loop.
      if (target >= at) return undefined;
      limit = at;
      at = target;
      continue;
    }
    if (length > 63 || octets + length + 1 > MAX_NAME_OCTETS || at + length + 1 > end) return undefined;
    name.set(message.subarray(at, at + length + 1), octets);
    octets += length + 1;
    at += length + 1;
    if (length === 0) return { name: name.slice(0, octets), next: next < 0 ? at : next };
  }
}

/** The data with its names expanded; undefined if a name is malformed. */
function expandData(message: Uint8Array, type: number, start: number, end: number): Uint8Array | undefined {
  const names = layouts.get(type)?.names;
  if (!names) return message.slice(start, end);
  const parts: Uint8Array[] = [];
  let at = start + names.at;
  if (type === TYPE.NAPTR) {
    at = start + 4;
    for (let strings = 0; strings < 3; strings++) at += get8(message, at) + 1;
  }
  if (at >= end) return undefined;
  parts.push(message.subarray(start, at));
  for (let left = names.count; left > 0; left--) {
    const found = expandName(message, at, end);
    if (!found || found.next > end) return undefined;
    parts.push(found.name);
    at = found.next;
  }
  parts.push(message.subarray(at, end));
  return Uint8Array.from(Buffer.concat(parts));
}
