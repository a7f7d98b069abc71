import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../test/support/free-port.ts';
import { findProgram, startServer } from '../../test/support/server-process.ts';
import { masterFile, STATIC, TTL, WEIGHTS, type Zone } from '../world.ts';
import { isSigned, type Peer } from './peer.ts';

const PROGRAM = 'pdns_server';

/** PowerDNS with the bind backend; LUA records draw by weight, without health checks. */
export const powerdns: Peer = {
  name: 'PowerDNS',
  kinds: ['static', 'weighted'],
  maxNames: STATIC.names,
  transports: ['udp', 'tcp'],
  signs: true,
  version: () => {
    const program = findProgram(PROGRAM);
    if (program === undefined) return undefined;
    const { stdout, stderr } = spawnSync(program, ['--version'], { encoding: 'utf8' });
    const version = /Authoritative Server (\S+)/.exec(stdout + stderr)?.[1] ?? '';
    return `PowerDNS ${version}: bind backend, LUA records; its packet and query caches as they are by default`;
  },
  async start(folder, zones) {
    const port = await freePort();
    mkdirSync(join(folder, 'run'), { recursive: true });
    writeFileSync(join(folder, 'pdns.conf'), configuration(folder, port, zones.some(isSigned)));
    writeFileSync(join(folder, 'named.conf'), zones.map((zone) => `${namedZone(folder, zone)}\n`).join(''));
    const draw = WEIGHTS.map(({ address, weight }) => `{${weight}, '${address}'}`).join(', ');
    const www = { weighted: `www ${TTL} LUA A "pickwrandom({${draw}})"` };
    for (const zone of zones) writeFileSync(join(folder, zone.name), masterFile(zone, www));
    const signed = zones.filter(isSigned);
    if (signed.length > 0) runPdnsutil(folder, 'create-bind-db', join(folder, 'dnssec.db'));
    for (const { name } of signed) runPdnsutil(folder, 'secure-zone', name);
    const names = zones.map(({ name }) => name);
    return await startServer(findProgram(PROGRAM) ?? PROGRAM, [`--config-dir=${folder}`], port, names);
  },
};

/** Without an open database of keys, PowerDNS does not sign. */
function runPdnsutil(folder: string, ...args: readonly string[]): void {
  execFileSync(findProgram('pdnsutil') ?? 'pdnsutil', [`--config-dir=${folder}`, ...args], { stdio: 'ignore' });
}

function configuration(folder: string, port: number, signs: boolean): string {
  return `local-address=127.0.0.1
local-port=${port}
launch=bind
bind-config=${folder}/named.conf
${signs ? `bind-dnssec-db=${folder}/dnssec.db\n` : ''}enable-lua-records=yes
receiver-threads=1
distributor-threads=1
socket-dir=${folder}/run
daemon=no
guardian=no
disable-syslog=yes
loglevel=3
`;
}

function namedZone(folder: string, { name }: Zone): string {
  return `zone "${name}" { type master; file "${join(folder, name)}"; };`;
}
