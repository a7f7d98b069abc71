/** Votes of a simulated week: who hears them when, what each observer counts, and whom they make probe. */
import { countVotes, verdictOf, VOTE, type Ballot, type Stand, type Vote } from '../../fleet/count.ts';
import { PROBED } from '../../health/health-table.ts';
import { LATE_MS } from './fleet-ledger.ts';
import type { Pair } from './fleet-probing.ts';
import {
  CHANGES_GAP_MS,
  FULL_MS,
  hears,
  isApart,
  notePeak,
  probersOf,
  voteIn,
  voteOf,
  type Hot,
  type Week,
} from './fleet-week-state.ts';

/** A share of changed votes comes with the next full heartbeat only. */
const MESSAGE_LOSS = 0.001;
const JITTER_MS = 20;
/** Route 53: healthy while more than 18 % of the checkers say so. */
const ROUTE53_SHARE = 0.18;

export function takeFleetResult(week: Week, pair: Pair, before: Vote): void {
  if (week.islands.has(pair.node)) noteIsland(week, pair);
  if (voteIn(pair.state) === before || week.abstains.has(pair.node)) return;
  noteChange(week, pair.node);
  if (week.hot.has(pair.target)) announce(week, pair.node, pair.target, voteIn(pair.state));
}

/** Changes of one moment are one message (fleet/member.ts). */
function noteChange(week: Week, node: number): void {
  const { joinMs, tellMs } = week;
  const nowMs = week.queue.now();
  week.changes += 1;
  if (nowMs < (joinMs[node] ?? 0)) return;
  week.changeMessages += 1;
  const nextMs = tellMs[node] ?? 0;
  if (nowMs < nextMs) joinMs[node] = nextMs;
  tellMs[node] = Math.max(nowMs, nextMs) + CHANGES_GAP_MS;
}

export function abstain(week: Week, node: number, abstains: boolean): void {
  if (abstains) week.abstains.add(node);
  else week.abstains.delete(node);
  week.extraFulls += 1;
  for (const target of week.hot.keys()) {
    if (voteOf(week, node, target) !== VOTE.UNKNOWN) announce(week, node, target);
  }
}

/** Sends a vote to all observers that hear the node. */
export function announce(week: Week, node: number, target: number, vote = voteOf(week, node, target)): void {
  const { world, queue, dice, hot, fresh } = week;
  const each = hot.get(target);
  if (each === undefined) return;
  const { nodes, regions } = world.size;
  const from = world.regionOf(node);
  const version = (week.version += 1);
  for (let observer = 0; observer < regions; observer++) {
    if (!hears(week, observer, node)) continue;
    const lateMs = dice.chance(MESSAGE_LOSS) ? dice.below(FULL_MS) : 0;
    each.pending += 1;
    queue.at(queue.now() + world.messageMs(from, observer) + dice.below(JITTER_MS) + lateMs, () => {
      each.pending -= 1;
      const at = observer * nodes + node;
      if (fresh[at] === 1 && (each.versions[at] ?? 0) < version) {
        each.versions[at] = version;
        setView(week, each, observer, node, vote);
      }
      cool(week, each);
    });
  }
}

/** Begins to execute the votes on a target. Until now all probers said up. */
export function heat(week: Week, target: number): Hot {
  const known = week.hot.get(target);
  if (known !== undefined) return known;
  const { nodes, regions } = week.world.size;
  const each: Hot = {
    target,
    views: new Uint8Array(regions * nodes),
    versions: new Float64Array(regions * nodes),
    ups: new Int32Array(regions * regions),
    downs: new Int32Array(regions * regions),
    allUps: new Int32Array(regions),
    allDowns: new Int32Array(regions),
    verdicts: new Uint8Array(regions).fill(VOTE.UP),
    shares: new Uint8Array(regions).fill(VOTE.UP),
    held: new Uint8Array(regions * regions),
    heldSince: new Float64Array(regions),
    pending: 0,
  };
  for (let region = 0; region < regions; region++) {
    for (const node of probersOf(week, region, target)) {
      const vote = voteOf(week, node, target);
      for (let observer = 0; observer < regions; observer++) {
        const at = observer * nodes + node;
        if (week.fresh[at] !== 1) continue;
        each.views[at] = vote;
        tally(each, regions, observer, region, vote, 1);
      }
    }
  }
  week.hot.set(target, each);
  return each;
}

