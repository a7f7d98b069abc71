/**
 * What every kind of check keeps to: it passes and fails as the target does, ends at its deadline whatever the target
 * does, ends when it is cancelled, and leaves nothing open.
 */
import * as dgram from 'node:dgram';
import { once } from 'node:events';
import * as http from 'node:http';
import * as http2 from 'node:http2';
import * as https from 'node:https';
import * as net from 'node:net';
import * as tls from 'node:tls';
import { Packet } from 'dns2';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { CheckSpec } from '../../../config/check-kinds.ts';
import type { ProbeResult } from '../../../health/checks/probe.ts';
import { runProbe } from '../../../health/checks/run-probe.ts';
import type { Clock } from '../../../health/clock.ts';
import { freePort } from '../../support/free-port.ts';
import { PATIENCE_MS } from '../../support/patience.ts';
import { startGrpcServer, type Answers } from './grpc-server.ts';
import {
  boundedProbe,
  compoundCheck,
  dnsCheck,
  drip,
  execCheck,
  grpcCheck,
  httpCheck,
  lateProbe,
  listen,
  never,
  pushCheck,
  selfSigned,
  tcpCheck,
  tlsCheck,
  turns,
  type TestServer,
} from './support.ts';

const TIMEOUT_MS = 100;
/** Deadline of probes whose clock is the test's. */
const LONG_TIMEOUT_MS = 5000;

const good = selfSigned('DNS:www.example.com,IP:127.0.0.1', 30);
const expiring = selfSigned('DNS:www.example.com', 4);
const expired = selfSigned('DNS:www.example.com', -1);
const stranger = selfSigned('DNS:www.example.com', 30);
const trusted = tls.getCACertificates('default');

beforeAll(() => {
  tls.setDefaultCACertificates([good.cert, expiring.cert, expired.cert]);
});
afterAll(() => {
  tls.setDefaultCACertificates(trusted);
});

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const run of cleanUp.splice(0)) await run();
});

/** Sockets, pipes and processes of this thread. */
function openHandles(): number {
  const kinds = /TCP|TLS|UDP|Pipe|Process/;
  return process.getActiveResourcesInfo().filter((kind) => kinds.test(kind) && !kind.includes('Server')).length;
}

/** One probe, after which as much is open as before. */
async function probe(port: number, spec: CheckSpec, signal = never): Promise<ProbeResult> {
  const before = openHandles();
  const result = await runProbe({ host: '127.0.0.1', port }, spec, signal);
  await expect.poll(openHandles, { interval: 5 }).toBeLessThanOrEqual(before);
  return result;
}

/** One probe that ends at its deadline, after its target was asked. */
async function late(port: number, spec: CheckSpec, asked?: Promise<void>): Promise<ProbeResult> {
  const before = openHandles();
  const start = (clock: Clock) =>
    runProbe({ host: '127.0.0.1', port }, patient(spec, LONG_TIMEOUT_MS), never, { clock });
  const result = await lateProbe(LONG_TIMEOUT_MS, start, asked);
  await expect.poll(openHandles, { interval: 5 }).toBeLessThanOrEqual(before);
  return result;
}

/** One probe of a peer that may never answer. */
async function ofPeer(port: number, spec: CheckSpec): Promise<ProbeResult> {
  const before = openHandles();
  const start = (clock: Clock) => runProbe({ host: '127.0.0.1', port }, spec, never, { clock });
  const result = await boundedProbe(spec.timeoutMs, start);
  await expect.poll(openHandles, { interval: 5 }).toBeLessThanOrEqual(before);
  return result;
}

/** A mood, and `asked`: resolves when the mood is asked for next. */
function noteAsked(mood: Mood): { readonly mood: () => Mood; readonly asked: () => Promise<void> } {
  let resolve: (() => void) | undefined;
  const noted = (): Mood => {
    resolve?.();
    return mood;
  };
  return { mood: noted, asked: () => new Promise((done) => (resolve = done)) };
}

async function serve(server: net.Server): Promise<TestServer> {
  const served = await listen(server);
  cleanUp.push(async () => {
    await served.quiet();
    await served.close();
  });
  return served;
}

