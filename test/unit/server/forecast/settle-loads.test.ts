/**
 * Compares where simulate predicts the loads to settle with where simulated clients with caches take them; and a kind
 * of clients with each of them decided alone.
 */
import { describe, expect, test } from 'vitest';
import { FULL } from '../../../../health/health-table.ts';
import { healthFor } from '../../../../server/explain/explain-answer.ts';
import { createSide, landingOf, type Landing } from '../../../../server/forecast/expected-shares.ts';
import { createSample } from '../../../../server/forecast/sample-networks.ts';
import { simulateFrom } from '../../../../server/forecast/simulate-failure.ts';
import type { Traffic } from '../../../../server/forecast/traffic.ts';
import { HAS } from '../../../../steering/plan.ts';
import { writeMmdb } from '../../../support/mmdb.ts';
import { answering, type Answering } from '../../../support/pharos.ts';
import { createDice, moreThan, printedSeed, trials } from '../../../support/random.ts';
import { play, THIRDS } from '../../steering/played-load.ts';
import { DATABASE, randomWorld } from '../../steering/random-services.ts';

/** Three regions with a third of the addresses each; each client prefers its own. */
function world(vips: string, marks = '{ low: 80%, high: 95% }', korea = '[seoul, tokyo, dublin]'): Answering {
  return answering({
    ...THIRDS,
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns.example.net.]
services:
  w:
    shed: ${marks}
    vips: ${vips}
    steer:
      - geo: { KR: ${korea}, JP: [tokyo, dublin, seoul], IE: [dublin, tokyo, seoul] }
      - weighted
`,
  });
}

const THREE =
  '{ s: { region: seoul, A: 203.0.113.1 }, t: { region: tokyo, A: 203.0.113.2 }, d: { region: dublin, A: 203.0.113.3 } }';

function simulate(server: Answering, down: string, loads: readonly (number | undefined)[]): Traffic {
  const memory = server.health.states.buffer as SharedArrayBuffer;
  const live = {
    health: { memory, reasonOf: () => undefined },
    served: new Float64Array(loads.length),
    loadOf: ({ slot }: { slot: number }) => loads[slot],
  };
  const simulated = simulateFrom(server.generation, { down: [down], weigh: 'auto' }, live);
  if (!simulated.ok) throw new Error(simulated.message);
  const [traffic] = simulated.simulation.services;
  if (traffic === undefined) throw new Error('no service has such a VIP');
  return traffic;
}

const settledOf = ({ vips }: Traffic): (number | null | undefined)[] => vips.map(({ load }) => load?.settled);
const near = (...loads: readonly number[]): unknown[] => loads.map((load) => expect.closeTo(load, 1.5) as unknown);

describe('simulate follows the loads', () => {
  test('at once all are with the next region, when settled with both', () => {
    const { vips, settles } = simulate(world(THREE), '@seoul', [0.6, 0.6, 0.6]);
    expect(settles).toBe(true);
    expect(vips.map(({ load }) => load?.at_once)).toEqual([0, 1.2, 0.6]);
    expect(vips.map(({ load }) => load?.settled)).toEqual(near(0, 0.9, 0.9));
    expect(vips.map(({ after }) => after)).toEqual(near(0, 0.5, 0.5));
  });

  test.each<[title: string, loads: (number | undefined)[], settled: (number | null)[]]>([
    ['no client is shed below the marks', [0.3, 0.3, 0.3], [0, 0.6, 0.3]],
    ['no VIP is above its marks while others have room', [0.8, 0.8, 0.2], [0, 0.9, 0.9]],
    ['without room anywhere, all are over equally', [0.8, 0.8, 0.8], [0, 1.2, 1.2]],
    ['a VIP without a load takes what it gets', [0.6, undefined, 0.7], [0, null, 0.7]],
    ['clients that were shed before are shed no less', [0.5, 0.94, 0.94], [0, 1.19, 1.19]],
  ])('%s', (_title, loads, settled) => {
    const traffic = simulate(world(THREE), '@seoul', loads);
    expect(traffic.settles).toBe(true);
    settledOf(traffic).forEach((load, vip) => {
      const expected = settled[vip] ?? null;
      if (expected === null) expect(load ?? null).toBeNull();
      else expect(Math.abs((load ?? NaN) - expected), `VIP ${vip}: ${load}`).toBeLessThan(0.02);
    });
  });

  test('a load moves by capacity: half of the work of one is all that the other can take', () => {
    const vips = THREE.replace('203.0.113.1', '203.0.113.1, capacity: 400').replace('203.0.113.2', '203.0.113.2, capacity: 800').replace('203.0.113.3', '203.0.113.3, capacity: 800'); // prettier-ignore
    expect(simulate(world(vips), '@seoul', [0.6, 0.2, 0.1]).vips.map(({ load }) => load?.settled)).toEqual([
      0, 0.5, 0.1,
    ]);
  });

  test('a VIP without clients keeps its load, and gets what others lose', () => {
    const vips = '{ s: { region: seoul, A: 203.0.113.1 }, t: { region: tokyo, A: 203.0.113.2, weight: 0 } }';
    expect(settledOf(simulate(world(vips), '@seoul', [0.6, 0.05]))).toEqual([0, 0.65]);
  });

  test('a fence holds, whatever the load', () => {
    const vips = THREE.replace('} }', '}, s2: { region: seoul, A: 203.0.113.4 } }');
    const traffic = simulate(world(vips, '{}', 'seoul, fence: true'), 'w.example.com/s', [0.7, 0.1, 0.1, 0.7]);
    expect(traffic.vips.map(({ vip, load }) => [vip, load?.settled])).toEqual([
      ['s', 0],
      ['t', 0.1],
      ['d', 0.1],
      ['s2', 1.4],
    ]);
  });

  test('without loads, or without shed, there is nothing to follow', () => {
    const none = simulate(world(THREE), '@seoul', [undefined, undefined, undefined]);
    expect(none.settles).toBeNull();
    expect(none.vips.map(({ load }) => load)).toEqual([null, null, null]);
  });

  test('very narrow marks settle too, or the result says that they do not', () => {
    const { settles, vips } = simulate(world(THREE, '{ low: 80%, high: 81% }'), '@seoul', [0.6, 0.6, 0.6]);
    const loads = vips.map(({ load }) => load?.settled ?? null);
    if (settles === true) for (const load of loads.slice(1)) expect(Math.abs((load ?? NaN) - 0.9)).toBeLessThan(0.05);
    else expect(loads).toEqual([null, null, null]);
  });

  test('the served image is not changed', () => {
    const server = world(THREE);
    server.health.pressures[1] = FULL / 4;
    simulate(server, '@seoul', [0.6, 0.6, 0.6]);
    expect([...server.health.pressures]).toEqual([0, FULL / 4, 0]);
  });
});

test('loads settle where clients with caches take them, to within 0.06 of the capacity; of one of half the size of others, 0.1', async () => {
  const seed = printedSeed('settle', 1);
  const dice = createDice(seed);
  for (let round = 0; round < trials(6); round++) {
    const count = 3 + dice.below(3);
    const numbers = [...Array(count).keys()];
    const regions = numbers.map(() => ({
      load: 0.25 + dice.below(60) / 100,
      capacity: dice.pick([0.5, 1, 1, 1]),
      order: dice.sample(numbers, count),
    }));
    // By then, each VIP that began above its lower mark has settled: nothing is claimed about loads on their way.
    const ttl = 30;
    const calm = 20 * ttl;
    const at = (index: number): number => calm + index * dice.below(20);
    const fails = dice.sample(numbers, 1 + dice.below(count - 2)).map((region, index) => ({ region, at: at(index) }));
    const where = `round ${round}, seed ${seed}: ${JSON.stringify({ regions, fails })}`;
    const interval = dice.pick([2, 3]);
    const seconds = calm + 50 * ttl;
    const { loads, simulated } = await play({ regions, ttl, interval, fails, foresees: true, seconds }, dice);
    expect(simulated.settles, where).toBe(true);
    const end = loads.slice(-4 * ttl);
    const left = numbers.filter((region) => !fails.some((fail) => fail.region === region));
    const largest = Math.max(...left.map((region) => regions[region]?.capacity ?? 1));
    for (const region of numbers) {
      const mean = end.reduce((sum, all) => sum + (all[region] ?? 0), 0) / end.length;
      const told = simulated.vips[region]?.load?.settled ?? NaN;
      // Of 807 loads in 420 worlds, none was off by more than 0.034, and typically by 0.005. A small VIP beside large
      // ones that are nearly full swings, or has several settled states: of 229, five were off by 0.04 to 0.08.
      const bound = (regions[region]?.capacity ?? 1) < largest ? 0.1 : 0.06;
      expect(Math.abs(mean - told), `region ${region}: ${mean}, simulated ${told}; ${where}`).toBeLessThan(bound);
    }
  }
});

test('clients of a kind land at the same VIPs', () => {
  const seed = printedSeed('kinds of clients');
  const dice = createDice(seed);
  let compared = 0;
  for (let round = 0; round < trials(4); round++) {
    const files = { ...randomWorld(dice, 8).files, 'place.mmdb': writeMmdb(DATABASE) };
    const { generation } = answering(files);
    const side = createSide(generation, healthFor(generation, new Set(), undefined));
    const { pressures } = side.steerer.health;
    for (const slot of pressures.keys()) pressures[slot] = dice.chance(0.3) ? 0 : dice.below(3 * FULL);
    for (const [service, { name, shed }] of generation.catalog.services.entries()) {
      if (shed === undefined) continue;
      const all = createSample(side.steerer, service, 256).sort(256);
      for (let number = 0; number < 256; number++) {
        const client = Uint8Array.of(198, 18, number, dice.below(256));
        const other = all.clients.get(all.kinds[number] ?? -1);
        const landing = sorted(landingOf(side, service, HAS.A, 0, client));
        const where = `client ${number} of ${name}, round ${round}, seed ${seed}`;
        expect(other && sorted(landingOf(side, service, HAS.A, 0, other)), where).toEqual(landing);
        compared += 1;
      }
    }
  }
  expect(compared).toBeGreaterThan(moreThan(500));
});

/** `sticky` orders VIPs by client; the shares of the possible VIPs do not depend on the client. */
function sorted({ shares, stranded }: Landing): Landing {
  return { shares: shares.toSorted((a, b) => a.vip - b.vip), stranded };
}
