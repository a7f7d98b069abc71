/**
 * `pharos simulate` and `pharos diff` as processes, with the bundled database and a running server.
 */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Difference } from '../../cli/render-diff.ts';
import type { Simulation } from '../../server/forecast/simulate-failure.ts';
import { folderOf } from '../support/pharos.ts';
import { dig, has, run, serve } from '../support/process.ts';

const REGIONS = 'regions: { seoul: { at: KR }, dublin: { at: IE }, virginia: { at: "38.95,-77.45" } }\n';
const STEPS = [
  '[{ geo: { asia: [seoul, virginia], europe: dublin, default: [virginia, dublin] } }, weighted]',
  '[nearest, weighted]',
  '[{ nearest: { within: 2000km } }, sticky]',
  '[{ failover: [seoul, dublin, virginia] }, weighted]',
  '[weighted]',
];
/** Ten services, a third of whose VIPs are in Seoul. */
const SERVICES = Array.from({ length: 10 }, (_, n) => {
  const vips = ['seoul', 'dublin', 'virginia'].map(
    (region, r) => `${region}: { region: ${region}, A: 203.0.${n}.${r} }`,
  );
  return `  s${n}: { vips: { ${vips.join(', ')} }, steer: ${STEPS[n % STEPS.length] ?? ''} }\n`;
}).join('');
const FILES = {
  'pharos.yaml': `listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: secret }\nhealth: { wait: 0s }\n${REGIONS}`,
  'zones/example.com.yaml': `zone: example.com\nnameservers: [ns.example.net.]\nservices:\n${SERVICES}`,
};

