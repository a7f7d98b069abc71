/**
 * An expression had 20 ms of wall-clock time, twice. On a machine where other processes had the processor meanwhile, an
 * expression that takes a hundredth of that failed its check: a healthy target went down because this node was busy.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROUNDS = 7;

const pause = (ms: number): Promise<void> => new Promise((passed) => setTimeout(passed, ms));

test('the time in which other processes had the processor does not count', async () => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('matcher.ts', import.meta.url)), String(ROUNDS)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    const begun = said.split('begins').length - 1;
    if (text.endsWith('begins\n')) void interrupt();
    // After the last result the program has ended, or soon will.
    else if (begun < ROUNDS) child.stdin.write('\n');
  });
  /** Three times, for longer than the limit: as if other processes had the processor. */
  const interrupt = async (): Promise<void> => {
    for (let times = 0; times < 3; times++) {
      child.kill('SIGSTOP');
      await pause(40);
      child.kill('SIGCONT');
      await pause(1);
    }
  };
  child.stdin.write('\n');
  await ended;
  expect(said).toBe('begins\nfound: false\n'.repeat(ROUNDS));
});
