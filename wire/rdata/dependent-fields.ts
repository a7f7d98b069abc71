/**
 * Types whose fields depend on each other: APL, IPSECKEY, AMTRELAY, HIP, WKS.
 */
import { bitAt, formatAddress, parseAddress } from '../address.ts';
import { get8 } from '../octets.ts';
import {
  type Cursor,
  type Source,
  fromBase64,
  fromHex,
  numberIn,
  parseNumber,
  put,
  putBytes,
  restOf,
  take,
  takeBytes,
  takeName,
  takeRest,
  nextToken,
  toBase64,
  toHex,
} from './codec.ts';
import { type RdataField, addressIn, putName } from './field-kinds.ts';
import { RdataError } from './text.ts';

/** RFC 3123: `[!]afi:address/prefix`, any number of items. Trailing zero octets of an address are not stored. */
export const addressPrefixes: RdataField = {
  what: 'address prefixes',
  least: 0,
  most: Infinity,
  parse: (source, sink) => {
    for (const token of restOf(source)) {
      const match = /^(!?)([12]):([^/]+)\/(\d{1,3})$/.exec(token.text);
      const [, negated = '', family = '', text = '', bits = ''] = match ?? [];
      const octets = family === '1' ? 4 : 16;
      const bytes = parseAddress(text);
      if (!match || bytes?.length !== octets || Number(bits) > octets * 8) {
        throw new RdataError(
          `APL takes items such as 1:192.0.2.0/24, 2:2001:db8::/32 or !1:192.0.2.64/28, got "${token.text}"`,
          token.offset,
        );
      }
      let kept: number = octets;
      while (kept > 0 && bytes[kept - 1] === 0) kept--;
      put(sink, Number(family), 2);
      put(sink, Number(bits), 1);
      put(sink, (negated === '' ? 0 : 0x80) | kept, 1);
      putBytes(sink, bytes.subarray(0, kept));
    }
  },
  format: (cursor) => {
    const items: string[] = [];
    while (cursor.at < cursor.bytes.length) {
      const family = take(cursor, 2);
      const bits = take(cursor, 1);
      const negatedAndLength = take(cursor, 1);
      const kept = takeBytes(cursor, negatedAndLength & 0x7f);
      const octets = family === 1 ? 4 : 16;
      if (family < 1 || family > 2 || bits > octets * 8 || kept.length > octets || kept.at(-1) === 0) {
        throw new RdataError('an address prefix is malformed');
      }
      const bytes = new Uint8Array(octets);
      bytes.set(kept);
      items.push(`${negatedAndLength > 127 ? '!' : ''}${family}:${formatAddress(bytes)}/${bits}`);
    }
    return items.join(' ');
  },
};

/** RFC 4025 2: precedence, gateway type, algorithm, gateway, key. */
export const ipsecKey: RdataField = {
  what: 'precedence, gateway type, algorithm, gateway and key',
  least: 4,
  most: Infinity,
  parse: (source, sink) => {
    put(sink, parseNumber(source, 'precedence', 1), 1);
    const kindToken = nextToken(source, 'gateway type');
    const kind = numberIn(source, kindToken, kindToken.text, 'gateway type', 3);
    put(sink, kind, 1);
    const algorithm = parseNumber(source, 'algorithm', 1);
    put(sink, algorithm, 1);
    const token = nextToken(source, 'gateway');
    if (kind === 3) putName(source, sink, token, 'gateway');
    else if (kind !== 0) putBytes(sink, addressIn(source, token, token.text, 'gateway', kind === 1 ? 4 : 16));
    else if (token.text !== '.') {
      throw new RdataError(`IPSECKEY with gateway type 0 has no gateway: write ".", got "${token.text}"`, token.offset);
    }
    const offset = source.tokens[source.next]?.offset ?? source.end;
    const key = fromBase64(source, textOf(source), 'key', offset);
    // RFC 4025 2.4: algorithm 0 means that the record has no key.
    if ((algorithm === 0) !== (key.length === 0)) {
      throw new RdataError('IPSECKEY needs a key, unless its algorithm is 0', offset);
    }
    putBytes(sink, key);
  },
  format: (cursor) => {
    const numbers = [take(cursor, 1), take(cursor, 1), take(cursor, 1)];
    const kind = numbers[1] ?? 0;
    if (kind > 3) throw new RdataError('IPSECKEY with an unknown gateway type');
    const gateway =
      kind === 0 ? '.' : kind === 3 ? takeName(cursor) : formatAddress(takeBytes(cursor, kind === 1 ? 4 : 16));
    const key = takeRest(cursor);
    if ((numbers[2] === 0) !== (key.length === 0)) throw new RdataError('IPSECKEY without its key');
    return `${numbers.join(' ')} ${gateway}${key.length === 0 ? '' : ` ${toBase64(key)}`}`;
  },
};

