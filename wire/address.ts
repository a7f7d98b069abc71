/**
 * IPv4 and IPv6 addresses and prefixes as bytes in network order.
 */
import { get16, get8 } from './octets.ts';

/** A network: `bytes` has 4 or 16 octets, the bits after `bits` are zero. */
export type Prefix = { readonly bytes: Uint8Array; readonly bits: number };

/**
 * Parses an address into 4 or 16 octets. Undefined if malformed. Zone identifiers (`%eth0`) are refused. Accepts what
 * `isIPv4` and `isIPv6` of node:net accept: they compile a regular expression for 6 ms in each thread.
 */
export function parseAddress(text: string): Uint8Array | undefined {
  return text.includes(':') ? parse6(text) : parse4(text);
}

const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const V6_PART = /^[\da-f]{1,4}$/i;

function parse4(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4);
  let part = 0;
  let digits = 0;
  let value = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === DOT) {
      if (digits === 0 || part === 3) return undefined;
      bytes[part++] = value;
      digits = 0;
      value = 0;
      continue;
    }
    // No zero before other digits.
    if (char < ZERO || char > NINE || (digits > 0 && value === 0)) return undefined;
    digits++;
    value = value * 10 + (char - ZERO);
    if (value > 255) return undefined;
  }
  if (digits === 0 || part !== 3) return undefined;
  bytes[3] = value;
  return bytes;
}

function parse6(text: string): Uint8Array | undefined {
  const [head = '', tail, ...more] = text.split('::');
  if (more.length > 0) return undefined;
  const left = groups(head, tail === undefined);
  const right = groups(tail ?? '', true);
  if (!left || !right) return undefined;
  const missing = 8 - left.length - right.length;
  // RFC 4291 2.2: `::` stands for one or more groups.
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const words = [...left, ...new Array<number>(missing).fill(0), ...right];
  return Uint8Array.from(words.flatMap((word) => [word >> 8, word & 0xff]));
}

/** Groups of 16 bits. The last two may be written as an IPv4 address if the text is the end of the address. */
function groups(text: string, isEnd: boolean): number[] | undefined {
  const words: number[] = [];
  if (text === '') return words;
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (V6_PART.test(part)) {
      words.push(Number.parseInt(part, 16));
      continue;
    }
    const v4 = isEnd && index === parts.length - 1 ? parse4(part) : undefined;
    if (!v4) return undefined;
    words.push(get16(v4, 0), get16(v4, 2));
  }
  return words;
}

/** Formats 4 or 16 octets; IPv6 in the form of RFC 5952. */
export function formatAddress(bytes: Uint8Array, from = 0, length = bytes.length - from): string {
  if (length === 4) return bytes.subarray(from, from + 4).join('.');
  const words: number[] = [];
  for (let at = from; at < from + 16; at += 2) words.push(get16(bytes, at));
  // RFC 5952 4.2: `::` replaces the longest run of at least two zero words; of equal runs, the first.
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let run = 0;
    while (start + run < 8 && words[start + run] === 0) run++;
    if (run > best.length) best = { start, length: run };
    if (run > 0) start += run - 1;
  }
  const hex = words.map((word) => word.toString(16));
  if (best.start < 0) return hex.join(':');
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`;
}

/** Parses `10.0.0.0/8`, or an address with all its bits. Undefined if malformed or if bits after the prefix are set. */
export function parsePrefix(text: string): Prefix | undefined {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text);
  const bytes = match?.[1] === undefined ? undefined : parseAddress(match[1]);
  if (!bytes) return undefined;
  const bits = match?.[2] === undefined ? bytes.length * 8 : Number(match[2]);
  if (bits > bytes.length * 8) return undefined;
  for (let bit = bits; bit < bytes.length * 8; bit++) if (bitAt(bytes, bit)) return undefined;
  return { bytes, bits };
}

/** The network of `10.1.2.3/8`: a prefix may have bits set after its length. Undefined if malformed. */
export function enclosingNetwork(text: string): Prefix | undefined {
  const [, host = '', digits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const address = parseAddress(host);
  return address && Number(digits) <= address.length * 8 ? networkOf(address, Number(digits)) : undefined;
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.bytes)}/${prefix.bits}`;
}

/** The network with a prefix of `bits` that contains the address. The bits after the prefix are 0. */
export function networkOf(address: Uint8Array, bits: number): Prefix {
  const kept = (index: number): number => Math.min(8, Math.max(0, bits - index * 8));
  return { bytes: address.map((octet, index) => octet & (0xff << (8 - kept(index)))), bits };
}

/** Bit `index` of the bytes from `from` on, 0 or 1. Bit 0 is the most significant. */
export function bitAt(bytes: Uint8Array, index: number, from = 0): number {
  return (get8(bytes, from + (index >> 3)) >> (7 - (index & 7))) & 1;
}

/** Whether the network contains the address. False if their families differ. */
export function inPrefix(address: Uint8Array, prefix: Prefix): boolean {
  if (address.length !== prefix.bytes.length) return false;
  for (let bit = 0; bit < prefix.bits; bit++) if (bitAt(address, bit) !== bitAt(prefix.bytes, bit)) return false;
  return true;
}

/** Whether one of the networks contains the address of `octets` octets at `at`. Allocates nothing. */
export function isAmong(networks: readonly Prefix[], bytes: Uint8Array, at: number, octets: number): boolean {
  for (const network of networks) if (contains(network, bytes, at, octets)) return true;
  return false;
}

function contains({ bytes: prefix, bits }: Prefix, bytes: Uint8Array, at: number, octets: number): boolean {
  if (prefix.length !== octets) return false;
  const whole = bits >> 3;
  for (let index = 0; index < whole; index++) if (prefix[index] !== bytes[at + index]) return false;
  const rest = bits & 7;
  return rest === 0 || (get8(prefix, whole) ^ get8(bytes, at + whole)) >> (8 - rest) === 0;
}

/** Whether the address is a loopback address (RFC 1122 3.2.1.3 (g), RFC 4291 2.5.3). */
export function isLoopback(address: Uint8Array): boolean {
  if (address.length === 4) return address[0] === 127;
  return address.length === 16 && address.every((octet, at) => octet === (at === 15 ? 1 : 0));
}

/** 0.0.0.0 or `::`: a socket bound to it takes packets for any address of the machine. */
export function isWildcardHost(host: string): boolean {
  return parseAddress(host)?.every((octet) => octet === 0) ?? false;
}

/** An address and port to listen on or to connect to. `host` is an address literal. */
export type Endpoint = {
  readonly host: string;
  readonly port: number;
  /**
   * The text of the configuration file, if part of it is an environment variable. Messages show it in place of the
   * value.
   */
  readonly written?: string;
  /** Networks of proxies that put the client's address before its queries (PROXY protocol). */
  readonly proxy?: readonly Prefix[];
  /** Whether it may be bound before an interface has the address. */
  readonly freebind?: boolean;
};

/** Parses `127.0.0.1:53` or `[::1]:53`. The port is optional if `defaultPort` is given. Undefined if malformed. */
export function parseEndpoint(text: string, defaultPort?: number): Endpoint | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (host === undefined || port === undefined || port > 65_535) return undefined;
  return parseAddress(host) ? { host, port } : undefined;
}

/** Formats an endpoint for messages: without the values of environment variables. */
export function showEndpoint(endpoint: Endpoint): string {
  return endpoint.written ?? formatEndpoint(endpoint);
}

export function formatEndpoint(endpoint: Endpoint): string {
  return endpoint.host.includes(':') ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`;
}
