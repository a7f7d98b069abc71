/**
 * The commands that show running servers, with one and with two real status servers.
 */
import { afterAll, beforeAll, describe, expect, it, test, vi } from 'vitest';
import { reload } from '../../../cli/control.ts';
import { runOverrides } from '../../../cli/list-overrides.ts';
import { runEvents } from '../../../cli/show-events.ts';
import { showVersion } from '../../../cli/show-version.ts';
import { runStatus } from '../../../cli/status.ts';
import { startStatusServer, type StatusServer } from '../../../status/http.ts';
import { PATIENCE_MS } from '../../support/patience.ts';
import { LONG_TESTS } from '../../support/random.ts';
import { createFakeLog, createFakeRuntime, mistake, type FakeRuntime } from '../status/fake-runtime.ts';
import { captureOutput } from './captured-output.ts';

type Node = { readonly fake: FakeRuntime; readonly server: StatusServer; readonly api: string };

async function startNode(port = 0): Promise<Node> {
  const fake = await createFakeRuntime();
  const listen = { host: '127.0.0.1', port };
  const server = await startStatusServer(fake.runtime, { listen, token: 's3cret', log: createFakeLog().log });
  return { fake, server, api: `http://127.0.0.1:${server.endpoint.port}` };
}

async function stopNode({ fake, server }: Node): Promise<void> {
  await server.close();
  await fake.stop();
}

const NOWHERE = 'http://127.0.0.1:9';
const VIP = 'www.example.com/seoul-a';
const rest = { token: 's3cret', config: undefined, cwd: '/', env: {}, json: false };
const never = new AbortController().signal;

let one: Node;
let two: Node;
beforeAll(async () => {
  [one, two] = await Promise.all([startNode(), startNode()]);
});
afterAll(async () => {
  await Promise.all([stopNode(one), stopNode(two)]);
});

const both = (): { api: string; alsoApis: readonly string[] } => ({ api: one.api, alsoApis: [two.api] });

