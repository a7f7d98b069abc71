/**
 * Access control (docs/http-api.md#access), decided from plain values.
 *
 *                          no token configured      token configured
 *     alive, ready         yes                      yes
 *     read, from loopback  yes                      yes; with the token where `open_reading` is false
 *     read, from elsewhere 403                      with the token, else 401
 *     change               403                      with the token, else 401
 *     report               yes                      yes
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { isLoopback, parseAddress } from '../wire/address.ts';
import { problem, type Problem } from './problem.ts';

/** Access that a route needs. `open` is for orchestrators' probes, which carry no token; `report` is for web pages. */
export type Access = 'open' | 'read' | 'change' | 'report';

export type Request = {
  /** The address of the connection's other end. */
  readonly peer: string;
  /** The Host header; empty without one. */
  readonly host: string;
  /** Local port of the connection. */
  readonly port: number;
  /** Whether a proxy forwarded the request: `isForwarded`. */
  readonly forwarded: boolean;
  /** The Authorization header. */
  readonly authorization: string | undefined;
};

/** Undefined if the request is allowed; otherwise the 401 or 403 to send. */
export function authorize(
  request: Request,
  access: Access,
  token: string | undefined,
  openReading = true,
): Problem | undefined {
  if (access === 'open' || access === 'report') return undefined;
  const given = bearer(request.authorization);
  if (token !== undefined && given !== undefined) {
    if (sameSecret(given, token)) return undefined;
    return problem(401, 'wrong token: it differs from status.token');
  }
  if (access === 'read' && openReading && isLocal(request)) return undefined;
  const what = access === 'change' ? 'a change' : openReading ? 'reading from another machine' : 'reading';
  if (token === undefined) {
    return problem(403, `${what} needs a token, and this server has none`, {
      hint: 'set status.token in pharos.yaml and restart, then send "Authorization: Bearer <token>"',
    });
  }
  return problem(401, `${what} needs a token`, { hint: 'send "Authorization: Bearer <token>"' });
}

/** Whether the request carries a wrong token. */
export function hasWrongToken(authorization: string | undefined, token: string | undefined): boolean {
  const given = bearer(authorization);
  return token !== undefined && given !== undefined && !sameSecret(given, token);
}

/**
 * Whether a program on this machine sent the request. Requests that a local proxy forwards are not local. The Host must
 * be a loopback address or localhost with the port of this server, as protection from DNS rebinding: a web page whose
 * name resolves to 127.0.0.1.
 */
function isLocal(request: Request): boolean {
  return !request.forwarded && isLocalPeer(request.peer) && isLocalHost(request.host, request.port);
}

function isLocalPeer(text: string): boolean {
  // A socket on :: shows IPv4 peers as mapped addresses (RFC 4291 2.5.5.2).
  const address = parseAddress(text.replace(/^::ffff:(?=\d+\.)/i, ''));
  return address !== undefined && isLoopback(address);
}

function isLocalHost(host: string, port: number): boolean {
  // HTTP/1.0 does not require a Host. Every browser and proxy sends one.
  if (host === '') return true;
  const [, name = '', digits = String(HTTP_PORT)] = /^(.*?)(?::(\d+))?$/.exec(host.toLowerCase()) ?? [];
  if (Number(digits) !== port) return false;
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  const address = parseAddress(name.replace(/^\[(.*)\]$/, '$1'));
  return address !== undefined && isLoopback(address);
}

/** Default port of an http URL. */
const HTTP_PORT = 80;

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * Headers that proxies, load balancers and content delivery networks add to forwarded requests. `*` at the end matches
 * any rest.
 */
const PROXY_HEADERS = [
  // RFC 9110 7.6.3, RFC 7239, RFC 8586.
  'via',
  'forwarded',
  'cdn-loop',
  // nginx, HAProxy, Apache, Caddy, Traefik, Envoy, Squid, Varnish.
  'x-forwarded',
  'x-forwarded-*',
  'x-forward-*',
  'forwarded-*',
  'x-real-*',
  'x-original-*',
  'x-originating-*',
  'x-remote-*',
  'x-client-ip',
  'client-ip',
  'x-cluster-client-ip',
  'x-proxy-*',
  'x-proxyuser-ip',
  'x-envoy-*',
  'x-varnish',
  'x-host',
  'proxy-connection',
  'x-scheme',
  'x-ssl-*',
  // Cloudflare, Akamai, Fastly, CloudFront and AWS, Azure, Google, Fly.
  'cf-*',
  'true-client-ip',
  'akamai-*',
  'x-akamai-*',
  'fastly-*',
  'x-amz-cf-*',
  'x-amzn-*',
  'cloudfront-*',
  'x-azure-*',
  'x-arr-*',
  'x-appengine-*',
  'x-cloud-trace-context',
  'x-goog-*',
  'fly-*',
  // Access proxies, which add the name of the user.
  'x-auth-request-*',
  'tailscale-*',
];
const EXACT = new Set(PROXY_HEADERS.filter((name) => !name.endsWith('*')));
const BEGINNINGS = PROXY_HEADERS.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1));

/** Whether a proxy forwarded the request. Header names are in lower case, as in node:http. */
export function isForwarded(headers: Headers, httpVersion: string): boolean {
  // By default nginx adds no header, but forwards requests as HTTP/1.0 with "Connection: close".
  if (httpVersion === '1.0' && headers['connection'] === 'close') return true;
  return Object.keys(headers).some((name) => EXACT.has(name) || BEGINNINGS.some((begin) => name.startsWith(begin)));
}

/**
 * Whether a web page of another site sent the request. A page that a user of this machine opens must not use the access
 * of this machine. Browsers add `Origin` to requests of scripts and forms, and `Sec-Fetch-Site` to all. Links are
 * allowed.
 */
export function isForeignPage(headers: Headers): boolean {
  const { origin, host } = headers;
  if (origin !== undefined && (typeof origin !== 'string' || hostOfOrigin(origin) !== host?.toString().toLowerCase())) {
    return true;
  }
  return headers['sec-fetch-site'] === 'cross-site' && headers['sec-fetch-mode'] !== 'navigate';
}

/** The host, with its port if it is not the default; undefined for `null` and for origins other than http. */
function hostOfOrigin(origin: string): string | undefined {
  return /^https?:\/\/([^/?#@\s]+)$/i.exec(origin)?.[1]?.toLowerCase();
}

/** RFC 6750 2.1; the scheme's case does not matter (RFC 9110 11.1). */
function bearer(header: string | undefined): string | undefined {
  return header === undefined ? undefined : /^Bearer +(\S+) *$/i.exec(header)?.[1];
}

/** Compares digests, which have one length, so that the time reveals neither length nor beginning of the secret. */
function sameSecret(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
