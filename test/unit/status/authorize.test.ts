import { describe, expect, it } from 'vitest';
import { authorize, isForeignPage, isForwarded, type Access, type Request } from '../../../status/authorize.ts';

const base: Request = {
  peer: '127.0.0.1',
  host: '127.0.0.1:8053',
  port: 8053,
  forwarded: false,
  authorization: undefined,
};
const remote = { ...base, peer: '192.0.2.7', host: '192.0.2.1:8053' };
const withToken = (request: Request, token: string): Request => ({ ...request, authorization: `Bearer ${token}` });

describe('access by address, token and route', () => {
  it.each<[title: string, request: Request, access: Access, token: string | undefined, status: number | undefined]>([
    ['a probe needs nothing', remote, 'open', 's3cret', undefined],
    ['loopback reads without a token', base, 'read', 's3cret', undefined],
    ['loopback reads where no token is configured', base, 'read', undefined, undefined],
    ['all of 127/8 is loopback', { ...base, peer: '127.8.8.8' }, 'read', undefined, undefined],
    ['::1 is loopback', { ...base, peer: '::1', host: '[::1]:8053' }, 'read', undefined, undefined],
    ['a mapped 127.0.0.1 is loopback', { ...base, peer: '::ffff:127.0.0.1' }, 'read', undefined, undefined],
    ['localhost is a local name', { ...base, host: 'localhost:8053' }, 'read', undefined, undefined],
    ['another machine reads with the token', withToken(remote, 's3cret'), 'read', 's3cret', undefined],
    ['another machine does not read without it', remote, 'read', 's3cret', 401],
    ['another machine does not read where none is configured', remote, 'read', undefined, 403],
    [
      'a mapped address of another machine is not loopback',
      { ...base, peer: '::ffff:192.0.2.7' },
      'read',
      undefined,
      403,
    ],
    ['a proxy on this machine is not loopback', { ...base, forwarded: true }, 'read', 's3cret', 401],
    ['a rebound name is not loopback', { ...base, host: 'evil.example:8053' }, 'read', undefined, 403],
    ['a name that ends like localhost is not', { ...base, host: 'notlocalhost' }, 'read', undefined, 403],
    [
      'a name below localhost is a local name',
      { ...base, host: 'pharos.localhost:8053' },
      'read',
      undefined,
      undefined,
    ],
    ['the Host of another port is not', { ...base, host: '127.0.0.1:8080' }, 'read', undefined, 403],
    ['a Host without a port is port 80', { ...base, host: 'localhost' }, 'read', undefined, 403],
    ["and that may be the server's own", { ...base, host: 'localhost', port: 80 }, 'read', undefined, undefined],
    ['an address that is not loopback is not', { ...base, host: '192.0.2.1:8053' }, 'read', undefined, 403],
    ['a client of HTTP/1.0 sends no Host', { ...base, host: '' }, 'read', undefined, undefined],
    ['a request without a peer is not loopback', { ...base, peer: '' }, 'read', undefined, 403],
    ['a wrong token is refused even where none was needed', withToken(base, 'guess'), 'read', 's3cret', 401],
    ['a change needs the token, from loopback too', base, 'operate', 's3cret', 401],
    ['a change with the token', withToken(base, 's3cret'), 'operate', 's3cret', undefined],
    ['the scheme is case-insensitive', { ...base, authorization: 'bearer s3cret' }, 'operate', 's3cret', undefined],
    ['a change with a wrong token', withToken(base, 'S3cret'), 'operate', 's3cret', 401],
    ['a change with the beginning of the token', withToken(base, 's3cre'), 'operate', 's3cret', 401],
    ['an empty token is not a token', { ...base, authorization: 'Bearer ' }, 'operate', 's3cret', 401],
    ['basic authentication is not a token', { ...base, authorization: 'Basic czNjcmV0' }, 'operate', 's3cret', 401],
    ['no change where no token is configured', withToken(base, 'anything'), 'operate', undefined, 403],
  ])('%s', (_title, request, access, token, status) => {
    expect(authorize(request, access, { token })?.status).toBe(status);
  });

  it('names the setting if no token is configured', () => {
    expect(authorize(base, 'operate', { token: undefined })?.hint).toContain('status.token');
  });
});

it('requires the token for reading if open_reading is false', () => {
  expect(authorize(base, 'read', { token: 's3cret', openReading: false })?.status).toBe(401);
  expect(authorize(withToken(base, 's3cret'), 'read', { token: 's3cret', openReading: false })).toBeUndefined();
  expect(authorize(base, 'open', { token: 's3cret', openReading: false })).toBeUndefined();
});

describe('a request that a proxy forwarded', () => {
  it.each([
    'via',
    'forwarded',
    'x-forwarded-for',
    'x-forwarded-proto',
    'x-real-ip',
    'x-client-ip',
    'x-cluster-client-ip',
    'true-client-ip',
    'cf-connecting-ip',
    'cf-ray',
    'cdn-loop',
    'fastly-client-ip',
    'x-envoy-external-address',
    'x-amzn-trace-id',
    'x-original-url',
    'x-azure-clientip',
    'fly-client-ip',
  ])('%s', (name) => {
    expect(isForwarded({ [name]: '192.0.2.7' }, '1.1')).toBe(true);
  });

  it('nginx by default: HTTP/1.0 with Connection: close', () => {
    expect(isForwarded({ host: '127.0.0.1:8053', connection: 'close' }, '1.0')).toBe(true);
  });

  it('but not headers that clients send themselves', () => {
    const headers = { host: 'x', accept: '*/*', 'user-agent': 'curl', connection: 'close', authorization: 'x' };
    expect(isForwarded(headers, '1.1')).toBe(false);
  });
});

describe("a request of another site's web page", () => {
  const host = '127.0.0.1:8053';
  it.each<[foreign: boolean, headers: Record<string, string>]>([
    [false, { host }],
    [false, { host, origin: `http://${host}` }],
    [false, { host: 'Status.Example', origin: 'https://status.example' }],
    [false, { host, 'sec-fetch-site': 'same-origin' }],
    [false, { host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }],
    [true, { host, origin: 'https://evil.example' }],
    [true, { host, origin: 'null' }],
    [true, { host, origin: '' }],
    [true, { host, origin: 'http://127.0.0.1:8080' }],
    [true, { host, origin: `http://${host}.evil.example` }],
    [true, { host, origin: `http://evil@${host}` }],
    [true, { origin: 'http://127.0.0.1:8053' }],
    [true, { host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }],
  ])('%s: %j', (foreign, headers) => {
    expect(isForeignPage(headers)).toBe(foreign);
  });
});
