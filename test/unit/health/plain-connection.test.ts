import * as net from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { whyNoLibc } from '../../../config/libc.ts';
import { overSocket, type ProbeConnection } from '../../../health/connection.ts';
import { connectPlain } from '../../../health/plain-connection.ts';
import { freePort } from '../../support/free-port.ts';
import { listen, type TestServer } from './support.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const run of cleanUp.splice(0).reverse()) await run();
});

async function serve(behave: (socket: net.Socket) => unknown, host = '127.0.0.1'): Promise<TestServer> {
  const served = await listen(net.createServer(behave), 0, host);
  cleanUp.push(() => served.close());
  return served;
}

function plain(host: string, port: number, text?: string): ProbeConnection {
  const connection = connectPlain(host, port, text);
  if (connection === undefined) throw new Error(`${host} is not an address`);
  cleanUp.push(() => {
    connection.hangUp();
  });
  return connection;
}

function overNode(host: string, port: number, text = ''): ProbeConnection {
  const connection = overSocket(net.connect(port, host));
  if (text !== '') connection.send(text);
  return connection;
}

/** What comes until the connection is at its end. */
function untilTheEnd(connection: ProbeConnection): Promise<{ octets: Buffer; end: string; opened: boolean }> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    let opened = false;
    const settle = (end: string): void => {
      connection.hangUp();
      resolve({ octets: Buffer.concat(pieces), end, opened });
    };
    connection.owner = {
      opened: () => {
        opened = true;
      },
      received: (octets) => pieces.push(Buffer.from(octets)),
      ended: () => {
        settle('ended');
      },
      failed: (error) => {
        settle(`${String(error.syscall)} ${String(error.code)}: ${error.message}`);
      },
    };
  });
}

const KINDS = [
  ['without a socket of Node.js', plain],
  ['over one', overNode],
] as const;

describe.runIf(whyNoLibc() === undefined).each(KINDS)('a connection %s', (_, connect) => {
  test.each(['127.0.0.1', '::1'])('carries what is sent and received, to and from %s', async (host) => {
    const served = await serve((socket) => socket.pipe(socket), host);
    const connection = connect(host, served.port, 'one ');
    const seen: string[] = [];
    connection.owner = { received: (octets) => seen.push(octets.toString('latin1')), ended: () => undefined, failed: () => undefined }; // prettier-ignore
    connection.send('two \xff');
    await expect.poll(() => seen.join('')).toBe('one two \xff');
    expect([connection.isOpen(), connection.isToItself()]).toEqual([true, false]);
    expect(connection.peer()).toBe(`${host} ${String(served.port)}`);
    connection.hangUp();
    expect(connection.isOpen()).toBe(false);
    await served.quiet();
  });

  test('tells when it is established, then when the other side ends it', async () => {
    const served = await serve((socket) => socket.end('bye'));
    expect(await untilTheEnd(connect('127.0.0.1', served.port))).toEqual({ octets: Buffer.from('bye'), end: 'ended', opened: true }); // prettier-ignore
  });

  test('that is refused says so', async () => {
    const port = await freePort();
    const end = `connect ECONNREFUSED: connect ECONNREFUSED 127.0.0.1:${String(port)}`;
    const nothing = Buffer.alloc(0);
    expect(await untilTheEnd(connect('127.0.0.1', port))).toEqual({ octets: nothing, end, opened: false });
    expect(await untilTheEnd(connect('127.0.0.1', port, 'text'))).toEqual({ octets: nothing, end, opened: false });
  });

  test('that is reset says so', async () => {
    const served = await serve((socket) => {
      socket.once('data', () => socket.resetAndDestroy());
    });
    const { end } = await untilTheEnd(connect('127.0.0.1', served.port, 'x'));
    expect(end).toBe('read ECONNRESET: read ECONNRESET');
  });

  test('carries megabytes in both directions', async () => {
    let received = 0;
    const served = await serve((socket) => {
      // What is sent has to wait in the meantime.
      socket.pause();
      setImmediate(() => socket.resume());
      socket.on('data', ({ length }) => {
        received += length;
        if (received === 3_000_000) socket.end(Buffer.alloc(2_000_000, 'y'));
      });
    });
    const { octets, end } = await untilTheEnd(connect('127.0.0.1', served.port, 'x'.repeat(3_000_000)));
    expect([octets.length, end, received]).toEqual([2_000_000, 'ended', 3_000_000]);
  });

  test('that was hung up brings no more events, even of the same moment', async () => {
    const served = await serve((socket) => socket.on('error', () => undefined).end(Buffer.alloc(1_000_000)));
    const connection = connect('127.0.0.1', served.port);
    let events = 0;
    const count = (): void => {
      events += 1;
      connection.hangUp();
    };
    connection.owner = { received: count, ended: count, failed: count };
    await expect.poll(() => events).toBe(1);
    await served.quiet();
    expect(events).toBe(1);
  });

  test('is hung up by a reset', async () => {
    const errors: unknown[] = [];
    const served = await serve((socket) => socket.on('error', ({ message }) => errors.push(message)));
    const connection = connect('127.0.0.1', served.port);
    await new Promise<void>((resolve) => {
      connection.owner = { opened: resolve, received: () => undefined, ended: () => undefined, failed: () => undefined }; // prettier-ignore
    });
    connection.hangUp();
    await expect.poll(() => errors).toEqual(['read ECONNRESET']);
  });
});

describe.runIf(whyNoLibc() === undefined)('connections without sockets of Node.js', () => {
  test.each(['localhost', '', '127.0.0.1 ', '127.1', 'fe80::1%lo', '::g'])('%j is not an address', (host) => {
    expect(connectPlain(host, 80)).toBe(undefined);
  });

  test('many at once, each with its own octets, and descriptors that are used again', async () => {
    const served = await serve((socket) => socket.pipe(socket));
    for (let round = 0; round < 3; round += 1) {
      const all = Array.from({ length: 400 }, async (_, index) => {
        const connection = plain('127.0.0.1', served.port, `${String(round)}:${String(index)}`);
        return await new Promise<string>((resolve) => {
          const settle = (text: string): void => {
            connection.hangUp();
            resolve(text);
          };
          connection.owner = {
            received: (octets) => {
              settle(octets.toString());
            },
            ended: () => {
              settle('ended');
            },
            failed: ({ message }) => {
              settle(message);
            },
          };
        });
      });
      expect(await Promise.all(all)).toEqual(Array.from({ length: 400 }, (_, index) => `${String(round)}:${String(index)}`)); // prettier-ignore
    }
    await served.quiet();
  });
});
