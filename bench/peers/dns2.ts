import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/support/free-port.ts';
import { startServer } from '../../test/support/server-process.ts';
import { STATIC } from '../world.ts';
import type { Peer } from './peer.ts';

/** A server of a few lines of JavaScript with the npm package dns2. */
export const dns2: Peer = {
  name: 'dns2',
  kinds: ['static', 'weighted'],
  maxNames: STATIC.names,
  transports: ['udp'],
  version: () => {
    const path = createRequire(import.meta.url).resolve('dns2/package.json');
    const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string };
    return `dns2 ${version}, Node.js ${process.versions.node}: createServer({ udp: true }) over a Map`;
  },
  async start(_folder, zones) {
    const port = await freePort();
    const module = fileURLToPath(new URL('../dns2-server.ts', import.meta.url));
    const names = zones.map(({ name }) => name);
    return await startServer(process.execPath, [module, String(port), JSON.stringify(zones)], port, names);
  },
};
