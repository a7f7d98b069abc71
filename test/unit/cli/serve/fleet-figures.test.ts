/** What simulate and the beacon of a node in a fleet get from the other nodes. */
import { expect, test } from 'vitest';
import { createFleetFigures, shareBeacon } from '../../../../cli/serve/fleet-figures.ts';
import type { Current } from '../../../../cli/serve/generation.ts';
import { createSharedFigures } from '../../../../fleet/shared-figures.ts';
import type { CountedClients } from '../../../../server/forecast/client-counts.ts';
import type { Beacon } from '../../../../status/beacon.ts';

const SERVICE = 'www.example.com';
const current = (): Current =>
  ({
    catalog: { services: [{ name: SERVICE }], vips: [{ slot: 0, target: `${SERVICE}/a` }, { slot: 1, target: `${SERVICE}/b` }] },
  }) as unknown as Current; // prettier-ignore

const counted = (countries: readonly (readonly [string, number])[]): CountedClients => ({
  countries: new Map(countries),
  samples: countries.reduce((sum, [, count]) => sum + count, 0),
  others: 0,
});

/** Two nodes that hear each other. */
function twoNodes() {
  const nodes = ['one', 'two'].map((node) => {
    const figures = createSharedFigures({
      node,
      loaded: () => undefined,
      send: (message) => {
        for (const peer of nodes) peer.figures.hear(message, node);
      },
    });
    return { node, figures };
  });
  const tick = (): void => {
    for (const { node, figures } of nodes) figures.tick(new Set(nodes.flatMap((each) => (each.node === node ? [] : [each.node])))); // prettier-ignore
  };
  const [one, two] = nodes;
  if (one === undefined || two === undefined) throw new Error('there are two');
  return { one, two, tick };
}

test('simulate weighs by the answers and the clients of all nodes', () => {
  const { one, two, tick } = twoNodes();
  const figuresOf = (fleet: typeof one, answers: readonly number[], clients: CountedClients) =>
    createFleetFigures(fleet, {
      current,
      answers: { of: (slot) => answers[slot] ?? 0, served: () => Float64Array.from(answers) },
      clients: { of: () => clients },
    });
  const ofOne = figuresOf(one, [5, 0], counted([['KR', 10]]));
  const ofTwo = figuresOf(two, [1, 7], counted([['KR', 1], ['IE', 4]])); // prettier-ignore
  tick();
  tick();
  expect([ofOne, ofTwo].map(({ served }) => [served(0), served(1)])).toEqual([[6, 7], [6, 7]]); // prettier-ignore
  for (const { clients } of [ofOne, ofTwo]) {
    expect(clients(SERVICE)).toEqual({ samples: 15, others: 0, countries: new Map([['KR', 11], ['IE', 4]]) }); // prettier-ignore
  }
});

test('a report of a browser counts once on each node; one that is thrown away is not passed on', () => {
  const { one, two, tick } = twoNodes();
  const taken: string[] = [];
  const beaconOf = (name: string, fleet: typeof one, kept: number): Beacon =>
    shareBeacon(
      {
        settings: () => ({}),
        report: (source: Uint8Array, times: ReadonlyMap<string, number>) => {
          taken.push(`${name}: ${source.join('.')} ${JSON.stringify([...times])}`);
          return { kept, thrown: 0 };
        },
      } as unknown as Beacon,
      fleet,
    );
  const [first, second] = [beaconOf('one', one, 1), beaconOf('two', two, 0)];
  first.report(Uint8Array.of(192, 0, 2, 1), new Map([['seoul', 12]]));
  second.report(Uint8Array.of(192, 0, 2, 2), new Map([['seoul', 0]]));
  tick();
  tick();
  expect(taken).toEqual(['one: 192.0.2.1 [["seoul",12]]', 'two: 192.0.2.2 [["seoul",0]]', 'two: 192.0.2.1 [["seoul",12]]']); // prettier-ignore
});
