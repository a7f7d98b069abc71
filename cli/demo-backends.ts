/**
 * The demo's regions: three HTTP servers with /health, which can be made to fail and to recover.
 */
import { createServer, type Server } from 'node:http';
import { ListenError } from '../server/listen-error.ts';

export type Backend = {
  readonly region: string;
  readonly port: number;
  /** Whether /health returns 200. */
  readonly healthy: () => boolean;
  readonly set: (healthy: boolean) => void;
  readonly close: () => Promise<void>;
};

/** Starts one on loopback, on `port` if that is free, else on a port that the system chooses. */
export async function startBackend(region: string, port: number): Promise<Backend> {
  let healthy = true;
  const server = createServer((request, response) => {
    const path = request.url ?? '/';
    if (request.method === 'POST' && (path === '/fail' || path === '/recover')) healthy = path === '/recover';
    const isChange = request.method === 'POST';
    response.writeHead(isChange || healthy ? 200 : 503, { 'content-type': 'text/plain' });
    response.end(`${region} is ${healthy ? 'healthy' : 'failing'}\n`);
  });
  const taken = await listen(server, port).catch(() => listen(server, 0));
  return {
    region,
    port: taken,
    healthy: () => healthy,
    set: (value) => {
      healthy = value;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(new ListenError({ endpoint: { host: '127.0.0.1', port }, transport: 'TCP', code: error.code ?? '' }));
    });
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
}
