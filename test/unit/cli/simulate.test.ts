/** `pharos simulate` from files, and from a status server. */
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { simulate, type SimulateOptions } from '../../../cli/simulate.ts';
import { simulateFrom, type SimulateRequest } from '../../../server/forecast/simulate-failure.ts';
import { startStatusServer, type StatusServer } from '../../../status/http.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { folderOf, load } from '../../support/pharos.ts';
import { createFakeLog, createFakeRuntime, type FakeRuntime } from '../status/fake-runtime.ts';
import { captureOutput } from './captured-output.ts';

const FILES = {
  'pharos.yaml': 'geo: { databases: [small.mmdb] }\nregions: { seoul: { at: KR }, dublin: { at: IE } }\n',
  'small.mmdb': writeMmdb([
    ['20.0.0.0/9', { country: { iso_code: 'KR' } }],
    ...['JP', 'CN', 'TW', 'HK', 'SG', 'IN', 'TH', 'VN', 'PH', 'MY', 'ID', 'MN'].map(
      (code, n) => [`20.${128 + n}.0.0/16`, { country: { iso_code: code } }] as const,
    ),
    ['20.192.0.0/10', { country: { iso_code: 'IE' } }],
  ]),
  'zones/example.com.yaml': `zone: example.com
nameservers: [ns.example.net.]
services:
  www:
    vips:
      seoul-a: { region: seoul, A: 203.0.113.10, weight: 3 }
      seoul-b: { region: seoul, A: 203.0.113.11 }
      dublin-a: { region: dublin, A: 192.0.2.10 }
    steer: [{ geo: { asia: [seoul, dublin], default: [dublin, seoul] } }, weighted]
  lone: { vips: { only: { region: seoul, A: 203.0.113.20 } } }
  far: { vips: { only: { region: dublin, A: 192.0.2.20 } } }
`,
};

let folder: ReturnType<typeof folderOf>;
let fake: FakeRuntime;
let server: StatusServer;
let url: string;
let asked: SimulateRequest | undefined;

beforeAll(async () => {
  folder = folderOf(FILES);
  fake = await createFakeRuntime();
  const generation = load(FILES);
  fake.knobs.simulate = (request) => {
    asked = request;
    return simulateFrom(generation, request);
  };
  const listen = { host: '127.0.0.1', port: 0 };
  server = await startStatusServer(fake.runtime, { listen, token: 's3cret', log: createFakeLog().log });
  url = `http://127.0.0.1:${server.endpoint.port}`;
});
beforeEach(() => {
  asked = undefined;
});
afterAll(async () => {
  folder[Symbol.dispose]();
  await server.close();
  await fake.stop();
});

async function run(
  down: readonly string[],
  options: Partial<SimulateOptions> = {},
): Promise<{ code: number; out: string; error: string }> {
  const { output, out, error } = captureOutput();
  const config = options.api === undefined ? join(folder.path, 'pharos.yaml') : undefined;
  const defaults = { config, api: undefined, token: undefined, json: false, all: false };
  const code = await simulate({ request: { down, weigh: 'auto' }, ...defaults, ...options }, output);
  return { code, out: out(), error: error() };
}