async function serveDns(handle: (query: Packet, reply: (answer: Packet) => void) => void, port = 0): Promise<number> {
  const socket = dgram.createSocket('udp4');
  socket.on('message', (message, from) => {
    handle(Packet.parse(message), (answer) => {
      socket.send(answer.toBuffer(), from.port, from.address);
    });
  });
  socket.bind(port, '127.0.0.1');
  await once(socket, 'listening');
  cleanUp.push(() => new Promise<void>((done) => socket.close(done)));
  return socket.address().port;
}

function answerTo(query: Packet, change: { rcode?: number; tc?: number } = {}): Packet {
  const answer = Packet.createResponseFromRequest(query);
  Object.assign(answer.header, change);
  answer.answers.push(Object.assign(new Packet.Resource('x', 1, 1, 60), { address: '192.0.2.1' }));
  return answer;
}

async function serveGrpc(answers: () => Answers | undefined, certificate = false): Promise<number> {
  const server = await startGrpcServer(answers, certificate ? good : undefined);
  cleanUp.push(server.close);
  return server.port;
}

/** What a target is like at the moment. */
type Mood = 'good' | 'bad' | 'hung';
type Kind = {
  readonly kind: string;
  readonly spec: (mood: () => Mood) => CheckSpec;
  /** A target that is in the mood it is asked to be; the port. */
  readonly target: (mood: () => Mood) => Promise<number>;
  readonly failure: string | RegExp;
  /** What is said when nobody listens; undefined where nothing is connected to. */
  readonly refused: string | undefined;
};

const host = 'www.example.com';
const respond =
  (mood: () => Mood): http.RequestListener =>
  (_, response) => {
    if (mood() !== 'hung') response.writeHead(mood() === 'good' ? 200 : 503).end('ok');
  };
const greet =
  (mood: () => Mood) =>
  (socket: net.Socket): void => {
    if (mood() === 'good') socket.write('220 ready\r\n');
    if (mood() === 'bad') socket.end('421 no\r\n');
  };
const tcpSpec = tcpCheck({ name: 'smtp', expect: { kind: 'text', text: '220' }, port: 0, timeoutMs: TIMEOUT_MS });
const tcpTarget = async (mood: () => Mood): Promise<number> => (await serve(net.createServer(greet(mood)))).port;
const timeout = { timeoutMs: TIMEOUT_MS };

