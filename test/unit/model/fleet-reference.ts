/**
 * Which verdicts each node of a fleet may have at each moment: docs/fleet.md, slow and simple. It does not follow
 * single messages. For some time after a vote, a cut, or a new configuration, a node may or may not have heard of it;
 * then it must have. Shares no code with the fleet room.
 */
import type { ModelRule } from './world.ts';

export type Verdict = 'unknown' | 'up' | 'down';
type Vote = Exclude<Verdict, 'unknown'> | 'none';
/** A vote and when it was given. `lagMs`: how long others may not have heard of it. */
type Given = { readonly atMs: number; readonly vote: Vote; readonly lagMs?: number };

/** A message is heard within this time, and so is one that waits for others before it is sent. */
const HEARD_MS = 250;
/** A peer that was not heard for three heartbeats of a second does not vote. The last was a second ago at most. */
const COUNTS_MS = 1900;
const FORGOTTEN_MS = 3200;
/** All votes are known again after two heartbeats, and a question for the peer's list of checks. */
const KNOWN_MS = 3500;
/** Every second heartbeat has all votes, and the verdicts that a node keeps at a tie. */
const FULL_MS = 2250;
/** From then on, nothing changes until the next event. First all votes are known, then all verdicts at a tie. */
const SETTLED_MS = 2 * (KNOWN_MS + HEARD_MS);

/**
 * Whether a node hears another one. `fromMs`: votes since then may be known. `isUnsure`: while it is down, it may be
 * that none of them counts.
 */
type Link = { isUp: boolean; sinceMs: number; fromMs: number; isUnsure: boolean };

type Node = {
  readonly name: string;
  readonly region: string;
  /** Its checks, with the time since which it has them. */
  readonly checks: Map<string, { readonly rule: ModelRule; readonly sinceMs: number }>;
  /** The checks that it probes. Those of its peers in the region may do so instead. */
  readonly probes: Set<string>;
  readonly votes: Map<string, Given[]>;
  abstains: Given[];
  /** The verdicts that it may have. */
  readonly beliefs: Map<string, ReadonlySet<Verdict>>;
  /** By check: until when peers may have heard that it is up at a tie. */
  readonly upUntilMs: Map<string, number>;
  /** By check: since when it certainly keeps the verdict up at a tie. */
  readonly keepsUpSinceMs: Map<string, number>;
  readonly links: Map<string, Link>;
  isAlive: boolean;
};

export type FleetReference = {
  readonly nodes: readonly Node[];
  /** Nodes of one group hear each other; a node without a group is in group 0. */
  groups: ReadonlyMap<string, number>;
  /** From then on, nothing changes until the next event. */
  settledMs: number;
  lookedMs: number;
  /** A node that stopped to probe too early. */
  stoppedEarly: string | undefined;
};

export function createFleetReference(names: readonly (readonly [name: string, region: string])[]): FleetReference {
  const nodes = names.map(([name, region]): Node => ({
    ...{ name, region, isAlive: true, checks: new Map(), votes: new Map(), abstains: [] },
    ...{ probes: new Set(), beliefs: new Map(), upUntilMs: new Map(), keepsUpSinceMs: new Map() },
    links: new Map(names.map(([peer]) => [peer, { isUp: true, sinceMs: 0, fromMs: 0, isUnsure: true }])),
  }));
  return { nodes, groups: new Map(), settledMs: SETTLED_MS, lookedMs: -1, stoppedEarly: undefined };
}

function nodeOf({ nodes }: FleetReference, name: string): Node {
  const node = nodes.find((each) => each.name === name);
  if (!node) throw new Error(`no node ${name}`);
  return node;
}

function happened(fleet: FleetReference, nowMs: number): void {
  fleet.settledMs = nowMs + SETTLED_MS;
  fleet.lookedMs = -1;
  look(fleet, nowMs);
}

/** A node begins with these checks. `before`: the verdicts of checks that it did not have. */
export function configureNode(
  fleet: FleetReference,
  name: string,
  checks: ReadonlyMap<string, { readonly rule: ModelRule; readonly before: Verdict }>,
  nowMs: number,
): void {
  const node = nodeOf(fleet, name);
  for (const key of [...node.checks.keys()]) {
    if (checks.has(key)) continue;
    for (const each of [node.checks, node.votes, node.probes, ...kept(node)]) each.delete(key);
  }
  for (const [key, { rule, before }] of checks) {
    if (node.checks.has(key)) continue;
    node.checks.set(key, { rule, sinceMs: nowMs });
    node.beliefs.set(key, new Set([before]));
  }
  happened(fleet, nowMs);
}

