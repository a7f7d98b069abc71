import { createServer } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import type { NotifySettings } from '../../../config/settings.ts';
import { systemClock } from '../../../health/clock.ts';
import {
  createWebhook,
  MAX_NOTIFICATIONS,
  MAX_TRIES,
  type Notification,
  type Webhook,
  type Post,
} from '../../../health/webhook.ts';
import { createManualClock, listen, turns } from './support.ts';

const settings: NotifySettings = { url: 'http://hooks.example.net/secret-path', headers: {}, token: undefined };
const change = (to: string): Notification => ({
  target: 'www.example.com/seoul-a',
  vip: 'seoul-a',
  service: 'www.example.com',
  region: 'seoul',
  from: 'up',
  to,
  reason: 'connect refused',
  time: '2026-11-20T21:00:00.000Z',
  node: 'ams1',
});

const started: Webhook[] = [];
afterEach(() => {
  for (const notifier of started.splice(0)) notifier.stop();
});

/** A webhook that answers by the list of statuses, 0 for none at all; the last one goes on. */
function hook(statuses: readonly number[]) {
  const clock = createManualClock();
  const warnings: string[] = [];
  const tries: { readonly to: string; readonly atMs: number }[] = [];
  const post: Post = (_, body) => {
    const status = statuses[Math.min(tries.length, statuses.length - 1)] ?? 200;
    tries.push({ to: (JSON.parse(body) as Notification).to, atMs: clock.now() - 1000 });
    return status === 0 ? Promise.reject(new Error('no')) : Promise.resolve(status);
  };
  const notifier = createWebhook({ clock, warn: (message) => warnings.push(message), post });
  notifier.configure(settings);
  started.push(notifier);
  return { clock, notifier, tries, warnings };
}

describe('a webhook', () => {
  test('gets each change as JSON, in order, with the headers and the token', async () => {
    const got: { readonly headers: unknown; readonly body: unknown }[] = [];
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const server = await listen(
      createServer((request, response) => {
        let text = '';
        request.on('data', (chunk: Buffer) => (text += chunk.toString()));
        request.on('end', () => {
          const { authorization, 'content-type': type, 'x-key': key } = request.headers;
          got.push({
            headers: { authorization, type, key, method: request.method },
            body: JSON.parse(text) as unknown,
          });
          response.writeHead(204).end();
          if (got.length === 2) resolve(undefined);
        });
      }),
    );
    const notifier = createWebhook({ clock: systemClock, warn: () => undefined });
    started.push(notifier);
    notifier.configure({ url: `http://127.0.0.1:${server.port}/hook`, headers: { 'X-Key': 'k' }, token: 't' });
    notifier.send(change('down'));
    notifier.send(change('up'));
    await promise;
    const headers = { authorization: 'Bearer t', type: 'application/json', key: 'k', method: 'POST' };
    expect(got).toEqual([
      { headers, body: change('down') },
      { headers, body: change('up') },
    ]);
    await expect.poll(() => notifier.stats()).toEqual({ sent: 2, dropped: 0, failures: 0, waiting: 0 });
    await server.close();
  });

  test.each([[[0, 0, 200]], [[503, 503, 200]], [[429, 408, 200]]])(
    'that answers %j is tried again, later each time, and the others wait for their turn',
    async (statuses) => {
      const { clock, notifier, tries, warnings } = hook(statuses);
      notifier.send(change('down'));
      notifier.send(change('up'));
      await clock.advance(10_000);
      expect(tries).toEqual([
        { to: 'down', atMs: 0 },
        { to: 'down', atMs: 1000 },
        { to: 'down', atMs: 3000 },
        { to: 'up', atMs: 3000 },
      ]);
      expect(notifier.stats()).toEqual({ sent: 2, dropped: 0, failures: 2, waiting: 0 });
      // Once, and without what may be a secret.
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toContain('http://hooks.example.net did not accept');
      expect(warnings[0]).not.toContain('secret-path');
    },
  );

  test.each([400, 404, 301])(
    'that answers %i is not asked again: the change is dropped and counted',
    async (status) => {
      const { clock, notifier, tries } = hook([status, 200]);
      notifier.send(change('down'));
      notifier.send(change('up'));
      await clock.advance(0);
      await turns();
      expect(tries.map(({ to }) => to)).toEqual(['down', 'up']);
      expect(notifier.stats()).toEqual({ sent: 1, dropped: 1, failures: 1, waiting: 0 });
    },
  );

  test('that never answers loses a change after ten tries, and the next has its turn', async () => {
    const { clock, notifier, tries } = hook([0]);
    notifier.send(change('down'));
    notifier.send(change('up'));
    while (notifier.stats().dropped === 0) await clock.advance(1000);
    expect(tries.filter(({ to }) => to === 'down')).toHaveLength(MAX_TRIES);
    expect(notifier.stats().waiting).toBe(1);
  });

  test('that hangs is let go after ten seconds', async () => {
    const clock = createManualClock();
    const warnings: string[] = [];
    const post: Post = (_, __, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reject(signal.reason as Error);
        });
      });
    const notifier = createWebhook({ clock, warn: (message) => warnings.push(message), post });
    started.push(notifier);
    notifier.configure(settings);
    notifier.send(change('down'));
    await clock.advance(10_000);
    expect(notifier.stats()).toMatchObject({ failures: 1, waiting: 1 });
    expect(warnings[0]).toContain('no answer within 10 s');
  });

  test('that is slow keeps the newest, and the oldest are dropped and counted', () => {
    const { notifier } = hook([0]);
    for (let count = 0; count < MAX_NOTIFICATIONS + 5; count += 1) notifier.send(change('down'));
    expect(notifier.stats()).toMatchObject({ dropped: 5, waiting: MAX_NOTIFICATIONS });
  });

  test('that a reload takes away ends what waits; one that it changes gets it', async () => {
    const { clock, notifier, tries } = hook([0, 200]);
    notifier.send(change('down'));
    await turns();
    notifier.configure({ ...settings, url: 'http://other.example.net/' });
    await turns();
    expect(tries).toHaveLength(2);
    expect(notifier.stats()).toMatchObject({ sent: 1, waiting: 0 });
    notifier.configure(undefined);
    notifier.send(change('up'));
    await clock.advance(10_000);
    expect(notifier.stats()).toMatchObject({ sent: 1, waiting: 0 });
  });
});
