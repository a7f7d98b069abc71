import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { folderOf } from '../support/pharos.ts';
import { has, ROOT } from '../support/process.ts';

const script = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const environment = { PATH: process.env.PATH, HOME: process.env.HOME };

/** The command as a process, as bin/pharos starts it. */
function pharos(...args: string[]): { code: number | null; out: string; error: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
    encoding: 'utf8',
    env: environment,
  });
  return { code: status, out: stdout, error: stderr };
}

describe('exit codes: 0 done, 2 wrong usage; help to stdout, errors to stderr', () => {
  it.each<[title: string, args: string[], code: number, out: RegExp, error: RegExp]>([
    ['--version', ['--version'], 0, new RegExp(`^${version.replaceAll('.', '\\.')}\n$`), /^$/],
    ['--help lists commands and examples', ['--help'], 0, /serve[^]*demo[^]*check[^]*explain[^]*Examples:/, /^$/],
    ['no arguments', [], 2, /^$/, /Usage: pharos/],
    ['an unknown command names the nearest', ['chekc'], 2, /^$/, /unknown command 'chekc'[^]*check/],
    ['an unknown option names the nearest', ['check', '--jsno'], 2, /^$/, /unknown option '--jsno'[^]*--json/],
    ['a missing argument', ['explain'], 2, /^$/, /missing required argument 'name'/],
    ['an option without its value', ['explain', 'a', '--client'], 2, /^$/, /argument missing/],
    ['too many arguments', ['check', 'a', 'b'], 2, /^$/, /too many arguments/],
    [
      'an invalid weight',
      ['weight', 'a/b', 'ten'],
      2,
      /^$/,
      /invalid weight "ten"; use 0 \(standby\) to 65535, or auto/,
    ],
    ['a drain of nothing', ['drain'], 2, /^$/, /missing required argument 'target'/],
    ['too short an interval of --watch', ['status', '--watch', '--interval', '1'], 2, /^$/, /at least 100ms/],
    [
      'an address without a server',
      ['reload', '--api', '127.0.0.1:9'],
      1,
      /^$/,
      /cannot reach http:\/\/127\.0\.0\.1:9/,
    ],
    [
      'explain without a client',
      ['explain', 'www.example.com'],
      2,
      /^$/,
      /Missing --client, --country, --at or --resolver/,
    ],
    [
      '--api that is not a URL',
      ['explain', 'a', '--client', '::1', '--api', 'ftp://x'],
      2,
      /^$/,
      /not an http or https URL/,
    ],
    ['--api and --config', ['explain', 'a', '--api', 'x', '--config', 'y'], 2, /^$/, /omit --config/],
  ])('%s', (_title, args, code, out, error) => {
    const run = pharos(...args);
    expect(run).toMatchObject({ code });
    expect(run.out).toMatch(out);
    expect(run.error).toMatch(error);
  });

  it.each(
    ['serve', 'demo', 'check', 'explain', 'simulate', 'diff', 'status', 'drain'].concat([
      'up',
      'down',
      'auto',
      'weight',
      'reload',
      'import',
      'events',
      'overrides',
      'fleet',
      'compare',
      'completion',
      'version',
    ]),
  )('%s --help has an example', (command) => {
    const run = pharos(command, '--help');
    expect(run).toMatchObject({ code: 0, error: '' });
    expect(run.out).toMatch(new RegExp(`Examples?:\n {2}pharos ${command}`));
  });
});

describe.skipIf(!has('script'))('progress of a command that takes longer than a second', () => {
  // The command's own thread is busy all the time, as with a large zone: until the terminal shows a line, or not at
  // all.
  const busy = `
    const { readFileSync } = await import('node:fs');
    const { startProgress } = await import(${JSON.stringify(`${ROOT}cli/progress.ts`)});
    const { terminal } = await import(${JSON.stringify(`${ROOT}cli/output.ts`)});
    const output = terminal();
    const end = performance.now() + Number(process.env.MOST_MS ?? 30_000);
    const work = (line) => { while (process.env.BUSY && performance.now() < end && !readFileSync('screen').includes(line)); };
    {
      using progress = startProgress(['Reading the files', 'Simulating'], output);
      work('Reading the files (1 of 2): 1 s');
      progress.next();
      work('Simulating (2 of 2): ');
      output.error('a warning');
    }
    output.out('the report');`;
  const onTerminal = (isBusy: boolean): string => {
    using folder = folderOf({ 'busy.mjs': busy });
    const env = { ...process.env, BUSY: isBusy ? '1' : '', SHELL: '/bin/sh' };
    const args = ['-qefc', `exec ${process.execPath} busy.mjs`, 'screen'];
    return spawnSync('script', args, { cwd: folder.path, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
      .stdout;
  };
  const ERASE = '\r\u001b[2K';

  it('is a line with the step and the time, erased before other output', () => {
    const text = onTerminal(true);
    expect(text).toContain(`${ERASE}Reading the files (1 of 2): 1 s${ERASE}`);
    const lines = text.split(ERASE);
    expect(lines.some((line) => /^Simulating \(2 of 2\): \d+ s$/.test(line))).toBe(true);
    expect(lines.some((line) => line.startsWith('a warning\r\n'))).toBe(true);
    expect(lines.at(-1)).toMatch(/^(?:a warning\r\n)?the report\r\n$/);
  });

  it('a command of less than a second writes none', () => {
    expect(onTerminal(false)).toBe('a warning\r\nthe report\r\n');
  });

  it('nothing is written if stderr is not a terminal', () => {
    using folder = folderOf({ 'busy.mjs': busy, screen: 'Reading the files (1 of 2): 1 s Simulating (2 of 2): ' });
    const env = { ...process.env, BUSY: '1' };
    const { stdout, stderr } = spawnSync(process.execPath, ['busy.mjs'], { cwd: folder.path, env, encoding: 'utf8' });
    expect({ stdout, stderr }).toEqual({ stdout: 'the report\n', stderr: 'a warning\n' });
  });
});
