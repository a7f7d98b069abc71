import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Continent } from '../../config/settings.ts';
import { freePort } from '../../test/support/free-port.ts';
import { findProgram, startServer } from '../../test/support/server-process.ts';
import {
  CONTINENT_CODES,
  DEFAULT_REGION,
  masterFile,
  REGIONS,
  TTL,
  WEIGHTS,
  WORLD,
  type SteeredKind,
  type Zone,
} from '../world.ts';
import { hasKind, isSigned, type Files, type Peer } from './peer.ts';

/** Knot with mod-geoip, which has no health checks. */
export const knot: Peer = {
  name: 'Knot',
  kinds: ['static', 'geo', 'weighted'],
  transports: ['udp', 'tcp'],
  signs: true,
  version: () => {
    const program = findProgram('knotd');
    if (program === undefined) return undefined;
    return execFileSync(program, ['--version'], { encoding: 'utf8' })
      .trim()
      .replace('knotd (Knot DNS), version', 'Knot');
  },
  async start(folder, zones, files) {
    const port = await freePort();
    for (const name of ['run', 'zones', 'state']) mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, 'knot.conf'), configuration(folder, port, zones, files));
    for (const zone of zones) {
      writeFileSync(join(folder, 'zones', `${zone.name}.zone`), masterFile(zone, WWW));
      if (zone.kind === 'geo') writeFileSync(join(folder, 'geo.conf'), geoMap(zone));
      if (zone.kind === 'weighted') writeFileSync(join(folder, 'weighted.conf'), weights(zone));
    }
    // mod-geoip signs when it starts, with keys that exist.
    for (const { name } of zones.filter(isSigned)) {
      const wanted = ['algorithm=ECDSAP256SHA256', 'ksk=yes', 'zsk=yes'];
      execFileSync(findProgram('keymgr') ?? 'keymgr', ['-c', join(folder, 'knot.conf'), name, 'generate', ...wanted], { stdio: 'ignore' }); // prettier-ignore
    }
    const names = zones.map(({ name }) => name);
    return await startServer(findProgram('knotd') ?? 'knotd', ['-c', join(folder, 'knot.conf')], port, names);
  },
};

/** The module replaces records of the zone; the record of `geo` is for clients of unknown location. */
const WWW: Partial<Record<SteeredKind, string>> = {
  geo: `www ${TTL} A ${REGIONS[DEFAULT_REGION] ?? ''}`,
  weighted: `www ${TTL} A ${WEIGHTS[0]?.address ?? ''}`,
};

function configuration(folder: string, port: number, zones: readonly Zone[], { geoip2 }: Files): string {
  const geo = `mod-geoip:
  - id: geo
    config-file: ${folder}/geo.conf
    ttl: ${TTL}
    mode: geodb
    geodb-file: ${geoip2}
    geodb-key: [ continent/code, country/iso_code ]
`;
  const weighted = `mod-geoip:
  - id: weighted
    config-file: ${folder}/weighted.conf
    ttl: ${TTL}
    mode: weighted
`;
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
${hasKind(zones, 'geo') ? geo : ''}${hasKind(zones, 'weighted') ? weighted : ''}template:
  - id: default
    storage: ${folder}/zones
    file: "%s.zone"
    zonefile-load: whole
    journal-content: none
${zones.some(isSigned) ? 'policy:\n  - id: by-hand\n    manual: on\n' : ''}zone:
${zones
  .map(
    (zone) =>
      `  - domain: ${zone.name}\n${zone.kind === 'static' ? '' : `    module: mod-geoip/${zone.kind}\n`}${isSigned(zone) ? '    dnssec-signing: on\n    dnssec-policy: by-hand\n' : ''}`,
  )
  .join('')}`;
}

function geoMap({ name }: Zone): string {
  const lines = Object.entries(WORLD).flatMap(([continent, there]) => {
    const code = CONTINENT_CODES[continent as Continent];
    return [...Object.entries(there.countries), ['*', there.region] as const].flatMap(([country, region]) => [
      `  - geo: "${code};${country}"`,
      `    A: ${REGIONS[region] ?? ''}`,
    ]);
  });
  return [`www.${name}:`, ...lines, ''].join('\n');
}

function weights({ name }: Zone): string {
  const lines = WEIGHTS.flatMap(({ address, weight }) => [`  - weight: ${weight}`, `    A: ${address}`]);
  return [`www.${name}:`, ...lines, ''].join('\n');
}
