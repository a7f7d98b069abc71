/**
 * The fleet of the model: the votes of the server and of two peers, through the fleet room over a simulated network.
 * The peers have no probes: the model gives their votes.
 */
import { VOTE } from '../../../fleet/count.ts';
import { createVoting, type Voting } from '../../../fleet/voting.ts';
import type { Electorate, Voted } from '../../../health/electorate.ts';
import { PROBED, type Probed } from '../../../health/health-table.ts';
import { createFleetNetwork, type FleetNetwork, type FleetNode } from '../../support/fleet-network.ts';
import { createDice } from '../../support/random.ts';
import type { ModelClock } from './clock.ts';
import {
  abstainNode,
  beliefsOf,
  configureNode,
  connect,
  createFleetReference,
  giveVote,
  loseNode,
  observe,
  probe,
  restartNode,
  wrongProbers,
  type FleetReference,
  type Verdict,
} from './fleet-reference.ts';
import { SELF } from './reference.ts';
import { PEERS } from './steps.ts';
import { REGIONS, type ModelRule } from './world.ts';

type Process = { readonly voting: Voting; readonly node: FleetNode };
export type ModelFleet = {
  readonly reference: FleetReference;
  readonly network: FleetNetwork;
  readonly processes: Map<string, Process>;
  readonly regions: ReadonlyMap<string, string>;
  /** The checks of the server, by place, with their keys in the reference. */
  checks: readonly { readonly voted: Voted; readonly key: string; readonly rule: ModelRule }[];
  /** Called when the server stops to probe a check. */
  stopped: (key: string) => void;
};

export function createModelFleet(clock: ModelClock, seed: number): ModelFleet {
  const dice = createDice(seed);
  const regions = new Map<string, string>([[SELF, 'seoul'], ['b', 'dublin'], ['c', dice.pick(REGIONS)]]); // prettier-ignore
  const processes = new Map<string, Process>();
  const votingOf = (node: FleetNode): Voting | undefined => processes.get(node.name)?.voting;
  const network = createFleetNetwork(dice, {
    queue: clock.queue,
    changed: (node, target) => votingOf(node)?.changed(target),
    hastened: (node, target) => votingOf(node)?.doubted(target),
    probing: (node, target) => {
      votingOf(node)?.probing(target);
      noteProbes(fleet, node.name, clock.now());
    },
  });
  const fleet: ModelFleet = {
    reference: createFleetReference([...regions]),
    network,
    processes,
    regions,
    checks: [],
    stopped: () => undefined,
  };
  for (const peer of PEERS) startProcess(fleet, peer);
  return fleet;
}

function startProcess({ network, processes, regions }: ModelFleet, name: string): Process {
  const voting = createVoting();
  const process = { voting, node: network.join(name, regions.get(name) ?? '', []) };
  voting.attach(process.node.member);
  processes.set(name, process);
  return process;
}

/** What the health room of a new process of the server votes with. `keyOf`: the key in the reference. */
export function electorateOf(
  fleet: ModelFleet,
  keyOf: (voted: Voted) => { readonly key: string; readonly rule: ModelRule },
  nowMs: () => number,
): Electorate {
  const { voting } = startProcess(fleet, SELF);
  return {
    ...voting.face,
    configure: (voted) => {
      voting.face.configure(voted);
      fleet.checks = voted.map((each) => ({ voted: each, ...keyOf(each) }));
      noteProbes(fleet, SELF, nowMs());
      for (const peer of PEERS) configurePeer(fleet, peer, nowMs());
    },
  };
}

function configurePeer(fleet: ModelFleet, name: string, nowMs: number): void {
  const { processes, reference, checks } = fleet;
  const process = processes.get(name);
  if (!process) return;
  process.voting.face.configure(checks.map(({ voted }) => ({ ...voted, before: PROBED.UNKNOWN })));
  configureNode(reference, name, new Map(checks.map(({ key, rule }) => [key, { rule, before: 'unknown' }])), nowMs);
  noteProbes(fleet, name, nowMs);
}

