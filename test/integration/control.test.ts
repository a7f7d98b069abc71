/**
 * Changes at run time reach the answers: the commands as processes, a real server, dig.
 */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { folderOf } from '../support/pharos.ts';
import { dig, eventually, has, run, serve, type Finished, type Served } from '../support/process.ts';

const ZONE = `zone: example.com
nameservers: [ns1]
records: { ns1: { A: 192.0.2.53 } }
services:
  www:
    ttl: 5
    vips:
      blue: { region: seoul, A: 192.0.2.1 }
      green: { region: virginia, A: 192.0.2.2, weight: 0 }
    steer: [weighted]
`;
const SETTINGS = `listen: 127.0.0.1:0
status: { listen: 127.0.0.1:0, token: secret }
regions: { seoul: { at: KR }, virginia: { at: US } }
`;
const files = { 'pharos.yaml': SETTINGS, 'zones/example.com.yaml': ZONE };
const answers = async ({ port }: Served): Promise<string> => await dig(port, 'www.example.com');
const pharos = ({ api }: Served, ...args: readonly string[]): Promise<Finished> =>
  run([...args, '--api', api], { env: { PHAROS_TOKEN: 'secret' } });

describe.skipIf(!has('dig'))('at run time', () => {
  test('drain, weight, auto and reload are in the next answer, and survive kill -9', async () => {
    using folder = folderOf(files);
    {
      await using server = await serve([], { cwd: folder.path });
      expect(await answers(server)).toBe('192.0.2.1');
      const drained = await pharos(server, 'drain', '@seoul', '--for', '30m', '--reason', 'kernel', '--wait');
      expect(drained).toMatchObject({ code: 0, stderr: '' });
      expect(drained.stdout).toMatch(/ \(in [1-5] s\), when cached answers expire\.\nSafe to stop now\.\n$/);
      expect(await answers(server)).toBe('192.0.2.2');

      expect(await pharos(server, 'auto', '@seoul')).toMatchObject({ code: 0 });
      expect(await answers(server)).toBe('192.0.2.1');
      expect(await pharos(server, 'weight', 'www.example.com/green', '10')).toMatchObject({ code: 0 });
      expect(await pharos(server, 'weight', 'www.example.com/blue', '0')).toMatchObject({ code: 0 });
      expect(await answers(server)).toBe('192.0.2.2');

      writeFileSync(join(folder.path, 'zones/example.com.yaml'), ZONE.replace('192.0.2.2,', '192.0.2.3,'));
      expect(await pharos(server, 'reload')).toMatchObject({ code: 0, stdout: 'generation 2 is served\n' });
      expect(await answers(server)).toBe('192.0.2.3');
      await server.stop('SIGKILL');
    }
    await using server = await serve([], { cwd: folder.path });
    expect(await answers(server)).toBe('192.0.2.3');
    const { stdout } = await pharos(server, 'status');
    expect(stdout).toMatch(/blue +seoul +not checked +- +0 \(file 1\)/);
    expect(stdout).toMatch(/green +virginia +not checked +- +10 \(file 0\)/);
    await pharos(server, 'weight', 'www.example.com/@seoul', 'auto');
    await pharos(server, 'weight', 'www.example.com/@virginia', 'auto');
    expect(await answers(server)).toBe('192.0.2.1');
  });

  test('a schedule shifts the traffic, and a reload changes the schedule', async () => {
    const settings = `${SETTINGS}schedules:
  - { at: "* * * * * *", set: { www.example.com/green: { weight: 1 }, www.example.com/blue: { weight: 0 } } }
`;
    using folder = folderOf({ ...files, 'pharos.yaml': settings });
    await using server = await serve([], { cwd: folder.path });
    await eventually(
      () => answers(server),
      (answer) => answer === '192.0.2.2',
    );
    expect(server.stdout()).toMatch(/"kind":"schedule".*www\.example\.com\/green set to weight 1/);
    writeFileSync(
      join(folder.path, 'pharos.yaml'),
      `${SETTINGS}schedules:
  - { at: "* * * * * *", set: { "@virginia": { weight: auto }, "@seoul": { weight: auto } } }
`,
    );
    expect(await pharos(server, 'reload')).toMatchObject({ code: 0 });
    await eventually(
      () => answers(server),
      (answer) => answer === '192.0.2.1',
    );
  });

  test('a change of state is an event, and is sent to the webhook', async () => {
    const got: unknown[] = [];
    // A slow file system raises this alarm, which the test does not expect.
    const isExpected = (event: { readonly alarm?: string }): boolean => event.alarm !== 'state_not_saved';
    await using hook = createServer((request, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => (text += chunk.toString()));
      request.on('end', () => {
        const event = JSON.parse(text) as { readonly alarm?: string };
        if (isExpected(event)) got.push(event);
        response.end();
      });
    });
    await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
    const { port } = hook.address() as AddressInfo;
    const settings = `${SETTINGS}dns: { nsid: ams1 }\nhealth: { notify: "http://127.0.0.1:${port}/hook" }\n`;
    const zone = ZONE.replace('    ttl: 5\n', '    ttl: 5\n    check: { type: push, expires: 1h }\n');
    using folder = folderOf({ ...files, 'pharos.yaml': settings, 'zones/example.com.yaml': zone });
    await using server = await serve([], { cwd: folder.path });
    await fetch(`${server.api}/api/v1/push/www.example.com/blue`, {
      method: 'PUT',
      headers: { authorization: 'Bearer secret', 'content-type': 'application/json' },
      body: '{"healthy":false}',
    });
    const change = {
      target: 'www.example.com/blue',
      service: 'www.example.com',
      region: 'seoul',
      from: 'unknown',
      to: 'down',
      reason: 'reported unhealthy',
    };
    await eventually(
      () => Promise.resolve(got.length),
      (count) => count === 2,
    );
    expect(got).toMatchObject([
      { ...change, vip: 'blue', node: 'ams1' },
      {
        kind: 'alarm',
        alarm: 'service_degraded',
        severity: 'warning',
        subject: 'www.example.com',
        from: 'over',
        to: 'raised',
      },
    ]);
    writeFileSync(join(folder.path, 'zones/example.com.yaml'), 'zone: [');
    expect(await pharos(server, 'reload')).toMatchObject({ code: 1 });
    const events = (await (await fetch(`${server.api}/api/v1/events`)).json()) as {
      readonly kind: string;
      readonly alarm?: string;
    }[];
    // The refused request is an event too (docs/http-api.md).
    expect(events.filter(({ kind }) => kind === 'request')).toMatchObject([{ to: 'refused' }]);
    expect(events.filter((event) => event.kind !== 'request' && isExpected(event))).toMatchObject([
      { kind: 'state', ...change },
      { kind: 'alarm', alarm: 'service_degraded', to: 'raised' },
      { kind: 'alarm', alarm: 'reload_refused', to: 'raised' },
      { kind: 'reload', to: 'refused' },
    ]);
    await eventually(
      async () => await (await fetch(`${server.api}/metrics`)).text(),
      (metrics) => metrics.includes('pharos_notifications_total{result="sent"} 3\n'),
    );
  });
});