describe('pharos simulate', () => {
  it('shows who moves, what the others get, and the worst service first', async () => {
    const { code, out } = await run(['@seoul']);
    expect(code).toBe(0);
    expect(out).toBe(`OUTAGE for 100 % of clients: lone.example.com A

If @seoul fails: www.example.com/seoul-a, www.example.com/seoul-b, lone.example.com/only.
Clients are weighted by IPv4 addresses.

lone.example.com A: no VIP is left for 100 % of its clients
  ! no VIP is left for 100 % of its clients: when_all_down is serve_all: they are still sent to VIPs that are down
  VIP   REGION  NOW    THEN
  only  seoul   100 %  100 %

www.example.com A: 68.6 % of its clients move
  VIP       REGION  NOW     THEN
  seoul-a   seoul   51.5 %  0 %    none left
  seoul-b   seoul   17.2 %  0 %    none left
  dublin-a  dublin  31.4 %  100 %  x3.19

  COUNTRY  CLIENTS  MOVE    FROM -> TO
  KR       62.7 %   62.7 %  seoul-a -> dublin-a 75.0 %, seoul-b -> dublin-a 25.0 %
  CN       0.5 %    0.5 %   seoul-a -> dublin-a 75.0 %, seoul-b -> dublin-a 25.0 %
  HK       0.5 %    0.5 %   seoul-a -> dublin-a 75.0 %, seoul-b -> dublin-a 25.0 %
  ID       0.5 %    0.5 %   seoul-a -> dublin-a 75.0 %, seoul-b -> dublin-a 25.0 %
  IN       0.5 %    0.5 %   seoul-a -> dublin-a 75.0 %, seoul-b -> dublin-a 25.0 %
  JP       0.5 %    0.5 %   seoul-a -> dublin-a 75.0 %, seoul-b -> dublin-a 25.0 %
  MN       0.5 %    0.5 %   seoul-a -> dublin-a 75.0 %, seoul-b -> dublin-a 25.0 %
  MY       0.5 %    0.5 %   seoul-a -> dublin-a 75.0 %, seoul-b -> dublin-a 25.0 %
  PH       0.5 %    0.5 %   seoul-a -> dublin-a 75.0 %, seoul-b -> dublin-a 25.0 %
  SG       0.5 %    0.5 %   seoul-a -> dublin-a 75.0 %, seoul-b -> dublin-a 25.0 %
  3 more   1.5 %    1.5 %   --all shows them

1 service has no VIP there.

From files: health is unknown, so every other VIP counts as up. \`--api URL\` asks a running server.`);
  });

  it('--all shows every country', async () => {
    expect((await run(['@seoul'], { all: true })).out.match(/^ {2}[A-Z]{2} /gm)).toHaveLength(13);
  });

  it('--json prints only the simulation', async () => {
    const { code, out } = await run(['www.example.com/seoul-a', 'www.example.com/@dublin'], { json: true });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      targets: ['www.example.com/seoul-a', 'www.example.com/dublin-a'],
      services: [{ service: 'www.example.com', vips: [{}, { vip: 'seoul-b', after: 1 }, {}] }],
      untouched: 2,
    });
  });

  it('--api asks a server, and shows its reply', async () => {
    const { code, out } = await run(['@seoul'], { api: url, request: { down: ['@seoul'], weigh: 'addresses' } });
    expect({ code, asked }).toEqual({ code: 0, asked: { down: ['@seoul'], weigh: 'addresses' } });
    expect(out).toContain('www.example.com A: 68.6 % of its clients move');
    expect(out).not.toContain('From files');
  });

  it.each<[title: string, settles: boolean, settled: number | null, shown: string[]]>([
    [
      'where loads settle',
      true,
      0.9,
      [
        'dublin-a  dublin  31.4 %  100 %  x3.19      30.0 %  90.0 %',
        'seoul-b   seoul   17.2 %  0 %    none left  -       -',
      ],
    ],
    [
      'first, which VIP exceeds its capacity',
      true,
      1.2,
      ['  ! beyond capacity, because no other VIP has room: dublin-a 120 %\n', '30.0 %  120 %'],
    ],
    ['that loads do not settle', false, null, ['  ! the loads do not settle', '30.0 %  ?']],
  ])('says %s', async (_title, settles, settled, shown) => {
    const { simulate: before } = fake.knobs;
    fake.knobs.simulate = (request) => {
      const simulated = before(request);
      if (!simulated.ok) return simulated;
      const services = simulated.simulation.services.map((traffic) => ({
        ...traffic,
        settles,
        vips: traffic.vips.map((one) =>
          one.vip === 'dublin-a' ? { ...one, load: { before: 0.3, at_once: 0.9, settled } } : one,
        ),
      }));
      return { ok: true, simulation: { ...simulated.simulation, services } };
    };
    const { out } = await run(['@seoul'], { api: url });
    fake.knobs.simulate = before;
    for (const text of shown) expect(out).toContain(text);
  });

  it.each<[title: string, down: string[], options: () => Partial<SimulateOptions>, code: number, message: string]>([
    ['no target', [], () => ({}), 2, 'Missing --down TARGET'],
    ['an unknown target', ['@seol'], () => ({}), 1, 'no VIP is in a region "seol"; did you mean "seoul"?'],
    ['the same, from a server', ['@seol'], () => ({ api: url }), 1, 'did you mean "seoul"?'],
    ['a wrong token', ['@seoul'], () => ({ api: url, token: 'guess' }), 1, 'wrong token: it differs'],
    ['no URL', ['@seoul'], () => ({ api: 'ftp://x' }), 2, 'not an http or https URL'],
    ['no file', ['@seoul'], () => ({ config: join(folder.path, 'nowhere.yaml') }), 1, 'nowhere.yaml'],
  ])('%s', async (_title, down, options, code, message) => {
    const found = await run(down, options());
    expect({ code: found.code, out: found.out }).toEqual({ code, out: '' });
    expect(found.error).toContain(message);
  });
});

describe('POST /api/v1/simulate', () => {
  const post = async (body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    await fetch(`${url}/api/v1/simulate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });

  it('needs no token on loopback, because it changes nothing', async () => {
    const reply = await post({ down: ['@seoul'] });
    expect(reply.status).toBe(200);
    expect(await reply.json()).toMatchObject({ down: ['@seoul'], untouched: 1 });
    expect(asked).toEqual({ down: ['@seoul'], weigh: 'auto' });
  });

  it('is refused to clients that may not read', async () => {
    expect((await post({ down: ['@seoul'] }, { 'x-forwarded-for': '192.0.2.1' })).status).toBe(401);
  });

  it.each<[title: string, body: unknown, parameter: string]>([
    ['no target', {}, 'down'],
    ['an empty list', { down: [] }, 'down'],
    ['an unknown target', { down: ['@seol'] }, 'down'],
    ['an unknown member', { down: ['@seoul'], wiegh: 'auto' }, 'wiegh'],
    ['an unknown value of weigh', { down: ['@seoul'], weigh: 'feet' }, 'weigh'],
  ])('%s is a 400 that names the member', async (_title, body, parameter) => {
    const reply = await post(body);
    expect({ status: reply.status, ...((await reply.json()) as object) }).toMatchObject({ status: 400, parameter });
  });
});
