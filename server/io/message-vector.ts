/**
 * Memory for recvmmsg and sendmmsg: headers, addresses, control data and buffers. It is laid out once and used for
 * every batch. The kernel accesses it by address, this code through typed arrays.
 *
 *     struct mmsghdr, 64 octets                struct iovec, 16 octets
 *      0  msg_name        address               0  iov_base  address
 *      8  msg_namelen     u32                   8  iov_len   size_t
 *     16  msg_iov         address
 *     24  msg_iovlen      size_t               struct sockaddr_in, 16      struct sockaddr_in6, 28
 *     32  msg_control     address               0  family  u16              0  family    u16
 *     40  msg_controllen  size_t                2  port    u16, network     2  port      u16, network
 *     48  msg_flags       int                   4  address 4                4  flowinfo  u32
 *     56  msg_len         u32                                               8  address   16
 *                                                                          24  scope     u32
 *     struct cmsghdr, 16 octets, then data
 *      0  cmsg_len        size_t               in_pktinfo: 0 ifindex, 4 spec_dst, 8 addr
 *      8  cmsg_level      int                  in6_pktinfo: 0 addr (16), 16 ifindex
 *     12  cmsg_type       int
 */
import { memoryAddress, AF_INET6, IP_PKTINFO, IPPROTO_IPV6 } from '../../config/libc.ts';
import { UDP_OCTETS } from '../../wire/limits.ts';
import { get8 } from '../../wire/octets.ts';

/** Maximum of datagrams per call. */
export const BATCH = 64;
/**
 * Size of the buffer for one datagram. The advertised EDNS buffer size is 1232 octets (RFC 6891 6.2.3); longer
 * datagrams are cut. An odd number of cache lines: with a power of two, all slots would start in the same few cache
 * sets.
 */
export const SLOT_OCTETS = 21 * 64;
/** Room for sockaddr_in6, rounded up. */
export const NAME_OCTETS = 32;
/** CMSG_SPACE of in6_pktinfo is 40, of in_pktinfo 32. */
export const CONTROL_OCTETS = 64;

const HEADER_OCTETS = 64;
const IOVEC_OCTETS = 16;
/** Layout of an iovec, in 32-bit words. */
const IOVEC_WORDS = IOVEC_OCTETS / 4;
const IOVEC_LENGTH = 2;
/** Layout of a header, in 32-bit words. */
const WORDS = HEADER_OCTETS / 4;
const NAME = 0;
const NAME_LENGTH = 2;
const IOVEC = 4;
const IOVEC_COUNT = 6;
const CONTROL = 8;
const CONTROL_LENGTH = 10;
const FLAGS = 12;
const LENGTH = 14;

if (SLOT_OCTETS < UDP_OCTETS) throw new RangeError('a slot must hold the largest response');

/**
 * BATCH headers, each with a buffer of SLOT_OCTETS, a sockaddr and control data. The same headers receive and send: the
 * response overwrites its query, and the client's address is already in place.
 */
export type MessageVector = {
  /** The address of each header, so that sending can continue from any header. */
  readonly addresses: readonly bigint[];
  readonly headers: Uint32Array;
  readonly iovecs: Uint32Array;
  /** Slot `index` starts at `index * SLOT_OCTETS`. */
  readonly buffer: Uint8Array;
  /** The sockaddr of slot `index` starts at `index * NAME_OCTETS`. */
  readonly names: Uint8Array;
  readonly controls: Uint8Array;
};

/** Creates the vector. Every header is ready to receive. */
export function createMessages(): MessageVector {
  const buffer = new Uint8Array(new ArrayBuffer(BATCH * SLOT_OCTETS));
  const names = new Uint8Array(new ArrayBuffer(BATCH * NAME_OCTETS));
  const controls = new Uint8Array(new ArrayBuffer(BATCH * CONTROL_OCTETS));
  const iovecs = new Uint32Array(new ArrayBuffer(BATCH * IOVEC_OCTETS));
  const headers = new Uint32Array(new ArrayBuffer(BATCH * HEADER_OCTETS));
  const first = memoryAddress(headers.buffer);
  const addresses = Array.from({ length: BATCH }, (_, index) => first + BigInt(index * HEADER_OCTETS));
  const messages: MessageVector = { addresses, headers, iovecs, buffer, names, controls };
  for (let index = 0; index < BATCH; index++) {
    putAddress(iovecs, index * IOVEC_WORDS, buffer.buffer, index * SLOT_OCTETS);
    const at = index * WORDS;
    putAddress(headers, at + NAME, names.buffer, index * NAME_OCTETS);
    putAddress(headers, at + IOVEC, iovecs.buffer, index * IOVEC_OCTETS);
    headers[at + IOVEC_COUNT] = 1;
    putAddress(headers, at + CONTROL, controls.buffer, index * CONTROL_OCTETS);
    rearm(messages, index);
  }
  return messages;
}

