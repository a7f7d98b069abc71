/**
 * A new server replaces a running one without losing a query (docs/commands.md#--takeover): the old server passes its
 * open sockets to the new one. The two communicate over a unix socket in the state folder:
 *
 *     new                        old
 *     connects                   sends the list of its sockets, and the sockets
 *     "release MS"               ends probes, HTTP and schedules, writes its state; still answers: "released"
 *     starts as usual,
 *     answers too: "serving"     stops, and exits: the connection ends
 *
 * When one server loses the connection before "serving", it continues alone; the old server then restarts what it had
 * ended. The old server also does that when the new one does not send "serving" within MS, because no probes run in
 * that time. It then sends "resumed", and a new server that receives this exits.
 */
import { rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { libc } from '../../config/libc.ts';
import { codeOf } from '../../config/unknown-values.ts';
import { formatEndpoint, type Endpoint } from '../../wire/address.ts';
import { descriptorOf, receiveDescriptors, sendDescriptors } from '../io/pass-descriptors.ts';

/** An open socket and its endpoint. */
export type OpenSocket = { readonly endpoint: Endpoint; readonly fd: number };

/** Sockets by purpose; `status` is for the HTTP server. */
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
/** Time limit for the old server to pass its sockets, and to write its state. */
const REPLY_MS = 10_000;
/** How long the new server waits for the old one to finish. */
const FINISH_MS = 15_000;
const LOOK_MS = 5;
/** The words of the protocol, one per line. */
const WORD = { RELEASE: 'release', RELEASED: 'released', SERVING: 'serving', RESUMED: 'resumed' } as const;

/** The new server's side. */
export type Takeover = {
  readonly sockets: OpenSockets;
  /**
   * Makes the old server write its state and end everything but answering. It resumes unless this server serves within
   * `withinMs`. Throws TakeoverError when the old server does not reply.
   */
  release(withinMs: number): Promise<void>;
  /**
   * Reports that this server answers. Resolves when the old one has ended. Throws TakeoverError when that has resumed.
   */
  serving(): Promise<void>;
  /** Lets the old server resume, after a failed start. */
  abandon(): void;
};

/** Requests a takeover from the server with this state folder. Undefined when none runs. Throws TakeoverError. */
export async function requestTakeover(stateDir: string): Promise<Takeover | undefined> {
  const socket = connect(join(stateDir, FILE));
  // Descriptors come with the first octets. They would be lost if Node.js read these.
  socket.pause();
  try {
    await event(socket, 'connect', REPLY_MS);
  } catch (error) {
    socket.destroy();
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined;
    throw new TakeoverError(
      `cannot reach the running server at ${join(stateDir, FILE)}: ${code || String(error)}`,
      'run this command as the same user as the running server',
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
        const message = 'this start took too long, so the running server has resumed';
        throw new TakeoverError(message, 'try again when the machine is less busy; the running server keeps serving');
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
  return new TakeoverError(
    'the running server did not hand over its sockets',
    'see its log for the reason; it keeps serving',
  );
}

/** The running server's part of a takeover. */
export type Handover = {
  readonly sockets: () => OpenSockets;
  /** Ends everything but answering, and writes the state. */
  readonly release: () => Promise<void>;
  /** Restarts what `release` ended. */
  readonly resume: () => Promise<void>;
  /** Called when the new server answers. Must call `done` last. */
  readonly replaced: (done: () => void) => void;
  /** Logs the result of a failed takeover. */
  readonly tell: (message: string) => void;
};

/** Accepts takeovers, one at a time. */
export type TakeoverListener = { close(): Promise<void> };

/**
 * Listens in the state folder, accessible only to this user. On failure it calls `tell`, and takeovers are not
 * possible.
 */
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
        handover.tell(`takeover failed: ${error instanceof Error ? error.message : String(error)}`);
        socket.destroy();
      })
      .finally(() => {
        busy = false;
      });
  });
  try {
    // Left by a killed server. A running server would hold the sockets that this server has already bound.
    await rm(path, { force: true });
    const mask = process.umask(0o177);
    try {
      server.listen(path);
    } finally {
      process.umask(mask);
    }
    await event(server, 'listening', REPLY_MS);
  } catch (error) {
    handover.tell(`takeovers are not possible: ${error instanceof Error ? error.message : String(error)}`);
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
  if (fd === undefined) throw new Error('the connection has no file descriptor');
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
  const why = heard ? 'disconnected' : 'took too long';
  handover.tell(`takeover failed: the new server ${why}; this server keeps serving`);
}

/** Reads lines. `next` resolves to undefined when the other side has disconnected. */
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

/** Resolves like `work`, or to undefined after `ms`. */
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
  if (!(await within(happened, ms))) throw new Error(`no "${name}" event within ${ms} ms`);
}

/** The sockets at one endpoint. */
export function socketsAt(sockets: readonly OpenSocket[], endpoint: Endpoint): OpenSocket[] {
  return sockets.filter((one) => formatEndpoint(one.endpoint) === formatEndpoint(endpoint));
}

/** Closes the sockets whose endpoints are not in `wanted`. */
export function closeUnwanted(sockets: readonly OpenSocket[], wanted: readonly Endpoint[]): void {
  const keys = new Set(wanted.map(formatEndpoint));
  for (const { endpoint, fd } of sockets) if (!keys.has(formatEndpoint(endpoint))) libc().close(fd);
}