describe('overrides', () => {
  it('lists who, since when, until when and why, the oldest first', async () => {
    one.fake.runtime.health.override(VIP, { state: 'drain', reason: 'kernel', forMs: 60_000 });
    one.fake.runtime.health.weigh('www.example.com/virginia-a', { weight: 10 });
    const { output, out, error } = captureOutput();
    expect(await runOverrides({ ...rest, api: one.api }, output)).toBe(0);
    const TIME = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`;
    const [head, ...lines] = out().split('\n');
    expect(head).toMatch(/^TARGET +STATE +BY +SINCE +UNTIL +SAFE TO STOP +REASON$/);
    expect(lines.toSorted()).toEqual([
      expect.stringMatching(new RegExp(`^${VIP} +drain +operator +${TIME} +${TIME} +(?:${TIME}|-) +kernel$`)),
      expect.stringMatching(
        new RegExp(`^www.example.com/virginia-a +weight 10 \\(file 1\\) +operator +${TIME} +- +- +-$`),
      ),
    ]);
    expect(error()).toBe('');
  });

  it('of several servers, with those that fail', async () => {
    const { output, out, error } = captureOutput();
    const options = { ...rest, api: one.api, alsoApis: [two.api, NOWHERE] };
    expect(await runOverrides(options, output)).toBe(1);
    expect(out()).toMatch(new RegExp(`^SERVER[^\n]*\n${one.api} `));
    expect(error()).toMatch(/^pharos overrides: cannot reach http:\/\/127\.0\.0\.1:9/);
    const json = captureOutput();
    await runOverrides({ ...options, json: true }, json.output);
    expect(JSON.parse(json.out())).toMatchObject({
      servers: [
        { api: one.api, ok: true, reply: { overrides: [{ target: VIP, by: 'operator' }], weights: [{ weight: 10 }] } },
        { api: two.api, ok: true, reply: { overrides: [], weights: [] } },
        { api: NOWHERE, ok: false, error: expect.stringContaining('cannot reach') as string },
      ],
    });
  });

  it('says that there are none', async () => {
    const { output, out } = captureOutput();
    expect(await runOverrides({ ...rest, api: two.api }, output)).toBe(0);
    expect(out()).toBe('No override and no run-time weight is set.');
  });
});

describe('status and reload of several servers', () => {
  const status = { service: undefined, watch: false, intervalMs: 10, screen: undefined, signal: never };

  it('status shows one report after the other', async () => {
    const { output, out } = captureOutput();
    expect(await runStatus({ ...rest, ...both(), ...status }, output)).toBe(0);
    expect([...out().matchAll(/^Pharos 1\.2\.3 at (\S+):/gm)].map(([, url]) => url)).toEqual([one.api, two.api]);
  });

  it('status with a server that does not reply shows the others, and fails', async () => {
    const { output, out, error } = captureOutput();
    expect(await runStatus({ ...rest, api: NOWHERE, alsoApis: [two.api], ...status }, output)).toBe(1);
    expect(out()).toContain(`Pharos 1.2.3 at ${two.api}`);
    expect(error()).toMatch(/^pharos status: cannot reach http:\/\/127\.0\.0\.1:9/);
  });

  it('status --json', async () => {
    const { output, out } = captureOutput();
    await runStatus({ ...rest, ...both(), ...status, json: true }, output);
    expect(JSON.parse(out())).toMatchObject({ servers: [{ api: one.api, reply: { generation: 4 } }, { ok: true }] });
  });

  it('a screen has the lines of all servers, and each service names its server', async () => {
    const stop = new AbortController();
    const drawn: string[] = [];
    const screen = {
      size: () => ({ columns: 200, rows: 80 }),
      draw: (lines: readonly string[]) => {
        drawn.push(...lines);
        stop.abort();
      },
      onResize: () => undefined,
      close: () => undefined,
    };
    const { output } = captureOutput();
    await runStatus({ ...rest, ...both(), ...status, watch: true, screen, signal: stop.signal }, output);
    for (const { api } of [one, two]) {
      expect(drawn.filter((line) => line.startsWith('www.example.com') && line.endsWith(`(${api})`))).toHaveLength(1);
    }
  });

  it('reload: each reads its own files, and one may refuse', async () => {
    const before = two.fake.knobs.reload;
    two.fake.knobs.reload = () => Promise.resolve({ ok: false, diagnostics: [mistake] });
    const { output, out, error } = captureOutput();
    expect(await reload({ ...rest, ...both() }, output)).toBe(1);
    const json = captureOutput();
    expect(await reload({ ...rest, ...both(), json: true }, json.output)).toBe(1);
    two.fake.knobs.reload = before;
    expect(out()).toBe(`${one.api}: generation 5 is served`);
    expect(error()).toContain(`pharos reload: ${two.api}: Reload rejected; still serving generation 4`);
    expect(JSON.parse(json.out())).toMatchObject({
      servers: [
        { api: one.api, ok: true, reply: { generation: 5 } },
        { api: two.api, ok: false, reply: { diagnostics: [{ code: 'PH014' }] } },
      ],
    });
  });
});

describe('events', () => {
  it('are lines with time, kind and message, the oldest first over all servers', async () => {
    one.fake.runtime.events.add({ kind: 'reload', message: 'second', at: '2026-11-20T21:00:02.000Z' });
    two.fake.runtime.events.add({ kind: 'state', message: 'first', at: '2026-11-20T21:00:01.000Z' });
    const { output, out } = captureOutput();
    expect(await runEvents({ ...rest, ...both(), follow: false, signal: never }, output)).toBe(0);
    const lines = out().split('\n');
    const first = lines.indexOf(`2026-11-20 21:00:01 UTC  ${two.api}  state     first`);
    expect(lines[first + 1]).toBe(`2026-11-20 21:00:02 UTC  ${one.api}  reload    second`);
  });

  it('--json is the reply of the API', async () => {
    const { output, out } = captureOutput();
    await runEvents({ ...rest, api: two.api, follow: false, json: true, signal: never }, output);
    expect(JSON.parse(out())).toEqual(expect.arrayContaining([expect.objectContaining({ message: 'first' })]));
  });

  it('of a server that cannot be reached', async () => {
    const { output, error } = captureOutput();
    expect(await runEvents({ ...rest, api: NOWHERE, follow: true, signal: never }, output)).toBe(1);
    expect(error()).toMatch(/^pharos events: cannot reach/);
  });

  it.runIf(LONG_TESTS)('--follow shows each event once, also those of a server that has restarted', async () => {
    const before = await startNode();
    const stop = new AbortController();
    const { output, out, error } = captureOutput();
    const messages = (): readonly string[] =>
      out()
        .split('\n')
        .filter(Boolean)
        .map((line) => (JSON.parse(line) as { message: string }).message)
        .filter((message) => message.startsWith('number'));
    before.fake.runtime.events.add({ kind: 'reload', message: 'number 1' });
    const options = { ...rest, api: before.api, json: true, follow: true, signal: stop.signal };
    const following = runEvents(options, output);
    await vi.waitFor(() => {
      expect(messages()).toEqual(['number 1']);
    }, PATIENCE_MS);
    before.fake.runtime.events.add({ kind: 'reload', message: 'number 2' });
    await vi.waitFor(() => {
      expect(messages()).toEqual(['number 1', 'number 2']);
    }, PATIENCE_MS);
    await stopNode(before);
    await vi.waitFor(() => {
      expect(error()).toContain(`lost the connection to ${before.api}; trying again until Ctrl-C`);
    }, PATIENCE_MS);
    const after = await startNode(before.server.endpoint.port);
    // It happened before the command was back.
    after.fake.runtime.events.add({ kind: 'reload', message: 'number 3' });
    await vi.waitFor(() => {
      expect(messages()).toEqual(['number 1', 'number 2', 'number 3']);
    }, PATIENCE_MS);
    after.fake.runtime.events.add({ kind: 'reload', message: 'number 4' });
    await vi.waitFor(() => {
      expect(messages()).toEqual(['number 1', 'number 2', 'number 3', 'number 4']);
    }, PATIENCE_MS);
    expect(error().split('\n').at(-1)).toBe(`Connected to ${before.api} again.`);
    stop.abort();
    expect(await following).toBe(0);
    await stopNode(after);
  });
});

test('version names what runs here', () => {
  const { output, out } = captureOutput();
  expect(showVersion({ json: true }, output)).toBe(0);
  expect(JSON.parse(out())).toMatchObject({
    product: 'Pharos',
    version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
    installed: 'checkout',
    node: process.version,
    platform: process.platform,
    arch: process.arch,
  });
  const text = captureOutput();
  showVersion({ json: false }, text.output);
  expect(text.out()).toMatch(/^Pharos {4}\d.*\nrevision {2}(?:unknown|[0-9a-f]{40}(?:, modified)?)\nNode\.js {3}v/);
});
