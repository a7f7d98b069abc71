/**
 * The zones and settings of a soak, and what both of its processes know of them.
 */
import { UPDATE_SECRET } from '../support/update-client.ts';

/** Names and addresses of the zones. */
export const SOAK = {
  zone: 'example.com',
  signedZone: 'example.org',
  staticName: 'static.example.com',
  staticAddress: '192.0.2.80',
  generationName: 'generation.example.com',
  textName: 'counter.dyn.example.com',
  service: 'www.example.com',
  geoService: 'geo.example.com',
  signedService: 'www.example.org',
  /** Of the VIPs of `www` and `geo`, by number; the last one is never healthy. */
  addresses: ['192.0.2.10', '192.0.2.11', '192.0.2.12', '192.0.2.13', '192.0.2.14'],
  deadAddress: '192.0.2.19',
  signedAddresses: ['192.0.2.30', '192.0.2.31', '192.0.2.32'],
} as const;

export const TOKEN = 'a-token-of-the-soak-5f1c';

/**
 * What answers are right from now on: addresses that must not be in any, and the least and the greatest number that the
 * name of the generation and the text may have.
 */
export type SoakTruth = {
  readonly forbidden: readonly string[];
  readonly generation: readonly [number, number];
  readonly text: readonly [number, number];
};

export type SoakReport = {
  readonly sent: number;
  readonly answered: number;
  readonly lost: number;
  /** Not sent, because too many waited for an answer. */
  readonly leftOut: number;
  readonly wrongs: number;
  /** The first of them, in words. */
  readonly wrong: readonly string[];
  readonly waiting: number;
};

export function isNumberBetween(value: number, least: number, most: number): boolean {
  return value >= least && value <= most;
}

/** Octets of a generation's address; reloads count from 0 and are less than 65,536. */
export function generationAddress(generation: number): string {
  return `10.0.${generation >> 8}.${generation & 255}`;
}

/** The zone, with the number of this reload. Each reload also changes a record that it adds, so the zone compiles. */
export function zoneText(generation: number, ports: readonly number[], deadPort: number): string {
  const vips = (probe: boolean): string =>
    [
      ...SOAK.addresses.map((address, at) => `v${at}: { region: ${at % 2 === 0 ? 'seoul' : 'dublin'}, A: ${address}${probe ? `, probe: "127.0.0.1:${ports[at] ?? 0}"` : ''} }`), // prettier-ignore
      `dead: { region: seoul, A: ${SOAK.deadAddress}, probe: "127.0.0.1:${deadPort}" }`,
    ].join(', ');
  return `zone: ${SOAK.zone}
nameservers: [ns1]
records:
  ns1: { A: 192.0.2.53 }
  static: { A: ${SOAK.staticAddress} }
  generation: { A: ${generationAddress(generation)} }
  reload${generation % 7}: { TXT: "number ${generation}" }
  dyn: { TXT: base }
checks:
  web: { type: http, path: /, interval: 1s, timeout: 1s, fast: 200ms, rise: 1, fall: 2 }
services:
  www: { ttl: 5, check: web, vips: { ${vips(true)} }, steer: [weighted] }
  geo: { ttl: { min: 1, max: 30 }, check: web, vips: { ${vips(true)} }, steer: [geo: { asia: seoul, default: [dublin, seoul] }, sticky] }
`;
}

export const SIGNED_ZONE = `zone: ${SOAK.signedZone}
dnssec: { lifetime: 1h, refresh: 60s }
nameservers: [ns1.example.com.]
services:
  www: { ttl: 5, vips: { ${SOAK.signedAddresses.map((address, at) => `s${at}: { A: ${address} }`).join(', ')} }, steer: [weighted] }
`;

export function settingsText(port: number, statusPort: number): string {
  return `listen: "127.0.0.1:${port}"
status: { listen: "127.0.0.1:${statusPort}", token: ${TOKEN} }
regions: { seoul: { at: KR }, dublin: { at: IE } }
health: { wait: 10s, suspect: 100% }
transfer: { keys: { all: { algorithm: hmac-sha256, secret: ${UPDATE_SECRET} } } }
updates: [{ key: all, names: ["*.dyn"], types: [TXT] }]
`;
}
