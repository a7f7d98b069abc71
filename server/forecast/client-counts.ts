/**
 * How many clients of which country ask for a service, as sampled (client-samples.ts), in the control thread. Counts
 * speak of today: a sample counts a half after HALF_LIFE_MS, a quarter after twice that. Services go by name, so that
 * reloads change nothing.
 */
import { locationAt } from '../../geo/location.ts';
import { viewAtlas } from '../../steering/plan.ts';
import type { LoadedGeneration } from '../../zones/load-generation.ts';
import { takeClients } from '../answer/client-samples.ts';

/** Samples of one service; what was taken long ago counts less. */
export type CountedClients = {
  /** Of all countries. */
  readonly samples: number;
  /** By ISO 3166-1 alpha-2; '' is no known country. */
  readonly countries: ReadonlyMap<string, number>;
  /** Of countries that the list leaves out. */
  readonly others: number;
};

export type ClientCounts = {
  /** Takes what the threads have sampled of this generation. */
  readonly take: (generation: Pick<LoadedGeneration, 'catalog' | 'atlas' | 'locations'>, rings: Rings) => void;
  /** By the service's name. */
  readonly of: (service: string) => CountedClients;
  /** Samples by country over all services since the start, nothing forgotten. */
  readonly totals: () => ReadonlyMap<string, number>;
  /** Forgets services that are not among these. */
  readonly keep: (services: readonly string[]) => void;
};

/** Nothing was sampled. */
export const NOBODY: CountedClients = { samples: 0, countries: new Map(), others: 0 };

/** By thread; made by `createClientRing`. */
export type Rings = readonly SharedArrayBuffer[];

/** Half a day: the countries that sleep are not forgotten by noon, and yesterday's outage is by tomorrow. */
export const HALF_LIFE_MS = 12 * 3_600_000;
/** What has faded needs no finer steps. */
const FADE_EVERY_MS = 60_000;
/** A country of which less is left has no client any more. */
const LEAST = 0.01;

type Fading = { atMs: number; readonly countries: Map<string, number> };

/** `nowMs` never goes back. */
export function createClientCounts(nowMs: () => number): ClientCounts {
  const services = new Map<string, Fading>();
  const totals = new Map<string, number>();
  /** The service's counts as of now. */
  const fade = (name: string): Fading => {
    const now = nowMs();
    let found = services.get(name);
    if (found === undefined) services.set(name, (found = { atMs: now, countries: new Map() }));
    const elapsedMs = now - found.atMs;
    if (elapsedMs < FADE_EVERY_MS) return found;
    const left = 2 ** (-elapsedMs / HALF_LIFE_MS);
    for (const [country, count] of found.countries) {
      if (count * left < LEAST) found.countries.delete(country);
      else found.countries.set(country, count * left);
    }
    found.atMs = now;
    return found;
  };
  return {
    take: ({ catalog, atlas, locations }, rings) => {
      const view = viewAtlas(atlas);
      for (const ring of rings) {
        for (const { service, address } of takeClients(ring)) {
          const { country } = locationAt(view, locations, address);
          increase(fade(catalog.services[service]?.name ?? '').countries, country);
          increase(totals, country);
        }
      }
    },
    of: (service) => {
      if (!services.has(service)) return NOBODY;
      const { countries } = fade(service);
      return { samples: [...countries.values()].reduce((sum, count) => sum + count, 0), countries, others: 0 };
    },
    totals: () => totals,
    keep: (names) => {
      const wanted = new Set(names);
      for (const name of services.keys()) if (!wanted.has(name)) services.delete(name);
    },
  };
}

function increase(counts: Map<string, number>, country: string): void {
  counts.set(country, (counts.get(country) ?? 0) + 1);
}
