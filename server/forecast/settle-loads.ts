/**
 * Where the loads of a service come to rest after its state of health has changed (SPEC 4, `shed`): the clients that
 * move change the loads, the loads the pressures, the pressures who moves. Decided by `steer`, with the pressures of
 * health/pressure.ts.
 *
 * A VIP loses as much of its load as it loses of its clients, and whoever gets these gets that load, by `capacity`. So
 * it matters how the clients of one VIP are weighed among each other, and not how those of one against those of another:
 * that is what the loads themselves say.
 *
 * There is such a place: who is shed depends on the pressures without a jump, and pressures are bounded (L. Brouwer,
 * 1911). Marks are narrow, though, and a full step from one set of pressures to the next overshoots. So each VIP takes a
 * part of the step, a smaller one whenever it had gone too far, as in Rprop (M. Riedmiller, H. Braun, 1993); and where
 * that has not come to rest in MAX_ROUNDS, it says so.
 */
import { pressureOf } from '../../health/pressure.ts';
import type { ShedMarks } from '../../health/target-names.ts';
import { FULL, isAvailable } from '../../health/health-table.ts';
import { countEach, createSample } from './sample-networks.ts';
import { landingOf, type Landing, type Side } from './expected-shares.ts';
import { crowdsOf, flows, typesOf, type Crowd } from './traffic.ts';
import type { Weighing } from './client-weights.ts';

/** Loads are shares of the capacity, by local number of the VIP; undefined where none is known. */
export type Loads = readonly (number | undefined)[];

export type Settled = {
  /** Once what was cached before has expired, with the pressures that there were. */
  readonly atOnce: Loads;
  /** Once the pressures have followed; undefined where they come to no rest. */
  readonly settled: Loads | undefined;
};

export type Change = {
  readonly before: Side;
  /** Its health table is left with the settled pressures; where there are none, with those that it had. */
  readonly after: Side;
  readonly service: number;
  /** Of the clients of one VIP against each other: how those of different VIPs compare, the loads say. */
  readonly weighing: Weighing;
  /** Before the change. */
  readonly loads: Loads;
  /** Networks that stand for all of a crowd. */
  readonly sampled: number;
  /** Asked before each round: whether there is time for it. */
  readonly mayGoOn?: () => boolean;
};

/** Most come to rest in some twenty. */
const MAX_ROUNDS = 200;
/**
 * At rest: each load is that which its pressure stands for, to within this share of the capacity; and where few clients
 * could be sampled, the share that one of them is.
 */
const REST = 0.01;
const FIRST_STEP = 0.25;
const SHORTEST_STEP = 0.005;
/** A pressure changes by no more than this in a round. */
const LONGEST_STRIDE = FULL / 2;

/** Undefined where the service does not shed, or no load of it is known. */
export function settleLoads(change: Change): Settled | undefined {
  const { after, service, loads, mayGoOn = () => true } = change;
  const { catalog } = after.generation;
  const info = catalog.services[service];
  if (info?.shed === undefined || loads.every((load) => load === undefined)) return undefined;
  const marks = info.shed;
  const { firstSlot, vipCount } = info;
  const { pressures } = after.steerer.health;
  const loadsNow = createLoads(change);
  const first = pressures.slice(firstSlot, firstSlot + vipCount);
  const wanted = Float64Array.from(first);
  const steps = new Float64Array(vipCount).fill(FIRST_STEP);
  const misses = new Float64Array(vipCount);

  let { found, sampled } = loadsNow();
  const atOnce = known(found, loads);
  for (let round = 0; round < MAX_ROUNDS && mayGoOn(); round++) {
    let rests = true;
    const slack = REST + 1 / sampled;
    for (let vip = 0; vip < vipCount; vip++) {
      if (loads[vip] === undefined) continue;
      const load = found[vip] ?? 0;
      const now = wanted[vip] ?? 0;
      if (!stands(load, now, slack, marks)) rests = false;
      const miss = pressureOf(load, marks) - now;
      const turned = miss * (misses[vip] ?? 0) < 0;
      steps[vip] = turned ? Math.max(SHORTEST_STEP, (steps[vip] ?? 0) / 2) : Math.min(1, (steps[vip] ?? 0) * 1.2);
      misses[vip] = miss;
      const stride = Math.max(-LONGEST_STRIDE, Math.min(LONGEST_STRIDE, miss * (steps[vip] ?? 0)));
      wanted[vip] = now + stride;
    }
    if (rests) return { atOnce, settled: known(found, loads) };
    for (let vip = 0; vip < vipCount; vip++) pressures[firstSlot + vip] = Math.round(wanted[vip] ?? 0);
    ({ found, sampled } = loadsNow());
  }
  pressures.set(first, firstSlot);
  return { atOnce, settled: undefined };
}

