/**
 * `fetch` refuses some ports, to prevent web pages from speaking HTTP to other protocols. curl could reach a status
 * server on such a port, and `pharos` could not: "cannot reach http://127.0.0.1:10080: bad port".
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { callApi } from '../../../cli/api-client.ts';

/** Of https://fetch.spec.whatwg.org/#port-blocking; one that is free here. */
const PORTS = [10080, 6566, 6679, 6697, 6669, 6668, 6667, 6666, 6665, 5061, 5060, 4190, 4045, 3659];

test('a status server on a port that fetch refuses is reached', async () => {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ path: request.url }));
  });
  let bound: number | undefined;
  for (const port of PORTS) {
    server.listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
      bound = port;
      break;
    } catch {
      // In use: try the next one.
    }
  }
  try {
    const reply = await callApi(
      { url: `http://127.0.0.1:${String(bound)}`, token: undefined },
      'GET',
      '/api/v1/status',
    );
    expect(reply).toEqual({ ok: true, value: { path: '/api/v1/status' } });
  } finally {
    server.close();
  }
});
