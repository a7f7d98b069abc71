/**
 * Foresight (docs/steering.md#load, derived in docs/decisions/foresight.md): the clients of a VIP that fails move to
 * other VIPs, whose next load reports would come when half of the clients have arrived. So the pressures at which the
 * loads will settle are computed when the VIP fails, and published like reported ones: clients then move directly to
 * their final VIPs. Unless reports confirm them, these pressures fall like all others, so a wrong prediction is
 * forgotten after some TTLs.
 *
 * Foresight runs in the control thread after the health table has been updated, a few services at a time.
 */
import { placeAt } from '../../geo/location.ts';
import type { Clock } from '../../health/clock.ts';
import {
  createHealthTable,
  FORCED,
  packState,
  PROBED,
  viewHealthTable,
  type HealthTable,
  pressureAt,
} from '../../health/health-table.ts';
import type { Foresee, Loss } from '../../health/pressure.ts';
import { hasBits, mapNumber } from '../../steering/plan.ts';
import { ttlBounds } from '../../steering/steps.ts';
import type { ServiceInfo } from '../../zones/catalog.ts';
import type { ExplainedGeneration } from '../explain/explain-place.ts';
import { isInhabited, sketchAtlas, type JointClass } from './address-space.ts';
import type { Weighing } from './client-weights.ts';
import { createSide, outcomeOf, type Side } from './expected-shares.ts';
import { settleLoads, type Loads } from './settle-loads.ts';

/** The generation in force, and its health table. */
export type Served = { readonly loaded: ExplainedGeneration; readonly health: SharedArrayBuffer };

/** Networks sampled to predict which clients are shed: the error of a load is about 3 % of the clients that move. */
const SAMPLED_NETWORKS = 1024;
/** The length of a turn. After it, probes, reports and HTTP get the same time. */
const TURN_MS = 8;
/** CPU time: if the loads of a service have not settled by then, its reports decide. */
const MAX_SERVICE_MS = 100;
/** Services with more VIPs are left to their reports: a single round may take longer than the limit. */
const MAX_VIPS_FORESEEN = 32;
/** This many TTLs after the last loss, clients and loads are where the present steering sends them. */
const BASIS_TTLS = 2;
/** The minimum of that time, for very short TTLs: loads must have been reported again. */
const MIN_BASIS_MS = 10_000;

/** A service before its VIPs began to fail: how clients were steered, and the loads they caused. */
type Basis = { readonly words: readonly Int32Array[]; readonly loads: Loads; lossMs: number };

/** Data derived from a generation when it is first needed. */
type Room = {
  readonly loaded: ExplainedGeneration;
  readonly before: Side;
  readonly after: Side;
  readonly classesOf: (service: number) => readonly JointClass[];
  readonly bases: Map<number, Basis>;
};

/** `counted` returns the answers and client samples of the running server. */
export function createForesight(clock: Clock, served: () => Served, counted: () => Weighing['counted']): Foresee {
  let room: Room | undefined;
  const waiting = new Map<number, { readonly sinceMs: number; readonly raise: Loss['raise'] }>();
  let works = false;

  const roomFor = ({ loaded }: Served): Room => {
    if (room?.loaded !== loaded) {
      room = openRoom(loaded);
      waiting.clear();
    }
    return room;
  };

  const work = (): void => {
    const { before, after, classesOf, bases } = roomFor(served());
    const endMs = clock.now() + TURN_MS;
    const weighed = counted();
    for (const [service, { sinceMs, raise }] of waiting) {
      waiting.delete(service);
      const info = after.generation.catalog.services[service];
      const basis = bases.get(service);
      // After one TTL, all clients have moved already.
      if (info === undefined || basis === undefined || clock.now() - sinceMs > ttlMsOf(info)) continue;
      putWords(before, info, basis.words);
      putWords(after, info, wordsOf(viewOf(served()), info));
      const weighing: Weighing = { classes: classesOf(service), counted: weighed, by: 'auto' };
      const lastMs = computedMs() + MAX_SERVICE_MS;
      const mayGoOn = (): boolean => computedMs() <= lastMs;
      const change = { before, after, service, weighing, loads: basis.loads, sampled: SAMPLED_NETWORKS, mayGoOn };
      if (settleLoads(change)?.settled !== undefined) publish(after, info, raise);
      if (clock.now() >= endMs) break;
    }
    works = waiting.size > 0;
    if (works) clock.after(TURN_MS, work);
  };

  return ({ gone, loadOf, raise }) => {
    const now = served();
    const { loaded, bases } = roomFor(now);
    const { catalog } = loaded;
    const left = new Map<number, Set<number>>();
    for (const { slot, target } of gone) {
      const vip = catalog.vips[slot];
      // A reload may have happened since.
      if (vip?.target !== target) continue;
      left.set(vip.service, (left.get(vip.service) ?? new Set()).add(slot));
    }
    for (const [service, slots] of left) {
      const info = catalog.services[service];
      if (info === undefined || info.vipCount > MAX_VIPS_FORESEEN) continue;
      const sinceMs = clock.now();
      const known = bases.get(service);
      if (known !== undefined && sinceMs - known.lossMs <= basisMsOf(info)) known.lossMs = sinceMs;
      else bases.set(service, { ...basisOf(viewOf(now), loaded, info, slots, loadOf), lossMs: sinceMs });
      waiting.set(service, { sinceMs, raise });
    }
    if (works || waiting.size === 0) return;
    works = true;
    clock.after(0, work);
  };
}

