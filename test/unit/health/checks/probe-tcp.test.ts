import * as net from 'node:net';
import { describe, expect, test } from 'vitest';
import { probeTcp } from '../../../../health/checks/probe-tcp.ts';
import { systemClock } from '../../../../health/clock.ts';
import type { ProbeConnection } from '../../../../health/connection.ts';
import { freePort } from '../../../support/free-port.ts';
import { lateProbe, listen, never, tcpCheck } from '../support.ts';

describe('tcp', () => {
  const text = (wanted: string) => ({ kind: 'text', text: wanted }) as const;
  const ignore = (): void => undefined;
  const banner = (socket: net.Socket): void => void socket.write('220 ready\r\n');
  const echo = (socket: net.Socket): void => void socket.pipe(socket);

  test.each([
    ['it connects', ignore, {}, true, 'connected'],
    ['what is expected comes', banner, { expect: text('220 ') }, true, 'received "220 "'],
    ['as a regex', banner, { expect: { kind: 'regex', source: '^2\\d\\d ', flags: '' } }, true, 'received /^2\\d\\d /'],
    ['something else comes', banner, { expect: text('250') }, false, 'no answer in 200 ms'],
    ['nothing comes', ignore, { expect: text('220') }, false, 'no answer in 200 ms'],
    ['an answer to what is sent', echo, { send: 'PING\r\n', expect: text('PING\r\n') }, true, 'received "PING\\r\\n"'],
    ['it comes in pieces', inPieces, { expect: text('abc') }, true, 'received "abc"'],
    [
      'it closes first',
      (socket: net.Socket) => socket.end('bye'),
      { expect: text('220') },
      false,
      'closed without "220"',
    ],
    ['it resets', (socket: net.Socket) => socket.resetAndDestroy(), { expect: text('220') }, false, 'connection reset'],
    ['it floods', flood, { expect: text('220') }, false, 'no "220" in the first 64 KiB'],
  ] as const)('%s', async (_, behave, change, passed, reason) => {
    const server = await listen(
      net.createServer((socket) => {
        behave(socket);
      }),
    );
    const isLate = reason.startsWith('no answer');
    const spec = tcpCheck({ timeoutMs: isLate ? 200 : 5000, ...change });
    const start = (clock = systemClock) => probeTcp({ host: '127.0.0.1', port: server.port }, spec, never, { clock });
    const result = await (isLate ? lateProbe(200, start) : start());
    expect(result).toMatchObject({ passed, reason });
    await server.quiet();
    await server.close();
  });

  test('nobody listens', async () => {
    const port = await freePort();
    const result = await probeTcp({ host: '127.0.0.1', port }, tcpCheck(), never);
    expect(result).toMatchObject({ passed: false, reason: 'connect refused' });
  });

  test('a connection to watch is kept open', async () => {
    const server = await listen(net.createServer());
    const kept: ProbeConnection[] = [];
    await probeTcp({ host: '127.0.0.1', port: server.port }, tcpCheck(), never, {
      keep: (connection) => kept.push(connection),
    });
    await expect.poll(() => server.open()).toBe(1);
    kept[0]?.hangUp();
    await server.quiet();
    await server.close();
  });
});

function inPieces(socket: net.Socket): void {
  socket.setNoDelay(true);
  socket.write('a', () => socket.write('b', () => socket.write('c')));
}

function flood(socket: net.Socket): void {
  socket.write(Buffer.alloc(1024 * 1024, 'x'));
}
