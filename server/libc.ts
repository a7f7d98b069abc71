/**
 * The C library's calls for sockets, turns and memory, through koffi: the only file of the project that hands addresses of memory to
 * native code. Every call takes integers, so that one costs some 0.2 µs and allocates nothing. Addresses are bigints
 * made beforehand: as a number, each would be boxed anew for every call.
 *
 * Numbers and layouts are those of Linux on x64 and arm64: 64 bits, little-endian, and alike in glibc and musl.
 */
import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_DGRAM = 2;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_REUSEPORT = 15;
export const SO_RCVTIMEO = 20;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const IPPROTO_IP = 0;
export const IP_PKTINFO = 8;
export const IP_MTU_DISCOVER = 10;
export const IPPROTO_IPV6 = 41;
export const IPV6_MTU_DISCOVER = 23;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVPKTINFO = 49;
/** Neither IP_PMTUDISC_DO nor the kernel's idea of a path: what ICMP claims changes nothing. */
export const PMTUDISC_OMIT = 5;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_WAITFORONE = 0x10000;
export const POLLIN = 0x1;
export const POLLOUT = 0x4;

/** An address that points nowhere. */
export const NULL = 0n;

/** Turns by fair share, and real time in turns (sched(7)). */
export const SCHED_OTHER = 0;
export const SCHED_RR = 2;
/** sched_setattr(2), which the C library has no name for. */
const SYS_SCHED_SETATTR = { x64: 314, arm64: 274 } as const;

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
} as const;

/** Calls of the C library; those that fail return -1 and leave the reason in `errno()`. Addresses are those of `memoryAddress`. */
export type Libc = {
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, name: bigint, nameOctets: number): number;
  getsockname(fd: number, name: bigint, nameOctets: bigint): number;
  setsockopt(fd: number, level: number, option: number, value: bigint, valueOctets: number): number;
  /** Returns the messages received. */
  recvmmsg(fd: number, vector: bigint, messages: number, flags: number, timeout: typeof NULL): number;
  /** Returns the messages sent. */
  sendmmsg(fd: number, vector: bigint, messages: number, flags: number): number;
  /** Returns the octets sent. Without a name (NULL, 0) the socket is a connected one. */
  sendto(fd: number, data: bigint, octets: number, flags: number, name: bigint, nameOctets: number): number;
  poll(entries: bigint, count: number, timeoutMs: number): number;
  close(fd: number): number;
  /** Returns another descriptor of the same socket. */
  dup(fd: number): number;
  /** For the calling thread; the address is that of a `struct sched_attr`. */
  sched_setattr(attributes: bigint): number;
  /** Why the last call of this thread failed. Ask at once. */
  errno(): number;
};

type Loaded = { readonly libc: Libc; readonly koffi: typeof Koffi } | { readonly whyNot: string };

let loaded: Loaded | undefined;

/** Undefined when the calls can be made on this machine, else why not. */
export function whyNoLibc(): string | undefined {
  loaded ??= load();
  return 'whyNot' in loaded ? loaded.whyNot : undefined;
}

/** The calls. Throws where `whyNoLibc` has a reason. */
export function libc(): Libc {
  return use().libc;
}

/**
 * Where a buffer lies in memory. It stays there as long as the buffer is reachable: whoever writes the address
 * into a header must hold the buffer too.
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
  if (platform !== 'linux') return { whyNot: `recvmmsg is a call of Linux, this is ${platform}` };
  if (arch !== 'x64' && arch !== 'arm64') {
    return { whyNot: `the layouts of recvmmsg are known for x64 and arm64, this is ${arch}` };
  }
  try {
    // Not an import: where koffi has no binary, the module must still load so that it can say so.
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
      poll: bind('poll', ['uintptr_t', 'ulong', 'int']),
      close: bind('close', ['int']),
      dup: bind('dup', ['int']),
      sched_setattr: bindSchedule(library, SYS_SCHED_SETATTR[arch]),
      errno: () => koffi.errno(),
    } as Libc;
    return { libc: calls, koffi };
  } catch (error) {
    return { whyNot: `koffi could not be loaded: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function bindSchedule(library: ReturnType<typeof Koffi.load>, number: number): Libc['sched_setattr'] {
  const call = library.func('syscall', 'long', ['long', 'int', 'uintptr_t', 'uint32_t']);
  return (attributes) => call(number, 0, attributes, 0) as number;
}

/** mallopt(3). */
const M_MMAP_THRESHOLD = -3;
const LARGE_OCTETS = 512 * 1024;

/**
 * Has glibc take large blocks from the system one by one and give each back when it is freed. By itself it moves that
 * bound up to 32 MiB as it goes, and what then lies in the arena of a thread that has ended is never given back: 20 MB
 * of the compile thread's. To be called before any thread is started; does nothing where there is no such call.
 */
export function returnLargeBlocks(): void {
  callLibc((lib) => {
    lib.func('mallopt', 'int', ['int', 'int'])(M_MMAP_THRESHOLD, LARGE_OCTETS);
  });
}