/** CPU time of this thread in ms: unlike elapsed time, it does not depend on how busy the machine is. */
function computedMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function openRoom(loaded: ExplainedGeneration): Room {
  const slots = loaded.catalog.vips.length;
  const side = (): Side => createSide(loaded, createHealthTable(slots));
  const before = side();
  let sketch: readonly JointClass[] | undefined;
  const known = new Map<string, readonly JointClass[]>();
  return {
    loaded,
    before,
    after: side(),
    classesOf(service) {
      const { plan } = before.steerer;
      const maps = hasBits(plan, service)
        .map((has) => mapNumber(plan, service, has))
        .join();
      let classes = known.get(maps);
      if (classes === undefined) {
        sketch ??= sketchAtlas(loaded.atlas);
        known.set(maps, (classes = mergeClasses(before, service, sketch)));
      }
      return classes;
    },
    bases: new Map(),
  };
}

/** Merges classes with the same outcomes and country. There may be 100,000 classes, but services share few maps. */
function mergeClasses(side: Side, service: number, classes: readonly JointClass[]): readonly JointClass[] {
  const merged = new Map<string, JointClass>();
  // Types may use different maps.
  const bits = hasBits(side.steerer.plan, service);
  for (const joint of classes) {
    const place = placeAt(side.generation.locations, joint.before);
    const outcomes = bits.map((has) => outcomeOf(side, service, has, joint.before)).join();
    const key = `${isInhabited(place) ? place.country : '-'} ${outcomes}`;
    const known = merged.get(key);
    if (known === undefined) merged.set(key, { ...joint });
    else known.v4 += joint.v4;
  }
  return [...merged.values()];
}

function ttlMsOf({ ttl, steps }: ServiceInfo): number {
  return ttlBounds(ttl, steps).most * 1000;
}

function basisMsOf(info: ServiceInfo): number {
  return Math.max(MIN_BASIS_MS, BASIS_TTLS * ttlMsOf(info));
}

function viewOf({ loaded, health }: Served): HealthTable {
  return viewHealthTable(health, loaded.catalog.vips.length);
}

function columnsOf({ states, weights, withheld, pressures }: HealthTable): readonly Int32Array[] {
  return [states, weights, withheld, pressures];
}

/** The columns of the health table for the service's VIPs. */
function wordsOf(table: HealthTable, { firstSlot, vipCount }: ServiceInfo): readonly Int32Array[] {
  return columnsOf(table).map((column) => column.slice(firstSlot, firstSlot + vipCount));
}

function putWords({ steerer }: Side, { firstSlot }: ServiceInfo, words: readonly Int32Array[]): void {
  columnsOf(steerer.health).forEach((column, index) => {
    column.set(words[index] ?? [], firstSlot);
  });
}

/** The state of the service before the VIPs in `gone` failed. */
function basisOf(
  table: HealthTable,
  { catalog }: ExplainedGeneration,
  info: ServiceInfo,
  gone: ReadonlySet<number>,
  loadOf: Loss['loadOf'],
): Omit<Basis, 'lossMs'> {
  const words = wordsOf(table, info);
  const [states, , , pressures] = words;
  const vips = catalog.vips.slice(info.firstSlot, info.firstSlot + info.vipCount);
  const loads = vips.map(({ slot, target }, vip) => {
    const load = loadOf(target);
    if (gone.has(slot) && states && pressures) {
      states[vip] = packState(PROBED.UP, FORCED.NONE, 0);
      pressures[vip] = load?.pressure ?? 0;
    }
    return load?.share;
  });
  return { words, loads };
}

function publish(after: Side, { firstSlot, vipCount }: ServiceInfo, raise: Loss['raise']): void {
  const { catalog } = after.generation;
  for (const { slot, target } of catalog.vips.slice(firstSlot, firstSlot + vipCount)) {
    const pressure = pressureAt(after.steerer.health, slot);
    if (pressure > 0) raise(target, pressure);
  }
}
