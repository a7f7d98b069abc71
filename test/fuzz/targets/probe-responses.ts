/**
 * What probed targets send: HTTP/1.1, gRPC health, loads in JSON, and DNS over UDP and TCP. A target is not trusted: it
 * may make its own probe fail, and nothing else.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import * as fc from 'fast-check';
import { servingStatus, failureOfCall } from '../../../health/checks/grpc-health.ts';
import { bodyOf, closeReader, createHttpReader, feedReader, isComplete, isReusable } from '../../../health/checks/http-response.ts'; // prettier-ignore
import { probeDns } from '../../../health/checks/probe-dns.ts';
import { ProbeFailure } from '../../../health/checks/probe.ts';
import { loadOf } from '../../../health/checks/reported-load.ts';
import { freePort } from '../../support/free-port.ts';
import { dnsCheck, never } from '../../unit/health/support.ts';
import { fuzzTarget } from '../fuzz-target.ts';
import { divide, editedJson, editedOctets, editedText, PIECES } from '../mutations.ts';

const HEADS = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nA: b\r\n\r\n',
  'HTTP/1.0 503 Service Unavailable\r\nConnection: close\r\n\r\nsorry',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Encoding: gzip, br\r\n\r\n',
  'HTTP/1.1 301 Moved\nLocation: /\n folded\nContent-Length: 0\n\n',
  `HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n${'b'.repeat(70_000)}`,
  `HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 3\r\n\r\n11170\r\n${'c'.repeat(70_000)}\r\n0\r\n\r\n`,
];
const HTTP_WORDS = ['\r\n', '\n', '\r', '\r\n\r\n', ':', ' ', '0\r\n', 'fffffffff\r\n', 'Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n', 'HTTP/1.1 200 OK\r\n', 'HTTP/2 200', '-1', ';', '\0', ',chunked']; // prettier-ignore

type HttpInput = { readonly octets: Buffer; readonly pieces: readonly number[]; readonly method: string };

type HttpSeen = { readonly status: number; readonly body: string; readonly end: string };

function readHttp(parts: readonly Buffer[], method: string): HttpSeen {
  const reader = createHttpReader(method);
  let end = 'open';
  try {
    for (const part of parts) {
      // Received octets may be overwritten after the call.
      const chunk = Buffer.from(part);
      const isDone = feedReader(reader, chunk);
      chunk.fill(0x7a);
      if (reader.pending.length > 64 * 1024) throw new Error(`${reader.pending.length} octets wait`);
      if (isDone) {
        end = 'done';
        break;
      }
    }
    if (end === 'open') end = closeReader(reader) ? 'closed' : 'cut';
    else if (isReusable(reader) && !isComplete(reader)) throw new Error('an incomplete response is reusable');
  } catch (error) {
    if (!(error instanceof ProbeFailure)) throw error;
    end = 'not HTTP';
  }
  const body = bodyOf(reader);
  if (body.length > 64 * 1024) throw new Error(`a body of ${body.length} octets was kept`);
  return { status: reader.status, body: body.toString('latin1'), end };
}

export const httpResponses = fuzzTarget<HttpInput>({
  name: 'http-responses',
  about: 'responses of http and https checks, divided anywhere',
  trials: 3000,
  inputs: fc.record({
    octets: fc.oneof(
      editedText(fc.constantFrom(...HEADS), HTTP_WORDS, 3).map((text) => Buffer.from(text, 'latin1')),
      editedOctets(fc.constantFrom(...HEADS.slice(0, 5)).map((text) => Buffer.from(text, 'latin1'))),
    ),
    pieces: PIECES,
    method: fc.constantFrom('GET', 'HEAD', 'CONNECT'),
  }),
  open: () => ({
    run: ({ octets, pieces, method }) => {
      const whole = readHttp([octets], method);
      const divided = readHttp(divide(octets, pieces), method);
      if (JSON.stringify(whole) === JSON.stringify(divided)) return;
      const told = [whole, divided].map(({ status, end, body }) => `${status} ${end} ${body.length}`);
      throw new Error(`it is read in another way when it is divided: ${told.join(', ')}`);
    },
  }),
});

const LOADS = { load: 0.7, deep: { er: [1, { load: 3 }], load: -1 }, text: 'x' };
const PATHS = ['load', 'deep.load', 'deep.er.1.load', 'text', '__proto__', 'constructor.name', 'deep.er.length', ''];

export const reportedLoads = fuzzTarget<{ readonly body: Buffer; readonly path: string }>({
  name: 'reported-loads',
  about: 'loads in the bodies of checks',
  trials: 1500,
  inputs: fc.record({
    body: editedOctets(
      editedJson(LOADS, ['load', 'deep', 'er']).map((value) => Buffer.from(JSON.stringify(value))),
      2,
    ),
    path: fc.constantFrom(...PATHS),
  }),
  open: () => ({
    run: ({ body, path }) => {
      const load = loadOf(body, true, path);
      if (typeof load === 'number' && !(load >= 0 && Number.isFinite(load))) throw new Error(`a load of ${load}`);
    },
  }),
});

export const grpcResponses = fuzzTarget<{ readonly frame: Buffer; readonly status: string; readonly text: string }>({
  name: 'grpc-responses',
  about: 'responses of grpc checks',
  trials: 1500,
  inputs: fc.record({
    frame: editedOctets(fc.constantFrom(Buffer.from('0000000002080100', 'hex').subarray(0, 7), Buffer.from('00000000041203616263', 'hex'), Buffer.from('0000000000', 'hex'))), // prettier-ignore
    status: fc.oneof(fc.constantFrom('0', '5', '12', '-1', ''), fc.string({ maxLength: 20 })),
    text: fc.string({ maxLength: 300, unit: 'binary' }),
  }),
  open: () => ({
    run: ({ frame, status, text }) => {
      servingStatus(frame);
      const failure = failureOfCall(status, text, 'svc');
      if ((failure === undefined) !== (status === '0')) throw new Error(`status ${status}: ${String(failure)}`);
    },
  }),
});

/** After the ID: a response with a question like the query's, and an A record with a compressed owner. */
const ANSWER = Buffer.from('8400000100010000000003777777076578616d706c6503636f6d0000010001c00c000100010000003c0004c0000201', 'hex'); // prettier-ignore
/** The probe repeats its query over TCP. */
const TRUNCATED = Buffer.from(ANSWER.map((octet, at) => (at === 0 ? octet | 2 : octet)));
const REFUSED = Buffer.from('8405000100000000000003777777076578616d706c6503636f6d0000010001', 'hex');

