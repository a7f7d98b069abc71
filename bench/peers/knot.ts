import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, freePort, startServer } from '../process.ts';
import {
  CONTINENT_CODES,
  DEFAULT_REGION,
  GEO_ZONE,
  masterFile,
  REGIONS,
  STATIC_ZONE,
  staticZone,
  TTL,
  WEIGHTED_ZONE,
  WEIGHTS,
  WORLD,
} from '../world.ts';
import type { Continent } from '../../config/settings.ts';
import type { Files, Peer } from './peer.ts';

/** Knot with mod-geoip, which has no health checks. */
export const knot: Peer = {
  name: 'Knot',
  zones: [STATIC_ZONE, GEO_ZONE, WEIGHTED_ZONE],
  version: () => {
    const program = findProgram('knotd');
    if (program === undefined) return undefined;
    return execFileSync(program, ['--version'], { encoding: 'utf8' })
      .trim()
      .replace('knotd (Knot DNS), version', 'Knot');
  },
  async start(folder, files) {
    const port = await freePort();
    for (const name of ['run', 'zones', 'state']) mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, 'knot.conf'), configuration(folder, port, files));
    writeFileSync(join(folder, 'geo.conf'), geoMap());
    writeFileSync(join(folder, 'weighted.conf'), weights());
    const zones = {
      [STATIC_ZONE]: staticZone(),
      // The module replaces records that the zone has; this one is for clients of no known place.
      [GEO_ZONE]: masterFile(GEO_ZONE, [`www ${TTL} A ${REGIONS[DEFAULT_REGION] ?? ''}`]),
      [WEIGHTED_ZONE]: masterFile(WEIGHTED_ZONE, [`www ${TTL} A ${WEIGHTS[0]?.address ?? ''}`]),
    };
    for (const [zone, text] of Object.entries(zones)) writeFileSync(join(folder, 'zones', `${zone}.zone`), text);
    return await startServer(findProgram('knotd') ?? 'knotd', ['-c', join(folder, 'knot.conf')], port, GEO_ZONE);
  },
};

function configuration(folder: string, port: number, { geoip2 }: Files): string {
  return `server:
    listen: 127.0.0.1@${port}
    rundir: ${folder}/run
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    edns-client-subnet: on
database:
    storage: ${folder}/state
log:
  - target: stderr
    any: warning
mod-geoip:
  - id: geo
    config-file: ${folder}/geo.conf
    ttl: ${TTL}
    mode: geodb
    geodb-file: ${geoip2}
    geodb-key: [ continent/code, country/iso_code ]
  - id: weighted
    config-file: ${folder}/weighted.conf
    ttl: ${TTL}
    mode: weighted
template:
  - id: default
    storage: ${folder}/zones
    file: "%s.zone"
    zonefile-load: whole
    journal-content: none
zone:
  - domain: ${STATIC_ZONE}
  - domain: ${GEO_ZONE}
    module: mod-geoip/geo
  - domain: ${WEIGHTED_ZONE}
    module: mod-geoip/weighted
`;
}

function geoMap(): string {
  const lines = Object.entries(WORLD).flatMap(([continent, there]) => {
    const code = CONTINENT_CODES[continent as Continent];
    return [...Object.entries(there.countries), ['*', there.region] as const].flatMap(([country, region]) => [
      `  - geo: "${code};${country}"`,
      `    A: ${REGIONS[region] ?? ''}`,
    ]);
  });
  return [`www.${GEO_ZONE}:`, ...lines, ''].join('\n');
}

function weights(): string {
  const lines = WEIGHTS.flatMap(({ address, weight }) => [`  - weight: ${weight}`, `    A: ${address}`]);
  return [`www.${WEIGHTED_ZONE}:`, ...lines, ''].join('\n');
}
