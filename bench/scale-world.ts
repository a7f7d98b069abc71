/**
 * Configurations of any size for the benchmarks of scale and isolation. The same numbers always give the same content.
 */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeQuery, repeatable } from './packets.ts';
import { REGIONS } from './world.ts';

export const BULK_ZONE = 'bulk.example';
export const MAPS_ZONE = 'maps.example';

export const NETWORKS_ZONE = 'networks.example';
export const EMPTY_ZONE = 'empty.example';

const SEED = 20_261;
/** Networks are distributed over the /24s from 20.0.0.0 on. */
const NETWORKS_FROM = 20;
const NETWORKS_SPAN = 64 * 65_536;
const COUNTRIES =
  'US CA MX BR AR CO CL GB IE FR DE ES PT IT NL SE NO FI PL CZ AT CH EG MA ZA NG KE IN PK JP KR TW SG ID AU NZ';

export type ServerSettings = {
  readonly port: number;
  readonly statusPort?: number;
  readonly token?: string;
  /** Answering threads; 1 by default. */
  readonly workers?: number;
};

/** Writes pharos.yaml for the zones in `folder`/zones; returns its path. */
export function writeConfiguration(folder: string, { port, statusPort, token, workers = 1 }: ServerSettings): string {
  mkdirSync(join(folder, 'zones'), { recursive: true });
  const file = join(folder, 'pharos.yaml');
  const status = statusPort === undefined ? 'off' : `{ listen: "127.0.0.1:${statusPort}", token: ${token ?? 'none'} }`;
  const regions = Object.keys(REGIONS).map((region) => `${region}: {}`);
  const lines = [
    `listen: ["127.0.0.1:${port}"]`,
    `workers: ${workers}`,
    'zones: ./zones',
    'state_dir: ./state',
    `status: ${status}`,
    `regions: { ${regions.join(', ')} }`,
    'log: { level: error }',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

function zoneHead(zone: string): string[] {
  return [`zone: ${zone}`, 'nameservers: [ns1]', 'records: { ns1: { A: 192.0.2.53 } }'];
}

function writeZone(folder: string, zone: string, lines: readonly string[]): void {
  mkdirSync(join(folder, 'zones'), { recursive: true });
  writeFileSync(join(folder, 'zones', `${zone}.yaml`), `${[...zoneHead(zone), ...lines].join('\n')}\n`);
}

function bulkLabel(index: number): string {
  return `h${index.toString(36).padStart(6, '0')}`;
}

/** A zone of `records` addresses, each with a separate name, in a master file. */
export function writeBulkZone(folder: string, records: number): void {
  writeZone(folder, BULK_ZONE, ['include: [bulk.db]']);
  const lines = ['$TTL 300'];
  for (let i = 0; i < records; i++) {
    lines.push(`${bulkLabel(i)} A 10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`);
  }
  writeFileSync(join(folder, 'zones', 'bulk.db'), `${lines.join('\n')}\n`);
}

/** Adds one record to the master file of the bulk zone; `number` makes its name. */
export function addBulkRecord(folder: string, number: number): void {
  appendFileSync(join(folder, 'zones', 'bulk.db'), `added${number} A 192.0.2.1\n`);
}

/** Queries for random names of the bulk zone. */
export function bulkQueries(records: number, count: number): Buffer[] {
  const random = repeatable(SEED);
  return Array.from({ length: count }, () => encodeQuery(`${bulkLabel(random(records))}.${BULK_ZONE}`, 'A'));
}

/** `count` services of three VIPs; no two of them have the same map. The first map also has `network`, if given. */
export function writeMapsZone(folder: string, count: number, network?: string): void {
  const random = repeatable(SEED + 1);
  const regions = Object.entries(REGIONS);
  const countries = COUNTRIES.split(' ');
  const lines = ['services:'];
  for (let i = 0; i < count; i++) {
    const chosen = [0, 1, 2].map((nth) => regions[(random(3) + nth * 3 + random(2)) % regions.length] ?? ['', '']);
    const of = (nth: number): string => chosen[nth % 3]?.[0] ?? '';
    lines.push(`  s${i}:`, '    vips:');
    for (const [nth, [region, address]] of chosen.entries()) {
      lines.push(`      v${nth}: { region: ${region}, A: ${address} }`);
    }
    // The countries that go elsewhere encode the service's number, one bit each, so that no two maps are equal.
    lines.push('    steer:', '      - geo:');
    for (const [bit, country] of countries.entries()) {
      const other = bit < 20 ? (i >> bit) & 1 : random(2);
      lines.push(`          ${country}: ${of(bit + other)}`);
    }
    if (network !== undefined && i === 0) lines.push(`          ${network}: ${of(0)}`);
    lines.push(`          default: [${of(0)}, ${of(1)}, ${of(2)}]`);
  }
  writeZone(folder, MAPS_ZONE, lines);
}

/** Queries for the services of the maps zone, each with a random client subnet. */
export function mapsQueries(services: number, count: number): Buffer[] {
  const random = repeatable(SEED + 2);
  return Array.from({ length: count }, () =>
    encodeQuery(`s${random(services)}.${MAPS_ZONE}`, 'A', [1 + random(223), random(256), random(256)]),
  );
}

/** `count` small zones of ten records. */
export function writeSmallZones(folder: string, count: number): void {
  for (let i = 0; i < count; i++) {
    const records = Array.from({ length: 9 }, (_, nth) => `h${nth}: { A: 192.0.2.${nth} }`);
    const zone = `z${i}.example`;
    mkdirSync(join(folder, 'zones'), { recursive: true });
    writeFileSync(
      join(folder, 'zones', `${zone}.yaml`),
      `zone: ${zone}\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 }, ${records.join(', ')} }\n`,
    );
  }
}

export function smallZoneQueries(zones: number, count: number): Buffer[] {
  const random = repeatable(SEED + 3);
  return Array.from({ length: count }, () => encodeQuery(`h${random(9)}.z${random(zones)}.example`, 'A'));
}

export function writeEmptyZone(folder: string): void {
  writeZone(folder, EMPTY_ZONE, []);
}

/** One service, steered by the latencies of `count` networks (/24); neighbours never have equal rows. */
export function writeNetworksZone(folder: string, count: number): void {
  const random = repeatable(SEED + 4);
  const regions = Object.entries(REGIONS);
  const vips = regions.map(([region, address]) => `      ${region}: { region: ${region}, A: ${address} }`);
  const steer = '    steer: [{ latency: { table: rtt.csv } }]';
  writeZone(folder, NETWORKS_ZONE, ['services:', '  www:', '    vips:', ...vips, steer]);
  const rows = ['network,region,ms'];
  const step = Math.floor(NETWORKS_SPAN / count);
  for (let i = 0; i < count; i++) {
    const at = i * step;
    const network = `${NETWORKS_FROM + (at >> 16)}.${(at >> 8) & 255}.${at & 255}.0/24`;
    rows.push(`${network},${regions[random(regions.length)]?.[0] ?? ''},${1 + random(200)}`);
  }
  writeFileSync(join(folder, 'zones', 'rtt.csv'), `${rows.join('\n')}\n`);
}

/** The same for every number of networks: random subnets of the whole range. */
export function networksQueries(count: number): Buffer[] {
  const random = repeatable(SEED + 5);
  return Array.from({ length: count }, () => {
    const at = random(NETWORKS_SPAN);
    return encodeQuery(`www.${NETWORKS_ZONE}`, 'A', [NETWORKS_FROM + (at >> 16), (at >> 8) & 255, at & 255]);
  });
}
