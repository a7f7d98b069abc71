/**
 * Probabilities and hashes over a million decisions of the function that answers packets: no VIP is starved or
 * favoured, and sticky clients stay.
 */
import { describe, expect, test } from 'vitest';
import { FORCED, PROBED, RAMP_UNIT } from '../../../health/health-table.ts';
import { weightWords } from '../../../health/ramp.ts';
import { steer } from '../../../steering/chain.ts';
import { HAS } from '../../../steering/plan.ts';
import { below, createRandom, next32 } from '../../../steering/random.ts';
import { parseAddress } from '../../../wire/address.ts';
import { expectShares } from '../../support/chance.ts';
import { answering, NO_GEOGRAPHY, type Answering } from '../../support/pharos.ts';
import { createDice, printedSeed, trials } from '../../support/random.ts';

const seed = printedSeed('fairness');

function server(weights: readonly number[], more: string): Answering {
  const vips = weights.map((weight, i) => `v${i}: { A: 203.0.113.${i}, weight: ${weight} }`).join(', ');
  const service = `{ vips: { ${vips} }, ${more} }`;
  const zone = `zone: example.com\nnameservers: [ns.example.net.]\nservices: { w: ${service} }\n`;
  return answering({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone }, {}, seed);
}

function serve({ state: { steerer } }: Answering, client: Uint8Array): number {
  steer(steerer, 0, HAS.A, 0, client, client.length * 8);
  return steerer.decision.candidates[0] ?? -1;
}

const DRAWS = trials(1_000_000);
const CLIENT = Uint8Array.of(192, 0, 2, 1);

describe('weighted: in a million draws, each has its share', () => {
  /** `up`: the share of a ramp, 0 for down. */
  test.each<{ weights: number[]; up: number[] }>([
    { weights: [1, 3, 1000], up: [1, 1, 1] },
    { weights: [1, 3, 1000, 3], up: [1, 0, 1, 1] },
    { weights: [1, 1, 1, 1, 1, 1, 1], up: [1, 1, 1, 1, 1, 1, 1] },
    { weights: [1, 1, 1000, 65_535], up: [0.01, 1, 0.5, 0.01] },
    { weights: [0, 3, 1, 0], up: [1, 1, 1, 1] },
    { weights: [0, 3, 0, 0], up: [1, 0, 1, 0] },
  ])('$weights, of which there are $up', ({ weights, up }) => {
    const tested = server(weights, 'ramp: 5m, steer: [weighted]');
    weights.forEach((weight, i) => {
      tested.set(`w.example.com/v${i}`, { probed: up[i] === 0 ? PROBED.DOWN : PROBED.UP });
      const words = weightWords(weight, up[i] === 0 ? 1 : (up[i] ?? 1), true);
      tested.health.weights[i] = words.weight;
      tested.health.withheld[i] = words.withheld;
    });
    const counts = weights.map(() => 0);
    for (let draw = 0; draw < DRAWS; draw++) {
      const vip = serve(tested, CLIENT);
      counts[vip] = (counts[vip] ?? 0) + 1;
    }
    const present = weights.map((weight, i) => weight * (up[i] ?? 0));
    // Standbys alone have equal chances.
    const shares = present.some((share) => share > 0) ? present : up.map((share) => Math.ceil(share));
    expectShares(counts, shares);
  });

  test.each([
    [0, [-1_718_400_654, -153_680_148, 1_977_592_968], [1, 4, 214, 1_853_554_582, 1_749_372_516, 0]],
    [20_261_129, [-1_886_320_909, -1_400_337_859, 215_593_758], [1, 0, 175, 936_085_103, 398_380_465, 0]],
  ])('seed %i gives the numbers of sfc32, as another program computed them', (fixed, words, draws) => {
    const [one, other] = [createRandom(fixed), createRandom(fixed)];
    expect(words.map(() => next32(one))).toEqual(words);
    expect([2, 10, 1000, 2 ** 31, 2 ** 31, 1].map((bound) => below(other, bound))).toEqual(draws);
  });

  test('draws are even for every possible sum of weights', () => {
    const bound = 256 * 65_535 * RAMP_UNIT;
    expect(bound).toBeLessThan(2 ** 31);
    const random = createRandom(seed);
    const counts = [0, 0, 0, 0, 0];
    for (let draw = 0; draw < DRAWS; draw++) {
      const value = below(random, bound);
      if (value < 0 || value >= bound) expect.fail(String(value));
      const fifth = Math.floor((value * 5) / bound);
      counts[fifth] = (counts[fifth] ?? 0) + 1;
    }
    expectShares(counts, [1, 1, 1, 1, 1]);
  });
});

