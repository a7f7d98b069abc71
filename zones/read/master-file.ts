/**
 * RFC 1035 master files with up to millions of records (docs/configuration.md#ttls-in-master-files). Every mistake
 * becomes a diagnostic, and reading continues with the next record. Diagnostics PH300 to PH339.
 */
import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { Place, Report } from '../../config/diagnostics.ts';
import { MAX_NAME_OCTETS, MAX_TTL_SECONDS } from '../../wire/limits.ts';
import { type Name, NameError, parseName } from '../../wire/name.ts';
import { parsePeriod, unescape } from '../../wire/rdata/text.ts';
import { RdataError, type Token, cutTexts, parseRdata, soaMinimum } from '../../wire/rdata.ts';
import { TYPE, typeNumber } from '../../wire/types.ts';
import { type Position, type TtlDefaults, defaultTtl, lastOwner, readPlainLine } from './master-fast.ts';
import { malformedAt, MAX_GENERATED, parseRange, substitute } from './master-generate.ts';
import { type Entry, LexError, readEntry } from './master-lexer.ts';
import { placeInMasterFile, readBytes, startOfText } from './master-source.ts';
import { type RecordStore, addFile, addRecord } from './record-store.ts';

/** Depth of nested `$INCLUDE`: more than people use, and well below the depth of the stack. */
const MAX_INCLUDE_DEPTH = 16;
/** Mistakes shown per file: a file of another format has one on every line. */
const MAX_MISTAKES = 1000;

type FileReader = Position & {
  readonly path: string;
  readonly report: Report;
  readonly dialect: Dialect;
  /** Resolved paths from the first file to this one. */
  readonly stack: readonly string[];
  /** Resolved paths of all files read. */
  readonly files: Set<string>;
  /** The folder that every file must be in; undefined: any. */
  readonly below: string | undefined;
  readonly leavesOut: LeavesOut;
  mistakes: number;
  /** The first mistake that was not shown. */
  unshown: Place | undefined;
};

/**
 * The program whose rules apply. In gdnsd the origin is the owner of a first line without an owner, long texts are
 * split, quoted text may span lines, and the default TTL differs (gdnsd.zonefile(5), gdnsd.config(5)).
 */
export type Dialect = 'bind' | 'gdnsd';

/**
 * Whether to leave out a record that cannot be read: its type is not one of DNS, or its data can only be written as
 * octets. `data` is the text after the type.
 */
export type LeavesOut = (owner: Name, type: string, data: string, ttlSeconds: number) => boolean;

/** A mistake in an entry; it ends the entry. */
class Mistake extends Error {
  readonly code: string;
  readonly offset: number;
  readonly length: number;
  readonly hint: string | undefined;
  constructor(code: string, message: string, offset: number, length: number, hint?: string) {
    super(message);
    this.code = code;
    this.offset = offset;
    this.length = length;
    this.hint = hint;
  }
}

/**
 * Reads `path` and its includes into `store`. Records without a TTL from `$TTL`, an SOA or another record get
 * `defaultTtlSeconds`. Files outside of `below` are refused. Returns the absolute paths of the files that were read,
 * each once.
 */
export function readMasterFile(options: {
  readonly path: string;
  readonly origin: Name;
  readonly defaultTtlSeconds: number;
  readonly store: RecordStore;
  readonly report: Report;
  readonly dialect?: Dialect;
  readonly below?: string | undefined;
  /** Left out, each such record is a mistake. */
  readonly leavesOut?: LeavesOut;
}): { files: string[] } {
  const { path, store, report, dialect = 'bind', below, leavesOut = () => false } = options;
  const files = new Set<string>();
  const bytes = readBytes(path, below);
  if (!Buffer.isBuffer(bytes)) {
    const { why, hint = 'check the path' } = bytes;
    report.error(codeOf(bytes), `cannot read ${path}: ${why}`, { file: path }, hint);
  } else {
    const ttl: TtlDefaults = {
      directive: dialect === 'gdnsd' ? options.defaultTtlSeconds : undefined,
      last: undefined,
      zone: options.defaultTtlSeconds,
      firstRow: store.count,
    };
    readFile({ path, bytes, origin: options.origin, store, ttl, report, dialect, stack: [], files, below, leavesOut });
  }
  return { files: [...files] };
}

