/**
 * Errors of listening, with a hint for the operator.
 */
import { cannotGainPrivileges } from '../config/libc.ts';
import { showEndpoint, isWildcardHost, type Endpoint } from '../wire/address.ts';

export type ListenFailure = {
  readonly endpoint: Endpoint;
  readonly transport: 'UDP' | 'TCP';
  /** The error code of Node.js, such as `EADDRINUSE`. */
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
        : `"ss -lpn${transport === 'UDP' ? 'u' : 't'}${endpoint.written === undefined ? ` sport = ${endpoint.port}` : ''}" shows the process that uses it; stop that process, or listen on another address`;
    case 'EACCES':
    case 'EPERM':
      return endpoint.port < 1024
        ? adviseOnPrivilege(endpoint.written === undefined ? endpoint.port : undefined, cannotGainPrivileges())
        : 'a security module or sandbox forbids it';
    case 'EADDRNOTAVAIL':
      return '"ip address" lists its addresses; a wildcard (0.0.0.0, ::) covers all of them; "freebind: true" listens on an address that comes later';
    case 'EAFNOSUPPORT':
      return 'remove the address from "listen", or enable the protocol';
    default:
      return 'see errno(3) for the code';
  }
}

/** The hint for a port below 1024. `cannotGain` is the result of `cannotGainPrivileges`. */
export function adviseOnPrivilege(port: number | undefined, cannotGain: boolean | undefined): string {
  const otherwise = 'or use a port over 1023';
  // Only Linux has file capabilities.
  if (cannotGain === undefined) return `start it as root, ${otherwise}`;
  return cannotGain
    ? `no-new-privileges is set, so allow it with "sysctl -w net.ipv4.ip_unprivileged_port_start=${port ?? 53}", ${otherwise}`
    : `allow it with "setcap 'cap_net_bind_service=+ep' ${quoted(process.execPath)}", ${otherwise}`;
}

/** Quotes a path for a shell. */
function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
