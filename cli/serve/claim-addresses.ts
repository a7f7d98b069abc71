/**
 * Finds the addresses for a server that starts: free ones, or those of the server that it takes over from
 * (server/threads/takeover.ts).
 */
import type { Settings } from '../../config/settings.ts';
import { checkListen, checkUdp } from '../../server/io/check-listen.ts';
import { chooseIo } from '../../server/threads/supervisor.ts';
import {
  closeUnwanted,
  requestTakeover,
  socketsAt,
  TakeoverError,
  type OpenSockets,
  type Takeover,
} from '../../server/threads/takeover.ts';
import type { Endpoint } from '../../wire/address.ts';

/** The time limit of a start with takeover, in addition to `health.wait`. Then the old server resumes its work. */
const TAKEOVER_MS = 20_000;

/**
 * Runs before anything is started: `startServer` runs only after the first round of health checks.
 *
 * @param takesOver whether to take over from the server that runs with the same `state_dir`
 * @returns the old server, which then only answers queries; undefined if none runs, or without `takesOver`
 * @throws ListenError, TakeoverError
 */
export async function claimAddresses(settings: Settings, takesOver: boolean): Promise<Takeover | undefined> {
  const takeover = takesOver ? await requestTakeover(settings.stateDir) : undefined;
  try {
    await checkAddresses(settings, takeover?.sockets);
    await takeover?.release(settings.health.waitMs + TAKEOVER_MS);
  } catch (error) {
    takeover?.abandon();
    throw error;
  }
  return takeover;
}

/** Throws ListenError if an address is neither `inherited` nor free. Closes inherited sockets that are not needed. */
async function checkAddresses(settings: Settings, inherited: OpenSockets | undefined): Promise<void> {
  const { listen, tls, status } = settings;
  const { udp = [], stream = [], status: http = [] } = inherited ?? {};
  if (udp.length > 0 && chooseIo().io !== 'batch') {
    throw new TakeoverError('UDP sockets cannot be taken over through node:dgram', 'stop the server that runs first');
  }
  const streams = [...listen, ...(tls?.listen ?? [])];
  closeUnwanted(udp, listen);
  closeUnwanted(stream, streams);
  closeUnwanted(http, status ? [status.listen] : []);
  const missing = (endpoint: Endpoint, there: OpenSockets['udp']): boolean => socketsAt(there, endpoint).length === 0;
  const failure = inherited
    ? ((await checkUdp(listen.filter((endpoint) => missing(endpoint, udp)))) ??
      (await checkListen(
        [],
        streams.filter((endpoint) => missing(endpoint, stream)),
      )))
    : await checkListen(listen, tls?.listen);
  if (failure) throw failure;
}
