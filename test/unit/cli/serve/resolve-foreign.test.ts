/**
 * Names outside the zones: when they are asked for again, what is kept, and when an alarm is raised. Time is an
 * argument.
 */
import { expect, test } from 'vitest';
import type { Current } from '../../../../cli/serve/generation.ts';
import { createForeignKeeper, type FoundFamily, type ForeignKeeper } from '../../../../cli/serve/resolve-foreign.ts';
import { createAlarms } from '../../../../config/alarms.ts';
import type { Clock } from '../../../../health/clock.ts';
import { folderOf } from '../../../support/pharos.ts';

type Timer = { readonly at: number; readonly run: () => void };

/** A clock that stands still until `pass`. */
function createTestClock() {
  let now = 0;
  let timers: Timer[] = [];
  const clock: Clock = {
    now: () => now,
    wall: () => now,
    after: (delayMs, run) => {
      const timer = { at: now + delayMs, run };
      timers.push(timer);
      return () => (timers = timers.filter((each) => each !== timer));
    },
  };
  /** Runs what is due within this time, one turn of the event loop after the other. */
  const pass = async (ms: number): Promise<void> => {
    const end = now + ms;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const next = timers.filter(({ at }) => at <= end).sort((one, other) => one.at - other.at)[0];
      if (!next) break;
      timers = timers.filter((each) => each !== next);
      now = Math.max(now, next.at);
      next.run();
    }
    now = end;
  };
  return { clock, pass, now: () => now };
}

const found = (ttlSeconds: number, ...addresses: string[]): FoundFamily => ({ ok: true, addresses, ttlSeconds });
const NONE: FoundFamily = { ok: true, addresses: [], ttlSeconds: undefined };
const fails = (why: string): FoundFamily => ({ ok: false, why });

function rig(stateDir: string) {
  const time = createTestClock();
  const alarms = createAlarms(time.now);
  const answers = { a: NONE, aaaa: NONE };
  const asked: number[] = [];
  const updates: string[][] = [];
  const events: unknown[] = [];
  const zone = { name: 'ex', file: 'ex.yaml', aliases: [{ name: 'ex', foreign: 'lb.example.net', path: [], leadsTo: 'unresolved', watched: [] }] }; // prettier-ignore
  const current = { catalog: { zones: [zone] }, settings: { resolvers: [] } } as unknown as Current;
  const state = { current, isOk: true };
  const keeper: ForeignKeeper = createForeignKeeper({
    ...{ stateDir, alarms, clock: time.clock, current: () => state.current, mayWrite: () => true },
    update: async (keep) => {
      updates.push([...(await keep()).files]);
      return state.isOk ? { ok: true, generation: 1, warnings: [] } : { ok: false, diagnostics: [] };
    },
    events: { add: ({ from, to }) => void events.push([from, to]) },
    log: { info: () => undefined, warn: () => undefined },
    resolve: () => {
      asked.push(time.now() / 1000);
      return Promise.resolve({ ...answers });
    },
  });
  return { ...time, alarms, answers, asked, updates, events, keeper, state, codes: () => alarms.list().map(({ code, subject }) => `${code} ${subject ?? ''}`) }; // prettier-ignore
}

test('a name is asked for at its TTL, within limits, and only changes are put in force', async () => {
  using folder = folderOf({});
  const { pass, answers, asked, updates, events, keeper } = rig(folder.path);
  answers.a = found(60, '192.0.2.2', '192.0.2.1');
  answers.aaaa = found(300, '2001:db8::1');
  keeper.start();
  await pass(59_000);
  expect(asked).toEqual([0]);
  expect(updates).toEqual([['ex.yaml']]);
  expect(keeper.known().get('lb.example.net')).toMatchObject({ a: ['192.0.2.1', '192.0.2.2'], aaaa: ['2001:db8::1'], ttlSeconds: 60 }); // prettier-ignore
  // The rest of a TTL, and another order, are no change.
  answers.a = found(1, '192.0.2.1', '192.0.2.2');
  await pass(3000);
  expect(asked).toEqual([0, 60]);
  await pass(4000);
  expect(asked).toEqual([0, 60, 65]);
  expect(keeper.known().get('lb.example.net')?.ttlSeconds).toBe(60);
  expect(updates).toHaveLength(1);
  answers.a = found(86_400, '192.0.2.3');
  answers.aaaa = NONE;
  await pass(5000);
  expect(updates).toHaveLength(2);
  expect(keeper.known().get('lb.example.net')).toMatchObject({ a: ['192.0.2.3'], aaaa: [], ttlSeconds: 86_400 });
  expect(events).toEqual([[null, '192.0.2.1 192.0.2.2 2001:db8::1'], ['192.0.2.1 192.0.2.2 2001:db8::1', '192.0.2.3']]); // prettier-ignore
  await pass(3_600_000);
  expect(asked).toHaveLength(5);
  await keeper.stop();
});

test('failures keep the last addresses, are repeated less and less often, and raise an alarm after five minutes', async () => {
  using folder = folderOf({});
  const { pass, answers, asked, updates, keeper, codes, state } = rig(folder.path);
  answers.a = found(5, '192.0.2.1');
  answers.aaaa = found(5, '2001:db8::1');
  keeper.start();
  await pass(1000);
  // One type that fails keeps its addresses, and is no failure of the name.
  answers.a = found(5, '192.0.2.2');
  answers.aaaa = fails('ESERVFAIL');
  await pass(5000);
  expect(keeper.known().get('lb.example.net')).toMatchObject({ a: ['192.0.2.2'], aaaa: ['2001:db8::1'] });
  answers.a = fails('ETIMEOUT');
  const from = asked.length;
  await pass(200_000);
  const gaps = asked.slice(from).map((at, index, all) => (index === 0 ? 0 : at - (all[index - 1] ?? 0)));
  expect(gaps).toEqual([0, 5, 10, 20, 40, 60, 60]);
  expect(codes()).toEqual([]);
  // A name without any address is a failure too.
  answers.a = NONE;
  answers.aaaa = NONE;
  await pass(200_000);
  expect(codes()).toEqual(['alias_unresolved lb.example.net']);
  expect(keeper.known().get('lb.example.net')?.a).toEqual(['192.0.2.2']);
  expect(updates).toHaveLength(2);
  expect(keeper.figures()).toMatchObject([{ name: 'lb.example.net', resolved: 2 }]);
  answers.a = found(60, '192.0.2.2');
  await pass(60_000);
  expect(codes()).toEqual([]);
  // Without an alias the name is forgotten.
  answers.a = fails('ETIMEOUT');
  await pass(500_000);
  expect(codes()).toHaveLength(1);
  const { current } = state;
  state.current = { ...current, catalog: { ...current.catalog, zones: [] } };
  keeper.replaced(current, state.current);
  expect(codes()).toEqual([]);
  const last = asked.length;
  await pass(1_000_000);
  expect(asked).toHaveLength(last);
  expect(keeper.known().size).toBe(0);
  await keeper.stop();
});

test('a change that could not be put in force is tried again', async () => {
  using folder = folderOf({});
  const { pass, answers, updates, keeper, state } = rig(folder.path);
  state.isOk = false;
  answers.a = found(3600, '192.0.2.1');
  keeper.start();
  await pass(11_000);
  expect(updates).toHaveLength(3);
  state.isOk = true;
  await pass(60_000);
  expect(updates).toHaveLength(4);
  await keeper.stop();
});
