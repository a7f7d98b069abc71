import * as http2 from 'node:http2';
import { describe, expect, test } from 'vitest';
import { healthRequest, servingStatus } from '../../../../health/checks/grpc-health.ts';
import { probeGrpc } from '../../../../health/checks/probe-grpc.ts';
import type { ProbeResult } from '../../../../health/checks/probe.ts';
import { startGrpcServer, type Answers } from '../grpc-server.ts';
import { grpcCheck, listen, never, selfSigned } from '../support.ts';

function probe(port: number, change: Parameters<typeof grpcCheck>[0] = {}): Promise<ProbeResult> {
  return probeGrpc({ host: '127.0.0.1', port }, grpcCheck(change), never);
}

describe('a health service of another make', () => {
  const longName = 'x'.repeat(200);
  const answers: Answers = {
    '': 'SERVING',
    cart: 'NOT_SERVING',
    new: 'UNKNOWN',
    [longName]: 'SERVING',
    busy: 8,
    lost: 14,
  };
  test.each([
    ['', true, 'SERVING'],
    [longName, true, 'SERVING'],
    ['cart', false, 'NOT_SERVING (expected SERVING)'],
    ['new', false, 'UNKNOWN (expected SERVING)'],
    ['other', false, 'the server does not know the service "other"'],
    ['busy', false, 'answered RESOURCE_EXHAUSTED: später, 50 %'],
    ['lost', false, 'answered UNAVAILABLE: später, 50 %'],
  ])('service %j', async (service, passed, reason) => {
    const server = await startGrpcServer(() => answers);
    expect(await probe(server.port, { service })).toMatchObject({ passed, reason });
    server.close();
  });

  test('a gRPC server without one', async () => {
    const server = await startGrpcServer(() => undefined);
    expect(await probe(server.port)).toMatchObject({ passed: false, reason: 'the server has no grpc.health.v1' });
    server.close();
  });

  test.each([
    ['insecure takes any certificate', { tls: true, insecure: true }, true, /^SERVING$/],
    ['without it the certificate has to hold', { tls: true }, false, /^certificate: self-signed certificate$/],
    ['no TLS where TLS is wanted', {}, false, /./],
  ])('%s', async (_, change, passed, reason) => {
    const server = await startGrpcServer(() => ({ '': 'SERVING' }), selfSigned('DNS:www.example.com'));
    const result = await probe(server.port, change);
    expect(result.reason).toMatch(reason);
    expect(result.passed).toBe(passed);
    server.close();
  });
});

