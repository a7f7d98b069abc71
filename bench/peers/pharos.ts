import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readVersion } from '../../cli/version.ts';
import { freePort, startServer } from '../process.ts';
import {
  DEFAULT_REGION,
  GEO_ZONE,
  REGIONS,
  STATIC_ZONE,
  staticZone,
  TTL,
  WEIGHTED_ZONE,
  WEIGHTS,
  WORLD,
} from '../world.ts';
import type { Peer } from './peer.ts';

/** This project, as `pharos serve` runs it; steered VIPs have a TCP check. */
export const pharos: Peer = {
  name: 'Pharos',
  zones: [STATIC_ZONE, GEO_ZONE, WEIGHTED_ZONE],
  version: () => `Pharos ${readVersion()}, Node.js ${process.versions.node}`,
  async start(folder, { healthPort }) {
    const port = await freePort();
    const file = writePharosConfiguration(folder, port, healthPort);
    const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
    return await startServer(process.execPath, [main, 'serve', file], port, GEO_ZONE);
  },
};

/** Returns the path of pharos.yaml. */
export function writePharosConfiguration(folder: string, port: number, healthPort: number): string {
  const file = join(folder, 'pharos.yaml');
  writeFileSync(
    file,
    [
      `listen: ["127.0.0.1:${port}"]`,
      'workers: 1',
      `zones: [static.yaml, geo.yaml, weighted.yaml]`,
      'state_dir: ./state',
      'status: off',
      'regions:',
      // Places play no part in `geo`; a region must only be known.
      ...Object.keys(REGIONS).map((region) => `  ${region}: {}`),
      `checks: { tcp: { type: tcp, port: ${healthPort}, interval: 2s } }`,
      'log: { level: error }',
      '',
    ].join('\n'),
  );
  writeFileSync(join(folder, 'static.db'), staticZone());
  writeFileSync(join(folder, 'static.yaml'), `zone: ${STATIC_ZONE}\ninclude: [static.db]\n`);
  writeFileSync(join(folder, 'geo.yaml'), geoZone());
  writeFileSync(join(folder, 'weighted.yaml'), weightedZone());
  return file;
}

function geoZone(): string {
  const keys = Object.entries(WORLD).flatMap(([continent, there]) => [
    ...Object.entries(there.countries).map(([country, region]) => `          ${country}: ${regionsOf(region)}`),
    `          ${continent}: ${regionsOf(there.region)}`,
  ]);
  return [
    ...zoneHead(GEO_ZONE),
    'services:',
    '  www:',
    `    ttl: ${TTL}`,
    '    check: tcp',
    '    vips:',
    ...Object.entries(REGIONS).map(([region, address]) => `      ${region}: { region: ${region}, A: ${address} }`),
    '    steer:',
    '      - geo:',
    ...keys,
    `          default: ${DEFAULT_REGION}`,
    '',
  ].join('\n');
}

/** A region, and the one that stands in for it. */
function regionsOf(region: string): string {
  return region === DEFAULT_REGION ? region : `[${region}, ${DEFAULT_REGION}]`;
}

function weightedZone(): string {
  return [
    ...zoneHead(WEIGHTED_ZONE),
    'services:',
    '  www:',
    `    ttl: ${TTL}`,
    '    check: tcp',
    '    vips:',
    ...WEIGHTS.map(({ address, weight }, index) => `      v${index}: { A: ${address}, weight: ${weight} }`),
    '    steer: [weighted]',
    '',
  ].join('\n');
}

function zoneHead(zone: string): string[] {
  return [
    `zone: ${zone}`,
    'ttl: 300',
    'nameservers: [ns1]',
    'soa: { contact: hostmaster, negative_ttl: 60 }',
    'records: { ns1: { A: 192.0.2.53 } }',
  ];
}
