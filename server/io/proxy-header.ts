/**
 * The PROXY protocol, version 2: a proxy puts the addresses of its client before the first octets of a connection, or
 * before each datagram (HAProxy's proxy-protocol.txt, section 2.2).
 *
 *      0  signature   12 octets
 *     12  version 2 in the high bits, command in the low ones: 0 LOCAL, 1 PROXY
 *     13  family in the high bits: 1 IPv4, 2 IPv6; transport in the low ones: 1 stream, 2 datagram
 *     14  length of the rest, two octets
 *     16  source address, destination address, source port, destination port; then extensions, which are skipped
 */
import { isAmong, type Prefix } from '../../wire/address.ts';
import { HEADER_OCTETS } from '../../wire/limits.ts';
import { get16, get8 } from '../../wire/octets.ts';
import type { Packet } from '../contract.ts';

const SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
/** Octets before the addresses. */
export const PROXY_HEAD_OCTETS = 16;
/** The longest header that is accepted. Proxies with long extensions (TLS certificates) stay below. */
export const MAX_PROXY_OCTETS = 4096;

/** What `proxyOctets` returns in place of a length. */
export const PROXY = { PARTIAL: 0, INVALID: -1 } as const;

/** Whether the octets begin with as much of the signature as they have room for. */
export function beginsProxied(bytes: Uint8Array, at: number, length: number): boolean {
  const octets = Math.min(length, SIGNATURE.length);
  for (let index = 0; index < octets; index++) if (bytes[at + index] !== SIGNATURE[index]) return false;
  return octets > 0;
}

/** The length of the header at `at`; PARTIAL: more octets must come first; INVALID: this is no header. */
export function proxyOctets(bytes: Uint8Array, at: number, length: number): number {
  if (!beginsProxied(bytes, at, length)) return PROXY.INVALID;
  if (length < PROXY_HEAD_OCTETS) return PROXY.PARTIAL;
  const command = get8(bytes, at + 12);
  if (command !== 0x20 && command !== 0x21) return PROXY.INVALID;
  const octets = PROXY_HEAD_OCTETS + get16(bytes, at + 14);
  if (octets > MAX_PROXY_OCTETS || octets < PROXY_HEAD_OCTETS + addressOctets(bytes, at)) return PROXY.INVALID;
  return length < octets ? PROXY.PARTIAL : octets;
}

/** Octets of both addresses and ports; 0 where the header names none. */
function addressOctets(bytes: Uint8Array, at: number): number {
  const octets = familyOctets(bytes, at);
  return octets === 0 ? 0 : 2 * octets + 4;
}

/** 0: the header names no client, because the proxy itself asks (LOCAL), or its client has no IP address. */
function familyOctets(bytes: Uint8Array, at: number): 0 | 4 | 16 {
  if (get8(bytes, at + 12) !== 0x21) return 0;
  const family = get8(bytes, at + 13) >> 4;
  return family === 1 ? 4 : family === 2 ? 16 : 0;
}

/**
 * Copies the client's address of a complete header to the start of `into` (16 octets). Returns its length, 4 for an
 * IPv4-mapped address too; 0 where the header names none: then the proxy is the client.
 */
export function copyProxied(bytes: Uint8Array, at: number, into: Uint8Array): 0 | 4 | 16 {
  const octets = familyOctets(bytes, at);
  const from = at + PROXY_HEAD_OCTETS;
  const mapped = octets === 16 && isMapped(bytes, from);
  const copied = mapped ? 4 : octets;
  for (let index = 0; index < copied; index++) into[index] = get8(bytes, from + (mapped ? 12 : 0) + index);
  return copied;
}

/** RFC 4291 2.5.5.2: ::ffff:0:0/96. */
function isMapped(bytes: Uint8Array, at: number): boolean {
  for (let index = 0; index < 10; index++) if (bytes[at + index] !== 0) return false;
  return bytes[at + 10] === 0xff && bytes[at + 11] === 0xff;
}

/**
 * Takes the header off a datagram from one of `networks`, and makes its client the packet's. Returns false if the
 * datagram must be dropped: a proxy's without a valid header, or another client's with one.
 *
 * @param client 16 octets for the client's address
 */
export function unwrapDatagram(packet: Packet, networks: readonly Prefix[], client: Uint8Array): boolean {
  const { rx, rxAt, length } = packet;
  if (!isAmong(networks, packet.peer, packet.peerAt, packet.peerOctets)) return !beginsProxied(rx, rxAt, length);
  const header = proxyOctets(rx, rxAt, length);
  if (header === PROXY.INVALID || header === PROXY.PARTIAL || length - header < HEADER_OCTETS) return false;
  const octets = copyProxied(rx, rxAt, client);
  if (octets !== 0) {
    packet.peer = client;
    packet.peerAt = 0;
    packet.peerOctets = octets;
  }
  // The response is written over the query, so both must begin at the same octet.
  rx.copyWithin(rxAt, rxAt + header, rxAt + length);
  packet.length = length - header;
  return true;
}
