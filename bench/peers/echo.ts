import { fileURLToPath } from 'node:url';
import { freePort, startServer } from '../../test/support/server-process.ts';
import type { Peer } from './peer.ts';

/** Its answers are no answers, so that they are not checked. */
export const ECHO = 'echo limit';

/** Pharos' way of moving packets without the answering: what a server of this kind cannot exceed. */
export const echo: Peer = {
  name: ECHO,
  kinds: ['static', 'geo', 'weighted', 'chain'],
  transports: ['udp', 'tcp'],
  version: () => 'echo limit: the I/O of Pharos, every query sent back as it came',
  async start() {
    const port = await freePort();
    const module = fileURLToPath(new URL('../echo-server.ts', import.meta.url));
    return await startServer(process.execPath, [module, String(port)], port, 'example');
  },
};
