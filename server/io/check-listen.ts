/**
 * Checks whether a server could listen, by binding the addresses for a moment.
 */
import { createServer } from 'node:net';
import type { Endpoint } from '../../wire/address.ts';
import { ListenError } from '../listen-error.ts';
import { bindStream } from './stream.ts';
import { bindDgram } from './udp-dgram.ts';

/**
 * Binds every endpoint for UDP and TCP, those of `tls` only for TCP, then closes the sockets. Binds them exclusively,
 * so that an address which another socket shares with SO_REUSEPORT counts as in use. Resolves to the first error, or to
 * undefined.
 */
export async function checkListen(
  endpoints: readonly Endpoint[],
  tls: readonly Endpoint[] = [],
): Promise<ListenError | undefined> {
  return (await checkUdp(endpoints)) ?? (await checkTcp([...endpoints, ...tls]));
}

/** Like `checkListen`, only for UDP. */
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

/** Holds all sockets at the same time, because endpoints of one list can conflict. */
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
