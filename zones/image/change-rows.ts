/**
 * Writes rows into the spare room of a zone, for change-zone.ts: nodes with their RRsets, and the entries of the table
 * that lead to them. Nothing of it counts before the head of the next version is in force, and everything can be
 * undone.
 */
import { hashName } from '../../wire/name-hash.ts';
import { canonical, type Name } from '../../wire/name.ts';
import { createBytes, createWords, type Bytes, type Words } from './growable.ts';
import {
  CHANGE,
  HEAD,
  headWord,
  type Image,
  nameAtOf,
  NODE,
  nodeWord,
  PATCH,
  ROW_OCTETS,
  ROW_WORDS,
  RRSET,
  rrsetWord,
  ZONE,
  zoneWord,
} from './image.ts';

const PAIRS_A_ROW = ROW_WORDS / 2;
/** The table is compiled half full at most. With more entries than this, searches become slower. */
const MOST_USED = 0.75;

/** Thrown where a change cannot be made in place: the zone must be compiled. */
export class NotInPlace extends Error {}

export type ArenaView = Pick<Image, 'words' | 'bytes' | 'bytesView'>;

/** A zone while its next version is written. */
export type Draft = ArenaView & {
  readonly zone: number;
  /** The head of the next version, and its number. */
  head: number;
  readonly version: number;
  /** The next free row, and the row after the spare room. */
  next: number;
  readonly end: number;
  /** Pairs of a word that was written in place, and its value before. */
  readonly undo: number[];
};

/** Tables for RRsets that are encoded for one node. */
export type Encoding = { readonly rrsets: Words; readonly patches: Words; readonly bytes: Bytes };

export function createEncoding(): Encoding {
  return { rrsets: createWords(64), patches: createWords(32), bytes: createBytes(1024) };
}

/** An RRset of a node: a row to copy, whose octets stay where they are, or an RRset of the encoding. */
export type RowSource =
  | { readonly kind: 'copy'; readonly rrset: number }
  | { readonly kind: 'new'; readonly number: number; readonly extras: readonly Extra[] };

/** An RRset for the additional section, and the offset of its owner in the RRset that names it. */
export type Extra = { readonly rrset: number; readonly ownerAt: number };

/** Begins the next version of a zone: its head is a copy of the one in force. */
export function beginDraft({ words, bytes, bytesView }: ArenaView, zone: number): Draft {
  const before = zone + zoneWord(words, zone, ZONE.HEAD);
  const next = zone + Math.ceil(zoneWord(words, zone, ZONE.OCTETS) / ROW_OCTETS);
  const end = zone + zoneWord(words, zone, ZONE.ALL_OCTETS) / ROW_OCTETS;
  const version = headWord(words, before, HEAD.VERSION) + 1;
  const draft: Draft = { words, bytes, bytesView, zone, head: 0, version, next, end, undo: [] };
  draft.head = takeRows(draft, 1);
  const to = draft.head * ROW_WORDS;
  words.copyWithin(to, before * ROW_WORDS, (before + 1) * ROW_WORDS);
  words[to + HEAD.APEX_NODE] = before + headWord(words, before, HEAD.APEX_NODE) - draft.head;
  words[to + HEAD.NEGATIVE_SOA] = before + headWord(words, before, HEAD.NEGATIVE_SOA) - draft.head;
  words[to + HEAD.VERSION] = version;
  return draft;
}

/** Puts the version in force. The order matters: threads that see the new head must see all that it leads to. */
export function publishDraft({ words, zone, head, next }: Draft): void {
  words[zone * ROW_WORDS + ZONE.OCTETS] = (next - zone) * ROW_OCTETS;
  Atomics.store(words, zone * ROW_WORDS + ZONE.HEAD, head - zone);
}

/** Undoes what was written in place. The rows in the spare room stay: a thread may read them at this moment. */
export function undoDraft({ words, zone, next, undo }: Draft): void {
  for (let at = undo.length - 2; at >= 0; at -= 2) Atomics.store(words, undo[at] ?? 0, undo[at + 1] ?? 0);
  words[zone * ROW_WORDS + ZONE.OCTETS] = (next - zone) * ROW_OCTETS;
}

