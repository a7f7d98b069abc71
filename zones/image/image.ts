/**
 * The image: one generation's zones as answering threads read them. The compile thread writes it; then it is only read.
 *
 * Zones are in an arena (arena.ts), each as a part that later generations share while the zone does not change. The
 * arena is a sequence of rows of 8 words (32 octets). Every reference within a part is relative to the row that holds
 * it, so a part may be copied to any other place.
 *
 *     zone        4 rows        ZONE, then the first HEAD; the row's number is the number of the zone
 *     answers     row each      RRsets of the zone's services, in a fixed order (ServiceAnswers in compile-zone.ts)
 *     nodes       row each      one row per existing name, with empty non-terminals (NODE), then one per RRset of it
 *     others      row each      RRsets without a node (RRSET)
 *     table       Int32 x 2n    open addressing: name hash, rows from the zone's row to the node (0: free), negative:
 *                               to the newest CHANGE of the name
 *     chain       Int32 x 1     the nodes with an NSEC in canonical order: rows from the zone's row. Only signed zones
 *     patches     Int32 x 2     places in a copied RRset where a pointer must be written (PATCH)
 *     extras      Int32 x 2     additional section: rows from here to the RRset, and the offset of its owner in the
 *                               RRset that names it
 *     pointers    Int32 x 2     sorted: the hash of a name of this zone that an RRset points to, rows from the zone's
 *                               row to the node with that RRset. Only zones that can be changed in place
 *     bytes       Uint8         names in canonical wire form, RRsets in wire form
 *     spare       rows          room for changes in place (change-zone.ts)
 *
 * Changes in place: every version of a zone has a HEAD, and `ZONE.HEAD` leads to that of the version in force. A thread
 * reads it once per search. Nodes and RRsets are never written again: a changed name gets another node, and its entry
 * in the table leads to a CHANGE with the version from which that node counts, and to the changes before it.
 *
 * A generation is a root in the same arena: ROOT_ROW, then an open-addressing table of its zones (ZONE_ENTRY). What
 * steering needs is in a second memory, which changes only with services, regions or databases:
 *
 *     services, vips, regions, program, orderings, maps, mapWords, otherOf, others: steering/plan.ts
 *     ownNetworks Int32         the tree of `geo.networks`: geo/own-networks.ts
 *     aliases     Int32 x 2     services of other zones that aliases lead to: the service, and rows to add to the
 *                               columns of its VIPs for the same RRsets in the zone of the alias
 *
 * An RRset in wire form has the bytes of a message except for its names. Every record starts with C00C, a pointer to
 * the question's name, which is the owner. A name in its data that ends with the zone's apex ends with a pointer
 * instead, whose place is in the patches: the apex is part of the question's name, so the pointer is known once the
 * question is.
 */
import type { SteeringPlan } from '../../steering/plan.ts';
import { viewPlan } from '../../steering/plan.ts';

export const ROW_WORDS = 8;
export const ROW_OCTETS = ROW_WORDS * 4;
const PAIRS_A_ROW = ROW_WORDS / 2;

export const ROOT_MAGIC = 0x50_48_52_32;
export const PLAN_MAGIC = 0x50_48_52_50;

/** Words at the start of a root; its table follows in the next row. */
export const ROOT_ROW = { MAGIC: 0, MAX_APEX_LABELS: 1, TABLE_ENTRIES: 2 } as const;

/** Columns of an entry in the table of zones. */
export const ZONE_ENTRY = {
  /** Of the apex. */
  HASH: 0,
  /** Number of the zone; 0 where the entry is free. */
  ZONE: 1,
  /** Number of the zone's first service. A node has the number within the zone. */
  FIRST_SERVICE: 2,
  /** Place of the zone in the catalog of the generation. */
  PLACE: 3,
  /** Row in the plan's `aliases` of the first service of another zone that an alias of the zone leads to. */
  FIRST_ALIAS: 4,
  /** An entry does not cross a cache line. */
  WORDS: 8,
} as const;

/** Sections of the plan's memory. */
export const SECTION = {
  SERVICES: 0,
  VIPS: 1,
  REGIONS: 2,
  PROGRAM: 3,
  ORDERINGS: 4,
  MAPS: 5,
  MAP_WORDS: 6,
  OWN_NETWORKS: 7,
  OTHER_OF: 8,
  OTHERS: 9,
  ALIASES: 10,
} as const;
export const SECTION_COUNT = 11;
/** Magic, then one (offset, length) pair per section. */
export const HEADER_WORDS = 32;
export const HEADER = { MAGIC: 0, SECTIONS: 2 } as const;