function readFile(
  file: Pick<
    FileReader,
    'path' | 'bytes' | 'origin' | 'store' | 'ttl' | 'report' | 'dialect' | 'stack' | 'files' | 'below' | 'leavesOut'
  >,
): void {
  const resolved = resolve(file.path);
  file.files.add(resolved);
  const known = file.store.files.indexOf(file.path);
  const reader: FileReader = {
    ...file,
    stack: [...file.stack, resolved],
    file: known < 0 ? addFile(file.store, file.path) : known,
    line: 1,
    owner: new Uint8Array(MAX_NAME_OCTETS),
    ownerAt: -1,
    ownerOctets: 0,
    mistakes: 0,
    unshown: undefined,
  };
  const { bytes } = reader;
  let at = startOfText(bytes);
  while (at < bytes.length) {
    const next = readPlainLine(reader, at);
    if (next >= 0) {
      reader.line++;
      at = next;
    } else {
      const start = at;
      at = readAnyEntry(reader, at);
      for (let i = bytes.indexOf(0x0a, start); i >= 0 && i < at; i = bytes.indexOf(0x0a, i + 1)) reader.line++;
    }
  }
  if (reader.unshown) {
    const more = reader.mistakes - MAX_MISTAKES;
    reader.report.error('PH319', `${more} more mistake${more === 1 ? '' : 's'} in ${reader.path}`, reader.unshown);
  }
}

/** Reads the entry at `at`, reports its mistakes, and returns the start of the next. */
function readAnyEntry(reader: FileReader, at: number): number {
  let entry: Entry;
  try {
    entry = readEntry(reader.bytes, at, reader.dialect === 'gdnsd');
  } catch (error) {
    if (!(error instanceof LexError)) throw error;
    if (reader.bytes[at] !== 0x20 && reader.bytes[at] !== 0x09) reader.ownerOctets = -1;
    report(reader, at, new Mistake(error.code, error.message, error.offset, 1, error.hint));
    return error.next;
  }
  const first = entry.tokens[0];
  try {
    if (!first) return entry.next;
    if (!entry.blank && !first.quoted && first.text.startsWith('$')) readDirective(reader, entry, first);
    else readRecord(reader, entry.tokens, entry.blank, entry.end);
  } catch (error) {
    if (!(error instanceof Mistake)) throw error;
    report(reader, at, error);
  }
  return entry.next;
}

function readRecord(reader: FileReader, tokens: readonly Token[], blank: boolean, end: number): void {
  let next = 0;
  if (!blank) {
    const token = tokens[next++];
    if (token) readOwner(reader, token);
  }
  let ttlSeconds: number | undefined;
  let sawClass = false;
  let type: number | undefined;
  let typeToken: Token | undefined;
  while (type === undefined) {
    const token = tokens[next++];
    if (!token) {
      const hint = 'a record is: owner, TTL, class, type, data; TTL and class may be left out';
      throw new Mistake('PH313', 'the record has no type', end, 1, hint);
    }
    const seconds = token.quoted ? undefined : parsePeriod(token.text);
    if (seconds !== undefined && ttlSeconds === undefined) {
      ttlSeconds = checkTtl(token, seconds);
    } else if (!sawClass && isClass(token)) {
      sawClass = true;
    } else {
      typeToken = token;
      type = token.quoted ? undefined : typeNumber(token.text);
      if (type === undefined) {
        if (isLeftOut(reader, blank, token, tokens.slice(next), ttlSeconds)) return;
        throw unknownType(token);
      }
    }
  }
  if (blank && reader.ownerOctets === 0 && reader.dialect === 'gdnsd') {
    setOwner(reader, reader.origin);
  } else if (blank && reader.ownerOctets === 0) {
    const hint = 'start the line with the owner, or with @ for the origin';
    throw new Mistake('PH308', 'the first record has no owner', tokens[0]?.offset ?? end, 1, hint);
  }
  let rdata: Uint8Array;
  try {
    const data = tokens.slice(next);
    rdata = parseRdata(type, reader.dialect === 'gdnsd' ? cutTexts(type, data) : data, reader.origin, end);
  } catch (error) {
    if (!(error instanceof RdataError)) throw error;
    if (typeToken && isLeftOut(reader, blank, typeToken, tokens.slice(next), ttlSeconds)) return;
    const offset = error.offset ?? typeToken?.offset ?? end;
    const token = tokens.find((candidate) => candidate.offset === offset);
    throw new Mistake('PH312', error.message, offset, token?.text.length ?? 1);
  }
  if (ttlSeconds === undefined) {
    if (type === TYPE.SOA) takeSoaMinimum(reader, rdata);
    ttlSeconds = defaultTtl(reader.ttl);
  } else reader.ttl.last = ttlSeconds;
  if (reader.ownerOctets < 0) return; // its owner was reported
  addRecord(reader.store, lastOwner(reader), type, ttlSeconds, rdata, reader.file, reader.line);
}

