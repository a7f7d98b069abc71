/**
 * Client samples (client-samples.ts) by service and country, counted in the control thread. Counts are recent: a sample
 * counts one half after HALF_LIFE_MS and one quarter after twice that time. Services are identified by name, so counts
 * survive reloads.
 */
import { viewAtlas } from '../../geo/atlas-view.ts';
import { locationAt } from '../../geo/location.ts';
import type { LoadedGeneration } from '../../zones/load-generation.ts';
import { takeClients } from '../answer/client-samples.ts';

/** Samples of one service; older samples count less. */
export type CountedClients = {
  /** Of all countries. */
  readonly samples: number;
  /** By ISO 3166-1 alpha-2 code; '' is an unknown country. */
  readonly countries: ReadonlyMap<string, number>;
  /** Samples of countries that the list leaves out. */
  readonly others: number;
};

export type ClientCounts = {
  /** Takes the threads' samples of this generation out of the rings. */
  readonly take: (generation: Pick<LoadedGeneration, 'catalog' | 'atlas' | 'locations'>, rings: Rings) => void;
  /** By the service's name. */
  readonly of: (service: string) => CountedClients;
  /** Samples by country over all services since the start, without decay. */
  readonly totals: () => ReadonlyMap<string, number>;
  /** Forgets services that are not among these. */
  readonly keep: (services: readonly string[]) => void;
};

/** No samples. */
export const NOBODY: CountedClients = { samples: 0, countries: new Map(), others: 0 };

/** By thread; made by `createClientRing`. */
export type Rings = readonly SharedArrayBuffer[];

/** Half a day: countries at night are still counted at noon, and an outage of yesterday is forgotten tomorrow. */
export const HALF_LIFE_MS = 12 * 3_600_000;
/** The least time between two steps of the decay. Smaller steps are not needed. */
const FADE_EVERY_MS = 60_000;
/** A country with a smaller count is dropped. */
const LEAST = 0.01;

type Fading = { atMs: number; readonly countries: Map<string, number> };

/** `nowMs` must never decrease. */
export function createClientCounts(nowMs: () => number): ClientCounts {
  const services = new Map<string, Fading>();
  const totals = new Map<string, number>();
  /** The present counts of the service. */
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
