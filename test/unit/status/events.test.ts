/**
 * The log of events, and GET /api/v1/events over it.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEventLog, type EventDocument } from '../../../status/events.ts';
import { startStatusServer, type StatusServer } from '../../../status/http.ts';
import { createFakeLog, createFakeRuntime, type FakeRuntime } from './fake-runtime.ts';

const add = (log: ReturnType<typeof createEventLog>, ...messages: readonly string[]): void => {
  for (const message of messages) log.add({ kind: 'reload', message });
};
const messages = (events: readonly EventDocument[]): string[] => events.map(({ message }) => message);

describe('the log of events', () => {
  it('keeps the last ones, oldest first', () => {
    const log = createEventLog(() => 0, 3);
    add(log, 'a', 'b', 'c', 'd', 'e');
    expect(messages(log.after(undefined))).toEqual(['c', 'd', 'e']);
  });

  it('keeps updates in a quarter of its room, so that they do not push out other events', () => {
    const log = createEventLog(() => 1000, 8);
    add(log, 'a');
    for (let number = 1; number <= 20; number++) log.add({ kind: 'update', message: `update ${number}` });
    add(log, 'b');
    expect(messages(log.after(undefined))).toEqual(['a', 'update 19', 'update 20', 'b']);
    add(log, 'c', 'd', 'e', 'f', 'g', 'h', 'i');
    expect(messages(log.after(undefined))).toEqual(['b', 'c', 'd', 'e', 'f', 'g', 'h', 'i']);
    log.add({ kind: 'update', message: 'update 21' });
    log.add({ kind: 'update', message: 'update 22' });
    expect(messages(log.after(undefined))).toEqual(['d', 'e', 'f', 'g', 'h', 'i', 'update 21', 'update 22']);
    const eleventh = log.after(undefined)[2];
    expect(messages(log.after(eleventh?.id))).toEqual(['g', 'h', 'i', 'update 21', 'update 22']);
  });

  it('returns the events after an id, or all events if the id is from another run or too old', () => {
    const log = createEventLog(() => 1000, 3);
    add(log, 'a', 'b', 'c', 'd');
    const [, second, last] = log.after(undefined);
    expect(messages(log.after(second?.id))).toEqual(['d']);
    expect(messages(log.after(last?.id))).toEqual([]);
    const other = createEventLog(() => 2000);
    add(other, 'x', 'y', 'z');
    for (const id of [other.after(undefined)[2]?.id, 'nonsense', `${second?.id.split('-')[0] ?? ''}-1`]) {
      expect(messages(log.after(id))).toEqual(['b', 'c', 'd']);
    }
  });

  it('reports each alarm when it is raised and when it is over', () => {
    const log = createEventLog();
    const alarm = {
      code: 'reload_refused',
      severity: 'warning',
      subject: null,
      message: 'refused',
      since: '',
    } as const;
    log.addAlarm({ alarm, to: 'raised' });
    log.addAlarm({ alarm, to: 'over' });
    expect(log.after(undefined).map(({ kind, to }) => [kind, to])).toEqual([
      ['alarm', 'raised'],
      ['alarm', 'over'],
    ]);
  });

  it('describes a change of state, with its service and region', () => {
    const log = createEventLog();
    const target = 'a/b.example.com/x';
    log.addHealth({ at: '', kind: 'state', target, from: 'up', to: 'down', reason: 'status 503' }, 'seoul');
    log.addHealth({ at: '', kind: 'weight', target, from: 4, to: 10, reason: 'canary' }, undefined);
    expect(log.after(undefined)).toMatchObject([
      {
        message: `${target} is down, was up: status 503`,
        service: 'a/b.example.com',
        region: 'seoul',
        reason: 'status 503',
      },
      { message: `${target} has weight 10, was 4: canary`, from: 4, to: 10, region: null },
    ]);
  });
});

const TOKEN = 's3cret';
const json = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
let fake: FakeRuntime;
let server: StatusServer;
let url: string;

beforeEach(async () => {
  fake = await createFakeRuntime();
  const listen = { host: '127.0.0.1', port: 0 };
  server = await startStatusServer(fake.runtime, { listen, token: TOKEN, log: createFakeLog().log });
  url = `http://127.0.0.1:${server.endpoint.port}`;
});
afterEach(async () => {
  await server.close();
  await fake.stop();
});

const put = (path: string, body: object): Promise<Response> =>
  fetch(`${url}${path}`, { method: 'PUT', headers: json, body: JSON.stringify(body) });
const past = async (headers: Record<string, string> = {}, query = ''): Promise<readonly EventDocument[]> =>
  (await (await fetch(`${url}/api/v1/events${query}`, { headers })).json()) as readonly EventDocument[];

describe('GET /api/v1/events', () => {
  it('is the recent past as JSON, after an id if one is given', async () => {
    await put('/api/v1/overrides/www.example.com/seoul-a', { state: 'drain', reason: 'kernel' });
    await put('/api/v1/weights/www.example.com/seoul-a', { weight: 9 });
    const events = await past();
    const [override, weight] = events.slice(-2);
    expect(override).toMatchObject({ kind: 'override', to: 'drain', reason: 'kernel', service: 'www.example.com' });
    expect(weight).toMatchObject({ kind: 'weight', from: 1, to: 9 });
    expect(await past({ 'last-event-id': override?.id ?? '' })).toEqual([weight]);
    expect(await past({}, `?after=${override?.id ?? ''}`)).toEqual([weight]);
  });

  it('streams the past and then each new event, and resumes', async () => {
    const before = await past();
    const reply = await fetch(`${url}/api/v1/events`, { headers: { accept: 'text/event-stream' } });
    expect(reply.headers.get('content-type')).toBe('text/event-stream');
    const stream = readEvents(reply);
    for (const event of before) expect(await stream.next()).toEqual({ id: event.id, event: event.kind, data: event });
    await put('/api/v1/overrides/www.example.com/seoul-a', { state: 'down' });
    const live = await stream.next();
    expect(live).toMatchObject({ event: 'override', data: { target: 'www.example.com/seoul-a', to: 'down' } });
    await stream.end();

    await put('/api/v1/weights/www.example.com/seoul-a', { weight: 9 });
    const headers = { accept: 'text/event-stream', 'last-event-id': live.id };
    const resumed = readEvents(await fetch(`${url}/api/v1/events`, { headers }));
    expect(await resumed.next()).toMatchObject({ event: 'weight', data: { to: 9 } });
    await resumed.end();
  });

  it('accepts 64 streams and no more, and another when one has ended', async () => {
    const open = async (): Promise<{ readonly status: number; readonly end: () => Promise<void> }> => {
      const reply = await fetch(`${url}/api/v1/events`, { headers: { accept: 'text/event-stream' } });
      return { status: reply.status, end: async () => await reply.body?.cancel() };
    };
    const streams = await Promise.all(Array.from({ length: 64 }, open));
    expect(new Set(streams.map(({ status }) => status))).toEqual(new Set([200]));
    expect((await open()).status).toBe(503);
    await streams[0]?.end();
    await expect.poll(async () => (await open()).status).toBe(200);
  });

  it('ends with the server, at once', async () => {
    const reply = await fetch(`${url}/api/v1/events`, { headers: { accept: 'text/event-stream' } });
    // Otherwise it would last until the client goes.
    await Promise.all([server.close(), reply.text()]);
  });
});

type Read = { readonly id: string; readonly event: string; readonly data: EventDocument };

/** A reader as in WHATWG HTML 9.2.6, as far as needed. */
function readEvents(reply: Response): { readonly next: () => Promise<Read>; readonly end: () => Promise<void> } {
  const reader = reply.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  return {
    next: async () => {
      for (;;) {
        const end = text.indexOf('\n\n');
        if (end >= 0) {
          const lines = text.slice(0, end).split('\n');
          text = text.slice(end + 2);
          const field = (name: string): string =>
            lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? '';
          if (field('data') === '') continue;
          return { id: field('id'), event: field('event'), data: JSON.parse(field('data')) as EventDocument };
        }
        const chunk = await reader?.read();
        if (chunk === undefined || chunk.done) throw new Error(`the stream ended: ${text}`);
        text += chunk.value;
      }
    },
    end: async () => {
      await reader?.cancel();
    },
  };
}