/** Writes a word that has been in use, so that it can be undone. */
export function putWord({ words, undo }: Draft, index: number, value: number): void {
  undo.push(index, words[index] ?? 0);
  Atomics.store(words, index, value);
}

function takeRows(draft: Draft, rows: number): number {
  const row = draft.next;
  if (row + rows > draft.end) throw new NotInPlace('no room');
  draft.next = row + rows;
  return row;
}

/** What a node says besides its RRsets. `wildcard` is a node, or 0. */
export type NodeFacts = {
  readonly flags: number;
  readonly wildcard: number;
  readonly service: number;
  readonly children: number;
};

/** Writes a node with its RRsets and returns it. */
export function writeNode(
  draft: Draft,
  name: Name,
  rows: readonly RowSource[],
  facts: NodeFacts,
  { rrsets, patches, bytes }: Encoding,
): number {
  const { words } = draft;
  draft.next += draft.next & 1;
  const extraCount = rows.reduce((sum, row) => sum + (row.kind === 'new' ? row.extras.length : 0), 0);
  const pairs = patches.length / PATCH.WORDS + extraCount;
  const octets = pairs * PATCH.WORDS * 4 + name.length + bytes.length;
  const node = takeRows(draft, 1 + rows.length + Math.ceil(octets / ROW_OCTETS));
  const patchesAt = (node + 1 + rows.length) * PAIRS_A_ROW;
  let extra = patchesAt + patches.length / PATCH.WORDS;
  const nameAt = (extra + extraCount) * PATCH.WORDS * 4;
  words.set(patches.array.subarray(0, patches.length), patchesAt * PATCH.WORDS);
  draft.bytes.set(name, nameAt);
  draft.bytes.set(bytes.array.subarray(0, bytes.length), nameAt + name.length);
  const at = node * ROW_WORDS;
  words[at + NODE.NAME_AT] = nameAt - node * ROW_OCTETS;
  words[at + NODE.NAME_AND_FLAGS] = name.length | facts.flags;
  words[at + NODE.NSEC] = 0;
  words[at + NODE.REPLACED] = 0;
  words[at + NODE.RRSET_COUNT] = rows.length;
  words[at + NODE.WILDCARD] = facts.wildcard === 0 ? 0 : facts.wildcard - node;
  words[at + NODE.SERVICE] = facts.service;
  words[at + NODE.CHILDREN] = facts.children;
  for (const [index, row] of rows.entries()) {
    const to = node + 1 + index;
    const [array, from, shift] =
      row.kind === 'copy' ? [words, row.rrset, row.rrset - to] : [rrsets.array, row.number, -to];
    const column = (of: number): number => rrsetWord(array, from, of);
    const columns = to * ROW_WORDS;
    words[columns + RRSET.TYPE] = column(RRSET.TYPE);
    words[columns + RRSET.COUNT] = column(RRSET.COUNT);
    words[columns + RRSET.WIRE_OCTETS] = column(RRSET.WIRE_OCTETS);
    words[columns + RRSET.PATCH_COUNT] = column(RRSET.PATCH_COUNT);
    const isNew = row.kind === 'new';
    words[columns + RRSET.WIRE_AT] = column(RRSET.WIRE_AT) + shift * ROW_OCTETS + (isNew ? nameAt + name.length : 0);
    words[columns + RRSET.FIRST_PATCH] = column(RRSET.FIRST_PATCH) + shift * PAIRS_A_ROW + (isNew ? patchesAt : 0);
    words[columns + RRSET.FIRST_EXTRA] = isNew ? extra - to * PAIRS_A_ROW : column(RRSET.FIRST_EXTRA) + shift * PAIRS_A_ROW; // prettier-ignore
    words[columns + RRSET.EXTRA_COUNT] = isNew ? row.extras.length : column(RRSET.EXTRA_COUNT);
    if (!isNew) continue;
    for (const { rrset, ownerAt } of row.extras) {
      words[extra * 2] = rrset - Math.floor(extra / PAIRS_A_ROW);
      words[extra * 2 + 1] = ownerAt;
      extra++;
    }
  }
  return node;
}

