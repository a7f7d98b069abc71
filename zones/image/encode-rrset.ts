/**
 * Encodes RRsets for the image: as in a message, except for the pointers that depend on the question.
 */
import { MAX_NAME_OCTETS, MAX_POINTER } from '../../wire/limits.ts';
import { nameKey, type Name } from '../../wire/name.ts';
import { put16 } from '../../wire/octets.ts';
import { nameOffsets } from '../../wire/rdata.ts';
import { mostRrsetOctets } from '../../wire/response.ts';
import { CLASS } from '../../wire/types.ts';
import { sameFolded } from '../read/name-table.ts';
import { rdataOctets, rdataStart, recordTtl, recordType, type RecordStore } from '../read/record-store.ts';
import { type Bytes, pushWords, reserveBytes, reserveWords, type Words } from './growable.ts';
import { PATCH, RECORD_HEAD_OCTETS, ROW_WORDS, RRSET } from './image.ts';

export type RrsetTables = { readonly rrsets: Words; readonly patches: Words; readonly bytes: Bytes };

/** The largest offset in an RRset that a pointer within it may have, so that with the RRset's start it fits 14 bits. */
const LOCAL_REACH = MAX_POINTER >> 2;

/** Names before a name in the RRset: their suffixes, and the offsets of these. Undefined: the RRset has one name. */
type Suffixes = Map<string, number> | undefined;

/**
 * Adds an RRset and returns its number. `rdata` is uncompressed, one or more records. The offset of each record's data
 * within the RRset is added to `dataAt`. Returns undefined if the RRset does not fit a message whose question has a
 * name of `nameOctets`.
 */
export function encodeRrset(
  tables: RrsetTables,
  type: number,
  ttlSeconds: number,
  rdata: readonly Uint8Array[],
  apex: Name,
  dataAt?: number[],
  nameOctets = MAX_NAME_OCTETS,
): number | undefined {
  const { bytes, rrsets, patches } = tables;
  const wireAt = bytes.length;
  const firstPatch = patches.length / PATCH.WORDS;
  let suffixes: Suffixes;
  for (const data of rdata) {
    const head = reserveBytes(bytes, RECORD_HEAD_OCTETS);
    writeHead(bytes.array, head, type, ttlSeconds);
    dataAt?.push(bytes.length - wireAt);
    let copied = 0;
    const offsets = nameOffsets(type, data);
    if (rdata.length + offsets.length > 2) suffixes ??= new Map();
    for (const at of offsets) {
      copy(bytes, data, copied, at);
      copied = writeName(tables, wireAt, data, at, apex, suffixes);
    }
    copy(bytes, data, copied, data.length);
    put16(bytes.array, head + 10, bytes.length - head - RECORD_HEAD_OCTETS);
  }
  const octets = bytes.length - wireAt;
  if (octets > mostRrsetOctets(nameOctets)) return undefined;
  const patchCount = patches.length / PATCH.WORDS - firstPatch;
  return pushWords(rrsets, type, rdata.length, wireAt, octets, firstPatch, patchCount, 0, 0) / ROW_WORDS;
}

/**
 * Adds the RRset of one record of a plain type (`isPlainType`) and returns its number, or undefined if it is too large.
 * Most RRsets are such. They are written by `writePlain` when all rows have their place.
 */
export function addPlainRrset(
  { rrsets, patches }: RrsetTables,
  store: RecordStore,
  record: number,
  nameOctets: number,
): number | undefined {
  const octets = RECORD_HEAD_OCTETS + rdataOctets(store, record);
  if (octets > mostRrsetOctets(nameOctets)) return undefined;
  const at = reserveWords(rrsets, ROW_WORDS);
  const { array } = rrsets;
  array[at + RRSET.TYPE] = recordType(store, record);
  array[at + RRSET.COUNT] = 1;
  array[at + RRSET.WIRE_AT] = ~record;
  array[at + RRSET.WIRE_OCTETS] = octets;
  array[at + RRSET.FIRST_PATCH] = patches.length / PATCH.WORDS;
  return at / ROW_WORDS;
}

/** Writes the RRset of `addPlainRrset` to `out[at...]`. */
export function writePlain(store: RecordStore, record: number, out: Uint8Array, at: number): void {
  const { bytes } = store;
  const from = rdataStart(store, record);
  const octets = rdataOctets(store, record);
  writeHead(out, at, recordType(store, record), recordTtl(store, record));
  put16(out, at + 10, octets);
  const to = at + RECORD_HEAD_OCTETS;
  for (let i = 0; i < octets; i++) out[to + i] = bytes[from + i] ?? 0;
}

/** Writes the head of a record except RDLENGTH. */
function writeHead(out: Uint8Array, at: number, type: number, ttlSeconds: number): void {
  put16(out, at, 0xc00c);
  put16(out, at + 2, type);
  put16(out, at + 4, CLASS.IN);
  put16(out, at + 6, ttlSeconds >>> 16);
  put16(out, at + 8, ttlSeconds & 0xffff);
}

function copy(bytes: Bytes, data: Uint8Array, from: number, to: number): void {
  const at = reserveBytes(bytes, to - from) - from;
  for (let i = from; i < to; i++) bytes.array[at + i] = data[i] ?? 0;
}

/**
 * Writes a name, compressed against the apex and against names before it in the RRset. Returns the offset in `data`
 * after the name.
 */
function writeName(
  { bytes, patches }: RrsetTables,
  wireAt: number,
  data: Uint8Array,
  start: number,
  apex: Name,
  suffixes: Suffixes,
): number {
  let end = start;
  while ((data[end] ?? 0) !== 0) end += (data[end] ?? 0) + 1;
  end++;
  for (let at = start; at < end - 1; at += (data[at] ?? 0) + 1) {
    // A pointer has two octets, the root one: in the root zone a pointer saves nothing.
    if (end - at === apex.length && sameFolded(data, at, apex, 0, apex.length)) {
      pushWords(patches, reserveBytes(bytes, 2) - wireAt, PATCH.APEX);
      return end;
    }
    if (suffixes) {
      const rest = nameKey(data.subarray(at, end));
      const known = suffixes.get(rest);
      if (known !== undefined) {
        pushWords(patches, reserveBytes(bytes, 2) - wireAt, PATCH.LOCAL | known);
        return end;
      }
      const here = bytes.length - wireAt;
      if (here < LOCAL_REACH) suffixes.set(rest, here);
    }
    copy(bytes, data, at, at + (data[at] ?? 0) + 1);
  }
  copy(bytes, data, end - 1, end);
  return end;
}
