/**
 * `pharos serve` as a process: start, reload, stop, and what survives it.
 */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkListen } from '../../server/io/check-listen.ts';
import type { HistoryDocument } from '../../status/routes-page.ts';
import { freePort } from '../support/free-port.ts';
import { folderOf } from '../support/pharos.ts';
import { defaultAddresses, dig, eventually, has, run, serve, start, type Served } from '../support/process.ts';

const CONFIG = 'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: secret }\n';
const zone = (address: string): string =>
  `zone: example.com\nnameservers: [ns1]\nrecords:\n  ns1: { A: 192.0.2.53 }\n  www: { A: ${address} }\n`;
const files = (address = '192.0.2.80') => ({ 'pharos.yaml': CONFIG, 'zones/example.com.yaml': zone(address) });

type Status = {
  readonly generation: number;
  readonly last_reload: { readonly ok: boolean; readonly diagnostics: readonly { readonly code: string }[] };
  readonly alarms: readonly { readonly code: string }[];
  readonly zones: readonly { readonly serial: number }[];
  readonly vips: readonly { readonly target: string; readonly probed: string; readonly effective: string }[];
};
const status = async ({ api }: Served): Promise<Status> => {
  return (await (await fetch(`${api}/api/v1/status`)).json()) as Status;
};
const serialOf = async (server: Served): Promise<number> => (await status(server)).zones[0]?.serial ?? 0;

