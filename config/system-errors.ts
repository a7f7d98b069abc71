/**
 * Classifies errors of system calls by whose fault they are. Only a fault of the target counts against its health
 * (docs/health.md#faults-of-this-machine). Pure.
 */
import { codeOf } from './unknown-values.ts';

/**
 * `target`: a packet of the target, or of a router on the way to it, caused the error, or the target was silent.
 * `machine`: this machine has no descriptor, memory, process or local port left, or forbids the call.
 * `network`: this machine has no way to the target: no route, or its link is down.
 * `ours`: a mistake in this program or in what it was told to do.
 */
export type Blame = 'target' | 'machine' | 'network' | 'ours';

/**
 * Whose fault a code indicates if nothing else is known of the error. A code that is not listed is the target's fault.
 */
const BLAME: ReadonlyMap<string, Blame> = new Map<string, Blame>([
  ...of('machine', [
    // Limits of the process and of the system: getrlimit(2), file-max, threads-max, the ports to connect from.
    ...['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL', 'EADDRINUSE', 'EAGAIN', 'EAI_MEMORY', 'EUSERS'],
    // Policy of this machine: a firewall that drops what it sends, seccomp, a security module.
    ...['EACCES', 'EPERM'],
    // Files and disks of this machine: a resolver's configuration, a program that is run.
    ...['EIO', 'ENOSPC', 'EROFS', 'EDQUOT', 'ELOOP', 'ENOENT', 'ENOTDIR', 'EISDIR', 'ETXTBSY', 'ENOEXEC', 'E2BIG'],
    // A family or protocol that is switched off, such as IPv6.
    ...['EAFNOSUPPORT', 'EPROTONOSUPPORT', 'ESOCKTNOSUPPORT', 'ENOSYS'],
  ]),
  ...of('network', ['ENETDOWN', 'ENODEV', 'ENXIO']),
  ...of('ours', ['EBADF', 'EFAULT', 'EINVAL', 'ENOTSOCK', 'EISCONN', 'EALREADY', 'EDESTADDRREQ', 'ENOTTY']),
]);

/** Whose fault these codes indicate if the local stack itself refused, before it sent a packet. */
const LOCAL_BLAME: ReadonlyMap<string, Blame> = new Map<string, Blame>(
  // EACCES and EINVAL: a route of the types `prohibit` and `blackhole` (ip-route(8)).
  of('network', ['ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'EACCES', 'EINVAL']),
);

function of(blame: Blame, codes: readonly string[]): readonly (readonly [string, Blame])[] {
  return codes.map((code) => [code, blame]);
}

/** Errors that the local stack is known to have returned at once. */
const local = new WeakSet<Error>();

/** Marks an error that the local stack returned at once, for example that of `connect` on a UDP socket. */
export function markLocal(error: Error): Error {
  local.add(error);
  return error;
}

/**
 * Says whose fault an error is. Errors that are neither of a system call nor of JavaScript itself are the target's
 * fault.
 */
export function blameOf(error: unknown): Blame {
  if (!(error instanceof Error)) return 'ours';
  // Several addresses of one host name were tried. An address that failed by its own fault decides.
  if (error instanceof AggregateError && error.errors.length > 0) {
    const blames = error.errors.map(blameOf);
    return blames.find((blame) => blame === 'target') ?? blames[0] ?? 'ours';
  }
  const code = codeOf(error);
  if (code === '') return isProgrammingError(error) ? 'ours' : 'target';
  if (isLocal(error)) return LOCAL_BLAME.get(code) ?? BLAME.get(code) ?? 'machine';
  // If the error of a connection contains no local address, it came later, with a packet: ICMPv6 "administratively
  // prohibited" is EACCES (RFC 4443 3.1).
  if (code === 'EACCES' && isOfConnection(error)) return 'target';
  if (/^ERR_(INVALID|OUT_OF_RANGE|MISSING|UNKNOWN|UNESCAPED|SOCKET_BAD)/.test(code)) return 'ours';
  return BLAME.get(code) ?? 'target';
}

/**
 * Node.js adds the local address to an error that connect(2) returned at once, and leaves it out of one that came
 * later, since no probe binds an address.
 */
function isLocal(error: Error): boolean {
  return local.has(error) || (isOfConnection(error) && / - Local \(.*\)$/.test(error.message));
}

function isOfConnection(error: Error): boolean {
  return 'syscall' in error && error.syscall === 'connect';
}

function isProgrammingError(error: Error): boolean {
  return [TypeError, RangeError, ReferenceError, SyntaxError].some((kind) => error instanceof kind);
}
