/**
 * `pharos demo` as a new user runs it: the printed lines are run, and must answer as printed. Needs dig.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { defaultAddresses, eventually, has, PHAROS, ROOT, run, start } from '../support/process.ts';

const shell = async (line: string): Promise<string> =>
  (await run(['-c', line], { command: 'sh', cwd: ROOT })).stdout.trim();

test.skipIf(!has('dig'))(
  'the printed lines answer as printed; a failed region is out of answers in under two seconds, and returns',
  async () => {
    await using _addresses = await defaultAddresses();
    const temporary = mkdtempSync(join(tmpdir(), 'pharos-demo-test-'));
    await using demo = start(['demo'], { env: { TMPDIR: temporary, NO_COLOR: '1' } });
    await demo.until(/ends the demo/);

    // A terminal has 80 columns.
    expect(
      demo
        .stdout()
        .split('\n')
        .filter((line) => line.length > 80),
    ).toEqual([]);
    expect(demo.stdout()).toContain('Status page, for a browser: http://127.0.0.1:8053/');
    const lines = [...demo.stdout().matchAll(/^ {2}(dig .*)\n +# (.+): (\S+)$/gm)];
    const [korea] = lines;
    expect(lines.map((line) => [line[2], line[3]])).toEqual([
      ['Korea', '203.0.113.10'],
      ['the US', '198.51.100.10'],
      ['Ireland', '192.0.2.10'],
    ]);
    for (const line of lines) expect(await shell(line[1] ?? ''), line[1]).toBe(line[3]);
    const ask = (): Promise<string> => shell(korea?.[1] ?? '');

    const backend = /seoul .*curl -X POST (\S+)\/fail/.exec(demo.stdout())?.[1] ?? '';
    await fetch(`${backend}/fail`, { method: 'POST' });
    await eventually(ask, (answer) => answer === '198.51.100.10');

    const why = /Show the reason for an answer:\s+bin\/pharos (.*)/.exec(demo.stdout())?.[1] ?? '';
    const explained = await run(why.split(' '), { command: PHAROS });
    expect(explained.stdout).toMatch(/www\.example\.com A = 198\.51\.100\.10 \(virginia\)/);
    expect(explained.stdout).toMatch(/seoul +seoul +203\.0\.113\.10 +1 +down +down: HTTP 503/);
    expect(await shell(/Show what is up:\s+(.*)/.exec(demo.stdout())?.[1] ?? '')).toContain('2/3 available');

    await fetch(`${backend}/recover`, { method: 'POST' });
    await eventually(ask, (answer) => answer === '203.0.113.10');

    expect(await demo.stop()).toMatchObject({ code: 0, stderr: '' });
    expect(readdirSync(temporary).filter((name) => name.startsWith('pharos-demo-'))).toEqual([]);
    rmSync(temporary, { recursive: true });
  },
);

test('a second demo says which port is in use, and ends with 1', async () => {
  await using _addresses = await defaultAddresses();
  await using first = start(['demo']);
  await first.until(/ends the demo/);
  const second = await run(['demo']);
  expect(second.code).toBe(1);
  expect(second.stderr).toMatch(/127\.0\.0\.1:(5300|8053) \(.*\) is in use/);
  expect((await first.stop('SIGINT')).code).toBe(0);
});

test('interrupted at any moment, it leaves nothing behind', async () => {
  const temporary = mkdtempSync(join(tmpdir(), 'pharos-demo-test-'));
  for (const moment of [/^/, /is up, was unknown/, /ends the demo/]) {
    await using demo = start(['demo', '--port', '0', '--status-port', '0'], { env: { TMPDIR: temporary } });
    await demo.until(moment);
    await demo.stop('SIGINT');
    expect(readdirSync(temporary).filter((name) => name.startsWith('pharos-demo-'))).toEqual([]);
  }
  rmSync(temporary, { recursive: true });
});
