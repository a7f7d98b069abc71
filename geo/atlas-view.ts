/**
 * The part of a packed atlas (packed-atlas.ts) that the packet path reads. PACKET PATH: imports no file access.
 */
import { ENTRY_HEADER_OCTETS } from '../config/entry-header.ts';

/** The nodes of an atlas, the root of each family, and the number of databases that it was made from. */
export type AtlasView = {
  readonly nodes: Int32Array;
  readonly v4Root: number;
  readonly v6Root: number;
  readonly databases: number;
};

/** Columns of the header that follows that of the cache entry, in words. */
export const PACKED = {
  V4_ROOT: 0,
  V6_ROOT: 1,
  NODE_WORDS: 2,
  GROUP_WORDS: 3,
  CLASSES: 4,
  TABLES: 5,
  LIST_OCTETS: 6,
  DATABASES: 7,
  WORDS: 16,
} as const;

/** The nodes begin at a multiple of a row, so that no row crosses a cache line. */
export const PACKED_NODES_AT = ENTRY_HEADER_OCTETS + PACKED.WORDS * 4;

export function packedHeader(memory: SharedArrayBuffer): Int32Array {
  return new Int32Array(memory, ENTRY_HEADER_OCTETS, PACKED.WORDS);
}

export function viewAtlas(memory: SharedArrayBuffer): AtlasView {
  const header = packedHeader(memory);
  return {
    nodes: new Int32Array(memory, PACKED_NODES_AT, header[PACKED.NODE_WORDS] ?? 0),
    v4Root: header[PACKED.V4_ROOT] ?? -1,
    v6Root: header[PACKED.V6_ROOT] ?? -1,
    databases: header[PACKED.DATABASES] ?? 0,
  };
}
