/**
 * The demo's regions: three HTTP servers with /health, which can be made to fail and to recover, for all nodes or for
 * one node of a fleet alone.
 */
import { createServer, type Server } from 'node:http';
import { ListenError } from '../server/listen-error.ts';

export type Backend = {
  readonly region: string;
  readonly port: number;
  /** Whether /health returns 200 to all nodes. */
  readonly healthy: () => boolean;
  /** For all nodes. */
  readonly set: (healthy: boolean) => void;
  readonly close: () => Promise<void>;
};

/** The header with the node that probes, as examples/demo/fleet.yaml sends it. */
const NODE_HEADER = 'x-demo-node';

/** Starts a backend on loopback, on `port` if that is free, else on a port that the system chooses. */
export async function startBackend(region: string, port: number): Promise<Backend> {
  let healthy = true;
  /** The nodes that see it fail although it is healthy. */
  const failsFor = new Set<string>();
  const set = (value: boolean): void => {
    healthy = value;
    failsFor.clear();
  };
  const server = createServer((request, response) => {
    const [, change, node] = /^\/(fail|recover)(?:\/([\w-]+))?$/.exec(request.url ?? '') ?? [];
    const isChange = request.method === 'POST' && change !== undefined;
    if (isChange && node === undefined) set(change === 'recover');
    else if (isChange && node !== undefined) failsFor[change === 'fail' ? 'add' : 'delete'](node);
    const probedBy = request.headers[NODE_HEADER];
    const passes = healthy && !(typeof probedBy === 'string' && failsFor.has(probedBy));
    response.writeHead(isChange || passes ? 200 : 503, { 'content-type': 'text/plain' });
    response.end(`${region} is ${stateWords(healthy, isChange ? failsFor : new Set(), passes)}\n`);
  });
  const taken = await listen(server, port).catch(() => listen(server, 0));
  return {
    region,
    port: taken,
    healthy: () => healthy,
    set,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function stateWords(healthy: boolean, failsFor: ReadonlySet<string>, passes: boolean): string {
  if (!healthy || !passes) return 'failing';
  return failsFor.size === 0 ? 'healthy' : `failing for ${[...failsFor].join(', ')}`;
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
