/** Members over a simulated network: what they agree on, and when. */
import { describe, expect, test } from 'vitest';
import { VOTE, type Vote } from '../../../fleet/count.ts';
import { createFleetNetwork, memberTarget, type FleetNetwork } from '../../support/fleet-network.ts';
import { createDice, printedSeed, trials } from '../../support/random.ts';

const TARGET = '00000000000000aa';
const dice = createDice(printedSeed('fleet members'));

function voteAll(network: FleetNetwork, votes: Readonly<Record<string, Vote>>, target = TARGET): void {
  for (const { name, member } of network.nodes) {
    const vote = votes[name];
    if (vote !== undefined) member.vote(target, vote, 'test');
  }
}

const verdicts = (network: FleetNetwork, target = TARGET): readonly Vote[] =>
  network.nodes.map(({ member }) => member.verdict(target));

function threeRegions(targets = [memberTarget(TARGET)]): FleetNetwork {
  const network = createFleetNetwork(dice);
  network.join('a', 'seoul', targets);
  network.join('b', 'dublin', targets);
  network.join('c', 'virginia', targets);
  return network;
}

describe('verdicts', () => {
  test('a node alone decides as its own probes do, at once', () => {
    const network = createFleetNetwork(dice);
    const { member } = network.join('a', 'seoul', [memberTarget(TARGET)]);
    member.vote(TARGET, VOTE.UP, '');
    expect(member.verdict(TARGET)).toBe(VOTE.UP);
    member.vote(TARGET, VOTE.DOWN, '');
    expect(member.verdict(TARGET)).toBe(VOTE.DOWN);
  });

  test('one of three that sees a target down does not take it down; two do, everywhere', () => {
    const network = threeRegions();
    voteAll(network, { a: VOTE.UP, b: VOTE.UP, c: VOTE.UP });
    network.advance(3000);
    voteAll(network, { a: VOTE.DOWN });
    network.advance(3000);
    expect(verdicts(network)).toStrictEqual([VOTE.UP, VOTE.UP, VOTE.UP]);
    voteAll(network, { b: VOTE.DOWN });
    network.advance(100);
    expect(verdicts(network)).toStrictEqual([VOTE.DOWN, VOTE.DOWN, VOTE.DOWN]);
  });

  test('a changed vote is heard without waiting for a heartbeat, and makes the others probe', () => {
    const network = threeRegions();
    voteAll(network, { a: VOTE.UP, b: VOTE.UP, c: VOTE.UP });
    network.advance(3000);
    voteAll(network, { a: VOTE.DOWN });
    network.advance(61);
    for (const node of network.nodes.slice(1)) expect(node.hastened).toStrictEqual([TARGET]);
  });

  test('a node that abstains is not counted', () => {
    const network = threeRegions();
    voteAll(network, { a: VOTE.UP, b: VOTE.DOWN, c: VOTE.DOWN });
    network.advance(3000);
    expect(verdicts(network)).toStrictEqual([VOTE.DOWN, VOTE.DOWN, VOTE.DOWN]);
    network.nodes[1]?.member.abstain(true);
    network.nodes[2]?.member.abstain(true);
    network.advance(200);
    expect(verdicts(network)).toStrictEqual([VOTE.UP, VOTE.UP, VOTE.UP]);
  });

  test('a node whose event loop is late does not vote where half the timeout is shorter', () => {
    const targets = [memberTarget(TARGET, { timeoutMs: 1000 }), memberTarget('bb', { timeoutMs: 5000 })];
    const network = createFleetNetwork(dice);
    const { member } = network.join('a', 'seoul', targets);
    voteAll(network, { a: VOTE.UP });
    voteAll(network, { a: VOTE.UP }, 'bb');
    member.late(600);
    expect(member.voters(TARGET)[0]?.vote).toBe(VOTE.ABSTAIN);
    expect(member.voters('bb')[0]?.vote).toBe(VOTE.UP);
    member.late(0);
    expect(member.voters(TARGET)[0]?.vote).toBe(VOTE.UP);
  });

  test('a node that is not heard for three heartbeats does not vote', () => {
    const network = threeRegions();
    voteAll(network, { a: VOTE.DOWN, b: VOTE.DOWN, c: VOTE.UP });
    network.advance(3000);
    expect(verdicts(network)).toStrictEqual([VOTE.DOWN, VOTE.DOWN, VOTE.DOWN]);
    for (const node of network.nodes.slice(0, 2)) network.kill(node);
    // Each was last heard a heartbeat and a delay ago at most.
    network.advance(1800);
    expect(verdicts(network)).toStrictEqual([VOTE.DOWN]);
    network.advance(3000);
    expect(verdicts(network)).toStrictEqual([VOTE.UP]);
  });

  test('view: region answers by the votes of the own region, and by those of the fleet where it has none', () => {
    const targets = [memberTarget(TARGET, { view: 'region' })];
    const network = threeRegions(targets);
    network.join('d', 'oslo', targets);
    voteAll(network, { a: VOTE.UP, b: VOTE.DOWN, c: VOTE.DOWN });
    network.advance(3000);
    expect(verdicts(network)).toStrictEqual([VOTE.UP, VOTE.DOWN, VOTE.DOWN, VOTE.DOWN]);
  });

  test('from: only nodes of these regions probe and vote', () => {
    const network = threeRegions([memberTarget(TARGET, { from: new Set(['seoul']) })]);
    voteAll(network, { a: VOTE.DOWN, b: VOTE.UP, c: VOTE.UP });
    network.advance(3000);
    expect(verdicts(network)).toStrictEqual([VOTE.DOWN, VOTE.DOWN, VOTE.DOWN]);
    expect(network.nodes.map(({ member }) => member.isProbing(TARGET))).toStrictEqual([true, false, false]);
  });

  test('a target that a peer does not have is not voted on by it', () => {
    const network = createFleetNetwork(dice);
    network.join('a', 'seoul', [memberTarget(TARGET), memberTarget('bb')]);
    network.join('b', 'dublin', [memberTarget('cc'), memberTarget(TARGET)], 'other');
    voteAll(network, { a: VOTE.UP, b: VOTE.UP });
    voteAll(network, { a: VOTE.DOWN }, 'bb');
    voteAll(network, { b: VOTE.DOWN }, 'cc');
    network.advance(5000);
    expect(verdicts(network)).toStrictEqual([VOTE.UP, VOTE.UP]);
    expect(network.nodes[0]?.member.verdict('bb')).toBe(VOTE.DOWN);
    expect(network.nodes[1]?.member.verdict('cc')).toBe(VOTE.DOWN);
    expect(network.nodes[0]?.member.count(TARGET)?.regions.map(({ region }) => region)).toStrictEqual([
      'dublin',
      'seoul',
    ]);
    expect(network.nodes[0]?.member.count('bb')?.regions.map(({ region }) => region)).toStrictEqual(['seoul']);
  });
});