/** Whether the pressure is that of the load, or of one that is other by the slack. */
function stands(load: number, pressure: number, slack: number, marks: ShedMarks): boolean {
  return pressureOf(load - slack, marks) <= pressure && pressure <= pressureOf(load + slack, marks);
}

function known(found: Float64Array, loads: Loads): Loads {
  return loads.map((load, vip) => (load === undefined ? undefined : (found[vip] ?? 0)));
}

/** The loads under the pressures that the table of `after` has at the time of the call, by so many sampled clients. */
function createLoads({ before, after, service, weighing, loads, sampled }: Change): () => {
  readonly found: Float64Array;
  readonly sampled: number;
} {
  const { catalog } = after.generation;
  const { firstSlot = 0, vipCount = 0 } = catalog.services[service] ?? {};
  const capacityOf = (vip: number): number => catalog.vips[firstSlot + vip]?.capacity ?? 1;
  // Each type is asked for as often.
  const cells = typesOf({ side: before, service }).flatMap(({ has }) =>
    crowdsOf({ side: before, service, has }, { side: after, service, has }, weighing).map((crowd): Cell => ({
      ...crowd,
      type: has,
    })),
  );
  const most = Math.max(MIN_KINDS, Math.floor(LANDINGS_A_ROUND / Math.max(1, cells.length)));
  const sorted = createSample(before.steerer, service, sampled).sort(most);
  const kindsBefore = sorted.kinds;
  const landingsBefore = new Map(
    [...sorted.clients].map(([kind, client]) => [
      kind,
      cells.map((cell) => byVip(landingOf(before, service, cell.type, cell.before, client))),
    ]),
  );
  const clients = countClients(cells, kindsBefore, landingsBefore, vipCount);
  const workOf = createWork(clients, loads, capacityOf);
  // Load that no client is known to make stays where it is.
  const idle = Float64Array.from({ length: vipCount }, (_, vip) =>
    (clients[vip] ?? 0) > 0 || !isAvailable(after.steerer.health.states[firstSlot + vip] ?? 0)
      ? 0
      : (loads[vip] ?? 0) * capacityOf(vip),
  );

  const sample = createSample(after.steerer, service, kindsBefore.length);
  const landingsAfter = new Map<number, readonly Places[]>();
  /** By VIP, for a client of each cell that is of a pair of kinds. */
  const works = new Map<number, Float64Array>();
  const workAt = (kindBefore: number, kindAfter: number): Float64Array => {
    const pair = kindBefore * KINDS + kindAfter;
    let work = works.get(pair);
    if (work !== undefined) return work;
    works.set(pair, (work = new Float64Array(vipCount)));
    for (const [index, { sizes }] of cells.entries()) {
      const from = landingsBefore.get(kindBefore)?.[index];
      const to = landingsAfter.get(kindAfter)?.[index];
      if (from === undefined || to === undefined) continue;
      for (const flow of flows(from, to)) {
        if (flow.to < 0) continue;
        work[flow.to] = (work[flow.to] ?? 0) + (sizes[flow.from] ?? 0) * flow.share * workOf(flow.from);
      }
    }
    return work;
  };
  /** Clients of these kinds land, while the table has the pressures that made them so. */
  const land = (found: ReadonlyMap<number, Uint8Array>): void => {
    if (landingsAfter.size * cells.length > MAX_KEPT) {
      landingsAfter.clear();
      works.clear();
    }
    /** Of cells with whose clients no pressure has to do. */
    const free = new Map<number, Places>();
    for (const [kind, client] of found) {
      if (landingsAfter.has(kind)) continue;
      const landings = cells.map((cell, index) => {
        const known = free.get(index);
        if (known !== undefined) return known;
        const places = byVip(landingOf(after, service, cell.type, cell.after, client));
        if (after.steerer.decision.shedLimit < 0) free.set(index, places);
        return places;
      });
      landingsAfter.set(kind, landings);
    }
  };

  return () => {
    const { kinds, clients: found, known } = sample.sort(most);
    land(found);
    const sums = idle.slice();
    for (const [pair, count] of countPairs(kindsBefore, kinds, known)) {
      const work = workAt(Math.floor(pair / known), pair % known);
      for (let vip = 0; vip < vipCount; vip++) sums[vip] = (sums[vip] ?? 0) + ((work[vip] ?? 0) * count) / kinds.length;
    }
    return { found: sums.map((work, vip) => work / capacityOf(vip)), sampled: kinds.length };
  };
}

