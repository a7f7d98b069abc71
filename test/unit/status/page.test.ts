/** The status page: its content for browsers; and text from outside never becomes a script. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Alarm } from '../../../config/alarms.ts';
import { createApp } from '../../../status/http.ts';
import { catalog, createFakeLog, createFakeRuntime, mistake, type FakeRuntime } from './fake-runtime.ts';

let fake: FakeRuntime;
let app: ReturnType<typeof createApp>['app'];
beforeEach(async () => {
  fake = await createFakeRuntime();
  ({ app } = createApp(fake.runtime, { token: undefined, log: createFakeLog().log }));
});
afterEach(async () => {
  await app.close();
  await fake.stop();
});

const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
const open = async (url = '/', accept = BROWSER) => await app.inject({ url, headers: { accept } });

describe('text or page by Accept', () => {
  it.each([
    ['a browser', BROWSER, 'text/html; charset=utf-8'],
    ['curl', '*/*', 'text/plain; charset=utf-8'],
    ['a client that requests text', 'text/plain', 'text/plain; charset=utf-8'],
  ])('%s', async (_title, accept, type) => {
    const { statusCode, headers } = await open('/', accept);
    expect({ statusCode, type: headers['content-type'], vary: headers.vary }).toEqual({
      statusCode: 200,
      type,
      vary: 'accept',
    });
  });

  it('a wrong parameter is a mistake', async () => {
    expect((await open('/?fnd=x')).statusCode).toBe(400);
  });
});

describe('a browser where reading needs a token', () => {
  const credentials = [
    {
      name: 'reader',
      roles: [],
      certificate: undefined,
      sha256: createHash('sha256').update('of-reader').digest('hex'),
    },
    {
      name: 'ops',
      roles: ['operate'],
      certificate: undefined,
      sha256: createHash('sha256').update('of-ops').digest('hex'),
    },
  ] as const;
  const rules = { token: undefined, credentials: [...credentials], openReading: false, log: createFakeLog().log };
  type Reply = Awaited<ReturnType<typeof open>>;
  const ask = async (url: string, token?: string, accept = BROWSER): Promise<Reply> => {
    const closed = createApp(fake.runtime, rules).app;
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const reply = await closed.inject({ url, headers: { accept, ...authorization } });
    await closed.close();
    return reply;
  };

  it('gets a form for the token, and nothing of the server', async () => {
    const { statusCode, headers, body } = await ask('/?service=www.example.com');
    expect(statusCode).toBe(401);
    expect(headers['www-authenticate']).toBe('Bearer realm="pharos"');
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(body).toContain('<form class="sign-in');
    expect(body).not.toContain('example.com');
    expect(body).not.toMatch(/\son\w+=|\sstyle=/);
  });

  it.each([
    ['curl', '/', '*/*'],
    ['the script of the page', '/?fragment=1', BROWSER],
    ['another path', '/api/v1/status', BROWSER],
  ])('%s gets the problem', async (_title, url, accept) => {
    const { statusCode, headers } = await ask(url, undefined, accept);
    expect([statusCode, headers['content-type']]).toEqual([401, 'application/problem+json']);
  });

  it.each([
    ['ops', 'of-ops', /As ops<\/span> <button>Drain it now/],
    [
      'reader',
      'of-reader',
      /<button disabled aria-describedby="may-not">Drain it now.*reader may not give orders: it has the role read/,
    ],
  ])('with the token of %s, a command says whether it may be given', async (_who, token, words) => {
    const { statusCode, body } = await ask('/?fragment=1&act=drain&target=www.example.com/seoul-a', token);
    expect(statusCode).toBe(200);
    expect(body).toMatch(words);
  });
});

