/**
 * The world of a simulated fleet: where nodes and targets are, what fails and when, and which probe and which message
 * therefore arrives. It knows nothing of votes.
 */
import type { Dice } from './random.ts';

export const MINUTE_MS = 60_000;
export const WEEK_MS = 7 * 24 * 60 * MINUTE_MS;

export type FaultKind =
  /** A target refuses connections; it answers nothing; a whole site answers nothing. */
  | 'crash'
  | 'hang'
  | 'site'
  /** No packet, or 30 % of them, is lost between regions and a site. */
  | 'path'
  | 'lossy'
  /** A node restarts; its network fails; only its probes fail; it is cut off from NATS alone. */
  | 'restart'
  | 'uplink'
  | 'egress'
  | 'cut'
  /** Some regions lose the others: messages, and probes of sites there. */
  | 'split';

export type Fault = {
  readonly kind: FaultKind;
  readonly startMs: number;
  readonly endMs: number;
  /** Of `kind` that concerns one: a target, a site, a node. */
  readonly target: number;
  readonly site: number;
  readonly node: number;
  readonly regions: readonly number[];
};

/** Faults per week of each target, site, pair of region and site, node, or fleet, and their median length. */
export type FaultRates = Readonly<
  Record<FaultKind | 'transit', { readonly perWeek: number; readonly medianMs: number }>
>;

export const FAULT_RATES: FaultRates = {
  crash: { perWeek: 0.25, medianMs: 5 * MINUTE_MS },
  hang: { perWeek: 0.25, medianMs: 5 * MINUTE_MS },
  site: { perWeek: 0.1, medianMs: 10 * MINUTE_MS },
  path: { perWeek: 1, medianMs: 2 * MINUTE_MS },
  // A path between several regions, 2 to all but one, and a site.
  transit: { perWeek: 0.5, medianMs: 5 * MINUTE_MS },
  lossy: { perWeek: 0.2, medianMs: 10 * MINUTE_MS },
  restart: { perWeek: 2, medianMs: MINUTE_MS },
  uplink: { perWeek: 0.5, medianMs: 2 * MINUTE_MS },
  egress: { perWeek: 0.25, medianMs: 5 * MINUTE_MS },
  cut: { perWeek: 0.5, medianMs: 3 * MINUTE_MS },
  split: { perWeek: 5, medianMs: 5 * MINUTE_MS },
};

export type WorldSize = {
  readonly nodes: number;
  readonly regions: number;
  readonly targets: number;
  readonly sites: number;
  readonly durationMs: number;
};

/** Loss of probes without a fault, and on a path that is lossy. */
export const USUAL_LOSS = 0.001;
const LOSSY = 0.3;

export type ProbeFate = 'passes' | 'refused' | 'silent';

export type World = {
  readonly size: WorldSize;
  readonly faults: readonly Fault[];
  readonly regionOf: (node: number) => number;
  readonly siteOf: (target: number) => number;
  readonly apply: (fault: Fault, begins: boolean) => void;
  /** What becomes of a probe that starts now. */
  readonly probe: (node: number, target: number) => ProbeFate;
  /** The probability that a probe fails. */
  readonly loss: (node: number, target: number) => number;
  /** The same for all nodes of a region that have no fault themselves. */
  readonly isImpaired: (region: number, target: number) => boolean;
  /** Share of the node's targets that it cannot reach. */
  readonly unreachable: (node: number) => number;
  readonly isAlive: (node: number) => boolean;
  /** Whether the node has a link to NATS. */
  readonly isLinked: (node: number) => boolean;
  /** Whether clients cannot reach the node either. */
  readonly isOffline: (node: number) => boolean;
  /** Nodes with the same number hear each other, if they have a link. */
  readonly groupOf: (region: number) => number;
  /** Whether a split keeps the region from the target. Down is then right for clients there, and up for others. */
  readonly isApart: (region: number, target: number) => boolean;
  /** Up, and reachable from at least half of the regions; splits do not count. */
  readonly isUsable: (target: number) => boolean;
  /** One way, in milliseconds. */
  readonly messageMs: (from: number, to: number) => number;
  readonly probeMs: (node: number, target: number) => number;
};

/** How many faults concern each place now: faults may overlap. */
type Tally = {
  readonly has: (at: number) => boolean;
  readonly get: (at: number) => number;
  /** Returns whether the place has its first fault, or its last is over. */
  readonly add: (at: number, by: number) => boolean;
};

