/**
 * The control thread's side of the server. Sockets and threads start together or not at all. Publications go to all
 * threads, and the counters of all threads are added up.
 */
import { whyNoLibc } from '../../config/libc.ts';
import { formatEndpoint, type Endpoint } from '../../wire/address.ts';
import type { Log, Publication } from '../contract.ts';
import { COUNTER, count, countResponse, createCounters, sumCounters, counterAt } from '../counters.ts';
import { inlineMore } from '../inline-more.ts';
import { checkUdp } from '../io/check-listen.ts';
import { createSendLater } from '../io/send-later.ts';
import { closeSockets, openUdpSockets, type UdpSocket } from '../io/sockets.ts';
import { ListenError } from '../listen-error.ts';
import { createJobQueue } from './rests.ts';
import { keepCoresSpare, type SpareCores } from './spare-cores.ts';
import { socketsAt, type OpenSocket, type OpenSockets } from './takeover.ts';
import { keepThread, type Keeper } from './thread-keeper.ts';
import { STREAM_THREAD, udpThreadName, WORD, type Work } from './thread.ts';

/** How UDP packets are received and sent: in batches through libc, or through node:dgram. */
export type Io = 'batch' | 'dgram';

export type ServerOptions = {
  /** For UDP and TCP. Port 0 selects a free port, the same for both. */
  readonly listen: readonly Endpoint[];
  /** For DNS over TLS; then the first publication must have a certificate. */
  readonly listenTls?: readonly Endpoint[];
  /** Number of threads that answer UDP. One more thread serves TCP and TLS. */
  readonly workers: number;
  /** An AnswererModule (contract.ts). */
  readonly answererModule: URL;
  readonly publication: Publication;
  /** Maximum of TCP connections, including TLS. */
  readonly tcpClients: number;
  /** Idle timeout of TCP connections. */
  readonly tcpIdleMs?: number;
  /** Default: `dgram` if the environment has PHAROS_IO=dgram, else `batch` where the system supports it. */
  readonly io?: Io;
  /** Sockets from a takeover. Those at endpoints of `listen` and `listenTls` are used. */
  readonly inherited?: Omit<OpenSockets, 'status'> | undefined;
  /**
   * Replies to the answerer's questions (`AskControl`) and to deferred messages; may be a promise. Undefined: every
   * reply is undefined.
   */
  readonly reply?: (question: unknown) => unknown;
  readonly log: Log;
};

export type Server = {
  readonly io: Io;
  /** The endpoints it listens on, with the actual ports in place of 0. */
  addresses(): readonly Endpoint[];
  /** The same for TLS. */
  tlsAddresses(): readonly Endpoint[];
  /**
   * Resolves when every thread runs the publication. Rejects when a thread cannot create its answerer; then every
   * thread is back on the previous publication. Calls are served one after the other.
   */
  publish(publication: Publication): Promise<void>;
  /** The sockets for a takeover. UDP sockets are left out if UDP uses `node:dgram`. */
  sockets(): Omit<OpenSockets, 'status'>;
  /** The sums over all threads, at the places of COUNTER. */
  counters(): Float64Array;
  /**
   * Names of threads that have made no turn since the last call. A thread that is being restarted is not among them.
   */
  blocked(): readonly string[];
  /** Stops accepting, answers pending queries, and closes. Never rejects; a second call waits for the first. */
  stop(): Promise<void>;
};

/** RFC 7766 6.2.3 recommends a few seconds. */
const TCP_IDLE_MS = 10_000;
/** Attempts to find a port that is free for both TCP and UDP. */
const PORT_TRIES = 10;

/**
 * Starts the server. Throws ListenError when a socket cannot be opened, Error when a thread cannot start; then nothing
 * stays open.
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  for (let tries = 1; ; tries++) {
    try {
      return await start(options);
    } catch (error) {
      const portTaken = error instanceof ListenError && error.failure.code === 'EADDRINUSE';
      const anyPort = options.listen.some(({ port }) => port === 0);
      if (!portTaken || !anyPort || tries === PORT_TRIES) throw error;
    }
  }
}

/** Chooses how UDP packets are received and sent on this machine. `why` says why batches are not available. */
export function chooseIo(wanted?: Io): { io: Io; why?: string } {
  if (wanted === 'dgram' || (wanted === undefined && process.env['PHAROS_IO'] === 'dgram')) return { io: 'dgram' };
  const why = whyNoLibc();
  return why === undefined ? { io: 'batch' } : { io: 'dgram', why };
}

