/** Faults of a simulated week: which probes meet another fate, who hears whom, and who probes instead. */
import { probersWanted } from '../../fleet/choose-probers.ts';
import { VOTE } from '../../fleet/count.ts';
import { HEARTBEAT_MS } from '../../fleet/member.ts';
import { PROBED } from '../../health/health-table.ts';
import { FIRST_ROUND_MS } from '../../health/limits.ts';
import { freshState, UP_STATE, type Probing } from './fleet-probing.ts';
import { CHANGES_GAP_MS, FRESH_MS, hears, holderOf, probersOf, voteOf, type Week } from './fleet-week-state.ts';
import { announce, heat, noteIsland, setView } from './fleet-week-votes.ts';
import { USUAL_LOSS, type Fault } from './fleet-world.ts';

/** A node sends all votes for newcomers as often at most (fleet/member.ts). */
const WELCOME_MS = 100;
/** A prober stops when its successor has a vote: after a first probe that fails, at the latest. */
const HANDOVER_MS = FIRST_ROUND_MS + 2500;

export function turn(week: Week, fault: Fault, begins: boolean): void {
  const { world, queue, usable, usableSince, ledgers } = week;
  world.apply(fault, begins);
  for (const target of targetsOf(week, fault)) {
    const isUsable = world.isUsable(target);
    if ((usable[target] === 1) === isUsable) continue;
    usable[target] = isUsable ? 1 : 0;
    usableSince[target] = queue.now();
    for (const ledger of Object.values(ledgers)) ledger.turn(target, isUsable);
  }
  if (fault.node >= 0) turnNode(week, fault, begins);
  if (fault.kind === 'restart' || fault.kind === 'cut') return;
  for (const target of targetsOf(week, fault)) {
    for (const region of regionsOf(week, fault)) wakeRegion(week, region, target, fault.node);
  }
  for (let node = 0; node < world.size.nodes; node++) {
    if (fault.node >= 0 ? node !== fault.node : !regionsOf(week, fault).has(world.regionOf(node))) continue;
    for (const probing of [week.probing, week.aloneProbing]) probing.reconsider(node);
  }
  if (fault.kind === 'split') {
    for (const inside of begins ? [] : fault.regions) {
      for (let other = 0; other < world.size.regions; other++) {
        week.apartMs[inside * world.size.regions + other] = queue.now();
        week.apartMs[other * world.size.regions + inside] = queue.now();
      }
    }
    moveLocks(week);
    for (let node = 0; node < world.size.nodes; node++) relink(week, node);
  }
}

function targetsOf({ world }: Week, fault: Fault): readonly number[] {
  if (fault.target >= 0) return [fault.target];
  const all: number[] = [];
  const { targets, sites } = world.size;
  if (fault.site >= 0) for (let target = fault.site; target < targets; target += sites) all.push(target);
  else for (let target = 0; target < targets; target++) all.push(target);
  return all;
}

/** The regions whose probes are affected. */
function regionsOf({ world }: Week, fault: Fault): ReadonlySet<number> {
  if (fault.node >= 0) return new Set([world.regionOf(fault.node)]);
  if (fault.kind === 'path' || fault.kind === 'lossy') return new Set(fault.regions);
  return new Set(Array.from({ length: world.size.regions }, (_, region) => region));
}

/** Probes of a target from a region meet another fate from now on; `only` those of this node, unless negative. */
function wakeRegion(week: Week, region: number, target: number, only: number): void {
  const { world, probing, aloneProbing, lockProbing, islands } = week;
  for (const node of probersOf(week, region, target)) {
    if (only < 0 || node === only) wakePair(week, probing, node, target);
  }
  for (const node of islands) {
    if (world.regionOf(node) === region && (only < 0 || node === only)) wakePair(week, probing, node, target);
  }
  if (only < 0 || region === only) wakePair(week, aloneProbing, region, target);
  const holder = lockProbing.get(0, target)?.node ?? holderOf(week, target);
  if (only < 0 ? world.regionOf(holder) === region : holder === only) wakePair(week, lockProbing, holder, target);
}

function wakePair(week: Week, probing: Probing, node: number, target: number): void {
  const { world } = week;
  if (!world.isAlive(node)) return;
  const pair = probing.get(node, target);
  if (pair !== undefined) probing.wake(pair);
  else if (world.loss(node, target) !== USUAL_LOSS) probing.add(node, target, UP_STATE, undefined);
}