/** By check: what a node makes of the votes. */
function kept({ beliefs, upUntilMs, keepsUpSinceMs }: Node): readonly Map<string, unknown>[] {
  return [beliefs, upUntilMs, keepsUpSinceMs];
}

/** The process of a node ends; it begins again with `restartNode`. `tells`: it tells its peers. */
export function loseNode(fleet: FleetReference, name: string, nowMs: number, tells: boolean): void {
  const node = nodeOf(fleet, name);
  node.isAlive = false;
  joinLinks(fleet, nowMs, (peer, other) => tells && (peer === node || other === node));
  happened(fleet, nowMs);
}

/** A process without votes and checks; `configureNode` follows at once. */
export function restartNode(fleet: FleetReference, name: string, nowMs: number): void {
  const node = nodeOf(fleet, name);
  for (const each of [node.checks, node.probes, ...kept(node)]) each.clear();
  // Peers may not have noticed, and count the votes of the process before.
  for (const given of node.votes.values()) given.push({ atMs: nowMs, vote: 'none' });
  node.abstains.push({ atMs: nowMs, vote: 'none' });
  node.isAlive = true;
  joinLinks(fleet, nowMs);
}

/** Changes which nodes hear each other. */
export function connect(fleet: FleetReference, groups: ReadonlyMap<string, number>, nowMs: number): void {
  fleet.groups = groups;
  joinLinks(fleet, nowMs);
  happened(fleet, nowMs);
}

function joinLinks(
  fleet: FleetReference,
  nowMs: number,
  isUnsure: (node: Node, peer: Node) => boolean = () => false,
): void {
  const groupOf = ({ name }: Node): number => fleet.groups.get(name) ?? 0;
  for (const node of fleet.nodes) {
    for (const peer of fleet.nodes) {
      const link = node.links.get(peer.name);
      if (!link || node === peer) continue;
      const isUp = node.isAlive && peer.isAlive && groupOf(node) === groupOf(peer);
      if (isUp === link.isUp) continue;
      const isSettled = nowMs - link.sinceMs > (link.isUp ? KNOWN_MS : FORGOTTEN_MS);
      const fromMs = isSettled ? nowMs - HEARD_MS : link.fromMs;
      Object.assign(link, { isUp, sinceMs: nowMs, fromMs, isUnsure: !isSettled || isUnsure(node, peer) });
    }
  }
}

export function giveVote(fleet: FleetReference, name: string, key: string, vote: Vote, nowMs: number): void {
  const { checks, votes } = nodeOf(fleet, name);
  if (!checks.has(key)) return;
  const given = votes.get(key) ?? [];
  if (lastOf(given) === vote) return;
  votes.set(key, [...given, { atMs: nowMs, vote }].slice(-KEPT));
  happened(fleet, nowMs);
}

/**
 * A node begins or stops to probe. Its vote goes with its probes, which others hear with its next full heartbeat.
 * False: nothing changes.
 */
export function probe(fleet: FleetReference, name: string, key: string, probes: boolean, nowMs: number): boolean {
  const node = nodeOf(fleet, name);
  if (!node.checks.has(key) || node.probes.has(key) === probes) return false;
  if (probes) node.probes.add(key);
  else {
    node.probes.delete(key);
    // No region of the model has more than two nodes. The other one probes instead, and must have a vote.
    const mates = fleet.nodes.filter((each) => each !== node && each.region === node.region);
    const haveNone = mates.every((mate) => [...heard(node, mate, key, nowMs)].join() === 'none');
    if (haveNone) fleet.stoppedEarly ??= `${name} stopped to probe ${key} before another node had a vote`;
    const given = node.votes.get(key) ?? [];
    if (lastOf(given) !== 'none') node.votes.set(key, [...given, { atMs: nowMs, vote: 'none', lagMs: FULL_MS }]);
  }
  happened(fleet, nowMs);
  return true;
}

/** While it abstains, none of its votes counts. */
export function abstainNode(fleet: FleetReference, name: string, abstains: boolean, nowMs: number): void {
  const node = nodeOf(fleet, name);
  node.abstains = [...node.abstains, { atMs: nowMs, vote: abstains ? 'down' : 'none' } as const].slice(-KEPT);
  happened(fleet, nowMs);
}

/** More votes are not given within the time in which they may be heard late. */
const KEPT = 50;

function lastOf(given: readonly Given[]): Vote {
  return given.at(-1)?.vote ?? 'none';
}

/** The votes that were in force at some moment of this time. */
function givenIn(given: readonly Given[], fromMs: number, untilMs: number): Set<Vote> {
  const last = given.findLastIndex(({ atMs, lagMs = 0 }) => atMs + lagMs <= fromMs);
  const later = given.slice(last + 1).filter(({ atMs }) => atMs <= untilMs);
  return new Set([given[last]?.vote ?? 'none', ...later.map(({ vote }) => vote)]);
}

