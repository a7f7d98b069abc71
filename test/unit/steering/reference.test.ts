/**
 * The compiled way of steering against the obvious one, over random configurations, clients and health.
 */
import { expect, test } from 'vitest';
import { FORCED, PROBED } from '../../../health/table.ts';
import { formatAddress } from '../../../wire/address.ts';
import { subnetOption, T, type DecodedMessage } from '../../support/message.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { answering, type Answering } from '../../support/pharos.ts';
import { createDice, printedSeed, type Dice } from '../../support/random.ts';
import { locate } from '../geo/reference.ts';
import { clientText, DATABASE, randomClient, randomWorld } from './random-services.ts';
import { decide, type RefAnswer, type RefHealth } from './reference.ts';

const WORLDS = 25;
const SERVICES = 20;
const QUERIES = 40; // of each service: 20,000 in all

const PROBED_OF = { unknown: PROBED.UNKNOWN, up: PROBED.UP, down: PROBED.DOWN };
const FORCED_OF = { none: FORCED.NONE, up: FORCED.UP, down: FORCED.DOWN, drain: FORCED.DRAIN };

function randomHealth(dice: Dice): RefHealth {
  return {
    probed: dice.pick(['up', 'up', 'unknown', 'down', 'down']),
    forced: dice.chance(0.8) ? 'none' : dice.pick(['up', 'down', 'drain']),
    holdSeconds: dice.below(90),
    weight: dice.pick([0, 0, 1, 1, 2, 7]),
  };
}

/** What is wrong with an answer; undefined when the reference could have given it. */
function wrong(
  expected: RefAnswer,
  response: DecodedMessage,
  family: 'a' | 'aaaa',
  minTtl: number,
): string | undefined {
  const served = response.answer.map(({ data }) => formatAddress(Buffer.from(data, 'hex')));
  const ttls = new Set(response.answer.map(({ ttl }) => ttl));
  if (expected.kind === 'empty' || (expected.kind === 'static' && family === 'aaaa')) {
    return served.length === 0 && response.authority[0]?.type === T.SOA
      ? undefined
      : `NODATA expected, got ${served.join()}`;
  }
  if (expected.kind === 'static') {
    const isIt = served.join() === '192.0.2.99' && ttls.has(minTtl);
    return isIt ? undefined : `the static answer expected, got ${served.join()}`;
  }
  const possible = expected.vips.map((vip) => vip[family] ?? '');
  const ttl = [...ttls].join();
  if (ttl !== String(expected.ttl)) return `TTL ${expected.ttl} expected, got ${ttl}`;
  const fits = expected.ordered
    ? served.join() === possible.slice(0, expected.count).join()
    : served.length === expected.count &&
      new Set(served).size === served.length &&
      served.every((each) => possible.includes(each));
  return fits
    ? undefined
    : `${expected.count} of ${possible.join()} expected${expected.ordered ? ' in this order' : ''}, got ${served.join()}`;
}

function applyHealth(server: Answering, service: string, health: ReadonlyMap<string, RefHealth>): void {
  for (const [vip, { probed, forced, holdSeconds, weight }] of health) {
    server.set(`${service}.example.com/${vip}`, {
      probed: PROBED_OF[probed],
      forced: FORCED_OF[forced],
      holdSeconds,
      weight,
    });
  }
}

test('every answer is one that the model allows', { timeout: 120_000 }, () => {
  const seed = printedSeed('steering against its reference');
  const dice = createDice(seed);
  const database = writeMmdb(DATABASE);
  const kinds = new Map<string, number>();
  for (let round = 0; round < WORLDS; round++) {
    const world = randomWorld(dice, SERVICES);
    const server = answering({ ...world.files, 'place.mmdb': database }, {}, seed);
    for (const { name, model } of world.services) {
      for (let query = 0; query < QUERIES; query++) {
        const address = randomClient(dice);
        const client = { ...locate(address, [DATABASE], [], new Map()), address };
        const share = dice.chance(0.3);
        const health = new Map(
          model.vips.map((vip) => [vip.name, { ...randomHealth(dice), ...(share ? { probed: 'up' as const } : {}) }]),
        );
        applyHealth(server, name, health);
        const family = dice.pick(['a', 'aaaa'] as const);
        const expected: RefAnswer = model.vips.some((vip) => vip[family] !== undefined)
          ? decide(model, world.regions, health, family, client)
          : { kind: 'empty' };
        // Half of the clients come by themselves, half behind a resolver that sends their whole address.
        const how = dice.chance(0.5)
          ? { from: clientText(address) }
          : { from: '30.1.2.3', edns: { options: [subnetOption(address, address.length * 8)] } };
        kinds.set(expected.kind, (kinds.get(expected.kind) ?? 0) + 1);
        // As packets ask, and with somebody listening as explain does: that way takes no shortcut.
        for (const observer of [undefined, () => undefined]) {
          server.state.steerer.observer = observer;
          const response = server.ask(`${name}.example.com`, family === 'a' ? T.A : T.AAAA, how);
          const problem = wrong(expected, response, family, model.ttl.min);
          if (problem === undefined) continue;
          const told = {
            seed,
            listens: observer !== undefined,
            round,
            name,
            family,
            client,
            health: Object.fromEntries(health),
            regions: world.regions,
          };
          expect.fail(`${problem}\n${JSON.stringify(told, undefined, 1)}\n${JSON.stringify(model, undefined, 1)}`);
        }
      }
    }
  }
  // Random input that never gets somewhere would prove nothing.
  for (const kind of ['vips', 'static', 'empty']) expect(kinds.get(kind), kind).toBeGreaterThan(200);
});
