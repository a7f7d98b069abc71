/**
 * The control thread itself wrote the serials: a state folder on a file system that does not respond stopped health
 * checks, the API and SIGTERM. Other writes occupied all threads that resolve names. Now one write at a time waits,
 * outside the control thread, and for a limited time.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, constants, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderOf } from '../../support/pharos.ts';
import { dig, eventually, serve } from '../../support/process.ts';

const zone = (address: string): string => `zone: example.com
nameservers: [ns.example.net.]
records: { www: { A: ${address} } }
services: { app: { vips: { a: { A: 192.0.2.10 } } } }
`;

test.concurrent(
  'health, API, reloads and SIGTERM work while nothing can be written, and an alarm says so',
  async () => {
    using folder = folderOf({
      'pharos.yaml': 'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: secret }\nuser: root\n',
      'zones/example.com.yaml': zone('192.0.2.1'),
    });
    const state = join(folder.path, 'state');
    mkdirSync(state);
    chmodSync(state, 0o700);
    // Opening a pipe for writing waits until there is a reader, like a write to a file server that does not respond.
    const hung = ['serials', 'health', 'overrides', 'weights', 'beacon'].flatMap((name) =>
      ['tmp', 'new'].map((end) => join(state, `${name}.json.${end}`)),
    );
    for (const path of hung) execFileSync('mkfifo', [path]);

    await using server = await serve([], { cwd: folder.path });
    const headers = { authorization: 'Bearer secret', 'content-type': 'application/json' };
    const alarms = async (): Promise<string[]> => {
      const { alarms: list } = (await (await fetch(`${server.api}/api/v1/status`)).json()) as {
        alarms: { code: string; message: string }[];
      };
      return list.filter(({ code }) => code === 'state_not_saved').map(({ message }) => message);
    };
    await eventually(alarms, (list) => list.some((message) => message.includes('did not respond within')));

    const body = JSON.stringify({ state: 'down', reason: 'test' });
    const put = await fetch(`${server.api}/api/v1/overrides/app.example.com/a`, { method: 'PUT', headers, body });
    expect(await put.json()).toMatchObject({ saved: false });
    writeFileSync(join(folder.path, 'zones/example.com.yaml'), zone('192.0.2.2'));
    expect((await fetch(`${server.api}/api/v1/reload`, { method: 'POST', headers })).status).toBe(200);
    expect(await dig(server.port, 'www.example.com')).toBe('192.0.2.2');

    // The waiting write ends once the pipe has a reader, and is repeated as a file.
    for (const path of hung) {
      closeSync(openSync(path, constants.O_RDWR | constants.O_NONBLOCK));
      rmSync(path);
    }
    await eventually(alarms, (list) => list.length === 0);
    expect(JSON.parse(readFileSync(join(state, 'overrides.json'), 'utf8'))).toMatchObject({
      overrides: [{ target: 'app.example.com/a', state: 'down' }],
    });
    expect((await server.stop()).code).toBe(0);
  },
);

test.concurrent('SIGTERM ends the server while a write hangs', async () => {
  using folder = folderOf({
    'pharos.yaml': 'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: secret }\nuser: root\n',
    'zones/example.com.yaml': zone('192.0.2.1'),
  });
  mkdirSync(join(folder.path, 'state'));
  for (const name of ['serials', 'health', 'overrides', 'weights', 'beacon']) {
    execFileSync('mkfifo', [join(folder.path, 'state', `${name}.json.tmp`)]);
  }
  await using server = await serve([], { cwd: folder.path });
  expect((await server.stop()).code).toBe(0);
});
