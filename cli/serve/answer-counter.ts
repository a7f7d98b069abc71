/**
 * Counts the answers since the start that named a VIP, and the queries by zone. Threads count by slot and by place of
 * the zone, and these differ between generations.
 */
import { servedOf, servedOfSlot, zoneQueriesSince, type Current } from './generation.ts';

export type AnswerCounter = {
  /** By slot of the generation in force. */
  readonly served: () => Float64Array;
  /** The count of one slot. */
  readonly of: (slot: number) => number;
  /** Queries by place of the zone in the catalog in force. */
  readonly zoneQueries: () => Float64Array;
  /** Keeps the counts of a generation that no thread uses any more. */
  readonly replaced: (before: Current, next: Current) => void;
};

/** `current` is the generation in force. */
export function createAnswerCounter(current: () => Current): AnswerCounter {
  const counted = new Map<string, number>();
  /** Only of zones in force: a name that returns begins at 0, and names that come and go take no memory. */
  let ofZones: ReadonlyMap<string, number> = new Map();
  const targetOf = ({ catalog }: Current, slot: number): string => catalog.vips[slot]?.target ?? '';
  return {
    served: () => servedOf(current()).map((count, slot) => count + (counted.get(targetOf(current(), slot)) ?? 0)),
    of: (slot) => servedOfSlot(current(), slot) + (counted.get(targetOf(current(), slot)) ?? 0),
    zoneQueries: () => {
      const { zones } = current().catalog;
      return zoneQueriesSince(current()).map((count, place) => count + (ofZones.get(zones[place]?.name ?? '') ?? 0));
    },
    replaced: (before, next) => {
      ofZones = carriedOver(before, next, ofZones);
      // The next generation continues with the same counters.
      if (next.served === before.served) return;
      for (const [slot, count] of servedOf(before).entries()) {
        const target = targetOf(before, slot);
        counted.set(target, (counted.get(target) ?? 0) + count);
      }
    },
  };
}

/** Queries of earlier generations, by names of the zones of the next one. */
function carriedOver(
  before: Current,
  next: Current,
  ofZones: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  // The next generation continues with the same counters.
  if (next.zoneQueries === before.zoneQueries) return ofZones;
  const counts = zoneQueriesSince(before);
  const last = new Map(before.catalog.zones.map(({ name }, place) => [name, counts[place] ?? 0]));
  return new Map(
    next.catalog.zones.flatMap(({ name }) => {
      const count = (last.get(name) ?? 0) + (ofZones.get(name) ?? 0);
      return count === 0 ? [] : [[name, count] as const];
    }),
  );
}
