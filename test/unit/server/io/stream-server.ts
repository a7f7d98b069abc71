/**
 * A stream server of the test answerer in the test's thread, for TCP and, with a certificate, for TLS. The test owns
 * its clock.
 */
import type { AnswerLong, KeyPair, Link } from '../../../../server/contract.ts';
import { createCounters } from '../../../../server/counters.ts';
import type { StreamLimits } from '../../../../server/io/stream-clients.ts';
import { createSecurity } from '../../../../server/io/stream-tls.ts';
import { serveStreams } from '../../../../server/io/stream.ts';
import { createManualClock, turns } from '../../health/support.ts';
import { createAnswerer } from '../answer/answerer.ts';
import { LOOPBACK, tcpClient, tlsClient, type TlsOptions } from '../client.ts';

export type StreamOptions = Partial<StreamLimits> & {
  readonly tls?: KeyPair;
  readonly long?: AnswerLong;
  /** The clock that ticket keys go by. */
  readonly nowMs?: () => number;
};

/** Everything that `client` and the others connect is closed with the server. */
export async function serveStream({ tls, long, nowMs, ...limits }: StreamOptions = {}) {
  const counters = createCounters();
  const answer = createAnswerer({ generation: 1, payload: undefined }, counters, 3);
  const thrown: unknown[] = [];
  const link: Link = {
    counters,
    news: () => answer,
    current: () => answer,
    currentLong: () => long,
    take: () => undefined,
    stopping: () => false,
    defers: () => true,
    settled: () => undefined,
    threw: (error) => void thrown.push(error),
    send: () => undefined,
    ask: () => Promise.resolve(undefined),
  };
  const security = createSecurity(nowMs);
  if (tls) security.take({ generation: 1, payload: undefined, tls });
  const clock = createManualClock();
  const server = await serveStreams([LOOPBACK], { clients: 16, idleMs: 10_000, ...limits }, link, {
    tls: tls && { endpoints: [LOOPBACK], security },
    clock,
  });
  /** Lets time pass, a tenth of it at once: between them the sockets have turns. */
  const pass = async (ms: number): Promise<void> => {
    for (let step = 0; step < 10; step++) {
      await clock.advance(ms / 10);
      await turns();
    }
  };
  const close = async (): Promise<number> => {
    const beganMs = clock.now();
    let isClosed = false;
    const closed = server.close().then(() => (isClosed = true));
    while (!isClosed) await clock.advance(10);
    await closed;
    return clock.now() - beganMs;
  };
  const [endpoint = LOOPBACK, tlsEndpoint = LOOPBACK] = server.endpoints;
  const made: Disposable[] = [];
  const keep = <T extends Disposable>(client: T): T => {
    made.push(client);
    return client;
  };
  return {
    server,
    security,
    counters,
    thrown,
    endpoint,
    tlsEndpoint,
    pass,
    /** Closes the server; resolves with the milliseconds that it took. */
    close,
    client: async (localAddress?: string) => keep(await tcpClient(endpoint, localAddress)),
    /** TCP on the port of TLS. */
    rawClient: async (localAddress?: string) => keep(await tcpClient(tlsEndpoint, localAddress)),
    tlsClient: async (options?: TlsOptions) => keep(await tlsClient(tlsEndpoint, options)),
    [Symbol.asyncDispose]: async () => {
      for (const client of made) client[Symbol.dispose]();
      await close();
    },
  };
}
