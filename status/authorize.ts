/**
 * Who may read and who may change (SPEC 7), decided from plain values.
 *
 *                          no token configured      token configured
 *     alive? ready?        everybody                everybody
 *     read, from loopback  yes                      yes
 *     read, from elsewhere 403                      with the token, else 401
 *     change               403                      with the token, else 401
 *     report               everybody                everybody
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { isLoopback, parseAddress } from '../wire/address.ts';
import { problem, type Problem } from './problem.ts';

/**
 * What a route needs: `open` is for orchestrators' probes, which carry no token, and `report` for web pages, which send
 * what they measured.
 */
export type Access = 'open' | 'read' | 'change' | 'report';

export type Request = {
  /** The address of the connection's other end. */
  readonly peer: string;
  /** The Host header; empty without one. */
  readonly host: string;
  /** Whether a proxy says that it passes on somebody else's request. */
  readonly forwarded: boolean;
  /** The Authorization header. */
  readonly authorization: string | undefined;
};

/** Undefined when the request may go on; else the 401 or 403 to answer. */
export function authorize(request: Request, access: Access, token: string | undefined): Problem | undefined {
  if (access === 'open' || access === 'report') return undefined;
  const given = bearer(request.authorization);
  if (token !== undefined && given !== undefined) {
    if (sameSecret(given, token)) return undefined;
    return problem(401, 'the token is not the one of status.token');
  }
  if (access === 'read' && isLocal(request)) return undefined;
  const what = access === 'read' ? 'reading from another machine' : 'a change';
  if (token === undefined) {
    return problem(403, `${what} needs a token, and this server has none`, {
      hint: 'set status.token in pharos.yaml and restart, then send "Authorization: Bearer <token>"',
    });
  }
  return problem(401, `${what} needs a token`, { hint: 'send "Authorization: Bearer <token>"' });
}

/**
 * Asked on this machine, by a program on this machine. A proxy here that passes on requests from elsewhere
 * does not make them local; nor does a web page whose name was made to resolve to 127.0.0.1 (DNS rebinding),
 * which is why the Host must be an address or localhost.
 */
function isLocal(request: Request): boolean {
  return !request.forwarded && isLocalPeer(request.peer) && isLocalHost(request.host);
}

function isLocalPeer(text: string): boolean {
  // A socket on :: shows IPv4 peers as mapped addresses (RFC 4291 2.5.5.2).
  const address = parseAddress(text.replace(/^::ffff:(?=\d+\.)/i, ''));
  return address !== undefined && isLoopback(address);
}

function isLocalHost(host: string): boolean {
  // HTTP/1.0 needs none, and no browser goes without.
  if (host === '') return true;
  const name = host.replace(/:\d+$/, '').toLowerCase();
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  return parseAddress(name.replace(/^\[(.*)\]$/, '$1')) !== undefined;
}

/** RFC 6750 2.1; the scheme's case does not matter (RFC 9110 11.1). */
function bearer(header: string | undefined): string | undefined {
  return header === undefined ? undefined : /^Bearer +(\S+) *$/i.exec(header)?.[1];
}

/** Digests have one length, so that neither the secret's length nor its beginning shows in the time. */
function sameSecret(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
