/**
 * The messages of a zone transfer (RFC 5936 2.2): SOA, all other records, SOA. Each message is made on demand. Names
 * are compressed only against the question, which is the apex in every message, and owners also against the previous
 * record.
 */
import { innerPlace, SERVICE, serviceWord } from '../../steering/plan.ts';
import { MAX_POINTER, TCP_OCTETS } from '../../wire/limits.ts';
import type { Name } from '../../wire/name.ts';
import { copyOctets, get16, get8, put16 } from '../../wire/octets.ts';
import { TYPE } from '../../wire/types.ts';
import {
  answersFrom,
  innerAnswersFrom,
  createSearch,
  findRrset,
  search,
  searchIn,
  serviceOf,
  zoneNodes,
} from '../../zones/image/find-node.ts';
import {
  apexAt,
  firstPatchOf,
  firstRrsetOf,
  type Image,
  nameAtOf,
  NODE,
  NODE_FLAG,
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
  /** The head of its version. */
  readonly head: number;
  /** Number of its first service, and the row of its first alias to a service of another zone. */
  readonly firstService: number;
  readonly firstAlias: number;
};

/** The zone with this apex, in canonical form; undefined if there is none. */
export function zoneOfApex(image: Image, apex: Name): ServedZone | undefined {
  const target = createSearch(apex);
  search(image, target);
  const { zone, head, firstService, firstAlias } = target;
  return target.node >= 0 && target.node === apexAt(image.words, head) && target.suffixAt === 0
    ? { zone, head, firstService, firstAlias }
    : undefined;
}

/**
 * The nodes of a name in canonical form. Names at and below a cut have nodes that no search finds: then all nodes of
 * the zone are compared.
 */
export function nodesOf(image: Image, { zone, head }: ServedZone, name: Name): readonly number[] {
  const { words, bytes } = image;
  const target = createSearch(name);
  search(image, target);
  if (target.zone === zone && target.node >= 0) searchIn(image, target, head);
  const isInZone = target.node >= 0 && target.zone === zone;
  const found = isInZone && target.suffixAt === 0 ? [target.node] : [];
  if (isInZone && (nodeWord(words, target.node, NODE.NAME_AND_FLAGS) & NODE_FLAG.CUT) === 0) return found;
  const wanted = Buffer.from(name);
  for (const node of zoneNodes(words, zone, head)) {
    if ((nodeWord(words, node, NODE.NAME_AND_FLAGS) & 0xff) !== name.length || found.includes(node)) continue;
    const at = nameAtOf(words, node);
    if (wanted.equals(bytes.subarray(at, at + name.length))) found.push(node);
  }
  return found;
}

/** Whether a name is a service or an alias. */
export function isSteeredNode({ words }: Image, node: number): boolean {
  const isAlias = (nodeWord(words, node, NODE.NAME_AND_FLAGS) & NODE_FLAG.ALIAS) !== 0;
  return isAlias || nodeWord(words, node, NODE.SERVICE) !== -1;
}

/** A message with only the zone's SOA (RFC 1995 2 and 4). */
export function soaMessage(image: Image, { zone, head }: ServedZone, frame: MessageFrame): Uint8Array {
  const apex = apexAt(image.words, head);
  const message = createMessage(image, zone, frame, SOA_BUFFER_OCTETS);
  message.add(apex, findRrset(image, apex, TYPE.SOA), 0, undefined);
  return message.finish();
}

/**
 * Yields all messages of a zone; without `defaults` they have no steered records. Throws RangeError when one record is
 * larger than a message.
 */
export function* zoneMessages(
  image: Image,
  served: ServedZone,
  defaults: DefaultAnswers | undefined,
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

/**
 * Yields the RRsets of a zone, each as one message after `head`, which is a header and the apex as the question; a very
 * large one as several. Steered records are left out, and the SOA is first only.
 */
export function* rrsetMessages(image: Image, served: ServedZone, head: Uint8Array): Generator<Uint8Array> {
  const frame: MessageFrame = { head, limit: BUFFER_OCTETS - TCP_OCTETS, seal: (_, length) => length };
  const message = createMessage(image, served.zone, frame, BUFFER_OCTETS);
  const soa = findRrset(image, apexAt(image.words, served.head), TYPE.SOA);
  let isFirst = true;
  for (const { node, rrset } of rrsetsOf(image, served, undefined)) {
    if (rrset === soa && !isFirst) return;
    isFirst = false;
    const octets = rrsetWord(image.words, rrset, RRSET.WIRE_OCTETS);
    const wireAt = wireAtOf(image.words, rrset);
    for (let at = 0; at < octets; at += RECORD_HEAD_OCTETS + get16(image.bytes, wireAt + at + 10)) {
      if (message.add(node, rrset, at, undefined)) continue;
      yield message.finish();
      message.add(node, rrset, at, undefined);
    }
    yield message.finish();
  }
}

type ZoneRrset = {
  readonly node: number;
  readonly rrset: number;
  /** Replaces the TTL of the image. Undefined: keep it. */
  readonly ttlSeconds: number | undefined;
};

/** The RRsets of a zone in the order of a transfer, with the SOA first and last. */
function* rrsetsOf(image: Image, served: ServedZone, defaults: DefaultAnswers | undefined): Generator<ZoneRrset> {
  const { words } = image;
  const { zone, head } = served;
  const apex = apexAt(words, head);
  const soa: ZoneRrset = { node: apex, rrset: findRrset(image, apex, TYPE.SOA), ttlSeconds: undefined };
  yield soa;
  for (const node of zoneNodes(words, zone, head)) {
    const service = serviceOf(image, served, node);
    const isAlias = (nodeWord(words, node, NODE.NAME_AND_FLAGS) & NODE_FLAG.ALIAS) !== 0;
    const first = firstRrsetOf(node);
    const end = first + nodeWord(words, node, NODE.RRSET_COUNT);
    for (let rrset = first; rrset < end; rrset++) {
      const type = rrsetWord(words, rrset, RRSET.TYPE);
      // Signatures follow their RRset below. An NSEC that lacks a type is used only in answers.
      if (isPair(type) || (service >= 0 && defaults?.covers(service, type) === true)) continue;
      // Addresses of an alias count as steered.
      if (!defaults && isAlias && (type === TYPE.A || type === TYPE.AAAA)) continue;
      if (rrset !== soa.rrset) yield { node, rrset, ttlSeconds: undefined };
      if (isSignedRrset(words, rrset)) yield { node, rrset: rrset + 1, ttlSeconds: undefined };
    }
    if (service < 0 || !defaults) continue;
    for (const answer of defaults.of(service)) {
      const { service: own } = answer;
      const from = own === service ? answersFrom(image, served, node, zone) : innerAnswersFrom(image, served, node, zone, own); // prettier-ignore
      yield* steeredRrsets(image, { from, node, place: innerPlace(image.plan, service, own) }, answer);
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
  { from, node, place }: { readonly from: number; readonly node: number; readonly place: number },
  { service, type, rrsets, slots, all, ttlSeconds }: DefaultRrset,
): Generator<ZoneRrset> {
  const firstSlot = serviceWord(image.plan.services, service, SERVICE.FIRST_SLOT);
  const vips = Int32Array.from(slots, (slot) => slot - firstSlot);
  const found = signedPart(image, node, type, vips, all, place);
  for (const rrset of (found ? rrsets.slice(0, found.size) : rrsets).flat()) {
    yield { node, rrset: from + rrset, ttlSeconds };
  }
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