export const dnsResponses = fuzzTarget<{ readonly answer: Buffer; readonly pieces: readonly number[] }>({
  name: 'dns-responses',
  about: 'responses of dns checks over UDP and TCP',
  trials: 250,
  inputs: fc.record({ answer: editedOctets(fc.constantFrom(ANSWER, TRUNCATED)), pieces: PIECES }),
  open: async () => {
    let next: { readonly answer: Buffer; readonly pieces: readonly number[] } = { answer: ANSWER, pieces: [] };
    const withId = (query: Buffer): Buffer => Buffer.concat([query.subarray(0, 2), next.answer]);
    const port = await freePort();
    const udp = createSocket('udp4').bind(port, '127.0.0.1');
    await once(udp, 'listening');
    udp.on('message', (query, from) => {
      udp.send(withId(query), from.port, from.address);
      // A right one after it: a probe that ignores the first one ends by this one.
      udp.send(Buffer.concat([query.subarray(0, 2), REFUSED]), from.port, from.address);
    });
    const tcp = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (query: Buffer) => {
        const response = withId(query.subarray(2));
        const framed = Buffer.concat([Buffer.of(response.length >> 8, response.length & 255), response]);
        for (const piece of divide(framed, next.pieces)) socket.write(piece);
        socket.end();
      });
    });
    await new Promise<void>((listening) => tcp.listen(port, '127.0.0.1', listening));
    return {
      run: async (input) => {
        next = input;
        const result = await probeDns({ host: '127.0.0.1', port }, dnsCheck({ timeoutMs: 10_000 }), never);
        if (result.reason === '' || /undefined|\[object/.test(result.reason))
          throw new Error(`reason: ${result.reason}`);
        if (result.fault !== undefined) throw new Error(`a fault of ${result.fault}: ${result.reason}`);
      },
      close: () => {
        udp.close();
        tcp.close();
      },
    };
  },
});
