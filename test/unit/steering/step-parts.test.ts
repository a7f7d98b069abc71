/**
 * The parts of steps alone, as tables: what an ordering keeps (ordering.ts), which candidate `sticky` and `weighted`
 * put first. VIPs are numbers here.
 */
import { describe, expect, test } from 'vitest';
import { createDecision, type Steerer } from '../../../steering/decision.ts';
import { givesNoAnswer, keepFirstGroup, ttlInOrdering } from '../../../steering/ordering.ts';
import { NO_ANSWER } from '../../../steering/place.ts';
import { VIP, type SteeringPlan } from '../../../steering/plan.ts';
import { createRandom } from '../../../steering/random.ts';
import { shedNetwork } from '../../../steering/shed.ts';
import { hashNetwork, mix, orderSticky } from '../../../steering/sticky-step.ts';
import { drawWeighted, dropStandby } from '../../../steering/weighted-step.ts';
import { expectShares } from '../../support/chance.ts';
import { createDice, printedSeed } from '../../support/random.ts';

/** The service's first slot: others are before it. */
const FIRST = 2;

type Made = {
  /** The region of each VIP, and its weight and hash. */
  readonly regions?: readonly number[];
  readonly weights?: readonly number[];
  readonly hashes?: readonly number[];
  readonly orderings?: readonly number[];
  /** The candidates; `behind` are those of an earlier query that are no longer valid. */
  readonly candidates: readonly number[];
  readonly behind?: readonly number[];
};

function made({ regions = [], weights = [], hashes = [], orderings = [], candidates, behind = [] }: Made): Steerer {
  const count = Math.max(regions.length, weights.length, hashes.length);
  const vips = new Int32Array((FIRST + count) * VIP.WORDS);
  const words = new Int32Array(FIRST + count);
  for (let vip = 0; vip < count; vip++) {
    vips[(FIRST + vip) * VIP.WORDS + VIP.REGION] = regions[vip] ?? 0;
    vips[(FIRST + vip) * VIP.WORDS + VIP.HASH] = hashes[vip] ?? 0;
    words[FIRST + vip] = weights[vip] ?? 1;
  }
  const decision = createDecision();
  decision.candidates.set([...candidates, ...behind]);
  decision.count = candidates.length;
  const plan = { vips, orderings: Int32Array.from(orderings) } as Partial<SteeringPlan> as SteeringPlan;
  const health = { slots: words.length, states: words, weights: words, withheld: words, pressures: words };
  return { plan, health, random: createRandom(1), decision, observer: undefined };
}

const left = ({ decision: { candidates, count } }: Steerer): number[] => [...candidates.subarray(0, count)];

