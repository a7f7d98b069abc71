/**
 * Encodes RRsets for the image: as in a message, except for the pointers that depend on the question.
 */
import { MAX_NAME_OCTETS, MAX_POINTER } from '../../wire/limits.ts';
import { nameKey, type Name } from '../../wire/name.ts';
import { put16 } from '../../wire/octets.ts';
import { nameOffsets } from '../../wire/rdata.ts';
import { mostRrsetOctets } from '../../wire/response.ts';
import { CLASS } from '../../wire/types.ts';
import { type Bytes, pushWords, reserveBytes, type Words } from './growable.ts';
import { PATCH, RECORD_HEAD_OCTETS, ROW_WORDS } from './image.ts';

export type RrsetTables = { readonly rrsets: Words; readonly patches: Words; readonly bytes: Bytes };

/** The largest offset in an RRset that a pointer within it may have, so that with the RRset's start it fits 14 bits. */
const LOCAL_REACH = MAX_POINTER >> 2;

/** A name in rdata is compressed against the apex, and against names before it in the RRset. */
type Suffixes = { readonly apexOctets: number; readonly apexKey: string; readonly local: Map<string, number> };

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
  let suffixes: Suffixes | undefined;
  for (const data of rdata) {
    const head = reserveBytes(bytes, RECORD_HEAD_OCTETS);
    put16(bytes.array, head, 0xc00c);
    put16(bytes.array, head + 2, type);
    put16(bytes.array, head + 4, CLASS.IN);
    put16(bytes.array, head + 6, ttlSeconds >>> 16);
    put16(bytes.array, head + 8, ttlSeconds & 0xffff);
    dataAt?.push(bytes.length - wireAt);
    let copied = 0;
    for (const at of nameOffsets(type, data)) {
      // Created at the first name: most records contain none.
      suffixes ??= { apexOctets: apex.length, apexKey: nameKey(apex), local: new Map() };
      copy(bytes, data, copied, at);
      copied = writeName(tables, wireAt, data, at, suffixes);
    }
    copy(bytes, data, copied, data.length);
    put16(bytes.array, head + 10, bytes.length - head - RECORD_HEAD_OCTETS);
  }
  const octets = bytes.length - wireAt;
  if (octets > mostRrsetOctets(nameOctets)) return undefined;
  const patchCount = patches.length / PATCH.WORDS - firstPatch;
  return pushWords(rrsets, type, rdata.length, wireAt, octets, firstPatch, patchCount, 0, 0) / ROW_WORDS;
}

function copy(bytes: Bytes, data: Uint8Array, from: number, to: number): void {
  const at = reserveBytes(bytes, to - from) - from;
  for (let i = from; i < to; i++) bytes.array[at + i] = data[i] ?? 0;
}

/** Returns the offset in `data` after the name. */
function writeName(
  { bytes, patches }: RrsetTables,
  wireAt: number,
  data: Uint8Array,
  start: number,
  { apexOctets, apexKey, local }: Suffixes,
): number {
  let end = start;
  while ((data[end] ?? 0) !== 0) end += (data[end] ?? 0) + 1;
  end++;
  for (let at = start; at < end - 1; at += (data[at] ?? 0) + 1) {
    const rest = nameKey(data.subarray(at, end));
    // A pointer has two octets, the root one: in the root zone a pointer saves nothing.
    if (rest === apexKey && apexOctets > 1) {
      pushWords(patches, reserveBytes(bytes, 2) - wireAt, PATCH.APEX);
      return end;
    }
    const known = local.get(rest);
    if (known !== undefined) {
      pushWords(patches, reserveBytes(bytes, 2) - wireAt, PATCH.LOCAL | known);
      return end;
    }
    const here = bytes.length - wireAt;
    if (here < LOCAL_REACH) local.set(rest, here);
    copy(bytes, data, at, at + (data[at] ?? 0) + 1);
  }
  copy(bytes, data, end - 1, end);
  return end;
}