describe.skipIf(!has('dig'))('pharos serve', () => {
  test('a folder zones is enough: 127.0.0.1:5300 answers over UDP and TCP', async () => {
    await using _addresses = await defaultAddresses();
    using folder = folderOf({ 'zones/example.com.yaml': zone('192.0.2.80') });
    await using server = await serve([], { cwd: folder.path });
    expect(server.port).toBe(5300);
    expect(await dig(5300, 'www.example.com')).toBe('192.0.2.80');
    expect(await dig(5300, '+tcp', 'www.example.com')).toBe('192.0.2.80');
    expect((await server.stop()).code).toBe(0);
  });

  test('SIGHUP: a changed zone is served; a broken one is rejected, and reported in log, status and metrics', async () => {
    using folder = folderOf(files());
    const file = join(folder.path, 'zones/example.com.yaml');
    await using server = await serve([], { cwd: folder.path });
    const before = await serialOf(server);

    writeFileSync(file, zone('192.0.2.81'));
    server.child.kill('SIGHUP');
    await server.until(/"msg":"(?:reloaded|nothing has changed)/);
    expect(await dig(server.port, 'www.example.com')).toBe('192.0.2.81');
    expect(await serialOf(server)).toBeGreaterThan(before);

    writeFileSync(file, zone('192.0.2.999'));
    server.child.kill('SIGHUP');
    await server.until(/reload refused: still serving generation 2/);
    expect(server.stdout()).toMatch(/zones\/example\.com\.yaml:5:\d+ error PH\d{3}: .*192\.0\.2\.999/);
    expect(await dig(server.port, 'www.example.com')).toBe('192.0.2.81');
    const refused = await status(server);
    expect(refused).toMatchObject({ generation: 2, last_reload: { ok: false }, alarms: [{ code: 'reload_refused' }] });
    expect(refused.last_reload.diagnostics).toHaveLength(1);
    const metrics = await (await fetch(`${server.api}/metrics`)).text();
    expect(metrics).toContain('pharos_config_last_reload_successful 0');

    writeFileSync(file, zone('192.0.2.82'));
    server.child.kill('SIGHUP');
    await server.until(/"generation":3,.*"msg":"reloaded"/);
    expect(await status(server)).toMatchObject({ last_reload: { ok: true }, alarms: [] });
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it with 0, and nothing listens afterwards', async (signal) => {
    const port = await freePort();
    using folder = folderOf({ ...files(), 'pharos.yaml': CONFIG.replace('127.0.0.1:0', `127.0.0.1:${port}`) });
    await using server = await serve([], { cwd: folder.path });
    expect(server.port).toBe(port);
    expect(await server.stop(signal)).toMatchObject({ code: 0, stderr: '' });
    expect(await checkListen([{ host: '127.0.0.1', port: server.port }])).toBeUndefined();
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'after %s the serial stays with the content, rises with a change, and overrides apply',
    async (signal) => {
      const service = (weight: number): string =>
        `${zone('192.0.2.80')}services:\n  app: { vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2, weight: ${weight} } } }\n`;
      using folder = folderOf({ ...files(), 'zones/example.com.yaml': service(1) });
      const restart = (): Promise<Served> => serve([], { cwd: folder.path });
      let first: number;
      {
        await using server = await restart();
        first = await serialOf(server);
        const reply = await fetch(`${server.api}/api/v1/overrides/app.example.com/a`, {
          method: 'PUT',
          headers: { authorization: 'Bearer secret', 'content-type': 'application/json' },
          body: '{"state":"drain","reason":"test"}',
        });
        expect(reply.status).toBe(200);
        await server.stop(signal);
      }
      {
        await using server = await restart();
        expect(await serialOf(server)).toBe(first);
        expect((await status(server)).vips.map((vip) => vip.effective)).toEqual(['drain', 'unknown']);
        expect(await dig(server.port, 'app.example.com')).toBe('192.0.2.2');
        await server.stop(signal);
      }
      writeFileSync(join(folder.path, 'zones/example.com.yaml'), service(2));
      await using server = await restart();
      expect(await serialOf(server)).toBeGreaterThan(first);
    },
  );

  test('the history of states survives a stop and a kill', async () => {
    const app = `${zone('192.0.2.80')}services:\n  app: { vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2 } } }\n`;
    using folder = folderOf({ ...files(), 'zones/example.com.yaml': app });
    const isDownIn = async ({ api }: Served): Promise<boolean> => {
      const reply = (await (await fetch(`${api}/api/v1/history?service=app.example.com`)).json()) as HistoryDocument;
      const states = (target: string): string[] => reply.vips.flatMap((vip) => vip.target === target ? vip.spans.map(({ state }) => state) : []); // prettier-ignore
      expect(states('app.example.com/b')).not.toContain('down');
      return states('app.example.com/a').includes('down');
    };
    {
      await using server = await serve([], { cwd: folder.path });
      const url = `${server.api}/api/v1/overrides/app.example.com/a`;
      const headers = { authorization: 'Bearer secret', 'content-type': 'application/json' };
      expect((await fetch(url, { method: 'PUT', headers, body: '{"state":"down"}' })).status).toBe(200);
      expect((await fetch(url, { method: 'DELETE', headers: { authorization: 'Bearer secret' } })).status).toBe(200);
      await server.stop('SIGTERM');
    }
    for (let kill = 0; kill < 2; kill++) {
      await using server = await serve([], { cwd: folder.path });
      await eventually(() => isDownIn(server), Boolean);
      await server.stop('SIGKILL');
    }
  });

  test('the state of the last run holds until the first result', async () => {
    let silent = false;
    await using target = createServer((_, response) => {
      if (!silent) response.writeHead(503).end();
    });
    await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
    const { port } = target.address() as AddressInfo;
    const checked = `${zone('192.0.2.80')}services:
  app:
    check: { type: http, interval: 20m, timeout: 1m }
    vips:
      a: { A: 192.0.2.1, probe: "127.0.0.1:${port}" }
      b: { A: 192.0.2.2 }
`;
    using folder = folderOf({
      'pharos.yaml': `${CONFIG}health: { wait: 2s }\n`,
      'zones/example.com.yaml': checked.replace('b: { A: 192.0.2.2 }', `b: { A: 192.0.2.2, probe: "127.0.0.1:1" }`),
    });
    const probed = async (server: Served): Promise<string | undefined> => (await status(server)).vips[0]?.probed;
    {
      await using server = await serve([], { cwd: folder.path });
      await eventually(
        () => probed(server),
        (state) => state === 'down',
      );
      await server.stop();
    }
    silent = true;
    const begin = performance.now();
    await using server = await serve([], { cwd: folder.path });
    // health.wait: serving waits for the probe, but not for its result, which would come after ten minutes.
    expect(performance.now() - begin).toBeGreaterThan(1900);
    expect(await probed(server)).toBe('down');
    target.closeAllConnections();
  });

  test('with a state_dir that cannot be written it serves, and warns with the path', async () => {
    using folder = folderOf({ ...files(), 'pharos.yaml': `${CONFIG}state_dir: ./file/state\n`, file: 'in the way' });
    await using server = await serve([], { cwd: folder.path });
    expect(server.stdout()).toMatch(/"level":"warn".*file\/state.*(?:ENOTDIR|EEXIST)/);
    expect(await dig(server.port, 'www.example.com')).toBe('192.0.2.80');
    expect((await server.stop()).code).toBe(0);
  });

  test('SIGTERM during the start ends it', async () => {
    using folder = folderOf({
      'pharos.yaml': `${CONFIG}health: { wait: 5s }\n`,
      'zones/example.com.yaml': zone('192.0.2.80'),
    });
    await using server = start(['serve'], { cwd: folder.path });
    await eventually(
      () => Promise.resolve(server.child.pid),
      (pid) => pid !== undefined,
    );
    const { code } = await server.stop();
    expect([0, 'SIGTERM']).toContain(code);
  });
});

test('explain --api without a server says so and ends with 1', async () => {
  const api = 'http://127.0.0.1:1';
  const { code, stderr } = await run(['explain', 'www.example.com', '--client', '192.0.2.1', '--api', api]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/cannot reach http:\/\/127\.0\.0\.1:1: .*; is `pharos serve` running there/);
});
