import { execFile } from 'node:child_process';
import * as net from 'node:net';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { blameOf, markLocal } from '../../../config/system-errors.ts';
import { freePort } from '../../support/free-port.ts';

const systemError = (code: string, syscall = 'connect', message = `${syscall} ${code} 192.0.2.1:80`): Error =>
  Object.assign(new Error(message), { code, syscall });

test.each([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EPROTO', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN'].map((code) => [code, 'target'] as const), // prettier-ignore
  ...['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL', 'EAGAIN', 'EPERM'].map((code) => [code, 'machine'] as const), // prettier-ignore
  ['ENETDOWN', 'network'],
  ['EBADF', 'ours'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'target'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'target'],
  ['ERR_INVALID_ARG_TYPE', 'ours'],
] as const)('%s: %s', (code, blame) => {
  expect(blameOf(systemError(code))).toBe(blame);
});

test.each([
  ['ENETUNREACH', 'network'],
  ['EHOSTUNREACH', 'network'],
  ['EACCES', 'network'],
  ['EINVAL', 'network'],
  ['EMFILE', 'machine'],
  ['EADDRNOTAVAIL', 'machine'],
] as const)('%s that the local stack returned at once: %s', (code, blame) => {
  expect(blameOf(systemError(code, 'connect', `connect ${code} 192.0.2.1:80 - Local (0.0.0.0:0)`))).toBe(blame);
  expect(blameOf(markLocal(systemError(code)))).toBe(blame);
});

test('EACCES comes from a firewall on the way over IPv6, and from this machine for a command', () => {
  expect(blameOf(systemError('EACCES'))).toBe('target');
  expect(blameOf(systemError('EACCES', 'spawn /bin/check'))).toBe('machine');
});

test('of several addresses, one that failed by its own fault decides', () => {
  const noRoute = systemError('ENETUNREACH', 'connect', 'connect ENETUNREACH ::1:80 - Local (:::0)');
  expect(blameOf(new AggregateError([noRoute, systemError('ECONNREFUSED')]))).toBe('target');
  expect(blameOf(new AggregateError([noRoute, systemError('EMFILE')]))).toBe('network');
});

test('a mistake of the program is ours', () => {
  for (const error of [new TypeError('x'), new RangeError('x'), 'text', undefined]) expect(blameOf(error)).toBe('ours');
});

test('what the kernel returns without a route is recognised as local', async (context) => {
  const script = `
    const net = require('node:net');
    net.connect(80, '192.0.2.1').on('error', ({ code, syscall, message }) => console.log(JSON.stringify({ code, syscall, message })));
  `;
  try {
    await promisify(execFile)('unshare', ['-rn', 'true']);
  } catch {
    context.skip('network namespaces are not permitted here');
    return;
  }
  const { stdout } = await promisify(execFile)('unshare', ['-rn', process.execPath, '-e', script]);
  const { message, ...rest } = JSON.parse(stdout) as { message: string; code: string; syscall: string };
  expect(rest).toEqual({ code: 'ENETUNREACH', syscall: 'connect' });
  expect(blameOf(Object.assign(new Error(message), rest))).toBe('network');
});

test('a refused connection is a fault of the target, as the kernel reports it', async () => {
  const port = await freePort();
  const error = await new Promise((resolve) => net.connect(port, '127.0.0.1').once('error', resolve));
  expect(blameOf(error)).toBe('target');
});
