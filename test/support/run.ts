/**
 * Servers for tests with independent programs: Pharos on a free port, and NSD (Debian: nsd).
 */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { AnswererPayload } from '../../server/answer/answerer.ts';
import { startServer } from '../../server/threads/supervisor.ts';
import type { Endpoint } from '../../wire/address.ts';
import type { LoadedGeneration } from '../../zones/load-generation.ts';
import { freePort } from './free-port.ts';
import { PATIENCE_MS } from './patience.ts';
import { folderOf, load, payloadOf, type Files } from './pharos.ts';

export type Running = { readonly endpoints: readonly Endpoint[]; readonly [Symbol.asyncDispose]: () => Promise<void> };

const LOOPBACK: Endpoint = { host: '127.0.0.1', port: 0 };

/** Threads and sockets as in production, over these files. */
export function runPharos(
  files: Files,
  listen: readonly Endpoint[] = [LOOPBACK],
  more: Partial<AnswererPayload> = {},
): Promise<Running> {
  return runGeneration(load(files), more, listen);
}

/** The same of a generation. */
export async function runGeneration(
  generation: LoadedGeneration,
  more: Partial<AnswererPayload> = {},
  listen: readonly Endpoint[] = [LOOPBACK],
): Promise<Running> {
  const lines: string[] = [];
  const log = {
    info: () => undefined,
    warn: (line: string) => void lines.push(line),
    error: (line: string) => void lines.push(line),
  };
  const server = await startServer({
    listen,
    workers: 1,
    answererModule: new URL('../../server/answer/answerer.ts', import.meta.url),
    publication: { generation: 1, payload: payloadOf(generation, more) },
    tcpClients: 16,
    log,
  });
  return {
    endpoints: server.addresses(),
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      if (lines.length > 0) throw new Error(`the server complained: ${lines.join('\n')}`);
    },
  };
}

/** An independent server: how it is configured and started, and how its readiness is seen. */
export type Daemon = {
  /** Its path, and the arguments before the configuration file. */
  readonly command: readonly [string, ...string[]];
  /** Master files by zone name; they are in `folder` as `ZONE.zone`. */
  readonly zones: Readonly<Record<string, string>>;
  /** Further files of `folder`. */
  readonly files?: Files;
  /** Lines of its configuration. Its files belong into `folder`. */
  readonly configure: (folder: string, port: number) => readonly string[];
  /** From all of its output: whether it serves, or has failed. */
  readonly isReady: (output: string) => boolean;
  readonly isBroken: (output: string) => boolean;
};

/** Starts it on a free port; resolves when it serves. Throws with its output otherwise. */
export async function runDaemon(daemon: Daemon): Promise<Running> {
  const { command, zones, files = {}, configure, isReady, isBroken } = daemon;
  const masters = Object.fromEntries(Object.entries(zones).map(([zone, text]) => [`${zone}.zone`, text]));
  const folder = folderOf({ ...files, ...masters });
  const port = await freePort();
  const configuration = `${folder.path}/daemon.conf`;
  writeFileSync(configuration, [...configure(folder.path, port), ''].join('\n'));
  const [program, ...args] = command;
  const child = spawn(program, [...args, configuration], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => {
        reject(new Error(`${program} ended with ${code ?? 'a signal'}:\n${output}`));
      });
      const read = (chunk: Buffer): void => {
        output += chunk.toString();
        if (isBroken(output)) reject(new Error(output));
        else if (isReady(output)) resolve();
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
    });
  } catch (error) {
    child.kill();
    folder[Symbol.dispose]();
    throw error;
  }
  return {
    endpoints: [{ host: '127.0.0.1', port }],
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, 'exit');
      child.kill();
      await ended;
      folder[Symbol.dispose]();
    },
  };
}

/** NSD with master files by zone name; with a secret of 32 hexadecimal digits it supports cookies. */
export function runNsd(
  zones: Readonly<Record<string, string>>,
  cookieSecret?: string,
  files: Files = {},
): Promise<Running> {
  return runDaemon({
    command: ['/usr/sbin/nsd', '-d', '-c'],
    zones,
    files,
    configure: (folder, port) => [
      'server:',
      `  ip-address: 127.0.0.1@${port}`,
      '  server-count: 1',
      '  username: ""',
      '  chroot: ""',
      `  zonesdir: "${folder}"`,
      '  database: ""',
      `  pidfile: "${folder}/nsd.pid"`,
      `  xfrdfile: "${folder}/xfrd.state"`,
      `  zonelistfile: "${folder}/zone.list"`,
      `  xfrdir: "${folder}"`,
      '  rrl-ratelimit: 0',
      '  rrl-whitelist-ratelimit: 0',
      '  minimal-responses: no',
      '  confine-to-zone: no',
      ...(cookieSecret === undefined
        ? []
        : ['  answer-cookie: yes', `  cookie-secret: "${cookieSecret}"`, `  cookie-secret-file: "${folder}/none"`]),
      'remote-control:',
      '  control-enable: no',
      ...Object.keys(zones).flatMap((zone) => [
        'zone:',
        `  name: ${zone}`,
        `  zonefile: "${folder}/${zone}.zone"`,
        '  provide-xfr: 127.0.0.1 NOKEY',
      ]),
    ],
    isReady: (output) => output.includes('nsd started'),
    isBroken: (output) => output.includes(' error: '),
  });
}

/** A client that asks one server over UDP, one query after the other. */
export async function udpAsker({ host, port }: Endpoint) {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.connect(port, host);
  await once(socket, 'connect');
  return {
    ask: async (query: Uint8Array): Promise<Buffer> => {
      const received = once(socket, 'message', { signal: AbortSignal.timeout(PATIENCE_MS) });
      socket.send(query);
      const [response] = (await received) as [Buffer];
      return response;
    },
    [Symbol.dispose]: () => {
      socket.close();
    },
  };
}
