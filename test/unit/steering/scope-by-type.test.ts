/**
 * The scope of an answer is exact, for each type separately: the shortest prefix around the client in which every
 * address gets the same candidates, whichever VIPs are down. The reference gives the expected scope. It knows neither
 * maps nor outcomes: it decides for every state of health and for an address of every network.
 */
import { expect, test } from 'vitest';
import { FORCED, NEVER_SECONDS, packState, PROBED } from '../../../health/health-table.ts';
import { formatAddress, parsePrefix, type Prefix } from '../../../wire/address.ts';
import { subnetOption, T } from '../../support/message.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { answering } from '../../support/pharos.ts';
import { createDice, moreThan, printedSeed, trials } from '../../support/random.ts';
import { locate, scopeOf } from '../geo/reference.ts';
import { DATABASE, NETWORKS, OWN_NETWORKS, OWN_PLACES, randomClient, randomWorld } from './random-services.ts';
import { decide, type RefFamily, type RefHealth, type RefService } from './reference.ts';

const WORLDS = trials(12);
const SERVICES = 20;
const QUERIES = 4; // of each type of a service

/** With a hold above every TTL, so that each TTL of a key shows. */
const UP: RefHealth = { probed: 'up', forced: 'none', holdSeconds: 1000, weight: 1, withheld: 0, pressure: 0 };
const DOWN: RefHealth = { ...UP, probed: 'down' };

const EDGES: readonly Prefix[] = [
  ...OWN_NETWORKS,
  ...[...DATABASE.map(([network]) => network), ...NETWORKS].flatMap((text) => parsePrefix(text) ?? []),
];

/** Numbers places by the result of each state of health there. */
function createTruth(
  model: RefService,
  regions: Parameters<typeof decide>[1],
  family: RefFamily,
): (address: Uint8Array) => number {
  const numbers = new Map<string, number>();
  const known = new Map<string, number>();
  const withType = model.vips.filter((vip) => vip[family] !== undefined);
  return (address) => {
    const key = formatAddress(address);
    const before = known.get(key);
    if (before !== undefined) return before;
    const client = { ...locate(address, [DATABASE], OWN_NETWORKS, OWN_PLACES), address, bears: () => 0 };
    const seen: string[] = [];
    for (let down = 0; down < 1 << withType.length; down++) {
      const health = new Map(
        model.vips.map((vip) => [
          vip.name,
          withType.includes(vip) && ((down >> withType.indexOf(vip)) & 1) === 1 ? DOWN : UP,
        ]),
      );
      const answer = decide(model, regions, health, family, client);
      seen.push(
        answer.kind === 'vips' ? [...answer.vips.map(({ name }) => name).toSorted(), answer.ttl].join() : answer.kind,
      );
    }
    const text = seen.join('|');
    const number = numbers.get(text) ?? numbers.size;
    numbers.set(text, number);
    known.set(key, number);
    return number;
  };
}

test('a scope is that of the type asked for, never wider, and not narrower if one step uses the place', () => {
  const seed = printedSeed('scope by type');
  const dice = createDice(seed);
  const database = writeMmdb(DATABASE);
  const seen = { compared: 0, zero: 0, exact: 0 };
  for (let round = 0; round < WORLDS; round++) {
    const world = randomWorld(dice, SERVICES);
    const server = answering({ ...world.files, 'place.mmdb': database }, {}, seed);
    for (let slot = 0; slot < server.generation.catalog.vips.length; slot++) {
      server.health.states[slot] = packState(PROBED.UP, FORCED.NONE, NEVER_SECONDS);
    }
    for (const { name, model } of world.services) {
      // The part of `sticky` is tested with the reference (reference.test.ts).
      if (model.steps.some(({ kind }) => kind === 'sticky') || model.vips.length > 6) continue;
      for (const asked of ['a', 'aaaa'] as const) {
        const family: RefFamily = model.vips[0]?.cname === undefined ? asked : 'cname';
        if (!model.vips.some((vip) => vip[family] !== undefined)) continue;
        const truth = createTruth(model, world.regions, family);
        for (let query = 0; query < QUERIES; query++) {
          const address = randomClient(dice);
          const response = server.ask(`${name}.example.com`, asked === 'a' ? T.A : T.AAAA, {
            edns: { options: [subnetOption(address, address.length * 8)] },
          });
          const scope = response.answer.length === 0 ? 0 : scopeOf(address, EDGES, truth);
          seen.compared++;
          if (scope === 0) seen.zero++;
          const got = response.edns?.scope ?? -1;
          // A step after one that names regions may remove the same regions in different ways: then the scope may be
          // narrower.
          const places = model.steps.filter(({ kind }) => kind !== 'weighted' && kind !== 'all').length;
          if (places === 1) seen.exact++;
          if (places === 1 ? got === scope : got >= scope) continue;
          const told = { seed, round, name, asked, client: formatAddress(address), got, scope };
          expect.fail(`${JSON.stringify(told)}\n${JSON.stringify(model, undefined, 1)}`);
        }
      }
    }
  }
  expect(seen.compared).toBeGreaterThan(moreThan(200));
  expect(seen.exact).toBeGreaterThan(moreThan(50));
  expect(seen.zero).toBeGreaterThan(moreThan(20));
  expect(seen.compared - seen.zero).toBeGreaterThan(moreThan(50));
});
