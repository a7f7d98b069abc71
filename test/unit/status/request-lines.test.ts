import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createRequestLines, MAX_PIPELINED, type ClientKind } from '../../../status/request-lines.ts';

/** The parts of a socket, a request and a response that the lines use. */
class FakeSocket extends EventEmitter {
  destroyed = false;
  parser = { onIncoming: (): number => 0 };
  destroy(): void {
    this.destroyed = true;
  }
}
type Fake = { readonly name: string; readonly kind: ClientKind; readonly socket: FakeSocket };

type World = {
  /** Names of requests, in the order in which they were served. */
  readonly served: string[];
  /** Whether the connections of these requests may be closed. */
  readonly yielding: Map<FakeSocket, boolean>;
  /** A request; returns a function that sends its reply. */
  readonly ask: (name: string, kind: ClientKind, socket?: FakeSocket) => () => void;
  readonly connected: () => void;
  /** Lets turns of the event loop pass. Returns what each of them served. */
  readonly turns: (count: number) => Promise<string[][]>;
  nowMs: number;
};

function world(): World {
  const served: string[] = [];
  const yielding = new Map<FakeSocket, boolean>();
  const { receive, connected } = createRequestLines(
    (request) => {
      served.push((request as unknown as Fake).name);
    },
    {
      kindOf: (request) => (request as unknown as Fake).kind,
      yields: (socket, may) => yielding.set(socket as unknown as FakeSocket, may),
      nowMs: () => all.nowMs,
    },
  );
  const all: World = {
    ...{ served, yielding, connected, nowMs: 0 },
    ask: (name, kind, socket = new FakeSocket()) => {
      const response = new EventEmitter();
      receive({ name, kind, socket } as unknown as IncomingMessage, response as unknown as ServerResponse);
      return () => response.emit('close');
    },
    turns: async (count) => {
      const seen: string[][] = [];
      for (let turn = 0; turn < count; turn++) {
        const before = served.length;
        await nextTurn();
        seen.push(served.slice(before));
      }
      return seen;
    },
  };
  return all;
}

it('serves one request of each line in a turn', async () => {
  const { ask, turns } = world();
  for (const name of ['a', 'b', 'c']) ask(name, 'other');
  ask('probe', 'open');
  for (const name of ['first order', 'second order']) ask(name, 'known');
  expect(await turns(4)).toEqual([['first order', 'probe', 'a'], ['second order', 'b'], ['c'], []]);
});

it('a connection that asks all the time waits only for others that do', async () => {
  const all = world();
  const crowd = Array.from({ length: 5 }, () => new FakeSocket());
  const replies = crowd.map((socket, at) => all.ask(`first ${at}`, at % 2 === 0 ? 'other' : 'open', socket));
  await all.turns(5);
  for (const reply of replies) reply();
  all.nowMs = 999;
  for (const [at, socket] of crowd.entries()) all.ask(`again ${at}`, at % 2 === 0 ? 'other' : 'open', socket);
  all.ask('scrape', 'other');
  all.ask('probe', 'open');
  expect(await all.turns(2)).toEqual([['probe', 'scrape', 'again 0'], ['again 1']]);
});

it('a connection that was quiet for a second is like a new one, and a known one always is', async () => {
  const all = world();
  const [quiet, known] = [new FakeSocket(), new FakeSocket()];
  const replies = [all.ask('first', 'other', quiet), all.ask('order', 'known', known)];
  await all.turns(1);
  for (const reply of replies) reply();
  all.ask('second order', 'known', known);
  all.nowMs = 1000;
  all.ask('second', 'other', quiet);
  all.ask('new', 'other');
  expect(await all.turns(2)).toEqual([['second order', 'second'], ['new']]);
});

it('while connections come in, anonymous requests have one turn of eight, and the others every turn', async () => {
  const { ask, connected, turns } = world();
  for (let at = 0; at < 20; at++) {
    ask(`anonymous ${at}`, 'other');
    ask(`order ${at}`, 'known');
  }
  const seen: string[][] = [];
  for (let turn = 0; turn < 17; turn++) {
    connected();
    seen.push(...(await turns(1)));
  }
  expect(seen.map(([order]) => order)).toEqual(Array.from({ length: 17 }, (_, at) => `order ${at}`));
  expect(seen.flatMap(([, ...more]) => more)).toEqual(['anonymous 0', 'anonymous 1', 'anonymous 2']);
  expect(await turns(2)).toEqual([
    ['order 17', 'anonymous 3'],
    ['order 18', 'anonymous 4'],
  ]);
});

it('serves the requests of a connection one after the other, and closes it where too many wait', async () => {
  const { ask, served, turns } = world();
  const socket = new FakeSocket();
  const replies = Array.from({ length: MAX_PIPELINED }, (_, at) => ask(String(at), 'known', socket));
  await turns(3);
  expect(served).toEqual(['0']);
  replies[0]?.();
  await turns(3);
  expect(served).toEqual(['0', '1']);
  ask('one more is allowed now', 'known', socket);
  expect(socket.destroyed).toBe(false);
  ask('and this one is too much', 'known', socket);
  expect(socket.destroyed).toBe(true);
  // What makes the parser of Node.js give up.
  expect(socket.parser.onIncoming()).toBe(-1);
  replies[1]?.();
  await turns(3);
  expect(served).toEqual(['0', '1']);
});

it('skips requests whose clients have gone', async () => {
  const { ask, turns } = world();
  const gone = Array.from({ length: 50 }, () => new FakeSocket());
  for (const socket of gone) ask('gone', 'other', socket);
  ask('here', 'other');
  for (const socket of gone) socket.destroy();
  expect(await turns(1)).toEqual([['here']]);
});

it('the connection of an anonymous request may be closed while it waits', async () => {
  const { ask, yielding, turns } = world();
  const [first, second, known] = [new FakeSocket(), new FakeSocket(), new FakeSocket()];
  ask('first', 'other', first);
  ask('second', 'other', second);
  ask('order', 'known', known);
  await turns(1);
  expect([first, second, known].map((socket) => yielding.get(socket))).toEqual([false, true, undefined]);
});
