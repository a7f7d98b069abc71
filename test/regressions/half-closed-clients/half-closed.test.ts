/**
 * A client that ended its side of the connection after its requests, as `nc -N` and many scripts do, got no reply to
 * what was still waiting in a line, and an order of it was not carried out: node:http treats such a client as gone. Now
 * it gets its replies. Only work that has no end or takes long ends with it: streams of events, and simulations.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startStatusServer, type StatusServer } from '../../../status/http.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { createFakeLog, createFakeRuntime, type FakeRuntime } from '../../unit/status/fake-runtime.ts';

const TOKEN = 'a-token';
const { cert, key } = makeCertificate();

let fake: FakeRuntime;
let server: StatusServer;
/** Told to each simulation: aborted once its client has ended its side. */
let simulation: PromiseWithResolvers<AbortSignal>;
afterEach(async () => {
  await server.close();
  await fake.stop();
});

describe.each(['http', 'https'] as const)('over %s', (scheme) => {
  beforeEach(async () => {
    fake = await createFakeRuntime();
    simulation = Promise.withResolvers();
    const runtime: typeof fake.runtime = {
      ...fake.runtime,
      simulate: (_request, signal = AbortSignal.abort()) => {
        simulation.resolve(signal);
        return new Promise((resolve) => {
          const end = (): void => {
            resolve({ outcome: { kind: 'cancelled' }, leave: () => undefined });
          };
          if (signal.aborted) end();
          else signal.addEventListener('abort', end);
        });
      },
    };
    server = await startStatusServer(runtime, {
      ...{ listen: { host: '127.0.0.1', port: 0 }, token: TOKEN, log: createFakeLog().log },
      tls: scheme === 'https' ? { cert, key, clientCa: undefined } : undefined,
    });
  });

  /** Sends the requests and ends its side. Resolves with all replies once the server has ended its side too. */
  async function exchange(...requests: string[]): Promise<string> {
    const socket = await open();
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    socket.end(requests.join(''));
    await once(socket, 'end');
    return text;
  }

  async function open(): Promise<Socket> {
    const { port } = server.endpoint;
    const address = { host: '127.0.0.1', port, allowHalfOpen: true };
    const socket = scheme === 'https' ? connectTls({ ...address, rejectUnauthorized: false }) : connect(address);
    await once(socket, scheme === 'https' ? 'secureConnect' : 'connect');
    return socket;
  }

  function request(line: string, body = '', headers = ''): string {
    const host = `Host: 127.0.0.1:${server.endpoint.port}\r\nAuthorization: Bearer ${TOKEN}\r\n`;
    return `${line} HTTP/1.1\r\n${host}${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
  }

  const statuses = (text: string): string[] =>
    [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status = '']) => status);

  it('each of several requests gets its reply', async () => {
    const text = await exchange(request('GET /readyz'), request('GET /api/v1/status'), request('GET /'));
    expect(text.split('HTTP/1.1 200 OK').length - 1).toBe(3);
  });

  it('an order is carried out', async () => {
    expect(statuses(await exchange(request('PUT /api/v1/overrides/@seoul', '{"state":"drain"}')))).toEqual(['200']);
    expect(fake.runtime.health.overrides().length).toBeGreaterThan(0);
  });

  it('a stream of events ends', async () => {
    const text = await exchange(request('GET /api/v1/events', '', 'Accept: text/event-stream\r\n'));
    expect(statuses(text)).toEqual(['200']);
    expect(text).toContain('retry:');
  });

  it('a stream of events ends also when it has been open', async () => {
    const socket = await open();
    socket.write(request('GET /api/v1/events', '', 'Accept: text/event-stream\r\n'));
    await once(socket, 'data');
    socket.resume().end();
    await once(socket, 'end');
  });

  it('a simulation is stopped', async () => {
    const socket = await open();
    socket.write(request('POST /api/v1/simulate', '{"down":["@seoul"]}'));
    const signal = await simulation.promise;
    expect(signal.aborted).toBe(false);
    socket.resume().end();
    await once(socket, 'end');
    expect(signal.aborted).toBe(true);
  });
});
