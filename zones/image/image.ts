/**
 * The image: one generation's zones as answering threads read them. One SharedArrayBuffer, written once by
 * the compile thread, then only read.
 *
 *     header      Int32 x 64    magic, then (byte offset, length in elements) of each section
 *     table       Int32 x 2n    open addressing: name hash, node number + 1 (0: free); n is a power of two
 *     nodes       Int32 x 8     one row per existing name, empty non-terminals too (NODE), then one per RRset of the name
 *     rrsets      Int32 x 8     the same rows, followed by those of RRsets without a node (RRSET)
 *     zones       Int32 x 4     one row per zone (ZONE)
 *     patches     Int32 x 2     places in a copied RRset where a pointer must be written (PATCH)
 *     extras      Int32 x 2     additional section: RRset, and the offset of its owner in the RRset that names it
 *     bytes       Uint8         names in canonical wire form, RRsets in wire form
 *     services, vips, regions, program, orderings, maps, mapWords: steering/plan.ts
 *     ownNetworks Int32         the tree of `geo.networks`: geo/own-networks.ts
 *
 * An RRset in wire form has the bytes of a message except for its names. Every record starts with C00C, a pointer to the
 * question's name, which is the owner. A name in its data that ends with the zone's apex ends with a pointer instead, whose
 * place is in `patches`: the apex is part of the question's name, so the pointer is known once the question is.
 */
import type { SteeringPlan } from '../../steering/plan.ts';
import { viewPlan } from '../../steering/plan.ts';

export const MAGIC = 0x50_48_52_31;

export const SECTION = {
  TABLE: 0,
  NODES: 1,
  RRSETS: 2,
  ZONES: 3,
  PATCHES: 4,
  EXTRAS: 5,
  BYTES: 6,
  SERVICES: 7,
  VIPS: 8,
  REGIONS: 9,
  PROGRAM: 10,
  ORDERINGS: 11,
  MAPS: 12,
  MAP_WORDS: 13,
  OWN_NETWORKS: 14,
} as const;
export const SECTION_COUNT = 15;
/** Magic, deepest name, then one (offset, length) pair per section. */
export const HEADER_WORDS = 64;
export const HEADER = { MAGIC: 0, MAX_LABELS: 1, SECTIONS: 2 } as const;

/** Columns of a node row. */
export const NODE = {
  NAME_AT: 0,
  /** Octets of the name in bits 0 to 7, NODE_FLAG above. */
  NAME_AND_FLAGS: 1,
  ZONE: 2,
  FIRST_RRSET: 3,
  RRSET_COUNT: 4,
  /** Number of the node `*` right below, or -1 (RFC 4592). */
  WILDCARD: 5,
  /** Number of the service, or -1. */
  SERVICE: 6,
  /** At an apex whose parent zone is served here too: the node with the parent's side of the cut, or -1. */
  PARENT_CUT: 7,
  WORDS: 8,
} as const;

export const NODE_FLAG = {
  APEX: 0x100,
  /** A delegation: NS below the apex. */
  CUT: 0x200,
  CNAME: 0x400,
  DNAME: 0x800,
} as const;

/** Columns of an RRset row. */
export const RRSET = {
  TYPE: 0,
  COUNT: 1,
  WIRE_AT: 2,
  WIRE_OCTETS: 3,
  FIRST_PATCH: 4,
  PATCH_COUNT: 5,
  FIRST_EXTRA: 6,
  EXTRA_COUNT: 7,
  WORDS: 8,
} as const;

/** Columns of a zone row. */
export const ZONE = {
  APEX_NODE: 0,
  APEX_OCTETS: 1,
  /** The SOA RRset with the TTL of negative answers: the lesser of its TTL and MINIMUM (RFC 2308 3). */
  NEGATIVE_SOA: 2,
  SERIAL: 3,
  WORDS: 4,
} as const;

/** A column of a node's row: `nodeWord(nodes, node, NODE.WILDCARD)`. The engine inlines these readers in the packet path. */
export function nodeWord(nodes: Int32Array, node: number, column: number): number {
  return nodes[node * NODE.WORDS + column] ?? -1;
}

/** A column of an RRset's row. */
export function rrsetWord(rrsets: Int32Array, rrset: number, column: number): number {
  return rrsets[rrset * RRSET.WORDS + column] ?? 0;
}

/** A column of a zone's row. */
export function zoneWord(zones: Int32Array, zone: number, column: number): number {
  return zones[zone * ZONE.WORDS + column] ?? 0;
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

export type Image = {
  readonly memory: SharedArrayBuffer;
  readonly bytes: Uint8Array;
  /** The same octets, to copy several at once. */
  readonly bytesView: DataView;
  readonly table: Int32Array;
  /** Number of rows of the table minus 1. */
  readonly mask: number;
  /** Number of labels of the deepest name: longer suffixes are not searched for. */
  readonly maxLabels: number;
  readonly nodes: Int32Array;
  readonly rrsets: Int32Array;
  readonly zones: Int32Array;
  readonly patches: Int32Array;
  readonly extras: Int32Array;
  readonly plan: SteeringPlan;
  readonly ownNetworks: Int32Array;
};

/** Typed views of an image and of the atlas (geo/atlas.ts) that its steering maps were compiled for. */
export function viewImage(memory: SharedArrayBuffer, atlas: SharedArrayBuffer): Image {
  const header = new Int32Array(memory, 0, HEADER_WORDS);
  if (header[HEADER.MAGIC] !== MAGIC) throw new Error('this memory is not an image');
  const words = (section: number): Int32Array => {
    const at = HEADER.SECTIONS + section * 2;
    return new Int32Array(memory, header[at] ?? 0, header[at + 1] ?? 0);
  };
  const bytesAt = HEADER.SECTIONS + SECTION.BYTES * 2;
  const table = words(SECTION.TABLE);
  return {
    memory,
    bytes: new Uint8Array(memory, header[bytesAt] ?? 0, header[bytesAt + 1] ?? 0),
    bytesView: new DataView(memory, header[bytesAt] ?? 0, header[bytesAt + 1] ?? 0),
    table,
    mask: table.length / 2 - 1,
    maxLabels: header[HEADER.MAX_LABELS] ?? 0,
    nodes: words(SECTION.NODES),
    rrsets: words(SECTION.RRSETS),
    zones: words(SECTION.ZONES),
    patches: words(SECTION.PATCHES),
    extras: words(SECTION.EXTRAS),
    plan: viewPlan(
      {
        services: words(SECTION.SERVICES),
        vips: words(SECTION.VIPS),
        regions: words(SECTION.REGIONS),
        program: words(SECTION.PROGRAM),
        orderings: words(SECTION.ORDERINGS),
        maps: words(SECTION.MAPS),
      },
      words(SECTION.MAP_WORDS),
      atlas,
    ),
    ownNetworks: words(SECTION.OWN_NETWORKS),
  };
}
