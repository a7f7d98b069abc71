/** Whether a service is healthy, and what clients get if it is not. */
import { expect, test } from 'vitest';
import { FORCED, PROBED } from '../../../../health/health-table.ts';
import { createServiceJudge } from '../../../../server/forecast/service-verdict.ts';
import { answering, NO_GEOGRAPHY } from '../../../support/pharos.ts';

/** `a` and `b` have A, `c` has AAAA alone; `seoul` has another VIP beside `a`, and needs half of its weight. */
const VIPS = `    vips:
      a: { A: 192.0.2.1 }
      b: { A: 192.0.2.2 }
`;
const BOTH = `    vips:
      a: { A: 192.0.2.1 }
      c: { AAAA: '2001:db8::1' }
`;
const REGIONS = `    vips:
      a: { A: 192.0.2.1, region: seoul }
      b: { A: 192.0.2.2, region: seoul }
      c: { A: 192.0.2.3, region: seoul }
      d: { A: 192.0.2.4, region: dublin }
`;
const MANY = `    vips:\n${Array.from({ length: 7 }, (_, n) => `      v${n}: { A: 192.0.2.${n + 1} }\n`).join('')}`;

type Words = Readonly<
  Record<string, 'up' | 'down' | 'unknown' | 'drain' | 'forced down' | 'forced up' | 'forced up, down'>
>;
const WORDS = {
  up: { probed: PROBED.UP },
  down: { probed: PROBED.DOWN },
  unknown: {},
  drain: { probed: PROBED.UP, forced: FORCED.DRAIN },
  'forced down': { probed: PROBED.UP, forced: FORCED.DOWN },
  'forced up': { probed: PROBED.UP, forced: FORCED.UP },
  'forced up, down': { probed: PROBED.DOWN, forced: FORCED.UP },
} as const;

function verdict(vips: string, words: Words, more = '', regions = '{}'): unknown {
  const made = answering({
    ...NO_GEOGRAPHY,
    'pharos.yaml': `${NO_GEOGRAPHY['pharos.yaml'] as string}regions: ${regions}\n`,
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns]
records: { ns: { A: 192.0.2.53 } }
services:
  www:
    ttl: 20
${more}${vips}`,
  });
  for (const [name, word] of Object.entries(words)) made.set(`www.example.com/${name}`, WORDS[word]);
  return createServiceJudge(made.generation, made.health.states.buffer as SharedArrayBuffer)(0);
}

const well = { kind: 'well' };
const degraded = (message: string): unknown => ({ kind: 'degraded', message });
const down = (message: string): unknown => ({ kind: 'down', message });
const SERVE_ALL = 'Clients get all VIPs, as if they were up (when_all_down: serve_all).';

test.each<[title: string, words: Words, verdict: unknown]>([
  ['all up', { a: 'up', b: 'up' }, well],
  ['not known yet', { a: 'unknown', b: 'unknown' }, well],
  ['one down', { a: 'up', b: 'down' }, degraded('1 of 2 VIPs of www.example.com are available (down: b).')],
  ['a drained VIP is intended', { a: 'up', b: 'drain' }, well],
  [
    'one forced down',
    { a: 'up', b: 'forced down' },
    degraded('1 of 2 VIPs of www.example.com are available (forced down: b).'),
  ],
  ['one forced up, and up', { a: 'up', b: 'forced up' }, well],
  [
    'one forced up while its probes fail',
    { a: 'up', b: 'forced up, down' },
    degraded('2 of 2 VIPs of www.example.com are available (forced up while its probes fail: b).'),
  ],
  ['all down', { a: 'down', b: 'down' }, down(`No VIP of www.example.com is available (down: a, b). ${SERVE_ALL}`)],
  [
    'one down, one drained',
    { a: 'down', b: 'drain' },
    down(
      'No VIP of www.example.com is available (down: a; drained: b). Clients get the VIPs that are only down, as if they were up (when_all_down: serve_all).',
    ),
  ],
  [
    'all drained',
    { a: 'drain', b: 'drain' },
    down(
      'No VIP of www.example.com is available (drained: a, b). Clients get all VIPs, even those drained or forced down (when_all_down: serve_all).',
    ),
  ],
])('%s', (_title, words, expected) => {
  expect(verdict(VIPS, words)).toEqual(expected);
});

test.each<[title: string, more: string, vips: string, words: Words, verdict: unknown]>([
  [
    'when_all_down: none',
    '    when_all_down: none\n',
    VIPS,
    { a: 'down', b: 'down' },
    down('No VIP of www.example.com is available (down: a, b). Clients get no data (when_all_down: none).'),
  ],
  [
    'a static answer',
    '    when_all_down: { A: 192.0.2.99 }\n',
    VIPS,
    { a: 'down', b: 'down' },
    down('No VIP of www.example.com is available (down: a, b). Clients get the static answer of when_all_down.'),
  ],
  [
    'a static answer of one type',
    '    when_all_down: { A: 192.0.2.99 }\n',
    BOTH,
    { a: 'down', c: 'down' },
    down(
      'No VIP of www.example.com is available (down: a, c). Clients get the static answer of when_all_down; for AAAA they get no data.',
    ),
  ],
  [
    'one type has none',
    '',
    BOTH,
    { a: 'up', c: 'down' },
    down(`No VIP of www.example.com with AAAA is available (down: c). ${SERVE_ALL}`),
  ],
  [
    'many are not all named',
    '',
    MANY,
    { v0: 'up', v1: 'down', v2: 'down', v3: 'down', v4: 'down', v5: 'down', v6: 'down' },
    degraded('1 of 7 VIPs of www.example.com are available (down: v1, v2, v3, v4, v5 and 1 more).'),
  ],
])('%s', (_title, more, vips, words, expected) => {
  expect(verdict(vips, words, more)).toEqual(expected);
});

const HALF = '{ seoul: { at: "37.57,126.98", min_healthy: 50% }, dublin: { at: "53.35,-6.26" } }';
test.each<[title: string, words: Words, verdict: unknown]>([
  [
    'above min_healthy',
    { a: 'up', b: 'up', c: 'down', d: 'up' },
    degraded('3 of 4 VIPs of www.example.com are available (down: c).'),
  ],
  [
    'below min_healthy',
    { a: 'up', b: 'down', c: 'down', d: 'up' },
    degraded(
      '2 of 4 VIPs of www.example.com are available (down: b, c). A region with less than its min_healthy gets no clients.',
    ),
  ],
  [
    'the rest is held back by min_healthy',
    { a: 'up', b: 'down', c: 'down', d: 'down' },
    down(`No VIP of www.example.com is available (held back by min_healthy: a; down: b, c, d). ${SERVE_ALL}`),
  ],
])('%s', (_title, words, expected) => {
  expect(verdict(REGIONS, words, '', HALF)).toEqual(expected);
});
