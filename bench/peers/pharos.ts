import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readVersion } from '../../cli/version.ts';
import { freePort } from '../../test/support/free-port.ts';
import { startServer } from '../../test/support/server-process.ts';
import { INSTALLED, installedEnvironment } from '../installed.ts';
import {
  CHAIN_WITHIN_MS,
  chainVips,
  DEFAULT_REGION,
  EVERYDAY,
  masterFile,
  measuredLatencies,
  REGIONS,
  TTL,
  WEIGHTS,
  WORLD,
  type SteeredKind,
  type Zone,
} from '../world.ts';
import type { Files, Peer } from './peer.ts';

/** This project, as bin/pharos runs it where it is installed: from dist/. Steered VIPs have a TCP check. */
export const pharos: Peer = {
  name: 'Pharos',
  kinds: ['static', 'geo', 'weighted', 'chain'],
  transports: ['udp', 'tcp', 'tls'],
  signs: true,
  version: () => `Pharos ${readVersion()}, Node.js ${process.versions.node}`,
  async start(folder, zones, { healthPort, tls }) {
    const [port, tlsPort] = [await freePort(), await freePort()];
    const file = writePharosConfiguration(folder, port, healthPort, zones, { ...tls, port: tlsPort });
    const names = zones.map(({ name }) => name);
    return {
      ...(await startServer(process.execPath, [INSTALLED, 'serve', file], port, names, installedEnvironment())),
      tlsPort,
    };
  },
};

/** Returns the path of pharos.yaml. */
export function writePharosConfiguration(
  folder: string,
  port: number,
  healthPort: number,
  zones: readonly Zone[] = EVERYDAY,
  tls?: Files['tls'] & { readonly port: number },
): string {
  const file = join(folder, 'pharos.yaml');
  writeFileSync(
    file,
    [
      `listen: ["127.0.0.1:${port}"]`,
      tls ? `tls: { listen: ["127.0.0.1:${tls.port}"], cert: ${tls.cert}, key: ${tls.key} }` : '',
      'workers: 1',
      `zones: [${zones.map(({ name }) => `${name}.yaml`).join(', ')}]`,
      'state_dir: ./state',
      'status: off',
      'regions:',
      // Positions do not matter for `geo`, or if every region is measured; a region must only be defined.
      ...Object.keys(REGIONS).map((region) => `  ${region}: {}`),
      `checks: { tcp: { type: tcp, port: ${healthPort}, interval: 2s } }`,
      'log: { level: error }',
      '',
    ].join('\n'),
  );
  for (const zone of zones) {
    const isStatic = zone.kind === 'static';
    if (isStatic) writeFileSync(join(folder, `${zone.name}.db`), masterFile(zone));
    if (zone.kind === 'chain') writeFileSync(join(folder, 'rtt.csv'), latencyTable());
    const lines = isStatic
      ? [`zone: ${zone.name}`, `include: [${zone.name}.db]`, '']
      : steeredZone(zone.name, zone.kind, zone.isSigned === true);
    writeFileSync(join(folder, `${zone.name}.yaml`), lines.join('\n'));
  }
  return file;
}

type Service = { readonly vips: readonly string[]; readonly steer: readonly string[] };

const SERVICES: Record<SteeredKind, () => Service> = {
  geo: () => ({
    vips: Object.entries(REGIONS).map(([region, address]) => `${region}: { region: ${region}, A: ${address} }`),
    steer: geoStep(DEFAULT_REGION),
  }),
  weighted: () => ({
    vips: WEIGHTS.map(({ address, weight }, index) => `v${index}: { A: ${address}, weight: ${weight} }`),
    steer: ['- weighted'],
  }),
  chain: () => ({
    vips: Object.keys(REGIONS).flatMap((region) =>
      chainVips(region).map(
        ({ address, weight }, index) => `${region}-${index}: { region: ${region}, A: ${address}, weight: ${weight} }`,
      ),
    ),
    steer: [
      `- latency: { table: rtt.csv, within: ${CHAIN_WITHIN_MS}ms }`,
      ...geoStep(`[${Object.keys(REGIONS).join(', ')}]`),
      '- sticky',
    ],
  }),
};

function steeredZone(name: string, kind: SteeredKind, isSigned: boolean): string[] {
  const { vips, steer } = SERVICES[kind]();
  return [
    `zone: ${name}`,
    `dnssec: ${String(isSigned)}`,
    'ttl: 300',
    'nameservers: [ns1]',
    'soa: { contact: hostmaster, negative_ttl: 60 }',
    'records: { ns1: { A: 192.0.2.53 } }',
    'services:',
    '  www:',
    `    ttl: ${TTL}`,
    '    check: tcp',
    '    vips:',
    ...vips.map((vip) => `      ${vip}`),
    '    steer:',
    ...steer.map((line) => `      ${line}`),
    '',
  ];
}

function geoStep(others: string): string[] {
  const keys = Object.entries(WORLD).flatMap(([continent, there]) => [
    ...Object.entries(there.countries).map(([country, region]) => `    ${country}: ${regionsOf(region)}`),
    `    ${continent}: ${regionsOf(there.region)}`,
  ]);
  return ['- geo:', ...keys, `    default: ${others}`];
}

/** A region, and the one that replaces it. */
function regionsOf(region: string): string {
  return region === DEFAULT_REGION ? region : `[${region}, ${DEFAULT_REGION}]`;
}

function latencyTable(): string {
  const regions = Object.keys(REGIONS);
  const lines = [...measuredLatencies()].flatMap(([octets, ms]) => {
    const network = octets.includes('.') ? `${octets}.0.0/16` : `${octets}.0.0.0/8`;
    return regions.map((region, index) => `${network},${region},${ms[index] ?? 0}`);
  });
  return ['network,region,ms', ...lines, ''].join('\n');
}
