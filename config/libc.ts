/**
 * Calls of the C library for sockets, affinity and memory, through koffi. This is the only file of the project that
 * passes memory addresses to native code. Every call takes integers, so that it costs about 0.2 µs and allocates
 * nothing. Addresses are bigints that are made in advance: numbers of that size would be allocated for every call.
 *
 * Numbers and layouts are those of Linux on x64 and arm64: 64 bits, little-endian, identical in glibc and musl.
 */
import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
export const SO_RCVTIMEO = 20;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const IPPROTO_IP = 0;
export const IP_PKTINFO = 8;
export const IP_MTU_DISCOVER = 10;
export const IP_FREEBIND = 15;
export const IPPROTO_IPV6 = 41;
export const IPV6_MTU_DISCOVER = 23;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_FREEBIND = 78;
/** Ignores path MTU discovery, so that forged ICMP messages have no effect. */
export const PMTUDISC_OMIT = 5;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_WAITFORONE = 0x10000;
export const POLLIN = 0x1;
export const POLLOUT = 0x4;
export const EPOLL_CLOEXEC = 0o2000000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_MOD = 3;
export const EPOLLIN = 0x1;
export const EPOLLOUT = 0x4;
export const EPOLLERR = 0x8;
export const EPOLLHUP = 0x10;
export const EPOLLRDHUP = 0x2000;
/** Reports each change once. */
export const EPOLLET = 0x8000_0000;

/** The null pointer. */
export const NULL = 0n;

/** Errors by name: `errno` of Linux on x64 and arm64. */
export const ERRNO = {
  EINTR: 4,
  EBADF: 9,
  EAGAIN: 11,
  EACCES: 13,
  EPERM: 1,
  EINVAL: 22,
  ENOTSOCK: 88,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ECONNREFUSED: 111,
  EINPROGRESS: 115,
} as const;

/**
 * Calls of the C library. On failure they return -1, and `errno()` has the reason. Addresses come from `memoryAddress`.
 */
export type Libc = {
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, name: bigint, nameOctets: number): number;
  connect(fd: number, name: bigint, nameOctets: number): number;
  getsockname(fd: number, name: bigint, nameOctets: bigint): number;
  setsockopt(fd: number, level: number, option: number, value: bigint, valueOctets: number): number;
  /** Returns the number of messages received. */
  recvmmsg(fd: number, vector: bigint, messages: number, flags: number, timeout: typeof NULL): number;
  /** Returns the number of messages sent. */
  sendmmsg(fd: number, vector: bigint, messages: number, flags: number): number;
  /** Returns the number of octets sent. Without a name (NULL, 0), the socket must be connected. */
  sendto(fd: number, data: bigint, octets: number, flags: number, name: bigint, nameOctets: number): number;
  getsockopt(fd: number, level: number, option: number, value: bigint, valueOctets: bigint): number;
  /** Returns the number of octets received; 0: the other side has ended the connection. */
  recv(fd: number, data: bigint, octets: number, flags: number): number;
  poll(entries: bigint, count: number, timeoutMs: number): number;
  epoll_create1(flags: number): number;
  epoll_ctl(epoll: number, operation: number, fd: number, event: bigint): number;
  /** Returns the number of events written to `events`. */
  epoll_wait(epoll: number, events: bigint, most: number, timeoutMs: number): number;
  close(fd: number): number;
  /** Returns another descriptor of the same socket. */
  dup(fd: number): number;
  /** Thread 0 is the calling one. `mask` is the address of `octets` octets, a bit per core. */
  sched_getaffinity(thread: number, octets: number, mask: bigint): number;
  sched_setaffinity(thread: number, octets: number, mask: bigint): number;
  /** The error number of this thread's last call. Read it before the next call. */
  errno(): number;
};

type Loaded = { readonly libc: Libc; readonly koffi: typeof Koffi } | { readonly whyNot: string };

let loaded: Loaded | undefined;

/** Why these calls cannot be made on this machine; undefined when they can. */
export function whyNoLibc(): string | undefined {
  loaded ??= load();
  return 'whyNot' in loaded ? loaded.whyNot : undefined;
}

/** Returns the calls. Throws Error when `whyNoLibc` returns a reason. */
export function libc(): Libc {
  return use().libc;
}

/**
 * The address of a buffer in memory. It is valid as long as the buffer is reachable: code that keeps the address must
 * keep the buffer too.
 */
export function memoryAddress(buffer: ArrayBufferLike): bigint {
  const address = use().koffi.address(new Uint8Array(buffer));
  if (address === NULL) throw new Error('a buffer without an address');
  return address;
}

