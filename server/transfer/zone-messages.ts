/**
 * The messages of a zone transfer (RFC 5936 2.2): SOA, all other records, SOA. Each message is made on demand. Names
 * are compressed only against the question, which is the apex in every message, and owners also against the previous
 * record.
 */
import { SERVICE, serviceWord } from '../../steering/plan.ts';
import { MAX_POINTER } from '../../wire/limits.ts';
import type { Name } from '../../wire/name.ts';
import { copyOctets, get16, get8, put16 } from '../../wire/octets.ts';
import { TYPE } from '../../wire/types.ts';
import { createSearch, findRrset, nextNode, search } from '../../zones/image/find-node.ts';
import {
  apexOf,
  firstPatchOf,
  firstRrsetOf,
  type Image,
  nameAtOf,
  NODE,
  nodeWord,
  PATCH,
  patchKind,
  patchOffset,
  RECORD_HEAD_OCTETS,
  RRSET,
  rrsetWord,
  wireAtOf,
  ZONE,
  zoneWord,
} from '../../zones/image/image.ts';
import { isPair, isSignedRrset, signedPart } from '../../zones/image/signed-rows.ts';
import type { DefaultAnswers, DefaultRrset } from './default-answer.ts';

/** The parts that all messages of one response share. */
export type MessageFrame = {
  /** Header and question. ANCOUNT is filled in later. */
  readonly head: Uint8Array;
  /** Maximum length with all records; `seal` adds octets after them. */
  readonly limit: number;
  /** Completes a message of `length` octets in place and returns its new length. */
  seal(message: Uint8Array, length: number): number;
};

/** Size of the buffer: the longest record fits after a full message, before the limit is checked. */
const BUFFER_OCTETS = 3 * 65_536;
/** Size of the buffer for one SOA. */
const SOA_BUFFER_OCTETS = 4096;
/** Position of the question's name. */
const QUESTION_AT = 12;
const POINTER_OCTETS = 2;

/** A zone of the image. */
export type ServedZone = {
  readonly zone: number;
  /** Number of its first service. */
  readonly firstService: number;
};

/** The zone with this apex, in canonical form; undefined if there is none. */
export function zoneOfApex(image: Image, apex: Name): ServedZone | undefined {
  const target = createSearch(apex);
  search(image, target);
  const { zone, firstService } = target;
  return target.node >= 0 && target.node === apexOf(image.words, zone) && target.suffixAt === 0
    ? { zone, firstService }
    : undefined;
}

/** A message with only the zone's SOA (RFC 1995 2 and 4). */
export function soaMessage(image: Image, { zone }: ServedZone, frame: MessageFrame): Uint8Array {
  const apex = apexOf(image.words, zone);
  const message = createMessage(image, zone, frame, SOA_BUFFER_OCTETS);
  message.add(apex, findRrset(image, apex, TYPE.SOA), 0, undefined);
  return message.finish();
}

/** Yields all messages of a zone. Throws RangeError when one record is larger than a message. */
export function* zoneMessages(
  image: Image,
  served: ServedZone,
  defaults: DefaultAnswers,
  frame: MessageFrame,
): Generator<Uint8Array, undefined> {
  const message = createMessage(image, served.zone, frame, BUFFER_OCTETS);
  for (const { node, rrset, ttlSeconds } of rrsetsOf(image, served, defaults)) {
    const octets = rrsetWord(image.words, rrset, RRSET.WIRE_OCTETS);
    const wireAt = wireAtOf(image.words, rrset);
    for (let at = 0; at < octets; at += RECORD_HEAD_OCTETS + get16(image.bytes, wireAt + at + 10)) {
      if (message.add(node, rrset, at, ttlSeconds)) continue;
      yield message.finish();
      if (!message.add(node, rrset, at, ttlSeconds)) throw new RangeError('a record is larger than a message');
    }
  }
  yield message.finish();
}

type ZoneRrset = {
  readonly node: number;
  readonly rrset: number;
  /** Replaces the TTL of the image. Undefined: keep it. */
  readonly ttlSeconds: number | undefined;
};

