/**
 * Copies RRsets of the image into a response. PACKET PATH: allocates nothing. Positions are relative to the start of
 * the message.
 */
import { copyOctets, get16 } from '../../wire/octets.ts';
import {
  COUNT_MASK,
  firstPatchOf,
  PATCH,
  patchKind,
  patchOffset,
  RECORD_HEAD_OCTETS,
  RRSET,
  rrsetWord,
  wireAtOf,
} from '../../zones/image/image.ts';
import type { Answerer } from './answer-state.ts';

/**
 * Appends an RRset. Its owner is the name at `ownerAt`, and its zone's apex the name at `apexAt`. Returns false and
 * writes nothing when it does not fit.
 */
export function copyRrset({ image, response }: Answerer, rrset: number, ownerAt: number, apexAt: number): boolean {
  const { bytes, bytesView, words } = image;
  const { tx, view, base } = response;
  const octets = rrsetWord(words, rrset, RRSET.WIRE_OCTETS);
  if (response.length + octets > response.limit) return false;
  const wireAt = wireAtOf(words, rrset);
  const start = response.length;
  const to = base + start;
  let done = 0;
  for (; done + 4 <= octets; done += 4) view.setUint32(to + done, bytesView.getUint32(wireAt + done, true), true);
  for (; done < octets; done++) tx[to + done] = bytes[wireAt + done] ?? 0;
  // Records are stored with C00C as owner, a pointer to the question's name.
  if (ownerAt !== 12) {
    for (let at = to; at < to + octets; at += RECORD_HEAD_OCTETS + get16(tx, at + 10)) {
      putPointer(tx, at, ownerAt);
    }
  }
  const firstPatch = firstPatchOf(words, rrset);
  const lastPatch = firstPatch + rrsetWord(words, rrset, RRSET.PATCH_COUNT);
  for (let patch = firstPatch; patch < lastPatch; patch++) {
    const at = to + patchOffset(words, patch);
    const kind = patchKind(words, patch);
    putPointer(tx, at, kind === PATCH.APEX ? apexAt : start + (kind & 0xffff));
  }
  response.length += octets;
  return true;
}

/**
 * Appends records in wire form that are not in the image: `wire[from...]`. Their owner is the name at `ownerAt`, and
 * their data has no pointers. Returns false and writes nothing when they do not fit.
 */
export function copyRecords(
  { response }: Answerer,
  wire: Uint8Array,
  from: number,
  octets: number,
  ownerAt: number,
): boolean {
  const { tx, base } = response;
  if (response.length + octets > response.limit) return false;
  const to = base + response.length;
  copyOctets(wire, from, octets, tx, to);
  for (let at = to; at < to + octets; at += RECORD_HEAD_OCTETS + get16(tx, at + 10)) putPointer(tx, at, ownerAt);
  response.length += octets;
  return true;
}

/** Writes a compression pointer (RFC 1035 4.1.4). */
export function putPointer(tx: Uint8Array, at: number, position: number): void {
  tx[at] = 0xc0 | (position >> 8);
  tx[at + 1] = position;
}

/**
 * The position of the suffix of the name at `nameAt` after its first `octets` octets. Returns the position of a label,
 * never of a pointer: names of a chain are compressed in the message, and some resolvers follow only a few pointers
 * that lead to pointers.
 */
export function suffixAt({ response }: Answerer, nameAt: number, octets: number): number {
  const { tx, base } = response;
  let at = nameAt;
  let left = octets;
  for (;;) {
    const length = tx[base + at] ?? 0;
    if (length >= 0xc0) at = ((length & 0x3f) << 8) | (tx[base + at + 1] ?? 0);
    else if (left <= 0) return at;
    else {
      at += length + 1;
      left -= length + 1;
    }
  }
}

/** Number of records of an RRset. */
export function recordsOf({ image }: Answerer, rrset: number): number {
  return rrsetWord(image.words, rrset, RRSET.COUNT) & COUNT_MASK;
}
