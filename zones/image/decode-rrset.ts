/**
 * The records of an RRset of the image with uncompressed data.
 */
import type { Name } from '../../wire/name.ts';
import { get16, get8 } from '../../wire/octets.ts';
import {
  firstPatchOf,
  firstRrsetOf,
  type Image,
  NODE,
  nodeWord,
  PATCH,
  patchKind,
  patchOffset,
  RECORD_HEAD_OCTETS,
  RRSET,
  rrsetWord,
  wireAtOf,
} from './image.ts';

export type DecodedSet = { readonly ttlSeconds: number; readonly data: readonly Uint8Array[] };

/** The records of a name by type. */
export type DecodedSets = ReadonlyMap<number, DecodedSet>;

type Octets = Pick<Image, 'words' | 'bytes'>;

/** The sets of a node in a zone that is not signed. */
export function decodeNode(image: Octets, apex: Name, node: number): DecodedSets {
  const sets = new Map<number, DecodedSet>();
  const first = firstRrsetOf(node);
  const end = first + nodeWord(image.words, node, NODE.RRSET_COUNT);
  for (let rrset = first; rrset < end; rrset++) {
    sets.set(rrsetWord(image.words, rrset, RRSET.TYPE), decodeRrset(image, apex, rrset));
  }
  return sets;
}

export function decodeRrset({ words, bytes }: Octets, apex: Name, rrset: number): DecodedSet {
  const wireAt = wireAtOf(words, rrset);
  const wire = bytes.subarray(wireAt, wireAt + rrsetWord(words, rrset, RRSET.WIRE_OCTETS));
  const pointers = new Map<number, number>();
  const firstPatch = firstPatchOf(words, rrset);
  for (let patch = firstPatch; patch < firstPatch + rrsetWord(words, rrset, RRSET.PATCH_COUNT); patch++) {
    pointers.set(patchOffset(words, patch), patchKind(words, patch));
  }
  /** Adds the rest of a name that begins at an offset of the RRset. */
  const addName = (out: number[], at: number): void => {
    for (;;) {
      const kind = pointers.get(at);
      if (kind === PATCH.APEX) {
        out.push(...apex);
        return;
      }
      if (kind !== undefined) at = kind & 0xffff;
      const octets = get8(wire, at);
      for (let i = 0; i <= octets; i++) out.push(get8(wire, at + i));
      if (octets === 0) return;
      at += octets + 1;
    }
  };
  const data: Uint8Array[] = [];
  for (let at = 0; at < wire.length;) {
    const end = at + RECORD_HEAD_OCTETS + get16(wire, at + 10);
    const out: number[] = [];
    for (at += RECORD_HEAD_OCTETS; at < end;) {
      if (pointers.has(at)) {
        addName(out, at);
        at += 2;
      } else out.push(get8(wire, at++));
    }
    data.push(Uint8Array.from(out));
  }
  return { ttlSeconds: wire.length === 0 ? 0 : get16(wire, 6) * 0x1_0000 + get16(wire, 8), data };
}
