/**
 * Writes records into the text of a zone file. Only the lines of the owners that change are written anew; all others
 * stay as they are, with their comments.
 */
import { Document, isAlias, isMap, isNode, isScalar, Lexer, Pair, parseDocument, Scalar, visit, YAMLMap, type Node } from 'yaml'; // prettier-ignore
import { parseDurationMs } from '../config/units.ts';
import { NameError, nameKey, parseName, type Name } from '../wire/name.ts';
import { typeNumber, typeText } from '../wire/types.ts';
import type { DynamicSet } from '../zones/journal/record-set.ts';
import { relativeName } from './import/draft.ts';
import { rdataText } from './import/rdata-text.ts';
import { escapeReferences, shortestTtl, plain } from './import/write-zone.ts';

/** What replaces the text from `at` to `end`. */
export type TextEdit = { readonly at: number; readonly end: number; readonly text: string };

export type EditedZone = {
  readonly text: string;
  /** In the order of the text. */
  readonly edits: readonly TextEdit[];
  /** Sets that cannot be written, and why. */
  readonly refused: readonly { readonly set: DynamicSet; readonly why: string }[];
};

/** For records of a zone that states no TTL, as in the reader. */
const DEFAULT_TTL_SECONDS = 300;
type Owner = { readonly key: Scalar; readonly map: YAMLMap; readonly pair: Pair };

/** The text of a zone file without mistakes, with these sets in place of those that it has. */
export function editZoneFile(text: string, apex: Name, sets: readonly DynamicSet[]): EditedZone {
  const document = parseDocument(text, { uniqueKeys: false, resolveKnownTags: false });
  const root = document.contents;
  if (!isMap(root)) return { text, edits: [], refused: sets.map((set) => ({ set, why: 'the file is not a map' })) };
  const zoneTtl = secondsOf(root.get('ttl', true)) ?? DEFAULT_TTL_SECONDS;
  const section = root.items.find((pair) => isScalar(pair.key) && pair.key.value === 'records');
  const written = section?.value;
  const records = isMap(written) ? written : new YAMLMap();
  const whole = (why: string): EditedZone => ({ text, edits: [], refused: sets.map((set) => ({ set, why })) });
  if (isAlias(written)) return whole('its records are an alias');
  if (records.flow === true) return whole('its records are written in braces');
  const owners = ownersOf(records, apex);
  const refused: EditedZone['refused'][number][] = [];
  const changed = new Map<string, { readonly owner: Owner; readonly sets: DynamicSet[] }>();
  const added = new Map<string, DynamicSet[]>();
  for (const set of sets) {
    const key = nameKey(set.name);
    const owner = owners.get(key);
    if (owner === 'shared') refused.push({ set, why: 'the file writes this name with an anchor or an alias' });
    else if (owner) (changed.get(key) ?? put(changed, key, { owner, sets: [] })).sets.push(set);
    else if (set.data.length > 0) (added.get(key) ?? put(added, key, [])).push(set);
  }
  const edits = [...changed.values()].map((each) => editOwner(text, each.owner, each.sets, apex, zoneTtl));
  const lines = [...added.values()].map((each) => newOwner(each, apex, zoneTtl));
  if (lines.length > 0) edits.push(insertion(text, section, records, lines));
  edits.sort((a, b) => a.at - b.at);
  const isWindows = text.includes('\r\n');
  const fitted = isWindows ? edits.map((edit) => ({ ...edit, text: edit.text.replaceAll('\n', '\r\n') })) : edits;
  return { text: applyEdits(text, fitted), edits: fitted, refused };
}

function put<V>(map: Map<string, V>, key: string, value: V): V {
  map.set(key, value);
  return value;
}

function applyEdits(text: string, edits: readonly TextEdit[]): string {
  let result = '';
  let from = 0;
  for (const edit of edits) {
    result += text.slice(from, edit.at) + edit.text;
    from = edit.end;
  }
  return result + text.slice(from);
}

/** The owners of the section, by `nameKey`. `shared`: it cannot be changed alone. */
function ownersOf(records: YAMLMap, apex: Name): ReadonlyMap<string, Owner | 'shared'> {
  const owners = new Map<string, Owner | 'shared'>();
  for (const pair of records.items) {
    const { key, value } = pair;
    const name = isScalar(key) ? nameOf(String(key.source ?? key.value), apex) : undefined;
    if (!name || !isScalar(key)) continue;
    owners.set(nameKey(name), isMap(value) && !isShared(value) ? { key, map: value, pair } : 'shared');
  }
  return owners;
}

