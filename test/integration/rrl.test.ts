/**
 * A flood from loopback addresses of several /24s through sockets, threads and configuration, while real clients still
 * get their answers.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeMessage, encodeQuery, T } from '../support/message.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { eventually, run, serve, type Served } from '../support/process.ts';

const PER_SECOND = 20;
const FLOOD = 150;
const NETWORKS = ['127.0.1', '127.0.2', '127.0.3'];
const FILES = {
  ...NO_GEOGRAPHY,
  'pharos.yaml': [
    NO_GEOGRAPHY['pharos.yaml'],
    'listen: 127.0.0.1:0',
    'workers: 1',
    'status: { listen: 127.0.0.1:0 }',
    `limits: { rrl: ${PER_SECOND} }`,
    '',
  ].join('\n'),
  'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\n',
};

let server: Served;
let folder: ReturnType<typeof folderOf>;
beforeAll(async () => {
  folder = folderOf(FILES);
  server = await serve([], { cwd: folder.path });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${server.api}/metrics`)).text();
  return Number(new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (\\d+)$`, 'm').exec(text)?.[1]);
}

const DROPPED = 'pharos_dropped_total{reason="silent"}';
const LIMITED = 'pharos_rate_limited_total';

type Flooding = { readonly socket: Socket; whole: number; truncated: number };

async function flooding(address: string): Promise<Flooding> {
  const socket = createSocket('udp4');
  const counts = { socket, whole: 0, truncated: 0 };
  socket.on('message', (message) => {
    const { tc, answer } = decodeMessage(message);
    if (answer.length > 0) counts.whole++;
    else if (tc) counts.truncated++;
  });
  socket.bind(0, address);
  await once(socket, 'listening');
  return counts;
}

const query = encodeQuery('ns1.example.com', T.A);
async function flood({ socket }: Flooding): Promise<void> {
  const sent = Array.from({ length: FLOOD }, () => {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    socket.send(query, server.port, '127.0.0.1', resolve);
    return promise;
  });
  await Promise.all(sent);
}

test('each /24 gets the limit of answers per second, and TC for half of the rest', async () => {
  const [droppedBefore, limitedBefore] = [await metric(DROPPED), await metric(LIMITED)];
  // Two addresses of each network share its limit.
  const networks = await Promise.all(
    NETWORKS.map((network) => Promise.all([flooding(`${network}.1`), flooding(`${network}.200`)])),
  );
  const all = networks.flat();
  try {
    const begin = performance.now();
    await Promise.all(all.map(flood));
    let dropped = 0;
    const received = (): number => all.reduce((sum, { whole, truncated }) => sum + whole + truncated, 0);
    await eventually(
      async () => {
        dropped = (await metric(DROPPED)) - droppedBefore;
        return received() + dropped;
      },
      (settled) => settled === FLOOD * all.length,
    );
    const seconds = (performance.now() - begin) / 1000;
    for (const pair of networks) {
      const whole = pair.reduce((sum, flooded) => sum + flooded.whole, 0);
      const truncated = pair.reduce((sum, flooded) => sum + flooded.truncated, 0);
      expect(whole).toBeGreaterThanOrEqual(PER_SECOND);
      expect(whole).toBeLessThanOrEqual(PER_SECOND * (1 + seconds));
      expect(truncated).toBe(Math.floor((2 * FLOOD - whole) / 2));
    }
    expect((await metric(LIMITED)) - limitedBefore).toBe(
      all.reduce((sum, { whole }) => sum - whole, FLOOD * all.length),
    );
  } finally {
    for (const { socket } of all) socket.close();
  }
});

test('in the middle of a flood from its own network, a client with cookies or TCP gets its answer', async () => {
  using strict = folderOf({ ...FILES, 'pharos.yaml': FILES['pharos.yaml'].replace(/rrl: \d+/, 'rrl: 1, slip: 1') });
  await using other = await serve([], { cwd: strict.path });
  const flooded = await flooding('127.0.9.1');
  const timer = setInterval(() => {
    for (let n = 0; n < 10; n++) flooded.socket.send(query, other.port, '127.0.0.1');
  }, 5);
  const dig = async (...args: readonly string[]): Promise<string> => {
    const fixed = ['-b', '127.0.9.2', '-p', String(other.port), '@127.0.0.1', 'ns1.example.com', 'A', '+norec'];
    return (await run([...fixed, '+tries=1', '+time=5', ...args], { command: 'dig' })).stdout;
  };
  try {
    // Repeated if the query got the one token of that second.
    const shows = (wanted: RegExp, ...args: readonly string[]): Promise<number> =>
      eventually(
        () => dig(...args),
        (text) => wanted.test(text),
      );
    // It learns its cookie from BADCOOKIE, and repeats the query.
    await shows(/status: BADCOOKIE[^]*status: NOERROR[^]*192\.0\.2\.53[^]*\(UDP\)/, '+cookie', '+showbadcookie');
    // TC makes it use TCP.
    await shows(/Truncated, retrying in TCP mode[^]*192\.0\.2\.53[^]*\(TCP\)/, '+nocookie');
    expect(await dig('+nocookie', '+tcp')).toContain('192.0.2.53');
  } finally {
    clearInterval(timer);
    flooded.socket.close();
  }
});

test('another network is answered at once', async () => {
  const flooded = await flooding('127.0.10.1');
  try {
    await flood(flooded);
    const args = ['-b', '127.0.11.1', '-p', String(server.port), '@127.0.0.1', 'ns1.example.com', '+tries=1', '+short'];
    expect((await run([...args, '+nocookie'], { command: 'dig' })).stdout.trim()).toBe('192.0.2.53');
  } finally {
    flooded.socket.close();
  }
});