function createTally(size: number): Tally {
  const counts = new Int32Array(size);
  const get = (at: number): number => counts[at] ?? 0;
  return {
    get,
    has: (at) => get(at) > 0,
    add: (at, by) => {
      const before = get(at);
      counts[at] = before + by;
      return (before === 0) !== (before + by === 0);
    },
  };
}

export function createWorld(size: WorldSize, dice: Dice, given?: readonly Fault[]): World {
  const { nodes, regions, targets, sites } = size;
  const regionOf = (node: number): number => node % regions;
  const siteOf = (target: number): number => target % sites;
  const homeOf = (site: number): number => site % regions;
  const distanceMs = placeRegions(regions, dice);
  const faults = given ?? drawFaults(size, FAULT_RATES, dice);

  const [crashed, hung] = [createTally(targets), createTally(targets)];
  const dark = createTally(sites);
  const [cutPaths, lossyPaths] = [createTally(regions * sites), createTally(regions * sites)];
  const [restarting, uplinks, egress, cut] = [
    createTally(nodes),
    createTally(nodes),
    createTally(nodes),
    createTally(nodes),
  ];
  const splitPaths = createTally(regions * sites);
  /** Regions that cannot reach a site. */
  const blindRegions = createTally(sites);
  const groups = new Int32Array(regions);

  const cutPath = (region: number, site: number, by: number): void => {
    if (cutPaths.add(region * sites + site, by)) blindRegions.add(site, by);
  };
  const isCut = (region: number, site: number): boolean =>
    cutPaths.has(region * sites + site) || splitPaths.has(region * sites + site);
  const shareCut = (region: number): number => {
    let count = 0;
    for (let site = 0; site < sites; site++) if (isCut(region, site)) count += 1;
    return count / sites;
  };
  const apply = (fault: Fault, begins: boolean): void => {
    const by = begins ? 1 : -1;
    switch (fault.kind) {
      case 'crash':
        crashed.add(fault.target, by);
        break;
      case 'hang':
        hung.add(fault.target, by);
        break;
      case 'site':
        dark.add(fault.site, by);
        break;
      case 'path':
        for (const region of fault.regions) cutPath(region, fault.site, by);
        break;
      case 'lossy':
        for (const region of fault.regions) lossyPaths.add(region * sites + fault.site, by);
        break;
      case 'restart':
        restarting.add(fault.node, by);
        break;
      case 'uplink':
        uplinks.add(fault.node, by);
        break;
      case 'egress':
        egress.add(fault.node, by);
        break;
      case 'cut':
        cut.add(fault.node, by);
        break;
      case 'split': {
        const inside = new Set(fault.regions);
        const mark = 1 << (faults.indexOf(fault) % 30);
        for (const region of inside) groups[region] = (groups[region] ?? 0) ^ mark;
        for (let region = 0; region < regions; region++) {
          for (let site = 0; site < sites; site++) {
            if (inside.has(region) !== inside.has(homeOf(site))) splitPaths.add(region * sites + site, by);
          }
        }
      }
    }
  };
  const isUp = (target: number): boolean => !crashed.has(target) && !hung.has(target) && !dark.has(siteOf(target));
  const loss = (node: number, target: number): number => {
    const path = regionOf(node) * sites + siteOf(target);
    if (!isUp(target) || uplinks.has(node) || egress.has(node) || isCut(regionOf(node), siteOf(target))) return 1;
    return lossyPaths.has(path) ? LOSSY : USUAL_LOSS;
  };
  return {
    size,
    faults,
    regionOf,
    siteOf,
    apply,
    loss,
    probe: (node, target) => {
      const chance = loss(node, target);
      if (chance < 1) return dice.chance(chance) ? 'silent' : 'passes';
      const site = siteOf(target);
      const isReached = !uplinks.has(node) && !egress.has(node) && !isCut(regionOf(node), site) && !dark.has(site);
      return isReached && crashed.has(target) && !hung.has(target) ? 'refused' : 'silent';
    },
    isImpaired: (region, target) => {
      const site = siteOf(target);
      return !isUp(target) || isCut(region, site) || lossyPaths.has(region * sites + site);
    },
    unreachable: (node) => (uplinks.has(node) || egress.has(node) ? 1 : shareCut(regionOf(node))),
    isAlive: (node) => !restarting.has(node),
    isLinked: (node) => !restarting.has(node) && !uplinks.has(node) && !cut.has(node),
    isOffline: (node) => restarting.has(node) || uplinks.has(node),
    groupOf: (region) => groups[region] ?? 0,
    isApart: (region, target) => groups[region] !== groups[homeOf(siteOf(target))],
    isUsable: (target) => isUp(target) && blindRegions.get(siteOf(target)) * 2 <= regions,
    messageMs: (from, to) => distanceMs(from, to),
    probeMs: (node, target) => 2 * distanceMs(regionOf(node), homeOf(siteOf(target))),
  };
}

