import { expect, it } from 'vitest';
import { createWrongTokens } from '../../../status/wrong-tokens.ts';

function world() {
  let now = 0;
  const waits: number[] = [];
  const lines: object[] = [];
  const tokens = createWrongTokens(
    (fields) => lines.push(fields),
    () => now,
    (ms) => {
      waits.push(ms);
      return Promise.resolve();
    },
  );
  return { tokens, waits, lines, pass: (ms: number) => (now += ms) };
}

it('each wrong token of an address waits longer, up to a limit', async () => {
  const { tokens, waits } = world();
  for (let times = 0; times < 8; times++) await tokens.refuse('192.0.2.1');
  expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
});

it('others start with the shortest wait; so does an address after a minute', async () => {
  const { tokens, waits, pass } = world();
  for (let times = 0; times < 3; times++) await tokens.refuse('192.0.2.1');
  await tokens.refuse('192.0.2.2');
  pass(60_001);
  await tokens.refuse('192.0.2.1');
  expect(waits).toEqual([100, 200, 400, 100, 100]);
});

it('a /64 of IPv6 is one address', async () => {
  const { tokens, waits } = world();
  await tokens.refuse('2001:db8::1');
  await tokens.refuse('2001:db8::2');
  await tokens.refuse('2001:db8:0:1::2');
  expect(waits).toEqual([100, 200, 100]);
});

it('counts all of them, and logs ten a minute', async () => {
  const { tokens, lines, pass } = world();
  for (let times = 0; times < 100; times++) await tokens.refuse('192.0.2.1');
  expect(lines).toHaveLength(10);
  pass(60_000);
  await tokens.refuse('192.0.2.1');
  expect(lines.at(-1)).toEqual({ peer: '192.0.2.1', lines_left_out: 90, wrong_tokens: 101 });
  expect(tokens.count()).toBe(101);
});
