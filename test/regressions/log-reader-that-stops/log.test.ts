/**
 * Log lines were written synchronously: a reader that stopped reading stopped health checks and the API with it.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderOf } from '../../support/pharos.ts';
import { eventually, serve } from '../../support/process.ts';

const zone = (records: string): string => `zone: example.com
nameservers: [ns1]
records:
  ns1: { A: 192.0.2.53 }
${records}`;
/** Each of these is a line of the log at every reload. */
const MISTAKES = Array.from({ length: 2000 }, (_, index) => `  name-${index}: { A: 192.0.2.999 }\n`).join('');

test('health, API and reloads continue; lines are dropped, counted and reported; the end of the log is complete', async () => {
  using folder = folderOf({
    'pharos.yaml': 'listen: 127.0.0.1:0\nworkers: 1\nstatus: { listen: 127.0.0.1:0, token: secret }\n',
    'zones/example.com.yaml': zone(''),
  });
  await using server = await serve([], { cwd: folder.path });
  const alarms = async (): Promise<string[]> => {
    const { alarms: list } = (await (await fetch(`${server.api}/api/v1/status`)).json()) as {
      alarms: { code: string }[];
    };
    return list.map(({ code }) => code);
  };
  const reload = async (): Promise<number> =>
    (await fetch(`${server.api}/api/v1/reload`, { method: 'POST', headers: { authorization: 'Bearer secret' } }))
      .status;

  server.child.stdout?.pause();
  writeFileSync(join(folder.path, 'zones/example.com.yaml'), zone(MISTAKES));
  // More than the pipe, this process and the server keep.
  for (let round = 0; round < 6; round++) expect(await reload()).toBe(422);
  expect((await fetch(`${server.api}/readyz`)).status).toBe(200);
  expect(await alarms()).toContain('log_dropped');
  const metrics = await (await fetch(`${server.api}/metrics`)).text();
  const dropped = Number(/^pharos_log_lines_dropped_total (\d+)$/m.exec(metrics)?.[1]);
  expect(dropped).toBeGreaterThan(0);

  server.child.stdout?.resume();
  await server.until(new RegExp(`"dropped":${dropped},"msg":"${dropped} log lines were dropped`));
  await eventually(alarms, (codes) => !codes.includes('log_dropped'));
  const { code, stdout } = await server.stop();
  expect(code).toBe(0);
  const lines = stdout.trimEnd().split('\n');
  // No line is cut or mixed with another.
  for (const line of lines) expect(() => JSON.parse(line) as unknown, line).not.toThrow();
  expect(lines.at(-1)).toContain('"msg":"stopping"');
});
