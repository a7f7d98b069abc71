/**
 * `pharos status --watch` on a real terminal, by script(1), whose octets are read as a terminal would read them.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startStatusServer, type StatusServer } from '../../status/http.ts';
import { folderOf } from '../support/pharos.ts';
import { eventually, has, PHAROS, ROOT, run } from '../support/process.ts';
import { createFakeLog, createFakeRuntime, type FakeRuntime } from '../unit/status/fake-runtime.ts';

const LISTEN = { host: '127.0.0.1', port: 0 };
const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';

let fake: FakeRuntime;
let server: StatusServer;
beforeAll(async () => {
  fake = await createFakeRuntime();
  fake.knobs.alarms = Array.from({ length: 3 }, (_, n) => ({
    code: 'service_down',
    severity: 'critical',
    subject: `s${n}.example.com`,
    message: `No VIP of s${n}.example.com is available. ${'This is a long message. '.repeat(10)}`,
    since: new Date().toISOString(),
  }));
  server = await startStatusServer(fake.runtime, { listen: LISTEN, token: undefined, log: createFakeLog().log });
});
afterAll(async () => {
  await server.close();
  await fake.stop();
});

type Terminal = {
  readonly child: ChildProcess;
  readonly written: () => string;
  /** The content of the alternate screen; undefined before it is entered and after it is left. */
  readonly screen: () => readonly string[] | undefined;
  readonly resize: (columns: number, rows: number) => Promise<void>;
  readonly finished: Promise<number | null>;
};

/** Runs a shell command on a terminal of this size. */
function onTerminal(columns: number, rows: number, command: string): Terminal {
  const line = `stty cols ${columns} rows ${rows}; tty; exec ${command}`;
  const child = spawn('script', ['-qec', line, '/dev/null'], {
    cwd: ROOT,
    env: { ...process.env, TERM: 'xterm', SHELL: '/bin/sh' },
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more));
  const finished = once(child, 'close').then(([code]) => code as number | null);
  return {
    child,
    written: () => text,
    screen: () => shownBy(text),
    resize: async (newColumns, newRows) => {
      const [, device = ''] = /^(\/dev\/\S+)/.exec(text) ?? [];
      await run(['-F', device, 'cols', String(newColumns), 'rows', String(newRows)], { command: 'stty' });
    },
    finished,
  };
}

