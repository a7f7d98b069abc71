/**
 * The wires of `pharos demo --fleet`: each node reaches NATS through a separate relay, which can be cut and joined.
 */
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';

export type Wire = {
  readonly node: string;
  /** The port that the node connects to. */
  readonly port: number;
  readonly isCut: () => boolean;
  /** Ends all connections and accepts none, or accepts them again. */
  readonly cut: (isCut: boolean) => void;
  readonly close: () => Promise<void>;
};

/** Relays connections on a port of loopback to `to`, a port of loopback. */
export async function startWire(node: string, to: number): Promise<Wire> {
  let isCut = false;
  const sockets = new Set<Socket>();
  const hold = (socket: Socket): void => {
    sockets.add(socket);
    socket.setNoDelay(true).on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  };
  const server = createServer((near) => {
    if (isCut) {
      near.destroy();
      return;
    }
    const far = connect(to, '127.0.0.1');
    for (const socket of [near, far]) hold(socket);
    near.pipe(far).pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  const end = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    node,
    port: await listenOnLoopback(server, 0),
    isCut: () => isCut,
    cut: (value) => {
      isCut = value;
      if (value) end();
    },
    close: async () => {
      end();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** HTTP for the wires: `POST /cut/NODE`, `POST /join/NODE`, on `port` if it is free. */
export async function startSwitchboard(
  wires: readonly Wire[],
  port: number,
): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  const server = createHttpServer((request, response) => {
    const [, change, name] = /^\/(cut|join)\/([\w-]+)$/.exec(request.url ?? '') ?? [];
    const wire = wires.find(({ node }) => node === name);
    const isKnown = wire !== undefined && request.method === 'POST';
    if (isKnown) wire.cut(change === 'cut');
    response.writeHead(isKnown ? 200 : 404, { 'content-type': 'text/plain' });
    const usage = `POST /cut/NODE or /join/NODE; nodes: ${wires.map(({ node }) => node).join(', ')}`;
    response.end(`${isKnown ? `${wire.node} is ${wire.isCut() ? 'cut off from' : 'joined to'} NATS` : usage}\n`);
  });
  return {
    port: await listenOnLoopback(server, port).catch(() => listenOnLoopback(server, 0)),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function listenOnLoopback(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
}