/** Makes a node that of its name from this version on; 0: the name does not exist any more. */
export function setNode(draft: Draft, name: Name, node: number): void {
  const { words, zone, version } = draft;
  const hash = hashName(name, 0);
  const table = zone * ROW_WORDS + zoneWord(words, zone, ZONE.TABLE_AT);
  const mask = zoneWord(words, zone, ZONE.TABLE_MASK);
  let entry = hash & mask;
  let rows: number;
  for (; ; entry = (entry + 1) & mask) {
    rows = words[table + entry * 2 + 1] ?? 0;
    if (rows === 0 || (words[table + entry * 2] === hash && hasName(draft, zone + Math.abs(rows), name))) break;
  }
  const newest = zone - rows;
  if (rows < 0 && headWord(words, newest, CHANGE.SINCE) === version) {
    // No thread has seen it.
    words[newest * ROW_WORDS + CHANGE.NODE] = node === 0 ? 0 : node - newest;
    return;
  }
  let older = rows < 0 ? newest : 0;
  if (rows > 0) {
    const before = zone + rows;
    older = writeChange(draft, before, 0, before, 0);
    linkOldest(draft, older, entry);
    if (nodeWord(words, before, NODE.REPLACED) === 0) putWord(draft, before * ROW_WORDS + NODE.REPLACED, version);
  }
  const change = writeChange(draft, rows === 0 ? node : older, version, node, older);
  if (rows === 0) {
    const used = zoneWord(words, zone, ZONE.TABLE_USED) + 1;
    if (used > (mask + 1) * MOST_USED) throw new NotInPlace('the table is full');
    putWord(draft, zone * ROW_WORDS + ZONE.TABLE_USED, used);
    linkOldest(draft, change, entry);
    putWord(draft, table + entry * 2, hash);
  }
  putWord(draft, table + entry * 2 + 1, zone - change);
}

/** Writes a change. Its name is that of the row `named`. */
function writeChange(draft: Draft, named: number, since: number, node: number, older: number): number {
  const { words } = draft;
  const change = takeRows(draft, 1);
  const at = change * ROW_WORDS;
  words.fill(0, at, at + ROW_WORDS);
  words[at + CHANGE.NAME_AT] = nameAtOf(words, named) - change * ROW_OCTETS;
  words[at + CHANGE.NAME_OCTETS] = nodeWord(words, named, NODE.NAME_AND_FLAGS) & 0xff;
  words[at + CHANGE.SINCE] = since;
  words[at + CHANGE.NODE] = node === 0 ? 0 : node - change;
  words[at + CHANGE.OLDER] = older === 0 ? 0 : older - change;
  return change;
}

/** Puts the oldest change of a name before those of the names that were changed earlier. */
function linkOldest({ words, zone, head }: Draft, change: number, entry: number): void {
  const first = headWord(words, head, HEAD.CHANGES);
  words[change * ROW_WORDS + CHANGE.ENTRY] = entry;
  words[change * ROW_WORDS + CHANGE.NEXT] = first === 0 ? 0 : zone + first - change;
  words[head * ROW_WORDS + HEAD.CHANGES] = change - zone;
}

/** Whether a row, of a node or a change, has this name. */
function hasName({ words, bytes }: ArenaView, row: number, name: Name): boolean {
  if ((nodeWord(words, row, NODE.NAME_AND_FLAGS) & 0xff) !== name.length) return false;
  const at = nameAtOf(words, row);
  return name.every((octet, index) => bytes[at + index] === octet);
}

/** The name of a node, in canonical form. */
export function nameOfNode({ words, bytes }: ArenaView, node: number): Name {
  const at = nameAtOf(words, node);
  return canonical(bytes.subarray(at, at + (nodeWord(words, node, NODE.NAME_AND_FLAGS) & 0xff)));
}
