import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Continent } from '../../config/settings.ts';
import { freePort } from '../../test/support/free-port.ts';
import { findProgram, startServer } from '../../test/support/server-process.ts';
import { CONTINENT_CODES, DEFAULT_REGION, masterFile, REGIONS, TTL, WEIGHTS, WORLD, type Zone } from '../world.ts';
import { hasKind, type Files, type Peer } from './peer.ts';

/** gdnsd with the plugins geoip and weighted, and its TCP check for steered names. */
export const gdnsd: Peer = {
  name: 'gdnsd',
  kinds: ['static', 'geo', 'weighted'],
  transports: ['udp', 'tcp'],
  version: () => {
    const program = findProgram('gdnsd');
    if (program === undefined) return undefined;
    // It prints its version and ends with an error.
    const version = /gdnsd version (\S+)/.exec(firstWords(program))?.[1];
    return `gdnsd ${version ?? ''}`.trim();
  },
  async start(folder, zones, files) {
    const port = await freePort();
    for (const name of ['zones', 'run', 'state', 'geoip']) mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, 'config'), configuration(folder, port, zones, files));
    for (const zone of zones) {
      const www = { geo: `www ${TTL}/${TTL} DYNA geoip!www`, weighted: `www ${TTL}/${TTL} DYNA weighted!www` };
      writeFileSync(join(folder, 'zones', zone.name), masterFile(zone, www));
    }
    const names = zones.map(({ name }) => name);
    return await startServer(findProgram('gdnsd') ?? 'gdnsd', ['-c', folder, 'start'], port, names);
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

function configuration(folder: string, port: number, zones: readonly Zone[], files: Files): string {
  return [
    'options => {',
    `  listen => 127.0.0.1:${port}`,
    '  udp_threads => 1',
    '  tcp_threads => 1',
    `  run_dir => ${join(folder, 'run')}`,
    `  state_dir => ${join(folder, 'state')}`,
    '}',
    `service_types => { tcp => { plugin => tcp_connect, port => ${files.healthPort}, interval => 2 } }`,
    'plugins => {',
    ...(hasKind(zones, 'geo') ? geoip(files.geoip2) : []),
    ...(hasKind(zones, 'weighted') ? weighted() : []),
    '}',
    '',
  ].join('\n');
}

function geoip(database: string): string[] {
  return [
    '  geoip => {',
    '    maps => {',
    '      world => {',
    `        geoip2_db => ${database}`,
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
  ];
}

function weighted(): string[] {
  return [
    '  weighted => {',
    '    www => {',
    '      service_types => tcp',
    ...WEIGHTS.map(({ address, weight }, index) => `      v${index} => [ ${address}, ${weight} ]`),
    '    }',
    '  }',
  ];
}

/** A region, and the one that replaces it. */
function datacenters(region: string): string {
  return region === DEFAULT_REGION ? `[ ${region} ]` : `[ ${region}, ${DEFAULT_REGION} ]`;
}
