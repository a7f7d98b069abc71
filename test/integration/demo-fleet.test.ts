/**
 * `pharos demo --fleet` as a new user runs it: the printed commands are run in their order, and show what is printed
 * below them. Needs dig and nats-server.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  defaultAddresses,
  eventually,
  has,
  PHAROS,
  ROOT,
  run,
  start,
  type Finished,
  type Running,
} from '../support/process.ts';
import { findProgram, processTree } from '../support/server-process.ts';

/** Heartbeats, probes and reconnects on a busy machine. */
const FREE_PORTS = ['demo', '--fleet', '--port', '0', '--status-port', '0'];
const temporary = mkdtempSync(join(tmpdir(), 'pharos-demo-test-'));
const env = { TMPDIR: temporary, NO_COLOR: '1' };
afterAll(() => {
  rmSync(temporary, { recursive: true });
});

const shell = (line: string): Promise<Finished> => run(['-c', line], { command: 'sh', cwd: ROOT, env });
const leftBehind = (): readonly string[] => readdirSync(temporary).filter((name) => name.startsWith('pharos-demo-'));
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const endOf = (pids: readonly number[]): Promise<number> =>
  eventually(
    () => Promise.resolve(pids.filter(isAlive)),
    (alive) => alive.length === 0,
  );

const isPossible = has('dig') && findProgram('nats-server') !== undefined;

describe.skipIf(!isPossible)('the demo of a fleet', () => {
  let demo: Running;
  beforeAll(async () => {
    demo = start(FREE_PORTS, { env, cwd: ROOT });
    await demo.until(/ends the demo/);
  });
  afterAll(() => demo.stop('SIGKILL'));

  test('fits a terminal of 80 columns', () => {
    const intro = demo.stdout().slice(0, demo.stdout().indexOf('ends the demo'));
    expect(intro.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  test('its commands work when they are copied, in their order', async () => {
    const commands = [...demo.stdout().matchAll(/^ {2}((?:bin\/pharos|curl|dig) .*)$/gm)].map(([, line = '']) => line);
    // What each of them shows, sooner or later.
    const shown: readonly (readonly [RegExp, RegExp])[] = [
      [/^bin\/pharos fleet --all/, /3 of 3 nodes heard[^]*www\.example\.com\/seoul +up/],
      [/^curl .*\/fail\/icn1$/, /failing for icn1/],
      [/^bin\/pharos fleet/, /seoul +up +.*icn1 down \(HTTP 503/],
      [/^dig/, /^203\.0\.113\.10$/m],
      [/^curl .*\/fail\/dub1$/, /failing for icn1, dub1/],
      [/^dig/, /^198\.51\.100\.10$/m],
      [/^bin\/pharos explain/, /icn1[^]*dub1[^]*iad1|iad1[^]*icn1/],
      [/^curl .*\/recover$/, /healthy/],
      [/^bin\/pharos drain @seoul/, /On all nodes of the fleet/],
      [/^dig/, /^198\.51\.100\.10$/m],
      [/^bin\/pharos auto @seoul/, /override cleared/],
      [/^curl .*\/cut\/dub1$/, /cut off/],
      [/^bin\/pharos fleet/, /seen by dub1 \(dublin\): alone/],
      [/^curl .*\/readyz$/, /"ready":true/],
      [/^bin\/pharos drain @seoul/, /Not safe to stop: dub1 has not confirmed it/],
      [/^curl .*\/join\/dub1$/, /joined/],
      [/^bin\/pharos fleet/, /3 of 3 nodes heard/],
      [/^bin\/pharos auto @seoul/, /override cleared/],
    ];
    expect(commands).toHaveLength(shown.length);
    for (const [at, command] of commands.entries()) {
      const [form, output] = shown[at] ?? [/^$/, /^$/];
      expect(command).toMatch(form);
      const ask = async (): Promise<string> => {
        const { code, stdout, stderr } = await shell(command);
        return code === 0 ? stdout + stderr : `${command}: ${String(code)} ${stderr}`;
      };
      await eventually(ask, (text) => output.test(text));
    }
  });

  test('ends all of its processes, and leaves nothing behind', async () => {
    const pids = processTree(demo.child.pid);
    // Three nodes, NATS with its guard.
    expect(pids.length).toBeGreaterThanOrEqual(6);
    expect(await demo.stop('SIGINT')).toMatchObject({ code: 0, stderr: '' });
    await endOf(pids);
    expect(leftBehind()).toEqual([]);
  });
});

describe.skipIf(!isPossible)('the end of the demo of a fleet', () => {
  test('a killed demo takes its processes with it', async () => {
    await using demo = start(FREE_PORTS, { env });
    await demo.until(/ends the demo/);
    const pids = processTree(demo.child.pid);
    await demo.stop('SIGKILL');
    await endOf(pids);
  });

  test('ended while it starts, it leaves nothing behind', async () => {
    const before = leftBehind().length;
    await using demo = start(FREE_PORTS, { env });
    await demo.until(/Starting three nodes/);
    expect((await demo.stop('SIGTERM')).code).toBe(0);
    expect(leftBehind()).toHaveLength(before);
  });

  test('a port in use is told, before anything starts', async () => {
    await using _addresses = await defaultAddresses();
    await using first = start(['demo'], { env });
    await first.until(/ends the demo/);
    const second = await run(['demo', '--fleet'], { env });
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/127\.0\.0\.1:(5300|8053) \(.*\) is in use/);
  });

  test('ports without room for the next ones are wrong usage', async () => {
    const { code, stderr } = await run(['demo', '--fleet', '--port', '65534'], { command: PHAROS });
    expect(code).toBe(2);
    expect(stderr).toContain('at most 65533');
  });
});
