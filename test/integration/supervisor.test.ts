import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { whyNoLibc } from '../../config/libc.ts';
import { COUNTER } from '../../server/counters.ts';
import { checkListen } from '../../server/io/check-listen.ts';
import { adviseOnPrivilege, ListenError } from '../../server/listen-error.ts';
import type { Io, Server } from '../../server/threads/supervisor.ts';
import { makeCertificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { createDice, printedSeed, trials } from '../support/random.ts';
import { DO } from '../unit/server/answer/answerer.ts';
import { framed, LOOPBACK, query, read, serve, tcpClient, tlsClient, udpClient, until } from '../unit/server/client.ts';

const ios: Io[] = whyNoLibc() === undefined ? ['batch', 'dgram'] : ['dgram'];
const generation = (number: number, payload?: unknown) => ({ generation: number, payload });

/** The generations that UDP clients on many ports, so on all threads, and a TCP client get. */
async function generationsServed(endpoint: { host: string; port: number }): Promise<unknown[]> {
  const seen = new Set<unknown>();
  for (let port = 0; port < 20; port++) {
    using client = await udpClient(endpoint);
    seen.add(read(await client.ask(query(1))).generation);
  }
  using client = await tcpClient(endpoint);
  client.socket.write(framed(query(1)));
  const response = await client.receive();
  seen.add(response && read(response).generation);
  return [...seen];
}

describe.each(ios)('publish, with %s', (io) => {
  test('resolves when every thread runs the new generation', async () => {
    await using running = await serve({ io, workers: 2 });
    for (const number of [2, 3]) {
      await running.server.publish(generation(number));
      expect(await generationsServed(running.endpoint)).toEqual([number]);
    }
  });

  test('calls without waiting are served in order', async () => {
    await using running = await serve({ io });
    await Promise.all([2, 3, 4].map((number) => running.server.publish(generation(number))));
    expect(await generationsServed(running.endpoint)).toEqual([4]);
  });

  test('what a thread cannot answer from changes nothing, and the next one does', async () => {
    await using running = await serve({ io, workers: 2 });
    await expect(running.server.publish(generation(2, 'refuse'))).rejects.toThrow(/this publication is bad/);
    expect(await generationsServed(running.endpoint)).toEqual([1]);
    await running.server.publish(generation(3));
    expect(await generationsServed(running.endpoint)).toEqual([3]);
  });

  test('queries are answered throughout', async () => {
    await using running = await serve({ io });
    using client = await udpClient(running.endpoint);
    let published = false;
    const publishing = (async () => {
      for (let number = 2; number < 12; number++) await running.server.publish(generation(number));
      published = true;
    })();
    for (let id = 0; !published; id = (id + 1) & 0xffff) expect(read(await client.ask(query(id))).id).toBe(id);
    await publishing;
  });
});

describe.each(ios)('a thread that blocks, with %s', (io) => {
  /** Longer than the time between two turns of an idle thread. */
  const lookAgain = (server: Server): Promise<readonly string[]> =>
    new Promise((resolve) => {
      server.blocked();
      setTimeout(() => {
        resolve(server.blocked());
      }, 500);
    });

  test('is named while it blocks, and only it', async () => {
    await using running = await serve({ io });
    expect(await lookAgain(running.server)).toEqual([]);
    using client = await udpClient(running.endpoint);
    client.send(query(1, DO.BLOCK));
    expect(await lookAgain(running.server)).toEqual(['udp-0']);
    expect(read(await client.receive()).id).toBe(1);
    expect(await lookAgain(running.server)).toEqual([]);
  });
});

describe.each(ios)('a thread that dies, with %s', (io) => {
  test('is started again with the publication of the moment, counted and logged', async () => {
    await using running = await serve({ io, workers: 2 });
    await running.server.publish(generation(2));
    using client = await udpClient(running.endpoint);
    client.send(query(1, DO.DIE));
    await until(() => running.server.counters()[COUNTER.THREAD_RESTARTS] === 1);
    expect(read(await client.askAgain(query(2))).generation).toBe(2);
    expect(running.lines.error).toHaveLength(1);
    expect(running.lines.error[0]).toMatch(/^udp-[01] died; restarting it at once/);
    await running.server.publish(generation(3));
    expect(await generationsServed(running.endpoint)).toEqual([3]);
  });

  test('leaves TCP and the other threads serving', async () => {
    await using running = await serve({ io, workers: 2 });
    using killer = await udpClient(running.endpoint);
    const deadThread = read(await killer.ask(query(1))).thread;
    // A client of the other thread; the kernel chooses by port.
    let other = await udpClient(running.endpoint);
    while (read(await other.ask(query(1))).thread === deadThread) {
      other[Symbol.dispose]();
      other = await udpClient(running.endpoint);
    }
    using tcp = await tcpClient(running.endpoint);
    killer.send(query(1, DO.DIE));
    // With dgram the dead thread's socket goes, and clients with it move; the other's stay with batch.
    if (io === 'batch') expect(read(await other.ask(query(3))).id).toBe(3);
    tcp.socket.write(framed(query(4)));
    expect(await tcp.receive()).toBeDefined();
    other[Symbol.dispose]();
  });

  test('again and again is started with growing delays', async () => {
    await using running = await serve({ io });
    using client = await udpClient(running.endpoint);
    for (let deaths = 1; deaths <= 3; deaths++) {
      client.send(query(1, DO.DIE));
      await until(() => running.lines.error.length === deaths);
      await client.askAgain(query(2));
    }
    expect(running.lines.error.map((line) => /(at once|in \d+ ms)/.exec(line)?.[0])).toEqual([
      'at once',
      'in 100 ms',
      'in 200 ms',
    ]);
  });

  test('of the streams listens on the same port again', async () => {
    await using running = await serve({ io });
    using client = await tcpClient(running.endpoint);
    client.socket.write(framed(query(1, DO.DIE)));
    await client.ended;
    await until(() => running.server.counters()[COUNTER.THREAD_RESTARTS] === 1);
    for (;;) {
      const response = await tcpClient(running.endpoint).then(
        async (again) => {
          again.socket.write(framed(query(2)));
          const got = await again.receive();
          again[Symbol.dispose]();
          return got;
        },
        () => undefined,
      );
      if (!response) continue;
      expect(read(response).id).toBe(2);
      return;
    }
  });
});

describe.each(ios)('threads that die at any moment, with %s', (io) => {
  test('while generations change, and while the server stops: all serve the last one, and it stops', async () => {
    const dice = createDice(printedSeed(`dying threads, ${io}`));
    for (let trial = 0; trial < trials(2); trial++) {
      await using running = await serve({ io, workers: 2 });
      const kill = async (): Promise<void> => {
        for (let turns = dice.below(8); turns > 0; turns--) await new Promise(setImmediate);
        if (dice.chance(0.6)) {
          using client = await udpClient(running.endpoint);
          client.send(query(1, DO.DIE));
          return;
        }
        // Nothing listens while the stream thread is being started again.
        const client = await tcpClient(running.endpoint).catch(() => undefined);
        client?.socket.write(framed(query(1, DO.DIE)));
        await client?.ended;
      };
      const last = 2 + dice.below(3);
      for (let number = 2; number <= last; number++) {
        await Promise.all([running.server.publish(generation(number)), kill()]);
      }
      for (let port = 0; port < 12; port++) {
        using client = await udpClient(running.endpoint);
        expect(read(await client.askAgain(query(1))).generation).toBe(last);
      }
      let overTcp: Buffer | undefined;
      while (!overTcp) {
        using client = await tcpClient(running.endpoint).catch(() => undefined);
        client?.socket.write(framed(query(1)));
        overTcp = await client?.receive();
      }
      expect(read(overTcp).generation).toBe(last);
      // The server stops with the block: with a thread that dies meanwhile.
      if (dice.chance(0.7)) void kill();
    }
  });
});

describe('DNS over TLS', () => {
  const one = makeCertificate({ name: 'ns1.example.com' });
  const two = makeCertificate({ name: 'ns2.example.com' });
  const withPair = (number: number, tls: { cert: string; key: string }) => ({ ...generation(number), tls });
  const serveTls = () => serve({ listenTls: [LOOPBACK], publication: withPair(1, one) });
  const tlsEndpoint = ({ server }: Awaited<ReturnType<typeof serve>>) => server.tlsAddresses()[0] ?? LOOPBACK;
  const askOver = async (client: Awaited<ReturnType<typeof tlsClient>>): Promise<[unknown, unknown]> => {
    client.socket.write(framed(query(1)));
    const response = await client.receive();
    return [client.socket.getPeerCertificate().subject, response && read(response).generation];
  };

  test('has a port of its own, beside that of TCP', async () => {
    await using running = await serveTls();
    expect(tlsEndpoint(running).port).not.toBe(running.endpoint.port);
    using client = await tlsClient(tlsEndpoint(running));
    expect(await askOver(client)).toEqual([{ CN: 'ns1.example.com' }, 1]);
    expect(await generationsServed(running.endpoint)).toEqual([1]);
  });

  test('a publication brings a certificate; connections that are go on', async () => {
    await using running = await serveTls();
    using before = await tlsClient(tlsEndpoint(running));
    await running.server.publish(withPair(2, two));
    using after = await tlsClient(tlsEndpoint(running));
    expect(await askOver(after)).toEqual([{ CN: 'ns2.example.com' }, 2]);
    expect(await askOver(before)).toEqual([{ CN: 'ns1.example.com' }, 2]);
    await running.server.publish(generation(3));
    using last = await tlsClient(tlsEndpoint(running));
    expect(await askOver(last)).toEqual([{ CN: 'ns2.example.com' }, 3]);
  });

  test('a publication whose certificate cannot be used is refused by all', async () => {
    await using running = await serveTls();
    await expect(running.server.publish(withPair(2, { cert: one.cert, key: two.key }))).rejects.toThrow(/stream/);
    using client = await tlsClient(tlsEndpoint(running));
    expect(await askOver(client)).toEqual([{ CN: 'ns1.example.com' }, 1]);
    expect(await generationsServed(running.endpoint)).toEqual([1]);
  });

  test('a start without a certificate fails', async () => {
    await expect(serve({ listenTls: [LOOPBACK] })).rejects.toThrow(/needs a certificate/);
  });

  test('a port in use is an error with words', async () => {
    await using running = await serveTls();
    const taken = tlsEndpoint(running);
    const words = `127.0.0.1:${taken.port} (TCP) is in use`;
    await expect(serve({ listenTls: [taken], publication: withPair(1, one) })).rejects.toThrow(words);
    expect((await checkListen([LOOPBACK], [taken]))?.message).toBe(words);
  });

  test('after its thread died, is at the same port again, with the certificate of the moment', async () => {
    await using running = await serveTls();
    await running.server.publish(withPair(2, two));
    using client = await tlsClient(tlsEndpoint(running));
    client.socket.write(framed(query(1, DO.DIE)));
    await client.ended;
    for (;;) {
      const again = await tlsClient(tlsEndpoint(running)).catch(() => undefined);
      if (!again) continue;
      expect(await askOver(again)).toEqual([{ CN: 'ns2.example.com' }, 2]);
      again[Symbol.dispose]();
      return;
    }
  });
});

describe('a module with long answers', () => {
  test('gives them to the stream thread, a new one with each generation', async () => {
    await using running = await serve({ answererModule: new URL('./long-answerer.ts', import.meta.url) });
    using client = await tcpClient(running.endpoint);
    for (const number of [1, 2]) {
      if (number > 1) await running.server.publish(generation(number));
      client.socket.write(framed(query(7, 'L'.charCodeAt(0))));
      const response = await client.receive();
      expect(response && [response.readUInt16BE(), response[12]]).toEqual([7, number]);
    }
  });
});

describe.skipIf(whyNoLibc() !== undefined)('a batch thread that dies', () => {
  test('leaves its socket and what is queued there to the next', async () => {
    await using running = await serve({ io: 'batch' });
    using client = await udpClient(running.endpoint);
    client.send(query(1, DO.DIE));
    await until(() => running.server.counters()[COUNTER.THREAD_RESTARTS] === 1);
    // Sent once: the next thread is not there yet, the socket is.
    for (let id = 2; id < 50; id++) client.send(query(id));
    for (let id = 2; id < 50; id++) expect(read(await client.receive()).id).toBe(id);
  });
});

describe.each(ios)('start and stop, with %s', (io) => {
  test('a port in use is an error with words, and nothing stays open', async () => {
    await using first = await serve({ io, workers: 2 });
    const taken = first.endpoint;
    const spare = { host: '127.0.0.1', port: await freePort() };
    const error: unknown = await serve({ io, listen: [spare, taken] }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ListenError);
    expect((error as ListenError).message).toBe(`127.0.0.1:${taken.port} (TCP) is in use`);
    expect(await checkListen([spare])).toBeUndefined();
    expect(await generationsServed(taken)).toEqual([1]);
  });

  test('a port in use for UDP alone is found, though its owner shares it', async () => {
    const owner = createSocket({ type: 'udp4', reusePort: process.platform === 'linux' });
    const taken = { host: '127.0.0.1', port: await freePort() };
    owner.bind(taken.port, taken.host);
    await once(owner, 'listening');
    const words = `127.0.0.1:${taken.port} (UDP) is in use`;
    await expect(serve({ io, listen: [taken], workers: 2 })).rejects.toThrow(words);
    expect((await checkListen([taken]))?.message).toBe(words);
    owner.close();
    await once(owner, 'close');
    expect(await checkListen([taken])).toBeUndefined();
  });

  test('after stop, its address is free and the threads are gone', async () => {
    const listen = [
      { host: '127.0.0.1', port: await freePort() },
      { host: '::1', port: await freePort() },
    ];
    const running = await serve({ io, workers: 2, listen });
    await running.server.stop();
    expect(running.server.addresses()).toEqual(listen);
    expect(await checkListen(listen)).toBeUndefined();
    expect(running.lines.warn).toEqual([]);
    await expect(running.server.publish(generation(2))).rejects.toThrow('stopping');
    await running.server.stop();
  });

  test('a publication nobody can answer from, or a module that is none, fails the start', async () => {
    await expect(serve({ io, publication: generation(1, 'refuse') })).rejects.toThrow(/this publication is bad/);
    const answererModule = new URL('../../wire/limits.ts', import.meta.url);
    await expect(serve({ io, answererModule })).rejects.toThrow(/does not export createAnswerer/);
  });
});

describe('what stands against listening is said in words', () => {
  test.each([
    { host: '192.0.2.1', port: 5353, code: 'EADDRNOTAVAIL', message: /^no interface of this machine has 192.0.2.1/ },
    {
      host: '2001:db8::1',
      port: 5353,
      code: 'EADDRNOTAVAIL',
      message: /^no interface of this machine has 2001:db8::1/,
    },
  ])('$host', async ({ host, port, code, message }) => {
    const found = await checkListen([{ host, port }]);
    expect(found?.failure.code).toBe(code);
    expect(found?.message).toMatch(message);
    for (const io of ios) await expect(serve({ io, listen: [{ host, port }] })).rejects.toThrow(message);
  });

  test.each(['192.0.2.1', '2001:db8::1'])('with freebind it listens on %s before an interface has it', async (host) => {
    const port = await freePort();
    const endpoint = { host, port, freebind: true };
    expect(await checkListen([endpoint])).toBeUndefined();
    await using running = await serve({ io: 'batch', listen: [endpoint], workers: 2 });
    expect(running.server.addresses()).toEqual([endpoint]);
    expect((await checkListen([endpoint]))?.failure.code).toBe('EADDRINUSE');
  });

  test.each([
    ['EACCES', 53, 'no permission for port 53', 'or use a port over 1023'],
    ['EADDRINUSE', 53, '0.0.0.0:53 (UDP) is in use', 'systemd-resolved'],
    ['EADDRINUSE', 5300, '0.0.0.0:5300 (UDP) is in use', 'ss -lpnu'],
    ['EAFNOSUPPORT', 53, 'this machine has no IPv4', 'listen'],
    ['EMFILE', 53, 'cannot listen on 0.0.0.0:53 (UDP): EMFILE', 'errno'],
  ])('%s for port %d', (code, port, message, hint) => {
    const error = new ListenError({ endpoint: { host: '0.0.0.0', port }, transport: 'UDP', code });
    expect(error.message).toContain(message);
    expect(error.hint).toContain(hint);
  });

  test.each([
    [false, `"setcap 'cap_net_bind_service=+ep' ${process.execPath}"`],
    [true, '"sysctl -w net.ipv4.ip_unprivileged_port_start=53"'],
    [undefined, 'start it as root'],
  ])('a port under 1024, with no-new-privileges %s', (cannotGain, hint) => {
    expect(adviseOnPrivilege(53, cannotGain)).toContain(hint);
  });

  test('the same endpoint twice in a list', async () => {
    const port = await freePort();
    expect(
      (
        await checkListen([
          { host: '0.0.0.0', port },
          { host: '127.0.0.1', port },
        ])
      )?.message,
    ).toMatch(/in use/);
  });
});
