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
      'www.example.com <span class="odd">1 of 3 available',
      'drain (probed up)',
      'kernel',
      'connect refused',
      'api.example.com <span class="good">1 of 1 available',
      'serial 2026112001',
      'IP Geolocation by DB-IP',
    ])
      expect(body).toContain(part);
  });

  it('has the worst service first, and within it the worst VIP; so has the text', async () => {
    const order = async (): Promise<unknown> => {
      const { body } = await open();
      const { body: text } = await open('/', '*/*');
      const all = (pattern: RegExp, from: string): unknown => [...from.matchAll(pattern)].map(([, name]) => name);
      return [all(/<h3>(\S+) /g, body), all(/^ {2}(\S+) {2}\d\/\d available/gm, text), all(/<tr><td>([^<]+)</g, body)];
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

  it('names the most urgent alarm in the title, and counts them', async () => {
    const alarm = (code: 'service_down' | 'log_dropped', subject: string | null): Alarm => ({
      code,
      severity: code === 'service_down' ? 'critical' : 'warning',
      subject,
      message: 'words',
      since: new Date().toISOString(),
    });
    const title = async (): Promise<unknown> => /<title>(.*?) · Pharos/.exec((await open()).body)?.[1];
    expect(await title()).toBe('ready');
    fake.knobs.alarms = [alarm('log_dropped', null)];
    expect(await title()).toBe('log_dropped (1 alarm)');
    expect((await open()).body).toContain('<b class="odd">1 alarm (0 critical)</b>');
    fake.knobs.alarms = [alarm('service_down', 'www.example.com'), alarm('log_dropped', null)];
    expect(await title()).toBe('service_down www.example.com (2 alarms)');
  });

  it('has the shares of the last minute, and the rates', async () => {
    const { body } = await open();
    expect(body).toContain('1,235 queries/s, NXDOMAIN 2.0/s, SERVFAIL 0.3/s in the last minute');
    expect(body).toMatch(/seoul-a<\/td>.*data-name="served">75\.0 %</);
  });

  it('shows text from outside as text', async () => {
    const evil = '"><script>alert(1)</script>';
    fake.knobs.alarms = [
      { code: 'suspect', severity: 'critical', subject: null, message: evil, since: new Date().toISOString() },
    ];
    fake.runtime.health.override('www.example.com/seoul-a', { state: 'drain', reason: evil });
    const { body } = await open(`/?find=${encodeURIComponent(evil)}`);
    expect(body.match(/<script>/g)).toHaveLength(1);
    expect((await open()).body.match(/&lt;script&gt;alert\(1\)/g)).toHaveLength(2);
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
    expect([...body.matchAll(/<h3>(\S+) /g)].map(([, name]) => name)).toEqual(services);
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
    expect([...body.matchAll(/<h3>(\S+) /g)].map(([, name]) => name)).toEqual(['www.example.com']);
    expect(body.match(/<li><a href="\?find=s\d+/g)).toHaveLength(1000);
    expect(body).toContain('and 500 more');
    expect(body).toContain('1,501 services');
    expect(body).toContain('weight must be 0 to 65535');
  });
});
