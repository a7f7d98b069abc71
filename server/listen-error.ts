/**
 * Why a server could not listen, in words that an operator can act on.
 */
import { showEndpoint, isWildcardHost, type Endpoint } from '../wire/address.ts';
import { cannotGainPrivileges } from './libc.ts';

export type ListenFailure = {
  readonly endpoint: Endpoint;
  readonly transport: 'UDP' | 'TCP';
  /** As Node.js names it: `EADDRINUSE`. */
  readonly code: string;
};

/** `message` says what is wrong, `hint` what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly failure: ListenFailure;
  readonly hint: string;

  constructor(failure: ListenFailure) {
    super(describe(failure));
    this.failure = failure;
    this.hint = advise(failure);
  }
}

function describe({ endpoint, transport, code }: ListenFailure): string {
  const where = `${showEndpoint(endpoint)} (${transport})`;
  const isHidden = endpoint.written !== undefined;
  switch (code) {
    case 'EADDRINUSE':
      return `${where} is in use`;
    case 'EACCES':
    case 'EPERM':
      return `no permission for ${isHidden ? 'this' : `port ${endpoint.port}`}: cannot listen on ${where}`;
    case 'EADDRNOTAVAIL':
      return `no interface of this machine has ${isHidden ? 'this address' : endpoint.host}: cannot listen on ${where}`;
    case 'EAFNOSUPPORT':
      return `this machine has no ${endpoint.host.includes(':') ? 'IPv6' : 'IPv4'}: cannot listen on ${where}`;
    default:
      return `cannot listen on ${where}: ${code}`;
  }
}

function advise({ endpoint, transport, code }: ListenFailure): string {
  switch (code) {
    case 'EADDRINUSE':
      return endpoint.port === 53 && isWildcardHost(endpoint.host)
        ? 'systemd-resolved often holds 127.0.0.53:53: list the addresses to serve one by one, or set DNSStubListener=no'
        : `"ss -lpn${transport === 'UDP' ? 'u' : 't'}${endpoint.written === undefined ? ` sport = ${endpoint.port}` : ''}" shows who has it; stop that, or listen elsewhere`;
    case 'EACCES':
    case 'EPERM':
      return endpoint.port < 1024
        ? adviseOnPrivilege(endpoint.written === undefined ? endpoint.port : undefined, cannotGainPrivileges())
        : 'a security module or sandbox forbids it';
    case 'EADDRNOTAVAIL':
      return '"ip address" lists those it has; a wildcard (0.0.0.0, ::) takes them all';
    case 'EAFNOSUPPORT':
      return 'take the address out of "listen", or turn the protocol on';
    default:
      return 'see errno(3) for the code';
  }
}

/** How to allow a port under 1024, by what `cannotGainPrivileges` says. */
export function adviseOnPrivilege(port: number | undefined, cannotGain: boolean | undefined): string {
  const otherwise = 'or use a port over 1023';
  // Linux alone has file capabilities.
  if (cannotGain === undefined) return `start it as root, ${otherwise}`;
  return cannotGain
    ? `no-new-privileges is set, so allow it with "sysctl -w net.ipv4.ip_unprivileged_port_start=${port ?? 53}", ${otherwise}`
    : `allow it with "setcap 'cap_net_bind_service=+ep' ${quoted(process.execPath)}", ${otherwise}`;
}

/** For a shell. */
function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
