/**
 * A fleet of hundreds over hours: what must hold whatever fails, and that the simulation by events agrees with one that
 * executes everything on real members.
 */
import { describe, expect, test } from 'vitest';
import { HEARTBEAT_MS } from '../../../fleet/member.ts';
import { runExecuted } from '../../support/fleet-executed.ts';
import { messageSizes, trafficOf } from '../../support/fleet-messages.ts';
import { createFleetNetwork, memberTarget } from '../../support/fleet-network.ts';
import { DEFAULT_TIMING } from '../../support/fleet-probing.ts';
import { runWeek } from '../../support/fleet-week.ts';
import { createWorld, type Fault, type WorldSize } from '../../support/fleet-world.ts';
import { LONG_TESTS, createDice, moreThan, printedSeed, type Dice } from '../../support/random.ts';

const seed = printedSeed('simulated fleets');

function fault(kind: Fault['kind'], fromSeconds: number, toSeconds: number, at: Partial<Fault>): Fault {
  const nothing = { target: -1, site: -1, node: -1, regions: [] };
  return { ...nothing, kind, startMs: fromSeconds * 1000, endMs: toSeconds * 1000, ...at };
}

/** Faults one after the other, with time to recover in between. */
function inTurn(count: number, seconds: number, draw: (at: number) => [Fault['kind'], Partial<Fault>]): Fault[] {
  return Array.from({ length: count }, (_, at) => {
    const [kind, place] = draw(at);
    return fault(kind, at * (seconds + 60) + 5, at * (seconds + 60) + seconds + 5, place);
  });
}

const some = (dice: Dice, of: number, count: number): number[] =>
  dice.sample(
    Array.from({ length: of }, (_, at) => at),
    count,
  );

describe('200 nodes in 20 regions', () => {
  /** Each kind of fault five times, or twice. */
  const rounds = LONG_TESTS ? 5 : 2;
  const size: WorldSize = { nodes: 200, regions: 20, targets: 60, sites: 20, durationMs: rounds * 1_440_000 };

  test('no fault of one node, and no path that fails for a minority of regions, takes a target down', () => {
    const dice = createDice(seed);
    const kinds = ['restart', 'egress', 'uplink', 'cut', 'path', 'path', 'lossy'] as const;
    const faults = inTurn(rounds * kinds.length, 140, (at) => {
      const kind = kinds[at % kinds.length] ?? 'path';
      const node = dice.below(size.nodes);
      if (kind === 'path') return [kind, { site: dice.below(size.sites), regions: some(dice, 20, 1 + dice.below(9)) }];
      if (kind === 'lossy') return [kind, { site: dice.below(size.sites), regions: some(dice, 20, 9) }];
      return [kind, { node }];
    });
    const { fleet, alone } = runWeek({ world: createWorld(size, dice, faults), dice });
    expect(fleet).toMatchObject({ falseFailovers: 0, downAtEnd: 0 });
    // The same faults are seen by nodes that decide alone.
    expect(alone.falseFailovers).toBeGreaterThan(moreThan(0));
  });

  test('each failure is noticed in all regions, and its end too', () => {
    const dice = createDice(seed);
    const each = LONG_TESTS ? 12 : 4;
    const faults = inTurn(3 * each, 140, (at) => {
      if (at % 3 === 0) return ['crash', { target: dice.below(size.targets) }];
      if (at % 3 === 1) return ['site', { site: dice.below(size.sites) }];
      return ['path', { site: dice.below(size.sites), regions: some(dice, 20, 11 + dice.below(9)) }];
    });
    const { fleet, share } = runWeek({ world: createWorld(size, dice, faults), dice });
    // A crash is one target; a site has three.
    expect(fleet).toMatchObject({ failures: each + 2 * each * 3, missed: 0, falseFailovers: 0, downAtEnd: 0 });
    // An interval, two times until the threshold, a heartbeat for a vote that was lost.
    expect(fleet.lastMs.worstMs).toBeLessThan(20_000);
    expect(fleet.recoveredMs.worstMs).toBeLessThan(20_000);
    // 18 % of the probers suffice to keep a target up that most regions do not reach.
    expect(share.missedEverywhere).toBeGreaterThan(moreThan(0));
  });

  test('after a split heals, all regions agree', () => {
    const dice = createDice(seed);
    const small: WorldSize = { ...size, targets: 20, durationMs: 1_800_000 };
    const splits = inTurn(4, 390, () => ['split', { regions: some(dice, 20, 1 + dice.below(10)) }]);
    const failing = inTurn(4, 390, () => ['hang', { target: dice.below(small.targets) }]);
    const { fleet } = runWeek({ world: createWorld(small, dice, [...splits, ...failing]), dice });
    expect(fleet.apart).toBeGreaterThan(0);
    expect(fleet.downAtEnd).toBe(0);
  });
});

