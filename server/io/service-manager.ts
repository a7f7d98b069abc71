/**
 * Reports the server's state to systemd (sd_notify(3)): one datagram per message to the unix socket in the environment
 * variable NOTIFY_SOCKET. With WatchdogSec= systemd ends a service that does not report in time that it is alive.
 * Node.js lacks unix datagram sockets, so this calls the C library.
 */
import { performance } from 'node:perf_hooks';
import * as c from '../../config/libc.ts';

/** States of sd_notify(3). */
export type ServiceState = 'READY' | 'RELOADING' | 'STOPPING';

export type ServiceManager = {
  /** Whether a service manager started this process and expects notifications. */
  readonly isThere: boolean;
  /** How long the manager waits for `alive` before it ends this process. Undefined if it does not wait for it. */
  readonly watchdogMs: number | undefined;
  /**
   * @param state undefined when only the status text changes
   * @param status one sentence, which `systemctl status` shows
   * @param extendMs how much longer the current state may last, where that exceeds the unit's timeout
   */
  tell(state: ServiceState | undefined, status: string, extendMs?: number): void;
  alive(): void;
};

/** For a process that no service manager started. */
export const NO_MANAGER: ServiceManager = {
  ...{ isThere: false, watchdogMs: undefined },
  tell: () => undefined,
  alive: () => undefined,
};

/** The environment of sd_notify(3) and sd_watchdog_enabled(3). */
type ManagerVariables = Readonly<Partial<Record<'NOTIFY_SOCKET' | 'WATCHDOG_USEC' | 'WATCHDOG_PID', string>>>;

/** struct sockaddr_un: u16 family, then the path. */
const FAMILY_OCTETS = 2;
const PATH_OCTETS = 108;

/**
 * @param variables NOTIFY_SOCKET is an absolute path, or an abstract name after `@`
 * @param warn is called once, with the reason why messages cannot be sent
 */
export function connectServiceManager(variables: ManagerVariables, warn: (message: string) => void): ServiceManager {
  const path = variables.NOTIFY_SOCKET;
  if (path === undefined || path === '') return NO_MANAGER;
  let warned = false;
  const fail = (why: string): void => {
    if (!warned) warn(`cannot notify the service manager at ${path}: ${why}`);
    warned = true;
  };
  const address = addressBytes(path);
  const send = (text: string): void => {
    const why = c.whyNoLibc();
    if (why !== undefined) {
      fail(why);
      return;
    }
    if (!address) {
      fail(`expected an absolute path or a name after "@", of at most ${String(PATH_OCTETS - 1)} octets`);
      return;
    }
    const errno = sendDatagram(address, Buffer.from(text));
    if (errno !== 0) fail(`errno ${String(errno)}`);
  };
  return {
    isThere: true,
    watchdogMs: watchdogOf(variables),
    tell(state, status, extendMs) {
      const lines = [
        ...(state === undefined ? [] : [`${state}=1`]),
        // systemd distinguishes reloads by this time (CLOCK_MONOTONIC, which hrtime uses on Linux).
        ...(state === 'RELOADING' ? [`MONOTONIC_USEC=${String(process.hrtime.bigint() / 1000n)}`] : []),
        `STATUS=${status.replaceAll('\n', ' ')}`,
        ...(extendMs === undefined ? [] : [`EXTEND_TIMEOUT_USEC=${String(Math.ceil(extendMs * 1000))}`]),
      ];
      send(lines.join('\n'));
    },
    alive: () => {
      send('WATCHDOG=1');
    },
  };
}

function watchdogOf({ WATCHDOG_USEC = '', WATCHDOG_PID = '' }: ManagerVariables): number | undefined {
  if (!/^\d+$/.test(WATCHDOG_USEC) || (WATCHDOG_PID !== '' && WATCHDOG_PID !== String(process.pid))) return undefined;
  return Number(WATCHDOG_USEC) / 1000 || undefined;
}

function addressBytes(path: string): Uint8Array<ArrayBuffer> | undefined {
  const name = Buffer.from(path);
  if ((path[0] !== '/' && path[0] !== '@') || name.length < 2 || name.length >= PATH_OCTETS) return undefined;
  // unix(7): an abstract name begins with a zero octet and ends with the address; a path ends with a zero octet.
  const isAbstract = path.startsWith('@');
  const address = new Uint8Array(new ArrayBuffer(FAMILY_OCTETS + name.length + (isAbstract ? 0 : 1)));
  new DataView(address.buffer).setUint16(0, c.AF_UNIX, true);
  address.set(name, FAMILY_OCTETS);
  if (isAbstract) address[FAMILY_OCTETS] = 0;
  return address;
}

/** How long to retry while the socket is full: the manager reads within milliseconds. */
const FULL_MS = 100;

/** Returns 0 or the errno. Never blocks on an unresponsive manager. */
function sendDatagram(address: Uint8Array<ArrayBuffer>, text: Buffer): number {
  const calls = c.libc();
  const octets = new Uint8Array(new ArrayBuffer(text.length));
  octets.set(text);
  const fd = calls.socket(c.AF_UNIX, c.SOCK_DGRAM | c.SOCK_CLOEXEC, 0);
  if (fd < 0) return calls.errno();
  try {
    const deadline = performance.now() + FULL_MS;
    for (;;) {
      const flags = c.MSG_DONTWAIT | c.MSG_NOSIGNAL;
      const sent = calls.sendto(
        fd,
        c.memoryAddress(octets.buffer),
        octets.length,
        flags,
        c.memoryAddress(address.buffer),
        address.length,
      );
      if (sent >= 0) return 0;
      const errno = calls.errno();
      const isFull = errno === c.ERRNO.EAGAIN || errno === c.ERRNO.EINTR;
      if (!isFull || performance.now() > deadline) return errno;
    }
  } finally {
    calls.close(fd);
  }
}