/** Ends it when all say up again. */
export function cool(week: Week, each: Hot): void {
  if (each.pending > 0 || each.allDowns.some((downs) => downs > 0)) return;
  if (each.verdicts.some((verdict) => verdict !== VOTE.UP) || each.shares.some((verdict) => verdict !== VOTE.UP))
    return;
  for (let region = 0; region < week.world.size.regions; region++) {
    if (probersOf(week, region, each.target).some((node) => week.probing.get(node, each.target) !== undefined)) return;
  }
  week.hot.delete(each.target);
}

function tally(each: Hot, regions: number, observer: number, region: number, vote: Vote, by: number): void {
  const at = observer * regions + region;
  if (vote === VOTE.UP) {
    each.ups[at] = (each.ups[at] ?? 0) + by;
    each.allUps[observer] = (each.allUps[observer] ?? 0) + by;
  } else if (vote === VOTE.DOWN) {
    each.downs[at] = (each.downs[at] ?? 0) + by;
    each.allDowns[observer] = (each.allDowns[observer] ?? 0) + by;
  }
}

/** Up, down, a tie, or nobody: the verdict depends on these, and is counted when one of them changes. */
function leaning(each: Hot, at: number): number {
  const ups = each.ups[at] ?? 0;
  const downs = each.downs[at] ?? 0;
  return ups + downs === 0 ? 2 : Math.sign(ups - downs);
}

export function setView(week: Week, each: Hot, observer: number, node: number, vote: Vote): void {
  const { world } = week;
  const { nodes, regions } = world.size;
  const at = observer * nodes + node;
  // Two bits are one of the four votes.
  const before = (each.views[at] ?? VOTE.UNKNOWN) as Vote;
  if (before === vote) return;
  const region = world.regionOf(node);
  const place = observer * regions + region;
  const leaned = leaning(each, place);
  tally(each, regions, observer, region, before, -1);
  tally(each, regions, observer, region, vote, 1);
  each.views[at] = vote;
  if (leaning(each, place) !== leaned) recount(week, each, observer);
  countShare(week, each, observer);
  if (vote !== VOTE.DOWN && vote !== VOTE.UP) return;
  const own = observer * regions + observer;
  const opposed = vote === VOTE.DOWN ? each.ups[own] : each.downs[own];
  if (opposed !== 0) doubt(week, observer, each.target, vote);
}

/** The observer's verdict, by the product's own count. */
function recount(week: Week, each: Hot, observer: number): void {
  const { world, queue, dice, ledgers } = week;
  const { nodes, regions } = world.size;
  week.counts += 1;
  const before = (each.verdicts[observer] ?? VOTE.UNKNOWN) as Vote;
  const stand = standOf(week, each, observer);
  // Ballots matter only for what is held on a tie.
  const ballots = stand === undefined ? ballotsOf(week, each, observer) : [];
  const verdict = verdictOf({ ...NO_COUNT, stand }, ballots, before);
  each.verdicts[observer] = verdict;
  ledgers.fleet.show(observer, each.target, verdict === VOTE.DOWN);
  // Others learn what is held on a tie with the next full heartbeat.
  const holds: Stand | 0 = stand === undefined && verdict !== VOTE.UNKNOWN ? (verdict as Stand) : 0;
  if (each.held[observer * regions + observer] === holds) return;
  if (holds !== 0) each.heldSince[observer] = queue.now();
  else week.held += ((queue.now() - (each.heldSince[observer] ?? 0)) / FULL_MS) * (nodes / regions);
  each.held[observer * regions + observer] = holds;
  for (let other = 0; other < regions; other++) {
    if (other === observer || world.groupOf(other) !== world.groupOf(observer)) continue;
    each.pending += 1;
    queue.at(queue.now() + dice.below(FULL_MS) + world.messageMs(observer, other), () => {
      each.pending -= 1;
      each.held[other * regions + observer] = each.held[observer * regions + observer] ?? 0;
      recount(week, each, other);
    });
  }
}