describe('the page', () => {
  it('has the content of the text', async () => {
    fake.knobs.alarms = [
      {
        code: 'suspect',
        severity: 'critical',
        subject: null,
        message: 'half failed at once',
        since: new Date().toISOString(),
      },
    ];
    fake.knobs.notReady = ['first round of probes'];
    fake.runtime.health.override('www.example.com/seoul-a', { state: 'drain', reason: 'kernel' });
    const { body } = await open();
    for (const part of [
      'not ready</b>: first round of probes',
      '<b>suspect for ',
      'half failed at once',
      'www.example.com</a> <span class="odd">1 of 3 available',
      'drain (probed up)',
      'kernel',
      'connect refused',
      'api.example.com</a> <span class="good">1 of 1 available',
      'serial 2026112001, 12 records, 2.0 queries/s',
      'IP Geolocation by DB-IP',
    ])
      expect(body).toContain(part);
  });

  it('has the worst service first, and within it the worst VIP; so has the text', async () => {
    const order = async (): Promise<unknown> => {
      const { body } = await open();
      const { body: text } = await open('/', '*/*');
      const all = (pattern: RegExp, from: string): unknown => [...from.matchAll(pattern)].map(([, name]) => name);
      return [
        all(/<h3><a [^>]*>([^<]+)/g, body),
        all(/^ {2}(\S+) {2}\d\/\d available/gm, text),
        all(/<tr data-key[^>]*><td>([^<]+)<a/g, body),
      ];
    };
    const [www, api] = ['www.example.com', 'api.example.com'];
    expect(await order()).toEqual([
      [www, api],
      [www, api],
      ['seoul-b', 'seoul-a', 'virginia-a', 'only'],
    ]);
    fake.runtime.health.override('api.example.com/only', { state: 'down' });
    expect(await order()).toEqual([
      [api, www],
      [api, www],
      ['only', 'seoul-b', 'seoul-a', 'virginia-a'],
    ]);
  });

  it('says the verdict in its first line and in the title, the worst first', async () => {
    const alarm = (code: 'service_down' | 'log_dropped', subject: string | null): Alarm => ({
      code,
      severity: code === 'service_down' ? 'critical' : 'warning',
      subject,
      message: 'words',
      since: new Date().toISOString(),
    });
    const verdict = async (): Promise<unknown> =>
      /<h1[^>]*>(.*?)<\/h1>/.exec((await open()).body)?.[1]?.replace(/<[^>]+>/g, '');
    const title = async (): Promise<unknown> => /<title>(.*?) · Pharos/.exec((await open()).body)?.[1];
    expect(await title()).toBe('1 of 4 VIPs down · 1 VIP not checked yet');
    fake.knobs.alarms = [alarm('log_dropped', null)];
    expect(await verdict()).toBe('1 of 4 VIPs down · 1 VIP not checked yet · 1 alarm');
    expect((await open()).body).toContain('<b class="odd">1 alarm (0 critical)</b>');
    fake.knobs.alarms = [alarm('service_down', 'www.example.com'), alarm('log_dropped', null)];
    expect(await verdict()).toBe('1 of 4 VIPs down · 1 VIP not checked yet · 2 alarms (1 critical)');
    fake.runtime.health.override('api.example.com/only', { state: 'down' });
    expect(await title()).toBe('1 service down · 2 of 4 VIPs down');
  });

  it('has the shares of the last minute, and the rates', async () => {
    const { body } = await open();
    expect(body).toContain('1,235 queries/s, NXDOMAIN 2.0/s, SERVFAIL 0.3/s in the last minute');
    expect(body).toMatch(/<td>seoul-a<a.*data-name="served">75\.0 % /);
  });

  it('says on the time line who gave an order, and which key changed which records', async () => {
    fake.runtime.events.add({ kind: 'weight', message: 'www.example.com/seoul-a has weight 10', who: 'ali<ce' });
    fake.runtime.events.add({ kind: 'override', message: 'seoul-a is drain, was up: by bob', who: 'bob' });
    const update = { zone: 'example.com', key: 'acme', peer: '192.0.2.7', sets: [], more: 0 };
    fake.runtime.events.add({ kind: 'update', message: 'update by the key acme', to: 'refused', who: 'acme', update });
    const { body } = await open();
    expect(body).toContain('has weight 10 <span class="soft who">by ali&lt;ce</span>');
    expect(body).toContain('<span>seoul-a is drain, was up: by bob</span></li>');
    expect(body).toMatch(/<span class="kind bad">update<\/span> <span>update by the key acme<\/span><\/li>/);
  });

  it('shows text from outside as text', async () => {
    const evil = '"><script>alert(1)</script>';
    fake.knobs.alarms = [
      { code: 'suspect', severity: 'critical', subject: null, message: evil, since: new Date().toISOString() },
    ];
    fake.runtime.health.override('www.example.com/seoul-a', { state: 'drain', reason: evil });
    const { body } = await open(`/?find=${encodeURIComponent(evil)}`);
    expect(body.match(/<script>/g)).toHaveLength(1);
    expect((await open()).body.match(/&lt;script&gt;alert\(1\)/g)).toHaveLength(4);
  });

  it('permits its own style and script by their hashes, and nothing else', async () => {
    const { body, headers } = await open();
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    for (const tag of ['style', 'script']) {
      const [, text = ''] = new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(body) ?? [];
      expect(policy).toContain(`${tag}-src 'sha256-${createHash('sha256').update(text).digest('base64')}'`);
    }
    expect(body).not.toMatch(/\son\w+=|\sstyle=/);
  });

  it.each([
    ['a service', 'API', ['api.example.com']],
    ['a VIP', 'virginia-a', ['www.example.com']],
    ['a region', '@seoul', ['www.example.com']],
    ['nobody', 'zzz', []],
  ])('finds %s', async (_title, find, services) => {
    const { body } = await open(`/?find=${encodeURIComponent(find)}`);
    expect([...body.matchAll(/<h3><a [^>]*>([^<]+)/g)].map(([, name]) => name)).toEqual(services);
  });

  it('with many services shows only the VIPs of services with problems, and these come first', async () => {
    const [www] = catalog.services;
    if (!www) throw new Error('the fake has no services');
    // Of these, each has only virginia-a, which has no check.
    const well = { ...www, firstSlot: 2, vipCount: 1 };
    const many = Array.from({ length: 1500 }, (_, index) => ({ ...well, name: `s${index}.example.com` }));
    const generation = {
      ...fake.runtime.generation(),
      catalog: { ...catalog, services: [...many, www] },
      warnings: [mistake],
    };
    const large = createApp(
      { ...fake.runtime, generation: () => generation },
      { token: undefined, log: createFakeLog().log },
    );
    const { body } = await large.app.inject({ url: '/', headers: { accept: BROWSER } });
    await large.app.close();
    expect([...body.matchAll(/<h3><a [^>]*>([^<]+)/g)].map(([, name]) => name)).toEqual(['www.example.com']);
    expect(body.match(/<li data-key="[^"]+"><a href="\/\?service=s\d+/g)).toHaveLength(1000);
    expect(body).toContain('and 500 more');
    expect(body).toContain('1,501 services');
    expect(body).toContain('weight must be 0 to 65535');
  });
});
