/**
 * Reads one HTTP/1.1 response (RFC 9112) as it arrives: the status, and the first 64 KiB of the body. Uses no sockets.
 *
 * `node:http` is not used: with it a probe took twice the CPU, and each idle connection much memory
 * (docs/decisions/http-probes.md).
 */
import { MAX_BODY_OCTETS, MAX_HEAD_OCTETS } from '../limits.ts';
import { ProbeFailure } from './probe.ts';

/** Where the reader is in the response: in the head, in a body of one of three kinds of length, or at its end. */
type Phase = 'head' | 'length' | 'size' | 'chunk' | 'chunk end' | 'trailers' | 'until close' | 'done';

/** The part of one response that has been read. Only the functions of this file write it. */
export type HttpReader = {
  /** The method of the request: a response to HEAD has no body, and one to CONNECT opens a tunnel. */
  readonly method: string;
  phase: Phase;
  /** Received octets; those before `at` have been read. */
  pending: Buffer;
  at: number;
  /** The status of the final response (1xx is skipped, except 101); 0 until its head has been read. */
  status: number;
  /** Content-Encoding, such as `gzip`; undefined if the body is not encoded. */
  coding: string | undefined;
  /** The server keeps the connection open after this response. */
  persistent: boolean;
  /** Octets still to come of the body or the chunk; in the trailers, octets that they may still have. */
  rest: number;
  /** The first 64 KiB of the body, in pieces; undefined if only their number is wanted. */
  readonly taken: Buffer[] | undefined;
  octets: number;
  /** The body is longer than 64 KiB. */
  truncated: boolean;
};

/** `keepsBody`: `bodyOf` will be called. */
export function createHttpReader(method: string, keepsBody = true): HttpReader {
  return {
    method,
    phase: 'head',
    pending: NOTHING,
    at: 0,
    status: 0,
    coding: undefined,
    persistent: false,
    rest: 0,
    taken: keepsBody ? [] : undefined,
    octets: 0,
    truncated: false,
  };
}

const NOTHING = Buffer.alloc(0);

/**
 * Reads received octets, which may be overwritten after the call. Returns true when no more are needed: the response is
 * complete, or 64 KiB of its body have been read. Throws ProbeFailure if the octets are not HTTP.
 */
export function feedReader(reader: HttpReader, chunk: Buffer): boolean {
  const isFirst = unread(reader) === 0;
  reader.pending = isFirst ? chunk : Buffer.concat([reader.pending.subarray(reader.at), chunk]);
  reader.at = 0;
  while (!isRead(reader) && step(reader));
  if (isRead(reader) || unread(reader) === 0) reader.pending = NOTHING;
  else if (isFirst) reader.pending = Buffer.from(chunk.subarray(reader.at));
  else return false;
  reader.at = 0;
  return isRead(reader);
}

function unread({ pending, at }: HttpReader): number {
  return pending.length - at;
}

/** Notes that the server has closed the connection. Returns false if the response had not ended before. */
export function closeReader(reader: HttpReader): boolean {
  if (reader.phase === 'until close') finish(reader);
  reader.persistent = false;
  return isRead(reader);
}

/** At most 64 KiB. */
export function bodyOf(reader: HttpReader): Buffer {
  return Buffer.concat(reader.taken ?? []);
}

/** The response has ended, with a body of at most 64 KiB. */
export function isComplete({ phase, truncated }: HttpReader): boolean {
  return phase === 'done' && !truncated;
}

/** Another request may follow on the connection. */
export function isReusable(reader: HttpReader): boolean {
  return isComplete(reader) && reader.persistent;
}

function isRead({ phase, octets }: HttpReader): boolean {
  return phase === 'done' || octets >= MAX_BODY_OCTETS;
}

function finish(reader: HttpReader): void {
  reader.phase = 'done';
  // Octets after the response belong to no request, so the next response could not be told apart from them.
  if (unread(reader) > 0) reader.persistent = false;
}

