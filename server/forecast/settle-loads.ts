/**
 * Where the loads of a service settle after its health has changed (docs/steering.md#load): clients that move change
 * the loads, the loads change the pressures, and the pressures decide which clients move. `steer` makes the decisions,
 * with the pressures of health/pressure.ts.
 *
 * A VIP loses the same share of its load as of its clients, and the VIPs that get these clients get that load, by
 * `capacity`. So the weights matter among the clients of one VIP, but not between clients of different VIPs: the loads
 * themselves say how these compare.
 *
 * A fixed point exists, because the shed clients depend continuously on the pressures, and pressures are bounded (L.
 * Brouwer, 1911). The marks of `shed` are close together, though, and a full step from one set of pressures to the next
 * overshoots. So each VIP takes a part of the step, which shrinks after each overshoot, as in Rprop (M. Riedmiller, H.
 * Braun, 1993). If the loads have not settled after MAX_ROUNDS, the result says so.
 */
import { FULL, isAvailable, stateAt } from '../../health/health-table.ts';
import { pressureOf } from '../../health/pressure.ts';
import type { ShedMarks } from '../../health/target-names.ts';
import { HAS } from '../../steering/plan.ts';
import type { Weighing } from './client-weights.ts';
import { landingOf, type Landing, type Side } from './expected-shares.ts';
import { addAt, numberAt } from './numbers.ts';
import { countEach, createSample } from './sample-networks.ts';
import { crowdsOf, flows, typesOf, type Crowd } from './traffic.ts';

/** Loads are shares of the capacity, by local number of the VIP; undefined if unknown. */
export type Loads = readonly (number | undefined)[];

export type Settled = {
  /** When cached answers have expired, with the old pressures. */
  readonly atOnce: Loads;
  /** When the pressures have followed; undefined if they do not settle. */
  readonly settled: Loads | undefined;
};

export type Change = {
  readonly before: Side;
  /** Its health table gets the settled pressures. If the loads do not settle, it keeps its pressures. */
  readonly after: Side;
  readonly service: number;
  /** Relative weights of the clients of one VIP; the loads say how clients of different VIPs compare. */
  readonly weighing: Weighing;
  /** Loads before the change. */
  readonly loads: Loads;
  /** Number of client networks that represent a crowd. */
  readonly sampled: number;
  /** Called before each round. Returns whether there is time for it. */
  readonly mayGoOn?: () => boolean;
};

/** Most services settle in about 20 rounds. */
const MAX_ROUNDS = 200;
/**
 * Loads have settled when each load matches its pressure to within this share of the capacity, or to within the share
 * of one sampled client if that is larger.
 */
const REST = 0.01;
const FIRST_STEP = 0.25;
const SHORTEST_STEP = 0.005;
/** The most that a pressure changes per round. */
const LONGEST_STRIDE = FULL / 2;

/** Undefined if the service does not shed, or if none of its loads is known. */
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
      const load = numberAt(found, vip);
      const now = numberAt(wanted, vip);
      if (!isSettled(load, now, slack, marks)) rests = false;
      const miss = pressureOf(load, marks) - now;
      const turned = miss * numberAt(misses, vip) < 0;
      steps[vip] = turned ? Math.max(SHORTEST_STEP, numberAt(steps, vip) / 2) : Math.min(1, numberAt(steps, vip) * 1.2);
      misses[vip] = miss;
      const stride = Math.max(-LONGEST_STRIDE, Math.min(LONGEST_STRIDE, miss * numberAt(steps, vip)));
      wanted[vip] = now + stride;
    }
    if (rests) return { atOnce, settled: known(found, loads) };
    for (let vip = 0; vip < vipCount; vip++) pressures[firstSlot + vip] = Math.round(numberAt(wanted, vip));
    ({ found, sampled } = loadsNow());
  }
  pressures.set(first, firstSlot);
  return { atOnce, settled: undefined };
}

/** Whether the pressure is that of the load, or of a load that differs by at most the slack. */
function isSettled(load: number, pressure: number, slack: number, marks: ShedMarks): boolean {
  return pressureOf(load - slack, marks) <= pressure && pressure <= pressureOf(load + slack, marks);
}

function known(found: Float64Array, loads: Loads): Loads {
  return loads.map((load, vip) => (load === undefined ? undefined : numberAt(found, vip)));
}

