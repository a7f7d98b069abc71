/** Whose votes a member counts, and who probes: small fleets over a simulated network. */
import { describe, expect, test } from 'vitest';
import { VOTE, type Vote } from '../../../fleet/count.ts';
import { createFleetNetwork, memberTarget, type FleetNetwork, type FleetNode } from '../../support/fleet-network.ts';
import { createDice, printedSeed } from '../../support/random.ts';

const { UNKNOWN, UP, DOWN, ABSTAIN } = VOTE;
const TARGET = '00000000000000aa';
const dice = createDice(printedSeed('fleet counts'));

type Probing = { readonly node: string; readonly target: string; readonly isProbing: boolean };

/** Nodes as `name region`, which all have the target with these settings. */
function fleet(nodes: readonly string[], settings: Parameters<typeof memberTarget>[1] = {}, digest = TARGET) {
  const probing: Probing[] = [];
  const network = createFleetNetwork(dice, {
    probing: ({ name }, target, isProbing) => void probing.push({ node: name, target, isProbing }),
  });
  for (const each of nodes) {
    const [name = '', region = ''] = each.split(' ');
    network.join(name, region, [memberTarget(digest, settings)]);
  }
  network.advance(3000);
  return { network, probing, digest };
}

const nodeOf = (network: FleetNetwork, name: string): FleetNode => {
  const node = network.nodes.find((each) => each.name === name);
  if (!node) throw new Error(`no node ${name}`);
  return node;
};

/** Each node votes, and hears the others. */
function vote(network: FleetNetwork, votes: Readonly<Record<string, Vote>>, target = TARGET): void {
  for (const [name, own] of Object.entries(votes)) nodeOf(network, name).member.vote(target, own, '');
  network.advance(3000);
}

const verdicts = (network: FleetNetwork, target = TARGET): Readonly<Record<string, Vote>> =>
  Object.fromEntries(network.nodes.map(({ name, member }) => [name, member.verdict(target)]));

const THREE = ['a seoul', 'b dublin', 'c virginia'];

describe('view', () => {
  test('own: a node believes its own vote, without one its region, and without one there the fleet', () => {
    const { network } = fleet([...THREE, 'd seoul'], { view: 'own' });
    vote(network, { a: UP, b: DOWN, c: DOWN });
    expect(verdicts(network)).toEqual({ a: UP, b: DOWN, c: DOWN, d: UP });
    nodeOf(network, 'c').member.abstain(true);
    vote(network, { b: UP });
    expect(verdicts(network)).toMatchObject({ b: UP, c: UP });
    vote(network, { a: DOWN });
    expect(verdicts(network)).toMatchObject({ a: DOWN, d: DOWN });
  });

  test('own: also against its region', () => {
    const { network } = fleet(['a seoul', 'b seoul', 'c seoul'], { view: 'own' });
    vote(network, { a: UP, b: DOWN, c: DOWN });
    expect(verdicts(network)).toEqual({ a: UP, b: DOWN, c: DOWN });
    vote(network, { a: DOWN, b: UP });
    expect(verdicts(network)).toEqual({ a: DOWN, b: UP, c: DOWN });
    vote(network, { c: UP });
    expect(verdicts(network)).toEqual({ a: DOWN, b: UP, c: UP });
  });

  test.each([
    ['fleet', ['a seoul', 'b dublin']],
    ['region', ['a seoul', 'b seoul']],
  ] as const)('%s: nodes that hold different states after a partition agree on up', (view, nodes) => {
    for (const up of ['a', 'b']) {
      const { network } = fleet(nodes, { view });
      vote(network, { a: DOWN, b: DOWN });
      network.partition(({ name }) => (name === 'a' ? 0 : 1));
      network.advance(5000);
      vote(network, { [up]: UP });
      expect(verdicts(network)).toEqual({ a: DOWN, b: DOWN, [up]: UP });
      network.partition(() => 0);
      network.advance(5000);
      expect(verdicts(network)).toEqual({ a: UP, b: UP });
    }
  });

  test('region: on a tie of the region its nodes hold the state, whatever other regions hold', () => {
    const { network } = fleet(['a seoul', 'b seoul', 'c dublin', 'd dublin'], { view: 'region' });
    vote(network, { a: DOWN, b: DOWN, c: UP, d: UP });
    expect(verdicts(network)).toEqual({ a: DOWN, b: DOWN, c: UP, d: UP });
    vote(network, { a: UP, c: DOWN });
    expect(verdicts(network)).toEqual({ a: DOWN, b: DOWN, c: UP, d: UP });
  });

  test('fleet: on a tie of the regions the state holds', () => {
    const { network } = fleet(['a seoul', 'b dublin']);
    vote(network, { a: DOWN, b: DOWN });
    vote(network, { a: UP });
    expect(verdicts(network)).toEqual({ a: DOWN, b: DOWN });
    vote(network, { b: UP });
    expect(verdicts(network)).toEqual({ a: UP, b: UP });
    vote(network, { a: DOWN });
    expect(verdicts(network)).toEqual({ a: UP, b: UP });
  });
});

