import * as http from 'node:http';
import * as https from 'node:https';
import * as net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { probeHttp } from '../../../../health/checks/probe-http.ts';
import type { ProbeResult } from '../../../../health/checks/probe.ts';
import type { Clock } from '../../../../health/clock.ts';
import type { ProbeConnection } from '../../../../health/connection.ts';
import { freePort } from '../../../support/free-port.ts';
import { PATIENCE_MS } from '../../../support/patience.ts';
import { drip, httpCheck, lateProbe, listen, never, selfSigned, type TestServer } from '../support.ts';

let served: TestServer;
const seen: http.IncomingMessage[] = [];
const big = Buffer.alloc(64 * 1024, 'x');

beforeAll(async () => {
  const server = http.createServer((request, response) => {
    seen.push(request);
    const url = request.url ?? '/';
    if (url.startsWith('/status/')) {
      response.writeHead(Number(url.slice(8))).end();
    } else if (url === '/loop') {
      response.writeHead(302, { location: '/loop' }).end();
    } else if (url === '/hello') {
      response.end('all is well: 42 things\n');
    } else if (url === '/late-text') {
      response.write(big);
      response.end('all is well');
    } else if (url === '/endless') {
      const more = (): void => {
        while (!response.destroyed && response.write(big));
      };
      response.on('drain', more);
      more();
    } else if (url === '/drip') {
      const next = (): void => {
        if (response.destroyed) return;
        response.write('a');
        setImmediate(next);
      };
      next();
    } else if (url === '/cut') {
      response.writeHead(200, { 'content-length': 100 });
      response.write('half', () => request.socket.destroy());
    } else if (url !== '/hang') response.end('ok');
  });
  served = await listen(server);
});

afterAll(() => served.close());

function probe(change: Parameters<typeof httpCheck>[0], port = served.port, clock?: Clock): Promise<ProbeResult> {
  const options = clock === undefined ? {} : { clock };
  return probeHttp({ host: '127.0.0.1', port }, httpCheck({ timeoutMs: PATIENCE_MS, ...change }), never, options);
}

/** A probe that ends at its deadline of 300 ms. */
function late(change: Parameters<typeof httpCheck>[0], port = served.port): Promise<ProbeResult> {
  return lateProbe(300, (clock) => probe({ ...change, timeoutMs: 300 }, port, clock));
}

describe('http', () => {
  test.each([
    ['200 is within 200-399', { path: '/' }, true, 'HTTP 200'],
    ['a redirect is an answer like any other, and is not followed', { path: '/loop' }, true, 'HTTP 302'],
    ['404 is not', { path: '/status/404' }, false, 'HTTP 404 (expected 200-399)'],
    ['503 is wanted', { path: '/status/503', status: [{ from: 503, to: 503 }] }, true, 'HTTP 503'],
    [
      'one of several ranges',
      {
        path: '/status/404',
        status: [
          { from: 200, to: 299 },
          { from: 403, to: 403 },
        ],
      },
      false,
      'HTTP 404 (expected 200-299, 403)',
    ],
    ['204 has no body', { path: '/status/204' }, true, 'HTTP 204'],
    ['HEAD has no body', { path: '/hello', method: 'HEAD' }, true, 'HTTP 200'],
    ['text in the body', { path: '/hello', body: { kind: 'text', text: 'is well' } }, true, 'HTTP 200'],
    ['text not in the body', { path: '/hello', body: { kind: 'text', text: 'ill' } }, false, 'no "ill" in the body'],
    [
      'regex in the body',
      { path: '/hello', body: { kind: 'regex', source: 'WELL: \\d+', flags: 'i' } },
      true,
      'HTTP 200',
    ],
    [
      'regex not in it',
      { path: '/hello', body: { kind: 'regex', source: '^\\d', flags: '' } },
      false,
      'no /^\\d/ in the body',
    ],
    [
      'text behind the first 64 KiB does not count',
      { path: '/late-text', body: { kind: 'text', text: 'well' } },
      false,
      'no "well" in the first 64 KiB of the body',
    ],
    ['of an endless body no more than 64 KiB is read', { path: '/endless' }, true, 'HTTP 200'],
    ['no answer', { path: '/hang' }, false, 'no answer in 300 ms'],
    ['the deadline covers a body that drips', { path: '/drip' }, false, 'no answer in 300 ms'],
    ['a body cut short', { path: '/cut' }, false, 'connection closed before the end of the body'],
    [
      'a header that HTTP forbids',
      { headers: { 'x y': 'z' } },
      false,
      'Header name must be a valid HTTP token ["x y"]',
    ],
  ] as const)('%s', async (_, change, passed, reason) => {
    const result = await (reason.startsWith('no answer') ? late(change) : probe(change));
    expect(result).toMatchObject({ passed, reason });
    expect(result.elapsedMs).toBeGreaterThan(0);
    await served.quiet();
  });

  test('method, path, headers and host are sent', async () => {
    seen.length = 0;
    await probe({
      method: 'POST',
      path: '/a?b=c',
      host: 'www.example.com',
      headers: { 'X-One': '1', 'User-Agent': 'me' },
    });
    expect(seen.map(({ method, url, headers }) => ({ method, url, headers }))).toMatchObject([
      { method: 'POST', url: '/a?b=c', headers: { host: 'www.example.com', 'x-one': '1', 'user-agent': 'me' } },
    ]);
    await served.quiet();
  });

  test('without host the address is the Host', async () => {
    seen.length = 0;
    await probe({});
    expect(seen[0]?.headers.host).toBe(`127.0.0.1:${served.port}`);
  });

  test('a host name is looked up', async () => {
    const result = await probeHttp({ host: 'localhost', port: served.port }, httpCheck(), never);
    expect(result).toMatchObject({ passed: true });
    await served.quiet();
  });

  test('cancelled', async () => {
    const controller = new AbortController();
    const running = probeHttp(
      { host: '127.0.0.1', port: served.port },
      httpCheck({ path: '/hang' }),
      controller.signal,
    );
    controller.abort();
    expect(await running).toMatchObject({ passed: false, reason: 'probe cancelled' });
    await served.quiet();
  });
});