const KINDS: readonly Kind[] = [
  {
    kind: 'http',
    spec: () => httpCheck(timeout),
    target: async (mood) => (await serve(http.createServer(respond(mood)))).port,
    failure: 'HTTP 503 (expected 200-399)',
    refused: 'connect refused',
  },
  {
    kind: 'https',
    spec: () => httpCheck({ ...timeout, kind: 'https', host }),
    target: async (mood) => (await serve(https.createServer(good, respond(mood)))).port,
    failure: 'HTTP 503 (expected 200-399)',
    refused: 'connect refused',
  },
  {
    kind: 'tcp',
    spec: () => tcpSpec,
    target: tcpTarget,
    failure: 'closed without "220"',
    refused: 'connect refused',
  },
  {
    kind: 'tls',
    spec: () => tlsCheck({ ...timeout, host, minDaysLeft: 14 }),
    target: async (mood) => {
      const contexts = { good, bad: expiring, hung: good };
      const server = tls.createServer({
        ...good,
        SNICallback: (_, done) => {
          // Without a call back the handshake goes no further.
          if (mood() !== 'hung') done(null, tls.createSecureContext(contexts[mood()]));
        },
      });
      return (await serve(server)).port;
    },
    failure: 'certificate expires in 3 days (expected at least 14 days)',
    refused: 'connect refused',
  },
  {
    kind: 'dns',
    spec: () => dnsCheck(timeout),
    target: (mood) =>
      serveDns((query, reply) => {
        if (mood() !== 'hung') reply(answerTo(query, { rcode: mood() === 'good' ? 0 : 2 }));
      }),
    failure: 'answered SERVFAIL',
    refused: 'connect refused',
  },
  {
    kind: 'grpc',
    spec: () => grpcCheck({ ...timeout, service: 'web' }),
    target: (mood) =>
      serveGrpc(() => ({ web: ({ good: 'SERVING', bad: 'NOT_SERVING', hung: 'hang' } as const)[mood()] })),
    failure: 'NOT_SERVING (expected SERVING)',
    refused: 'connect refused',
  },
  {
    kind: 'grpc over TLS',
    spec: () => grpcCheck({ ...timeout, tls: true, host }),
    target: (mood) =>
      serveGrpc(() => ({ '': ({ good: 'SERVING', bad: 'NOT_SERVING', hung: 'hang' } as const)[mood()] }), true),
    failure: 'NOT_SERVING (expected SERVING)',
    refused: 'connect refused',
  },
  {
    kind: 'exec',
    spec: (mood) => {
      const scripts = { good: 'exit 0', bad: 'echo sick; exit 3', hung: 'sleep 60 & sleep 60' };
      return execCheck({ ...timeout, command: ['sh', '-c', scripts[mood()]] });
    },
    target: () => Promise.resolve(0),
    failure: 'exit status 3: sick',
    refused: undefined,
  },
  {
    kind: 'all_of',
    spec: () => compoundCheck({ ...timeout, members: [tcpSpec, execCheck({ name: 'local' })] }),
    target: tcpTarget,
    failure: 'smtp: closed without "220"',
    refused: 'smtp: connect refused',
  },
  {
    kind: 'any_of',
    spec: () =>
      compoundCheck({
        ...timeout,
        kind: 'any_of',
        members: [tcpSpec, execCheck({ name: 'local', command: ['false'] })],
      }),
    target: tcpTarget,
    failure: '2 of 2 failed, 1 must pass; smtp: closed without "220"; local: exit status 1',
    refused: '2 of 2 failed, 1 must pass; smtp: connect refused; local: exit status 1',
  },
  {
    kind: 'at_least',
    spec: () =>
      compoundCheck({
        ...timeout,
        kind: 'at_least',
        needed: 2,
        members: [tcpSpec, execCheck({ name: 'local' }), execCheck({ name: 'other', command: ['false'] })],
      }),
    target: tcpTarget,
    failure: '2 of 3 failed, 2 must pass; smtp: closed without "220"; other: exit status 1',
    refused: '2 of 3 failed, 2 must pass; smtp: connect refused; other: exit status 1',
  },
];

/** With time enough, the members too. */
function patient(spec: CheckSpec, timeoutMs = PATIENCE_MS): CheckSpec {
  if (!('members' in spec)) return { ...spec, timeoutMs };
  return { ...spec, timeoutMs, members: spec.members.map((member) => patient(member, timeoutMs)) };
}

describe.each(KINDS)('$kind', ({ kind, spec, target, failure, refused }) => {
  test('passes and fails as the target does, from one moment to the next', async () => {
    let mood: Mood = 'good';
    const port = await target(() => mood);
    const seen: unknown[] = [];
    for (mood of ['good', 'bad', 'good', 'hung', 'bad', 'good'] as const) {
      const current = spec(() => mood);
      const { passed, reason, answered } = await (mood === 'hung'
        ? late(port, current)
        : probe(port, patient(current)));
      seen.push(passed);
      // What a command reached nobody knows.
      if (mood !== 'good') expect(answered).toBe(mood === 'bad' && kind !== 'exec');
      if (mood === 'bad') expect(reason).toEqual(failure);
      else expect(reason).not.toEqual('');
    }
    expect(seen).toEqual([true, false, true, false, false, true]);
  });

  test('keeps its deadline', async () => {
    const { mood, asked } = noteAsked('hung');
    const port = await target(mood);
    const reached = asked();
    const result = await late(port, spec(mood), reached);
    expect(result.passed).toBe(false);
    // A gRPC request carries the deadline. Here the server's timer fires at the same moment as the probe's.
    expect(result.reason).toMatch(/no answer in 5 s|still running after 5 s|answered DEADLINE_EXCEEDED/);
  });

  // The deadline is seconds away: the reason tells that it is not what ended the probe.
  test.each(['at once', 'a turn later', 'when it has asked the target'])(
    'ends when it is cancelled: %s',
    async (when) => {
      const { mood, asked } = noteAsked('hung');
      const port = await target(mood);
      const reached = asked();
      const controller = new AbortController();
      const running = probe(port, patient(spec(mood)), controller.signal);
      if (when === 'a turn later') await turns(1);
      if (when === 'when it has asked the target') await reached;
      controller.abort();
      expect(await running).toMatchObject({ passed: false, reason: 'probe cancelled' });
    },
  );

  test('does not even begin when it has been cancelled', async () => {
    expect(
      await probe(
        1,
        spec(() => 'hung'),
        AbortSignal.abort(),
      ),
    ).toMatchObject({
      passed: false,
      reason: 'probe cancelled',
    });
  });

  test.runIf(refused !== undefined)('fails before its deadline where no server listens', async () => {
    const result = await probe(await freePort(), patient(spec(() => 'good')));
    expect(result).toMatchObject({ passed: false, reason: refused, answered: true });
  });

  test('many at once do not disturb each other', async () => {
    const port = await target(() => 'good');
    const runs = Array.from({ length: 10 }, () =>
      runProbe({ host: '127.0.0.1', port }, patient(spec(() => 'good')), never),
    );
    expect((await Promise.all(runs)).filter(({ passed }) => !passed)).toEqual([]);
  });
});

