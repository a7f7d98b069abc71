import { describe, expect, test } from 'vitest';
import {
  bodyOf,
  closeReader,
  createHttpReader,
  feedReader,
  isComplete,
  isReusable,
} from '../../../../health/checks/http-response.ts';
import { createDice, printedSeed } from '../../../support/random.ts';

const ok = 'HTTP/1.1 200 OK\r\n';
const KIB64 = 64 * 1024;

/** `status body reusable`, or what went wrong; `…` where the connection would have to end or go on. */
function read(parts: readonly string[], closes: boolean, method = 'GET'): string {
  const reader = createHttpReader(method);
  try {
    let done = false;
    const memory = Buffer.alloc(100_000);
    for (const part of parts) {
      // The next part overwrites this one, as where connections share their memory.
      if (!done) done = feedReader(reader, memory.subarray(0, memory.write(part, 'latin1')));
    }
    if (!done && closes) done = closeReader(reader);
    if (!done) return `… ${reader.status}`;
    const body = bodyOf(reader).toString('latin1');
    const shown = body.length > 40 ? `${body.length} octets` : JSON.stringify(body);
    return `${reader.status} ${shown}${isComplete(reader) ? '' : ' cut'}${isReusable(reader) ? ' reusable' : ''}`;
  } catch (error) {
    return (error as Error).message;
  }
}

type Case = readonly [title: string, response: string, closes: boolean, expected: string, method?: string];

const CASES: readonly Case[] = [
  ['a length', `${ok}Content-Length: 5\r\n\r\nhello`, false, '200 "hello" reusable'],
  ['a length of 0', `${ok}content-length: 0\r\n\r\n`, false, '200 "" reusable'],
  ['no length: up to the end', `${ok}\r\nhello`, true, '200 "hello"'],
  ['no length, and no end', `${ok}\r\nhello`, false, '… 200'],
  ['cut short', `${ok}Content-Length: 9\r\n\r\nhello`, true, '… 200'],
  ['chunks', `${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n`, false, '200 "hello" reusable'],
  ['chunks with trailers', `${ok}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n`, false, '200 "x" reusable'],
  ['chunks after another coding', `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`, false, '200 "x" reusable'],
  ['a coding that is not chunked: up to the end', `${ok}Transfer-Encoding: gzip\r\n\r\nxyz`, true, '200 "xyz"'],
  ['chunks cut short', `${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nhel`, true, '… 200'],
  ['chunks and a length: chunks, and the connection ends', `${ok}Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, false, '200 ""'],
  ['Connection: close', `${ok}Connection: close\r\nContent-Length: 1\r\n\r\nx`, false, '200 "x"'],
  ['Connection in a list, in any case', `${ok}connection: Foo, CLOSE\r\nContent-Length: 1\r\n\r\nx`, false, '200 "x"'],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx', false, '200 "x"'],
  ['HTTP/1.0 that keeps', 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx', false, '200 "x" reusable'],
  ['more than was asked for', `${ok}Content-Length: 1\r\n\r\nxy`, false, '200 "x"'],
  ['204 has no body', 'HTTP/1.1 204 No Content\r\n\r\n', false, '204 "" reusable'],
  ['304 has none, whatever its length says', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', false, '304 "" reusable'],
  ['HEAD has none', `${ok}Content-Length: 5\r\n\r\n`, false, '200 "" reusable', 'HEAD'],
  ['CONNECT opens a tunnel', `${ok}\r\n`, false, '200 ""', 'CONNECT'],
  ['interim responses', `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n${ok}Content-Length: 1\r\n\r\nx`, false, '200 "x" reusable'],
  ['101 ends it', 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n\x01\x02', false, '101 ""'],
  ['lone line feeds', 'HTTP/1.1 200 OK\nContent-Length: 1\n\nx', false, '200 "x" reusable'],
  ['no reason phrase', 'HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx', false, '200 "x" reusable'],
  ['the same length twice', `${ok}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx`, false, '200 "x" reusable'],
  ['a header that goes on', `${ok}X: a\r\n b\r\nContent-Length: 1\r\n\r\nx`, false, '200 "x" reusable'],
  ['64 KiB and more', `${ok}Content-Length: 70000\r\n\r\n${'x'.repeat(70_000)}`, false, `200 ${KIB64} octets`],
  ['nothing', '', true, '… 0'],
  ['something else', 'SSH-2.0-x\r\n', false, 'not HTTP (it begins with "SSH-2")'],
  ['HTTP/2', 'HTTP/2 200\r\n\r\n', false, 'not HTTP (the first line is "HTTP/2 200")'],
  ['no status', 'HTTP/1.1 OK\r\n\r\n', false, 'not HTTP (the first line is "HTTP/1.1 OK")'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n', false, 'not HTTP (the first line is "HTTP/1.1 20 OK")'],
  ['a header without colon', `${ok}abc\r\n\r\n`, false, 'not HTTP (no header: "abc")'],
  ['a header with a space in its name', `${ok}a b: c\r\n\r\n`, false, 'not HTTP (no header: "a b: c")'],
  ['two lengths', `${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`, false, 'not HTTP (bad Content-Length)'],
  ['a length that is none', `${ok}Content-Length: -1\r\n\r\n`, false, 'not HTTP (bad Content-Length)'],
  ['a chunk without size', `${ok}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`, false, 'not HTTP (a chunk without a size)'],
  ['a chunk longer than its size', `${ok}Transfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n`, false, 'not HTTP (a chunk longer than its size)'],
  ['headers without end', `${ok}x: ${'y'.repeat(20_000)}`, false, 'not HTTP (headers of more than 16 KiB)'],
  ['trailers without end', `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\n${'x: y\r\n'.repeat(5000)}`, false, 'not HTTP (headers of more than 16 KiB)'],
]; // prettier-ignore

describe('a response with', () => {
  const seed = printedSeed('http-response');
  test.each(CASES.map(([title, ...rest]) => ({ title, rest })))(
    '$title',
    ({ rest: [response, closes, expected, method] }) => {
      const whole = read([response], closes, method);
      expect(whole.replace(/ cut$/, '')).toBe(expected);
      // However it comes. Behind the end of a response nothing is waited for.
      const dice = createDice(seed);
      for (let round = 0; round < 30; round += 1) {
        const parts: string[] = [];
        for (let at = 0; at < response.length;) {
          const length = round === 0 && response.length < 1000 ? 1 : 1 + dice.below(response.length > 1000 ? 9000 : 12);
          parts.push(response.slice(at, at + length));
          at += length;
        }
        const normal = (text: string): string => text.replace(/ (cut|reusable)/g, '').replace(/^(not HTTP).*/, '$1');
        expect(normal(read(parts, closes, method)), JSON.stringify(parts).slice(0, 200)).toBe(normal(whole));
      }
    },
  );
});
