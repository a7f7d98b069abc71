/**
 * Memory for one recvmmsg and one sendmmsg: headers, addresses, control data and buffers, laid out once and
 * used for every batch. The kernel reads and writes it by address; here it is seen through typed arrays.
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
import { UDP_OCTETS } from '../wire/limits.ts';
import { addressOf, AF_INET6, IP_PKTINFO, IPPROTO_IPV6 } from './libc.ts';

/** Datagrams taken or sent by one call. */
export const BATCH = 64;
/**
 * Room for one datagram. EDNS tells clients that 1232 octets are taken (RFC 6891 6.2.3), what is longer comes
 * cut. An odd number of cache lines: with a power of two, the starts of all slots would share a few cache sets.
 */
export const SLOT_OCTETS = 21 * 64;
/** sockaddr_in6 and some. */
export const NAME_OCTETS = 32;
/** CMSG_SPACE of in6_pktinfo is 40, of in_pktinfo 32. */
export const CONTROL_OCTETS = 64;

const HEADER_OCTETS = 64;
const IOVEC_OCTETS = 16;
/** Of a header, in 32-bit words. */
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

/** One direction: BATCH headers, each with a buffer of SLOT_OCTETS. */
export type MessageVector = {
  /** Where each header lies, for the call: sending can go on from any. */
  readonly addresses: readonly bigint[];
  readonly headers: Uint32Array;
  readonly iovecs: Uint32Array;
  /** Slot `index` starts at `index * SLOT_OCTETS`. */
  readonly buffer: Uint8Array;
};

/** The received side: clients' addresses and control data beside the buffers. */
export type Inbox = MessageVector & {
  /** sockaddr of slot `index` from `index * NAME_OCTETS`. */
  readonly names: Uint8Array;
  readonly nameAddresses: Uint32Array;
  readonly controls: Uint8Array;
  readonly controlAddresses: Uint32Array;
};

/** Memory for receiving. Every header is ready for its first call, without room for control data. */
export function createInbox(): Inbox {
  const vector = createVector();
  const names = new Uint8Array(new ArrayBuffer(BATCH * NAME_OCTETS));
  const controls = new Uint8Array(new ArrayBuffer(BATCH * CONTROL_OCTETS));
  const inbox: Inbox = {
    ...vector,
    names,
    nameAddresses: slotAddresses(names.buffer, NAME_OCTETS),
    controls,
    controlAddresses: slotAddresses(controls.buffer, CONTROL_OCTETS),
  };
  for (let index = 0; index < BATCH; index++) {
    copyAddress(inbox.nameAddresses, index, inbox.headers, index * WORDS + NAME);
    copyAddress(inbox.controlAddresses, index, inbox.headers, index * WORDS + CONTROL);
    rearm(inbox, index, 0);
  }
  return inbox;
}

/** Memory for sending; `addressResponse` points a header at the client it goes to. */
export function createOutbox(): MessageVector {
  return createVector();
}

function createVector(): MessageVector {
  const buffer = new Uint8Array(new ArrayBuffer(BATCH * SLOT_OCTETS));
  const iovecs = new Uint32Array(new ArrayBuffer(BATCH * IOVEC_OCTETS));
  const headers = new Uint32Array(new ArrayBuffer(BATCH * HEADER_OCTETS));
  const bufferAddresses = slotAddresses(buffer.buffer, SLOT_OCTETS);
  const iovecAddresses = slotAddresses(iovecs.buffer, IOVEC_OCTETS);
  for (let index = 0; index < BATCH; index++) {
    copyAddress(bufferAddresses, index, iovecs, index * 4);
    iovecs[index * 4 + 2] = SLOT_OCTETS;
    copyAddress(iovecAddresses, index, headers, index * WORDS + IOVEC);
    headers[index * WORDS + IOVEC_COUNT] = 1;
  }
  const first = addressOf(headers.buffer);
  const addresses = Array.from({ length: BATCH }, (_, index) => first + BigInt(index * HEADER_OCTETS));
  return { addresses, headers, iovecs, buffer };
}

