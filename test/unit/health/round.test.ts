import { expect, test } from 'vitest';
import type { ProbeResult } from '../../../health/checks/probe.ts';
import { Round, type Attempt } from '../../../health/round.ts';
import { createManualClock } from './support.ts';

/** The n-th probe answers after `answers[n]`: `+` or `-` and ms; one that is not listed never does. */
async function run(answers: readonly string[], most: number, ms = 10_000) {
  const clock = createManualClock();
  const beganMs = clock.now();
  const lines: string[] = [];
  const now = (): number => clock.now() - beganMs;
  let asked = 0;
  let failed = 0;
  let ended: number | undefined;
  let ends = 0;
  const open = new Set<Attempt>();
  class TestRound extends Round {
    doubtMs = () => 300;
    fastMs = () => 200;
    wantsMore = (underWay: number) => most - failed - underWay > 0;
    keep = () => undefined;
    fault = () => undefined;

    ask(attempt: Attempt): void {
      const number = asked;
      asked += 1;
      lines.push(`${now()} ask ${number}`);
      const answer = answers[number];
      const end = (passed: boolean, reason: string): void => {
        if (!open.delete(attempt)) return;
        attempt.done({ passed, reason, elapsedMs: 0 });
      };
      open.add(attempt);
      attempt.addEventListener('abort', () => {
        lines.push(`${now()} cancel ${number}`);
        end(false, 'cancelled');
      });
      if (answer !== undefined) clock.after(Number(answer.slice(1)), () => { end(answer.startsWith('+'), ''); }); // prettier-ignore
    }

    conclude(attempt: Attempt, result: ProbeResult): void {
      this.hear(attempt, result);
    }

    take({ passed }: ProbeResult, startedMs: number): void {
      if (!passed) failed += 1;
      lines.push(`${now()} ${passed ? 'passed' : 'failed'}, of ${startedMs - beganMs}`);
    }

    end(): void {
      ends += 1;
      ended = now();
    }
  }
  const round = new TestRound(clock);
  round.start();
  await clock.advance(ms);
  if (ended === undefined) {
    round.cancel();
    return { lines, ended: 'cancelled', ends, timers: clock.timers() };
  }
  return { lines, ended, ends, timers: clock.timers() };
}

test.each([
  ['an answer in time is all there is', ['+250'], 3, ['0 ask 0', '250 passed, of 0'], 250],
  ['a failure in time too: the next turn is fast', ['-250'], 3, ['0 ask 0', '250 failed, of 0'], 250],
  [
    'silence: the failures that are needed come one `fast` after the other, after one timeout',
    ['-2000', '-2000', '-2000', '-2000'],
    3,
    ['0 ask 0', '300 ask 1', '500 ask 2', '2000 failed, of 0', '2300 failed, of 300', '2500 failed, of 500'],
    2500,
  ],
  ['one failure takes it down: no others are asked', ['-2000'], 1, ['0 ask 0', '2000 failed, of 0'], 2000],
  [
    'a slow answer passes, and the others are cancelled',
    ['+600'],
    3,
    ['0 ask 0', '300 ask 1', '500 ask 2', '600 passed, of 0', '600 cancel 1', '600 cancel 2'],
    600,
  ],
  [
    'what was lost once is asked again, and passes',
    ['-2000', '+50'],
    3,
    ['0 ask 0', '300 ask 1', '350 passed, of 300', '350 cancel 0'],
    350,
  ],
  [
    'a failure beside does not end the wait',
    ['+700', '-10'],
    2,
    ['0 ask 0', '300 ask 1', '310 failed, of 300', '700 passed, of 0'],
    700,
  ],
  ['cancelled', [], 2, ['0 ask 0', '300 ask 1', '10000 cancel 0', '10000 cancel 1'], 'cancelled'],
] as const)('%s', async (_, answers, most, lines, ended) => {
  const seen = await run(answers, most);
  expect([...seen.lines].sort()).toEqual([...lines].sort());
  expect([seen.ended, seen.ends]).toEqual([ended, 1]);
});

test('leaves no timer', async () => {
  for (const answers of [['+250'], ['-2000', '-2000', '-2000'], ['+600'], ['-2000', '+50']]) {
    expect((await run(answers, 3)).timers).toBeLessThanOrEqual(answers.length + 2);
  }
});
