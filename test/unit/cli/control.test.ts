/**
 * The commands that change and show a running server, against a real status server.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { forceState, giveBack, reload, setWeight, type StateOptions } from '../../../cli/control.ts';
import { reach, type ReachOptions } from '../../../cli/find-server.ts';
import { runStatus, type StatusCommandOptions } from '../../../cli/status.ts';
import type { Screen } from '../../../cli/watch-screen.ts';
import { startStatusServer, type StatusServer } from '../../../status/http.ts';
import { folderOf } from '../../support/pharos.ts';
import { createFakeLog, createFakeRuntime, mistake, type FakeRuntime } from '../status/fake-runtime.ts';
import { captureOutput } from './captured-output.ts';

let fake: FakeRuntime;
let server: StatusServer;
let options: StateOptions;

beforeAll(async () => {
  fake = await createFakeRuntime();
  const listen = { host: '127.0.0.1', port: 0 };
  server = await startStatusServer(fake.runtime, { listen, token: 's3cret', log: createFakeLog().log });
  const api = `127.0.0.1:${server.endpoint.port}`;
  const rest = { config: undefined, cwd: '/', env: {}, json: false, forText: undefined, reason: undefined };
  options = { api, token: 's3cret', ...rest };
});
afterEach(() => {
  for (const { target } of fake.runtime.health.overrides()) fake.runtime.health.override(target, undefined);
  for (const { target } of fake.runtime.health.weights()) fake.runtime.health.weigh(target, undefined);
});
afterAll(async () => {
  await server.close();
  await fake.stop();
});

type Ran = { readonly code: number; readonly out: string; readonly error: string };
async function run(command: (output: ReturnType<typeof captureOutput>['output']) => Promise<number>): Promise<Ran> {
  const { output, out, error } = captureOutput();
  const code = await command(output);
  return { code, out: out(), error: error() };
}
const vip = 'www.example.com/seoul-a';
const stateOf = (target: string): string | undefined =>
  fake.runtime.health.list().find((one) => one.target === target)?.effective;

describe('drain, up, down and auto', () => {
  it('drain says when it is safe to stop', async () => {
    const ran = await run((output) =>
      forceState(vip, 'drain', { ...options, forText: '30m', reason: 'kernel' }, output),
    );
    expect(ran).toMatchObject({ code: 0, error: '' });
    expect(ran.out).toMatch(
      /^Draining www\.example\.com\/seoul-a: removed from DNS answers until \d{4}-\d\d-\d\d .* UTC\nOn this server only: /,
    );
    expect(ran.out).toMatch(/\nSafe to stop at \d\d:\d\d:\d\d UTC \(in (60|59) s\), when cached answers expire\.$/);
    expect(fake.runtime.health.overrides()).toMatchObject([{ state: 'drain', reason: 'kernel' }]);
  });

  it.each([
    [
      'drain',
      (dry: StateOptions) => (output: ReturnType<typeof captureOutput>['output']) =>
        forceState(vip, 'drain', dry, output),
      `If ${vip} is drained`,
    ],
    [
      'up',
      (dry: StateOptions) => (output: ReturnType<typeof captureOutput>['output']) => forceState(vip, 'up', dry, output),
      `If ${vip} is forced up`,
    ],
    [
      'auto',
      (dry: StateOptions) => (output: ReturnType<typeof captureOutput>['output']) => giveBack(vip, dry, output),
      `If ${vip} has no override`,
    ],
    [
      'weight',
      (dry: StateOptions) => (output: ReturnType<typeof captureOutput>['output']) => setWeight(vip, '7', dry, output),
      `If ${vip} gets weight 7`,
    ],
  ])('%s --dry-run shows the effect, and changes nothing', async (_command, command, words) => {
    const ran = await run(command({ ...options, dryRun: true }));
    expect(ran).toMatchObject({ code: 0, error: '' });
    expect(ran.out).toContain(words);
    expect(ran.out).toContain('--dry-run: nothing was changed.');
    expect([...fake.runtime.health.overrides(), ...fake.runtime.health.weights()]).toEqual([]);
  });

  it('drain --wait waits until that time', async () => {
    let wallMs = Date.now();
    let slept = 0;
    const sleep = (ms: number): Promise<void> => {
      wallMs += ms;
      slept += ms;
      return Promise.resolve();
    };
    const time = { wallMs: () => wallMs, sleep };
    const ran = await run((output) => forceState('@seoul', 'drain', { ...options, wait: true }, output, time));
    expect(ran).toMatchObject({ code: 0, error: '' });
    expect(ran.out).toMatch(/Safe to stop now\.$/);
    expect(slept).toBeGreaterThan(55_000);
    expect(slept).toBeLessThan(61_000);
  });

  it('drain --wait fails if answers still name the VIP, and gives the reason', async () => {
    fake.runtime.health.override('@virginia', { state: 'drain' });
    const ran = await run((output) => forceState('@seoul', 'drain', { ...options, wait: true, force: true }, output));
    expect(ran.code).toBe(1);
    expect(ran.error).toMatch(/^Not safe to stop: every VIP of www\.example\.com.*serve_all/);
  });

  it('drain --wait fails if the drain is cleared', async () => {
    const sleep = (): Promise<void> => {
      fake.runtime.health.override(vip, undefined);
      return Promise.resolve();
    };
    const time = { wallMs: Date.now, sleep };
    const ran = await run((output) => forceState(vip, 'drain', { ...options, wait: true }, output, time));
    expect(ran).toMatchObject({ code: 1, error: `pharos drain: the drain of ${vip} was cleared` });
  });

  it.each(['up', 'down'] as const)('%s forces, auto clears', async (state) => {
    const forced = await run((output) => forceState('www.example.com/@seoul', state, options, output));
    const lines = ['a', 'b'].map((name) => `www.example.com/seoul-${name} is forced ${state}`);
    expect(forced).toMatchObject({ code: 0, error: '' });
    expect(forced.out.split('\n').slice(0, 2)).toEqual(lines);
    expect(stateOf(vip)).toBe(state);
    const back = await run((output) => giveBack('www.example.com/@seoul', options, output));
    expect(back).toMatchObject({ code: 0, error: '' });
    expect(back.out).toContain(`${vip}: override cleared; health checks decide again`);
    expect(stateOf(vip)).toBe('up');
  });

  it('a reason of auto, and of weight auto, is in the event', async () => {
    const reason = 'kernel 6.12 & the rest';
    await run((output) => forceState(vip, 'down', options, output));
    await run((output) => giveBack(vip, { ...options, reason }, output));
    await run((output) => setWeight(vip, '7', options, output));
    const back = await run((output) => setWeight(vip, 'auto', { ...options, reason }, output));
    expect(back).toEqual({ code: 0, error: '', out: `${vip} has the weight of the zone file again` });
    const reply = await fetch(`http://${String(options.api)}/api/v1/events`);
    const events = (await reply.json()) as readonly { target?: string; reason?: string }[];
    const reasons = events.filter(({ target }) => target === vip).map((event) => event.reason);
    expect(reasons).toContain(`override cleared: ${reason}`);
    expect(reasons).toContain(`weight override cleared: ${reason}`);
    const long = await run((output) => giveBack(vip, { ...options, reason: 'x'.repeat(501) }, output));
    expect(long).toMatchObject({ code: 2, out: '' });
  });

  it('--json prints the reply of the API', async () => {
    const ran = await run((output) => forceState(vip, 'drain', { ...options, json: true }, output));
    expect(JSON.parse(ran.out)).toMatchObject({ state: 'drain', vips: [vip], safe_at: expect.any(String) as string });
  });
});

describe('weight', () => {
  it('sets, and auto restores the weight of the file', async () => {
    expect(await run((output) => setWeight(vip, '10', options, output))).toEqual({
      code: 0,
      out: `${vip} has weight 10`,
      error: '',
    });
    expect(fake.runtime.health.list()[0]).toMatchObject({ weight: 10, fileWeight: 1 });
    const back = await run((output) => setWeight(vip, 'auto', options, output));
    expect(back).toMatchObject({ code: 0, out: `${vip} has the weight of the zone file again` });
    expect(fake.runtime.health.list()[0]).toMatchObject({ weight: 1 });
  });

  it('0 is standby, and the output says so', async () => {
    const ran = await run((output) => setWeight(vip, '0', options, output));
    expect(ran.out).toContain('0 is standby');
  });
});

describe('reload', () => {
  it('says which generation is served', async () => {
    expect(await run((output) => reload(options, output))).toEqual({
      code: 0,
      out: 'generation 5 is served',
      error: '',
    });
  });

  it('shows the mistakes of a rejected reload', async () => {
    const before = fake.knobs.reload;
    fake.knobs.reload = () => Promise.resolve({ ok: false, diagnostics: [mistake] });
    const ran = await run((output) => reload(options, output));
    fake.knobs.reload = before;
    expect(ran).toMatchObject({ code: 1, out: '' });
    expect(ran.error).toBe(
      'zones/example.com.yaml:14:13 error PH014: weight must be 0 to 65535, got -3\n' +
        'pharos reload: Reload rejected; still serving generation 4',
    );
  });
});

describe('what goes wrong', () => {
  it.each<[string, Partial<StateOptions>, string, number, RegExp]>([
    [
      'no server',
      { api: '127.0.0.1:9' },
      vip,
      1,
      /cannot reach http:\/\/127\.0\.0\.1:9.*is `pharos serve` running there/,
    ],
    ['no URL', { api: 'ftp://x' }, vip, 2, /--api ftp:\/\/x is not an http or https URL/],
    ['no token', { token: undefined }, vip, 1, /requires a token: give --token, or set PHAROS_TOKEN$/],
    ['a wrong token', { token: 'no' }, vip, 1, /wrong token: it differs from status\.token/],
    ['an unknown target', {}, 'www.example.com/seoul-c', 1, /has no VIP "seoul-c"; did you mean "seoul-[ab]"\?/],
    ['a duration without unit', { forText: '30' }, vip, 2, /invalid duration "30" for --for; use a unit, such as 30m/],
    ['a duration beyond a year', { forText: '999d' }, vip, 2, /at most 366 days/],
  ])('%s', async (_title, change, target, code, error) => {
    const ran = await run((output) => forceState(target, 'down', { ...options, ...change }, output));
    expect(ran).toMatchObject({ code, out: '' });
    expect(ran.error).toMatch(error);
  });

  it.each(['-1', '65536', '1.5', 'ten'])('a weight of %s is wrong usage', async (text) => {
    const ran = await run((output) => setWeight(vip, text, options, output));
    expect(ran).toMatchObject({ code: 2, out: '' });
  });
});

describe('status', () => {
  const show = (change: Partial<StatusCommandOptions> = {}): Promise<Ran> => {
    const rest = { service: undefined, watch: false, intervalMs: 10, screen: undefined };
    const signal = new AbortController().signal;
    return run((output) => runStatus({ ...options, ...rest, signal, ...change }, output));
  };

  it('is one table per service, problems first', async () => {
    fake.knobs.alarms = [
      {
        code: 'reload_refused',
        severity: 'warning',
        subject: null,
        message: 'the last reload was refused',
        since: '2026-11-20T21:00:00Z',
      },
    ];
    fake.runtime.health.override(vip, { state: 'drain', reason: 'kernel' });
    fake.runtime.health.weigh('www.example.com/virginia-a', { weight: 10 });
    const { code, out } = await show();
    fake.knobs.alarms = [];
    expect(code).toBe(0);
    const lines = out.split('\n').map((line) => line.replace(/ {2,}/g, '  ').trim());
    expect(lines[0]).toMatch(/^Pharos 1\.2\.3 at http:\/\/127\.0\.0\.1:\d+: ready, generation 4, up /);
    expect(lines[1]).toBe('1,235 queries/s, NXDOMAIN 2.0/s, SERVFAIL 0.3/s in the last minute');
    expect(lines[2]).toMatch(/^ALARM reload_refused for .*: the last reload was refused$/);
    expect(lines.slice(4, 10)).toEqual([
      'www.example.com  1 of 3 available, TTL 5 to 60 s',
      'VIP  REGION  STATE  FOR  WEIGHT  SERVED  WHY',
      expect.stringMatching(
        /^seoul-a {2}seoul {2}drain \(probed up\) {2}\d s {2}1 {2}75\.0 % {2}kernel, safe to stop in (60|59) s$/,
      ),
      expect.stringMatching(/^seoul-b {2}seoul {2}down {2}\d+ s {2}1 {2}0\.0 % {2}connect refused$/),
      'virginia-a  virginia  not checked  -  10 (file 1)  25.0 %',
      'clients: KR 60.0 %, JP 30.0 %, unknown 10.0 %',
    ]);
  });

  it('of one service, or of an unknown one', async () => {
    const { out } = await show({ service: 'API.example.com.' });
    expect(out).toContain('api.example.com');
    expect(out).not.toContain('www.example.com');
    expect(await show({ service: 'nobody.example.com' })).toMatchObject({ code: 1, out: '' });
  });

  it.each([
    [99, undefined],
    [100, 'clients: KR 60.0 %, JP 40.0 %'],
  ])('with %i samples the line of clients is %s', async (samples, line) => {
    const before = fake.knobs.clients.get('www.example.com');
    const countries = new Map([
      ['JP', samples * 0.4],
      ['KR', samples * 0.6],
    ]);
    fake.knobs.clients.set('www.example.com', { samples, countries, others: 0 });
    const { out } = await show();
    if (before) fake.knobs.clients.set('www.example.com', before);
    expect(/^ *(clients: .*)$/m.exec(out)?.[1]).toBe(line);
  });

  it('--json is the document of the API', async () => {
    const { out } = await show({ json: true });
    expect(JSON.parse(out)).toMatchObject({ generation: 4, vips: [{ target: vip, file_weight: 1 }, {}, {}, {}] });
  });

  it('--watch continues, with the split since the previous report, until it is stopped', async () => {
    const stop = new AbortController();
    const { output, out, error } = captureOutput();
    const drawn: (readonly string[])[] = [];
    let closed = 0;
    const screen: Screen = {
      size: () => ({ columns: 100, rows: 30 }),
      draw: (lines) => {
        drawn.push(lines);
        if (drawn.length === 3) stop.abort();
      },
      onResize: () => undefined,
      close: () => (closed += 1),
    };
    const rest = { service: undefined, watch: true, intervalMs: 1, screen };
    expect(await runStatus({ ...options, ...rest, signal: stop.signal }, output)).toBe(0);
    // Two services in each report after the first one.
    expect(drawn.flat().filter((line) => line.includes('SERVED NOW'))).toHaveLength(4);
    expect({ closed, out: out(), error: error() }).toEqual({ closed: 1, out: '', error: '' });
  });

  it('reports a server that cannot be reached', async () => {
    const ran = await show({ api: '127.0.0.1:9' });
    expect(ran).toMatchObject({ code: 1, out: '' });
    expect(ran.error).toMatch(/^pharos status: cannot reach/);
  });
});

describe("the server's address and token", () => {
  const none = { api: undefined, token: undefined, config: undefined, env: {} };
  it.each<[string, string | undefined, Partial<ReachOptions>, unknown]>([
    ['no file: the default', undefined, {}, { url: 'http://127.0.0.1:8053', token: undefined }],
    ['the environment has a token', undefined, { env: { PHAROS_TOKEN: 'e' } }, { token: 'e' }],
    ['the command line wins', undefined, { env: { PHAROS_TOKEN: 'e' }, token: 'c' }, { token: 'c' }],
    ['a file', 'status: { listen: 127.0.0.1:9000, token: f }', {}, { url: 'http://127.0.0.1:9000', token: 'f' }],
    [
      'the environment wins over a file',
      'status: { token: f }',
      { env: { PHAROS_TOKEN: 'e' } },
      { url: 'http://127.0.0.1:8053', token: 'e' },
    ],
    ['a file without status', 'workers: 2', {}, { url: 'http://127.0.0.1:8053', token: undefined }],
    ['a file that listens everywhere', 'status: { listen: "[::]:9000" }', {}, { url: 'http://[::1]:9000' }],
    ['and by IPv4', 'status: { listen: 0.0.0.0:9000 }', {}, { url: 'http://127.0.0.1:9000' }],
    ['a token from a variable', 'status: { token: "${T}" }', { env: { T: 'v' } }, { token: 'v' }],
    ['a variable that is not set', 'status: { token: "${T}" }', {}, { url: 'http://127.0.0.1:8053', token: undefined }],
    [
      'mistakes elsewhere do not matter',
      'workres: 2\nstatus: { listen: 127.0.0.1:9000 }',
      {},
      { url: 'http://127.0.0.1:9000' },
    ],
    [
      "--api: the file's token is not sent",
      'status: { token: f }',
      { api: 'h:1' },
      { url: 'http://h:1', token: undefined },
    ],
  ])('%s', (_title, yaml, change, expected) => {
    using folder = folderOf(yaml === undefined ? {} : { 'pharos.yaml': yaml });
    expect(reach({ ...none, cwd: folder.path, ...change })).toMatchObject({ ok: true, api: expected });
  });

  it.each([
    ['status: off', /off/],
    ['status: { listen: 127.0.0.1:0 }', /give --api URL/],
    ['status: { listen: "${NOT_SET}" }', /not set here/],
    ['status: [', /must .* end with a \]/],
  ])('%s does not identify a server', (yaml, message) => {
    using folder = folderOf({});
    writeFileSync(join(folder.path, 'other.yaml'), yaml);
    const found = reach({ ...none, cwd: folder.path, config: 'other.yaml' });
    expect(found).toMatchObject({ ok: false, usage: false, message: expect.stringMatching(message) as string });
  });
});
