/**
 * Requests to the status server, with and without the token: no request makes it fail, and without the token nothing
 * changes.
 */
import { connect } from 'node:net';
import * as fc from 'fast-check';
import { startStatusServer } from '../../../status/http.ts';
import { createFakeLog, createFakeRuntime } from '../../unit/status/fake-runtime.ts';
import { fuzzTarget } from '../fuzz-target.ts';
import { editedJson, editedText } from '../mutations.ts';

const TOKEN = 's3cret-of-the-fuzzer';
const PATHS = ['/', '/healthz', '/readyz', '/metrics', '/api/v1/status', '/api/v1/health', '/api/v1/health/www.example.com', '/api/v1/explain?name=www.example.com&type=A&client=192.0.2.1', '/api/v1/simulate', '/api/v1/overrides/www.example.com%2Fseoul-a', '/api/v1/overrides', '/api/v1/weights/www.example.com%2Fseoul-a', '/api/v1/push/www.example.com%2Fagent', '/api/v1/reload', '/api/v1/events?since=1', '/api/v1/beacon', '/api/v1/openapi.json', '/api/v1/records?zone=example.com', '/api/v1/records/example.com/a/TXT?dry_run=true', '/api/v1/fleet', '/beacon.js']; // prettier-ignore
const BODIES = [
  { state: 'drain', for: '30m', reason: 'x', force: true },
  { weight: 10, for: '1h' },
  { healthy: true, load: 0.7 },
  { down: ['@seoul'], loads: {} },
  { ttl: 60, records: ['"a"'] },
  { seoul: 20, dublin: 30 },
];
const KEYS = ['state', 'for', 'reason', 'weight', 'healthy', 'load', 'down', 'ttl', 'records', 'force', '@seoul'];
const URL_WORDS = ['%', '%00', '%2F', '%ff', '..', '/', '//', '?', '&', '=', '#', 'name=', 'client=::1', 'client=192.0.2.1%2F24', '@seoul', '*', '__proto__', 'x'.repeat(300), ' ', '\u00e9']; // prettier-ignore
const HEADERS = ['Host: x\r\n', 'Host:\r\n', 'Content-Type: text/plain\r\n', 'Content-Length: 0\r\n', 'Transfer-Encoding: chunked\r\n', 'If-Match: "7"\r\n', 'Accept: text/event-stream\r\n', 'Last-Event-ID: 99999999999999999999\r\n', 'Origin: http://evil.example\r\n', 'Expect: 100-continue\r\n', 'Upgrade: h2c\r\nConnection: Upgrade\r\n', 'X: \x80\r\n', 'Cookie: a=b\r\n', 'Forwarded: for=1\r\n']; // prettier-ignore

type HttpRequest = {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly string[];
  readonly body: string;
  readonly hasToken: boolean;
};

export const httpRequests = fuzzTarget<HttpRequest>({
  name: 'http-requests',
  about: 'requests to the status server, as octets',
  trials: 400,
  inputs: fc.record({
    method: fc.oneof({ weight: 9, arbitrary: fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'HEAD', 'OPTIONS') }, { weight: 1, arbitrary: fc.constantFrom('PATCH', 'TRACE', 'CONNECT', 'BREW', '') }), // prettier-ignore
    url: editedText(fc.constantFrom(...PATHS), URL_WORDS, 2),
    headers: fc.array(fc.constantFrom(...HEADERS), { maxLength: 3 }),
    body: fc.oneof(
      fc.constant(''),
      fc
        .constantFrom(...BODIES)
        .chain((body) => editedJson(body, KEYS))
        .map((body) => JSON.stringify(body)),
      fc.string({ maxLength: 60, unit: 'binary' }),
    ),
    hasToken: fc.boolean(),
  }),
  open: async () => {
    const fake = await createFakeRuntime();
    const { log, errors } = createFakeLog();
    const server = await startStatusServer(fake.runtime, { listen: { host: '127.0.0.1', port: 0 }, token: TOKEN, log });
    const { port } = server.endpoint;
    const ask = (octets: Buffer): Promise<string> =>
      new Promise((resolve) => {
        const socket = connect(port, '127.0.0.1');
        let received = '';
        socket.on('error', () => undefined);
        socket.setEncoding('latin1').on('data', (text: string) => {
          received += text;
          // Events do not end by themselves.
          if (/^HTTP\/1\.1 200[^]*text\/event-stream/.test(received)) socket.destroy();
        });
        socket.on('close', () => {
          resolve(received);
        });
        socket.end(octets);
      });
    return {
      run: async ({ method, url, headers, body, hasToken }) => {
        const octets = Buffer.from(body, 'utf8');
        const head = `${method} ${url} HTTP/1.1\r\n${headers.some((each) => each.startsWith('Host')) ? '' : 'Host: 127.0.0.1\r\n'}${hasToken ? `Authorization: Bearer ${TOKEN}\r\n` : ''}${headers.join('')}Connection: close\r\n${octets.length > 0 ? `Content-Type: application/json\r\nContent-Length: ${octets.length}\r\n` : ''}\r\n`; // prettier-ignore
        const response = await ask(Buffer.concat([Buffer.from(head, 'latin1'), octets]));
        if (errors.length > 0)
          throw new Error(`an error in the server: ${JSON.stringify(errors.splice(0)).slice(0, 600)}`);
        const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(response)?.[1] ?? 0);
        if (status >= 500 && status !== 503 && status !== 501)
          throw new Error(`status ${status}: ${response.slice(0, 400)}`);
        if (response.includes(TOKEN)) throw new Error('the token is in a response');
        const isChange = /^(PUT|DELETE|PATCH)$/.test(method) || (method === 'POST' && !/beacon|simulate/.test(url));
        if (!hasToken && isChange && status >= 200 && status < 300)
          throw new Error(`a change without a token: ${status}`);
        if (status >= 400 && response.includes('\r\n\r\n') && method !== 'HEAD' && !/problem\+json/.test(response) && /application\/json/.test(response)) throw new Error(`an error that is no problem document: ${response.slice(0, 300)}`); // prettier-ignore
      },
      close: async () => {
        await server.close();
        await fake.stop();
      },
    };
  },
});