test('push is reported, not probed', async () => {
  expect(await probe(1, pushCheck())).toMatchObject({ passed: false, reason: 'a push check is not probed' });
});

/** What a peer does with a connection, whatever it is asked. */
const BEHAVIOURS: Readonly<Record<string, (socket: net.Socket) => void>> = {
  'accepts and hangs': () => undefined,
  'drips an octet at a time': (socket) => {
    drip(socket, '', 'x');
  },
  'sends without end': flood,
  'resets at once': (socket) => socket.resetAndDestroy(),
  'resets when it was spoken to': (socket) => {
    socket.once('data', () => socket.resetAndDestroy());
  },
  'closes at once': (socket) => socket.end(),
  'closes when it was spoken to': (socket) => {
    socket.once('data', () => socket.end());
  },
  'speaks something else': (socket) => socket.write('SSH-2.0-OpenSSH_9.2\r\n'),
};

const STREAMS: Readonly<Record<string, CheckSpec>> = {
  http: httpCheck(timeout),
  https: httpCheck({ ...timeout, kind: 'https', host }),
  tcp: tcpSpec,
  tls: tlsCheck({ ...timeout, host }),
  grpc: grpcCheck(timeout),
  'grpc over TLS': grpcCheck({ ...timeout, tls: true, host }),
  'dns over TCP': dnsCheck(timeout),
  all_of: compoundCheck({ ...timeout, members: [tcpSpec, httpCheck(timeout), tlsCheck(timeout)] }),
};

describe.each(Object.entries(STREAMS))('%s, of a peer that', (kind, spec) => {
  test.each(Object.entries(BEHAVIOURS))('%s: fails within the deadline, and lets go', async (_, behave) => {
    const server = await serve(net.createServer(behave));
    if (kind === 'dns over TCP') {
      await serveDns((query, reply) => {
        reply(answerTo(query, { tc: 1 }));
      }, server.port);
    }
    await bounded(server.port, spec);
    await server.quiet();
  });
});

/** Fails; a probe that a peer could prolong would not end. */
async function bounded(port: number, spec: CheckSpec): Promise<ProbeResult> {
  const result = await ofPeer(port, spec);
  expect(result.passed).toBe(false);
  expect(result.reason).not.toEqual('');
  return result;
}

describe('behind a good handshake', () => {
  const SPECS: Readonly<Record<string, CheckSpec>> = {
    https: httpCheck({ ...timeout, kind: 'https', host }),
    'grpc over TLS': grpcCheck({ ...timeout, tls: true, host }),
  };
  const cases = Object.entries(SPECS).flatMap(([kind, spec]) =>
    Object.entries(BEHAVIOURS).map(([title, behave]) => ({ kind, title, spec, behave })),
  );
  test.each(cases)('$kind, of a peer that $title', async ({ spec, behave }) => {
    const server = tls.createServer({ ...good, ALPNProtocols: ['h2', 'http/1.1'] }, (socket) => {
      socket.on('error', () => undefined);
      // Node.js cannot reset what TLS has taken over; without close_notify it is no end of TLS either.
      Object.assign(socket, { resetAndDestroy: () => socket.destroy() });
      behave(socket);
      socket.resume();
    });
    server.on('tlsClientError', () => undefined);
    await bounded((await serve(server)).port, spec);
  });
});

