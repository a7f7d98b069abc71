/**
 * Started as root, the server stayed root: exec checks, files that zones name and every parser fault had all rights.
 * Now it switches to another user permanently, in every thread, and keeps only the right to bind low ports.
 */
import { chmodSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderOf } from '../../support/pharos.ts';
import { serve, start } from '../../support/process.ts';

const isRoot = process.platform === 'linux' && process.getuid?.() === 0;
const NOBODY = Number(/^nobody:[^:]*:(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'))?.[1]);
const files = {
  'pharos.yaml': 'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: secret }\nuser: nobody\n',
  'zones/example.com.yaml':
    'zone: example.com\nnameservers: [ns.example.net.]\nchecks: { who: { type: exec, command: [id, -u] } }\n' +
    'services: { www: { check: who, vips: { a: { A: 192.0.2.1 } } } }\n',
};

type Rights = { readonly uids: string; readonly kept: string };

/** Of every thread. */
function rightsOf(pid: number): Rights[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
    const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
    return { uids: field('Uid'), kept: field('CapPrm') };
  });
}

test.skipIf(!isRoot)('it becomes the user, takes its state along, and can still reload and take over', async () => {
  using folder = folderOf(files);
  chmodSync(folder.path, 0o755);
  await using server = await serve([], { cwd: folder.path });
  const { pid = 0 } = server.child;
  const threads = rightsOf(pid);
  expect(threads.length).toBeGreaterThan(3);
  expect(new Set(threads.map(({ uids }) => uids))).toEqual(new Set([Array(4).fill(NOBODY).join('\t')]));
  // CAP_NET_BIND_SERVICE is bit 10.
  for (const { kept } of threads) expect(BigInt(`0x${kept}`) & ~(1n << 10n)).toBe(0n);
  expect(statSync(join(folder.path, 'state')).uid).toBe(NOBODY);

  const headers = { authorization: 'Bearer secret' };
  const reload = await fetch(`${server.api}/api/v1/reload`, { method: 'POST', headers });
  expect(reload.status).toBe(200);
  const vips = await (await fetch(`${server.api}/api/v1/health`, { headers })).text();
  expect(vips).toContain(`exit status 0: ${NOBODY}`);

  await using next = await serve(['--takeover'], { cwd: folder.path });
  expect((await server.finished).code).toBe(0);
  expect(new Set(rightsOf(next.child.pid ?? 0).map(({ uids }) => uids)).size).toBe(1);
  expect((await next.stop()).code).toBe(0);
});

test.skipIf(!isRoot)('with user: root it says that it stays root', async () => {
  using folder = folderOf({ ...files, 'pharos.yaml': files['pharos.yaml'].replace('nobody', 'root') });
  await using server = await serve([], { cwd: folder.path });
  expect(server.stdout()).toMatch(/"level":"warn".*Running as root/);
  await server.stop();
});

test.skipIf(!isRoot)('an unknown user prevents the start, and check finds it', async () => {
  using folder = folderOf({ ...files, 'pharos.yaml': files['pharos.yaml'].replace('nobody', 'nobody-at-all') });
  await expect(serve([], { cwd: folder.path })).rejects.toThrow(/unknown user "nobody-at-all"/);
  const check = await start(['check'], { cwd: folder.path }).finished;
  expect([check.code, check.stdout]).toEqual([1, expect.stringContaining('pharos.yaml:3:7 error PH067: unknown user')]);
  // Only a server has a user.
  const explain = await start(['explain', 'www.example.com', '--client', '192.0.2.1'], { cwd: folder.path }).finished;
  expect(explain).toMatchObject({ code: 0, stderr: '' });
});