const NO_COUNT = { regions: [], needed: 0 };

/** The fleet's stand. It depends on how the regions lean, so that it is counted once for each pattern of these. */
function standOf(week: Week, each: Hot, observer: number): Stand | undefined {
  const { regions } = week.world.size;
  let pattern = '';
  for (let region = 0; region < regions; region++) pattern += String(leaning(each, observer * regions + region));
  if (!week.stands.has(pattern)) {
    week.stands.set(pattern, countVotes(ballotsOf(week, each, observer), { kind: 'majority' }).stand);
  }
  return week.stands.get(pattern);
}

function ballotsOf({ world, names }: Week, each: Hot, observer: number): readonly Ballot[] {
  const { nodes, regions } = world.size;
  const ballots: Ballot[] = [];
  for (let node = 0; node < nodes; node++) {
    const vote = (each.views[observer * nodes + node] ?? VOTE.UNKNOWN) as Vote;
    const name = names[node];
    if (vote === VOTE.UNKNOWN || name === undefined) continue;
    const held = each.held[observer * regions + world.regionOf(node)] ?? 0;
    if (held === VOTE.UP || held === VOTE.DOWN) ballots.push({ ...name, vote, held });
    else ballots.push({ ...name, vote });
  }
  return ballots;
}

/** The same votes by the rule of Route 53. */
function countShare({ ledgers }: Week, each: Hot, observer: number): void {
  const ups = each.allUps[observer] ?? 0;
  const downs = each.allDowns[observer] ?? 0;
  if (ups + downs === 0) return;
  const verdict = ups > ROUTE53_SHARE * (ups + downs) ? VOTE.UP : VOTE.DOWN;
  if (each.shares[observer] === verdict) return;
  each.shares[observer] = verdict;
  ledgers.share.show(observer, each.target, verdict === VOTE.DOWN);
}

/** A vote was heard in a region: probers there that say the opposite probe now. */
function doubt(week: Week, region: number, target: number, vote: Vote): void {
  const { queue, probing, timing, doubted, world } = week;
  let quiet = 0;
  for (const node of probersOf(week, region, target)) {
    const pair = probing.get(node, target);
    if (pair === undefined || pair.isResting) {
      if (vote === VOTE.DOWN && voteOf(week, node, target) === VOTE.UP) quiet += 1;
    } else if (voteIn(pair.state) !== vote && pair.state.decided) probing.doubt(pair);
  }
  if (quiet === 0) return;
  // Probes that are certain to agree with the state: at most as many as settle it, one every `fast`. An upper bound.
  const key = region * world.size.targets + target;
  const sinceMs = queue.now() - (doubted.get(key) ?? Number.NEGATIVE_INFINITY);
  doubted.set(key, queue.now());
  const most = Math.max(timing.rise, timing.fall);
  const probes = quiet * Math.min(most, Math.ceil(sinceMs / timing.fastMs));
  week.computed += probes;
  notePeak(week, target, Math.ceil(probes / most));
}

export function noteIsland(week: Week, { node, target, state }: Pair): void {
  const { world, queue, usable, usableSince, islandDowns } = week;
  const downs = islandDowns.get(node);
  if (downs === undefined || !state.decided || week.abstains.has(node)) return;
  const isDown = state.probed === PROBED.DOWN;
  if (!isDown) downs.delete(target);
  if (!isDown || downs.has(target)) return;
  downs.add(target);
  const isWrong = usable[target] === 1 && queue.now() - (usableSince[target] ?? 0) > LATE_MS;
  // No client reaches a node whose network has failed.
  if (isWrong && !world.isOffline(node) && !isApart(week, world.regionOf(node), target)) week.falseWhileCutOff += 1;
}