/** Whether a node certainly hears a peer, and both have had the check for long enough. */
function hearsAll(node: Node, peer: Node, key: string, nowMs: number): boolean {
  const [link, own, other] = [node.links.get(peer.name), node.checks.get(key), peer.checks.get(key)];
  return link?.isUp === true && !!own && !!other && nowMs > Math.max(link.sinceMs, own.sinceMs, other.sinceMs) + KNOWN_MS; // prettier-ignore
}

/** What of a peer's votes a node may count now. */
function heard(node: Node, peer: Node, key: string, nowMs: number): Set<Vote> {
  const link = node.links.get(peer.name);
  const [own, other] = [node.checks.get(key), peer.checks.get(key)];
  const given = peer.votes.get(key) ?? [];
  if (!link || !own || !other) return new Set(['none']);
  const configuredMs = Math.max(own.sinceMs, other.sinceMs);
  const isKnown = nowMs > Math.max(link.isUp ? link.sinceMs : 0, configuredMs) + KNOWN_MS;
  if (link.isUp) {
    const fromMs = isKnown ? nowMs - HEARD_MS : Math.min(link.fromMs, nowMs - HEARD_MS);
    const votes = givenIn(given, fromMs, nowMs);
    if (!isKnown || givenIn(peer.abstains, fromMs, nowMs).has('down')) votes.add('none');
    return lastOf(peer.abstains) === 'down' && givenIn(peer.abstains, fromMs, nowMs).size === 1 ? new Set(['none']) : votes; // prettier-ignore
  }
  const lostMs = nowMs - link.sinceMs;
  if (lostMs > FORGOTTEN_MS) return new Set(['none']);
  const votes = givenIn(given, link.fromMs, link.sinceMs);
  if (lostMs >= COUNTS_MS || !isKnown || link.isUnsure || peer.abstains.length > 0) votes.add('none'); // prettier-ignore
  return votes;
}

/** Notes what each node may believe now. Call it whenever time has passed, at least every half second. */
export function look(fleet: FleetReference, nowMs: number): void {
  const { lookedMs, settledMs } = fleet;
  if (lookedMs > settledMs) return;
  // Between these two times, nothing changes.
  const isBetween = nowMs <= settledMs && lookedMs > settledMs - SETTLED_MS / 2;
  if (isBetween) return;
  fleet.lookedMs = nowMs;
  for (const node of fleet.nodes) {
    if (!node.isAlive) continue;
    for (const [key, { rule }] of node.checks) judge(fleet, node, key, rule, nowMs);
  }
}

function judge({ nodes }: FleetReference, node: Node, key: string, rule: ModelRule, nowMs: number): void {
  const before = node.beliefs.get(key) ?? new Set(['unknown']);
  const isVoter = ({ region }: Node): boolean => rule.from?.includes(region) ?? true;
  const own: Vote = !isVoter(node) || lastOf(node.abstains) === 'down' ? 'none' : lastOf(node.votes.get(key) ?? []);
  const peers = nodes.filter((peer) => peer !== node && isVoter(peer));
  // What the verdict at a tie comes from.
  const holders = peers.filter(({ region }) => rule.view === 'fleet' || region === node.region);
  const isUpHeld = holders.some(({ upUntilMs }) => nowMs <= (upUntilMs.get(key) ?? -1));
  const isDownHeld = holders.some(({ beliefs }) => beliefs.get(key)?.has('down'));
  const mustBeUp = holders.some((peer) => hearsAll(node, peer, key, nowMs) && nowMs - (peer.keepsUpSinceMs.get(key) ?? Infinity) > FULL_MS); // prettier-ignore
  const next = new Set<Verdict>();
  let isTie = true;
  for (const votes of productOf(peers.map((peer) => [...heard(node, peer, key, nowMs)]))) {
    const ballots = votes.map((vote, at) => ({ region: peers[at]?.region ?? '', vote }));
    const outcome = seen([...ballots, { region: node.region, vote: own }], own, node.region, rule);
    if (outcome !== 'tie') {
      next.add(outcome);
      isTie = false;
      continue;
    }
    if (mustBeUp) next.add('up');
    else for (const each of before) next.add(each);
    if (isUpHeld) next.add('up');
    if (isDownHeld && before.has('unknown') && !mustBeUp) next.add('down');
  }
  node.beliefs.set(key, next);
  if (next.has('up')) node.upUntilMs.set(key, nowMs + KNOWN_MS);
  const keepsUp = isTie && next.size === 1 && next.has('up');
  if (keepsUp) node.keepsUpSinceMs.set(key, node.keepsUpSinceMs.get(key) ?? nowMs);
  else node.keepsUpSinceMs.delete(key);
}

