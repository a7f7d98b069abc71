import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { takePrecedence, type Schedule } from '../../../../server/io/precedence.ts';
import { whyNoLibc } from '../../../../server/libc.ts';
import { DO } from '../answer/answerer.ts';
import { query, serve, udpClient } from '../client.ts';

/** Writes down what is asked for; the kernel of this test allows all but what is in `refused`. */
function begin(refused: readonly string[] = []): {
  asked: string[];
  rounds: (count: number, isBehind: boolean) => void;
} {
  const asked: string[] = [];
  const schedule =
    (name: string): Schedule =>
    () => {
      asked.push(name);
      return !refused.includes(name);
    };
  const endRound = takePrecedence(schedule('real time'), [schedule('nice -5'), schedule('usual')]);
  const rounds = (count: number, isBehind: boolean): void => {
    for (let round = 0; round < count; round++) endRound(isBehind);
  };
  return { asked, rounds };
}

describe('precedence', () => {
  test('real time from the start, and for as long as no flood comes', () => {
    const { asked, rounds } = begin();
    rounds(1000, false);
    for (let crowd = 0; crowd < 100; crowd++) {
      rounds(63, true);
      rounds(1, false);
    }
    expect(asked).toEqual(['nice -5', 'real time']);
  });

  test('in a flood a fair share, asked for once; after it real time again', () => {
    const { asked, rounds } = begin();
    for (let flood = 0; flood < 2; flood++) {
      asked.length = 0;
      rounds(64, true);
      expect(asked).toEqual(['nice -5']);
      rounds(100_000, true);
      expect(asked).toEqual(['nice -5']);
      rounds(100, false);
      expect(asked).toEqual(['nice -5', 'real time']);
    }
  });

  test.each([
    { refused: ['real time'], asked: ['nice -5', 'real time'] },
    { refused: ['nice -5', 'real time'], asked: ['nice -5', 'usual', 'real time'] },
    { refused: ['nice -5', 'usual'], asked: ['nice -5', 'usual'] },
  ])('what the kernel refuses is not asked for again: $refused', ({ refused, asked: expected }) => {
    const { asked, rounds } = begin(refused);
    rounds(1000, true);
    rounds(1000, false);
    expect(asked).toEqual(expected);
  });

  test.runIf(whyNoLibc() === undefined)(
    'the kernel knows a UDP thread as the rights of this process allow',
    async () => {
      await using running = await serve({ io: 'batch' });
      expect(running.server.io).toBe('batch');
      // Answers come from the loop, which begins with this.
      using client = await udpClient(running.endpoint);
      await client.ask(query(1, DO.ECHO, 'Hello'));
      const policies = readdirSync('/proc/self/task')
        .filter((thread) => readFileSync(`/proc/self/task/${thread}/comm`, 'latin1').startsWith('udp-'))
        .map((thread) => {
          // proc_pid_stat(5): field 41 is the policy; the second is a name in parentheses.
          const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'latin1');
          return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[38]);
        });
      expect(policies).toEqual([mayRunInRealTime() ? 2 : 0]);
    },
  );
});

/** capabilities(7): CAP_SYS_NICE is bit 23; getrlimit(2): RLIMIT_RTPRIO. */
function mayRunInRealTime(): boolean {
  const effective = /^CapEff:\s+([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  const limit = /^Max realtime priority\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1] ?? '0';
  return (BigInt(`0x${effective}`) & (1n << 23n)) !== 0n || limit === 'unlimited' || Number(limit) > 0;
}
