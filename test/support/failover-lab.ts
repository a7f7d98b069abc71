/**
 * Targets that can be made to fail, each behind a separate link in a network namespace if that is permitted, otherwise
 * on a loopback address; and a client that asks until the answer changes.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { encodeQuery } from '../../bench/packets.ts';
import { ask, readResponse } from '../../bench/read-response.ts';
import { claim } from './free-port.ts';
import { PATIENCE_MS } from './patience.ts';

export type Target = {
  readonly address: string;
  /** Starts its process, and waits until it listens. */
  start(): Promise<void>;
  /** SIGKILL: connections are reset, and the port is closed. Resolves when the process is gone. */
  kill(): Promise<void>;
  /** The status of its responses from now on. */
  answer(status: number): Promise<void>;
  /** Its link; undefined if it has none. */
  readonly link: Link | undefined;
};

export type Link = {
  /** Cut at the target's end: packets sent there are lost. */
  down(): void;
  up(): void;
  /** Cut at this machine's end. */
  hereDown(): void;
  hereUp(): void;
};

export type Lab = {
  readonly targets: readonly Target[];
  /** The links of all targets at once; undefined if they have none. */
  readonly links: Link | undefined;
  stop(): Promise<void>;
};

const SCRIPT = fileURLToPath(new URL('failover-target.ts', import.meta.url));

/** A lab with this many targets, all on `port`. */
export async function createLab(count: number, port: number): Promise<Lab> {
  const space = await openNamespace();
  const targets: (Target & { stop(): Promise<void> })[] = [];
  for (let index = 0; index < count; index++) {
    const link = space?.addLink(index);
    targets.push(createTarget(space?.name, link?.address ?? `127.77.0.${index + 1}`, port, link));
  }
  await Promise.all(targets.map((target) => target.start()));
  return {
    targets,
    links: space?.all,
    async stop() {
      await Promise.all(targets.map((target) => target.stop()));
      space?.remove();
    },
  };
}

function createTarget(space: string | undefined, address: string, port: number, link: Target['link']) {
  let child: ChildProcess | undefined;
  const heard = async (line: string): Promise<void> => {
    for (;;) {
      const [text] = (await once(child?.stdout ?? process.stdin, 'data')) as [Buffer];
      if (text.toString().includes(line)) return;
    }
  };
  const kill = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  return {
    address,
    link,
    async start() {
      const own = [process.execPath, SCRIPT, address, String(port)];
      const [program = '', ...args] = space === undefined ? own : ['ip', 'netns', 'exec', space, ...own];
      child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
      await heard('ready');
    },
    kill,
    async answer(status: number) {
      child?.stdin?.write(`${status}\n`);
      await heard(`now ${status}`);
    },
    stop: kill,
  };
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' });
}

/** Processes of labs at a time. Each has four networks in 198.19.0.0/16, which is for benchmarks (RFC 2544). */
const MOST_LABS = 64;

/** A namespace for the targets; undefined if that is not permitted. */
async function openNamespace() {
  const name = `pharos-lab-${process.pid}`;
  try {
    ip('netns', 'add', name);
  } catch {
    return undefined;
  }
  let lab = 0;
  while (lab < MOST_LABS && !(await claim(`lab-${lab}`))) lab++;
  const links: string[] = [];
  const farLinks: string[] = [];
  const remove = (): void => {
    for (const link of links.splice(0)) ip('link', 'del', link);
    ip('netns', 'del', name);
  };
  // By one process: on a busy machine the first target would be down before the third command has started.
  const setAll = (state: string, names: readonly string[], ...where: readonly string[]): void => {
    const input = names.map((each) => `link set ${each} ${state}\n`).join('');
    execFileSync('ip', [...where, '-batch', '-'], { input, stdio: 'pipe' });
  };
  const linkOf = (here: readonly string[], there: readonly string[]): Link => ({
    ...{ down: () => { setAll('down', there, '-n', name); }, up: () => { setAll('up', there, '-n', name); } }, // prettier-ignore
    ...{ hereDown: () => { setAll('down', here); }, hereUp: () => { setAll('up', here); } }, // prettier-ignore
  });
  return {
    name,
    remove,
    all: linkOf(links, farLinks),
    addLink(index: number) {
      const [here, there] = [`pl${process.pid % 100_000}x${index}`, `far${index}`];
      const network = `198.19.${lab * 4 + index}`;
      const [own, address] = [`${network}.1`, `${network}.2`];
      const link = linkOf([here], [there]);
      ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', name);
      links.push(here);
      farLinks.push(there);
      ip('addr', 'add', `${own}/30`, 'dev', here);
      link.hereUp();
      ip('-n', name, 'addr', 'add', `${address}/30`, 'dev', there);
      link.up();
      return { address, ...link };
    },
  };
}

/** The addresses in a server's answer. */
export async function addressesOf(port: number, name: string): Promise<readonly string[]> {
  return (await ask(port, encodeQuery(name, 'A'), PATIENCE_MS))?.addresses ?? [];
}

/**
 * Asks about every millisecond until an answer is as wanted; returns its time, of performance.now(). Throws after `ms`.
 */
export async function firstAnswer(
  port: number,
  name: string,
  wanted: (addresses: readonly string[]) => boolean,
  ms: number,
): Promise<number> {
  const socket = createSocket('udp4');
  const query = encodeQuery(name, 'A');
  const giveUpMs = performance.now() + ms;
  let seenMs: number | undefined;
  socket.on('message', (message) => {
    if (wanted(readResponse(message).addresses)) seenMs ??= performance.now();
  });
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  try {
    while (seenMs === undefined) {
      if (performance.now() > giveUpMs) throw new Error(`${name} was not answered otherwise within ${ms} ms`);
      socket.send(query);
      await delay(1);
    }
    return seenMs;
  } finally {
    socket.close();
  }
}