/** Columns of a node row. */
export const NODE = {
  /** Octets from the start of the row. */
  NAME_AT: 0,
  /** Octets of the name in bits 0 to 7, NODE_FLAG above. */
  NAME_AND_FLAGS: 1,
  /** Rows from here to the node's NSEC; 0 if it has none. */
  NSEC: 2,
  /** While a zone is compiled. In the image, RRsets follow their node. */
  FIRST_RRSET: 3,
  /**
   * In the image: the first version of the zone that has another node for the name, or none; 0 if there is none yet.
   */
  REPLACED: 3,
  RRSET_COUNT: 4,
  /** Rows from here to the node `*` right below; 0 if there is none (RFC 4592). */
  WILDCARD: 5,
  /**
   * Number of the service within the zone; -1 if there is none; -2 - n for an alias to the nth service of other zones
   * that aliases of the zone lead to.
   */
  SERVICE: 6,
  /** Number of the names one label below. Queries do not need it: it is changed in place. */
  CHILDREN: 7,
} as const;

export const NODE_FLAG = {
  APEX: 0x100,
  /** A delegation: NS below the apex. */
  CUT: 0x200,
  CNAME: 0x400,
  DNAME: 0x800,
  /** The name has an ALIAS: its addresses are those of another name. */
  ALIAS: 0x1000,
  /** The addresses of its ALIAS are not known: queries for them fail. */
  UNRESOLVED: 0x2000,
} as const;

/** Columns of an RRset row. */
export const RRSET = {
  /**
   * The type. Rows that only signed zones have are a pair of types, so that no search for a type finds them: signatures
   * (`pairOf(TYPE.RRSIG, covered)`; `setPair` of signed-rows.ts for steered sets), and an NSEC without the bit of a
   * type (`pairOf(TYPE.NSEC, type)`).
   */
  TYPE: 0,
  /** Number of records, and SIGNED. */
  COUNT: 1,
  /** Octets from the start of the row. */
  WIRE_AT: 2,
  WIRE_OCTETS: 3,
  /** Pairs of words from the start of the row. */
  FIRST_PATCH: 4,
  PATCH_COUNT: 5,
  /** Pairs of words from the start of the row. */
  FIRST_EXTRA: 6,
  /** In a row of signatures of a steered set instead: which set it is (signed-rows.ts). */
  SET_KEY: 6,
  EXTRA_COUNT: 7,
} as const;

/** In COUNT: the next row has the signatures of this RRset. */
export const SIGNED = 0x1_0000;
export const COUNT_MASK = 0xffff;

/** See RRSET.TYPE. */
export function pairOf(type: number, of: number): number {
  return type | (of << 16);
}

/** Columns of a zone's rows. The first two rows, which queries need, share a cache line. */
export const ZONE = {
  /** Rows from here to the HEAD in force. It is written last when a zone is changed in place. */
  HEAD: 0,
  APEX_OCTETS: 1,
  /** Words from the start of the row. */
  TABLE_AT: 2,
  /** Number of rows of the table minus 1. */
  TABLE_MASK: 3,
  /** Rows from here to the end of the nodes. */
  NODES_END: 4,
  /** Words from the start of the row. */
  CHAIN_AT: 5,
  /** Number of nodes with an NSEC; 0 if the zone is not signed. */
  CHAIN_COUNT: 6,
  /** 1: names that do not exist are denied by signatures of the answering thread (RFC 9824). */
  COMPACT: 7,
  /** The first HEAD. */
  FIRST_HEAD: 8,
  /** Octets in use: the spare room comes after them. */
  OCTETS: 16,
  /** Octets with the spare room; 0: the zone cannot be changed in place. */
  ALL_OCTETS: 17,
  /** Entries of the table in use. */
  TABLE_USED: 18,
  /** Words from the start of the row. */
  POINTERS_AT: 19,
  POINTER_COUNT: 20,
  /** 1: an RRset may point to a name of the zone that has no node, so that a wildcard may stand for it. */
  LOOSE: 21,
  WORDS: 32,
} as const;