/** Asks the caller about a record that cannot be read. As with other records, its TTL is that of later ones without. */
function isLeftOut(
  reader: FileReader,
  blank: boolean,
  type: Token,
  data: readonly Token[],
  ttlSeconds: number | undefined,
): boolean {
  if (reader.ownerOctets < 0 || (blank && reader.ownerOctets === 0)) return false;
  const text = data.map((token) => (token.quoted ? `"${token.text}"` : token.text)).join(' ');
  if (
    !reader.leavesOut(lastOwner(reader).slice(), type.text.toUpperCase(), text, ttlSeconds ?? defaultTtl(reader.ttl))
  ) {
    return false;
  }
  if (ttlSeconds !== undefined) reader.ttl.last = ttlSeconds;
  return true;
}

/** As BIND does if no record before the SOA, nor the SOA, states a TTL. NSD uses 3600 for such records. */
function takeSoaMinimum({ ttl, store }: FileReader, soa: Uint8Array): void {
  if (ttl.directive !== undefined || ttl.last !== undefined) return;
  ttl.directive = Math.min(soaMinimum(soa), MAX_TTL_SECONDS);
  store.ttlSeconds.fill(ttl.directive, ttl.firstRow, store.count);
}

function readOwner(reader: FileReader, token: Token): void {
  reader.ownerOctets = -1;
  setOwner(reader, nameOf(token, reader.origin, 'PH307'));
}

function setOwner(reader: FileReader, owner: Name): void {
  reader.owner.set(owner);
  reader.ownerAt = -1;
  reader.ownerOctets = owner.length;
}

function nameOf(token: Token, origin: Name, code: string): Name {
  try {
    return parseName(token.text, origin);
  } catch (error) {
    if (!(error instanceof NameError)) throw error;
    throw new Mistake(code, error.message, token.offset, token.text.length);
  }
}

function checkTtl(token: Token, seconds: number): number {
  if (seconds <= MAX_TTL_SECONDS) return seconds;
  const message = `TTL must be 0 to ${MAX_TTL_SECONDS} seconds, got ${token.text}`;
  throw new Mistake('PH309', message, token.offset, token.text.length, 'RFC 2181 8; a day is 86400 or 1d');
}

/** Whether the word is the class IN; another class is a mistake. */
function isClass(token: Token): boolean {
  if (token.quoted) return false;
  const upper = token.text.toUpperCase();
  if (upper === 'IN' || upper === 'CLASS1') return true;
  if (!/^(?:CH|HS|CS|NONE|CLASS\d+)$/.test(upper)) return false;
  throw new Mistake('PH310', `class must be IN, got ${token.text}`, token.offset, token.text.length, 'leave it out');
}

function unknownType(token: Token): Mistake {
  const message = `"${token.text}" is not a record type`;
  const hint = /^(?:ALIAS|ANAME)$/i.test(token.text)
    ? 'DNS has no such type: write ALIAS under records of the zone file, which is YAML'
    : 'the order is owner, TTL, class, type, data; write a type without a name as TYPE123';
  return new Mistake('PH311', message, token.offset, token.text.length, hint);
}

