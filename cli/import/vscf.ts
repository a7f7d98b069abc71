/**
 * The language of gdnsd's configuration (gdnsd.config(5)): hashes, arrays and strings, with includes.
 */
import { globSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { MAX_TEXT_OCTETS } from '../../config/limits.ts';
import { readRegularFile } from '../../config/read-file.ts';

export type Vscf = string | readonly Vscf[] | VscfHash;
export type VscfHash = ReadonlyMap<string, Vscf>;

/** A mistake in a file; `line` counts from 1. */
export class VscfError extends Error {
  readonly file: string;
  readonly line: number;
  constructor(message: string, file: string, line: number) {
    super(message);
    this.file = file;
    this.line = line;
  }
}

/** Depth of nested includes. The limit ends files that include themselves. */
const MAX_DEPTH = 16;

type Reader = { readonly path: string; readonly text: string; readonly depth: number; at: number };

/** The top level: a hash without its braces, or an array. Throws VscfError. */
export function readVscf(path: string, depth = 0): Vscf {
  const text = readRegularFile(path, { maxOctets: MAX_TEXT_OCTETS }).octets.toString('latin1');
  const reader: Reader = { path, text, depth, at: 0 };
  skipBlank(reader);
  if (text[reader.at] === '[') {
    const value = readValue(reader);
    skipBlank(reader);
    if (reader.at < text.length) throw mistake(reader, 'the file continues after the end of the array');
    return value;
  }
  return readHash(reader, undefined);
}

/** An array; a single value as an array of one, a missing value as an empty one. */
export function arrayOf(value: Vscf | undefined): readonly Vscf[] {
  if (value === undefined) return [];
  return typeof value === 'string' || value instanceof Map ? [value] : (value as readonly Vscf[]);
}

export function hashOf(value: Vscf | undefined): VscfHash {
  return value instanceof Map ? (value as VscfHash) : new Map<string, Vscf>();
}

export function stringOf(value: Vscf | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The strings of an array. */
export function stringsOf(value: Vscf | undefined): string[] {
  return arrayOf(value).filter((each) => typeof each === 'string');
}

function readHash(reader: Reader, close: '}' | undefined): VscfHash {
  const hash = new Map<string, Vscf>();
  for (;;) {
    skipBlank(reader);
    const c = reader.text[reader.at];
    if (c === close) {
      reader.at++;
      return hash;
    }
    if (c === undefined) throw mistake(reader, 'a { is not closed');
    if (isInclude(reader)) {
      for (const path of includePaths(reader)) {
        for (const [key, value] of hashOf(include(reader, path))) put(reader, hash, key, value);
      }
      continue;
    }
    const key = readString(reader);
    skipBlank(reader);
    if (reader.text[reader.at] !== '=') throw mistake(reader, `"=>" must follow ${key}`);
    reader.at += reader.text[reader.at + 1] === '>' ? 2 : 1;
    skipBlank(reader);
    put(reader, hash, key, readValue(reader));
  }
}

function put(reader: Reader, hash: Map<string, Vscf>, key: string, value: Vscf): void {
  if (hash.has(key)) throw mistake(reader, `duplicate key ${key}`);
  hash.set(key, value);
}

function readValue(reader: Reader): Vscf {
  const c = reader.text[reader.at];
  if (c === '{') {
    reader.at++;
    return readHash(reader, '}');
  }
  if (c === '[') {
    reader.at++;
    const items: Vscf[] = [];
    for (;;) {
      skipBlank(reader);
      if (reader.text[reader.at] === ']') {
        reader.at++;
        return items;
      }
      items.push(readValue(reader));
    }
  }
  if (isInclude(reader)) {
    const [path, ...more] = includePaths(reader);
    if (path === undefined || more.length > 0) throw mistake(reader, '$include of a value takes one file');
    return include(reader, path);
  }
  return readString(reader);
}

/** Commas separate values like blanks. */
function skipBlank(reader: Reader): void {
  const blank = /(?:[\s,]|[#;][^\n]*)*/y;
  blank.lastIndex = reader.at;
  reader.at += blank.exec(reader.text)?.[0].length ?? 0;
}

function readString(reader: Reader): string {
  const pattern = reader.text[reader.at] === '"' ? /"((?:[^"\\]|\\[^])*)"/y : /((?:[^\s\][}{;#,"=\\]|\\[^])+)/y;
  pattern.lastIndex = reader.at;
  const found = pattern.exec(reader.text);
  if (!found) {
    const got = reader.text.slice(reader.at, reader.at + 1);
    throw mistake(
      reader,
      got === '' ? 'the file ends where a value is expected' : `expected a value, got ${JSON.stringify(got)}`,
    );
  }
  reader.at += found[0].length;
  const octets = (found[1] ?? '').replace(/\\(?:(\d{3})|([^]))/g, (_, digits: string | undefined, c: string) =>
    digits === undefined ? c : String.fromCharCode(Number(digits) & 0xff),
  );
  return Buffer.from(octets, 'latin1').toString('utf8');
}

function isInclude(reader: Reader): boolean {
  return reader.text.startsWith('$include{', reader.at);
}

function includePaths(reader: Reader): string[] {
  reader.at += '$include{'.length;
  skipBlank(reader);
  const written = resolve(dirname(reader.path), readString(reader));
  skipBlank(reader);
  if (reader.text[reader.at] !== '}') throw mistake(reader, '$include is not closed with }');
  reader.at++;
  const stat = statSync(written, { throwIfNoEntry: false });
  if (stat?.isFile()) return [written];
  const paths = globSync(stat?.isDirectory() ? `${written}/*` : written).sort();
  if (paths.length === 0 && !stat) throw mistake(reader, `$include matches no file: ${written}`);
  return paths;
}

function include(reader: Reader, path: string): Vscf {
  if (reader.depth >= MAX_DEPTH) throw mistake(reader, `$include is nested more than ${MAX_DEPTH} files deep`);
  return readVscf(path, reader.depth + 1);
}

function mistake({ path, text, at }: Reader, message: string): VscfError {
  return new VscfError(message, path, text.slice(0, at).split('\n').length);
}