/** Columns of the head of a version. */
export const HEAD = {
  /** Rows from here. */
  APEX_NODE: 0,
  /**
   * The SOA RRset with the TTL of negative answers: the lesser of its TTL and MINIMUM (RFC 2308 3). Rows from here, or
   * 0.
   */
  NEGATIVE_SOA: 1,
  SERIAL: 2,
  /** Number of labels of the deepest name: longer suffixes are not searched for. */
  MAX_LABELS: 3,
  /** 0 as compiled. Each change in place adds 1. */
  VERSION: 4,
  /** Rows from here to the CHANGE of the name that was changed first in this version or before; 0 if there is none. */
  CHANGES: 5,
} as const;

/** Columns of a change of a name: its node from a version on. Name and octets are where a node has them. */
export const CHANGE = {
  NAME_AT: NODE.NAME_AT,
  NAME_OCTETS: NODE.NAME_AND_FLAGS,
  SINCE: 2,
  /** Rows from here; 0: the name does not exist from then on. */
  NODE: 3,
  /** Rows from here to the change before; 0 if the name had no node before. */
  OLDER: 4,
  /** In the oldest change of a name: its entry in the table. */
  ENTRY: 5,
  /** In the oldest change of a name: rows from here to that of another name; 0 if there is none. */
  NEXT: 6,
} as const;

/** A column of a node's row. The engine inlines these readers in the packet path. */
export function nodeWord(words: Int32Array, node: number, column: number): number {
  return words[node * ROW_WORDS + column] ?? -1;
}

/** A column of an RRset's row. */
export function rrsetWord(words: Int32Array, rrset: number, column: number): number {
  return words[rrset * ROW_WORDS + column] ?? 0;
}

/** A column of a zone's rows. */
export function zoneWord(words: Int32Array, zone: number, column: number): number {
  return words[zone * ROW_WORDS + column] ?? 0;
}

/** Position of a node's name in the octets. */
export function nameAtOf(words: Int32Array, node: number): number {
  return node * ROW_OCTETS + nodeWord(words, node, NODE.NAME_AT);
}

/** Number of a node's first RRset; the others follow it. */
export function firstRrsetOf(node: number): number {
  return node + 1;
}

/** Position of an RRset in the octets. */
export function wireAtOf(words: Int32Array, rrset: number): number {
  return rrset * ROW_OCTETS + rrsetWord(words, rrset, RRSET.WIRE_AT);
}

/** Number of an RRset's first patch: a pair of words. */
export function firstPatchOf(words: Int32Array, rrset: number): number {
  return rrset * PAIRS_A_ROW + rrsetWord(words, rrset, RRSET.FIRST_PATCH);
}

/** Offset of a patch in its RRset. */
export function patchOffset(words: Int32Array, patch: number): number {
  return words[patch * PATCH.WORDS] ?? 0;
}

/** What a patch points to. */
export function patchKind(words: Int32Array, patch: number): number {
  return words[patch * PATCH.WORDS + 1] ?? 0;
}

/** Number of an RRset's first extra: a pair of words. */
export function firstExtraOf(words: Int32Array, rrset: number): number {
  return rrset * PAIRS_A_ROW + rrsetWord(words, rrset, RRSET.FIRST_EXTRA);
}

/** Number of the RRset that an extra adds. */
export function extraRrset(words: Int32Array, extra: number): number {
  return ((extra / PAIRS_A_ROW) | 0) + (words[extra * 2] ?? 0);
}

/** Offset of its owner in the RRset that names it. */
export function extraOwnerAt(words: Int32Array, extra: number): number {
  return words[extra * 2 + 1] ?? 0;
}

/** The head in force of a zone. */
export function headOf(words: Int32Array, zone: number): number {
  return zone + zoneWord(words, zone, ZONE.HEAD);
}

/** A column of a head's row. */
export function headWord(words: Int32Array, head: number, column: number): number {
  return words[head * ROW_WORDS + column] ?? 0;
}

/** Node of the apex in a version of the zone. */
export function apexAt(words: Int32Array, head: number): number {
  return head + headWord(words, head, HEAD.APEX_NODE);
}

/** Node of a zone's apex. */
export function apexOf(words: Int32Array, zone: number): number {
  return apexAt(words, headOf(words, zone));
}