/** Writes the address of an octet of a buffer as two words, low word first. */
function putAddress(words: Uint32Array, at: number, buffer: ArrayBuffer, offset: number): void {
  const address = memoryAddress(buffer) + BigInt(offset);
  words[at] = Number(address & 0xffff_ffffn);
  words[at + 1] = Number(address >> 32n);
}

/**
 * Makes a slot ready to receive again: restores the sizes that the kernel and the previous response have overwritten.
 */
export function rearm({ headers, iovecs }: MessageVector, index: number): void {
  headers[index * WORDS + NAME_LENGTH] = NAME_OCTETS;
  // Only wildcard sockets receive control data; for others the kernel sets this to 0.
  headers[index * WORDS + CONTROL_LENGTH] = CONTROL_OCTETS;
  iovecs[index * IOVEC_WORDS + IOVEC_LENGTH] = SLOT_OCTETS;
}

/** Number of octets received into a slot. */
export function receivedLength({ headers }: MessageVector, index: number): number {
  return headers[index * WORDS + LENGTH] ?? 0;
}

/** `msg_flags` of a received slot. */
export function receivedFlags({ headers }: MessageVector, index: number): number {
  return headers[index * WORDS + FLAGS] ?? 0;
}

/** Prepares a slot to send the response of `length` octets in its buffer, from the address that the client queried. */
export function reply({ headers, iovecs, controls }: MessageVector, index: number, length: number): void {
  iovecs[index * IOVEC_WORDS + IOVEC_LENGTH] = length;
  const at = index * WORDS + CONTROL_LENGTH;
  if (headers[at] !== 0 && !prepareSource(controls, index * CONTROL_OCTETS)) headers[at] = 0;
}

/**
 * Turns the control data of a query into that of its response. The kernel uses the same structure (pktinfo in ip(7) and
 * ipv6(7)) for the destination of a query and for the source of a response. Clears the interface, because the route
 * back may use another one; only link-local addresses need it. Returns false when the address cannot be a source.
 */
function prepareSource(controls: Uint8Array, at: number): boolean {
  const data = at + 16;
  if (controls[at + 8] === IPPROTO_IPV6) {
    const first = get8(controls, data);
    if (first === 0xff) return false;
    if (first !== 0xfe || (get8(controls, data + 1) & 0xc0) !== 0x80) clear4(controls, data + 16);
    return true;
  }
  if (controls[at + 12] !== IP_PKTINFO) return false;
  clear4(controls, data);
  return true;
}

function clear4(bytes: Uint8Array, at: number): void {
  for (let i = at; i < at + 4; i++) bytes[i] = 0;
}

/** Copies of the client's address and the control data of a slot, to respond later from another vector. */
export function routeOf(
  { names, controls, headers }: MessageVector,
  index: number,
): { readonly name: Uint8Array; readonly control: Uint8Array } {
  const name = index * NAME_OCTETS;
  const control = index * CONTROL_OCTETS;
  const octets = headers[index * WORDS + CONTROL_LENGTH] ?? 0;
  return { name: names.slice(name, name + NAME_OCTETS), control: controls.slice(control, control + octets) };
}

/** Fills the first slot with a response, ready to send. The length of the name is that of its address family. */
export function fillFirst(
  messages: MessageVector,
  response: Uint8Array,
  { name, control }: { readonly name: Uint8Array; readonly control: Uint8Array },
): void {
  messages.buffer.set(response);
  messages.names.set(name);
  messages.controls.set(control);
  messages.headers[NAME_LENGTH] = name[0] === AF_INET6 ? 28 : 16;
  messages.headers[CONTROL_LENGTH] = control.length;
  reply(messages, 0, response.length);
}

/** The position in `names` of the client's address of slot `index`. Its length is `peerOctets`. */
export function peerStart(messages: MessageVector, index: number): number {
  const at = index * NAME_OCTETS;
  if (messages.names[at] !== AF_INET6) return at + 4;
  return isMapped(messages.names, at + 8) ? at + 20 : at + 8;
}

/** Length in octets of the client's address in slot `index`. */
export function peerOctets(messages: MessageVector, index: number): 4 | 16 {
  const at = index * NAME_OCTETS;
  return messages.names[at] !== AF_INET6 || isMapped(messages.names, at + 8) ? 4 : 16;
}

/** The client's port of slot `index`. */
export function peerPort(messages: MessageVector, index: number): number {
  const at = index * NAME_OCTETS;
  return (get8(messages.names, at + 2) << 8) | get8(messages.names, at + 3);
}

/** RFC 4291 2.5.5.2: ::ffff:0:0/96. */
function isMapped(names: Uint8Array, at: number): boolean {
  if (names[at + 10] !== 0xff || names[at + 11] !== 0xff) return false;
  for (let index = at; index < at + 10; index++) if (names[index] !== 0) return false;
  return true;
}