type Ballot = { readonly region: string; readonly vote: Vote };

/** What a node makes of the votes: docs/fleet.md#checks. */
function seen(
  ballots: readonly Ballot[],
  own: Vote,
  region: string,
  { quorum, view }: ModelRule,
): 'up' | 'down' | 'tie' {
  if (view === 'own' && own !== 'none') return own;
  const ofRegion = ballots.filter((each) => each.region === region);
  const isOwn = view !== 'fleet' && ofRegion.some(({ vote }) => vote !== 'none');
  return isOwn ? countOf(ofRegion, 'majority') : countOf(ballots, quorum);
}

function productOf<T>(choices: readonly (readonly T[])[]): readonly (readonly T[])[] {
  return choices.reduce<readonly (readonly T[])[]>(
    (all, some) => all.flatMap((front) => some.map((each) => [...front, each])),
    [[]],
  );
}

/** docs/fleet.md#how-votes-are-counted */
function countOf(ballots: readonly Ballot[], quorum: string): 'up' | 'down' | 'tie' {
  const voting = ballots.filter(({ vote }) => vote !== 'none');
  const regions = [...new Set(voting.map(({ region }) => region))];
  const margins = regions.map((name) => {
    const own = voting.filter(({ region }) => region === name);
    return own.filter(({ vote }) => vote === 'down').length - own.filter(({ vote }) => vote === 'up').length;
  });
  const [downs, ups] = [margins.filter((margin) => margin > 0).length, margins.filter((margin) => margin < 0).length];
  const all = regions.length;
  if (all === 0) return 'tie';
  if (quorum === 'majority') return downs > all / 2 ? 'down' : ups > all / 2 ? 'up' : 'tie';
  const needed = quorum === 'one' ? 1 : quorum === 'all' ? all : quorum.endsWith('%') ? Math.max(1, Math.ceil((Number.parseFloat(quorum) / 100) * all)) : Math.min(Number(quorum), all); // prettier-ignore
  if (downs >= needed) return 'down';
  // Up as soon as the others can no longer be enough.
  return all - ups < needed ? 'up' : 'tie';
}

/**
 * Whether a wrong number of nodes of a region probes: docs/fleet.md#checks. It is known only some time after nodes were
 * lost, were found or began with the check. A node that is no longer wanted stops when those in its place have votes.
 */
export function wrongProbers(
  { nodes, groups, stoppedEarly }: FleetReference,
  key: string,
  nowMs: number,
): string | undefined {
  if (stoppedEarly !== undefined) return stoppedEarly;
  const groupOf = ({ name }: Node): number => groups.get(name) ?? 0;
  const isNew = (sinceMs = nowMs): boolean => nowMs < sinceMs + 2 * KNOWN_MS;
  const alive = nodes.filter(({ isAlive }) => isAlive);
  if (alive.some(({ checks, links }) => isNew(checks.get(key)?.sinceMs) || [...links.values()].some(({ sinceMs }) => isNew(sinceMs)))) return undefined; // prettier-ignore
  for (const mates of Map.groupBy(alive, (node) => `${node.region} ${groupOf(node)}`).values()) {
    const rule = mates[0]?.checks.get(key)?.rule;
    const isWanted = rule?.from?.includes(mates[0]?.region ?? '') ?? true;
    const wanted = isWanted ? Math.min(rule?.probers ?? Infinity, mates.length) : 0;
    const probing = mates.filter(({ probes }) => probes.has(key));
    const haveVotes = probing.every(({ votes, abstains }) => lastOf(abstains) === 'none' && lastOf(votes.get(key) ?? []) !== 'none' && !isNew(Math.max(...[...(votes.get(key) ?? []), ...abstains].map(({ atMs }) => atMs)))); // prettier-ignore
    if (probing.length < wanted || (probing.length > wanted && (haveVotes || wanted === 0))) {
      return `${probing.length} of ${mates.map(({ name }) => name).join()} probe ${key}, expected ${wanted}`;
    }
  }
  return undefined;
}

/** The verdict that a node has now. */
export function observe(fleet: FleetReference, name: string, key: string, verdict: Verdict, nowMs: number): void {
  const node = nodeOf(fleet, name);
  const check = node.checks.get(key);
  if (!check || (node.beliefs.get(key)?.size ?? 0) < 2) return;
  node.beliefs.set(key, new Set([verdict]));
  judge(fleet, node, key, check.rule, nowMs);
  fleet.lookedMs = -1;
}

/** The verdicts that a node may have. */
export function beliefsOf(fleet: FleetReference, name: string, key: string): ReadonlySet<Verdict> {
  return nodeOf(fleet, name).beliefs.get(key) ?? new Set(['unknown']);
}