function use(): { libc: Libc; koffi: typeof Koffi } {
  loaded ??= load();
  if ('whyNot' in loaded) throw new Error(loaded.whyNot);
  return loaded;
}

function load(): Loaded {
  const { platform, arch } = process;
  if (platform !== 'linux') return { whyNot: `recvmmsg exists only on Linux; this is ${platform}` };
  if (arch !== 'x64' && arch !== 'arm64') {
    return { whyNot: `recvmmsg is supported on x64 and arm64; this is ${arch}` };
  }
  try {
    // Not an import: this module must load even where koffi has no binary.
    const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
    const library = koffi.load(null);
    const bind = (name: keyof Libc, types: readonly string[]): unknown => library.func(name, 'int', [...types]);
    const calls = {
      socket: bind('socket', ['int', 'int', 'int']),
      bind: bind('bind', ['int', 'uintptr_t', 'uint32_t']),
      getsockname: bind('getsockname', ['int', 'uintptr_t', 'uintptr_t']),
      setsockopt: bind('setsockopt', ['int', 'int', 'int', 'uintptr_t', 'uint32_t']),
      recvmmsg: bind('recvmmsg', ['int', 'uintptr_t', 'uint32_t', 'int', 'uintptr_t']),
      sendmmsg: bind('sendmmsg', ['int', 'uintptr_t', 'uint32_t', 'int']),
      sendto: bind('sendto', ['int', 'uintptr_t', 'size_t', 'int', 'uintptr_t', 'uint32_t']),
      connect: bind('connect', ['int', 'uintptr_t', 'uint32_t']),
      getsockopt: bind('getsockopt', ['int', 'int', 'int', 'uintptr_t', 'uintptr_t']),
      recv: bind('recv', ['int', 'uintptr_t', 'size_t', 'int']),
      epoll_create1: bind('epoll_create1', ['int']),
      epoll_ctl: bind('epoll_ctl', ['int', 'int', 'int', 'uintptr_t']),
      epoll_wait: bind('epoll_wait', ['int', 'uintptr_t', 'int', 'int']),
      poll: bind('poll', ['uintptr_t', 'ulong', 'int']),
      close: bind('close', ['int']),
      dup: bind('dup', ['int']),
      sched_getaffinity: bind('sched_getaffinity', ['int', 'size_t', 'uintptr_t']),
      sched_setaffinity: bind('sched_setaffinity', ['int', 'size_t', 'uintptr_t']),
      errno: () => koffi.errno(),
    } as Libc;
    return { libc: calls, koffi };
  } catch (error) {
    return { whyNot: `cannot load koffi: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** Room for 8,192 cores, the most that Linux supports. */
const MASK_OCTETS = 1024;

/** The cores that the calling thread may run on, in order (sched_getaffinity(2)). Empty where that is unknown. */
export function readCores(): number[] {
  if (whyNoLibc() !== undefined) return [];
  const mask = new Uint8Array(new ArrayBuffer(MASK_OCTETS));
  if (libc().sched_getaffinity(0, mask.byteLength, memoryAddress(mask.buffer)) !== 0) return [];
  return [...mask].flatMap((bits, index) =>
    Array.from({ length: 8 }, (_, bit) => ((bits >> bit) & 1 ? index * 8 + bit : -1)).filter((core) => core >= 0),
  );
}

/** Limits a thread to these cores (sched_setaffinity(2)). Needs no right. Returns false when the kernel refuses. */
export function writeCores(thread: number, cores: readonly number[]): boolean {
  if (whyNoLibc() !== undefined) return false;
  const mask = new Uint8Array(new ArrayBuffer(MASK_OCTETS));
  for (const core of cores) mask[core >> 3] = (mask[core >> 3] ?? 0) | (1 << (core & 7));
  return libc().sched_setaffinity(thread, mask.byteLength, memoryAddress(mask.buffer)) === 0;
}

/**
 * Calls `run` in this thread's event loop whenever the descriptor is readable, for as long as the returned value is
 * reachable. Does not keep the process alive. Promises that `run` settles, and errors that it throws, must wait for a
 * callback of Node.js.
 */
export function whenReadable(fd: number, run: () => void): unknown {
  const handle = use().koffi.node.poll(fd, { readable: true }, run);
  handle.unref();
  // While Node.js ends, the event loop runs once more. koffi would call JavaScript then, and abort the process.
  process.once('exit', () => {
    handle.close();
  });
  return handle;
}

/** mallopt(3). */
const M_TRIM_THRESHOLD = -1;
const M_MMAP_THRESHOLD = -3;
const LARGE_OCTETS = 512 * 1024;
/** The default of glibc, until it changes it. */
const UNUSED_OCTETS = 128 * 1024;

/**
 * Makes glibc map each large block separately and unmap it when it is freed. By default glibc raises this threshold up
 * to 32 MiB at run time, and blocks in the arena of an ended thread are never returned: 20 MB for the compile thread.
 * Also makes it return what is unused at the end of each arena. glibc has raised that threshold too, to twice the size
 * of the largest block that Node.js freed at its start: each helper thread of V8 kept 7 MB after its largest job.
 * Call this before any thread starts. Does nothing without mallopt.
 */
export function returnLargeBlocks(): void {
  callLibc((lib) => {
    const mallopt = lib.func('mallopt', 'int', ['int', 'int']);
    mallopt(M_MMAP_THRESHOLD, LARGE_OCTETS);
    mallopt(M_TRIM_THRESHOLD, UNUSED_OCTETS);
  });
}

/**
 * Returns freed memory to the system (malloc_trim(3), glibc). Reading a configuration takes several times the memory of
 * its result, and glibc would keep that for the process. Does nothing without malloc_trim.
 */
export function releaseMemory(): void {
  callLibc((lib) => {
    lib.func('malloc_trim', 'int', ['size_t'])(0);
  });
}

/** madvise(2). */
const MADV_HUGEPAGE = 14;
/** The size on x64, and on arm64 with pages of 4 kB. */
const LARGE_PAGE_OCTETS = 2n ** 21n;
/** In less memory, a part that is not used for long would take more than large pages save. */
const LEAST_LARGE_PAGES_OCTETS = 16 * 1024 * 1024;

/**
 * Allocates shared memory in pages of 2 MiB where the kernel provides them (transparent_hugepage: madvise or always).
 * With a million names, a query reads three or four places in a hundred megabytes, and each is a likely TLB miss. Large
 * pages cut the user CPU per query from 1.38 µs to 1.23 µs. Without madvise it allocates normal pages.
 */
export function allocateShared(octets: number): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(octets);
  if (octets < LEAST_LARGE_PAGES_OCTETS) return memory;
  callLibc((lib) => {
    // Before the first write: memory that has a page keeps it.
    const address = memoryAddress(memory);
    const from = (address / LARGE_PAGE_OCTETS + 1n) * LARGE_PAGE_OCTETS;
    const to = ((address + BigInt(octets)) / LARGE_PAGE_OCTETS) * LARGE_PAGE_OCTETS;
    if (from >= to) return;
    lib.func('madvise', 'int', ['uintptr_t', 'size_t', 'int'])(from, Number(to - from), MADV_HUGEPAGE);
  });
  return memory;
}

/** statx(2): paths are relative to the current folder; all of `struct stat`. */
const AT_FDCWD = -100;
const STATX_BASIC_STATS = 0x7ff;

/**
 * A function that examines a path and writes the result (`struct statx`, 256 octets) into `buffer`. It returns 0 if it
 * succeeds. Undefined without statx.
 */
export function bindStatx(buffer: ArrayBuffer): ((path: string) => number) | undefined {
  let bound: ((path: string) => number) | undefined;
  callLibc((lib) => {
    const statx = lib.func('statx', 'int', ['int', 'str', 'int', 'uint32_t', 'uintptr_t']);
    const address = memoryAddress(buffer);
    bound = (path) => statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, address) as number;
  });
  return bound;
}

/** An entry of the system's users (getpwnam(3)). */
export type PasswordEntry = { readonly name: string; readonly uid: number; readonly gid: number };

/**
 * Finds a user by name, or by number if it is written as one, in all sources of the system (nsswitch.conf(5)). Null if
 * there is none; undefined where the C library cannot be asked.
 */
export function findPasswordEntry(name: string): PasswordEntry | null | undefined {
  let found: PasswordEntry | null | undefined;
  callLibc((lib) => {
    const { koffi } = use();
    // The first members of `struct passwd`. There are more, which are not read.
    const entry = koffi.struct({ name: 'str', password: 'str', uid: 'uint32_t', gid: 'uint32_t' });
    const result = koffi.pointer(entry);
    const byName = lib.func('getpwnam', result, ['str'])(name) as unknown;
    const isNumber = /^\d{1,9}$/.test(name);
    const at = byName ?? (isNumber ? (lib.func('getpwuid', result, ['uint32_t'])(Number(name)) as unknown) : null);
    if (at === null) found = null;
    else {
      const { name: login, uid, gid } = koffi.decode(at, entry) as PasswordEntry;
      found = { name: login, uid, gid };
    }
  });
  return found;
}

/** prctl(2). */
const PR_GET_NO_NEW_PRIVS = 39;

/**
 * Whether this process ignores file capabilities (no_new_privs, which containers and systemd units set). Undefined
 * where that is unknown.
 */
export function cannotGainPrivileges(): boolean | undefined {
  let answer: unknown;
  callLibc((lib) => {
    const prctl = lib.func('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong']);
    answer = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
  });
  return typeof answer === 'number' && answer >= 0 ? answer === 1 : undefined;
}

/** SIG_IGN, and the real-time signals of Linux: SIGRTMIN to SIGRTMAX. */
const SIG_IGN = 1n;
const REAL_TIME_SIGNALS = { first: 34, last: 64 } as const;

/** Ignores real-time signals. They end a process by default, and Node.js has no names for them. */
export function ignoreRealTimeSignals(): void {
  callLibc((lib) => {
    const ignore = lib.func('signal', 'uintptr_t', ['int', 'uintptr_t']);
    for (let signal: number = REAL_TIME_SIGNALS.first; signal <= REAL_TIME_SIGNALS.last; signal++)
      ignore(signal, SIG_IGN);
  });
}

/**
 * Ends the process at once (_exit(2)). `process.exit` waits for every thread, and a thread that waits for an
 * unresponsive file system never ends.
 */
export function exitNow(code: number): void {
  skipExitHandlers(code);
  process.kill(process.pid, 'SIGKILL');
}

/**
 * Ends the process without the handlers that native code runs at its end. Those of koffi wait forever if stderr cannot
 * be synced. Does nothing where `whyNoLibc` has a reason.
 */
export function skipExitHandlers(code: number): void {
  callLibc((lib) => {
    lib.func('_exit', 'void', ['int'])(code);
  });
}

/**
 * Makes a call that some C libraries lack. Does nothing if this one lacks it: musl lacks the memory calls, and it keeps
 * less memory than glibc.
 */
function callLibc(call: (lib: ReturnType<typeof Koffi.load>) => void): void {
  if (whyNoLibc() !== undefined) return;
  try {
    call(use().koffi.load(null));
  } catch {
    // This C library does not have the call.
  }
}

/** prctl(2), capabilities(7) and capset(2): version 3 of the structures, 64 capabilities in two words. */
const PR_SET_KEEPCAPS = 8;
const CAPABILITY_VERSION = 0x20080522;
const CAP_NET_BIND_SERVICE = 10;

/**
 * Calls `change` to change the user, and keeps only the capability to bind ports below 1024, for this thread and those
 * that it starts later. Without that capability, or on a system without capabilities, it only changes the user.
 */
export function keepOnlyBinding(change: () => void): void {
  callLibc((lib) => {
    lib.func('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong'])(PR_SET_KEEPCAPS, 1, 0, 0, 0);
  });
  change();
  callLibc((lib) => {
    const capset = lib.func('capset', 'int', ['uintptr_t', 'uintptr_t']);
    const header = new Uint32Array(new ArrayBuffer(8));
    header[0] = CAPABILITY_VERSION;
    // Effective, permitted, inheritable sets of capabilities 0 to 31, then of 32 to 63.
    const sets = new Uint32Array(new ArrayBuffer(24));
    sets[0] = sets[1] = 1 << CAP_NET_BIND_SERVICE;
    const set = (): number => capset(memoryAddress(header.buffer), memoryAddress(sets.buffer)) as number;
    if (set() === 0) return;
    // The process did not have that capability: drop all of them.
    sets.fill(0);
    set();
  });
}

/** setrlimit(2): the limit is 20 minus the lowest nice value. */
const RLIMIT_NICE = 13;
const USUAL_NICE_LIMIT = 20n;

/**
 * Lets threads return to nice 0 after this process has left root: a control thread that is late, and an answering
 * thread that is restarted by a control thread of lower priority (spare-cores.ts).
 */
export function allowUsualPriority(): void {
  callLibc((lib) => {
    const setrlimit = lib.func('setrlimit', 'int', ['int', 'uintptr_t']);
    const pair = new BigUint64Array([USUAL_NICE_LIMIT, USUAL_NICE_LIMIT]);
    setrlimit(RLIMIT_NICE, memoryAddress(pair.buffer));
  });
}
