/**
 * Reads one HTTP/1.1 response (RFC 9112) as its octets arrive: the status, and the first 64 KiB of the body. No sockets.
 *
 * Why not `node:http`: a probe took twice the CPU, and idle connections took much memory
 * (docs/decisions/http-probes.md).
 */
import { MAX_BODY_OCTETS, MAX_HEAD_OCTETS } from '../limits.ts';
import { ProbeFailure } from './probe.ts';

/** The part of the response to read next. A body has `rest` octets, in chunks, or up to the end of the connection. */
type Phase = 'head' | 'length' | 'size' | 'chunk' | 'chunk end' | 'trailers' | 'until close' | 'done';

export type HttpReader = {
  /**
   * Takes octets. Returns true when no more are needed: the response is complete, or 64 KiB of the body have arrived.
   * Throws ProbeFailure if they are not HTTP.
   */
  feed(chunk: Buffer): boolean;
  /** The server has closed the connection. Returns false if that was before the end of the response. */
  close(): boolean;
  /** Status of the final response (not 1xx, except 101); 0 until its head has arrived. */
  status(): number;
  /** Its Content-Encoding, such as `gzip`; undefined: the body is not encoded. */
  coding(): string | undefined;
  /** Up to 64 KiB. */
  body(): Buffer;
  /** The body ended within 64 KiB. */
  complete(): boolean;
  /** Whether the connection may carry another request. */
  reusable(): boolean;
};

/** `method` is the request's: a response to HEAD has no body, and CONNECT opens a tunnel. */
export function createHttpReader(method: string): HttpReader {
  let phase: Phase = 'head';
  let pending: Buffer = Buffer.alloc(0);
  let status = 0;
  let persistent = false;
  let coding: string | undefined;
  let complete = false;
  let truncated = false;
  /** Octets of the body or chunk still to come; of trailers, octets still allowed. */
  let rest = 0;
  const taken: Buffer[] = [];
  let octets = 0;

  /** The next line without its end; undefined until it has arrived. RFC 9112 2.2: a lone LF ends a line too. */
  const line = (): string | undefined => {
    const end = pending.indexOf(LF);
    if (end > MAX_HEAD_OCTETS || (end < 0 && pending.length > MAX_HEAD_OCTETS)) throw tooLong();
    if (end < 0) return undefined;
    const text = pending.toString('latin1', 0, end > 0 && pending[end - 1] === CR ? end - 1 : end);
    pending = pending.subarray(end + 1);
    return text;
  };

  const takeBody = (most: number): number => {
    const length = Math.min(most, pending.length);
    const wanted = Math.min(length, MAX_BODY_OCTETS - octets);
    if (wanted < length) truncated = true;
    if (wanted > 0) {
      taken.push(pending.subarray(0, wanted));
      octets += wanted;
    }
    pending = pending.subarray(length);
    return length;
  };

  const finish = (): void => {
    phase = 'done';
    complete = !truncated;
    // Octets after the response were not requested: the connection cannot be used again.
    if (pending.length > 0) persistent = false;
  };

  const takeHead = (): boolean => {
    const end = endOfHead(pending);
    if (end < 0) {
      if (pending.length > MAX_HEAD_OCTETS) throw tooLong();
      // A server of another protocol may wait for the client.
      const start = pending.toString('latin1', 0, 5);
      if (!'HTTP/'.startsWith(start)) throw notHttp(`it begins with ${JSON.stringify(start)}`);
      return false;
    }
    if (end > MAX_HEAD_OCTETS) throw tooLong();
    const head = readHead(pending.toString('latin1', 0, end));
    pending = pending.subarray(end);
    // RFC 9110 15.2: any number of interim responses may come first.
    if (head.status < 200 && head.status !== 101) return pending.length > 0;
    status = head.status;
    persistent = head.persistent;
    coding = head.coding;
    if (status === 101 || (method === 'CONNECT' && status < 300)) {
      persistent = false;
      finish();
    } else if (method === 'HEAD' || status === 204 || status === 304) finish();
    else if (head.chunked) phase = 'size';
    else if (head.length === undefined) phase = 'until close';
    else if (head.length === 0) finish();
    else {
      rest = head.length;
      phase = 'length';
    }
    return true;
  };

  /** One step; false when it needs more octets. */
  const step = (): boolean => {
    switch (phase) {
      case 'head':
        return takeHead();
      case 'length':
        rest -= takeBody(rest);
        if (rest === 0) finish();
        return rest === 0;
      case 'until close':
        takeBody(pending.length);
        return false;
      case 'size': {
        const text = line();
        if (text === undefined) return false;
        // RFC 9112 7.1: hexadecimal, with optional extensions after a semicolon, which are ignored.
        const [, digits] = /^([0-9a-f]{1,12})[ \t]*(?:;.*)?$/i.exec(text) ?? [];
        if (digits === undefined) throw notHttp('a chunk without a size');
        rest = Number.parseInt(digits, 16);
        phase = rest === 0 ? 'trailers' : 'chunk';
        if (rest === 0) rest = MAX_HEAD_OCTETS;
        return true;
      }
      case 'chunk':
        rest -= takeBody(rest);
        if (rest === 0) phase = 'chunk end';
        return rest === 0;
      case 'chunk end': {
        const text = line();
        if (text === undefined) return false;
        if (text !== '') throw notHttp('a chunk longer than its size');
        phase = 'size';
        return true;
      }
      case 'trailers': {
        const text = line();
        if (text === undefined) return false;
        rest -= text.length + 2;
        if (rest < 0) throw tooLong();
        if (text === '') finish();
        return true;
      }
      case 'done':
        return false;
    }
  };

  const isDone = (): boolean => phase === 'done' || octets >= MAX_BODY_OCTETS;

  return {
    feed(chunk) {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      while (!isDone() && step());
      return isDone();
    },
    close() {
      if (phase === 'until close') finish();
      persistent = false;
      return isDone();
    },
    status: () => status,
    coding: () => coding,
    body: () => Buffer.concat(taken),
    complete: () => complete,
    reusable: () => complete && persistent,
  };
}

