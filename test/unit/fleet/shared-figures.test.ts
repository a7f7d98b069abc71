/** Figures that nodes of a fleet share: what arrives, how much is sent, and what is ignored. */
import { expect, test } from 'vitest';
import {
  createSharedFigures,
  MESSAGES_PER_TICK,
  ROWS_PER_MESSAGE,
  type SharedFigures,
} from '../../../fleet/shared-figures.ts';

/** Two nodes that hear each other. */
function pair() {
  const loads: [string, number][] = [];
  const sent: Uint8Array[] = [];
  const b: SharedFigures = createSharedFigures({
    node: 'b',
    send: () => undefined,
    loaded: (target, load) => loads.push([target, load]),
  });
  const a = createSharedFigures({
    node: 'a',
    loaded: expect.unreachable,
    send: (message) => {
      sent.push(message);
      b.hear(message, 'a');
    },
  });
  return { a, b, loads, sent };
}

const FRESH = new Set(['a']);

test('loads, latencies and counts of a node reach the other one', () => {
  const { a, b, loads } = pair();
  const latencies: unknown[] = [];
  b.takeLatencies((source, times) => latencies.push([[...source], [...times]]));
  b.tick(FRESH);
  a.load('aa', 0.5);
  a.load('aa', 0.7);
  a.latency(Uint8Array.of(192, 0, 2, 1), new Map([['seoul', 12.5]]));
  a.count({
    served: () => [['www.example.com/a', 10], ['www.example.com/b', 0]], // prettier-ignore
    clients: () => [['www.example.com', new Map([['KR', 3], ['', 0.5]])]], // prettier-ignore
  });
  a.tick(new Set(['b']));
  expect(loads).toEqual([['aa', 0.7]]);
  expect(latencies).toEqual([[[192, 0, 2, 1], [['seoul', 12.5]]]]);
  expect([b.served('www.example.com/a'), b.served('www.example.com/b')]).toEqual([10, 0]);
  expect([...b.clients('www.example.com')]).toEqual([['KR', 3], ['', 0.5]]); // prettier-ignore
});

test('counts of a node that is not heard any more do not count', () => {
  const { a, b } = pair();
  b.tick(FRESH);
  a.count({ served: () => [['x', 10]], clients: () => [] });
  a.tick(new Set(['b']));
  expect(b.served('x')).toBe(10);
  b.tick(new Set());
  expect(b.served('x')).toBe(0);
  b.tick(FRESH);
  expect(b.served('x')).toBe(0);
});

test('a second has at most so many messages of a bounded size; the rest follows', () => {
  const { a, loads, sent } = pair();
  const count = ROWS_PER_MESSAGE * MESSAGES_PER_TICK + 7;
  for (let index = 0; index < count; index++) a.load(String(index).padStart(16, '0'), 0.5);
  a.tick(new Set(['b']));
  expect(sent).toHaveLength(MESSAGES_PER_TICK);
  expect(loads).toHaveLength(count - 7);
  a.tick(new Set(['b']));
  expect(loads).toHaveLength(count);
  expect(sent).toHaveLength(MESSAGES_PER_TICK + 1);

  const regions = Array.from({ length: 100 }, (_, region): [string, number] => [`region-${String(region)}`, 100.123]);
  for (let index = 0; index < 10_000; index++) a.latency(new Uint8Array(16), new Map(regions));
  sent.length = 0;
  for (let tick = 0; tick < 100; tick++) a.tick(new Set(['b']));
  // What waits is bounded too.
  expect(sent).toHaveLength(2000 / 50);
  expect(Math.max(...sent.map(({ length }) => length))).toBeLessThan(1024 * 1024);
});

test('messages of another version or form, and of another sender, are ignored', () => {
  const { b, loads } = pair();
  b.tick(FRESH);
  const message = { version: 1, node: 'a', loads: [['aa', 1]], served: [['x', 1]] };
  const hear = (value: unknown, from = 'a'): void => {
    b.hear(Buffer.from(JSON.stringify(value)), from);
  };
  hear({ ...message, version: 2 });
  hear(message, 'c');
  hear({ ...message, node: 'b' }, 'b');
  hear({ ...message, loads: [['aa', -1], ['aa', 'x'], 'aa', ['x'.repeat(601), 1]], served: [['x', null]] }); // prettier-ignore
  hear('text');
  b.hear(Buffer.from('{'), 'a');
  b.takeLatencies(() => expect.unreachable());
  hear({
    ...message,
    loads: [],
    served: [],
    latencies: [
      ['c0', [['seoul', 1]]],
      ['c0000201', [['seoul', -1]]],
    ],
  });
  expect([loads, b.served('x')]).toEqual([[], 0]);
  hear({ ...message, later: true });
  expect([loads, b.served('x')]).toEqual([[['aa', 1]], 1]);
});