/** One step; false if it needs more octets. */
function step(reader: HttpReader): boolean {
  switch (reader.phase) {
    case 'head':
      return takeHead(reader);
    case 'length':
      if (!takeRest(reader)) return false;
      finish(reader);
      return true;
    case 'until close':
      takeBody(reader, unread(reader));
      return false;
    case 'size':
      return takeChunkSize(reader);
    case 'chunk':
      if (!takeRest(reader)) return false;
      reader.phase = 'chunk end';
      return true;
    case 'chunk end':
      return takeChunkEnd(reader);
    case 'trailers':
      return takeTrailer(reader);
    case 'done':
      return false;
  }
}

/** The next line without its end; undefined until all of it is there. RFC 9112 2.2: a lone LF ends a line too. */
function takeLine(reader: HttpReader): string | undefined {
  const { pending, at } = reader;
  const end = pending.indexOf(LF, at);
  if (end - at > MAX_HEAD_OCTETS || (end < 0 && unread(reader) > MAX_HEAD_OCTETS)) throw tooLong();
  if (end < 0) return undefined;
  reader.at = end + 1;
  return pending.toString('latin1', at, end > at && pending[end - 1] === CR ? end - 1 : end);
}

function takeHead(reader: HttpReader): boolean {
  const { pending, at, method } = reader;
  const end = endOfHead(pending, at);
  if (end < 0) {
    if (unread(reader) > MAX_HEAD_OCTETS) throw tooLong();
    // A server of another protocol may wait for the client to speak, so the first octets decide.
    const start = pending.toString('latin1', at, at + 5);
    if (!'HTTP/'.startsWith(start)) throw notHttp(`it begins with ${JSON.stringify(start)}`);
    return false;
  }
  if (end - at > MAX_HEAD_OCTETS) throw tooLong();
  const head = headOf(pending.toString('latin1', at, end));
  reader.at = end;
  // RFC 9110 15.2: any number of interim responses may come first.
  if (head.status < 200 && head.status !== 101) return unread(reader) > 0;
  reader.status = head.status;
  reader.persistent = head.persistent;
  reader.coding = head.coding;
  if (head.status === 101 || (method === 'CONNECT' && head.status < 300)) {
    reader.persistent = false;
    finish(reader);
  } else if (method === 'HEAD' || head.status === 204 || head.status === 304) finish(reader);
  else if (head.chunked) reader.phase = 'size';
  else if (head.length === undefined) reader.phase = 'until close';
  else if (head.length === 0) finish(reader);
  else {
    reader.rest = head.length;
    reader.phase = 'length';
  }
  return true;
}

function takeChunkSize(reader: HttpReader): boolean {
  const line = takeLine(reader);
  if (line === undefined) return false;
  // RFC 9112 7.1: a hexadecimal number; extensions after a semicolon are ignored.
  const [, digits] = /^([0-9a-f]{1,12})[ \t]*(?:;.*)?$/i.exec(line) ?? [];
  if (digits === undefined) throw notHttp('a chunk without a size');
  const size = Number.parseInt(digits, 16);
  reader.phase = size === 0 ? 'trailers' : 'chunk';
  reader.rest = size === 0 ? MAX_HEAD_OCTETS : size;
  return true;
}

function takeChunkEnd(reader: HttpReader): boolean {
  const line = takeLine(reader);
  if (line === undefined) return false;
  if (line !== '') throw notHttp('a chunk longer than its size');
  reader.phase = 'size';
  return true;
}

function takeTrailer(reader: HttpReader): boolean {
  const line = takeLine(reader);
  if (line === undefined) return false;
  reader.rest -= line.length + 2;
  if (reader.rest < 0) throw tooLong();
  if (line === '') finish(reader);
  return true;
}

/** Reads the rest of a body or chunk of known length; false if more of it is to come. */
function takeRest(reader: HttpReader): boolean {
  reader.rest -= takeBody(reader, reader.rest);
  return reader.rest === 0;
}

/** Takes at most `most` octets of the body, and keeps the first 64 KiB of all. Returns how many were taken. */
function takeBody(reader: HttpReader, most: number): number {
  const { pending, at, taken } = reader;
  const length = Math.min(most, unread(reader));
  const wanted = Math.min(length, MAX_BODY_OCTETS - reader.octets);
  if (wanted < length) reader.truncated = true;
  if (wanted > 0) {
    taken?.push(Buffer.from(pending.subarray(at, at + wanted)));
    reader.octets += wanted;
  }
  reader.at = at + length;
  return length;
}