// eslint-disable-next-line no-control-regex -- these are what is looked for
const TOKEN = /\u001b\[(\d+);1H|\u001b\[2K|\u001b\[[0-9;]*m|[^]/gu;

/** Plays the sequences that the report may contain; throws for any other, and for a line feed. */
function shownBy(text: string): readonly string[] | undefined {
  const entered = text.lastIndexOf(ENTER);
  if (entered < 0 || text.includes(LEAVE, entered)) return undefined;
  const rows: string[] = [];
  let row = 0;
  for (const [token, place] of text.slice(entered + ENTER.length).matchAll(TOKEN)) {
    if (place !== undefined) row = Number(place) - 1;
    else if (token === '\u001b[2K') rows[row] = '';
    else if (/^\p{Cc}/u.test(token) && !token.endsWith('m')) throw new Error(`unexpected ${JSON.stringify(token)}`);
    else if (!token.startsWith('\u001b')) rows[row] = `${rows[row] ?? ''}${token}`;
  }
  return rows;
}

const WATCH = (): string => `${PHAROS} status --watch --interval 60s --api 127.0.0.1:${server.endpoint.port}`;
const isWhole = (lines: readonly string[] | undefined, rows: number): boolean => lines?.length === rows;
const screenOf = async (terminal: Terminal, rows: number): Promise<readonly string[]> => {
  await eventually(() => Promise.resolve(terminal.screen()), (lines) => isWhole(lines, rows)); // prettier-ignore
  return terminal.screen() ?? [];
};

describe.skipIf(!has('script'))('pharos status --watch', () => {
  test('fits the terminal, follows its size, and restores it after Ctrl-C', async () => {
    const terminal = onTerminal(60, 10, WATCH());
    const small = await screenOf(terminal, 10);
    for (const line of small) expect(line.length).toBeLessThanOrEqual(60);
    expect(small[0]).toMatch(/^Pharos 1\.2\.3 at http:/);
    expect(small[1]).toMatch(/^1,235 queries\/s, NXDOMAIN 2\.0\/s, SERVFAIL 0\.3\/s/);
    expect(small.slice(2, 5).map((line) => line.slice(0, 18))).toEqual(Array(3).fill('ALARM service_down'));
    expect(small[2]).toMatch(/…$/);
    // The service with a VIP that is down is first, with that VIP first.
    expect(small.slice(5, 9).map((line) => line.trim().split(' ')[0])).toEqual([
      '',
      'www.example.com',
      'VIP',
      'seoul-b',
    ]);
    expect(small[9]).toBe('and 1 more service, 3 more VIPs');

    // The next report is due in a minute: what is drawn now is because of SIGWINCH.
    await terminal.resize(100, 25);
    const large = await screenOf(terminal, 25);
    expect(Math.max(...large.map((line) => line.length))).toBe(100);
    expect(large.some((line) => line.startsWith('api.example.com'))).toBe(true);

    terminal.child.stdin?.write('\u0003');
    expect(await terminal.finished).toBe(0);
    expect(terminal.written().split(ENTER)).toHaveLength(2);
    expect(terminal.written().endsWith(LEAVE)).toBe(true);
  });

  test.each(['TERM', 'HUP'])('SIG%s restores the terminal', async (signal) => {
    using folder = folderOf({});
    const file = join(folder.path, 'pid');
    const terminal = onTerminal(80, 24, `sh -c 'echo $$ > ${file}; exec ${WATCH()}'`);
    await screenOf(terminal, 24);
    await run(['-c', `kill -${signal} $(cat ${file})`], { command: 'sh' });
    expect(await terminal.finished).toBe(0);
    expect(terminal.written().endsWith(LEAVE)).toBe(true);
  });

  test('a server that stops responding is reported on the screen, below its last report', async () => {
    const gone = await startStatusServer(fake.runtime, { listen: LISTEN, token: undefined, log: createFakeLog().log });
    const terminal = onTerminal(
      80,
      24,
      `${PHAROS} status --watch --interval 100ms --api 127.0.0.1:${gone.endpoint.port}`,
    );
    await screenOf(terminal, 24);
    await gone.close();
    await eventually(
      () => Promise.resolve(terminal.screen()?.[2] ?? ''),
      (line) => line.startsWith('Showing the last report: cannot reach http://127.0.0.1:'),
    );
    terminal.child.stdin?.write('\u0003');
    expect(await terminal.finished).toBe(0);
    expect(terminal.written().endsWith(LEAVE)).toBe(true);
  });

  test('a fault of the program restores the terminal', async () => {
    using folder = folderOf({});
    const file = join(folder.path, 'fault.ts');
    writeFileSync(
      file,
      `import { openScreen } from '${ROOT}cli/watch-screen.ts';\nopenScreen(process.stdout).draw(['x']);\nthrow new Error('a fault');\n`,
    );
    const terminal = onTerminal(80, 24, `sh ${ROOT}bin/run node ${file}`);
    expect(await terminal.finished).toBe(1);
    const left = terminal.written().lastIndexOf(LEAVE);
    expect(left).toBeGreaterThan(terminal.written().indexOf(ENTER));
  });

  test('without a terminal, reports follow each other without sequences', async () => {
    const child = await run(
      [
        '-c',
        `timeout -s INT 10 ${PHAROS} status --watch --interval 100ms --api 127.0.0.1:${server.endpoint.port} | head -n 40`,
      ],
      { command: 'sh' },
    );
    expect(child.stdout.match(/^Pharos 1\.2\.3/gm)?.length).toBeGreaterThan(1);
    expect(child.stdout).not.toContain('\u001b');
  });
});
