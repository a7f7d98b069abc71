/**
 * Records that an answering thread has signed, by the name that they are for. Each thread has its own cache of one
 * size; a new entry replaces another one. PACKET PATH, except `keepSigned`.
 *
 *     slot     0  i32 zone       4  the tag       40  i32 octets of the name    44  i32 octets    48  i32 records
 *              64  the name     320  the records in wire form
 */
import type { OnlineSigner } from '../../dnssec/online-signer.ts';
import { hashWord } from '../../wire/name-hash.ts';
import { copyOctets } from '../../wire/octets.ts';
import type { Search } from '../../zones/image/find-node.ts';

export const TAG_WORDS = 9;
const WORD = { ZONE: 0, TAG: 1, NAME_OCTETS: 10, OCTETS: 11, RECORDS: 12, SLOT: 256 } as const;
/** A power of 2: 8 MiB for each thread that signs. Memory of the system is used only for slots that were written. */
const SLOTS = 8192;
const NAME_AT = 64;
const WIRE_AT = 320;
const MOST_OCTETS = WORD.SLOT * 4 - WIRE_AT;

export type OnlineCache = {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  /** What is looked for beside the name: which records, and for a service which VIPs. */
  readonly tag: Int32Array;
  /** The records that were found or made last: `wire[at...]`. */
  wire: Uint8Array;
  at: number;
  octets: number;
  records: number;
};

/** For the zones with compact denial. */
export type Online = {
  /** By the zone's row. */
  readonly signers: ReadonlyMap<number, OnlineSigner>;
  readonly cache: OnlineCache;
  /** The start of the present second, and the signatures that may still be made in it. */
  sinceMs: number;
  left: number;
};

export function createOnlineCache(): OnlineCache {
  const memory = new ArrayBuffer(SLOTS * WORD.SLOT * 4);
  const bytes = new Uint8Array(memory);
  const tag = new Int32Array(TAG_WORDS);
  return { words: new Int32Array(memory), bytes, tag, wire: bytes, at: 0, octets: 0, records: 0 };
}

function slotOf({ tag }: OnlineCache, zone: number, { name, nameOctets, nameSum }: Search): number {
  let hash = hashWord(nameSum, zone ^ (nameOctets << 24) ^ (name[0] ?? 0));
  for (let i = 0; i < TAG_WORDS; i++) hash = hashWord(hash, tag[i] ?? 0);
  return (hash & (SLOTS - 1)) * WORD.SLOT;
}

/** Finds the records for the name of `search` and the tag. */
export function findSigned(cache: OnlineCache, zone: number, search: Search): boolean {
  const { words, bytes, tag } = cache;
  const slot = slotOf(cache, zone, search);
  if (words[slot + WORD.ZONE] !== zone || words[slot + WORD.NAME_OCTETS] !== search.nameOctets) return false;
  for (let i = 0; i < TAG_WORDS; i++) if (words[slot + WORD.TAG + i] !== tag[i]) return false;
  const nameAt = slot * 4 + NAME_AT;
  for (let i = 0; i < search.nameOctets; i++) if (bytes[nameAt + i] !== search.name[i]) return false;
  cache.wire = bytes;
  cache.at = slot * 4 + WIRE_AT;
  cache.octets = words[slot + WORD.OCTETS] ?? 0;
  cache.records = words[slot + WORD.RECORDS] ?? 0;
  return true;
}

/** Keeps the records of the name and the tag, unless they are too long. They count as found in any case. */
export function keepSigned(cache: OnlineCache, zone: number, search: Search, wire: Uint8Array, records: number): void {
  const { words, bytes, tag } = cache;
  cache.wire = wire;
  cache.at = 0;
  cache.octets = wire.length;
  cache.records = records;
  if (wire.length > MOST_OCTETS) return;
  const slot = slotOf(cache, zone, search);
  words[slot + WORD.ZONE] = zone;
  words.set(tag, slot + WORD.TAG);
  words[slot + WORD.NAME_OCTETS] = search.nameOctets;
  words[slot + WORD.OCTETS] = wire.length;
  words[slot + WORD.RECORDS] = records;
  copyOctets(search.name, 0, search.nameOctets, bytes, slot * 4 + NAME_AT);
  bytes.set(wire, slot * 4 + WIRE_AT);
}
