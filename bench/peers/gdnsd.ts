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

/** gdnsd with plugins geoip and weighted, and its TCP check on what is steered. */
export const gdnsd: Peer = {
  name: 'gdnsd',
  zones: [STATIC_ZONE, GEO_ZONE, WEIGHTED_ZONE],
  version: () => {
    const program = findProgram('gdnsd');
    if (program === undefined) return undefined;
    // It prints its version and ends with an error.
    const version = /gdnsd version (\S+)/.exec(firstWords(program))?.[1];
    return `gdnsd ${version ?? ''}`.trim();
  },
  async start(folder, files) {
    const port = await freePort();
    for (const name of ['zones', 'run', 'state', 'geoip']) mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, 'config'), configuration(folder, port, files));
    writeFileSync(join(folder, 'zones', STATIC_ZONE), staticZone());
    writeFileSync(join(folder, 'zones', GEO_ZONE), masterFile(GEO_ZONE, [`www ${TTL}/${TTL} DYNA geoip!www`]));
    writeFileSync(
      join(folder, 'zones', WEIGHTED_ZONE),
      masterFile(WEIGHTED_ZONE, [`www ${TTL}/${TTL} DYNA weighted!www`]),
    );
    return await startServer(findProgram('gdnsd') ?? 'gdnsd', ['-c', folder, 'start'], port, GEO_ZONE);
  },
};

function firstWords(program: string): string {
  try {
    return execFileSync(program, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    return stdout + stderr;
  }
}

function configuration(folder: string, port: number, { geoip2, healthPort }: Files): string {
  return [
    'options => {',
    `  listen => 127.0.0.1:${port}`,
    '  udp_threads => 1',
    '  tcp_threads => 1',
    `  run_dir => ${join(folder, 'run')}`,
    `  state_dir => ${join(folder, 'state')}`,
    '}',
    `service_types => { tcp => { plugin => tcp_connect, port => ${healthPort}, interval => 2 } }`,
    'plugins => {',
    '  geoip => {',
    '    maps => {',
    '      world => {',
    `        geoip2_db => ${geoip2}`,
    `        datacenters => [ ${Object.keys(REGIONS).join(', ')} ]`,
    '        map => {',
    ...Object.entries(WORLD).map(([continent, there]) => {
      const countries = Object.entries(there.countries).map(
        ([country, region]) => `${country} => ${datacenters(region)}`,
      );
      const all = [...countries, `default => ${datacenters(there.region)}`].join(', ');
      return `          ${CONTINENT_CODES[continent as Continent]} => { ${all} }`;
    }),
    `          default => [ ${DEFAULT_REGION} ]`,
    '        }',
    '      }',
    '    }',
    '    resources => {',
    '      www => {',
    '        map => world',
    '        service_types => tcp',
    '        dcmap => {',
    ...Object.entries(REGIONS).map(([region, address]) => `          ${region} => ${address}`),
    '        }',
    '      }',
    '    }',
    '  }',
    '  weighted => {',
    '    www => {',
    '      service_types => tcp',
    ...WEIGHTS.map(({ address, weight }, index) => `      v${index} => [ ${address}, ${weight} ]`),
    '    }',
    '  }',
    '}',
    '',
  ].join('\n');
}

/** A region, and the one that stands in for it. */
function datacenters(region: string): string {
  return region === DEFAULT_REGION ? `[ ${region} ]` : `[ ${region}, ${DEFAULT_REGION} ]`;
}
