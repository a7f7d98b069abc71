import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { probeExec } from '../../../../health/checks/probe-exec.ts';
import type { ProbeResult } from '../../../../health/checks/probe.ts';
import { systemClock } from '../../../../health/clock.ts';
import { MAX_COMMANDS_AT_ONCE } from '../../../../health/limits.ts';
import { LONG_TESTS } from '../../../support/random.ts';
import { createManualClock, execCheck, lateProbe, never } from '../support.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pharos-exec-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function run(script: string, timeoutMs = 5000, port = 443, clock = systemClock): Promise<ProbeResult> {
  const spec = execCheck({ command: ['sh', '-c', script], timeoutMs });
  return probeExec({ host: '192.0.2.1', port }, spec, never, { clock });
}

/** Resolves when the file has been written; the number in it. */
async function numberIn(file: string): Promise<number> {
  for (;;) {
    const changed = new Promise((resolve) => {
      const watcher = watch(folder, () => {
        watcher.close();
        resolve(undefined);
      });
    });
    let text = '';
    try {
      text = readFileSync(file, 'utf8');
    } catch {
      // Not yet.
    }
    if (text.endsWith('\n')) return Number(text);
    await changed;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('what a command comes to', () => {
  test.each([
    ['exit 0', true, 'exit status 0'],
    ['echo fine', true, 'exit status 0: fine'],
    ['exit 7', false, 'exit status 7'],
    ['echo "no route" >&2; exit 2', false, 'exit status 2: no route'],
    ['printf "\\n\\n  one\\ttwo\\033[1m\\nthree\\n"; exit 1', false, 'exit status 1: one two [1m'],
    ['kill -SEGV $$', false, 'ended by SIGSEGV'],
    ['kill -KILL $$', false, 'ended by SIGKILL'],
    ['head -c 200000 /dev/zero | tr "\\0" x', false, 'wrote more than 64 KiB'],
    ['yes', false, 'wrote more than 64 KiB'],
    ['yes >&2', false, 'wrote more than 64 KiB'],
    ['cat', true, 'exit status 0'],
  ])('%s', async (script, passed, reason) => {
    expect(await run(script)).toMatchObject({ passed, reason });
  });

  test('trap "" TERM INT HUP; exec sleep 60', async () => {
    const result = await lateProbe(100, (clock) => run('trap "" TERM INT HUP; exec sleep 60', 100, 443, clock));
    expect(result).toMatchObject({ passed: false, reason: 'still running after 100 ms' });
  });

  test('of its first line no more than 120 characters are quoted', async () => {
    const { reason } = await run('head -c 5000 /dev/zero | tr "\\0" x');
    expect(reason).toBe(`exit status 0: ${'x'.repeat(120)}`);
  });

  test.each([
    ['no such file', ['/nonexistent/check'], 'command not found: /nonexistent/check'],
    ['nothing of that name in PATH', ['pharos-no-such-command'], 'command not found: pharos-no-such-command'],
    ['a folder', ['/tmp'], 'command may not be run: /tmp'],
  ] as const)('%s', async (_, command, reason) => {
    const result = await probeExec({ host: '192.0.2.1', port: 1 }, execCheck({ command }), never);
    expect(result).toMatchObject({ passed: false, reason });
  });

  test('a file that may not be run', async () => {
    const file = join(folder, 'plain');
    writeFileSync(file, '#!/bin/sh\n', { mode: 0o644 });
    const result = await probeExec({ host: '192.0.2.1', port: 1 }, execCheck({ command: [file] }), never);
    expect(result).toMatchObject({ passed: false, reason: `command may not be run: ${file}` });
  });
});

describe('what a command is given', () => {
  test('PATH, where to look, how long it has, and nothing else', async () => {
    process.env['PHAROS_TOKEN'] = 'secret';
    const file = join(folder, 'environment');
    try {
      expect(await probeExec({ host: '2001:db8::1', port: 443 }, execCheck({ command: ['sh', '-c', `env > ${file}`] }), never)).toMatchObject({ passed: true }); // prettier-ignore
    } finally {
      delete process.env['PHAROS_TOKEN'];
    }
    // These the shell sets itself.
    const lines = readFileSync(file, 'utf8').split('\n').filter((line) => !/^(?:$|PWD=|OLDPWD=|SHLVL=|_=)/.test(line)); // prettier-ignore
    expect(lines.sort()).toEqual([
      `PATH=${process.env['PATH'] ?? ''}`,
      'PHAROS_ADDRESS=2001:db8::1',
      'PHAROS_PORT=443',
      'PHAROS_TIMEOUT_MS=2000',
    ]);
  });

  test('no port where there is none', async () => {
    expect(await run('test -z "${PHAROS_PORT+set}"', 5000, 0)).toMatchObject({ passed: true });
  });

  test('the root as its folder', async () => {
    expect(await run('pwd')).toMatchObject({ reason: 'exit status 0: /' });
  });

  test('nothing to read, and no file that this process has opened', async () => {
    const file = openSync(import.meta.filename, 'r');
    try {
      const { reason } = await run('cat; ls /proc/self/fd | tr "\\n" " "');
      expect(reason).toMatch(/^exit status 0: 0 1 2 /);
      expect(reason.split(' ')).not.toContain(String(file));
    } finally {
      closeSync(file);
    }
  });

  test('its arguments as they are', async () => {
    const command = ['printf', '%s|', '$HOME', '*', 'a b', ''] as const;
    const result = await probeExec({ host: '192.0.2.1', port: 1 }, execCheck({ command }), never);
    expect(result).toMatchObject({ reason: 'exit status 0: $HOME|*|a b||' });
  });
});

describe('nothing of it is left', () => {
  test.each([
    ['at the deadline', (file: string) => `sleep 60 & echo $! > ${file}; wait`, false],
    ['when it ignores signals', (file: string) => `trap "" TERM; sleep 60 & echo $! > ${file}; sleep 60`, false],
    ['when it ended and left something running', (file: string) => `sleep 60 & echo $! > ${file}`, true],
    ['when that was cut off from its output', (file: string) => `sleep 60 > /dev/null 2>&1 & echo $! > ${file}`, true],
  ])('%s', async (title, script, passed) => {
    const file = join(folder, title.replaceAll(' ', '-'));
    const written = numberIn(file);
    const start = (clock = systemClock) => run(script(file), 5000, 443, clock);
    const result = await (passed ? start() : lateProbe(5000, start, written));
    expect(result.passed).toBe(passed);
    const pid = await written;
    // An orphan is waited for by init, which takes its time.
    await expect.poll(() => isAlive(pid) && !isZombie(pid), { interval: 5 }).toBe(false);
  });

  test('when the probe is cancelled', async () => {
    const file = join(folder, 'cancelled');
    const controller = new AbortController();
    const spec = execCheck({ command: ['sh', '-c', `sleep 60 & echo $! > ${file}; wait`], timeoutMs: 30_000 });
    const running = probeExec({ host: '192.0.2.1', port: 1 }, spec, controller.signal);
    const pid = await numberIn(file);
    expect(isAlive(pid)).toBe(true);
    controller.abort();
    expect(await running).toMatchObject({ passed: false, reason: 'probe cancelled' });
    await expect.poll(() => isAlive(pid) && !isZombie(pid), { interval: 5 }).toBe(false);
  });
});

function isZombie(pid: number): boolean {
  try {
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/s, ''));
  } catch {
    return true;
  }
}

test.runIf(LONG_TESTS)(
  `${MAX_COMMANDS_AT_ONCE} commands run at the same time, and the time of a waiting one has not begun`,
  async () => {
    const timeoutMs = 60_000;
    let ended = 0;
    const processes = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'ProcessWrap').length;
    const clock = createManualClock();
    const hung = Array.from({ length: 3 * MAX_COMMANDS_AT_ONCE }, () =>
      run('exec sleep 60', timeoutMs, 443, clock).finally(() => (ended += 1)),
    );
    const last = run('exit 0', timeoutMs, 443, clock);
    for (const turn of [1, 2, 3]) {
      await expect.poll(processes).toBe(MAX_COMMANDS_AT_ONCE);
      expect(ended).toBe((turn - 1) * MAX_COMMANDS_AT_ONCE);
      await clock.advance(timeoutMs);
      await expect.poll(() => ended).toBe(turn * MAX_COMMANDS_AT_ONCE);
    }
    expect(new Set((await Promise.all(hung)).map(({ reason }) => reason))).toEqual(
      new Set(['still running after 60 s']),
    );
    expect(await last).toMatchObject({ passed: true });
  },
);
