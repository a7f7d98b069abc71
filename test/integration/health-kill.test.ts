import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHealth } from '../../health/engine.ts';
import { createDice, printedSeed } from '../support/random.ts';

let stateDir: string;
beforeAll(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'pharos-kill-'));
});
afterAll(() => {
  rmSync(stateDir, { recursive: true });
});

/** Sets one override after another, as fast as the disk allows, and prints the number of each saved one. */
const program = `
  const { startHealth } = await import(${JSON.stringify(new URL('../../health/engine.ts', import.meta.url).href)});
  const { createHealthTable } = await import(${JSON.stringify(new URL('../../health/health-table.ts', import.meta.url).href)});
  const warn = (message) => { throw new Error(message); };
  const health = startHealth({ stateDir: process.argv[1], log: () => {}, warn });
  const target = { slot: 0, target: 'www.example.com/a', host: undefined, port: undefined, weight: 1 };
  health.configure([target], createHealthTable(1), 1);
  for (let number = 1; ; number += 1) {
    await health.override('www.example.com/a', { state: 'drain', reason: String(number) }).saved;
    process.stdout.write(number + '\\n');
  }
`;

test('kill -9 at any moment: the files are complete, and everything reported as saved is saved', async () => {
  const dice = createDice(printedSeed('kill -9 of health'));
  for (let round = 0; round < 8; round += 1) {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program, stateDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const exited = once(child, 'close');
    // If it cannot start, its message is on stderr, and the signal below is missing.
    await Promise.race([once(child.stdout, 'data'), exited]);
    setTimeout(() => child.kill('SIGKILL'), dice.below(40));
    await exited;
    expect(child.signalCode).toBe('SIGKILL');

    const said = Number(output.slice(0, output.lastIndexOf('\n')).split('\n').at(-1));
    const warnings: string[] = [];
    const health = startHealth({ stateDir, log: () => undefined, warn: (message) => warnings.push(message) });
    const [override] = health.overrides();
    await health.stop();
    expect(warnings).toEqual([]);
    expect(said).toBeGreaterThan(0);
    expect([said, said + 1]).toContain(Number(override?.reason));
  }
});