describe('what is no HTTP server', () => {
  test.each([
    ['accepts and says nothing', () => undefined, 'no answer in 300 ms'],
    ['closes at once', (socket: net.Socket) => socket.end(), 'connection closed without an answer'],
    ['resets', (socket: net.Socket) => socket.resetAndDestroy(), 'connection reset'],
    [
      'speaks something else',
      (socket: net.Socket) => socket.write('SSH-2.0-x\r\n'),
      /^not HTTP \(it begins with "SSH-2"\)$/,
    ],
    [
      'never ends its headers',
      (socket: net.Socket) => {
        drip(socket, 'HTTP/1.1 200 OK\r\nx: ', 'y');
      },
      'no answer in 300 ms',
    ],
    [
      'has headers without bound',
      (socket: net.Socket) => socket.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(1e6)}`),
      /^not HTTP/,
    ],
  ])('%s', async (_, behave, reason) => {
    const server = await listen(
      net.createServer((socket) => {
        behave(socket);
      }),
    );
    const result = await (reason === 'no answer in 300 ms' ? late : probe)({}, server.port);
    expect(result.passed).toBe(false);
    expect(result.reason).toMatch(reason instanceof RegExp ? reason : new RegExp(`^${reason}$`));
    await server.quiet();
    await server.close();
  });

  test('nobody listens', async () => {
    expect(await probe({}, await freePort())).toMatchObject({ passed: false, reason: 'connect refused' });
  });
});

describe('https', () => {
  let server: TestServer;
  const names: (string | false | null)[] = [];

  beforeAll(async () => {
    const certificate = selfSigned('DNS:www.example.com,IP:127.0.0.1');
    const tls = https.createServer(certificate, (_, response) => response.end('ok'));
    tls.on('secureConnection', (socket) => names.push(socket.servername ?? null));
    server = await listen(tls);
    trusted = certificate.cert;
  });
  let trusted = '';
  afterAll(() => server.close());

  test.each([
    ['the certificate holds for host', { host: 'www.example.com' }, true, true, /^HTTP 200$/],
    ['with a port in host', { host: 'www.example.com:8443' }, true, true, /^HTTP 200$/],
    ['without host it has to hold for the address', {}, true, true, /^HTTP 200$/],
    ['it is for another name', { host: 'www.example.net' }, true, false, /^certificate: .*www\.example\.net/],
    ['nobody trusted signed it', { host: 'www.example.com' }, false, false, /^certificate: self-signed certificate$/],
    ['insecure takes any', { host: 'www.example.net', insecure: true }, false, true, /^HTTP 200$/],
  ] as const)('%s', async (_, change, trust, passed, reason) => {
    const { getCACertificates, setDefaultCACertificates } = await import('node:tls');
    const before = getCACertificates('default');
    setDefaultCACertificates(trust ? [trusted] : []);
    try {
      const spec = httpCheck({ kind: 'https', timeoutMs: PATIENCE_MS, ...change });
      const result = await probeHttp({ host: '127.0.0.1', port: server.port }, spec, never);
      expect(result.reason).toMatch(reason);
      expect(result.passed).toBe(passed);
    } finally {
      setDefaultCACertificates(before);
    }
    await server.quiet();
  });

  test('SNI is host, and none for an address', async () => {
    names.length = 0;
    for (const host of ['www.example.com', undefined, '127.0.0.1:443']) {
      const spec = httpCheck({ kind: 'https', insecure: true, host });
      await probeHttp({ host: '127.0.0.1', port: server.port }, spec, never);
    }
    expect(names).toEqual(['www.example.com', false, false]);
  });

  test('the deadline covers a handshake that hangs', async () => {
    const silent = await listen(net.createServer());
    expect(await late({ kind: 'https' }, silent.port)).toMatchObject({ passed: false, reason: 'no answer in 300 ms' });
    await silent.quiet();
    await silent.close();
  });

  test('plain HTTP behind an https check fails', async () => {
    expect(await probe({ kind: 'https', insecure: true })).toMatchObject({ passed: false });
    await served.quiet();
  });
});

describe('a connection to watch', () => {
  test.each([
    ['is kept where the target allows', 'http', '/hello', true],
    ['is not kept when the body was not read to its end', 'http', '/endless', false],
    ['is not kept when the check failed', 'http', '/status/500', false],
  ] as const)('%s', async (_, kind, path, expected) => {
    const kept: ProbeConnection[] = [];
    const spec = httpCheck({ kind, path });
    await probeHttp({ host: '127.0.0.1', port: served.port }, spec, never, {
      keep: (connection) => kept.push(connection),
    });
    if (expected) {
      await expect.poll(() => kept.length).toBe(1);
      expect([kept[0]?.isOpen(), served.open()]).toEqual([true, 1]);
      kept[0]?.hangUp();
    }
    await served.quiet();
    expect(kept).toHaveLength(expected ? 1 : 0);
  });
});