const LF = 10;
const CR = 13;

/** The offset after the empty line that ends the head; -1 until that line has been received. */
function endOfHead(octets: Buffer, from: number): number {
  for (let at = octets.indexOf(LF, from); at >= 0; at = octets.indexOf(LF, at + 1)) {
    const next = octets[at + 1];
    if (next === LF) return at + 2;
    if (next === CR && octets[at + 2] === LF) return at + 3;
  }
  return -1;
}

type Head = {
  readonly status: number;
  readonly persistent: boolean;
  readonly chunked: boolean;
  readonly coding: string | undefined;
  /** In octets; undefined: the body ends with the connection. */
  readonly length: number | undefined;
};

/**
 * Recently read heads, by their text. Servers of one kind send the same head, at least within a second, and reading a
 * head takes as long as ten look-ups.
 */
const heads = new Map<string, Head>();
const MAX_HEADS = 64;
const MAX_KNOWN_LENGTH = 1024;

function headOf(text: string): Head {
  const known = heads.get(text);
  if (known !== undefined) return known;
  const head = readHead(text);
  if (text.length > MAX_KNOWN_LENGTH) return head;
  if (heads.size >= MAX_HEADS) heads.clear();
  heads.set(text, head);
  return head;
}

function readHead(text: string): Head {
  const [first = '', ...lines] = text.trimEnd().split(/\r?\n/);
  const [, minor, code] = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: .*)?$/.exec(first) ?? [];
  if (code === undefined) throw notHttp(`the first line is ${JSON.stringify(first.slice(0, 40))}`);
  let length: number | undefined;
  const codings: string[] = [];
  const contentCodings: string[] = [];
  const connection: string[] = [];
  for (const each of lines) {
    // RFC 9112 5.2: the line continues the one before. No field that is read here is ever folded.
    if (/^[ \t]/.test(each)) continue;
    const colon = each.indexOf(':');
    if (!TOKEN.test(each.slice(0, Math.max(0, colon))))
      throw notHttp(`no header: ${JSON.stringify(each.slice(0, 40))}`);
    // Most fields have other names and are skipped.
    if (!LENGTHS_OF_NAMES.has(colon)) continue;
    const value = each.slice(colon + 1).trim();
    switch (each.slice(0, colon).toLowerCase()) {
      case 'content-length':
        // RFC 9112 6.3: two different lengths are an error.
        if (!/^\d{1,15}$/.test(value) || (length !== undefined && length !== Number(value)))
          throw notHttp('bad Content-Length');
        length = Number(value);
        break;
      case 'content-encoding':
        contentCodings.push(...wordsIn(value).filter((word) => word !== 'identity' && TOKEN.test(word)));
        break;
      case 'transfer-encoding':
        codings.push(...wordsIn(value));
        break;
      case 'connection':
        connection.push(...wordsIn(value));
        break;
    }
  }
  const chunked = codings.at(-1) === 'chunked';
  const keeps = minor === '1' ? !connection.includes('close') : connection.includes('keep-alive');
  return {
    status: Number(code),
    // RFC 9112 6.1: Content-Length beside Transfer-Encoding is a sign of request smuggling.
    persistent: keeps && !(codings.length > 0 && length !== undefined),
    chunked,
    coding: contentCodings.length === 0 ? undefined : contentCodings.join(', ').slice(0, 40),
    length: codings.length > 0 ? undefined : length,
  };
}

/** The lengths of the names of the fields that are read. */
const LENGTHS_OF_NAMES = new Set(
  ['content-length', 'content-encoding', 'transfer-encoding', 'connection'].map(({ length }) => length),
);

/** `token` of RFC 9110 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function wordsIn(value: string): string[] {
  return value.split(',').map((word) => word.trim().toLowerCase());
}

function notHttp(why: string): ProbeFailure {
  return new ProbeFailure(`not HTTP (${why})`);
}

function tooLong(): ProbeFailure {
  return notHttp('headers of more than 16 KiB');
}
