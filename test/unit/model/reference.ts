/**
 * What a server must know after a history of results, orders, reloads and restarts: docs/health.md, slow and simple.
 * Shares no code with the health room.
 */
import type { RefHealth } from '../steering/reference.ts';
import { beliefsOf, configureNode, giveVote, type FleetReference, type Verdict } from './fleet-reference.ts';
import { noteFiles, type ChangedTexts } from './updates.ts';
import { ruleYaml, ZONES, type ModelCheck, type ModelService, type ModelZone, type World } from './world.ts';

/** A check at an address. `decided`: it has had a result since it began. */
type Unit = { readonly check: ModelCheck; state: Verdict; decided: boolean; passed: boolean; run: number };
type Order = { readonly state: 'up' | 'down' | 'drain'; readonly endMs: number };

/** The server in a fleet. */
export const SELF = 'a';

export type Reference = {
  world: World;
  readonly units: Map<string, Unit>;
  /** By target, also of targets that are gone. */
  readonly orders: Map<string, Order>;
  readonly weights: Map<string, number>;
  /** Texts in the files of each zone. Those of `ex` have its updates. */
  readonly texts: Record<ModelZone, string[]>;
  /** Updates of `sx`. */
  readonly changed: ChangedTexts;
  readonly fleet: FleetReference | undefined;
};

export function unitKey(check: ModelCheck, host: number): string {
  return `${host} ${check.port} ${check.rise} ${check.fall} ${check.intervalMs} ${check.fastMs} ${ruleYaml(check.rule)}`;
}

export function createReference(world: World, fleet: FleetReference | undefined): Reference {
  const texts = { ex: [...world.texts.ex], sx: [...world.texts.sx] };
  return { world, units: new Map(), orders: new Map(), weights: new Map(), texts, changed: new Map(), fleet };
}

/** A reload, or a start with `isStart`: then every state waits for its first result. */
export function begin(reference: Reference, world: World, nowMs: number, isStart = false): void {
  const before = new Map(reference.units);
  /** The states by target and address, in the order of targets. */
  const remembered = new Map<string, Verdict>();
  for (const { target, address, unit } of unitsOf(reference.world, before)) {
    if (unit) remembered.set(`${target} ${address}`, unit.state);
  }
  reference.units.clear();
  for (const { check, vips } of world.services) {
    if (!check) continue;
    for (const { target, host } of vips) {
      const key = unitKey(check, host);
      const kept = isStart ? undefined : before.get(key);
      const unit = reference.units.get(key) ??
        kept ?? { check, state: 'unknown', decided: false, passed: false, run: 0 };
      const saved = remembered.get(`${target} ${host}:${check.port}`);
      // The first of its targets that had a state at this address gives it to a new unit.
      if (saved !== undefined && kept === undefined && unit.state === 'unknown') unit.state = saved;
      reference.units.set(key, unit);
    }
  }
  reference.world = world;
  const checks = new Map([...reference.units].map(([key, { check, state }]) => [key, { rule: check.rule, before: state }])); // prettier-ignore
  if (reference.fleet) configureNode(reference.fleet, SELF, checks, nowMs);
}

/** The texts of the files are read. */
export function readTexts({ texts, changed }: Reference, world: World): void {
  for (const zone of ZONES) texts[zone].splice(0, Infinity, ...world.texts[zone]);
  noteFiles(changed, texts.sx);
}

function* unitsOf(
  world: World,
  units: ReadonlyMap<string, Unit>,
): Generator<{ readonly target: string; readonly address: string; readonly unit: Unit | undefined }> {
  for (const { check, vips } of world.services) {
    if (!check) continue;
    for (const { target, host } of vips) {
      yield { target, address: `${host}:${check.port}`, unit: units.get(unitKey(check, host)) };
    }
  }
}

/** The first result decides; later ones change a state if enough of them in a row contradict it. */
export function hear({ units, fleet }: Reference, key: string, passed: boolean, nowMs: number): void {
  const unit = units.get(key);
  if (!unit) return;
  unit.run = unit.passed === passed && unit.decided ? unit.run + 1 : 1;
  unit.passed = passed;
  const needed = passed ? unit.check.rise : unit.check.fall;
  if (!unit.decided || unit.run >= needed) unit.state = passed ? 'up' : 'down';
  unit.decided = true;
  if (fleet && unit.state !== 'unknown') giveVote(fleet, SELF, key, unit.state, nowMs);
}

/** The server no longer probes a check. If it does so again, the first result decides. */
export function hearNothing({ units }: Reference, key: string): void {
  const unit = units.get(key);
  if (unit) unit.decided = false;
}

/** Ends the orders whose time is over. */
export function expire({ orders }: Reference, nowMs: number): void {
  for (const [target, { endMs }] of orders) if (endMs <= nowMs) orders.delete(target);
}

/**
 * The health of a service's VIPs: one of several where a fleet's verdict is not certain. `holdSeconds` is NaN where an
 * override decides it.
 */
export function healthsOf(reference: Reference, { check, vips }: ModelService): readonly Map<string, RefHealth>[] {
  const { units, orders, weights, fleet } = reference;
  let all: readonly Map<string, RefHealth>[] = [new Map()];
  /** VIPs of one unit have the same verdict, but only one of a service has its address. */
  for (const vip of vips) {
    const key = check && unitKey(check, vip.host);
    const unit = key === undefined ? undefined : units.get(key);
    const forced = orders.get(vip.target)?.state ?? 'none';
    const verdicts = key !== undefined && fleet ? [...beliefsOf(fleet, SELF, key)] : [undefined];
    const healths = verdicts.map((verdict): RefHealth => ({
      ...{ probed: verdict ?? unit?.state ?? 'unknown', forced, withheld: 0, pressure: 0 },
      holdSeconds: forced === 'none' ? holdOf(unit, verdict) : Number.NaN,
      weight: weights.get(vip.target) ?? vip.weight,
    }));
    if (healths.length === 1) for (const each of all) each.set(vip.name, healths[0] as RefHealth);
    else all = all.flatMap((front) => healths.map((health) => new Map(front).set(vip.name, health)));
  }
  return all;
}

/** docs/steering.md#ttl */
function holdOf(unit: Unit | undefined, verdict: Verdict | undefined): number {
  if (!unit) return Infinity;
  const { check, decided, state, passed, run } = unit;
  if (verdict !== undefined && (!decided || verdict !== state)) {
    // The next vote may change it; where this node has no vote yet, it takes as long as a state that is settled.
    if (decided || verdict === 'unknown') return 0;
    return Math.floor(((verdict === 'up' ? check.fall : check.rise) * check.intervalMs) / 1000);
  }
  if (!decided) return 0;
  const needed = state === 'up' ? check.fall : check.rise;
  const against = passed === (state === 'up') ? 0 : run;
  const paceMs = against > 0 ? Math.min(check.fastMs, check.intervalMs) : check.intervalMs;
  return Math.floor(((needed - against) * paceMs) / 1000);
}
