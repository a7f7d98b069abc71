import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../test/support/free-port.ts';
import { findProgram, startServer } from '../../test/support/server-process.ts';
import { masterFile, type Zone } from '../world.ts';
import type { Files, Peer } from './peer.ts';

/** NSD does not steer: it is a reference for static names. */
export const nsd: Peer = {
  name: 'NSD',
  kinds: ['static'],
  transports: ['udp', 'tcp', 'tls'],
  version: () => {
    const program = findProgram('nsd');
    if (program === undefined) return undefined;
    const { stdout, stderr } = spawnSync(program, ['-v'], { encoding: 'utf8' });
    return /NSD version (\S+)/.exec(stdout + stderr)?.[0].replace(' version', '') ?? 'NSD';
  },
  async start(folder, zones, files) {
    const [port, tlsPort] = [await freePort(), await freePort()];
    mkdirSync(join(folder, 'xfr'), { recursive: true });
    for (const zone of zones) writeFileSync(join(folder, `${zone.name}.zone`), masterFile(zone));
    writeFileSync(join(folder, 'nsd.conf'), configuration(folder, [port, tlsPort], zones, files));
    const args = ['-d', '-c', join(folder, 'nsd.conf')];
    const names = zones.map(({ name }) => name);
    return { ...(await startServer(findProgram('nsd') ?? 'nsd', args, port, names)), tlsPort };
  },
};

function configuration(
  folder: string,
  [port, tlsPort]: readonly [number, number],
  zones: readonly Zone[],
  { tls }: Files,
): string {
  return `server:
  ip-address: 127.0.0.1@${port}
  ip-address: 127.0.0.1@${tlsPort}
  tls-port: ${tlsPort}
  tls-service-key: "${tls.key}"
  tls-service-pem: "${tls.cert}"
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
${zones.map(({ name }) => `zone:\n  name: ${name}\n  zonefile: ${name}.zone\n`).join('')}`;
}