/** The node of a name in a version, by its newest change; -1 if the name does not exist in it. */
export function nodeIn(words: Int32Array, change: number, version: number): number {
  while (headWord(words, change, CHANGE.SINCE) > version) {
    const older = headWord(words, change, CHANGE.OLDER);
    if (older === 0) return -1;
    change += older;
  }
  const node = headWord(words, change, CHANGE.NODE);
  return node === 0 ? -1 : change + node;
}

/** A patch is (offset in the RRset, kind | value): the place of the pointer's two octets, and its target. */
export const PATCH = {
  /** To the zone's apex in the question's name, or in the target of a CNAME. */
  APEX: 0,
  /** To an offset in this RRset, in the low 16 bits. */
  LOCAL: 0x1_0000,
  WORDS: 2,
} as const;

/** Octets before a record's data: owner pointer, type, class, TTL, RDLENGTH. */
export const RECORD_HEAD_OCTETS = 12;

/** The memory of an image: shared with other generations, except for the root. */
export type ImageMemory = {
  readonly arena: SharedArrayBuffer;
  /** Row of the root. */
  readonly root: number;
  readonly plan: SharedArrayBuffer;
};

export type Image = {
  /** The arena in words: rows, tables, patches and extras. */
  readonly words: Int32Array;
  /** The same memory in octets. */
  readonly bytes: Uint8Array;
  /** The same octets, to copy several at once. */
  readonly bytesView: DataView;
  /** The table of the generation's zones: ZONE_ENTRY. */
  readonly zones: Int32Array;
  /** Number of its entries minus 1. */
  readonly zoneMask: number;
  /** Number of labels of the deepest apex: longer suffixes are no apex. */
  readonly maxApexLabels: number;
  readonly plan: SteeringPlan;
  readonly ownNetworks: Int32Array;
};

/** glibc puts a header of 16 octets before a large block, so the rows start here to begin with a cache line. */
export const ARENA_START_OCTETS = 48;

/** Typed views of an image and of the atlas (geo/atlas.ts) that its steering maps were compiled for. */
export function viewImage({ arena, root, plan }: ImageMemory, atlas: SharedArrayBuffer): Image {
  const isArena = arena.byteLength >= ARENA_START_OCTETS + (root + 1) * ROW_OCTETS;
  const words = new Int32Array(arena, isArena ? ARENA_START_OCTETS : 0, isArena ? undefined : 0);
  if (zoneWord(words, root, ROOT_ROW.MAGIC) !== ROOT_MAGIC) throw new Error('this memory is not an image');
  const entries = zoneWord(words, root, ROOT_ROW.TABLE_ENTRIES);
  const tableAt = (root + 1) * ROW_WORDS;
  return {
    words,
    bytes: new Uint8Array(arena, ARENA_START_OCTETS),
    bytesView: new DataView(arena, ARENA_START_OCTETS),
    zones: words.subarray(tableAt, tableAt + entries * ZONE_ENTRY.WORDS),
    zoneMask: entries - 1,
    maxApexLabels: zoneWord(words, root, ROOT_ROW.MAX_APEX_LABELS),
    ...viewPlanMemory(plan, atlas),
  };
}

/** A section of a plan (SECTION). */
export function planSection(memory: SharedArrayBuffer, section: number): Int32Array {
  const header = new Int32Array(memory, 0, HEADER_WORDS);
  if (header[HEADER.MAGIC] !== PLAN_MAGIC) throw new Error('this memory is not a plan');
  const at = HEADER.SECTIONS + section * 2;
  return new Int32Array(memory, header[at] ?? 0, header[at + 1] ?? 0);
}

function viewPlanMemory(memory: SharedArrayBuffer, atlas: SharedArrayBuffer): Pick<Image, 'plan' | 'ownNetworks'> {
  const words = (section: number): Int32Array => planSection(memory, section);
  return {
    plan: viewPlan(
      {
        services: words(SECTION.SERVICES),
        vips: words(SECTION.VIPS),
        regions: words(SECTION.REGIONS),
        program: words(SECTION.PROGRAM),
        orderings: words(SECTION.ORDERINGS),
        maps: words(SECTION.MAPS),
        otherOf: words(SECTION.OTHER_OF),
        others: words(SECTION.OTHERS),
        aliases: words(SECTION.ALIASES),
      },
      words(SECTION.MAP_WORDS),
      atlas,
    ),
    ownNetworks: words(SECTION.OWN_NETWORKS),
  };
}