/** Addresses of the slots of a buffer, two words each, low one first. */
function slotAddresses(buffer: ArrayBuffer, octets: number): Uint32Array {
  const base = addressOf(buffer);
  const words = new Uint32Array(BATCH * 2);
  for (let index = 0; index < BATCH; index++) {
    const address = base + BigInt(index * octets);
    words[index * 2] = Number(address & 0xffff_ffffn);
    words[index * 2 + 1] = Number(address >> 32n);
  }
  return words;
}

function copyAddress(from: Uint32Array, index: number, to: Uint32Array, at: number): void {
  to[at] = from[index * 2] ?? 0;
  to[at + 1] = from[index * 2 + 1] ?? 0;
}

/** Makes a slot ready to receive again: the kernel has overwritten what it may use. */
export function rearm(inbox: Inbox, index: number, controlOctets: number): void {
  const at = index * WORDS;
  inbox.headers[at + NAME_LENGTH] = NAME_OCTETS;
  inbox.headers[at + CONTROL_LENGTH] = controlOctets;
}

/** Octets received into a slot. */
export function receivedLength(inbox: Inbox, index: number): number {
  return inbox.headers[index * WORDS + LENGTH] ?? 0;
}

/** `msg_flags` of a received slot. */
export function receivedFlags(inbox: Inbox, index: number): number {
  return inbox.headers[index * WORDS + FLAGS] ?? 0;
}

/** Makes outbox slot `to` a response of `length` octets to whoever sent inbox slot `from`, from the address it asked. */
export function addressResponse(outbox: MessageVector, to: number, length: number, inbox: Inbox, from: number): void {
  const { headers } = outbox;
  const at = to * WORDS;
  outbox.iovecs[to * 4 + 2] = length;
  copyAddress(inbox.nameAddresses, from, headers, at + NAME);
  headers[at + NAME_LENGTH] = inbox.headers[from * WORDS + NAME_LENGTH] ?? 0;
  const controlOctets = inbox.headers[from * WORDS + CONTROL_LENGTH] ?? 0;
  headers[at + CONTROL_LENGTH] = controlOctets;
  if (controlOctets === 0) return;
  copyAddress(inbox.controlAddresses, from, headers, at + CONTROL);
  if (!prepareSource(inbox.controls, from * CONTROL_OCTETS)) headers[at + CONTROL_LENGTH] = 0;
}

/**
 * Turns the control data of a query into that of its response: the kernel says where the query went to
 * (ip(7), ipv6(7): pktinfo) and takes the same structure as where a response comes from. The interface is left
 * to routing, since the way back may be another one; only link-local addresses mean nothing without it.
 * False when that address cannot be a source.
 */
function prepareSource(controls: Uint8Array, at: number): boolean {
  const data = at + 16;
  if (controls[at + 8] === IPPROTO_IPV6) {
    const first = controls[data] ?? 0;
    if (first === 0xff) return false;
    if (first !== 0xfe || ((controls[data + 1] ?? 0) & 0xc0) !== 0x80) controls.fill(0, data + 16, data + 20);
    return true;
  }
  if (controls[at + 12] !== IP_PKTINFO) return false;
  controls.fill(0, data, data + 4);
  return true;
}

/** Where the client's address starts in `names`, for slot `index`; its octets follow from `peerOctets`. */
export function peerStart(inbox: Inbox, index: number): number {
  const at = index * NAME_OCTETS;
  if (inbox.names[at] !== AF_INET6) return at + 4;
  return isMapped(inbox.names, at + 8) ? at + 20 : at + 8;
}

/** 4 or 16: of the client's address in slot `index`. */
export function peerOctets(inbox: Inbox, index: number): 4 | 16 {
  const at = index * NAME_OCTETS;
  return inbox.names[at] !== AF_INET6 || isMapped(inbox.names, at + 8) ? 4 : 16;
}

/** The client's port. */
export function peerPort(inbox: Inbox, index: number): number {
  const at = index * NAME_OCTETS;
  return ((inbox.names[at + 2] ?? 0) << 8) | (inbox.names[at + 3] ?? 0);
}

/** RFC 4291 2.5.5.2: ::ffff:0:0/96. */
function isMapped(names: Uint8Array, at: number): boolean {
  if (names[at + 10] !== 0xff || names[at + 11] !== 0xff) return false;
  for (let index = at; index < at + 10; index++) if (names[index] !== 0) return false;
  return true;
}