test('the quorum of the target decides', () => {
  for (const [quorum, verdict] of [
    [{ kind: 'one' }, DOWN],
    [{ kind: 'majority' }, UP],
    [{ kind: 'all' }, UP],
  ] as const) {
    const { network } = fleet(THREE, { quorum });
    vote(network, { a: UP, b: UP, c: UP });
    vote(network, { c: DOWN });
    expect(verdicts(network)).toEqual({ a: verdict, b: verdict, c: verdict });
  }
});

test('splits: targets that some regions see up and others down; a tie within a region is none', () => {
  const { network } = fleet(['a seoul', 'b dublin', 'c dublin']);
  const splits = (): readonly (readonly string[])[] => network.nodes.map(({ member }) => member.splits());
  vote(network, { a: UP, b: UP, c: UP });
  expect(splits()).toEqual([[], [], []]);
  vote(network, { b: DOWN });
  expect(splits()).toEqual([[], [], []]);
  vote(network, { c: DOWN });
  expect(splits()).toEqual([[TARGET], [TARGET], [TARGET]]);
  vote(network, { a: DOWN });
  expect(splits()).toEqual([[], [], []]);
});

test('a verdict is told once, when it changes', () => {
  const { network } = fleet(THREE);
  vote(network, { a: UP, b: UP, c: UP });
  vote(network, { a: DOWN });
  network.advance(10_000);
  vote(network, { b: DOWN });
  network.advance(10_000);
  for (const { changes } of network.nodes) expect(changes.map(({ verdict }) => verdict)).toEqual([UP, DOWN]);
});

test('a node that abstains counts without its own vote at once', () => {
  const { network } = fleet(['a seoul', 'b dublin']);
  vote(network, { a: UP, b: UP });
  vote(network, { b: DOWN });
  const { member } = nodeOf(network, 'a');
  expect(member.verdict(TARGET)).toBe(UP);
  member.abstain(true);
  expect(member.verdict(TARGET)).toBe(DOWN);
});

test('a node that is not heard does not count, nor the state that it holds', () => {
  const { network } = fleet(THREE);
  vote(network, { a: DOWN, b: DOWN, c: UP });
  for (const name of ['a', 'b']) network.kill(nodeOf(network, name));
  network.advance(5000);
  expect(verdicts(network)).toEqual({ c: UP });
  expect(
    nodeOf(network, 'c')
      .member.count(TARGET)
      ?.regions.map(({ region }) => region),
  ).toEqual(['virginia']);
});

test('a node with other files, which votes although it is outside `from`, is not counted', () => {
  const { network, digest } = fleet(['a seoul', 'b dublin'], { from: new Set(['seoul', 'dublin']) });
  network.join('c', 'oslo', [memberTarget(digest)], 'other');
  network.advance(3000);
  vote(network, { a: UP, b: UP, c: DOWN });
  vote(network, { b: DOWN });
  // A tie of two regions, not two of three.
  expect(verdicts(network)).toMatchObject({ a: UP, b: UP });
  expect(
    nodeOf(network, 'a')
      .member.count(digest)
      ?.regions.map(({ region }) => region),
  ).toEqual(['dublin', 'seoul']);
});

test('a node is late from more than half the timeout on', () => {
  const { network } = fleet(['a seoul'], { timeoutMs: 1000 });
  const { member } = nodeOf(network, 'a');
  vote(network, { a: UP });
  member.late(500);
  expect(member.voters(TARGET)[0]?.vote).toBe(UP);
  member.late(501);
  expect(member.voters(TARGET)[0]?.vote).toBe(ABSTAIN);
  expect(member.count(TARGET)?.regions).toEqual([]);
  // The state holds.
  expect(member.verdict(TARGET)).toBe(UP);
});

test('a target that a node does not have: no count, no verdict, no voters', () => {
  const { network } = fleet(['a seoul']);
  const { member } = nodeOf(network, 'a');
  member.vote('bb', UP, '');
  expect([member.verdict('bb'), member.count('bb'), member.voters('bb')]).toEqual([UNKNOWN, undefined, []]);
  expect([member.isProbing('bb'), member.dissents('bb'), member.probed()]).toEqual([false, false, 1]);
});