async function start(options: ServerOptions): Promise<Server> {
  const { log } = options;
  const { io, why } = chooseIo(options.io);
  if (why !== undefined) log.warn(`UDP goes through node:dgram, which takes about twice the CPU per query: ${why}`);
  inlineMore();
  let spare: SpareCores | undefined;
  const crew = createCrew(options, () => spare?.threadStarted());
  const sockets: UdpSocket[] = [];
  const stop = async (): Promise<void> => {
    spare?.stop();
    await crew.stop();
    closeSockets(sockets.splice(0));
  };
  try {
    const inherited = options.inherited ?? { udp: [], stream: [] };
    const stream = await crew.add(STREAM_THREAD, {
      kind: 'stream',
      endpoints: options.listen,
      tlsEndpoints: options.listenTls ?? [],
      inherited: Object.fromEntries(inherited.stream.map(({ endpoint, fd }) => [formatEndpoint(endpoint), fd])),
      clients: options.tcpClients,
      idleMs: options.tcpIdleMs ?? TCP_IDLE_MS,
    });
    const bound = await stream.started;
    const [addresses, tlsAddresses] = split(bound, options.listen.length);
    const udp: OpenSocket[] = [];
    const works =
      io === 'batch'
        ? batchWork(addresses, options.workers, sockets, inherited.udp, udp)
        : await dgramWork(addresses, options);
    await Promise.all(works.map((work, index) => crew.add(udpThreadName(index), work)));
    spare = keepCoresSpare({ workers: works.length, queries: () => countUdpQueries(crew.counters()) });
    let stopped: Promise<void> | undefined;
    return {
      io,
      addresses: () => addresses,
      tlsAddresses: () => tlsAddresses,
      publish: (publication) => crew.publish(publication),
      sockets: () => ({
        udp,
        stream: stream.descriptors().flatMap((fd, index) => {
          const endpoint = bound[index];
          return endpoint ? [{ endpoint, fd }] : [];
        }),
      }),
      counters: () => crew.counters(),
      blocked: () => crew.blocked(),
      stop: () => (stopped ??= stop()),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Opens one socket per endpoint and thread. There may be more inherited sockets than threads; they are spread over the
 * threads. Each socket is added to `opened` at once, for the clean-up, and to `listed` with its endpoint.
 */
function batchWork(
  endpoints: readonly Endpoint[],
  workers: number,
  opened: UdpSocket[],
  inherited: readonly OpenSocket[],
  listed: OpenSocket[],
): Work[] {
  const byEndpoint = endpoints.map((endpoint) => {
    const before = socketsAt(inherited, endpoint).map(({ fd }) => fd);
    const { sockets } = openUdpSockets(endpoint, workers, before);
    opened.push(...sockets);
    listed.push(...sockets.map(({ fd }) => ({ endpoint, fd })));
    return sockets;
  });
  return Array.from({ length: workers }, (_, index) => ({
    kind: 'udp-batch',
    sockets: byEndpoint.flatMap((sockets) => sockets.filter((_socket, place) => place % workers === index)),
  }));
}

async function dgramWork(endpoints: readonly Endpoint[], { workers, log }: ServerOptions): Promise<Work[]> {
  const inTheWay = await checkUdp(endpoints);
  if (inTheWay) throw inTheWay;
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  // Linux and FreeBSD spread clients over sockets that share a port; libuv refuses elsewhere.
  const canShare = ['linux', 'freebsd'].includes(process.platform) && (major > 23 || (major === 23 && minor >= 1));
  if (workers > 1 && !canShare) log.warn('UDP is answered by one thread: this system cannot share ports');
  const count = canShare ? workers : 1;
  return Array.from({ length: count }, () => ({ kind: 'udp-dgram', endpoints, reusePort: count > 1 }));
}

function countUdpQueries(counters: Float64Array): number {
  return counterAt(counters, COUNTER.QUERIES_UDP4) + counterAt(counters, COUNTER.QUERIES_UDP6);
}

/** Splits the stream thread's endpoints into those of TCP and those of TLS. */
function split(bound: readonly Endpoint[], plain: number): [Endpoint[], Endpoint[]] {
  return [bound.slice(0, plain), bound.slice(plain)];
}

type Crew = {
  /** Starts a thread. Resolves when it serves. */
  add(name: string, work: Work): Promise<Keeper>;
  publish(publication: Publication): Promise<void>;
  counters(): Float64Array;
  blocked(): readonly string[];
  stop(): Promise<void>;
};

/** The threads of one server and their current publication. */
function createCrew({ publication: first, ...options }: ServerOptions, threadRuns: () => void): Crew {
  const keepers: Keeper[] = [];
  const own = createCounters();
  const sendLater = createSendLater();
  const inTurn = createJobQueue();
  const blocks = [own];
  const watched: { name: string; keeper: Keeper; counters: Float64Array; turns: number }[] = [];
  const words = new Int32Array(new SharedArrayBuffer(WORD.COUNT * Int32Array.BYTES_PER_ELEMENT));
  // Taken out of `options`, which would keep the first publication in memory.
  let current = first;
  let sequence = 1;
  Atomics.store(words, WORD.WANTED, sequence);
  let stopping = false;
  let waiting: PromiseWithResolvers<undefined> | undefined;
  let last: Promise<unknown> = Promise.resolve();

  /** Posts a publication to every thread and waits until all run it. */
  const roll = async (publication: Publication): Promise<void> => {
    if (stopping) throw new Error('the server is stopping');
    current = publication;
    sequence++;
    waiting = Promise.withResolvers();
    for (const keeper of keepers) keeper.post({ kind: 'publish', sequence, publication });
    // After the messages, so that a thread that sees the new number finds its message.
    Atomics.store(words, WORD.WANTED, sequence);
    await waiting.promise;
  };
  const rollOrBack = async (publication: Publication): Promise<void> => {
    const previous = current;
    try {
      await roll(publication);
    } catch (error) {
      // All threads must run the same publication.
      if (!stopping) await roll(previous);
      throw error;
    }
  };

  return {
    add: async (name, given) => {
      let work = given;
      const index = name === STREAM_THREAD ? options.workers : keepers.length - 1;
      const counters = createCounters();
      blocks.push(counters);
      const keeper = keepThread({
        name,
        counters: own,
        inTurn,
        onQuestion: (question) => options.reply?.(question),
        onResponse: (response, route) => {
          countResponse(own, response, 0, response.length);
          if (!sendLater(response, route)) count(own, COUNTER.SEND_ERRORS);
        },
        log: options.log,
        start: () => ({
          ...{ index, words, counters, work },
          answererModule: options.answererModule.href,
          deferred: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)),
        }),
        first: () => ({ kind: 'publish', sequence, publication: current }),
        onRunning: () => {
          threadRuns();
          if (keepers.every((each) => each.running() >= sequence)) waiting?.resolve(undefined);
        },
        onRefused: (refused, reason) => {
          if (refused === sequence) waiting?.reject(new Error(`${name} cannot create its answerer: ${reason}`));
        },
      });
      keepers.push(keeper);
      watched.push({ name, keeper, counters, turns: -1 });
      const endpoints = await keeper.started;
      // A restarted thread must use the same ports again, not other free ones.
      if (work.kind === 'stream') {
        const [plain, tlsEndpoints] = split(endpoints, work.endpoints.length);
        // A thread that dies takes its inherited sockets with it.
        work = { ...work, endpoints: plain, tlsEndpoints, inherited: {} };
      }
      return keeper;
    },
    publish: (publication) => {
      const done = last.then(() => rollOrBack(publication));
      last = done.catch(() => undefined);
      return done;
    },
    counters: () => sumCounters(blocks),
    blocked: () =>
      watched.flatMap((thread) => {
        const before = thread.turns;
        thread.turns = counterAt(thread.counters, COUNTER.TURNS);
        return thread.turns === before && thread.keeper.running() > 0 ? [thread.name] : [];
      }),
    stop: async () => {
      stopping = true;
      waiting?.reject(new Error('the server is stopping'));
      Atomics.store(words, WORD.STOP, 1);
      for (const keeper of keepers) keeper.post({ kind: 'stop' });
      await Promise.all(keepers.map((keeper) => keeper.ended()));
    },
  };
}