function turnNode(week: Week, { kind, node }: Fault, begins: boolean): void {
  const { world, probing, aloneProbing, islands, islandDowns } = week;
  if (kind === 'egress') return;
  if (kind === 'restart' && begins) {
    for (const each of [probing, aloneProbing]) each.forget(node);
    week.abstains.delete(node);
    islands.delete(node);
    islandDowns.delete(node);
  }
  if (kind === 'restart' && world.isAlive(node)) startNode(week, node);
  moveLocks(week);
  relink(week, node);
}

/** A node probes again, after a restart. Without a fault, its first probes pass. */
function startNode(week: Week, node: number): void {
  const { world, dice, probing, aloneProbing, ledgers } = week;
  const region = world.regionOf(node);
  const isSample = node < world.size.regions;
  for (let target = 0; target < world.size.targets; target++) {
    const isImpaired = world.loss(node, target) !== USUAL_LOSS;
    if (isSample && (isImpaired || ledgers.alone.isDown(node, target))) {
      const saved = ledgers.alone.isDown(node, target) ? PROBED.DOWN : PROBED.UP;
      aloneProbing.add(node, target, freshState(saved), dice.below(FIRST_ROUND_MS));
    }
    if (isImpaired && probersOf(week, region, target).includes(node)) {
      probing.add(node, target, freshState(), dice.below(FIRST_ROUND_MS));
    }
  }
}

/** Locks whose holder is lost go to other nodes; the count of failures in a row goes with them. */
function moveLocks(week: Week): void {
  const { world, lockProbing } = week;
  for (const pair of [...lockProbing.pairs()]) {
    const holder = holderOf(week, pair.target);
    if (holder === pair.node) continue;
    pair.node = holder;
    pair.isResting = true;
    lockProbing.wake(pair);
  }
  for (let target = 0; target < world.size.targets; target++) {
    const holder = holderOf(week, target);
    if (world.loss(holder, target) === USUAL_LOSS || lockProbing.get(0, target) !== undefined) continue;
    lockProbing.add(holder, target, UP_STATE, undefined);
  }
}

/** The node's links have changed: observers lose it after three heartbeats, or hear its next one. */
function relink(week: Week, node: number): void {
  const { world, queue, dice, fresh } = week;
  const { nodes, regions } = world.size;
  for (let observer = 0; observer < regions; observer++) {
    const isHeard = hears(week, observer, node);
    if ((fresh[observer * nodes + node] === 1) === isHeard) continue;
    const beatMs = dice.below(HEARTBEAT_MS);
    const afterMs = isHeard
      ? beatMs + world.messageMs(world.regionOf(node), observer)
      : FRESH_MS - beatMs + dice.below(HEARTBEAT_MS);
    queue.at(queue.now() + afterMs, () => {
      if (hears(week, observer, node) === isHeard) setFresh(week, observer, node, isHeard);
    });
  }
  const isIsland = world.isAlive(node) && !world.isLinked(node);
  if (isIsland === week.islands.has(node)) return;
  queue.at(queue.now() + (isIsland ? FRESH_MS : HEARTBEAT_MS / 2), () => {
    if ((world.isAlive(node) && !world.isLinked(node)) === isIsland) setIsland(week, node, isIsland);
  });
}

function setFresh(week: Week, observer: number, node: number, isFresh: boolean): void {
  const { world, fresh, hot } = week;
  const at = observer * world.size.nodes + node;
  if ((fresh[at] === 1) === isFresh) return;
  fresh[at] = isFresh ? 1 : 0;
  if (isFresh) welcome(week, observer, node);
  if (world.regionOf(node) === observer) changeProbers(week, observer, node);
  for (const each of hot.values()) {
    setView(week, each, observer, node, isFresh ? voteOf(week, node, each.target) : VOTE.UNKNOWN);
  }
}

/** The nodes of a region send all votes for newcomers, once in WELCOME_MS; so does the newcomer, which hears all. */
function welcome(week: Week, observer: number, node: number): void {
  const { world, queue, welcomedMs } = week;
  const { nodes, regions } = world.size;
  if (world.regionOf(node) === observer) week.extraFulls += Math.min(nodes, HEARTBEAT_MS / WELCOME_MS);
  if (queue.now() - (welcomedMs[observer] ?? 0) < WELCOME_MS) return;
  welcomedMs[observer] = queue.now();
  week.extraFulls += nodes / regions;
}

