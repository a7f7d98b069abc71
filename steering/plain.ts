/**
 * Orderings in plain form: two that lead every set of candidates to the same VIPs are the same. Outcomes of a map are told
 * apart by these, so that a scope is as wide as the truth (SPEC 4). Pure; run at load time.
 */
import type { Preference } from './place.ts';

/** The steps of a chain in their order: each is told by what those before it leave. */
export type Plain = {
  /** Preferences of a step that depends on the place, in plain form. */
  prefer(preferences: readonly Preference[]): Preference[];
  /** A `failover` that leads to these regions, or to VIPs in them. */
  pass(regions: readonly number[]): void;
  /** Where the steps so far can lead, whatever is down. */
  reach(): ReadonlySet<number>;
  /** Whether they lead to any VIP while none is down. */
  hasData(): boolean;
};

/** `present` are the regions that have VIPs of the type asked for: other regions never have a candidate. */
export function plainFrom(present: readonly number[]): Plain {
  let possible: ReadonlySet<number> = new Set(present);
  /** Whether all candidates are in one region, so that a step keeps all of them or none. */
  let isOne = possible.size <= 1;
  /** Regions of the candidates that are left while no VIP is down. */
  let kept = possible;
  return {
    prefer: (preferences) => {
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

/** Without those that cannot have a candidate; the ends of groups move up. */
function among(preferences: readonly Preference[], possible: ReadonlySet<number>): Preference[] {
  const before = [0];
  for (const { region } of preferences) before.push((before.at(-1) ?? 0) + (possible.has(region) ? 1 : 0));
  return preferences.flatMap((each) =>
    possible.has(each.region) ? { ...each, end: before[each.end] ?? before.length } : [],
  );
}

/** With one region left, all that counts is whether it is named. */
function inAnyOrder(preferences: readonly Preference[]): Preference[] {
  return preferences
    .toSorted((a, b) => a.region - b.region)
    .map(({ region, detail }, index) => ({ region, end: index + 1, detail }));
}

/** Neighbours that end the same group, and that every other group has both or none of, keep the same in either order. */
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
