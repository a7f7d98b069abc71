/**
 * `safe_at` was the time of the drain plus the TTL of the file in force, without regard to earlier answers and to
 * continued ones: too early after a reload that lowered the TTL, and wrong if every VIP was drained.
 */
import { afterEach, expect, test } from 'vitest';
import { configureHealth, prepare, type Current } from '../../../cli/serve/generation.ts';
import { startHealth, type Health } from '../../../health/engine.ts';
import { T } from '../../support/message.ts';
import { answering, loadPacked, NO_GEOGRAPHY } from '../../support/pharos.ts';
import { createManualClock } from '../../unit/health/support.ts';

const files = (ttl: number, steer = '[weighted]') => ({
  ...NO_GEOGRAPHY,
  'pharos.yaml': 'geo: { databases: [small.mmdb] }\nregions: { seoul: { at: KR }, dublin: { at: IE } }\n',
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1]
records: { ns1: { A: 192.0.2.53 } }
services:
  www:
    ttl: ${ttl}
    vips: { seoul: { region: seoul, A: 192.0.2.1 }, dublin: { region: dublin, A: 192.0.2.2 } }
    steer: ${steer}
`,
});
const generation = (ttl: number, steer?: string): Current => prepare(loadPacked(files(ttl, steer)), 1, [], 1);
const clock = createManualClock();
let health: Health | undefined;
afterEach(async () => {
  await health?.stop();
});

/** Drains the VIP; whole seconds until it is safe to stop, null while answers may name it. */
function drain(room: Health, target: string): number | null {
  room.override(target, { state: 'drain' });
  const safeAt = room.overrides().find((override) => override.target === target)?.safeAt;
  return safeAt === undefined ? null : Math.floor((Date.parse(safeAt) - clock.wall()) / 1000);
}

test('a reload lowers the TTL from 300 to 20, and the VIP is drained: caches hold answers for 300 s', () => {
  health = startHealth({ stateDir: undefined, clock, log: () => undefined, warn: () => undefined });
  configureHealth(health, generation(300));
  configureHealth(health, generation(20));
  expect(drain(health, 'www.example.com/seoul')).toBeGreaterThanOrEqual(300);
});

test('all are drained, and answers still name all: there is no such moment', () => {
  const steer = '[{ geo: { KR: [seoul, dublin], default: dublin } }]';
  health = startHealth({ stateDir: undefined, clock, log: () => undefined, warn: () => undefined });
  const current = generation(20, steer);
  configureHealth(health, current);
  const answer = answering(files(20, steer), { health: current.health });
  expect(drain(health, 'www.example.com/seoul')).toBe(20);
  expect(drain(health, 'www.example.com/dublin')).toBeNull();
  const response = answer.ask('www.example.com', T.A, { from: '192.0.2.7' });
  expect(response.answer.map(({ data }) => data)).toEqual(['c0000201']);
  health.override('www.example.com/seoul', undefined);
  expect(drain(health, 'www.example.com/dublin')).toBe(20);
});