describe('the simulation by events', () => {
  const size: WorldSize = { nodes: 24, regions: 4, targets: 48, sites: 4, durationMs: 600_000 };
  const faults = [
    fault('crash', 5, 65, { target: 3 }),
    fault('hang', 10, 80, { target: 9 }),
    fault('path', 90, 150, { site: 1, regions: [2] }),
    fault('path', 160, 230, { site: 2, regions: [0, 1] }),
    fault('path', 240, 320, { site: 2, regions: [0, 1, 2] }),
    fault('site', 330, 400, { site: 0 }),
    fault('restart', 410, 440, { node: 7 }),
    fault('egress', 450, 500, { node: 5 }),
    fault('cut', 510, 540, { node: 6 }),
    fault('crash', 512, 590, { target: 11 }),
  ];

  // It judges the simulation, with 600 s of every message: seconds of CPU time, for `npm test` alone.
  test.runIf(LONG_TESTS)('agrees with real members that execute each probe and each message', () => {
    const events = runWeek({ world: createWorld(size, createDice(seed), faults), dice: createDice(seed) });
    const executed = runExecuted({ world: createWorld(size, createDice(seed), faults), dice: createDice(seed) });
    const decided = { falseFailovers: 0, failures: 27, missed: 0, downAtEnd: 0 };
    expect(events.fleet).toMatchObject(decided);
    expect(executed.fleet).toMatchObject(decided);
    expect(events.probers).toBe(executed.probers);
    // Random phases of probes: medians differ by less than two steps of `fast`.
    for (const time of ['firstMs', 'lastMs', 'recoveredMs'] as const) {
      expect(Math.abs(events.fleet[time].medianMs - executed.fleet[time].medianMs), time).toBeLessThan(2000);
    }
    const regular = (events.probers * size.targets * size.durationMs) / DEFAULT_TIMING.intervalMs;
    const probes = regular + events.probesInDoubt + events.probesComputed;
    expect(probes / executed.probes).toBeCloseTo(1, 1);
    const heads = { node: 'node10', region: 'region1', run: '123456789', config: 'c', version: '1' };
    const { messages, octets } = trafficOf(size, events, messageSizes(size.targets, heads));
    expect(Math.abs(messages / executed.messages - 1)).toBeLessThan(0.03);
    expect(Math.abs(octets / executed.octets - 1)).toBeLessThan(0.03);
  });
});

describe('probers of 20 nodes and 1,000 targets', () => {
  const dice = createDice(seed);
  const digests = Array.from({ length: 1000 }, () => dice.below(0xffff_ffff).toString(16).padStart(8, '0').repeat(2));

  test.runIf(LONG_TESTS)('each target is probed as often as three nodes per region would', () => {
    const targets = digests.map((digest) => memberTarget(digest));
    const network = createFleetNetwork(dice);
    for (let at = 0; at < 20; at++) network.join(`n${String(at)}`, `r${String(at % 2)}`, targets);
    // The first probes pass, so that nodes that are not chosen may stop.
    for (let second = 0; second < 6; second++) {
      for (const { member } of network.nodes) {
        for (const digest of digests) if (member.isProbing(digest)) member.vote(digest, 1, '');
      }
      network.advance(HEARTBEAT_MS);
    }
    const probed = network.nodes.map(({ member }) => digests.filter((digest) => member.isProbing(digest)).length);
    expect(probed.reduce((sum, count) => sum + count, 0)).toBe(2 * 3 * digests.length);
  });

  test('a lost prober is replaced three heartbeats after it was heard last', () => {
    const targets = digests.map((digest) => memberTarget(digest, { probers: 1 }));
    const started = new Map<string, number>();
    const network = createFleetNetwork(dice, {
      probing: (_, digest, isProbing) => {
        if (isProbing) started.set(digest, network.now());
      },
    });
    for (let at = 0; at < 10; at++) network.join(`n${String(at)}`, 'r', targets);
    for (let second = 0; second < 6; second++) {
      for (const { member } of network.nodes) {
        for (const digest of digests) if (member.isProbing(digest)) member.vote(digest, 1, '');
      }
      network.advance(HEARTBEAT_MS);
    }
    const lost = dice.pick(network.nodes);
    const orphans = digests.filter((digest) => lost.member.isProbing(digest));
    expect(orphans.length).toBeGreaterThan(0);
    const lostMs = network.now();
    network.kill(lost);
    network.advance(6 * HEARTBEAT_MS);
    // Its last heartbeat may still be on its way.
    for (const digest of orphans) {
      const afterMs = (started.get(digest) ?? Infinity) - lostMs;
      expect(afterMs).toBeGreaterThan(0);
      expect(afterMs).toBeLessThanOrEqual(3 * HEARTBEAT_MS + 100);
    }
  });
});
