/**
 * Servers for tests against programs that others wrote: Pharos on a free port, and NSD (Debian: nsd).
 */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { startServer } from '../../server/supervisor.ts';
import type { AnswererPayload } from '../../server/answerer.ts';
import type { Endpoint } from '../../wire/address.ts';
import { folderOf, load, payloadOf, type Files } from './pharos.ts';

export type Running = { readonly endpoints: readonly Endpoint[]; readonly [Symbol.asyncDispose]: () => Promise<void> };

const LOOPBACK: Endpoint = { host: '127.0.0.1', port: 0 };

/** Threads and sockets as in production, over these files. */
export async function runPharos(
  files: Files,
  listen: readonly Endpoint[] = [LOOPBACK],
  more: Partial<AnswererPayload> = {},
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
    answererModule: new URL('../../server/answerer.ts', import.meta.url),
    publication: { generation: 1, payload: payloadOf(load(files), more) },
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

/** A port that was free for TCP a moment ago: for programs that cannot take port 0. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** NSD with master files by zone name; with a secret of 32 hexadecimal digits it answers cookies. */
export async function runNsd(zones: Readonly<Record<string, string>>, cookieSecret?: string): Promise<Running> {
  const folder = folderOf(Object.fromEntries(Object.entries(zones).map(([zone, text]) => [`${zone}.zone`, text])));
  const { path } = folder;
  const port = await freePort();
  const conf = [
    'server:',
    `  ip-address: 127.0.0.1@${port}`,
    '  server-count: 1',
    '  username: ""',
    '  chroot: ""',
    `  zonesdir: "${path}"`,
    '  database: ""',
    `  pidfile: "${path}/nsd.pid"`,
    `  xfrdfile: "${path}/xfrd.state"`,
    `  zonelistfile: "${path}/zone.list"`,
    `  xfrdir: "${path}"`,
    '  rrl-ratelimit: 0',
    '  rrl-whitelist-ratelimit: 0',
    '  minimal-responses: no',
    '  confine-to-zone: no',
    ...(cookieSecret === undefined
      ? []
      : ['  answer-cookie: yes', `  cookie-secret: "${cookieSecret}"`, `  cookie-secret-file: "${path}/none"`]),
    'remote-control:',
    '  control-enable: no',
    ...Object.keys(zones).flatMap((zone) => ['zone:', `  name: ${zone}`, `  zonefile: "${path}/${zone}.zone"`]),
    '',
  ];
  using configuration = folderOf({ 'nsd.conf': conf.join('\n') });
  const child = spawn('/usr/sbin/nsd', ['-d', '-c', `${configuration.path}/nsd.conf`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let output = '';
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => {
        reject(new Error(`nsd ended with ${code ?? 'a signal'}:\n${output}`));
      });
      child.stderr.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (output.includes(' error: ')) reject(new Error(output));
        if (output.includes('nsd started')) resolve();
      });
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

/** A client that asks one server over UDP, one query after the other. */
export async function udpAsker({ host, port }: Endpoint) {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.connect(port, host);
  await once(socket, 'connect');
  return {
    ask: async (query: Uint8Array): Promise<Buffer> => {
      const received = once(socket, 'message', { signal: AbortSignal.timeout(5_000) });
      socket.send(query);
      const [response] = (await received) as [Buffer];
      return response;
    },
    [Symbol.dispose]: () => {
      socket.close();
    },
  };
}

/** One query over a TCP connection of its own. */
export async function askTcp({ host, port }: Endpoint, query: Uint8Array): Promise<Buffer> {
  const socket = connect(port, host);
  try {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
    let received = Buffer.alloc(0);
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk as Buffer]);
      if (received.length >= 2 && received.length >= received.readUInt16BE(0) + 2) break;
    }
    return received.subarray(2, received.readUInt16BE(0) + 2);
  } finally {
    socket.destroy();
  }
}