/** The RRsets of a zone in the order of a transfer, with the SOA first and last. */
function* rrsetsOf(image: Image, { zone, firstService }: ServedZone, defaults: DefaultAnswers): Generator<ZoneRrset> {
  const { words } = image;
  const apex = apexOf(words, zone);
  const soa: ZoneRrset = { node: apex, rrset: findRrset(image, apex, TYPE.SOA), ttlSeconds: undefined };
  yield soa;
  const nodesEnd = zone + zoneWord(words, zone, ZONE.NODES_END);
  for (let node = apex; node < nodesEnd; node = nextNode(words, node)) {
    const own = nodeWord(words, node, NODE.SERVICE);
    const service = own < 0 ? -1 : firstService + own;
    const first = firstRrsetOf(words, node);
    const end = first + nodeWord(words, node, NODE.RRSET_COUNT);
    for (let rrset = first; rrset < end; rrset++) {
      const type = rrsetWord(words, rrset, RRSET.TYPE);
      // Signatures follow their RRset below. An NSEC that lacks a type is used only in answers.
      if (isPair(type) || (service >= 0 && defaults.covers(service, type))) continue;
      if (rrset !== soa.rrset) yield { node, rrset, ttlSeconds: undefined };
      if (isSignedRrset(words, rrset)) yield { node, rrset: rrset + 1, ttlSeconds: undefined };
    }
    if (service < 0) continue;
    for (const answer of defaults.of(service)) {
      const firstSlot = serviceWord(image.plan.services, service, SERVICE.FIRST_SLOT);
      yield* steeredRrsets(image, { zone, node, firstSlot }, answer);
    }
  }
  yield soa;
}

/**
 * The records of a default answer; in a signed zone with their signatures. If there are no signatures for the whole
 * answer, it has only as many of the records as signatures exist for.
 */
function* steeredRrsets(
  image: Image,
  { zone, node, firstSlot }: { readonly zone: number; readonly node: number; readonly firstSlot: number },
  { type, rrsets, slots, ttlSeconds }: DefaultRrset,
): Generator<ZoneRrset> {
  const vips = Int32Array.from(slots, (slot) => slot - firstSlot);
  const found = signedPart(image, node, type, vips);
  for (const rrset of found ? rrsets.slice(0, found.size) : rrsets) yield { node, rrset: zone + rrset, ttlSeconds };
  if (found) yield { node, rrset: found.row, ttlSeconds };
}

type Message = {
  /** Adds the record at an offset of an RRset. Returns false and adds nothing when it does not fit. */
  add(node: number, rrset: number, offset: number, ttlSeconds: number | undefined): boolean;
  /** Returns the message, and begins the next one. */
  finish(): Uint8Array;
};

function createMessage(image: Image, zone: number, frame: MessageFrame, bufferOctets: number): Message {
  const { words, bytes } = image;
  const apexOctets = zoneWord(words, zone, ZONE.APEX_OCTETS);
  const buffer = new Uint8Array(bufferOctets);
  buffer.set(frame.head);
  let length = frame.head.length;
  let answers = 0;
  let lastNode = -1;
  let lastOwnerAt = 0;

  /** Writes the owner at the end. Returns the position after it. */
  const writeOwner = (node: number): number => {
    if (node === lastNode && lastOwnerAt <= MAX_POINTER) {
      put16(buffer, length, 0xc000 | lastOwnerAt);
      return length + POINTER_OCTETS;
    }
    const nameAt = nameAtOf(words, node);
    const octets = (nodeWord(words, node, NODE.NAME_AND_FLAGS) & 0xff) - apexOctets;
    copyOctets(bytes, nameAt, octets, buffer, length);
    return writeApex(buffer, length + octets, apexOctets);
  };

  return {
    add: (node, rrset, offset, ttlSeconds) => {
      let at = writeOwner(node);
      const from = wireAtOf(words, rrset) + offset;
      // Type, class, TTL.
      for (let i = 2; i < 10; i++) buffer[at + i - 2] = get8(bytes, from + i);
      if (ttlSeconds !== undefined) {
        put16(buffer, at + 4, ttlSeconds >>> 16);
        put16(buffer, at + 6, ttlSeconds & 0xffff);
      }
      const dataAt = at + 10;
      at = writeData(image, rrset, offset, buffer, dataAt);
      put16(buffer, dataAt - 2, at - dataAt);
      if (at > frame.limit) return false;
      // The apex is the question's name: point to it, not to another pointer.
      if (node !== lastNode) lastOwnerAt = get16(buffer, length) >= 0xc000 ? QUESTION_AT : length;
      else if (lastOwnerAt > MAX_POINTER) lastOwnerAt = length;
      lastNode = node;
      length = at;
      answers++;
      return true;
    },
    finish: () => {
      put16(buffer, 6, answers);
      const sealed = frame.seal(buffer, length);
      const message = buffer.slice(0, sealed);
      buffer.set(frame.head);
      length = frame.head.length;
      answers = 0;
      lastNode = -1;
      return message;
    },
  };
}

