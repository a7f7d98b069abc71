import { describe, expect, it } from 'vitest';
import { authorize, type Access, type Request } from '../../../status/authorize.ts';

const base: Request = { peer: '127.0.0.1', host: '127.0.0.1:8053', forwarded: false, authorization: undefined };
const remote = { ...base, peer: '192.0.2.7', host: '192.0.2.1:8053' };
const withToken = (request: Request, token: string): Request => ({ ...request, authorization: `Bearer ${token}` });

describe('who may do what', () => {
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
    ['a request without peer is not loopback', { ...base, peer: '' }, 'read', undefined, 403],
    ['a wrong token is refused even where none was needed', withToken(base, 'guess'), 'read', 's3cret', 401],
    ['a change needs the token, from loopback too', base, 'change', 's3cret', 401],
    ['a change with the token', withToken(base, 's3cret'), 'change', 's3cret', undefined],
    ['the scheme has no case', { ...base, authorization: 'bearer s3cret' }, 'change', 's3cret', undefined],
    ['a change with a wrong token', withToken(base, 'S3cret'), 'change', 's3cret', 401],
    ['a change with the beginning of the token', withToken(base, 's3cre'), 'change', 's3cret', 401],
    ['an empty token is none', { ...base, authorization: 'Bearer ' }, 'change', 's3cret', 401],
    ['basic authentication is none', { ...base, authorization: 'Basic czNjcmV0' }, 'change', 's3cret', 401],
    ['no change where no token is configured', withToken(base, 'anything'), 'change', undefined, 403],
  ])('%s', (_title, request, access, token, status) => {
    expect(authorize(request, access, token)?.status).toBe(status);
  });

  it('says what to configure where there is no token', () => {
    expect(authorize(base, 'change', undefined)?.hint).toContain('status.token');
  });
});