/** Computes the loads with the present pressures of the table of `after`, from a sample of clients. */
function createLoads({ before, after, service, weighing, loads, sampled }: Change): () => {
  readonly found: Float64Array;
  readonly sampled: number;
} {
  const { catalog } = after.generation;
  const { firstSlot = 0, vipCount = 0 } = catalog.services[service] ?? {};
  const capacityOf = (vip: number): number => catalog.vips[firstSlot + vip]?.capacity ?? 1;
  // Clients connect to addresses, whatever they get in records of other types.
  const types = typesOf({ side: before, service });
  const ofClients = types.filter(({ has }) => has < HAS.FIRST_OTHER);
  // All types are assumed to be queried equally often.
  const cells = (ofClients.length > 0 ? ofClients : types).flatMap(({ has }) =>
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
  // Load without known clients stays at its VIP.
  const idle = Float64Array.from({ length: vipCount }, (_, vip) =>
    numberAt(clients, vip) > 0 || !isAvailable(stateAt(after.steerer.health, firstSlot + vip))
      ? 0
      : numberAt(loads, vip) * capacityOf(vip),
  );

  const sample = createSample(after.steerer, service, kindsBefore.length);
  const landingsAfter = new Map<number, readonly Places[]>();
  /** By pair of kinds (before and after): the work that one client of this pair in each cell causes, by VIP. */
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
        addAt(work, flow.to, numberAt(sizes, flow.from) * flow.share * workOf(flow.from));
      }
    }
    return work;
  };
  /** Computes the landings of these kinds. The table must have the pressures from which the kinds were made. */
  const land = (found: ReadonlyMap<number, Uint8Array>): void => {
    if (landingsAfter.size * cells.length > MAX_KEPT) {
      landingsAfter.clear();
      works.clear();
    }
    /** Landings of cells whose clients no pressure affects. */
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
      for (let vip = 0; vip < vipCount; vip++) addAt(sums, vip, (numberAt(work, vip) * count) / kinds.length);
    }
    return { found: sums.map((work, vip) => work / capacityOf(vip)), sampled: kinds.length };
  };
}

/** The number of clients per pair of kinds: kind before × `known` + kind after. */
function countPairs(before: Int32Array, after: Int32Array, known: number): Map<number, number> {
  const counts = new Map<number, number>();
  let [pair, run] = [-1, 0];
  for (let number = 0; number < after.length; number++) {
    const next = numberAt(before, number) * known + numberAt(after, number);
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
 * If a service has many VIPs under pressure, nearly every client is a different kind. Then fewer clients are sampled,
 * so that a round takes at most about 100 ms, but never fewer than MIN_KINDS.
 */
const LANDINGS_A_ROUND = 4096;
const MIN_KINDS = 512;
/** The most landings cached between rounds. The cache helps if there are few kinds. */
const MAX_KEPT = 100_000;

/** More than the kinds of a crowd in MAX_ROUNDS, so that a pair of kinds fits one number. */
const KINDS = 2 ** 24;

/** Shares by local number of the VIP, or by LANDING. */
type Places = ReadonlyMap<number, number>;

type Cell = Crowd & { readonly type: number };

/** The number of clients by VIP, before the change. */
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
        if (vip >= 0) addAt(clients, vip, (numberAt(sizes, vip) * share * count) / kinds.length);
      }
    }
  }
  return clients;
}

/**
 * Work per client of each VIP, in units of `capacity`. For a VIP without a known load, this is the mean of the other
 * VIPs.
 */
function createWork(clients: Float64Array, loads: Loads, capacityOf: (vip: number) => number): (vip: number) => number {
  const heard = [...clients.keys()].filter((vip) => loads[vip] !== undefined && numberAt(clients, vip) > 0);
  const work = (vip: number): number => numberAt(loads, vip) * capacityOf(vip);
  const sum = (of: (vip: number) => number): number => heard.reduce((total, vip) => total + of(vip), 0);
  const mean = heard.length === 0 ? 0 : sum(work) / sum((vip) => numberAt(clients, vip));
  const each = Float64Array.from(clients, (own, vip) => (own > 0 && loads[vip] !== undefined ? work(vip) / own : mean));
  return (vip) => numberAt(each, vip);
}

function byVip({ shares }: Landing): Places {
  return new Map(shares.map(({ vip, share }) => [vip, share]));
}
