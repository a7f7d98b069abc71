/**
 * Figures of all nodes of a fleet, for `simulate`: answers by VIP, and clients by country. Each node sends the browser
 * reports that it receives to all others.
 */
import type { Fleet } from '../../fleet/start-fleet.ts';
import type { CountedClients } from '../../server/forecast/client-counts.ts';
import type { Beacon } from '../../status/beacon.ts';
import type { AnswerCounter } from './answer-counter.ts';
import type { ClientCounter } from './client-counter.ts';
import type { Current } from './generation.ts';

type OwnFigures = {
  readonly current: () => Current;
  readonly answers: Pick<AnswerCounter, 'of' | 'served'>;
  readonly clients: Pick<ClientCounter, 'of'>;
};

/** Answers of a slot and clients of a service, of this node and of its peers. */
export type FleetFigures = {
  readonly served: (slot: number) => number;
  readonly clients: (service: string) => CountedClients;
};

/** Sends this node's counts to its peers from now on. Without a fleet, returns only the counts of this node. */
export function createFleetFigures(
  fleet: Pick<Fleet, 'figures'> | undefined,
  { current, answers, clients }: OwnFigures,
): FleetFigures {
  if (fleet === undefined) return { served: answers.of, clients: clients.of };
  const { figures } = fleet;
  figures.count({
    served: () => {
      const counts = answers.served();
      return current().catalog.vips.map(({ slot, target }) => [target, counts[slot] ?? 0] as const);
    },
    clients: () =>
      current().catalog.services.flatMap(({ name }) => {
        const { countries } = clients.of(name);
        return countries.size === 0 ? [] : [[name, countries] as const];
      }),
  });
  return {
    served: (slot) => answers.of(slot) + figures.served(current().catalog.vips[slot]?.target ?? ''),
    clients: (service) => {
      const own = clients.of(service);
      const countries = new Map(own.countries);
      for (const [country, samples] of figures.clients(service)) {
        countries.set(country, (countries.get(country) ?? 0) + samples);
      }
      return { ...own, countries, samples: [...countries.values()].reduce((sum, count) => sum + count, 0) };
    },
  };
}

/** The beacon of this node. It sends its reports to peers and receives theirs. */
export function shareBeacon(beacon: Beacon, fleet: Pick<Fleet, 'figures'> | undefined): Beacon {
  if (fleet === undefined) return beacon;
  fleet.figures.takeLatencies((source, times) => {
    if (beacon.settings() !== undefined) beacon.report(source, times);
  });
  return {
    ...beacon,
    report: (source, times) => {
      const counted = beacon.report(source, times);
      if (counted.kept > 0) fleet.figures.latency(source, times);
      return counted;
    },
  };
}
