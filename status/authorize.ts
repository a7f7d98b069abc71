/**
 * Access control (docs/http-api.md#access), decided from plain values.
 *
 *                          no credentials configured  credentials configured
 *     alive, ready         yes                        yes
 *     read, from loopback  yes                        yes; with any of them where `openReading` is false
 *     read, from elsewhere 403                        with any of them, else 401
 *     operate, update      403                        with one that has the role, else 403; without any 401
 *     report               yes                        yes
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { TOKEN_NAME, type Credential, type Role } from '../config/settings.ts';
import { isLoopback, parseAddress } from '../wire/address.ts';
import { problem, type Problem } from './problem.ts';

/** Access that a route needs. `open` is for orchestrators' probes, which carry no token; `report` is for web pages. */
export type Access = 'open' | Role | 'report';

/** `token` has all roles. `credentials` are those of `status.tokens`. */
export type AccessRules = {
  readonly token: string | undefined;
  readonly credentials?: readonly Credential[];
  /** False: reading from this machine needs a token too. Default: true. */
  readonly openReading?: boolean;
};

/** What `status.token` permits: everything. */
const ALL_ROLES: readonly Role[] = ['operate', 'update'];

export type Request = {
  /** The address of the connection's other end. */
  readonly peer: string;
  /** The Host header; empty without one. */
  readonly host: string;
  /** Local port of the connection. */
  readonly port: number;
  /** Whether the connection uses TLS. */
  readonly secure?: boolean;
  /** Whether a proxy forwarded the request: `isForwarded`. */
  readonly forwarded: boolean;
  /** The Authorization header. */
  readonly authorization: string | undefined;
  /** The names in a client certificate that was verified: see `namesOfClient`. */
  readonly certificate?: readonly string[];
};

/** Who sent a request, by its token or client certificate. */
export type Identity =
  | { readonly kind: 'known'; readonly who: string; readonly roles: readonly Role[] }
  | { readonly kind: 'none' }
  | { readonly kind: 'wrong token' };

/** The token takes precedence over the certificate. */
export function identify(
  { authorization, certificate = [] }: Pick<Request, 'authorization' | 'certificate'>,
  { token, credentials = [] }: AccessRules,
): Identity {
  const given = bearer(authorization);
  const named = credentials.find((each) => each.certificate !== undefined && certificate.includes(each.certificate));
  if (given !== undefined && (token !== undefined || credentials.length > 0)) {
    const digest = digestOf(given);
    // Compares with all of them, so that the time does not tell which of them is near.
    const all: Identity[] = credentials.flatMap(({ name, roles, sha256 }) =>
      sha256 !== undefined && isSame(digest, Buffer.from(sha256, 'hex')) ? [{ kind: 'known', who: name, roles }] : [],
    );
    if (token !== undefined && isSame(digest, digestOf(token))) {
      all.push({ kind: 'known', who: TOKEN_NAME, roles: ALL_ROLES });
    }
    return all[0] ?? { kind: 'wrong token' };
  }
  return named === undefined ? { kind: 'none' } : { kind: 'known', who: named.name, roles: named.roles };
}

/** Undefined if the request is allowed; otherwise the 401 or 403 to send. */
export function authorize(
  request: Request,
  access: Access,
  rules: AccessRules,
  identity: Identity = identify(request, rules),
): Problem | undefined {
  if (access === 'open' || access === 'report') return undefined;
  if (identity.kind === 'wrong token') {
    const them = (rules.credentials ?? []).length === 0 ? 'differs from status.token' : 'is not one of this server';
    return problem(401, `wrong token: it ${them}`);
  }
  if (identity.kind === 'known') {
    const { who, roles } = identity;
    if (access === 'read' || roles.includes(access)) return undefined;
    return problem(403, `${who} has the role ${roles.join(' and ')}, and this needs the role ${access}`, {
      hint: `use another token, or add "${access}" to its roles`,
    });
  }
  const { token, credentials = [], openReading = true } = rules;
  if (access === 'read' && openReading && isLocal(request)) return undefined;
  const what = access !== 'read' ? 'a change' : openReading ? 'reading from another machine' : 'reading';
  if (token === undefined && credentials.length === 0) {
    return problem(403, `${what} needs a token, and this server has none`, {
      hint: 'set status.token in pharos.yaml and reload, then send "Authorization: Bearer <token>"',
    });
  }
  return problem(401, `${what} needs a token`, { hint: 'send "Authorization: Bearer <token>"' });
}

/**
 * Whether a program on this machine sent the request. Requests that a local proxy forwards are not local. The Host must
 * be a loopback address or localhost with the port of this server, as protection from DNS rebinding: a web page whose
 * name resolves to 127.0.0.1.
 */
function isLocal(request: Request): boolean {
  return !request.forwarded && isLocalPeer(request.peer) && isLocalHost(request);
}

function isLocalPeer(text: string): boolean {
  // A socket on :: shows IPv4 peers as mapped addresses (RFC 4291 2.5.5.2).
  const address = parseAddress(text.replace(/^::ffff:(?=\d+\.)/i, ''));
  return address !== undefined && isLoopback(address);
}

function isLocalHost({ host, port, secure = false }: Request): boolean {
  // HTTP/1.0 does not require a Host. Every browser and proxy sends one.
  if (host === '') return true;
  const [, name = '', digits = String(secure ? HTTPS_PORT : HTTP_PORT)] =
    /^(.*?)(?::(\d+))?$/.exec(host.toLowerCase()) ?? [];
  if (Number(digits) !== port) return false;
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  const address = parseAddress(name.replace(/^\[(.*)\]$/, '$1'));
  return address !== undefined && isLoopback(address);
}

/** Default ports of http and https URLs. */
const HTTP_PORT = 80;
const HTTPS_PORT = 443;

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

/** Digests have one length, so that the time of a comparison reveals neither length nor beginning of the secret. */
function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function isSame(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
