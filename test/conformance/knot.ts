/**
 * Knot DNS (Debian: knot) over master files, as the second reference.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { folderOf } from '../support/pharos.ts';
import { freePort, type Running } from '../support/run.ts';

/**
 * Starts knotd with these zones, by name; resolves when all of them are loaded. Throws with its log otherwise. With a
 * secret of 32 hexadecimal digits it wants cookies: whoever sends one that is not valid gets BADCOOKIE.
 */
export async function runKnot(zones: Readonly<Record<string, string>>, cookieSecret?: string): Promise<Running> {
  const port = await freePort();
  const files = Object.fromEntries(Object.entries(zones).map(([zone, text]) => [`${zone}.zone`, text]));
  const folder = folderOf(files);
  const { path } = folder;
  const conf = [
    'server:',
    `  rundir: "${path}"`,
    `  listen: 127.0.0.1@${port}`,
    '  udp-workers: 1',
    '  tcp-workers: 1',
    '  background-workers: 1',
    '  udp-max-payload: 1232',
    'log:',
    '- target: stdout',
    '  any: info',
    'database:',
    `  storage: "${path}"`,
    ...(cookieSecret === undefined
      ? []
      : ['mod-cookies:', '- id: default', `  secret: 0x${cookieSecret}`, '  badcookie-slip: 1']),
    'template:',
    '- id: default',
    ...(cookieSecret === undefined ? [] : ['  global-module: mod-cookies/default']),
    `  storage: "${path}"`,
    '  file: "%s.zone"',
    '  semantic-checks: off',
    '  zonefile-load: whole',
    '  journal-content: none',
    'zone:',
    ...Object.keys(zones).map((zone) => `- domain: ${zone}`),
    '',
  ];
  using configuration = folderOf({ 'knot.conf': conf.join('\n') });
  const child = spawn('/usr/sbin/knotd', ['-c', `${configuration.path}/knot.conf`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => {
        reject(new Error(`knotd ended with ${code ?? 'a signal'}:\n${output}`));
      });
      const loaded = new Set<string>();
      const read = (chunk: Buffer): void => {
        output += chunk.toString();
        if (/ (?:error|critical): /.test(output)) reject(new Error(output));
        for (const [, zone = ''] of output.matchAll(/\[(\S+?)\.?\] loaded/g)) loaded.add(zone);
        if (loaded.size >= Object.keys(zones).length) resolve();
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
    });
  } catch (error) {
    child.kill();
    folder[Symbol.dispose]();
    throw error;
  }
  return {
    endpoints: [{ host: '127.0.0.1', port }],
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, 'exit');
      child.kill();
      await ended;
      folder[Symbol.dispose]();
    },
  };
}