describe('the bundled database and ten services', () => {
  test('simulate shows where the clients of Asia go', async () => {
    using folder = folderOf(FILES);
    const begin = performance.now();
    const { code, stdout } = await run(['simulate', '--down', '@seoul', '--json'], { cwd: folder.path });
    const seconds = (performance.now() - begin) / 1000;
    console.log(`simulate: ${seconds.toFixed(2)} s`);
    expect(code).toBe(0);
    const { services } = JSON.parse(stdout) as Simulation;
    expect(services).toHaveLength(10);
    const [geo, , , failover, weighted] = services;
    // Asia has between a fifth and a third of all addresses, China and Japan most of them.
    expect(geo?.moved).toBeGreaterThan(0.2);
    expect(geo?.moved).toBeLessThan(0.33);
    expect(geo?.countries.slice(0, 2).map(({ country }) => country)).toEqual(['CN', 'JP']);
    expect(geo?.moves).toEqual([{ from: 'seoul', to: 'virginia', share: geo?.moved }]);
    expect(failover?.moved).toBe(1);
    expect(weighted?.moved).toBeCloseTo(1 / 3, 5);
  });

  test('diff shows the effect of a changed key of a map', async () => {
    using folder = folderOf({});
    using before = folderOf(FILES);
    const after = join(folder.path, 'after');
    cpSync(before.path, after, { recursive: true });
    const zone = join(after, 'zones/example.com.yaml');
    writeFileSync(zone, readFileSync(zone, 'utf8').replace('{ geo: { asia', '{ geo: { JP: dublin, asia'));
    const begin = performance.now();
    const { code, stdout, stderr } = await run(['diff', before.path, after, '--json']);
    console.log(`diff: ${((performance.now() - begin) / 1000).toFixed(2)} s`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { services, traffic } = JSON.parse(stdout) as Difference;
    expect(services).toEqual([{ service: 's0.example.com', change: 'changed', what: ['geo JP: no entry -> dublin'] }]);
    expect(traffic).toHaveLength(1);
    expect(traffic[0]?.countries.map(({ country, clients, moved }) => [country, clients === moved])).toEqual([
      ['JP', true],
    ]);
    expect(traffic[0]?.regions).toEqual([{ from: 'seoul', to: 'dublin', share: traffic[0]?.moved }]);
  });

  test.each<[title: string, args: string[], code: number, error: RegExp]>([
    ['no target', ['simulate'], 2, /Missing --down TARGET/],
    ['an unknown target', ['simulate', '--down', '@seol'], 1, /did you mean "seoul"\?/],
    ['an unknown value of --weigh', ['simulate', '--down', '@seoul', '--weigh', 'feet'], 2, /auto, addresses, served/],
    ['both sources', ['simulate', '--down', '@seoul', '--api', 'x', '--config', 'y'], 2, /omit --config/],
    ['nothing to compare with', ['diff', '.'], 2, /missing required argument 'new'/],
    ['a file that is not there', ['diff', '.', 'nowhere.yaml'], 1, /nowhere\.yaml/],
  ])('%s', async (_title, args, code, error) => {
    using folder = folderOf(FILES);
    const finished = await run(args, { cwd: folder.path });
    expect(finished.code).toBe(code);
    expect(finished.stdout).toBe('');
    expect(finished.stderr).toMatch(error);
  });
});

test.skipIf(!has('dig'))('a running server: its overrides and its counts are used', async () => {
  using folder = folderOf(FILES);
  await using server = await serve([], { cwd: folder.path });
  const ask = async (...more: string[]): Promise<Simulation['services'][number] | undefined> => {
    const args = ['simulate', '--down', 's4.example.com/dublin', '--api', server.api, '--json', ...more];
    const { code, stdout, stderr } = await run(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return (JSON.parse(stdout) as Simulation).services[0];
  };
  expect(await ask()).toMatchObject({ weighed: 'addresses', moved: 0.333333 });
  const forced = await fetch(`${server.api}/api/v1/overrides/s4.example.com/seoul`, {
    method: 'PUT',
    headers: { authorization: 'Bearer secret', 'content-type': 'application/json' },
    body: '{"state": "down"}',
  });
  expect(forced.status).toBe(200);
  expect(await ask()).toMatchObject({ moved: 0.5, moves: [{ from: 'dublin', to: 'virginia' }] });
  // What a command would do, and nothing more.
  const dry = await run(['weight', 's4.example.com/dublin', '3', '--dry-run', '--api', server.api, '--json']);
  expect({ code: dry.code, stderr: dry.stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(dry.stdout)).toMatchObject({
    order: { target: 's4.example.com/dublin', weight: 3 },
    services: [{ moved: 0.25, moves: [{ from: 'virginia', to: 'dublin' }] }],
  });
  const answers = new Map<string, number>();
  for (let n = 0; n < 12; n++) {
    const address = await dig(server.port, 's4.example.com');
    answers.set(address, (answers.get(address) ?? 0) + 1);
  }
  const found = await ask('--weigh', 'served');
  expect(found?.weighed).toBe('served');
  expect(found?.moved).toBeCloseTo((answers.get('203.0.4.1') ?? 0) / 12, 5);
});

test('a running server: loads are followed, and a VIP that fails leaves pressures to the others', async () => {
  using folder = folderOf({
    'pharos.yaml': FILES['pharos.yaml'],
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns.example.net.]
services:
  w:
    check: { type: push }
    shed: {}
    vips: { s: { region: seoul, A: 203.0.113.1 }, d: { region: dublin, A: 203.0.113.2 }, v: { region: virginia, A: 203.0.113.3 } }
    steer: [{ geo: { asia: [seoul, dublin], default: [dublin, virginia] } }, weighted]
`,
  });
  await using server = await serve([], { cwd: folder.path });
  const send = async (method: string, path: string, body: unknown): Promise<unknown> => {
    const reply = await fetch(`${server.api}/api/v1/${path}`, {
      method,
      headers: { authorization: 'Bearer secret', 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(reply.status).toBe(200);
    return await reply.json();
  };
  for (const [name, load] of [
    ['s', 0.5],
    ['d', 0.5],
    ['v', 0.1],
  ] as const) {
    await send('PUT', `push/w.example.com/${name}`, { healthy: true, load });
  }
  const simulation = (await send('POST', 'simulate', { down: ['@seoul'] })) as Simulation;
  const [traffic] = simulation.services;
  expect(traffic?.settles).toBe(true);
  const loads = traffic?.vips.map(({ load }) => load);
  expect(loads?.[0]).toEqual({ before: 0.5, at_once: 0, settled: 0 });
  expect(loads?.[1]).toMatchObject({ before: 0.5, at_once: 1 });
  const settled = loads?.[1]?.settled ?? NaN;
  expect(settled).toBeGreaterThan(0.8);
  expect(settled).toBeLessThan(0.95);

  await send('PUT', 'overrides/@seoul', { state: 'down' });
  const shed = async (): Promise<number> => {
    const vips = (await (await fetch(`${server.api}/api/v1/health`)).json()) as { vip: string; shed: number }[];
    return vips.find(({ vip }) => vip === 'd')?.shed ?? 0;
  };
  // Some milliseconds after the override. Until then no client is shed, and no report arrives that could change it.
  await expect.poll(shed).toBeGreaterThan(0);
  expect(Math.abs((await shed()) - (settled - 0.8) / 0.15)).toBeLessThan(0.2);
});
