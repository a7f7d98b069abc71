/**
 * Millions of records in columns: one arena of bytes and one typed array per field, so that a zone needs memory for its
 * bytes, but not for an object per record. Filled by the YAML and master-file readers, read by validation and the image
 * compiler.
 */
import type { Name } from '../../wire/name.ts';
import { get8 } from '../../wire/octets.ts';
import { soaMinimum } from '../../wire/rdata.ts';
import { TYPE } from '../../wire/types.ts';

export type RecordStore = {
  count: number;
  /** Owners (as written, absolute) and rdata (uncompressed wire form), back to back. */
  bytes: Uint8Array;
  used: number;
  ownerAt: Uint32Array;
  ownerOctets: Uint8Array;
  type: Uint16Array;
  ttlSeconds: Uint32Array;
  rdataAt: Uint32Array;
  rdataOctets: Uint16Array;
  /** Index into `files`, and the line number from 1, for diagnostics. */
  file: Uint16Array;
  line: Uint32Array;
  readonly files: string[];
};

export function createRecordStore(): RecordStore {
  const rows = 64;
  return {
    count: 0,
    bytes: new Uint8Array(4096),
    used: 0,
    ownerAt: new Uint32Array(rows),
    ownerOctets: new Uint8Array(rows),
    type: new Uint16Array(rows),
    ttlSeconds: new Uint32Array(rows),
    rdataAt: new Uint32Array(rows),
    rdataOctets: new Uint16Array(rows),
    file: new Uint16Array(rows),
    line: new Uint32Array(rows),
    files: [],
  };
}

/** Adds a file that records come from. Returns its number for `addRecord`. */
export function addFile(store: RecordStore, path: string): number {
  return store.files.push(path) - 1;
}

/** Adds a record; copies owner and rdata. An owner that is byte for byte that of the last record is stored once. */
export function addRecord(
  store: RecordStore,
  owner: Name,
  type: number,
  ttlSeconds: number,
  rdata: Uint8Array,
  file: number,
  line: number,
): void {
  const ownerAt = placeOwner(store, owner);
  addRow(store, ownerAt, owner.length, type, ttlSeconds, append(store, rdata), rdata.length, file, line);
}

/** Returns the position of an owner's octets: those of the last record's owner if they are equal, else a copy. */
export function placeOwner(store: RecordStore, owner: Name): number {
  return isLastOwner(store, owner, 0, owner.length) ? ownerStart(store, store.count - 1) : append(store, owner);
}

/** Adds a record whose owner and rdata are in the store's octets already. */
export function addRow(
  store: RecordStore,
  ownerAt: number,
  ownerOctets: number,
  type: number,
  ttlSeconds: number,
  rdataAt: number,
  rdataOctets: number,
  file: number,
  line: number,
): void {
  const row = store.count;
  if (row === store.type.length) resizeRows(store, row * 2);
  store.ownerAt[row] = ownerAt;
  store.ownerOctets[row] = ownerOctets;
  store.type[row] = type;
  store.ttlSeconds[row] = ttlSeconds;
  store.rdataAt[row] = rdataAt;
  store.rdataOctets[row] = rdataOctets;
  store.file[row] = file;
  store.line[row] = line;
  store.count = row + 1;
}

/** Makes room for this many octets after those in use, and returns all. A reader writes them before it adds the row. */
export function roomFor(store: RecordStore, octets: number): Uint8Array {
  const { bytes, used } = store;
  if (used + octets <= bytes.length) return bytes;
  const wider = new Uint8Array(Math.max(bytes.length * 2, used + octets));
  wider.set(bytes.subarray(0, used));
  store.bytes = wider;
  return wider;
}

/** Gives back the room for further records, half of the memory. Records can still be added. */
export function trimStore(store: RecordStore): void {
  resizeRows(store, Math.max(1, store.count));
  store.bytes = store.bytes.slice(0, store.used);
}

/** Whether the name at `bytes[from...]` is byte for byte the owner of the last record. */
export function isLastOwner(store: RecordStore, bytes: Uint8Array, from: number, octets: number): boolean {
  const last = store.count - 1;
  if (last < 0 || store.ownerOctets[last] !== octets) return false;
  const at = ownerStart(store, last);
  for (let i = 0; i < octets; i++) if (store.bytes[at + i] !== bytes[from + i]) return false;
  return true;
}

/** The columns of a record, by its row. */
export function recordType(store: RecordStore, row: number): number {
  return store.type[row] ?? 0;
}

export function recordTtl(store: RecordStore, row: number): number {
  return store.ttlSeconds[row] ?? 0;
}

/** The octets of the owner are `bytes[ownerStart]` and those after it, `ownerOctets` in all. */
export function ownerStart(store: RecordStore, row: number): number {
  return store.ownerAt[row] ?? 0;
}

export function ownerOctets(store: RecordStore, row: number): number {
  return get8(store.ownerOctets, row);
}

export function rdataStart(store: RecordStore, row: number): number {
  return store.rdataAt[row] ?? 0;
}

export function rdataOctets(store: RecordStore, row: number): number {
  return store.rdataOctets[row] ?? 0;
}

/** The path of the file, and the line in it, from 1. */
export function recordFile(store: RecordStore, row: number): string {
  return store.files[store.file[row] ?? 0] ?? '';
}

export function recordLine(store: RecordStore, row: number): number {
  return store.line[row] ?? 1;
}

export function ownerOf(store: RecordStore, row: number): Name {
  const at = ownerStart(store, row);
  return store.bytes.subarray(at, at + ownerOctets(store, row));
}

export function rdataOf(store: RecordStore, row: number): Uint8Array {
  const at = rdataStart(store, row);
  return store.bytes.subarray(at, at + rdataOctets(store, row));
}

function append(store: RecordStore, bytes: Uint8Array): number {
  const at = store.used;
  roomFor(store, bytes.length).set(bytes, at);
  store.used = at + bytes.length;
  return at;
}

function resizeRows(store: RecordStore, rows: number): void {
  const resized = <T extends Uint8Array | Uint16Array | Uint32Array>(make: new (rows: number) => T, old: T): T => {
    const out = new make(rows);
    out.set(old.subarray(0, rows));
    return out;
  };
  store.ownerAt = resized(Uint32Array, store.ownerAt);
  store.ownerOctets = resized(Uint8Array, store.ownerOctets);
  store.type = resized(Uint16Array, store.type);
  store.ttlSeconds = resized(Uint32Array, store.ttlSeconds);
  store.rdataAt = resized(Uint32Array, store.rdataAt);
  store.rdataOctets = resized(Uint16Array, store.rdataOctets);
  store.file = resized(Uint16Array, store.file);
  store.line = resized(Uint32Array, store.line);
}

/** The row of the SOA record, or -1. */
export function findSoaRow(store: RecordStore): number {
  for (let row = 0; row < store.count; row++) if (recordType(store, row) === TYPE.SOA) return row;
  return -1;
}

/**
 * The TTL of negative answers, by the row of the SOA (-1: 0): the lesser of its TTL and its MINIMUM (RFC 2308 3, RFC
 * 9077 3).
 */
export function negativeTtl(store: RecordStore, row: number): number {
  return row < 0 ? 0 : Math.min(recordTtl(store, row), soaMinimum(rdataOf(store, row)));
}
