import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, freePort, startServer } from '../process.ts';
import { STATIC_ZONE, staticZone } from '../world.ts';
import type { Peer } from './peer.ts';

/** NSD, which steers nothing: a mark for static names. */
export const nsd: Peer = {
  name: 'NSD',
  zones: [STATIC_ZONE],
  version: () => {
    const program = findProgram('nsd');
    if (program === undefined) return undefined;
    const { stdout, stderr } = spawnSync(program, ['-v'], { encoding: 'utf8' });
    return /NSD version (\S+)/.exec(stdout + stderr)?.[0].replace(' version', '') ?? 'NSD';
  },
  async start(folder) {
    const port = await freePort();
    mkdirSync(join(folder, 'xfr'), { recursive: true });
    writeFileSync(join(folder, 'static.zone'), staticZone());
    writeFileSync(join(folder, 'nsd.conf'), configuration(folder, port));
    return await startServer(findProgram('nsd') ?? 'nsd', ['-d', '-c', join(folder, 'nsd.conf')], port, STATIC_ZONE);
  },
};

function configuration(folder: string, port: number): string {
  return `server:
  ip-address: 127.0.0.1@${port}
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: "${folder}"
  pidfile: ""
  database: ""
  zonelistfile: "${folder}/zone.list"
  xfrdfile: "${folder}/xfrd.state"
  xfrdir: "${folder}/xfr"
  cookie-secret-file: ""
  verbosity: 0
  # Response rate limiting is on by default, and would drop most of a benchmark.
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: ${STATIC_ZONE}
  zonefile: static.zone
`;
}