describe('certificates', () => {
  const http1 = (certificate: typeof good): net.Server =>
    https.createServer(certificate, (_, response) => response.end());
  const h2 = (certificate: typeof good): net.Server => http2.createSecureServer(certificate);
  const KINDS_OVER_TLS: readonly [string, (insecure: boolean, host: string) => CheckSpec, typeof h2][] = [
    ['https', (insecure, name) => httpCheck({ kind: 'https', insecure, host: name }), http1],
    ['tls', (insecure, name) => tlsCheck({ insecure, host: name }), http1],
    ['grpc', (insecure, name) => grpcCheck({ tls: true, insecure, host: name }), h2],
  ];
  const wrong: readonly [string, typeof good, string, RegExp][] = [
    ['signed by a stranger', stranger, host, /^certificate: self-signed certificate$/],
    ['expired', expired, host, /^certificate has expired$/],
    ['for another name', good, 'www.example.net', /^certificate: .*www\.example\.net/],
  ];
  const cases = KINDS_OVER_TLS.flatMap(([kind, spec, server]) =>
    wrong.map(([title, certificate, name, reason]) => ({ kind, title, certificate, name, reason, spec, server })),
  );
  test.each(cases)('$kind: $title', async ({ certificate, name, reason, spec, server }) => {
    const started = server(certificate);
    started.on('tlsClientError', () => undefined);
    const { port } = await serve(started);
    const result = await probe(port, spec(false, name));
    expect(result.reason).toMatch(reason);
    expect(result.passed).toBe(false);
    // The certificate is not looked at, and all else is.
    expect((await ofPeer(port, spec(true, name))).reason).not.toMatch(/certificate: |has expired/);
  });
});

describe('HTTP of a server that', () => {
  const cases: readonly [string, (socket: net.Socket) => void, boolean, RegExp][] = [
    ['never ends its headers', (socket) => { drip(socket, 'HTTP/1.1 200 OK\r\nx: ', 'y'); }, false, /^no answer in 100 ms$/], // prettier-ignore
    ['has headers without bound', (socket) => { socket.write('HTTP/1.1 200 OK\r\nx: '); flood(socket); }, false, /^not HTTP/], // prettier-ignore
    ['has header lines without bound', (socket) => { drip(socket, 'HTTP/1.1 200 OK\r\n', 'x: y\r\n'.repeat(5000)); }, false, /^not HTTP/], // prettier-ignore
    ['drips its body', (socket) => { drip(socket, 'HTTP/1.1 200 OK\r\n\r\n', 'x'); }, false, /^no answer in 100 ms$/], // prettier-ignore
    ['drips its chunks', (socket) => { drip(socket, 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', '1\r\nx\r\n'); }, false, /^no answer in 100 ms$/], // prettier-ignore
    ['has a body without end', (socket) => { socket.write('HTTP/1.1 200 OK\r\n\r\n'); flood(socket); }, true, /^HTTP 200$/], // prettier-ignore
    ['says 100 Continue without end', (socket) => { drip(socket, '', 'HTTP/1.1 100 Continue\r\n\r\n'); }, false, /^no answer in 100 ms$/], // prettier-ignore
    ['redirects in a loop', (socket) => { socket.end('HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n'); }, true, /^HTTP 302$/], // prettier-ignore
  ];
  test.each(cases)('%s', async (_, behave, passed, reason) => {
    const server = await serve(net.createServer(behave));
    const result = await ofPeer(server.port, httpCheck(timeout));
    expect(result.reason).toMatch(reason);
    expect(result.passed).toBe(passed);
    expect(server.accepted()).toBe(1);
    await server.quiet();
  });
});

function flood(socket: net.Socket): void {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  const more = (): void => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on('drain', more);
  more();
}