const LF = 10;
const CR = 13;

/** Offset after the empty line that ends the head; -1 until it has arrived. */
function endOfHead(octets: Buffer): number {
  for (let at = octets.indexOf(LF); at >= 0; at = octets.indexOf(LF, at + 1)) {
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
  /** Undefined: until the connection ends. */
  readonly length: number | undefined;
};

function readHead(text: string): Head {
  const [first = '', ...lines] = text.trimEnd().split(/\r?\n/);
  const [, minor, code] = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: .*)?$/.exec(first) ?? [];
  if (code === undefined) throw notHttp(`the first line is ${JSON.stringify(first.slice(0, 40))}`);
  let length: number | undefined;
  const codings: string[] = [];
  const contentCodings: string[] = [];
  const connection: string[] = [];
  for (const each of lines) {
    // RFC 9112 5.2: a continuation of the previous line. None of the headers read here has one.
    if (/^[ \t]/.test(each)) continue;
    const colon = each.indexOf(':');
    if (!TOKEN.test(each.slice(0, Math.max(0, colon))))
      throw notHttp(`no header: ${JSON.stringify(each.slice(0, 40))}`);
    const value = each.slice(colon + 1).trim();
    switch (each.slice(0, colon).toLowerCase()) {
      case 'content-length':
        // RFC 9112 6.3: conflicting lengths are an error.
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
    // RFC 9112 6.1: both headers at once may be request smuggling.
    persistent: keeps && !(codings.length > 0 && length !== undefined),
    chunked,
    coding: contentCodings.length === 0 ? undefined : contentCodings.join(', ').slice(0, 40),
    length: codings.length > 0 ? undefined : length,
  };
}

/** RFC 9110 5.6.2 */
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