function nameOf(text: string, apex: Name): Name | undefined {
  try {
    return parseName(text, apex);
  } catch (error) {
    if (error instanceof NameError) return undefined;
    throw error;
  }
}

function isShared(map: YAMLMap): boolean {
  let found = false;
  visit(map, {
    Alias: () => {
      found = true;
      return visit.BREAK;
    },
    Value: (_, node) => {
      if (node.anchor === undefined) return undefined;
      found = true;
      return visit.BREAK;
    },
  });
  return found;
}

function editOwner(
  text: string,
  { key, map, pair }: Owner,
  sets: readonly DynamicSet[],
  apex: Name,
  zoneTtl: number,
): TextEdit {
  // prettier-ignore
  const at = key.range?.[0] ?? 0;
  const end = at + text.slice(at, map.range?.[1] ?? at).trimEnd().length;
  const ttlBefore = map.items.find((each) => isTtl(each.key))?.value;
  for (const set of sets) setType(map, set, apex, zoneTtl);
  // One set may remove the TTL, and the next one set it again.
  const ttl = map.items.find((each) => isTtl(each.key));
  if (isNode(ttl?.value)) withCommentOf(ttlBefore, ttl.value);
  if (map.items.every((each) => isTtl(each.key))) return removed(text, at, end);
  const old = text.slice(at, end);
  const flow = { flowCollectionPadding: !/\{\S/.test(old), indent: indentOf(text, at, map) };
  // Comments around the owner stay where they are.
  [key.commentBefore, key.spaceBefore] = [null, false];
  const render = (): string => {
    const only = new YAMLMap();
    only.items.push(pair);
    return new Document(only).toString({ lineWidth: 0, ...flow }).trimEnd();
  };
  const withComment = render();
  map.comment = null;
  const without = render();
  const wanted = countComments(old);
  const chosen = countComments(without) >= wanted ? without : withComment;
  return { at, end, text: chosen.replaceAll(/\n(?=.)/g, `\n${' '.repeat(columnOf(text, at))}`) };
}

/** Removes an owner with its line. A comment behind it stays. */
function removed(text: string, at: number, end: number): TextEdit {
  const lineAt = at - columnOf(text, at);
  const lineEnd = text.indexOf('\n', end);
  const rest = text.slice(end, lineEnd < 0 ? text.length : lineEnd);
  if (rest.trim() !== '') return { at, end: end + (rest.length - rest.trimStart().length), text: '' };
  return { at: lineAt, end: lineEnd < 0 ? text.length : lineEnd + 1, text: '' };
}

function columnOf(text: string, at: number): number {
  return at - (text.lastIndexOf('\n', at - 1) + 1);
}

/** How deep the file indents the types below an owner. */
function indentOf(text: string, at: number, map: YAMLMap): number {
  const first = map.items[0]?.key;
  const start = map.flow === true || !isScalar(first) ? undefined : first.range?.[0];
  const depth = start === undefined ? 2 : columnOf(text, start) - columnOf(text, at);
  return depth > 0 ? depth : 2;
}

function countComments(text: string): number {
  return [...new Lexer().lex(text)].filter((token) => token.startsWith('#')).length;
}

/** Sets or deletes a type of an owner, and its TTL. */
function setType(map: YAMLMap, { type, ttlSeconds, data }: DynamicSet, apex: Name, zoneTtl: number): void {
  const isType = ({ key }: Pair): boolean => isScalar(key) && !isTtl(key) && typeNumber(String(key.source ?? key.value)) === type; // prettier-ignore
  const own = map.items.find(isType);
  if (data.length === 0) map.items = map.items.filter((each) => each !== own);
  else {
    const value = valueOf(type, data, apex);
    if (own) own.value = withCommentOf(own.value, value);
    else map.items.push(new Pair(new Scalar(typeText(type)), value));
  }
  setTtl(map, type, data.length === 0 ? undefined : ttlSeconds, zoneTtl);
}

/** `ttlSeconds` is undefined if the type is gone. */
function setTtl(map: YAMLMap, type: number, ttlSeconds: number | undefined, zoneTtl: number): void {
  const ttl = map.items.find(({ key }) => isTtl(key));
  const types = map.items.flatMap(({ key }) => (isScalar(key) && !isTtl(key) ? [String(key.source ?? key.value)] : []));
  const others = types.filter((each) => typeNumber(each) !== type);
  const all = isMap(ttl?.value) ? undefined : (secondsOf(ttl?.value) ?? zoneTtl);
  if (ttlSeconds === all || (ttlSeconds === undefined && all !== undefined)) return;
  const byType = new Map<string, unknown>();
  if (isMap(ttl?.value)) {
    for (const { key, value } of ttl.value.items) {
      const text = isScalar(key) ? String(key.source ?? key.value) : '';
      if (typeNumber(text) !== type) byType.set(text, value);
    }
  } else if (all !== zoneTtl) for (const each of others) byType.set(each, plain(shortestTtl(all ?? zoneTtl)));
  if (ttlSeconds !== undefined && ttlSeconds !== zoneTtl) byType.set(typeText(type), plain(shortestTtl(ttlSeconds)));
  map.items = map.items.filter((each) => each !== ttl);
  if (byType.size === 0) return;
  const node = new YAMLMap();
  for (const [key, value] of byType) node.items.push(new Pair(new Scalar(key), value));
  node.flow = true;
  const isForAll = others.length === 0 && ttlSeconds !== undefined;
  const value = isForAll ? plain(shortestTtl(ttlSeconds)) : node;
  map.items.unshift(new Pair(ttl?.key ?? new Scalar('ttl'), withCommentOf(ttl?.value, value)));
}

/** A comment behind a value stays behind the value that replaces it. */
function withCommentOf(old: unknown, value: Node): Node {
  if (!isNode(old)) return value;
  const { comment, commentBefore } = old;
  if (typeof comment === 'string') value.comment = comment;
  if (typeof commentBefore === 'string' && isScalar(value)) value.commentBefore = commentBefore;
  return value;
}

function isTtl(key: unknown): boolean {
  return isScalar(key) && key.value === 'ttl';
}

function secondsOf(node: unknown): number | undefined {
  if (!isScalar(node)) return undefined;
  const text = String(node.source ?? node.value);
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : parseDurationMs(text);
  return ms === undefined ? undefined : ms / 1000;
}

function valueOf(type: number, data: readonly Uint8Array[], apex: Name): Node {
  const texts = data.map((each) => rdataText(type, each, apex));
  const [single] = texts;
  return plain(texts.length === 1 && single !== undefined ? single : texts);
}

/** A new owner: one or more lines. */
function newOwner(sets: readonly DynamicSet[], apex: Name, zoneTtl: number): string {
  const [first] = sets;
  const map = new YAMLMap();
  map.flow = true;
  for (const set of sets) setType(map, set, apex, zoneTtl);
  const records = new YAMLMap();
  records.items.push(new Pair(new Scalar(escapeReferences(first ? relativeName(first.name, apex) : '@')), map));
  return new Document(records).toString({ lineWidth: 0, flowCollectionPadding: true }).trimEnd();
}

/** Puts new owners at the end of the section `records`, which is made if there is none. */
function insertion(text: string, section: Pair | undefined, records: YAMLMap, owners: readonly string[]): TextEdit {
  const last = records.items.at(-1);
  const lineEnd = (from: number): number => {
    const end = text.indexOf('\n', from);
    return end < 0 ? text.length : text[end - 1] === '\r' ? end - 1 : end;
  };
  const indented = (by: number): string =>
    owners.map((each) => `\n${' '.repeat(by)}${each.replaceAll(/\n(?=.)/g, `\n${' '.repeat(by)}`)}`).join('');
  if (last && isScalar(last.key)) {
    const start = last.key.range?.[0] ?? 0;
    const range = (last.value as { readonly range?: readonly number[] } | null)?.range;
    const end = start + text.slice(start, range?.[1] ?? start).trimEnd().length;
    const at = lineEnd(end);
    return { at, end: at, text: indented(columnOf(text, start)) };
  }
  if (section && isScalar(section.key)) {
    const at = lineEnd(section.key.range?.[1] ?? 0);
    return { at, end: at, text: indented(2) };
  }
  const at = text.length;
  return { at, end: at, text: `${text.endsWith('\n') ? '' : '\n'}\nrecords:${indented(2)}\n` };
}