/** Which of the nodes of a region probe is decided by a hash, which the reference does not know. */
function noteProbes({ processes, reference, checks, stopped }: ModelFleet, name: string, nowMs: number): void {
  const face = processes.get(name)?.voting.face;
  if (!face) return;
  for (const { voted, key } of checks) {
    const probes = face.isProbing(voted.key);
    if (probe(reference, name, key, probes, nowMs) && !probes && name === SELF) stopped(key);
  }
}

/** Ends the process of a node, or starts it again. */
export function toggle(fleet: ModelFleet, name: string, nowMs: number): void {
  if (fleet.processes.has(name)) {
    endProcess(fleet, name, nowMs, false);
    return;
  }
  startProcess(fleet, name);
  restartNode(fleet.reference, name, nowMs);
  configurePeer(fleet, name, nowMs);
}

export function endProcess(
  { processes, network, reference }: ModelFleet,
  name: string,
  nowMs: number,
  tells: boolean,
): void {
  // prettier-ignore
  const process = processes.get(name);
  if (!process) return;
  if (tells) process.node.member.leave();
  network.kill(process.node);
  processes.delete(name);
  loseNode(reference, name, nowMs, tells);
}

export function votePeer(
  { processes, reference, checks }: ModelFleet,
  name: string,
  unit: number,
  isUp: boolean,
  nowMs: number,
): void {
  // prettier-ignore
  const process = processes.get(name);
  const check = checks[unit % checks.length];
  if (!process || !check || !process.voting.face.isProbing(check.voted.key)) return;
  process.voting.face.vote(check.voted.key, isUp ? PROBED.UP : PROBED.DOWN, 'said');
  giveVote(reference, name, check.key, isUp ? 'up' : 'down', nowMs);
}

export function abstainPeer(
  { processes, reference }: ModelFleet,
  name: string,
  abstains: boolean,
  nowMs: number,
): void {
  // prettier-ignore
  const process = processes.get(name);
  if (!process) return;
  process.node.member.abstain(abstains);
  abstainNode(reference, name, abstains, nowMs);
}

export function cut({ network, reference }: ModelFleet, groups: readonly number[], nowMs: number): void {
  const byName = new Map([SELF, ...PEERS].map((name, at) => [name, groups[at] ?? 0]));
  network.partition(({ name }) => byName.get(name) ?? 0);
  connect(reference, byName, nowMs);
}

const WORDS: Readonly<Record<Probed, Verdict>> = { [PROBED.UNKNOWN]: 'unknown', [PROBED.UP]: 'up', [PROBED.DOWN]: 'down' }; // prettier-ignore

/** What is wrong with a node's verdicts, and with the nodes that probe one of the checks; undefined if nothing is. */
export function wrongVerdict(
  { processes, reference, checks }: ModelFleet,
  name: string,
  unit: number,
  nowMs: number,
): string | undefined {
  const process = processes.get(name);
  if (!process) return undefined;
  for (const { key, voted } of checks) {
    const verdict = WORDS[process.voting.face.verdict(voted.key)];
    const allowed = beliefsOf(reference, name, key);
    if (!allowed.has(verdict)) {
      const votes = process.voting.votesOn(voted.members[0]?.target ?? '')?.voters.map(({ node, vote, isFresh }) => `${node} ${Object.keys(VOTE)[vote]} ${isFresh}`); // prettier-ignore
      return `${name} has the verdict ${verdict} on ${key}, allowed is ${[...allowed].join(' or ')} (${votes?.join(', ')})`; // prettier-ignore
    }
    observe(reference, name, key, verdict, nowMs);
  }
  const { key } = checks[unit % checks.length] ?? {};
  return key === undefined ? undefined : wrongProbers(reference, key, nowMs);
}
