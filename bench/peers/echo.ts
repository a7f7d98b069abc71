import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/support/free-port.ts';
import { startServer } from '../../test/support/server-process.ts';
import type { Peer } from './peer.ts';

/** It returns no real answers, so they are not checked. */
export const ECHO = 'echo limit';

/** Pharos's I/O without answering: the limit for a server of this kind. */
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