describe('weights', () => {
  const vip = async (): Promise<unknown> =>
    ((await (await fetch(`${url}/api/v1/health/www.example.com`)).json()) as readonly unknown[])[0];

  it('are set, shown beside the weight of the file, listed and cleared', async () => {
    const reply = await put('/api/v1/weights/www.example.com/@seoul', { weight: 10, reason: 'canary' });
    const vips = ['www.example.com/seoul-a', 'www.example.com/seoul-b'];
    const set = {
      target: 'www.example.com/@seoul',
      weight: 10,
      reason: 'canary',
      vips,
      kept: [],
      warnings: [],
      saved: true,
    };
    expect([reply.status, await reply.json()]).toEqual([200, set]);
    expect(await vip()).toMatchObject({ weight: 10, file_weight: 1, weight_override: { weight: 10, by: 'operator' } });
    const listed = await (await fetch(`${url}/api/v1/weights`)).json();
    const row = { weight: 10, file_weight: 1, reason: 'canary', by: 'operator', present: true };
    expect(listed).toMatchObject(vips.map((target) => ({ target, ...row })));
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/pharos_vip_weight\{target="www.example.com\/seoul-a".*\} 10\n/);
    expect(metrics).toMatch(/pharos_vip_file_weight\{target="www.example.com\/seoul-a".*\} 1\n/);

    const back = await fetch(`${url}/api/v1/weights/@seoul`, {
      method: 'DELETE',
      headers: { authorization: json.authorization },
    });
    expect(await back.json()).toEqual({ target: '@seoul', vips, kept: [], warnings: [], saved: true });
    expect(await vip()).toMatchObject({ weight: 1, weight_override: null });
  });

  it.each([
    ['no weight', 'www.example.com/seoul-a', {}, 400, 'needs "weight"'],
    ['one too large', 'www.example.com/seoul-a', { weight: 65_536 }, 400, '"weight" must be <= 65535'],
    ['one below zero', 'www.example.com/seoul-a', { weight: -1 }, 400, '"weight" must be >= 0'],
    ['a fraction', 'www.example.com/seoul-a', { weight: 0.5 }, 400, '"weight" must be an integer'],
    ['text', 'www.example.com/seoul-a', { weight: '1' }, 400, '"weight" must be an integer'],
    ['an additional member', 'www.example.com/seoul-a', { weight: 1, wait: 1 }, 400, 'unknown member "wait"'],
    ['an unknown target', 'www.example.com/seoul-z', { weight: 1 }, 404, 'has no VIP "seoul-z"'],
  ])('rejects %s', async (_title, target, body, status, detail) => {
    const reply = await put(`/api/v1/weights/${target}`, body);
    const problem = (await reply.json()) as { readonly detail: string };
    expect([reply.status, problem.detail]).toEqual([status, expect.stringContaining(detail)]);
    expect(fake.runtime.health.weights()).toEqual([]);
  });

  it('require the token', async () => {
    const path = `${url}/api/v1/weights/www.example.com/seoul-a`;
    expect((await fetch(path, { method: 'DELETE' })).status).toBe(401);
  });
});