describe('an ordering keeps the first group that has a candidate', () => {
  // VIPs 0 and 1 are in region 0, 2 in region 1, 3 and 4 in region 2.
  const regions = [0, 0, 1, 2, 2];
  test.each<[ordering: number[], candidates: number[], kept: number[], behind?: number[]]>([
    [
      [2, 0, 1, 1, 2],
      [0, 1, 2, 3],
      [0, 1],
    ],
    [[2, 0, 1, 1, 2], [2, 3], [2]],
    [
      [2, 2, 1, 0, 2],
      [4, 0, 3, 1],
      [4, 3],
    ],
    // A group of two, and one of three that begins within it.
    [
      [2, 0, 2, 1, 2],
      [3, 2, 0],
      [2, 0],
    ],
    [
      [3, 0, 2, 1, 3, 2, 3],
      [0, 2, 3],
      [0, 2],
    ],
    [
      [3, 0, 2, 1, 3, 2, 3],
      [2, 3],
      [2, 3],
    ],
    // Single VIPs.
    [[2, ~1, 1, ~0, 2], [0, 1], [1]],
    [[2, ~1, 1, ~0, 2], [0, 2], [0]],
    [
      [2, ~1, 1, 2, 2],
      [0, 3, 4],
      [3, 4],
    ],
    // None: whatever the words after the ordering say.
    [[1, 0, 1, 1, 3, 2, 3], [2, 3], []],
    [[0, 0, 1], [0, 1], []],
    [[1, 0, 1], [], []],
    // What an earlier query has left is not a candidate.
    [[2, 0, 1, 1, 2], [2], [2], [0]],
    [[1, 0, 1], [0], [0], [1]],
  ])('%j of the candidates %j: %j', (ordering, candidates, kept, behind = []) => {
    // It begins in the middle of the table.
    const steerer = made({ regions, orderings: [7, 7, 7, ...ordering], candidates, behind });
    keepFirstGroup(steerer, FIRST, 3);
    expect(left(steerer)).toEqual(kept);
  });

  test.each<[ordering: number[], vip: number, ttl: number]>([
    [[2, 0, 1, 1, 2, 60, 30], 0, 60],
    [[2, 0, 1, 1, 2, 60, 30], 2, 30],
    [[2, 0, 1, 1, 2, 60, -1], 2, -1],
    [[2, ~1, 1, 0, 2, 0, 30], 1, 0],
    [[2, ~1, 1, 0, 2, 0, 30], 0, 30],
    // It leads elsewhere, whatever TTLs look like.
    [[1, 0, 1, 2, 9], 3, -1],
  ])('with the TTLs %j, that of VIP %i is %i', (ordering, vip, ttl) => {
    const { plan } = made({ regions, orderings: [7, ...ordering], candidates: [] });
    expect(ttlInOrdering(plan, FIRST, 1, vip)).toBe(ttl);
  });

  test.each<[ordering: number[], isNone: boolean]>([
    [[1, NO_ANSWER, 1], true],
    [[1, 0, 1], false],
    [[2, 0, 1, NO_ANSWER, 2], false],
    [[0, NO_ANSWER], false],
  ])('%j gives its clients no answer: %s', (ordering, isNone) => {
    expect(givesNoAnswer(made({ orderings: [7, ...ordering], candidates: [] }).plan, 1)).toBe(isNone);
  });
});