describe('HTTP/2 that is no health service', () => {
  const grpc = { ':status': 200, 'content-type': 'application/grpc' };
  const serving = Buffer.from([0, 0, 0, 0, 2, 8, 1]);
  const trailers = (stream: http2.ServerHttp2Stream, fields: http2.OutgoingHttpHeaders): void => {
    stream.on('wantTrailers', () => {
      stream.sendTrailers(fields);
    });
  };
  const cases: readonly [string, (stream: http2.ServerHttp2Stream) => void, string | RegExp][] = [
    ['a web page', (stream) => { stream.respond({ ':status': 200, 'content-type': 'text/html' }); stream.end('hi'); }, 'not gRPC (content-type text/html)'], // prettier-ignore
    ['404', (stream) => { stream.respond({ ':status': 404 }, { endStream: true }); }, 'HTTP 404 (expected 200)'], // prettier-ignore
    ['a message without status', (stream) => { stream.respond(grpc); stream.end(serving); }, 'the answer ended without a gRPC status'], // prettier-ignore
    ['a status without message', (stream) => { stream.respond({ ...grpc, 'grpc-status': '0' }, { endStream: true }); }, 'not a grpc.health.v1 answer'], // prettier-ignore
    ['a number beyond those known', (stream) => { stream.respond({ ...grpc }, { waitForTrailers: true }); trailers(stream, { 'grpc-status': '0' }); stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 9])); }, 'status 9 (expected SERVING)'], // prettier-ignore
    ['a message without end', (stream) => { stream.respond(grpc); stream.write(Buffer.alloc(1e6)); }, 'the answer is longer than 1 KiB'], // prettier-ignore
    [
      'a refused stream',
      (stream) => {
        stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      },
      /REFUSED_STREAM/,
    ],
    [
      'a closed session',
      (stream) => {
        stream.session?.destroy();
      },
      /closed|reset/i,
    ],
    ['GOAWAY', (stream) => { stream.session?.goaway(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM); }, /ENHANCE_YOUR_CALM|session/i], // prettier-ignore
    ['header fields without bound', (stream) => { stream.respond({ ...grpc, ...Object.fromEntries(Array.from({ length: 900 }, (_, index) => [`x-${index}`, 'y'.repeat(60)])) }); }, /./], // prettier-ignore
  ];
  test.each(cases)('%s', async (_, behave, reason) => {
    const h2 = http2.createServer();
    h2.on('stream', (stream: http2.ServerHttp2Stream) => {
      stream.on('error', () => undefined);
      behave(stream);
    });
    h2.on('sessionError', () => undefined);
    const server = await listen(h2);
    const result = await probe(server.port, { timeoutMs: 1000 });
    if (typeof reason === 'string') expect(result.reason).toBe(reason);
    else expect(result.reason).toMatch(reason);
    expect(result).toMatchObject({ passed: false });
    await server.quiet();
    await server.close();
  });

  test('the request says what gRPC wants to hear', async () => {
    const h2 = http2.createServer();
    const seen = new Promise<{ headers: http2.IncomingHttpHeaders; body: Buffer }>((resolve) => {
      h2.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          resolve({ headers, body: Buffer.concat(chunks) });
          stream.respond(grpc, { waitForTrailers: true });
          trailers(stream, { 'grpc-status': '0' });
          stream.end(serving);
        });
      });
    });
    const server = await listen(h2);
    expect(await probe(server.port, { host: 'grpc.example.com', service: 'a' })).toMatchObject({ passed: true });
    const { headers, body } = await seen;
    expect(headers).toMatchObject({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      ':authority': 'grpc.example.com',
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': '2000m',
    });
    expect([...body]).toEqual([0, 0, 0, 0, 3, 0x0a, 1, 0x61]);
    await server.quiet();
    await server.close();
  });
});

describe('messages', () => {
  const frame = (...octets: readonly number[]): Buffer => Buffer.from([0, 0, 0, 0, octets.length, ...octets]);
  test.each([
    [frame(), 'UNKNOWN'],
    [frame(8, 1), 'SERVING'],
    [frame(8, 2), 'NOT_SERVING'],
    [frame(8, 0x81, 0), 'SERVING'],
    [frame(18, 2, 9, 9, 8, 1, 24, 5), 'SERVING'],
    [frame(25, 1, 2, 3, 4, 5, 6, 7, 8, 8, 1), 'SERVING'],
    [frame(29, 1, 2, 3, 4, 8, 1), 'SERVING'],
    [frame(8), undefined],
    [frame(18, 200, 1), undefined],
    [frame(11), undefined],
    [frame(8, 255, 255, 255, 255, 255, 255), undefined],
    [Buffer.from([1, 0, 0, 0, 2, 8, 1]), undefined],
    [Buffer.from([0, 0, 0, 0, 9, 8, 1]), undefined],
    [Buffer.alloc(0), undefined],
  ])('%o: %s', (message, expected) => {
    expect(servingStatus(message)).toBe(expected);
  });

  test('a name of any length', () => {
    expect([...healthRequest('')]).toEqual([0, 0, 0, 0, 0]);
    expect([...healthRequest('x'.repeat(127)).subarray(0, 7)]).toEqual([0, 0, 0, 0, 129, 10, 127]);
    expect([...healthRequest('x'.repeat(255)).subarray(0, 8)]).toEqual([0, 0, 0, 1, 2, 10, 0xff, 1]);
  });
});
