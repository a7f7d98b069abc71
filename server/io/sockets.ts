/**
 * Sockets as file descriptors. They belong to the process: the control thread opens them, and answering threads use
 * them by number. When a thread dies, its successor continues with the same socket and its queue.
 */
import * as c from '../../config/libc.ts';
import { isWildcardHost, parseAddress, type Endpoint, type Prefix } from '../../wire/address.ts';
import { ListenError } from '../listen-error.ts';

/** An open UDP socket, to be posted to a thread. */
export type UdpSocket = {
  readonly fd: number;
  readonly family: 4 | 6;
  /** Networks whose datagrams begin with a PROXY header; undefined: none (see `Endpoint`). */
  readonly proxy: readonly Prefix[] | undefined;
};

/** Room for about 10,000 queries that arrive while a thread is not scheduled. The kernel may grant less. */
const BUFFER_OCTETS = 4 * 1024 * 1024;
/** Receive timeout, after which a thread checks for a publication or a stop. */
const RECEIVE_TIMEOUT_MS = 50;

/**
 * Opens `count` sockets on one endpoint, over which the kernel distributes clients (SO_REUSEPORT). The first is bound
 * exclusively, which fails if any other socket has the address, with SO_REUSEPORT or without. Only then is sharing
 * enabled for the others. With SO_REUSEPORT from the start, two servers could share an address unnoticed. Throws
 * ListenError; then nothing stays open. `endpoint.port` 0 selects one free port for all.
 *
 * @param inherited sockets that are already open at this endpoint. They come first; there may be more than `count`.
 */
export function openUdpSockets(
  endpoint: Endpoint,
  count: number,
  inherited: readonly number[] = [],
): { sockets: UdpSocket[]; port: number } {
  const family = endpoint.host.includes(':') ? 6 : 4;
  const sockets: UdpSocket[] = inherited.map((fd) => ({ fd, family, proxy: endpoint.proxy }));
  try {
    const first = sockets[0] ?? openUdpSocket(endpoint, 'alone');
    if (sockets.length === 0) sockets.push(first);
    const port = endpoint.port === 0 ? boundPort(first.fd, endpoint) : endpoint.port;
    if (count > sockets.length) setOption(first.fd, c.SOL_SOCKET, c.SO_REUSEPORT, 1, endpoint);
    while (sockets.length < count) sockets.push(openUdpSocket({ ...endpoint, port }, 'shared'));
    return { sockets, port };
  } catch (error) {
    closeSockets(sockets);
    throw error;
  }
}

/** Closes the sockets of `openUdpSockets`. */
export function closeSockets(sockets: readonly UdpSocket[]): void {
  for (const { fd } of sockets) c.libc().close(fd);
}

function openUdpSocket(endpoint: Endpoint, how: 'alone' | 'shared'): UdpSocket {
  const wildcard = isWildcardHost(endpoint.host);
  return openBound(endpoint, 'UDP', c.SOCK_DGRAM | c.SOCK_CLOEXEC, (fd, family) => {
    if (how === 'shared') setOption(fd, c.SOL_SOCKET, c.SO_REUSEPORT, 1, endpoint);
    if (wildcard && family === 4) setOption(fd, c.IPPROTO_IP, c.IP_PKTINFO, 1, endpoint);
    if (wildcard && family === 6) setOption(fd, c.IPPROTO_IPV6, c.IPV6_RECVPKTINFO, 1, endpoint);
    tune(fd, family);
  });
}

/**
 * Whether the endpoint is bound by `openFreebound`. Without libc, Node.js binds it, which fails if no interface has it.
 */
export function isFreebound(endpoint: Endpoint): boolean {
  return endpoint.freebind === true && c.whyNoLibc() === undefined;
}

/**
 * Opens a socket for Node.js, which cannot set `freebind` itself: bound exclusively and nonblocking. Throws
 * ListenError.
 */
export function openFreebound(endpoint: Endpoint, transport: 'UDP' | 'TCP'): number {
  const type = transport === 'UDP' ? c.SOCK_DGRAM : c.SOCK_STREAM;
  const { fd } = openBound(endpoint, transport, type | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC, (open) => {
    // As libuv does it, so that connections which wait for their end do not prevent a restart.
    if (transport === 'TCP') setOption(open, c.SOL_SOCKET, c.SO_REUSEADDR, 1, endpoint, transport);
  });
  return fd;
}

