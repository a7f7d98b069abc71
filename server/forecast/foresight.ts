/**
 * Foresight (docs/steering.md#load, derived in docs/decisions/foresight.md): a VIP that goes leaves its clients to the
 * next, whose next load report would come when
 * half of them are there. So the pressures at which the loads will settle are computed at the moment it goes, and
 * published as if they had been reported: clients then move at once to where they would end. They fall as all pressures
 * do unless reports bear them out, so that a wrong prediction is forgotten in some TTLs.
 *
 * It runs in the control thread, after the health table has been told, a few services at a time.
 */
import type { Clock } from '../../health/clock.ts';
import type { Foresee, Loss } from '../../health/pressure.ts';
import {
  createHealthTable,
  FORCED,
  packState,
  PROBED,
  viewHealthTable,
  type HealthTable,
} from '../../health/health-table.ts';
import { HAS, mapNumber } from '../../steering/plan.ts';
import type { ServiceInfo } from '../../zones/catalog.ts';
import { isInhabited, sketchAtlas, type JointClass } from './address-space.ts';
import { createSide, outcomeOf, type Side } from './expected-shares.ts';
import type { ExplainedGeneration } from '../explain/explain-place.ts';
import { settleLoads, type Loads } from './settle-loads.ts';
import { placeAt } from '../../geo/location.ts';
import type { Weighing } from './client-weights.ts';

/** The generation that is served, and its health table. */
export type Served = { readonly loaded: ExplainedGeneration; readonly health: SharedArrayBuffer };

/** Networks by which it is predicted who is shed: a load is then right to within some 3 % of what moves. */
const SAMPLED_NETWORKS = 1024;
/** Then probes, reports and HTTP have their turn for as long. */
const TURN_MS = 8;
/** Of computing: a service whose loads have not settled by then is left to its reports. */
const MAX_SERVICE_MS = 100;
/** One of more VIPs too: a single round may take longer than that. */
const MAX_VIPS_FORESEEN = 32;
/** So many TTLs after the last loss, clients are where the steering of now sends them, and loads are theirs. */
const BASIS_TTLS = 2;
/** Where answers have no TTL to speak of: until loads have been reported again. */
const MIN_BASIS_MS = 10_000;

/** A service before its VIPs began to go: how clients were steered, and the loads that they made. */
type Basis = { readonly words: readonly Int32Array[]; readonly loads: Loads; lossMs: number };

/** What is made of a generation, once it is needed. */
type Room = {
  readonly loaded: ExplainedGeneration;
  readonly before: Side;
  readonly after: Side;
  readonly classesOf: (service: number) => readonly JointClass[];
  readonly bases: Map<number, Basis>;
};

/** `counted` is what a running server knows of its clients. */
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
      // Whoever was to move has moved.
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
      // A reload may have come between.
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

/** How long this thread has computed: a busy machine takes longer, and must foresee as much. */
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
      const maps = FAMILIES.map((has) => mapNumber(before.steerer.plan, service, has)).join();
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

/** Answers of the one may go by another map than those of the other. */
const FAMILIES = [HAS.A, HAS.AAAA] as const;

/** Classes of the same outcomes and country as one of them. There may be a hundred thousand; services share few maps. */
function mergeClasses(side: Side, service: number, classes: readonly JointClass[]): readonly JointClass[] {
  const merged = new Map<string, JointClass>();
  for (const joint of classes) {
    const place = placeAt(side.generation.locations, joint.before);
    const outcomes = FAMILIES.map((has) => outcomeOf(side, service, has, joint.before)).join();
    const key = `${isInhabited(place) ? place.country : '-'} ${outcomes}`;
    const known = merged.get(key);
    if (known === undefined) merged.set(key, { ...joint });
    else known.v4 += joint.v4;
  }
  return [...merged.values()];
}

function ttlMsOf({ ttl }: ServiceInfo): number {
  return ttl.maxSeconds * 1000;
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

/** What the table says of the service's VIPs, column by column. */
function wordsOf(table: HealthTable, { firstSlot, vipCount }: ServiceInfo): readonly Int32Array[] {
  return columnsOf(table).map((column) => column.slice(firstSlot, firstSlot + vipCount));
}

function putWords({ steerer }: Side, { firstSlot }: ServiceInfo, words: readonly Int32Array[]): void {
  columnsOf(steerer.health).forEach((column, index) => {
    column.set(words[index] ?? [], firstSlot);
  });
}

/** As it was when those `gone` were still there. */
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
    const pressure = after.steerer.health.pressures[slot] ?? 0;
    if (pressure > 0) raise(target, pressure);
  }
}