/** How many clients are of a kind before and one after, by kind before × `known` + kind after. */
function countPairs(before: Int32Array, after: Int32Array, known: number): Map<number, number> {
  const counts = new Map<number, number>();
  let [pair, run] = [-1, 0];
  for (let number = 0; number < after.length; number++) {
    const next = (before[number] ?? 0) * known + (after[number] ?? 0);
    if (next === pair) {
      run += 1;
      continue;
    }
    if (run > 0) counts.set(pair, (counts.get(pair) ?? 0) + run);
    [pair, run] = [next, 1];
  }
  if (run > 0) counts.set(pair, (counts.get(pair) ?? 0) + run);
  return counts;
}

/**
 * Where a service has many VIPs under pressure, each client is of a kind of its own. Then so few are looked at that a
 * round takes no longer than some 100 ms, but never fewer than MIN_KINDS.
 */
const LANDINGS_A_ROUND = 4096;
const MIN_KINDS = 512;
/** Landings that are kept from round to round, mostly for clients of few kinds. */
const MAX_KEPT = 100_000;

/** More than a crowd has kinds in MAX_ROUNDS, so that two of them are one number. */
const KINDS = 2 ** 24;

/** The share of each VIP, or LANDING. */
type Places = ReadonlyMap<number, number>;

type Cell = Crowd & { readonly type: number };

/** By VIP, before the change. */
function countClients(
  cells: readonly Cell[],
  kinds: Int32Array,
  landings: ReadonlyMap<number, readonly Places[]>,
  vipCount: number,
): Float64Array {
  const clients = new Float64Array(vipCount);
  for (const [kind, count] of countEach(kinds)) {
    for (const [index, { sizes }] of cells.entries()) {
      for (const [vip, share] of landings.get(kind)?.[index] ?? []) {
        if (vip >= 0) clients[vip] = (clients[vip] ?? 0) + ((sizes[vip] ?? 0) * share * count) / kinds.length;
      }
    }
  }
  return clients;
}

/** The work that a client of each VIP makes; where no load is known, what one of the others makes. In units of `capacity`. */
function createWork(clients: Float64Array, loads: Loads, capacityOf: (vip: number) => number): (vip: number) => number {
  const heard = [...clients.keys()].filter((vip) => loads[vip] !== undefined && (clients[vip] ?? 0) > 0);
  const work = (vip: number): number => (loads[vip] ?? 0) * capacityOf(vip);
  const sum = (of: (vip: number) => number): number => heard.reduce((total, vip) => total + of(vip), 0);
  const mean = heard.length === 0 ? 0 : sum(work) / sum((vip) => clients[vip] ?? 0);
  const each = Float64Array.from(clients, (own, vip) => (own > 0 && loads[vip] !== undefined ? work(vip) / own : mean));
  return (vip) => each[vip] ?? 0;
}

function byVip({ shares }: Landing): Places {
  return new Map(shares.map(({ vip, share }) => [vip, share]));
}
