/** What a member takes from messages: of which version, of whom, and of what time. */
import { expect, test } from 'vitest';
import { VOTE } from '../../../fleet/count.ts';
import { HEARTBEAT_MS } from '../../../fleet/member.ts';
import { readVoteMessage, writeVoteMessage, type Head } from '../../../fleet/vote-message.ts';
import { createFleetNetwork, memberTarget } from '../../support/fleet-network.ts';
import { createDice, printedSeed, trials } from '../../support/random.ts';

const TARGET = '00000000000000aa';
const dice = createDice(printedSeed('messages of members'));

/** A vote for "down" of a node that is not in the network. */
function message(head: Partial<Head> & Readonly<Record<string, unknown>> = {}): Uint8Array {
  const full: Head = {
    node: 'z',
    region: 'dublin',
    run: 'run',
    seq: 1,
    wallMs: 0,
    list: '',
    targets: 1,
    config: 'c',
    version: '9',
    applied: 0,
    changes: [[TARGET, VOTE.DOWN, 'refused']],
    ...head,
  };
  return writeVoteMessage({ head: full, votes: new Uint8Array(0) });
}

test.each([
  { what: 'this version', octets: message(), heard: true },
  { what: 'this version, with keys of a later one', octets: message({ colour: { of: 'the sky' } }), heard: true },
  { what: 'version 2', octets: Uint8Array.from(message(), (octet, at) => (at === 0 ? 2 : octet)), heard: false },
  { what: 'version 0', octets: Uint8Array.from(message(), (octet, at) => (at === 0 ? 0 : octet)), heard: false },
  { what: 'another sender than its subject', octets: message({ node: 'y' }), heard: false },
  { what: 'a cut message', octets: message().subarray(0, 40), heard: false },
  { what: 'nothing', octets: new Uint8Array(0), heard: false },
])('$what: counted is $heard', ({ octets, heard }) => {
  const network = createFleetNetwork(dice);
  const { member } = network.join('a', 'seoul', [memberTarget(TARGET)]);
  expect(member.hear(octets, 'z')).toBe(heard);
  expect(member.peers().map(({ node }) => node)).toEqual(heard ? ['z'] : []);
  expect(member.verdict(TARGET)).toBe(heard ? VOTE.DOWN : VOTE.UNKNOWN);
});

test('votes from before a partition do not count when it heals', () => {
  for (let round = 0; round < trials(40); round++) {
    const network = createFleetNetwork(dice);
    // One old vote would be enough.
    const target = memberTarget(TARGET, { quorum: { kind: 'one' } });
    const nodes = ['seoul', 'dublin', 'virginia'].map((region) => network.join(region, region, [target]));
    for (const { member } of nodes) member.vote(TARGET, VOTE.DOWN, 'refused');
    network.advance(5 * HEARTBEAT_MS);
    network.partition((node) => nodes.indexOf(node));
    network.advance(dice.below(5 * HEARTBEAT_MS));
    for (const { member } of nodes) member.vote(TARGET, VOTE.UP, '');
    network.advance(6 * HEARTBEAT_MS);
    const known = nodes.map(({ changes }) => changes.length);
    network.partition(() => 0);
    network.advance(6 * HEARTBEAT_MS);
    // Nothing has changed: all have seen the target up for long.
    expect(nodes.map(({ changes }) => changes.length)).toEqual(known);
    expect(nodes.map(({ member }) => member.verdict(TARGET))).toEqual([VOTE.UP, VOTE.UP, VOTE.UP]);
  }
});

test('another process with the name of this node is noticed, and forgotten when it is silent', () => {
  const network = createFleetNetwork(dice);
  const { member } = network.join('a', 'seoul', [memberTarget(TARGET)]);
  expect(member.hasTwin()).toBe(false);
  member.hear(message({ node: 'a' }));
  expect([member.hasTwin(), member.peers(), member.verdict(TARGET)]).toEqual([true, [], VOTE.UNKNOWN]);
  network.advance(3 * HEARTBEAT_MS + 1);
  expect(member.hasTwin()).toBe(false);
  // The last word of a process that has been taken over from is none.
  member.hear(message({ node: 'a', seq: 2, leaving: true }));
  expect(member.hasTwin()).toBe(false);
});

test('a member tells what it was told to note with the next heartbeat, not before', () => {
  const network = createFleetNetwork(dice);
  const [a, b] = ['a', 'b'].map((name) => network.join(name, name, [memberTarget(TARGET)]));
  network.advance(3 * HEARTBEAT_MS);
  const sent = a?.messagesSent;
  a?.member.note(7, [['state.x', 7, 1500]]);
  expect(a?.messagesSent).toBe(sent);
  network.advance(2 * HEARTBEAT_MS);
  expect(b?.member.peers()).toMatchObject([{ node: 'a', applied: 7, drains: [['state.x', 7, 1500]] }]);
  expect(readVoteMessage(message())?.head.node).toBe('z');
});
