/**
 * Requests that node:http would reject without a message before they reach a route.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { problem, PROBLEM_TYPE } from './problem.ts';

const DETAILS = {
  400: 'this is not an HTTP request',
  408: 'the request did not arrive in time',
  431: "the request's headers are too large",
} as const;

/** Time for a rejected client to close its end. */
const CLOSE_WAIT_MS = 1000;

/** Replies to a request that the parser of Node.js could not read. There is a connection, but not a request object. */
export function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  // A failed TLS handshake: there is no channel for a reply.
  const isTls = error.code?.startsWith('ERR_SSL_') === true || error.code?.startsWith('ERR_TLS_') === true;
  if (isTls || error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
  const sent = problem(status, DETAILS[status]);
  const body = JSON.stringify(sent);
  // A client that never closes its end would keep the socket half-closed. Not at once: a reset may overtake the reply.
  const timer = setTimeout(() => socket.destroy(), CLOSE_WAIT_MS);
  socket.once('close', () => {
    clearTimeout(timer);
  });
  socket.end(
    `HTTP/1.1 ${status} ${sent.title}\r\ncontent-type: ${PROBLEM_TYPE}\r\ncache-control: no-store\r\n` +
      `connection: close\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** RFC 9110 10.1.1: replies to an `Expect` other than 100-continue. */
export function refuseExpectation(request: IncomingMessage, response: ServerResponse): void {
  const sent = problem(417, `cannot fulfil the Expect header: ${request.headers.expect ?? ''}`, {
    parameter: 'expect',
  });
  const body = Buffer.from(JSON.stringify(sent));
  const headers = { 'content-type': PROBLEM_TYPE, 'cache-control': 'no-store', connection: 'close' };
  response.writeHead(417, { ...headers, 'content-length': body.length }).end(body);
}
