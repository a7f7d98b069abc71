/**
 * Orderings in plain form: two orderings that keep the same VIPs of every set of candidates are equal. They identify
 * the outcomes of a map, so that scopes are as wide as possible (docs/steering.md#scope). Pure; runs at load time.
 */
import { isNoAnswer, type Preference } from './place.ts';

/** Brings the steps of a chain into plain form, in order, because each depends on what earlier steps leave. */
export type Plain = {
  /** Returns the preferences of a step that depends on the place, in plain form. */
  prefer(preferences: readonly Preference[]): Preference[];
  /** Applies a `failover` that leads to these regions, or to VIPs in them. */
  pass(regions: readonly number[]): void;
  /** The regions that the steps so far can keep, whatever is down. */
  reach(): ReadonlySet<number>;
  /** Whether the steps keep any VIP while none is down. */
  hasData(): boolean;
};

/** `present` are the regions that have VIPs of the type of the query: other regions never have a candidate. */
export function plainFrom(present: readonly number[]): Plain {
  let possible: ReadonlySet<number> = new Set(present);
  /** Whether all candidates are in one region, so that a step keeps all of them or none. */
  let isOne = possible.size <= 1;
  /** Regions of the candidates that are left while no VIP is down. */
  let kept = possible;
  return {
    prefer: (preferences) => {
      if (isNoAnswer(preferences)) {
        possible = new Set();
        kept = possible;
        return [...preferences];
      }
      const left = among(preferences, possible);
      const plain = isOne ? inAnyOrder(left) : ordered(left);
      isOne ||= plain.every(({ end }, index) => end === index + 1);
      possible = new Set(plain.map(({ region }) => region));
      const first = plain.findIndex(({ region }) => kept.has(region));
      const group = first < 0 ? [] : plain.slice(first, plain[first]?.end);
      kept = new Set(group.flatMap(({ region }) => (kept.has(region) ? region : [])));
      return plain;
    },
    pass: (regions) => {
      possible = new Set(regions.filter((region) => possible.has(region)));
      isOne = true;
      kept = new Set(regions.filter((region) => kept.has(region)).slice(0, 1));
    },
    reach: () => possible,
    hasData: () => kept.size > 0,
  };
}

/** Removes entries that cannot have a candidate, and adjusts the ends of groups. */
function among(preferences: readonly Preference[], possible: ReadonlySet<number>): Preference[] {
  const before = [0];
  for (const { region } of preferences) before.push((before.at(-1) ?? 0) + (possible.has(region) ? 1 : 0));
  return preferences.flatMap((each) =>
    possible.has(each.region) ? { ...each, end: before[each.end] ?? before.length } : [],
  );
}

/** If one region is left, only its presence counts. */
function inAnyOrder(preferences: readonly Preference[]): Preference[] {
  return preferences.toSorted((a, b) => a.region - b.region).map((each, index) => ({ ...each, end: index + 1 }));
}

/** The order of two neighbours does not matter if they end the same group and every other group has both or neither. */
function ordered(preferences: readonly Preference[]): Preference[] {
  const plain: Preference[] = [];
  for (let from = 0; from < preferences.length;) {
    const end = preferences[from]?.end;
    let to = from + 1;
    while (to < preferences.length && preferences[to]?.end === end && !preferences.some((each) => each.end === to))
      to++;
    plain.push(...preferences.slice(from, to).toSorted((a, b) => a.region - b.region));
    from = to;
  }
  return plain;
}
