/**
 * A wire between TCP clients and a server, in user space: it delays, stalls, swallows and cuts. The kernels of many
 * test machines have no netem.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { Dice } from './random.ts';

/** Which way octets travel. */
type Way = 'up' | 'down';

export type Wire = {
  readonly port: number;
  /** Octets are accepted and lost from now on, both ways or one way: `up` is to the server. Connections stay open. */
  swallow(way?: Way): void;
  /** Ends all connections. New ones are refused until `mend`. */
  cut(): void;
  /** As at the start. Connections that lost octets are ended: TCP would have found out. */
  mend(): void;
  /** Connections that are open. */
  connections(): number;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
};

export type WireOptions = {
  /** Each way. */
  readonly delayMs?: number;
  /** A share of the segments arrives later by `stallMs`, and all behind it: what loss does to TCP. */
  readonly loss?: { readonly share: number; readonly stallMs: number; readonly dice: Dice };
};

type Line = { readonly client: Socket; readonly server: Socket; hasLost: boolean };

/** Opens a wire to a port of 127.0.0.1. */
export async function openWire(to: number | (() => number), { delayMs = 0, loss }: WireOptions = {}): Promise<Wire> {
  const swallowed = new Set<Way>();
  const lines = new Set<Line>();
  let isCut = false;
  const end = (line: Line): void => {
    lines.delete(line);
    line.client.destroy();
    line.server.destroy();
  };
  const carry = (line: Line, from: Socket, into: Socket, way: Way): void => {
    let freeMs = 0;
    from.on('data', (octets: Buffer) => {
      if (swallowed.has(way)) {
        line.hasLost = true;
        return;
      }
      const isLost = loss?.dice.chance(loss.share) === true;
      const arrivesMs = performance.now() + delayMs + (isLost ? loss.stallMs : 0);
      // TCP delivers in order.
      freeMs = Math.max(freeMs, arrivesMs);
      const waitMs = freeMs - performance.now();
      if (waitMs < 1) into.write(octets);
      else setTimeout(() => into.write(octets), waitMs);
    });
    from.on('error', () => undefined);
    from.on('close', () => {
      // A wire that swallows carries the end of a connection no more than its octets.
      if (swallowed.size === 0) setTimeout(() => { end(line); }, delayMs); // prettier-ignore
    });
  };
  const listener = createServer((client) => {
    if (isCut) {
      client.destroy();
      return;
    }
    client.setNoDelay(true);
    const server = connect({ port: typeof to === 'number' ? to : to(), host: '127.0.0.1', noDelay: true });
    const line = { client, server, hasLost: false };
    lines.add(line);
    carry(line, client, server, 'up');
    carry(line, server, client, 'down');
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    swallow: (way) => {
      for (const each of way === undefined ? (['up', 'down'] as const) : [way]) swallowed.add(each);
    },
    cut: () => {
      isCut = true;
      for (const line of [...lines]) end(line);
    },
    mend: () => {
      isCut = false;
      swallowed.clear();
      for (const line of [...lines]) if (line.hasLost) end(line);
    },
    connections: () => lines.size,
    [Symbol.asyncDispose]: async () => {
      for (const line of [...lines]) end(line);
      listener.close();
      await once(listener, 'close');
    },
  };
}