test('regions outside `from` are neither counted nor probe, also when they hold a state', () => {
  const { network, probing } = fleet(THREE, { from: new Set(['seoul', 'dublin']) });
  vote(network, { a: UP, b: UP, c: DOWN });
  expect(verdicts(network)).toEqual({ a: UP, b: UP, c: UP });
  for (const { member } of network.nodes) {
    expect(member.count(TARGET)?.regions.map(({ region, up, down }) => [region, up, down])).toEqual([
      ['dublin', 1, 0],
      ['seoul', 1, 0],
    ]);
  }
  expect(probing).toEqual(['a', 'b'].map((node) => ({ node, target: TARGET, isProbing: true })));
  expect(network.nodes.map(({ member }) => member.probed())).toEqual([1, 1, 0]);
});

describe('which nodes of a region probe', () => {
  // The ranking of choose-probers.test.ts.
  const [FIRST, SECOND, THIRD] = ['dub2', 'dub6', 'dub4'];
  const DIGEST = 'deadbeef00000000';
  const names = [1, 2, 3, 4, 5, 6].map((number) => `dub${number}`);
  const region = (probers: number) => fleet([...names.map((name) => `${name} dublin`), 'x seoul'], { probers }, DIGEST);
  const probersOf = (network: FleetNetwork): string[] =>
    network.nodes.filter(({ member }) => member.isProbing(DIGEST)).map(({ name }) => name);
  const everybody = (network: FleetNetwork): void => {
    for (const { member } of network.nodes) if (member.isProbing(DIGEST)) member.vote(DIGEST, UP, '');
    network.advance(3000);
  };

  test('those with the highest scores, once they have votes; until then the others go on', () => {
    const { network, probing } = region(2);
    // All began alone, so all probe.
    expect(probersOf(network).sort()).toEqual([...names, 'x'].sort());
    // One of the chosen has no vote yet.
    for (const { name, member } of network.nodes) if (name !== SECOND) member.vote(DIGEST, UP, '');
    network.advance(3000);
    expect(probersOf(network)).toHaveLength(7);
    nodeOf(network, SECOND).member.abstain(true);
    network.advance(3000);
    expect(probersOf(network)).toHaveLength(7);
    nodeOf(network, SECOND).member.abstain(false);
    nodeOf(network, SECOND).member.vote(DIGEST, DOWN, '');
    network.advance(3000);
    expect(probersOf(network)).toEqual([FIRST, SECOND, 'x']);
    expect(network.nodes.map(({ member }) => member.probed())).toEqual([0, 1, 0, 0, 0, 1, 1]);
    const ended = probing.filter(({ isProbing }) => !isProbing).map(({ node }) => node);
    expect(ended.sort()).toEqual(['dub1', 'dub3', 'dub4', 'dub5']);
    // Their earlier votes do not count.
    const count = nodeOf(network, 'x').member.count(DIGEST);
    expect(count?.regions.map(({ up, down }) => [up, down])).toEqual([[1, 1], [1, 0]]); // prettier-ignore
  });

  test('only the chosen ones need votes; a node that does not probe has none', () => {
    const { network } = region(2);
    for (const name of [FIRST, SECOND]) nodeOf(network, name).member.vote(DIGEST, UP, '');
    network.advance(3000);
    expect(probersOf(network)).toEqual([FIRST, SECOND, 'x']);
    const { member } = nodeOf(network, THIRD);
    member.vote(DIGEST, DOWN, '');
    network.advance(3000);
    expect(member.voters(DIGEST)[0]?.vote).toBe(UNKNOWN);
    expect(nodeOf(network, 'x').member.count(DIGEST)?.regions).toMatchObject([{ region: 'dublin', up: 2, down: 0 }]);
  });

  test('the next one takes the place of a lost one, at once when it is not heard, and begins without a vote', () => {
    const { network } = region(2);
    everybody(network);
    expect(probersOf(network)).toEqual([FIRST, SECOND, 'x']);
    network.kill(nodeOf(network, FIRST));
    network.advance(3200);
    expect(probersOf(network).sort()).toEqual([SECOND, THIRD, 'x'].sort());
    const { member } = nodeOf(network, THIRD);
    expect(member.voters(DIGEST)[0]?.vote).toBe(UNKNOWN);
    member.vote(DIGEST, DOWN, '');
    expect(member.voters(DIGEST)[0]?.vote).toBe(DOWN);
  });

  test('a lost node of another region changes nothing', () => {
    const { network, probing } = region(2);
    everybody(network);
    const before = probing.length;
    network.kill(nodeOf(network, 'x'));
    network.advance(5000);
    expect(probing).toHaveLength(before);
    expect(probersOf(network)).toEqual([FIRST, SECOND]);
  });

  test('one that is needed again before it has stopped goes on without a break', () => {
    const { network, probing } = region(1);
    // The chosen one has no vote, so the others wait for it. Then it is lost.
    network.kill(nodeOf(network, FIRST));
    network.advance(4000);
    everybody(network);
    expect(probersOf(network)).toEqual([SECOND, 'x']);
    expect(probing.filter(({ node }) => node === SECOND)).toEqual([{ node: SECOND, target: DIGEST, isProbing: true }]);
  });
});