/** RFC 8777 4.2: precedence, discovery-optional bit, relay type, relay. */
export const amtRelay: RdataField = {
  what: 'precedence, discovery-optional bit, relay type and relay',
  least: 3,
  most: 4,
  parse: (source, sink) => {
    put(sink, parseNumber(source, 'precedence', 1), 1);
    const bitToken = nextToken(source, 'discovery-optional bit');
    const bit = numberIn(source, bitToken, bitToken.text, 'discovery-optional bit', 1);
    const kindToken = nextToken(source, 'relay type');
    const kind = numberIn(source, kindToken, kindToken.text, 'relay type', 3);
    put(sink, (bit << 7) | kind, 1);
    const [token] = restOf(source);
    if (kind === 0) {
      if (token !== undefined && token.text !== '.')
        throw new RdataError(`AMTRELAY with relay type 0 has no relay: write ".", got "${token.text}"`, token.offset);
    } else if (token === undefined) {
      throw new RdataError('AMTRELAY lacks its relay', source.end);
    } else if (kind === 3) putName(source, sink, token, 'relay');
    else putBytes(sink, addressIn(source, token, token.text, 'relay', kind === 1 ? 4 : 16));
  },
  format: (cursor) => {
    const precedence = take(cursor, 1);
    const bitAndKind = take(cursor, 1);
    const kind = bitAndKind & 0x7f;
    if (kind > 3) throw new RdataError('AMTRELAY with an unknown relay type');
    const relay =
      kind === 0 ? '.' : kind === 3 ? takeName(cursor) : formatAddress(takeBytes(cursor, kind === 1 ? 4 : 16));
    return `${precedence} ${bitAndKind >> 7} ${kind} ${relay}`;
  },
};

function textOf(source: Source): string {
  return restOf(source)
    .map((token) => token.text)
    .join('');
}

/** RFC 8005 5, 6: algorithm, host identity tag, public key, rendezvous servers. */
export const hostIdentity: RdataField = {
  what: 'algorithm, host identity tag, public key and rendezvous servers',
  least: 3,
  most: Infinity,
  parse: (source, sink) => {
    const algorithm = parseNumber(source, 'algorithm', 1);
    const hitToken = nextToken(source, 'host identity tag');
    const hit = fromHex(source, hitToken.text, 'host identity tag', hitToken.offset);
    const keyToken = nextToken(source, 'public key');
    const key = fromBase64(source, keyToken.text, 'public key', keyToken.offset);
    if (hit.length === 0 || hit.length > 255)
      throw new RdataError('HIP tag must have 1 to 255 octets', hitToken.offset);
    if (key.length === 0) throw new RdataError('HIP public key cannot be empty', keyToken.offset);
    put(sink, hit.length, 1);
    put(sink, algorithm, 1);
    put(sink, key.length, 2);
    putBytes(sink, hit);
    putBytes(sink, key);
    for (const token of restOf(source)) putName(source, sink, token, 'rendezvous server');
  },
  format: (cursor) => {
    const hitOctets = take(cursor, 1);
    const algorithm = take(cursor, 1);
    const keyOctets = take(cursor, 2);
    if (hitOctets === 0 || keyOctets === 0) throw new RdataError('HIP without its tag or key');
    const words = [String(algorithm), toHex(takeBytes(cursor, hitOctets)), toBase64(takeBytes(cursor, keyOctets))];
    while (cursor.at < cursor.bytes.length) words.push(takeName(cursor));
    return words.join(' ');
  },
};

const PROTOCOLS = new Map([
  ['ICMP', 1],
  ['TCP', 6],
  ['UDP', 17],
]);

/** Services that may be given by name (RFC 1035 3.4.2). All others are given by port number. */
const PORTS = new Map(
  Object.entries({
    echo: 7,
    discard: 9,
    systat: 11,
    daytime: 13,
    chargen: 19,
    'ftp-data': 20,
    ftp: 21,
    ssh: 22,
    telnet: 23,
    smtp: 25,
    time: 37,
    whois: 43,
    domain: 53,
    tftp: 69,
    gopher: 70,
    finger: 79,
    http: 80,
    www: 80,
    kerberos: 88,
    pop2: 109,
    pop3: 110,
    sunrpc: 111,
    auth: 113,
    nntp: 119,
    ntp: 123,
    imap: 143,
    snmp: 161,
    bgp: 179,
    irc: 194,
    ldap: 389,
    https: 443,
    syslog: 514,
    submission: 587,
    ldaps: 636,
    'domain-s': 853,
    imaps: 993,
    pop3s: 995,
  }),
);

/** RFC 1035 3.4.2: address, protocol, and a bit for each port that is served. */
export const wellKnownServices: RdataField = {
  what: 'address, protocol and services',
  least: 2,
  most: Infinity,
  parse: (source, sink) => {
    const addressToken = nextToken(source, 'address');
    putBytes(sink, addressIn(source, addressToken, addressToken.text, 'address', 4));
    const protocolToken = nextToken(source, 'protocol');
    const protocol = PROTOCOLS.get(protocolToken.text.toUpperCase());
    put(sink, protocol ?? numberIn(source, protocolToken, protocolToken.text, 'protocol', 255), 1);
    const ports = restOf(source).map(
      (token) => PORTS.get(token.text.toLowerCase()) ?? numberIn(source, token, token.text, 'service', 65_535),
    );
    const bits = new Uint8Array(ports.length === 0 ? 0 : (Math.max(...ports) >> 3) + 1);
    for (const port of ports) bits[port >> 3] = get8(bits, port >> 3) | (0x80 >> (port & 7));
    putBytes(sink, bits);
  },
  format: (cursor: Cursor) => {
    const words = [formatAddress(takeBytes(cursor, 4)), String(take(cursor, 1))];
    const bits = takeRest(cursor);
    if (bits.length > 8192 || bits.at(-1) === 0) throw new RdataError('the ports are malformed');
    for (let port = 0; port < bits.length * 8; port++) if (bitAt(bits, port) === 1) words.push(String(port));
    return words.join(' ');
  },
};