describe('partitions', () => {
  test('after any partition heals, all nodes agree', () => {
    const VOTED = [VOTE.UP, VOTE.DOWN] as const;
    for (let run = 0; run < trials(60); run++) {
      const targets = ['aa', 'bb', 'cc'].map((digest) => memberTarget(digest));
      const network = createFleetNetwork(dice, { loss: 0.05 });
      const regions = 1 + dice.below(3);
      const count = 2 + dice.below(4);
      for (let at = 0; at < count; at++) network.join(`n${String(at)}`, `r${String(dice.below(regions))}`, targets);
      const change = (): void => {
        for (const { member } of network.nodes) {
          for (const { digest } of targets) if (dice.chance(0.5)) member.vote(digest, dice.pick(VOTED), '');
        }
      };
      change();
      network.advance(5000);
      const groups = new Map(network.nodes.map((node) => [node, dice.below(2)]));
      network.partition((node) => groups.get(node) ?? 0);
      change();
      network.advance(8000);
      change();
      network.advance(8000);
      network.partition(() => 0);
      network.advance(20_000);
      const views = (): number => Math.max(...targets.map(({ digest }) => new Set(verdicts(network, digest)).size));
      // At any moment, three heartbeats in a row of a peer may be lost.
      for (let second = 0; second < 10 && views() > 1; second++) network.advance(1000);
      expect(views(), `run ${String(run)}`).toBe(1);
    }
  });
});