function readDirective(reader: FileReader, entry: Entry, directive: Token): void {
  const args = entry.tokens.slice(1);
  const [first, second] = args;
  const usage = (expected: string): Mistake =>
    new Mistake('PH306', `${directive.text} takes ${expected}`, first?.offset ?? entry.end, first?.text.length ?? 1);
  switch (directive.text.toUpperCase()) {
    case '$ORIGIN':
      if (!first || args.length > 1) throw usage('one name: $ORIGIN example.com.');
      reader.origin = nameOf(first, reader.origin, 'PH306').slice();
      return;
    case '$TTL': {
      const seconds = first && args.length === 1 ? parsePeriod(first.text) : undefined;
      if (!first || seconds === undefined) throw usage('seconds or a period: $TTL 3600, $TTL 1h');
      reader.ttl.directive = checkTtl(first, seconds);
      return;
    }
    case '$INCLUDE':
      if (!first || args.length > 2) throw usage('a file and an optional origin: $INCLUDE hosts.db sub.example.com.');
      include(reader, first, second ? nameOf(second, reader.origin, 'PH306') : reader.origin);
      return;
    case '$GENERATE':
      if (!first || args.length < 4) throw usage('a range and a record: $GENERATE 1-10 host$ A 192.0.2.$');
      generate(reader, args, entry.end);
      return;
    default: {
      const hint = 'use $ORIGIN, $TTL, $INCLUDE or $GENERATE; write a name that starts with $ as \\$';
      const message = `"${directive.text}" is not a directive`;
      throw new Mistake('PH305', message, directive.offset, directive.text.length, hint);
    }
  }
}

function include(reader: FileReader, token: Token, origin: Name): void {
  const named = pathIn(token);
  const path = isAbsolute(named) ? named : join(dirname(reader.path), named);
  const at = token.offset;
  const length = token.text.length;
  if (reader.stack.includes(resolve(path))) {
    throw new Mistake('PH301', `${path} includes itself: ${[...reader.stack, resolve(path)].join(' -> ')}`, at, length);
  }
  if (reader.stack.length >= MAX_INCLUDE_DEPTH) {
    throw new Mistake('PH302', `$INCLUDE is nested more than ${MAX_INCLUDE_DEPTH} files deep`, at, length);
  }
  const bytes = readBytes(path, reader.below);
  if (!Buffer.isBuffer(bytes)) {
    const { why, hint = `paths are relative to ${dirname(reader.path)}` } = bytes;
    throw new Mistake(codeOf(bytes), `cannot read ${path}: ${why}`, at, length, hint);
  }
  // RFC 1035 5.1: the origin and the owner of the including file stay as they are.
  const { store, ttl, dialect, stack, files, below, leavesOut } = reader;
  readFile({ path, bytes, origin, store, ttl, report: reader.report, dialect, stack, files, below, leavesOut });
}

/** A file outside of the zone's folder has a separate code, because it may exist and be readable. */
function codeOf({ code }: { readonly code: string }): string {
  return code === 'OUTSIDE' ? 'PH385' : 'PH300';
}

/** A path in UTF-8. Escapes work as in other text. */
function pathIn(token: Token): string {
  try {
    return Buffer.from(unescape(token.text)).toString('utf8');
  } catch (error) {
    if (!(error instanceof RdataError)) throw error;
    throw new Mistake('PH306', error.message, token.offset, token.text.length);
  }
}

function generate(reader: FileReader, args: readonly Token[], end: number): void {
  const [rangeToken, ...record] = args;
  const range = rangeToken && parseRange(rangeToken.text);
  if (!range) {
    const message = `a range is 1-10 or 1-10/2, of at most ${MAX_GENERATED} records, got "${rangeToken?.text ?? ''}"`;
    throw new Mistake('PH314', message, rangeToken?.offset ?? end, rangeToken?.text.length ?? 1);
  }
  for (const token of record) {
    const at = malformedAt(token);
    if (at < 0) continue;
    throw new Mistake(
      'PH314',
      'write offset, width and base in braces: ${0,3,d}',
      token.offset + at,
      token.text.length - at,
    );
  }
  for (let value = range.start; value <= range.stop; value += range.step) {
    readRecord(
      reader,
      record.map((token) => substitute(token, value)),
      false,
      end,
    );
  }
}

/** Reports a mistake in the entry that starts at `start`, where `reader.line` is. */
function report(reader: FileReader, start: number, mistake: Mistake): void {
  reader.mistakes++;
  if (reader.mistakes > MAX_MISTAKES + 1) return;
  const { code, message, offset, length, hint } = mistake;
  const place = placeInMasterFile(reader, start, offset, length);
  if (reader.mistakes > MAX_MISTAKES) reader.unshown = place;
  else reader.report.error(code, message, place, hint);
}
