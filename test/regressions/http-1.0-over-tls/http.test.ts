/**
 * `curl --http1.0` could not connect to a status server with TLS: it offers `http/1.0` alone in ALPN (RFC 7301), and
 * node:https accepts only `http/1.1`.
 */
import { once } from 'node:events';
import { connect } from 'node:tls';
import { expect, test } from 'vitest';
import { startStatusServer } from '../../../status/http.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { createFakeLog, createFakeRuntime } from '../../unit/status/fake-runtime.ts';

test.each([
  [['http/1.0'], 'http/1.0'],
  [['http/1.0', 'http/1.1'], 'http/1.1'],
  [['h2', 'http/1.1'], 'http/1.1'],
])('a client that offers %s gets %s', async (ALPNProtocols, chosen) => {
  const { cert, key } = makeCertificate();
  const fake = await createFakeRuntime();
  const server = await startStatusServer(fake.runtime, {
    ...{ listen: { host: '127.0.0.1', port: 0 }, token: 'a-token', log: createFakeLog().log },
    tls: { cert, key, clientCa: undefined },
  });
  try {
    const { host, port } = server.endpoint;
    const socket = connect({ host, port, ALPNProtocols, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    expect(socket.alpnProtocol).toBe(chosen);
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    socket.write('GET /readyz HTTP/1.0\r\n\r\n');
    await once(socket, 'end');
    expect(text).toContain('{"ready":true}');
  } finally {
    await server.close();
    await fake.stop();
  }
});