/**
 * Gives memory that was freed back to the system (malloc_trim(3), glibc). Reading a configuration takes some
 * times what it leaves, and glibc keeps that for the process. Does nothing where there is no such call.
 */
export function releaseMemory(): void {
  callLibc((lib) => {
    lib.func('malloc_trim', 'int', ['size_t'])(0);
  });
}

/** madvise(2). */
const MADV_HUGEPAGE = 14;
/** Of x64, and of arm64 with pages of 4 kB. */
const LARGE_PAGE_OCTETS = 2n ** 21n;

/**
 * Shared memory in pages of 2 MiB where the kernel has them to give (transparent_hugepage: madvise or always). A question
 * to a million names looks at three or four places in a hundred megabytes, each in a page that the processor must find
 * first: 1.23 µs of user CPU in place of 1.38 with pages of 4 kB. Where there is no such call, it only allocates.
 */
export function allocateShared(octets: number): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(octets);
  callLibc((lib) => {
    // Before anything is written: what has a page already keeps it.
    const address = memoryAddress(memory);
    const from = (address / LARGE_PAGE_OCTETS + 1n) * LARGE_PAGE_OCTETS;
    const to = ((address + BigInt(octets)) / LARGE_PAGE_OCTETS) * LARGE_PAGE_OCTETS;
    if (from >= to) return;
    lib.func('madvise', 'int', ['uintptr_t', 'size_t', 'int'])(from, Number(to - from), MADV_HUGEPAGE);
  });
  return memory;
}

/** prctl(2). */
const PR_GET_NO_NEW_PRIVS = 39;

/**
 * Whether capabilities of the program's file do not count for this process (no_new_privs, as containers and systemd
 * units set it). Undefined where that cannot be known.
 */
export function cannotGainPrivileges(): boolean | undefined {
  let answer: unknown;
  callLibc((lib) => {
    const prctl = lib.func('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong']);
    answer = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
  });
  return typeof answer === 'number' && answer >= 0 ? answer === 1 : undefined;
}

/** SIG_IGN, and the signals that Linux has beyond those with names: SIGRTMIN to SIGRTMAX. */
const SIG_IGN = 1n;
const REAL_TIME_SIGNALS = { first: 34, last: 64 } as const;

/** Ignores real-time signals, which end a process by default and which Node.js has no names for. */
export function ignoreRealTimeSignals(): void {
  callLibc((lib) => {
    const ignore = lib.func('signal', 'uintptr_t', ['int', 'uintptr_t']);
    for (let signal: number = REAL_TIME_SIGNALS.first; signal <= REAL_TIME_SIGNALS.last; signal++)
      ignore(signal, SIG_IGN);
  });
}

/**
 * Ends the process at once, without waiting for its threads: `process.exit` waits for each, and one that waits for a file
 * system which does not answer never ends (_exit(2)).
 */
export function exitNow(code: number): void {
  callLibc((lib) => {
    lib.func('_exit', 'void', ['int'])(code);
  });
  process.kill(process.pid, 'SIGKILL');
}

/** For calls that not every C library has: musl, for one, lacks those for its memory, and keeps less. */
function callLibc(call: (lib: ReturnType<typeof Koffi.load>) => void): void {
  if (whyNoLibc() !== undefined) return;
  try {
    call(use().koffi.load(null));
  } catch {
    // There is none.
  }
}

/** prctl(2), capabilities(7) and capset(2): version 3 of the structures, 64 capabilities in two words. */
const PR_SET_KEEPCAPS = 8;
const CAPABILITY_VERSION = 0x20080522;
const CAP_NET_BIND_SERVICE = 10;

/**
 * Changes the user by `change`, and keeps of all capabilities the one to bind ports under 1024, for this thread and those
 * that it starts later. Where it had none, or the system knows none, it only changes the user.
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
    // Effective, permitted, inheritable: of capabilities 0 to 31, then of the others.
    const sets = new Uint32Array(new ArrayBuffer(24));
    sets[0] = sets[1] = 1 << CAP_NET_BIND_SERVICE;
    const set = (): number => capset(memoryAddress(header.buffer), memoryAddress(sets.buffer)) as number;
    if (set() === 0) return;
    // It did not have that one: none is left then.
    sets.fill(0);
    set();
  });
}

/** setrlimit(2). */
const RLIMIT_NICE = 13;
const RLIMIT_RTPRIO = 14;

/** Lets threads ask for the lowest real-time priority and nice -5 (precedence.ts) once this process is not root any more. */
export function allowRealTime(): void {
  callLibc((lib) => {
    const setrlimit = lib.func('setrlimit', 'int', ['int', 'uintptr_t']);
    for (const [limit, value] of [
      [RLIMIT_NICE, 25n],
      [RLIMIT_RTPRIO, 1n],
    ] as const) {
      const pair = new BigUint64Array([value, value]);
      setrlimit(limit, memoryAddress(pair.buffer));
    }
  });
}
