/**
 * Passes file descriptors from one process to another over a unix socket (SCM_RIGHTS, unix(7)). In a takeover the old
 * server passes its sockets, including their queued packets, to the new one.
 */
import * as c from '../../config/libc.ts';

/** A text and the descriptors that came with it. */
export type ReceivedDescriptors = { readonly text: string; readonly descriptors: readonly number[] };

const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
/** Maximum of descriptors per message on Linux (SCM_MAX_FD). */
const MAX_DESCRIPTORS = 253;
/** Maximum length of the text: many times the size of 250 addresses. */
const TEXT_OCTETS = 64 * 1024;
/** struct cmsghdr: u64 length including this header, u32 level, u32 type. The descriptors follow. */
const CONTROL_HEAD_OCTETS = 16;
const CONTROL_OCTETS = CONTROL_HEAD_OCTETS + MAX_DESCRIPTORS * 4 + 4;

/** One mmsghdr (layout in message-vector.ts) and the buffers it points to, which must stay reachable. */
type Envelope = { readonly header: BigUint64Array; readonly parts: readonly ArrayBuffer[]; readonly address: bigint };

function envelope(text: Uint8Array<ArrayBuffer>, control: ArrayBuffer, controlOctets: number): Envelope {
  const part = new BigUint64Array(new ArrayBuffer(16));
  part[0] = c.memoryAddress(text.buffer);
  part[1] = BigInt(text.length);
  const header = new BigUint64Array(new ArrayBuffer(64));
  header[2] = c.memoryAddress(part.buffer);
  header[3] = 1n;
  header[4] = controlOctets === 0 ? c.NULL : c.memoryAddress(control);
  header[5] = BigInt(controlOctets);
  return { header, parts: [text.buffer, control, part.buffer], address: c.memoryAddress(header.buffer) };
}

/**
 * Sends text and descriptors in one message on the connected unix socket `fd`. Throws Error when the kernel refuses it.
 */
export function sendDescriptors(fd: number, { text, descriptors }: ReceivedDescriptors): void {
  if (descriptors.length > MAX_DESCRIPTORS) throw new Error(`cannot pass more than ${MAX_DESCRIPTORS} sockets`);
  const octets = new Uint8Array(new ArrayBuffer(Buffer.byteLength(text)));
  octets.set(Buffer.from(text));
  const control = new ArrayBuffer(CONTROL_OCTETS);
  const view = new DataView(control);
  const used = CONTROL_HEAD_OCTETS + descriptors.length * 4;
  view.setBigUint64(0, BigInt(used), true);
  view.setUint32(8, c.SOL_SOCKET, true);
  view.setUint32(12, SCM_RIGHTS, true);
  descriptors.forEach((descriptor, index) => {
    view.setInt32(CONTROL_HEAD_OCTETS + index * 4, descriptor, true);
  });
  const message = envelope(octets, control, descriptors.length === 0 ? 0 : (used + 7) & ~7);
  const sent = c.libc().sendmmsg(fd, message.address, 1, c.MSG_DONTWAIT);
  if (sent !== 1) throw new Error(`cannot pass the sockets: errno ${c.libc().errno()}`);
  if (Number((message.header[7] ?? 0n) & 0xffff_ffffn) !== octets.length)
    throw new Error('only a part of the sockets was passed');
}

/**
 * Receives one message from the unix socket `fd`, which no other code may read. Returns undefined when none has
 * arrived, and an empty text without descriptors when the other side has closed. The descriptors have close-on-exec
 * set.
 */
export function receiveDescriptors(fd: number): ReceivedDescriptors | undefined {
  const octets = new Uint8Array(new ArrayBuffer(TEXT_OCTETS));
  const control = new ArrayBuffer(CONTROL_OCTETS);
  const message = envelope(octets, control, CONTROL_OCTETS);
  const received = c.libc().recvmmsg(fd, message.address, 1, c.MSG_DONTWAIT | MSG_CMSG_CLOEXEC, c.NULL);
  if (received < 0) {
    const errno = c.libc().errno();
    if (errno === c.ERRNO.EAGAIN || errno === c.ERRNO.EINTR) return undefined;
    return { text: '', descriptors: [] };
  }
  const length = Number((message.header[7] ?? 0n) & 0xffff_ffffn);
  const view = new DataView(control);
  const isRights =
    Number(message.header[5] ?? 0n) >= CONTROL_HEAD_OCTETS &&
    view.getUint32(8, true) === c.SOL_SOCKET &&
    view.getUint32(12, true) === SCM_RIGHTS;
  const count = isRights ? (Number(view.getBigUint64(0, true)) - CONTROL_HEAD_OCTETS) / 4 : 0;
  const descriptors = Array.from({ length: count }, (_, index) => view.getInt32(CONTROL_HEAD_OCTETS + index * 4, true));
  return { text: Buffer.from(octets.subarray(0, length)).toString(), descriptors };
}

/** The descriptor of a socket or server of node:net; undefined if it has none. Node.js has no public API for it. */
export function descriptorOf(socket: object): number | undefined {
  const { _handle: handle } = socket as { readonly _handle?: { readonly fd?: unknown } | null };
  return typeof handle?.fd === 'number' && handle.fd >= 0 ? handle.fd : undefined;
}
