/**
 * An `http` check with a Host among its `headers`, and no `host`, sent two of them: the address and the value of the
 * file. Servers must respond with 400 (RFC 9112 3.2), so the VIP stayed down. And an IPv6 address as `host` was sent
 * without brackets.
 */
import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { runProbe } from '../../../health/checks/run-probe.ts';
import { httpCheck, listen, never } from '../../unit/health/support.ts';

test.each([
  ['of headers', { headers: { Host: 'www.example.com' } }, 'www.example.com'],
  ['of headers, before `host`', { host: 'www.example.net', headers: { host: 'www.example.com' } }, 'www.example.com'],
  ['of `host`', { host: 'www.example.com' }, 'www.example.com'],
  ['IPv6', { host: '2001:db8::1' }, '[2001:db8::1]'],
  ['IPv4', { host: '192.0.2.1' }, '192.0.2.1'],
])('one Host: %s', async (_, change, wanted) => {
  const hosts: string[] = [];
  const server = await listen(
    createServer((request, response) => {
      const { rawHeaders } = request;
      hosts.push(
        ...rawHeaders.filter((_, index) => rawHeaders[index - 1]?.toLowerCase() === 'host' && index % 2 === 1),
      );
      response.end();
    }),
  );
  try {
    const result = await runProbe({ host: '127.0.0.1', port: server.port }, httpCheck(change), never);
    expect(result).toMatchObject({ passed: true, reason: 'HTTP 200' });
    expect(hosts).toEqual([wanted]);
  } finally {
    await server.close();
  }
});
