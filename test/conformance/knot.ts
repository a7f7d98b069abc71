/**
 * Knot DNS (Debian: knot) over master files, as the second reference.
 */
import { runDaemon, type Running } from '../support/run.ts';

/**
 * Starts knotd with these zones, by name; resolves when all of them are loaded, throws with its log otherwise. With a
 * secret of 32 hexadecimal digits it requires cookies: a client with an invalid one gets BADCOOKIE.
 */
export function runKnot(zones: Readonly<Record<string, string>>, cookieSecret?: string): Promise<Running> {
  const names = Object.keys(zones);
  return runDaemon({
    command: ['/usr/sbin/knotd', '-c'],
    zones,
    configure: (folder, port) => [
      'server:',
      `  rundir: "${folder}"`,
      `  listen: 127.0.0.1@${port}`,
      '  udp-workers: 1',
      '  tcp-workers: 1',
      '  background-workers: 1',
      '  udp-max-payload: 1232',
      'log:',
      '- target: stdout',
      '  any: info',
      'database:',
      `  storage: "${folder}"`,
      ...(cookieSecret === undefined
        ? []
        : ['mod-cookies:', '- id: default', `  secret: 0x${cookieSecret}`, '  badcookie-slip: 1']),
      'template:',
      '- id: default',
      ...(cookieSecret === undefined ? [] : ['  global-module: mod-cookies/default']),
      `  storage: "${folder}"`,
      '  file: "%s.zone"',
      '  semantic-checks: off',
      '  zonefile-load: whole',
      '  journal-content: none',
      'zone:',
      ...names.map((zone) => `- domain: ${zone}`),
    ],
    isReady: (output) => {
      const loaded = new Set([...output.matchAll(/\[(\S+?)\.?\] loaded/g)].map(([, zone]) => zone));
      return loaded.size >= names.length;
    },
    isBroken: (output) => / (?:error|critical): /.test(output),
  });
}
