/**
 * Whether a server could listen, asked of the system by doing it for a moment.
 */
import { createServer } from 'node:net';
import type { Endpoint } from '../../wire/address.ts';
import { ListenError } from '../listen-error.ts';
import { bindStream } from './stream.ts';
import { bindDgram } from './udp-dgram.ts';

/**
 * Binds every endpoint for UDP and TCP, those of `tls` for TCP alone, and none shared with anybody (a socket that
 * shares its address with SO_REUSEPORT is in use too), and lets go again. Resolves to what stands against it,
 * undefined when nothing does.
 */
export async function checkListen(
  endpoints: readonly Endpoint[],
  tls: readonly Endpoint[] = [],
): Promise<ListenError | undefined> {
  return (await checkUdp(endpoints)) ?? (await checkTcp([...endpoints, ...tls]));
}

/** `checkListen` for UDP alone. */
export async function checkUdp(endpoints: readonly Endpoint[]): Promise<ListenError | undefined> {
  return holdAll(endpoints, async (endpoint) => {
    const socket = await bindDgram(endpoint, false);
    return (closed) => socket.close(closed);
  });
}

async function checkTcp(endpoints: readonly Endpoint[]): Promise<ListenError | undefined> {
  return holdAll(endpoints, async (endpoint) => {
    const server = createServer((socket) => socket.destroy());
    await bindStream(server, endpoint);
    return (closed) => server.close(closed);
  });
}

type Release = (closed: () => void) => unknown;

/** All at once, since endpoints of one list can stand in each other's way. */
async function holdAll(
  endpoints: readonly Endpoint[],
  hold: (endpoint: Endpoint) => Promise<Release>,
): Promise<ListenError | undefined> {
  const releases: Release[] = [];
  try {
    for (const endpoint of endpoints) releases.push(await hold(endpoint));
    return undefined;
  } catch (error) {
    if (error instanceof ListenError) return error;
    throw error;
  } finally {
    await Promise.all(
      releases.map(
        (release) =>
          new Promise<void>((closed) => {
            release(() => {
              closed();
            });
          }),
      ),
    );
  }
}
