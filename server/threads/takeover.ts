/**
 * One server takes another one's place without losing a query (SPEC 9): the sockets themselves go over, so nobody has to
 * stop listening. The two talk over a unix socket in the state folder:
 *
 *     new                        old
 *     connects                   sends the list of its sockets, and the sockets
 *     "release MS"               ends probes, HTTP and schedules, writes its state; still answers: "released"
 *     starts as ever,
 *     answers too: "serving"     stops, and exits: the connection ends
 *
 * Who loses the other one before "serving" goes on alone: the old one starts again what it had ended. So it does when
 * the new one has not come to "serving" within MS, since nobody probes in that time; it says "resumed", and a new one
 * that hears this ends, however late.
 */
import { rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { formatEndpoint, type Endpoint } from '../../wire/address.ts';
import { descriptorOf, receiveDescriptors, sendDescriptors } from '../io/pass-descriptors.ts';
import { libc } from '../libc.ts';
import { codeOf } from '../../config/unknown-values.ts';

/** An open socket and where it is bound. */
export type OpenSocket = { readonly endpoint: Endpoint; readonly fd: number };

/** Sockets by what they are for; `status` is the HTTP server's. */
export type OpenSockets = {
  readonly udp: readonly OpenSocket[];
  readonly stream: readonly OpenSocket[];
  readonly status: readonly OpenSocket[];
};

/** `message` says what is wrong, `hint` what to do. */
export class TakeoverError extends Error {
  override readonly name = 'TakeoverError';
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

const FILE = 'takeover.sock';
/** What the old server may take to hand over, and to write its state. */
const REPLY_MS = 10_000;
/** What it may take to finish; past that it is its own affair. */
const FINISH_MS = 15_000;
const LOOK_MS = 5;
/** Texts that are sent back and forth, a line each. */
const WORD = { RELEASE: 'release', RELEASED: 'released', SERVING: 'serving', RESUMED: 'resumed' } as const;

/** The new server's side. */
export type Takeover = {
  readonly sockets: OpenSockets;
  /**
   * Has the old server write its state and end all but answering; it takes that up again unless this one serves within
   * `withinMs`. Throws TakeoverError when it does not.
   */
  release(withinMs: number): Promise<void>;
  /** This server answers: resolves when the old one has ended. Throws TakeoverError where that has taken up its work. */
  serving(): Promise<void>;
  /** Leaves the old server at work: for a start that failed. */
  abandon(): void;
};

/** Asks the server with this state folder to be taken over. Undefined where none runs. Throws TakeoverError. */
export async function requestTakeover(stateDir: string): Promise<Takeover | undefined> {
  const socket = connect(join(stateDir, FILE));
  // Descriptors come with the first octets, and are lost when Node.js reads those.
  socket.pause();
  try {
    await event(socket, 'connect', REPLY_MS);
  } catch (error) {
    socket.destroy();
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined;
    throw new TakeoverError(
      `the running server cannot be reached at ${join(stateDir, FILE)}: ${code || String(error)}`,
      'run as the same user as the server that runs',
    );
  }
  try {
    const sockets = await receiveSockets(socket);
    const lines = readLines(socket);
    return {
      sockets,
      release: async (withinMs) => {
        socket.write(`${WORD.RELEASE} ${withinMs}\n`);
        if ((await within(lines.next(), REPLY_MS)) !== WORD.RELEASED) throw gone();
      },
      serving: async () => {
        socket.write(`${WORD.SERVING}\n`);
        const last = await within(lines.next(), FINISH_MS);
        socket.destroy();
        if (last !== WORD.RESUMED) return;
        const message = 'this start took too long, and the running server took up its work again';
        throw new TakeoverError(message, 'start it once more when the machine is less busy; it goes on running');
      },
      abandon: () => {
        socket.destroy();
      },
    };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function receiveSockets(socket: Socket): Promise<OpenSockets> {
  const deadline = performance.now() + REPLY_MS;
  for (;;) {
    const fd = descriptorOf(socket);
    const passed = fd === undefined ? undefined : receiveDescriptors(fd);
    if (passed?.text === '') throw gone();
    if (passed) return parseList(passed.text, passed.descriptors);
    if (performance.now() > deadline) throw gone();
    await new Promise((looked) => setTimeout(looked, LOOK_MS));
  }
}

type Listed = Readonly<Record<keyof OpenSockets, readonly Endpoint[]>>;

function parseList(text: string, descriptors: readonly number[]): OpenSockets {
  const listed = JSON.parse(text) as Listed;
  let next = 0;
  const take = (endpoints: readonly Endpoint[]): OpenSocket[] =>
    endpoints.map((endpoint) => ({ endpoint, fd: descriptors[next++] ?? -1 }));
  return { udp: take(listed.udp), stream: take(listed.stream), status: take(listed.status) };
}

function gone(): TakeoverError {
  return new TakeoverError('the running server did not hand over its sockets', 'its log says why; it goes on running');
}

/** What the running server does when another one takes its place. */
export type Handover = {
  readonly sockets: () => OpenSockets;
  /** Ends all but answering, and writes what is to be kept. */
  readonly release: () => Promise<void>;
  /** Starts again what `release` ended. */
  readonly resume: () => Promise<void>;
  /** The other one answers. `done` is to be called last of all. */
  readonly replaced: (done: () => void) => void;
  /** Says how it went, for the log. */
  readonly tell: (message: string) => void;
};

/** Waits for a server that wants to take over, one at a time. */
export type TakeoverListener = { close(): Promise<void> };

/** Listens in the state folder, for this user alone. Where that cannot be, says so: no takeover then. */
export async function listenForTakeover(stateDir: string, handover: Handover): Promise<TakeoverListener> {
  const path = join(stateDir, FILE);
  let busy = false;
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    if (busy) {
      socket.destroy();
      return;
    }
    busy = true;
    void handOver(socket, handover)
      .catch((error: unknown) => {
        handover.tell(`a takeover failed: ${error instanceof Error ? error.message : String(error)}`);
        socket.destroy();
      })
      .finally(() => {
        busy = false;
      });
  });
  try {
    // Left by a server that was killed; one that runs has its sockets, which this one could not have got.
    await rm(path, { force: true });
    const mask = process.umask(0o177);
    try {
      server.listen(path);
    } finally {
      process.umask(mask);
    }
    await event(server, 'listening', REPLY_MS);
  } catch (error) {
    handover.tell(`no other server can take over: ${error instanceof Error ? error.message : String(error)}`);
  }
  return {
    close: () =>
      new Promise((closed) => {
        server.close(() => {
          closed();
        });
        if (!server.listening) closed();
      }),
  };
}

async function handOver(socket: Socket, handover: Handover): Promise<void> {
  const fd = descriptorOf(socket);
  if (fd === undefined) throw new Error('its connection has no descriptor');
  const { udp, stream, status } = handover.sockets();
  const endpoints = (list: readonly OpenSocket[]): Endpoint[] => list.map(({ endpoint }) => endpoint);
  const listed: Listed = { udp: endpoints(udp), stream: endpoints(stream), status: endpoints(status) };
  const descriptors = [...udp, ...stream, ...status].map((one) => one.fd);
  sendDescriptors(fd, { text: JSON.stringify(listed), descriptors });
  const lines = readLines(socket);
  const [word, withinMs] = (await within(lines.next(), REPLY_MS))?.split(' ') ?? [];
  if (word !== WORD.RELEASE) {
    socket.destroy();
    return;
  }
  await handover.release();
  socket.write(`${WORD.RELEASED}\n`);
  const heard = await within(
    lines.next().then((said) => ({ said })),
    Number(withinMs),
  );
  if (heard?.said === WORD.SERVING) {
    handover.replaced(() => socket.destroy());
    return;
  }
  socket.end(`${WORD.RESUMED}\n`);
  await handover.resume();
  const why = heard ? 'is gone' : 'takes too long';
  handover.tell(`the server that wanted to take over ${why}: this one goes on`);
}

/** Lines as they come; undefined when the other side is gone. */
function readLines(socket: Socket): { next(): Promise<string | undefined> } {
  const lines: (string | undefined)[] = [];
  let rest = '';
  let wake: (() => void) | undefined;
  const add = (...more: (string | undefined)[]): void => {
    lines.push(...more);
    wake?.();
  };
  socket.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    add(...parts);
  });
  socket.on('error', () => socket.destroy());
  socket.once('close', () => {
    add(undefined);
  });
  socket.resume();
  return {
    next: async () => {
      while (lines.length === 0) await new Promise<void>((woken) => (wake = woken));
      return lines.shift();
    },
  };
}

/** Undefined after `ms`. */
async function within<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
  }
}

async function event(emitter: Socket | Server, name: string, ms: number): Promise<void> {
  const happened = new Promise<boolean>((resolve, reject) => {
    emitter.once(name, () => {
      resolve(true);
    });
    emitter.once('error', reject);
  });
  if (!(await within(happened, ms))) throw new Error(`nothing happened within ${ms} ms`);
}

/** The sockets at one endpoint; what `without` knows is no longer among them. */
export function socketsAt(sockets: readonly OpenSocket[], endpoint: Endpoint): OpenSocket[] {
  return sockets.filter((one) => formatEndpoint(one.endpoint) === formatEndpoint(endpoint));
}

/** Closes those of `sockets` that nobody of `wanted` listens at. */
export function closeUnwanted(sockets: readonly OpenSocket[], wanted: readonly Endpoint[]): void {
  const keys = new Set(wanted.map(formatEndpoint));
  for (const { endpoint, fd } of sockets) if (!keys.has(formatEndpoint(endpoint))) libc().close(fd);
}