describe('probers', () => {
  const targets = Array.from({ length: 80 }, (_, at) =>
    memberTarget(at.toString(16).padStart(8, '0').repeat(2), { probers: 3 }),
  );

  test('three nodes of each region probe a target, and the loss of one leaves no target without a prober', () => {
    const network = createFleetNetwork(dice);
    for (let at = 0; at < 20; at++) network.join(`n${String(at)}`, `r${String(at % 2)}`, targets);
    const probersOf = (digest: string, region: string): number =>
      network.nodes.filter((node) => node.region === region && node.member.isProbing(digest)).length;
    const voteWhereProbing = (): void => {
      for (const { member } of network.nodes) {
        for (const { digest } of targets) if (member.isProbing(digest)) member.vote(digest, VOTE.UP, '');
      }
    };
    for (let second = 0; second < 8; second++) {
      voteWhereProbing();
      network.advance(1000);
    }
    for (const { digest } of targets) expect([probersOf(digest, 'r0'), probersOf(digest, 'r1')]).toStrictEqual([3, 3]);
    const probed = network.nodes.map(({ member }) => targets.filter(({ digest }) => member.isProbing(digest)).length);
    expect(Math.max(...probed)).toBeLessThan(48);
    for (const node of network.nodes.slice(0, 1)) network.kill(node);
    network.advance(4200);
    for (const { digest } of targets) expect(probersOf(digest, 'r0')).toBeGreaterThanOrEqual(3);
  });
});

describe('voters as a node shows them', () => {
  test('say which nodes of each region probe a target, as those nodes choose themselves', () => {
    const targets = ['0000000a', '7f3a91c2', 'deadbeef'].map((digest) =>
      memberTarget(`${digest}00000000`, { probers: 2 }),
    );
    const network = createFleetNetwork(dice);
    for (const name of ['a', 'b', 'c', 'd']) network.join(name, 'seoul', targets);
    for (const name of ['e', 'f', 'g']) network.join(name, 'dublin', targets);
    network.advance(3000);
    // A node goes on probing until those that were chosen have votes.
    for (const { digest } of targets) for (const { member } of network.nodes) member.vote(digest, VOTE.UP, '');
    network.advance(3000);
    for (const { digest } of targets) {
      for (const { member } of network.nodes) {
        const chosen = member.voters(digest).filter(({ isProber }) => isProber);
        expect(chosen.map(({ node }) => node).sort()).toEqual(
          network.nodes
            .filter((node) => node.member.isProbing(digest))
            .map(({ name }) => name)
            .sort(),
        );
        expect(chosen.filter(({ region }) => region === 'dublin')).toHaveLength(2);
      }
    }
  });

  test('say that nodes outside `from` do not probe, and that a lost one is not fresh', () => {
    const network = threeRegions([memberTarget(TARGET, { from: new Set(['seoul', 'dublin']) })]);
    network.advance(3000);
    const [a, b] = network.nodes;
    if (a === undefined || b === undefined) throw new Error('no nodes');
    network.kill(b);
    network.advance(5000);
    expect(a.member.voters(TARGET).map(({ node, isFresh, isProber }) => [node, isFresh, isProber])).toEqual([
      ['a', true, true],
      ['b', false, false],
      ['c', true, false],
    ]);
  });

  test('say why a node abstains', () => {
    const network = threeRegions();
    voteAll(network, { a: VOTE.UP, b: VOTE.UP, c: VOTE.UP });
    network.advance(3000);
    const [a, b, c] = network.nodes.map(({ member }) => member);
    a?.abstain(true);
    c?.late(1500);
    network.advance(200);
    const reasons = (b?.voters(TARGET) ?? []).map(({ node, vote, reason }) => [node, vote, reason]);
    expect(reasons).toEqual([
      ['b', VOTE.UP, 'test'],
      ['a', VOTE.ABSTAIN, 'it suspects its own network'],
      ['c', VOTE.ABSTAIN, 'its event loop is late'],
    ]);
    expect(a?.voters(TARGET)[0]?.reason).toBe('it suspects its own network');
  });

  test('say how many targets each node probes', () => {
    const targets = [memberTarget(TARGET, { from: new Set(['seoul']) }), memberTarget('bb00000000000000')];
    const network = threeRegions(targets);
    network.advance(3000);
    const [a, b] = network.nodes;
    expect(a?.member.probed()).toBe(2);
    expect(new Map(b?.member.peers().map(({ node, probed }) => [node, probed]))).toEqual(
      new Map([
        ['a', 2],
        ['c', 1],
      ]),
    );
  });
});