describe('sticky', () => {
  const dice = createDice(printedSeed('sticky'));
  const client = (): Uint8Array => Uint8Array.from({ length: 16 }, () => dice.below(256));
  const score = (weight: number, hash: number, network: number): number =>
    -Math.max(weight, 0.001) / Math.log(((mix(network ^ hash) >>> 0) + 0.5) / 2 ** 32);

  test.each([1, 2, 3, 9])(
    'orders by the score of each for the network, also if only the first of %i counts',
    (count) => {
      for (let round = 0; round < 200; round++) {
        const of = dice.pick([[1], [0], [1, 2, 3], [1, 100, 6_553_500]]);
        const weights = Array.from({ length: count + 1 }, () => dice.pick(of));
        const hashes = weights.map(() => dice.below(2 ** 32) | 0);
        const candidates = dice.sample([...weights.keys()], count);
        const [address, bits] = [client(), dice.below(129)];
        // The least draw that there is.
        if (dice.chance(0.2)) hashes[0] = hashNetwork(address, bits);
        const scores = hashes.map((hash, vip) => score(weights[vip] ?? 0, hash, hashNetwork(address, bits)));
        const expected = candidates.toSorted((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0));
        const behind = [...weights.keys()].filter((vip) => !candidates.includes(vip));
        const steerer = (): Steerer => made({ weights, hashes, candidates, behind });
        const [all, one] = [steerer(), steerer()];
        orderSticky(all, FIRST, address, bits, count + 1);
        expect(left(all)).toEqual(expected);
        orderSticky(one, FIRST, address, bits, 1);
        expect(left(one)[0]).toBe(expected[0]);
        expect(left(one).toSorted()).toEqual(candidates.toSorted());
      }
    },
  );

  test.each([0, 1, 7, 8, 9, 12, 16, 23, 24, 32])('a network of %i bits is all that these bits say', (bits) => {
    const address = Uint8Array.of(0x5a, 0xc3, 0x96, 0x0f);
    for (let bit = 0; bit < 32; bit++) {
      const other = address.slice();
      other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
      expect(hashNetwork(other, bits) === hashNetwork(address, bits), `bit ${bit}`).toBe(bit >= bits);
    }
  });

  test('the values of the first version: another hash would move clients at an update', () => {
    const bits = [0, 8, 20, 24, 32];
    expect(bits.map((each) => hashNetwork(Uint8Array.of(192, 0, 2, 1), each))).toEqual(GOLDEN);
  });

  test.each([
    [[192, 0, 2, 1], 24],
    [[0x20, 0x01, 0x0d, 0xb8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 56],
  ])('clients that are shed are distinguished by network: %j by its first %i bits', (octets, bits) => {
    const address = Uint8Array.from(octets);
    expect(shedNetwork(address, octets.length * 8)).toBe(hashNetwork(address, bits));
  });

  test('networks of different lengths differ', () => {
    const hashes = Array.from({ length: 129 }, (_, bits) => hashNetwork(new Uint8Array(16), bits));
    expect(new Set(hashes).size).toBe(129);
  });
});

/** `hashNetwork` of networks of these lengths. */
const GOLDEN = [-1_421_968_373, -1_392_109_717, 780_810_046, -1_061_399_861, -1_534_696_623];

describe('weighted', () => {
  /** A draw reads two numbers of the generator, which counts them. */
  const numbers = ({ random }: Steerer): number => ((random.state[3] ?? 0) - (createRandom(1).state[3] ?? 0)) / 2;

  test.each([
    [5, 1, 1],
    [5, 3, 3],
    [5, 4, 4],
    [5, 5, 4],
    [5, 256, 4],
    [1, 1, 0],
    [0, 1, 0],
  ])('of %i candidates, %i wanted: %i draws', (count, wanted, draws) => {
    for (const weight of [0, 1]) {
      const candidates = Array.from({ length: count }, (_, vip) => vip);
      const steerer = made({ weights: candidates.map(() => weight), candidates });
      drawWeighted(steerer, FIRST, wanted);
      expect([numbers(steerer), left(steerer).toSorted()]).toEqual([draws, candidates]);
    }
  });

  test.each<[weights: number[], shares: number[]]>([
    [
      [1, 2, 3, 10],
      [1, 2, 3, 10],
    ],
    [
      [0, 0, 0],
      [1, 1, 1],
    ],
  ])('of the weights %j, each is first, and second, in proportion', (weights, shares) => {
    const steerer = made({ weights, candidates: [] });
    const firsts = weights.map(() => 0);
    const seconds = weights.map(() => 0);
    for (let draw = 0; draw < 4000; draw++) {
      weights.forEach((_, vip) => (steerer.decision.candidates[vip] = vip));
      steerer.decision.count = weights.length;
      drawWeighted(steerer, FIRST, 2);
      const [first = 0, second = 0] = left(steerer);
      firsts[first] = (firsts[first] ?? 0) + 1;
      // Of those where the last is first, so that the rest is the same.
      if (first === weights.length - 1) seconds[second] = (seconds[second] ?? 0) + 1;
    }
    expectShares(firsts, shares);
    expectShares(seconds.slice(0, -1), shares.slice(0, -1));
    expect(seconds.at(-1)).toBe(0);
  });

  test.each<[weights: number[], candidates: number[], kept: number[]]>([
    [
      [1, 0, 2, 0],
      [3, 2, 1, 0],
      [2, 0],
    ],
    [
      [1, 0, 2, 0],
      [1, 3],
      [1, 3],
    ],
    [
      [1, 0, 2, 0],
      [2, 0],
      [2, 0],
    ],
    [[1, 0, 2, 0], [], []],
  ])('standbys: of the weights %j and the candidates %j, %j are left', (weights, candidates, kept) => {
    const steerer = made({ weights, candidates, behind: [0, 1] });
    dropStandby(steerer, FIRST);
    expect(left(steerer)).toEqual(kept);
  });
});
