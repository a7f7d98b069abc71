import { EventEmitter } from 'node:events';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { expect, it } from 'vitest';
import { createAlarms } from '../../../config/alarms.ts';
import { watchConnections, type Connections } from '../../../status/connections.ts';

/** The parts of a socket and of a server that the connections use: only events and an address. */
class FakeSocket extends EventEmitter {
  destroyed = false;
  writableLength = 0;
  readonly remoteAddress: string;
  constructor(remoteAddress: string) {
    super();
    this.remoteAddress = remoteAddress;
  }
  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

type World = {
  readonly connections: Connections;
  readonly alarms: ReturnType<typeof createAlarms>;
  readonly connect: (address: string) => FakeSocket;
  /** A request that arrived completely; returns a function that sends the reply. */
  readonly ask: (socket: FakeSocket) => () => void;
};

function world(): World {
  const server = new EventEmitter();
  const alarms = createAlarms();
  const limits = { total: 6, reserve: 2, perClient: 3 };
  const connections = watchConnections(server as unknown as Server, alarms, limits);
  return {
    connections,
    alarms,
    connect: (address) => {
      const socket = new FakeSocket(address);
      server.emit('connection', socket);
      return socket;
    },
    ask: (socket) => {
      const response = new EventEmitter();
      const request = { socket, complete: true };
      server.emit('request', request, response as unknown);
      return () => response.emit('close');
    },
  };
}

it('closes the one of the same client that has been idle for longest', () => {
  const { connect, ask } = world();
  const [first, second, third] = [1, 2, 3].map(() => connect('192.0.2.1'));
  if (!first || !second || !third) throw new Error('no sockets');
  ask(first)();
  const fourth = connect('192.0.2.1');
  expect([first, second, third, fourth].map(({ destroyed }) => destroyed)).toEqual([false, true, false, false]);
});

it('refuses the new one if all of the client are busy', () => {
  const { connect, ask, connections } = world();
  for (let count = 0; count < 3; count++) ask(connect('192.0.2.1'));
  expect(connect('192.0.2.1').destroyed).toBe(true);
  expect(connect('192.0.2.2').destroyed).toBe(false);
  expect(connections.stats()).toEqual({ open: 4, closed: 0, refused: 1 });
});

it('counts a /64 of IPv6 as one client', () => {
  const { connect, connections } = world();
  for (let host = 1; host <= 5; host++) connect(`2001:db8::${host}`);
  expect(connections.stats()).toMatchObject({ open: 3, closed: 2 });
});

it('keeps a reserve for loopback, and raises an alarm', () => {
  const { connect, ask, alarms, connections } = world();
  for (let host = 1; host <= 4; host++) ask(connect(`192.0.2.${host}`));
  expect(alarms.list()).toEqual([]);
  expect(connect('192.0.2.9').destroyed).toBe(true);
  expect(alarms.list()).toMatchObject([{ code: 'connections_full', subject: 'http' }]);
  expect(connect('127.0.0.1').destroyed).toBe(false);
  expect(connect('::1').destroyed).toBe(false);
  connections.stop();
  expect(alarms.list()).toEqual([]);
});

it('a loopback connection replaces an idle one, remote or local', () => {
  const { connect, connections } = world();
  const remote = connect('192.0.2.1');
  for (let count = 0; count < 8; count++) expect(connect('::ffff:127.0.0.1').destroyed).toBe(false);
  expect(remote.destroyed).toBe(true);
  expect(connections.stats()).toMatchObject({ open: 6, closed: 3, refused: 0 });
});

it('closes a client that does not read its reply before it refuses a new one', () => {
  const { connect, ask } = world();
  const sockets = [1, 2, 3].map(() => connect('192.0.2.1'));
  for (const socket of sockets) ask(socket);
  const [, second] = sockets;
  if (second) second.writableLength = 1000;
  expect(connect('192.0.2.1').destroyed).toBe(false);
  expect(sockets.map(({ destroyed }) => destroyed)).toEqual([false, true, false]);
});

it('releases those that yield, although their request is in progress', () => {
  const { connect, ask, connections } = world();
  const sockets = [1, 2, 3].map(() => connect('192.0.2.1'));
  for (const socket of sockets) ask(socket);
  const [first] = sockets;
  if (first) connections.yields(first as unknown as Socket, true);
  expect(connect('192.0.2.1').destroyed).toBe(false);
  expect(first?.destroyed).toBe(true);
});
