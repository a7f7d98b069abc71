/**
 * RRsets as the image holds them: a message's bytes, but for the pointers that only the question decides.
 */
import { CLASS } from '../wire/types.ts';
import { MAX_POINTER } from '../wire/limits.ts';
import { nameKey, type Name } from '../wire/name.ts';
import { nameOffsets } from '../wire/rdata.ts';
import { PATCH, RECORD_HEAD_OCTETS, RRSET } from './image.ts';
import { type Bytes, pushWords, reserveBytes, type Words } from './words.ts';

export type RrsetTables = { readonly rrsets: Words; readonly patches: Words; readonly bytes: Bytes };

/** How far into an RRset a pointer within it may lead: what the RRset's start can be without passing 14 bits. */
const LOCAL_REACH = MAX_POINTER >> 2;

/** A name in rdata is compressed against the apex, and against names before it in the RRset. */
type Suffixes = { readonly apex: Name; readonly apexKey: string; readonly local: Map<string, number> };

/**
 * Adds an RRset and returns its number. `rdata` is uncompressed, one or more records; where each record's data
 * starts within the RRset goes to `dataAt`. Undefined when it is larger than a message can hold.
 */
export function encodeRrset(
  tables: RrsetTables,
  type: number,
  ttlSeconds: number,
  rdata: readonly Uint8Array[],
  apex: Name,
  dataAt?: number[],
): number | undefined {
  const { bytes, rrsets, patches } = tables;
  const wireAt = bytes.length;
  const firstPatch = patches.length / PATCH.WORDS;
  const suffixes: Suffixes = { apex, apexKey: nameKey(apex), local: new Map() };
  for (const data of rdata) {
    const head = reserveBytes(bytes, RECORD_HEAD_OCTETS);
    const view = new DataView(bytes.array.buffer);
    view.setUint16(head, 0xc00c);
    view.setUint16(head + 2, type);
    view.setUint16(head + 4, CLASS.IN);
    view.setUint32(head + 6, ttlSeconds);
    dataAt?.push(bytes.length - wireAt);
    writeData(tables, wireAt, type, data, suffixes);
    new DataView(bytes.array.buffer).setUint16(head + 10, bytes.length - head - RECORD_HEAD_OCTETS);
  }
  const octets = bytes.length - wireAt;
  // A question and an OPT record need room beside it.
  if (octets > 0xffff - 512) return undefined;
  const patchCount = patches.length / PATCH.WORDS - firstPatch;
  return pushWords(rrsets, type, rdata.length, wireAt, octets, firstPatch, patchCount, 0, 0) / RRSET.WORDS;
}

function writeData(tables: RrsetTables, wireAt: number, type: number, data: Uint8Array, suffixes: Suffixes): void {
  let copied = 0;
  for (const at of nameOffsets(type, data)) {
    copy(tables.bytes, data, copied, at);
    copied = writeName(tables, wireAt, data, at, suffixes);
  }
  copy(tables.bytes, data, copied, data.length);
}

function copy(bytes: Bytes, data: Uint8Array, from: number, to: number): void {
  const at = reserveBytes(bytes, to - from);
  bytes.array.set(data.subarray(from, to), at);
}

/** Returns where the name ends in `data`. */
function writeName(
  { bytes, patches }: RrsetTables,
  wireAt: number,
  data: Uint8Array,
  start: number,
  { apex, apexKey, local }: Suffixes,
): number {
  let end = start;
  while ((data[end] ?? 0) !== 0) end += (data[end] ?? 0) + 1;
  end++;
  for (let at = start; at < end - 1; at += (data[at] ?? 0) + 1) {
    const rest = nameKey(data.subarray(at, end));
    // A pointer has two octets, the root one: nothing is won in the root zone.
    if (rest === apexKey && apex.length > 1) {
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