const EARTH_RADIUS_KM = 6371;
/** Light in fibre, on cables that are half as long again as the shortest way. */
const KM_PER_MS = 200 / 1.5;
const LOCAL_MS = 1;

/** Regions at random places on a sphere. Returns the time that a packet takes between two of them. */
function placeRegions(regions: number, dice: Dice): (a: number, b: number) => number {
  const places = Array.from({ length: regions }, () => {
    const height = (dice.below(2001) - 1000) / 1000;
    const angle = (dice.below(3600) / 1800) * Math.PI;
    const width = Math.sqrt(1 - height * height);
    return [width * Math.cos(angle), width * Math.sin(angle), height] as const;
  });
  const times = places.map(([x, y, z]) =>
    places.map(([u, v, w]) => {
      const angle = Math.acos(Math.max(-1, Math.min(1, x * u + y * v + z * w)));
      return LOCAL_MS + (angle * EARTH_RADIUS_KM) / KM_PER_MS;
    }),
  );
  return (a, b) => times[a]?.[b] ?? LOCAL_MS;
}

/** A random number with this mean: the time until the next event of a Poisson process. */
export function exponential(meanMs: number, dice: Dice): number {
  return -Math.log(1 - dice.below(1e9) / 1e9) * meanMs;
}

/** Lengths are log-normal, from a second to a day; one in six is more than four times the median. */
function lengthOf(medianMs: number, dice: Dice): number {
  let normal = -6;
  for (let n = 0; n < 12; n++) normal += dice.below(1e9) / 1e9;
  return Math.min(24 * 60 * MINUTE_MS, Math.max(1000, medianMs * Math.exp(1.4 * normal)));
}

const NONE = { target: -1, site: -1, node: -1, regions: [] as readonly number[] };

/** Draws all faults of the time, each kind as a Poisson process. */
export function drawFaults(size: WorldSize, rates: FaultRates, dice: Dice): Fault[] {
  const { nodes, regions, targets, sites, durationMs } = size;
  const some = (least: number, most: number): number[] =>
    dice.sample(
      Array.from({ length: regions }, (_, region) => region),
      Math.min(regions, least + dice.below(Math.max(1, most - least + 1))),
    );
  const faults: Fault[] = [];
  const draw = (
    name: keyof FaultRates,
    kind: FaultKind,
    things: number,
    place: () => Partial<Pick<Fault, 'target' | 'site' | 'node' | 'regions'>>,
  ): void => {
    const { perWeek, medianMs } = rates[name];
    const meanMs = WEEK_MS / (perWeek * things);
    for (let startMs = exponential(meanMs, dice); startMs < durationMs; startMs += exponential(meanMs, dice)) {
      faults.push({ ...NONE, ...place(), kind, startMs, endMs: startMs + lengthOf(medianMs, dice) });
    }
  };
  draw('crash', 'crash', targets, () => ({ target: dice.below(targets) }));
  draw('hang', 'hang', targets, () => ({ target: dice.below(targets) }));
  draw('site', 'site', sites, () => ({ site: dice.below(sites) }));
  draw('path', 'path', regions * sites, () => ({ site: dice.below(sites), regions: some(1, 1) }));
  draw('transit', 'path', sites, () => ({ site: dice.below(sites), regions: some(2, regions - 1) }));
  draw('lossy', 'lossy', regions * sites, () => ({ site: dice.below(sites), regions: some(1, 1) }));
  for (const kind of ['restart', 'uplink', 'egress', 'cut'] as const) {
    draw(kind, kind, nodes, () => ({ node: dice.below(nodes) }));
  }
  draw('split', 'split', 1, () => ({ regions: some(1, Math.floor(regions / 2)) }));
  return faults.sort((a, b) => a.startMs - b.startMs);
}
