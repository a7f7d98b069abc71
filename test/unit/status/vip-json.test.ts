/** Kept texts of VIPs are never outdated. The oracle is JSON.stringify. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { VipHealth } from '../../../health/engine.ts';
import { typesOfVip } from '../../../status/answer-traits.ts';
import { createOctetsPool } from '../../../status/assemble-reply.ts';
import { serviceCard } from '../../../status/page/vip-table.ts';
import { VIP_MEMBERS, vipDocument } from '../../../status/vip-fields.ts';
import { writeVips } from '../../../status/vip-json.ts';
import { writeVipMetrics } from '../../../status/vip-metrics.ts';
import { vipStates, type VipState } from '../../../status/vips.ts';
import { createFakeRuntime, type FakeRuntime } from './fake-runtime.ts';

let fake: FakeRuntime;
beforeEach(async () => {
  fake = await createFakeRuntime();
});
afterEach(() => fake.stop());

const pool = createOctetsPool();
async function written(write: typeof writeVips, states: readonly VipState[]): Promise<string> {
  const octets = pool.take();
  await write(states, octets);
  const text = octets.all().toString();
  octets.release();
  return text;
}
const wanted = (states: readonly VipState[]): string => JSON.stringify(states.map(vipDocument));

type Changing = {
  [Member in keyof VipHealth]-?: (typeof VIP_MEMBERS)[Member] extends 'changes' ? Member : never;
}[keyof VipHealth];

/** The same VIP with another value for one member. */
function changed(state: VipState, member: keyof VipHealth): VipState {
  const { health } = state;
  if (!health) throw new Error(`nothing is known of ${state.info.target}`);
  const at = '2026-11-21T00:00:00.000Z';
  const others: Pick<VipHealth, Changing> & Partial<VipHealth> = {
    check: { name: 'another', kind: 'tcp' },
    address: '192.0.2.99:1',
    probed: health.probed === 'up' ? 'down' : 'up',
    effective: 'drain',
    last: { passed: false, reason: 'another', elapsedMs: 1, at },
    probes: { made: 99, failed: 98 },
    since: at,
    heldUntil: at,
    run: { passed: true, results: 99 },
    override: {
      target: state.info.target,
      state: 'drain',
      reason: undefined,
      since: at,
      until: undefined,
      by: 'operator',
    },
    weight: 99,
    fileWeight: 98,
    weightOverride: { target: state.info.target, weight: 99, reason: 'why', since: at, by: 'operator' },
    ramp: 0.5,
    load: 0.7,
    shed: 0.2,
  };
  return { ...state, health: { ...health, ...(member in others ? { [member]: others[member] } : {}) } };
}

describe('the VIPs as JSON', () => {
  test('is what JSON.stringify makes of them, also the second time', async () => {
    const states = await vipStates(fake.runtime);
    for (const part of [states, states, states.slice(0, 1), []])
      expect(await written(writeVips, part)).toBe(wanted(part));
    const more = states.map((state) => ({ ...state, served: state.served + 1234567 }));
    expect(await written(writeVips, more)).toBe(wanted(more));
  });

  test('shows a change of any member of a VIP', async () => {
    const [state] = await vipStates(fake.runtime);
    if (!state?.health) throw new Error('nothing is known of the first VIP');
    for (const member of Object.keys(VIP_MEMBERS) as (keyof VipHealth)[]) {
      await written(writeVips, [state]);
      const next = changed(state, member);
      expect([member, await written(writeVips, [next])]).toEqual([member, wanted([next])]);
      // And back again.
      expect([member, await written(writeVips, [state])]).toEqual([member, wanted([state])]);
    }
  });

  test('follows a drain at once, and what is safe to stop as others are drained', async () => {
    await written(writeVips, await vipStates(fake.runtime));
    for (const target of ['www.example.com/seoul-a', 'www.example.com/seoul-b', 'www.example.com/virginia-a']) {
      fake.runtime.health.override(target, { state: 'drain' });
      const states = await vipStates(fake.runtime);
      expect(await written(writeVips, states)).toBe(wanted(states));
    }
  });

  test('is in order for more VIPs than a turn writes', async () => {
    const [first] = await vipStates(fake.runtime);
    if (!first) throw new Error('the fake has no VIPs');
    const states = Array.from({ length: 2500 }, (_, served) => ({ ...first, served }));
    expect(await written(writeVips, states)).toBe(wanted(states));
  });
});

test('labels of metrics are escaped', async () => {
  const [first] = await vipStates(fake.runtime);
  if (!first) throw new Error('the fake has no VIPs');
  const info = { ...first.info, target: 'we\\.ird"/a' };
  expect(await written(writeVipMetrics, [{ ...first, info }])).toContain('{target="we\\\\.ird\\"/a",service=');
});

describe('records of other types', () => {
  const records = [{ type: 'TXT', data: ['"kr"', '"<b>"'] }];

  test('are in the document, the JSON and the table of the page, also without an address', async () => {
    const [first, ...rest] = await vipStates(fake.runtime);
    if (!first) throw new Error('no VIP');
    const bare: VipState = { ...first, info: { ...first.info, a: undefined, records } };
    expect(vipDocument(bare)).toMatchObject({ a: null, records: { TXT: ['"kr"', '"<b>"'] } });
    expect(vipDocument(first).records).toEqual({});
    expect(await written(writeVips, [bare, ...rest])).toBe(wanted([bare, ...rest]));
    const [service] = fake.runtime.generation().catalog.services;
    if (!service) throw new Error('no service');
    const parts = { runtime: fake.runtime, nowMs: Date.now(), query: {}, map: undefined };
    const card = serviceCard({ service, states: [bare], isNotable: false, rank: 0 }, parts);
    expect(card).toContain('TXT &quot;kr&quot;; TXT &quot;&lt;b&gt;&quot;');
  });

  test('count for the types of a VIP: a drain waits for their TTLs, and warns if no other VIP has them', () => {
    const [info] = fake.runtime.generation().catalog.vips;
    if (!info) throw new Error('no VIP');
    expect(typesOfVip({ ...info, records })).toEqual(['A', 'TXT']);
    expect(typesOfVip({ ...info, a: undefined, records })).toEqual(['TXT']);
  });
});