describe('sticky', () => {
  const dice = createDice(seed);
  const clients = Array.from({ length: 30_000 }, () => Uint8Array.from({ length: 4 }, () => dice.below(256)));
  const landings = (tested: Answering): number[] => clients.map((client) => serve(tested, client));

  test.each([2, 5, 16])('one more than %i takes 1/n of the clients, and moves no others', (n) => {
    const before = landings(server(Array<number>(n).fill(1), 'steer: [sticky]'));
    const after = landings(server(Array<number>(n + 1).fill(1), 'steer: [sticky]'));
    let moved = 0;
    after.forEach((vip, i) => {
      if (vip === before[i]) return;
      moved++;
      if (vip !== n) expect.fail(`${clients[i]?.join('.') ?? ''} moved to v${vip}, not to the new one`);
    });
    expectShares([moved, clients.length - moved], [1, n]);
  });

  test.each([FORCED.DRAIN, FORCED.DOWN])('one of them that fails (%i) moves only its own clients', (forced) => {
    const tested = server([1, 3, 1000, 2, 0], 'steer: [sticky]');
    const before = landings(tested);
    tested.set('w.example.com/v1', { probed: PROBED.UP, forced });
    landings(tested).forEach((vip, i) => {
      const fits = before[i] === 1 ? vip !== 1 : vip === before[i];
      if (!fits) expect.fail(`${clients[i]?.join('.') ?? ''}: v${before[i] ?? -1} before, v${vip} after`);
    });
  });

  test('one that ramps takes its clients back one by one, the same at each share', () => {
    const tested = server([2, 1, 1], 'ramp: 5m, steer: [sticky]');
    for (let i = 0; i < 3; i++) tested.health.weights[i] = (i === 0 ? 2 : 1) * RAMP_UNIT;
    const full = landings(tested);
    let before = new Set<number>();
    for (const share of [0.01, 0.1, 0.5, 1]) {
      tested.health.weights[0] = weightWords(2, share, true).weight;
      const now = landings(tested);
      const own = new Set(now.flatMap((vip, i) => (vip === 0 ? [i] : [])));
      for (const client of before) if (!own.has(client)) expect.fail(`client ${client} went away at ${share}`);
      now.forEach((vip, i) => {
        if (vip !== 0 && full[i] !== 0 && vip !== full[i]) expect.fail(`v${full[i] ?? -1} lost a client to v${vip}`);
      });
      const expected = (2 * share) / (2 * share + 2);
      // Of 30,000 clients, seven standard deviations and more: once in 1e11 runs.
      expect(Math.abs(own.size / clients.length - expected)).toBeLessThan(0.02);
      before = own;
    }
  });

  test('is the same in every process and after an update: the values of the first version', () => {
    const tested = server([1, 2, 3, 1000, 1], 'steer: [{ sticky: { v4: 24, v6: 56 } }], answers: 1');
    tested.set('w.example.com/v3', { probed: PROBED.DOWN });
    const given = ['192.0.2.1', '198.51.100.77', '203.0.113.9', '8.8.8.8', '2001:db8::1', '2a00:1450:4001:82a::200e'];
    const got = given.map((text) => serve(tested, parseAddress(text) ?? new Uint8Array(4)));
    expect(got).toEqual(GOLDEN);
  });
});

/** Another hash would move all clients at an update. */
const GOLDEN = [4, 2, 2, 0, 1, 2];