/** The fresh nodes of a region have changed. Only targets that are not simply up are executed. */
function changeProbers(week: Week, region: number, changed: number): void {
  const { world, hot } = week;
  noteMoves(week, region, changed);
  const before = week.probers[region] ?? new Map<number, readonly number[]>();
  week.probers[region] = new Map();
  for (let target = 0; target < world.size.targets; target++) {
    if (!hot.has(target) && !world.isImpaired(region, target)) continue;
    const old = before.get(target) ?? probersBefore(week, region, target, changed);
    const chosen = probersOf(week, region, target);
    for (const node of chosen) if (!old.includes(node) && node !== changed) startProber(week, node, target);
    for (const node of old) if (!chosen.includes(node) && node !== changed) endProber(week, region, node, target);
  }
}

/**
 * Messages about targets that simply move to other probers: those of a lost node begin elsewhere; those of a node that
 * is back begin there, and end elsewhere. The votes come within the first round.
 */
function noteMoves(week: Week, region: number, changed: number): void {
  const { world, fresh } = week;
  const { nodes, regions, targets } = world.size;
  let mates = 0;
  for (let node = region; node < nodes; node += regions) mates += fresh[region * nodes + node] ?? 0;
  const isFresh = fresh[region * nodes + changed] === 1;
  const all = isFresh ? mates : mates + 1;
  const moved = (targets * probersWanted(undefined, all)) / all;
  const senders = Math.min(all - 1, moved);
  const most = FIRST_ROUND_MS / CHANGES_GAP_MS;
  const others = probersWanted(undefined, all) < all ? 1 : 0;
  week.changes += moved * (others + (isFresh ? 1 : 0));
  week.changeMessages += others * senders * Math.min(most, moved / senders) + (isFresh ? Math.min(most, moved) : 0);
}

/** The probers that were, while this node was fresh or not. */
function probersBefore(week: Week, region: number, target: number, changed: number): readonly number[] {
  const at = region * week.world.size.nodes + changed;
  const now = week.fresh[at] ?? 0;
  week.fresh[at] = 1 - now;
  const old = probersOf(week, region, target);
  week.fresh[at] = now;
  week.probers[region]?.delete(target);
  return old;
}

function startProber(week: Week, node: number, target: number): void {
  const { world, queue, dice, probing } = week;
  const firstMs = dice.below(FIRST_ROUND_MS);
  if (!world.isAlive(node) || probing.get(node, target) !== undefined) return;
  if (world.loss(node, target) !== USUAL_LOSS) {
    heat(week, target);
    probing.add(node, target, freshState(), firstMs);
    return;
  }
  queue.at(queue.now() + firstMs + world.probeMs(node, target), () => {
    if (week.hot.has(target)) announce(week, node, target);
  });
}

function endProber(week: Week, region: number, node: number, target: number): void {
  const { queue, probing, islands } = week;
  queue.at(queue.now() + HANDOVER_MS, () => {
    if (islands.has(node) || probersOf(week, region, target).includes(node)) return;
    const pair = probing.get(node, target);
    if (pair !== undefined) probing.drop(pair);
    if (week.hot.has(target)) announce(week, node, target);
  });
}

/** A node that hears no other probes all targets, and decides by its own votes. */
function setIsland(week: Week, node: number, isIsland: boolean): void {
  const { world, dice, probing, islands, islandDowns, ledgers } = week;
  if (islands.has(node) === isIsland) return;
  const region = world.regionOf(node);
  if (!isIsland) {
    islands.delete(node);
    islandDowns.delete(node);
    for (const pair of [...probing.pairs()]) {
      if (pair.node !== node || probersOf(week, region, pair.target).includes(node)) continue;
      probing.drop(pair);
      if (week.hot.has(pair.target)) announce(week, node, pair.target);
    }
    return;
  }
  islands.add(node);
  islandDowns.set(node, new Set());
  for (let target = 0; target < world.size.targets; target++) {
    const pair = probing.get(node, target);
    if (pair !== undefined) noteIsland(week, pair);
    else if (world.loss(node, target) !== USUAL_LOSS) {
      // It holds what the fleet decided until its first result.
      if (ledgers.fleet.isDown(region, target)) islandDowns.get(node)?.add(target);
      probing.add(node, target, freshState(), dice.below(FIRST_ROUND_MS));
    }
  }
}
