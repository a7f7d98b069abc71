/**
 * Whether the link of this machine that leads to a target is down. A disconnected cable does not change the routes.
 * Packets are lost and probes time out, or fail with EHOSTUNREACH because no host answers ARP, as if the target were
 * gone.
 *
 *     route through a gateway, its link down              this machine's fault: the gateway serves more than the target
 *     no gateway, its link down, no other link running    this machine's fault
 *     no gateway, its link down, another link running     not known: the target may be at the other end of the cable,
 *                                                         or be a container that has ended. `suspect` decides
 *     no route                                            connect(2) says so itself (ENETUNREACH)
 *
 * Only the main routing table is read, not rules for other tables (ip-rule(8)). Only a route that exists and leads to a
 * dead link counts. Linux takes up to a second to see that a link is down; a `timeout` is longer, or `check` warns.
 */
import { readdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { readRegularFile } from '../config/read-file.ts';
import { formatAddress, inPrefix, parseAddress, type Prefix } from '../wire/address.ts';
import type { Clock } from './clock.ts';
import { LINKS_FRESH_MS, MAX_ROUTES_OCTETS } from './limits.ts';

/** The known state of this machine's network at one moment. */
export type Links = {
  readonly routes: readonly Route[];
  /** Addresses of this machine on interfaces that run. */
  readonly own: ReadonlySet<string>;
  /** Whether an interface runs: it is up and its link works. */
  readonly runs: (name: string) => boolean;
  /** Whether any interface but loopback runs. */
  readonly anyRuns: boolean;
};

export type Route = { readonly to: Prefix; readonly link: string; readonly gateway: boolean };

/** The link to the host, if it is down because of a fault of this machine; undefined otherwise. Pure. */
export function deadLinkTo(host: string, links: Links): string | undefined {
  const { routes, own, runs, anyRuns } = links;
  const address = parseAddress(host);
  if (host === 'localhost' || own.has(host) || address?.[0] === LOOPBACK_OCTET) return undefined;
  // The resolver of a host name, and the host itself, are likely behind the default route.
  const all = routes.filter(({ to }) => (address === undefined ? to.bits === 0 : inPrefix(address, to)));
  const bits = Math.max(...all.map(({ to }) => to.bits));
  const best = all.filter(({ to }) => to.bits === bits);
  if (best.length === 0 || best.some(({ link }) => runs(link))) return undefined;
  return best.find(({ gateway }) => gateway || !anyRuns)?.link;
}

/** `127.0.0.0/8`, whose routes are not in the main table. */
const LOOPBACK_OCTET = 127;

const FLAG = { UP: 0x1, GATEWAY: 0x2, REJECT: 0x200 } as const;

/** The routes in /proc/self/net/route: words in little-endian byte order, that of all machines that Pharos runs on. */
export function readRoutes4(text: string): readonly Route[] {
  return text.split('\n').flatMap((line) => {
    const [link = '', to = '', , flags = '', , , , mask = ''] = line.split(/\s+/);
    if (!/^[0-9A-F]{8}$/.test(to) || !/^[0-9A-F]{8}$/.test(mask)) return [];
    const bits = [...Buffer.from(mask, 'hex')].reduce(
      (sum, octet) => sum + octet.toString(2).replaceAll('0', '').length,
      0,
    );
    return routeOf(link, Buffer.from(to, 'hex').reverse(), bits, Number.parseInt(flags, 16));
  });
}

/** The routes in /proc/self/net/ipv6_route. */
export function readRoutes6(text: string): readonly Route[] {
  return text.split('\n').flatMap((line) => {
    const [to = '', bits = '', , , , , , , flags = '', link = ''] = line.split(/\s+/);
    if (!/^[0-9a-f]{32}$/.test(to)) return [];
    return routeOf(link, Buffer.from(to, 'hex'), Number.parseInt(bits, 16), Number.parseInt(flags, 16));
  });
}

function routeOf(link: string, bytes: Uint8Array, bits: number, flags: number): readonly Route[] {
  if ((flags & FLAG.UP) === 0 || (flags & FLAG.REJECT) !== 0) return [];
  return [{ to: { bytes, bits }, link, gateway: (flags & FLAG.GATEWAY) !== 0 }];
}

/** Reads the links when asked, but at most once per LINKS_FRESH_MS. Links that cannot be read do not count as down. */
export function createLinkWatch(clock: Clock, look: () => Links = lookAtLinks): (host: string) => string | undefined {
  let seen: { readonly atMs: number; readonly links: Links } | undefined;
  return (host) => {
    if (seen === undefined || clock.now() - seen.atMs >= LINKS_FRESH_MS) seen = { atMs: clock.now(), links: look() };
    return deadLinkTo(host, seen.links);
  };
}

/** No link is known to be down. */
const NOTHING_KNOWN: Links = { routes: [], own: new Set(), runs: () => true, anyRuns: true };

function lookAtLinks(): Links {
  const routes = [...readRoutes4(textOf('/proc/self/net/route')), ...readRoutes6(textOf('/proc/self/net/ipv6_route'))];
  // These interfaces are up, run, and have an address.
  let running;
  try {
    running = Object.entries(networkInterfaces());
  } catch {
    // The unit deploy/pharos.service allows no AF_NETLINK, which the call needs.
    return { routes, ...readInterfaces() };
  }
  const addresses = running.flatMap(([, list = []]) => list);
  const names = new Set(running.map(([name]) => name));
  return {
    routes,
    own: new Set(addresses.map(({ address }) => address)),
    // Interfaces without an address are looked up in /sys. A namespace with the /sys of another one lacks them.
    runs: (name) => names.has(name) || seemsToRun(name),
    anyRuns: addresses.some(({ internal }) => !internal),
  };
}

function seemsToRun(name: string): boolean {
  return /^(up|unknown)$/.test(textOf(`/sys/class/net/${name}/operstate`).trim());
}

/** The same as `networkInterfaces` tells, from files of the kernel. */
export function readInterfaces(): Omit<Links, 'routes'> {
  try {
    const names = readdirSync('/sys/class/net');
    return {
      own: new Set([...readOwn4(textOf('/proc/self/net/fib_trie')), ...readOwn6(textOf('/proc/self/net/if_inet6'))]),
      runs: seemsToRun,
      anyRuns: names.some((name) => name !== 'lo' && seemsToRun(name)),
    };
  } catch {
    // Reading needs a descriptor, and this process may have none left.
    return NOTHING_KNOWN;
  }
}

/** The addresses of this machine in /proc/self/net/fib_trie: leaves `|-- ADDRESS` with a line `/32 host LOCAL`. */
function readOwn4(text: string): readonly string[] {
  return [...text.matchAll(/\|-- (\S+)\n\s+\/32 host LOCAL$/gm)].map(([, address = '']) => address);
}

/** Those in /proc/self/net/if_inet6: 32 hexadecimal digits at the start of a line. */
function readOwn6(text: string): readonly string[] {
  return [...text.matchAll(/^[0-9a-f]{32}\b/gm)].map(([hex]) => formatAddress(Buffer.from(hex, 'hex')));
}

/** Empty where the file cannot be read, or is longer than the table of a host should be. */
function textOf(path: string): string {
  try {
    return readRegularFile(path, { maxOctets: MAX_ROUTES_OCTETS }).octets.toString('latin1');
  } catch {
    return '';
  }
}