function openBound(
  endpoint: Endpoint,
  transport: 'UDP' | 'TCP',
  type: number,
  prepare: (fd: number, family: 4 | 6) => void,
): UdpSocket {
  const address = parseAddress(endpoint.host);
  if (!address) throw new TypeError(`invalid address: ${endpoint.host}`);
  const family = address.length === 4 ? 4 : 6;
  const libc = c.libc();
  const fd = libc.socket(family === 4 ? c.AF_INET : c.AF_INET6, type, 0);
  if (fd < 0) throw failure(endpoint, transport);
  try {
    if (family === 6) setOption(fd, c.IPPROTO_IPV6, c.IPV6_V6ONLY, 1, endpoint, transport);
    if (endpoint.freebind === true) {
      if (family === 4) setOption(fd, c.IPPROTO_IP, c.IP_FREEBIND, 1, endpoint, transport);
      else setOption(fd, c.IPPROTO_IPV6, c.IPV6_FREEBIND, 1, endpoint, transport);
    }
    prepare(fd, family);
    const name = socketName(address, endpoint.port);
    if (libc.bind(fd, c.memoryAddress(name.buffer), name.length) < 0) throw failure(endpoint, transport);
    return { fd, family, proxy: endpoint.proxy };
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** Sets options that improve a socket but are not required: the kernel may refuse them. */
function tune(fd: number, family: 4 | 6): void {
  // The first option exceeds the system's limit, but needs CAP_NET_ADMIN (socket(7)).
  if (trySetOption(fd, c.SOL_SOCKET, c.SO_RCVBUFFORCE, BUFFER_OCTETS) < 0) {
    trySetOption(fd, c.SOL_SOCKET, c.SO_RCVBUF, BUFFER_OCTETS);
  }
  if (trySetOption(fd, c.SOL_SOCKET, c.SO_SNDBUFFORCE, BUFFER_OCTETS) < 0) {
    trySetOption(fd, c.SOL_SOCKET, c.SO_SNDBUF, BUFFER_OCTETS);
  }
  // RFC 9715 3.1: forged ICMP messages must not make the kernel send fragments.
  if (family === 4) trySetOption(fd, c.IPPROTO_IP, c.IP_MTU_DISCOVER, c.PMTUDISC_OMIT);
  else trySetOption(fd, c.IPPROTO_IPV6, c.IPV6_MTU_DISCOVER, c.PMTUDISC_OMIT);
  // struct timeval: seconds and microseconds, 64 bits each.
  const timeout = new BigInt64Array([0n, BigInt(RECEIVE_TIMEOUT_MS * 1000)]);
  c.libc().setsockopt(fd, c.SOL_SOCKET, c.SO_RCVTIMEO, c.memoryAddress(timeout.buffer), timeout.byteLength);
}

function trySetOption(fd: number, level: number, option: number, value: number): number {
  const cell = new Int32Array([value]);
  return c.libc().setsockopt(fd, level, option, c.memoryAddress(cell.buffer), cell.byteLength);
}

function setOption(
  fd: number,
  level: number,
  option: number,
  value: number,
  endpoint: Endpoint,
  transport: 'UDP' | 'TCP' = 'UDP',
): void {
  if (trySetOption(fd, level, option, value) < 0) throw failure(endpoint, transport);
}

/** Makes a sockaddr_in or sockaddr_in6; layout in message-vector.ts. */
function socketName(address: Uint8Array, port: number): Uint8Array<ArrayBuffer> {
  const name = new Uint8Array(new ArrayBuffer(address.length === 4 ? 16 : 28));
  const view = new DataView(name.buffer);
  view.setUint16(0, address.length === 4 ? c.AF_INET : c.AF_INET6, true);
  view.setUint16(2, port);
  name.set(address, address.length === 4 ? 4 : 8);
  return name;
}

function boundPort(fd: number, endpoint: Endpoint): number {
  const name = new Uint8Array(new ArrayBuffer(28));
  const octets = new Uint32Array(new ArrayBuffer(4));
  octets[0] = name.length;
  if (c.libc().getsockname(fd, c.memoryAddress(name.buffer), c.memoryAddress(octets.buffer)) < 0)
    throw failure(endpoint);
  return new DataView(name.buffer).getUint16(2);
}

function failure(endpoint: Endpoint, transport: 'UDP' | 'TCP' = 'UDP'): ListenError {
  const errno = c.libc().errno();
  const name = Object.entries(c.ERRNO).find(([, number]) => number === errno)?.[0];
  return new ListenError({ endpoint, transport, code: name ?? `errno ${errno}` });
}