/** Writes a pointer to the question's name, or the root itself, which is shorter than a pointer. */
function writeApex(out: Uint8Array, at: number, apexOctets: number): number {
  if (apexOctets === 1) {
    out[at] = 0;
    return at + 1;
  }
  put16(out, at, 0xc000 | QUESTION_AT);
  return at + POINTER_OCTETS;
}

/** Writes the data of the record at `offset` of an RRset. Returns the position after them. */
function writeData(image: Image, rrset: number, offset: number, out: Uint8Array, to: number): number {
  const { bytes, words } = image;
  const wireAt = wireAtOf(words, rrset);
  const patchesEnd = firstPatchOf(words, rrset) + rrsetWord(words, rrset, RRSET.PATCH_COUNT);
  const end = offset + RECORD_HEAD_OCTETS + get16(bytes, wireAt + offset + 10);
  let from = offset + RECORD_HEAD_OCTETS;
  let at = to;
  for (let patch = firstPatchFrom(image, rrset, from); ; patch++) {
    const isLast = patch === patchesEnd;
    const pointerAt = isLast ? end : Math.min(end, patchOffset(words, patch));
    while (from < pointerAt) out[at++] = get8(bytes, wireAt + from++);
    if (from >= end) return at;
    const kind = patchKind(words, patch);
    if (kind === PATCH.APEX) {
      put16(out, at, 0xc000 | QUESTION_AT);
      at += POINTER_OCTETS;
    } else at = writeName(image, rrset, kind & 0xffff, out, at);
    from += POINTER_OCTETS;
  }
}

/**
 * Writes the rest of a name that is elsewhere in the RRset without compression, because a pointer may not reach the
 * start of the RRset. Returns the position after it.
 */
function writeName(image: Image, rrset: number, offset: number, out: Uint8Array, to: number): number {
  const { bytes, words } = image;
  const wireAt = wireAtOf(words, rrset);
  const patchesEnd = firstPatchOf(words, rrset) + rrsetWord(words, rrset, RRSET.PATCH_COUNT);
  let at = to;
  let from = offset;
  for (;;) {
    const patch = firstPatchFrom(image, rrset, from);
    if (patch < patchesEnd && patchOffset(words, patch) === from) {
      const kind = patchKind(words, patch);
      if (kind === PATCH.APEX) {
        put16(out, at, 0xc000 | QUESTION_AT);
        return at + POINTER_OCTETS;
      }
      from = kind & 0xffff;
      continue;
    }
    const octets = get8(bytes, wireAt + from);
    for (let i = 0; i <= octets; i++) out[at++] = get8(bytes, wireAt + from++);
    if (octets === 0) return at;
  }
}

/** The first patch of an RRset at or after `offset`. Patches are sorted by offset. */
function firstPatchFrom({ words }: Image, rrset: number, offset: number): number {
  let low = firstPatchOf(words, rrset);
  let high = low + rrsetWord(words, rrset, RRSET.PATCH_COUNT);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (patchOffset(words, middle) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
