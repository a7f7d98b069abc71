/**
 * Compares compiled steering with the simple one, over random configurations, clients and health.
 */
import { expect, test } from 'vitest';
import { FORCED, packState, PROBED } from '../../../health/health-table.ts';
import { locate as locateClient, steer } from '../../../steering/chain.ts';
import { RESULT, type Steerer } from '../../../steering/decision.ts';
import { HAS, otherBit, SERVICE } from '../../../steering/plan.ts';
import { bearing, shedNetwork } from '../../../steering/shed.ts';
import { formatAddress } from '../../../wire/address.ts';
import { MAX_VIPS } from '../../../wire/limits.ts';
import { readName, subnetOption, T, type DecodedMessage } from '../../support/message.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { answering, type Answering } from '../../support/pharos.ts';
import { createDice, deepTrials, moreThan, printedSeed, trials, type Dice } from '../../support/random.ts';
import { locate } from '../geo/reference.ts';
import { clientText, DATABASE, OWN_NETWORKS, OWN_PLACES, randomClient, randomWorld } from './random-services.ts';
import {
  decide,
  decideNested,
  type RefAnswer,
  type RefClient,
  type RefFamily,
  type RefHealth,
  type RefService,
} from './reference.ts';

const WORLDS = trials(25);
const SERVICES = 20;
const QUERIES = 10; // of each service: 5,000 in all worlds

const PROBED_OF = { unknown: PROBED.UNKNOWN, up: PROBED.UP, down: PROBED.DOWN };
const FORCED_OF = { none: FORCED.NONE, up: FORCED.UP, down: FORCED.DOWN, drain: FORCED.DRAIN };

function randomHealth(dice: Dice): RefHealth {
  const full = dice.pick([0, 0, 1, 1, 2, 7, 300]);
  const weight = full > 0 && dice.chance(0.2) ? 1 + dice.below(full) : full;
  return {
    probed: dice.pick(['up', 'up', 'unknown', 'down', 'down']),
    forced: dice.chance(0.8) ? 'none' : dice.pick(['up', 'down', 'drain']),
    holdSeconds: dice.below(90),
    weight,
    withheld: full - weight,
    pressure: dice.pick([0, 0, 0, dice.below(65_536), dice.below(65_536), 65_536, 65_536 + dice.below(200_000)]),
  };
}

/** The records' data as text: a name ends with a dot. */
function dataOf({ type, data }: DecodedMessage['answer'][number]): string {
  const octets = Buffer.from(data, 'hex');
  if (type === T.CNAME) return readName(octets, 0).name;
  if (type === T.TXT) return octets.subarray(1).toString('latin1');
  if (type === T.MX) return `${octets.readUInt16BE(0)} ${readName(octets, 2).name}`;
  return formatAddress(octets);
}

const TYPES = { a: T.A, aaaa: T.AAAA, txt: T.TXT, mx: T.MX } as const;

function bitOf({ plan }: Steerer, service: number, family: RefFamily): number {
  if (family === 'cname') return HAS.CNAME;
  if (family === 'a' || family === 'aaaa') return family === 'a' ? HAS.A : HAS.AAAA;
  return otherBit(plan, service, TYPES[family]);
}

/** Joins the records of a VIP that has several. */
function byVip(served: readonly string[], possible: readonly string[]): string[] {
  const first = new Map(possible.map((data) => [data.split('+')[0] ?? '', data]));
  const rest = served.slice();
  const found: string[] = [];
  while (rest.length > 0) {
    const data = first.get(rest[0] ?? '') ?? rest[0] ?? '';
    const own = rest.splice(0, data.split('+').length).join('+');
    found.push(own);
  }
  return found;
}

/**
 * What is wrong with an answer; undefined if the reference could have given it. `asked` is the family of the query's
 * type, `family` that of the VIPs.
 */
function wrong(
  expected: RefAnswer,
  response: DecodedMessage,
  asked: keyof typeof TYPES,
  family: RefFamily,
  minTtl: number,
): string | undefined {
  const records = response.answer.map(dataOf);
  const ttls = new Set(response.answer.map(({ ttl }) => ttl));
  const own = expected.kind === 'static' ? (expected.answer.cname ?? expected.answer[asked]) : undefined;
  if (own !== undefined) {
    return records.join() === own && ttls.has(minTtl) ? undefined : `the answer ${own} expected, got ${records.join()}`;
  }
  if (expected.kind !== 'vips') {
    return records.length === 0 && response.authority[0]?.type === T.SOA
      ? undefined
      : `NODATA expected, got ${records.join()}`;
  }
  const possible = expected.vips.map((vip) => vip[family] ?? '');
  const served = byVip(records, possible);
  // A name has one CNAME.
  const count = family === 'cname' ? 1 : expected.count;
  const ttl = [...ttls].join();
  if (ttl !== String(expected.ttl)) return `TTL ${expected.ttl} expected, got ${ttl}`;
  const fits = expected.ordered
    ? served.join() === possible.slice(0, count).join()
    : served.length === count &&
      new Set(served).size === served.length &&
      served.every((each) => possible.includes(each));
  return fits
    ? undefined
    : `${count} of ${possible.join()} expected${expected.ordered ? ' in this order' : ''}, got ${served.join()}`;
}

/** `firstSlot`: of the service. */
function applyHealth({ health: table }: Answering, firstSlot: number, health: readonly RefHealth[]): void {
  health.forEach(({ probed, forced, holdSeconds, weight, withheld, pressure }, vip) => {
    const slot = firstSlot + vip;
    table.states[slot] = packState(PROBED_OF[probed], FORCED_OF[forced], holdSeconds);
    table.weights[slot] = weight;
    table.withheld[slot] = withheld;
    table.pressures[slot] = pressure;
  });
}

function slotsOf({ generation }: Answering, name: string): { readonly service: number; readonly firstSlot: number } {
  const service = generation.catalog.services.findIndex((known) => known.name === `${name}.example.com`);
  return { service, firstSlot: generation.catalog.services[service]?.firstSlot ?? -1 };
}

function clientOf(address: Uint8Array, { state }: Answering, firstSlot: number): RefClient {
  const network = shedNetwork(address, address.length * 8);
  const bears = (vip: string): number => bearing(state.steerer.plan, firstSlot + Number(vip.slice(1)), network);
  return { ...locate(address, [DATABASE], OWN_NETWORKS, OWN_PLACES), address, bears };
}

test('every answer is one that the model allows', () => {
  const seed = printedSeed('steering against its reference');
  const dice = createDice(seed);
  const database = writeMmdb(DATABASE);
  const kinds = new Map<string, number>();
  for (let round = 0; round < WORLDS; round++) {
    const world = randomWorld(dice, SERVICES);
    const server = answering({ ...world.files, 'place.mmdb': database }, {}, seed);
    for (const { name, model } of world.services) {
      const { firstSlot } = slotsOf(server, name);
      for (let query = 0; query < QUERIES; query++) {
        const address = randomClient(dice);
        const client = clientOf(address, server, firstSlot);
        const share = dice.chance(0.3);
        const health = new Map(
          model.vips.map((vip) => [vip.name, { ...randomHealth(dice), ...(share ? { probed: 'up' as const } : {}) }]),
        );
        applyHealth(server, firstSlot, [...health.values()]);
        const asked = dice.pick(['a', 'aaaa', 'txt', 'mx'] as const);
        const family = model.vips[0]?.cname === undefined ? asked : 'cname';
        const expected: RefAnswer = model.vips.some((vip) => vip[family] !== undefined)
          ? decide(model, world.regions, health, family, client)
          : { kind: 'empty' };
        // Half of the clients query themselves, half behind a resolver that sends their whole address.
        const how = dice.chance(0.5)
          ? { from: clientText(address) }
          : { from: '30.1.2.3', edns: { options: [subnetOption(address, address.length * 8)] } };
        kinds.set(expected.kind, (kinds.get(expected.kind) ?? 0) + 1);
        // As packets query, and with an observer as in explain: that way takes no shortcut.
        for (const observer of [undefined, () => undefined]) {
          server.state.steerer.observer = observer;
          const response = server.ask(`${name}.example.com`, TYPES[asked], how);
          const problem = wrong(expected, response, asked, family, model.ttl.min);
          if (problem === undefined) continue;
          const told = {
            seed,
            listens: observer !== undefined,
            round,
            name,
            asked,
            client,
            health: Object.fromEntries(health),
            regions: world.regions,
          };
          expect.fail(`${problem}\n${JSON.stringify(told, undefined, 1)}\n${JSON.stringify(model, undefined, 1)}`);
        }
      }
    }
  }
  // Random input that never reaches a case would prove nothing.
  for (const kind of ['vips', 'static', 'empty']) expect(kinds.get(kind) ?? 0, kind).toBeGreaterThan(moreThan(50));
});

/**
 * What is wrong with the decision in the steerer; undefined if the reference could have made it. `wide`: of all
 * answers.
 */
function wrongDecision(
  { decision }: Steerer,
  expected: RefAnswer,
  { vips, answers }: RefService,
  wide: boolean,
): string | undefined {
  const kind = decision.result === RESULT.VIPS ? 'vips' : decision.result === RESULT.STATIC ? 'static' : 'empty';
  if (kind !== expected.kind) return `${expected.kind} expected, got ${kind}`;
  if (expected.kind !== 'vips') return undefined;
  const possible = expected.vips.map((vip) => vips.indexOf(vip));
  const got = [...decision.candidates.subarray(0, decision.count)];
  const count = wide ? possible.length : Math.min(answers, possible.length);
  if (decision.ttlSeconds !== expected.ttl) return `TTL ${expected.ttl} expected, got ${decision.ttlSeconds}`;
  const fits = expected.ordered
    ? got.join() === possible.slice(0, count).join()
    : got.length === count && new Set(got).size === count && got.every((vip) => possible.includes(vip));
  return fits ? undefined : `${count} of ${possible.join()} expected, got ${got.join()}`;
}

/** What can be checked of a scope without the atlas, which has a separate reference. */
function wrongScope(
  { decision: { scopeBits, shedLimit } }: Steerer,
  { steps }: RefService,
  expected: RefAnswer,
): string | undefined {
  const looksAtClient = steps.some(({ kind }) => ['geo', 'nearest', 'latency', 'sticky'].includes(kind));
  if (!looksAtClient && shedLimit < 0 && scopeBits !== 0) return `scope ${scopeBits} where the client does not matter`;
  if (expected.kind !== 'vips' || scopeBits >= expected.stickyBits) return undefined;
  return `scope ${scopeBits}, and sticky looked at ${expected.stickyBits} bits`;
}

/** In CI, a million decisions. */
const DECIDED_WORLDS = deepTrials(10, 25);
const STATES = 100;
const CLIENTS = 20; // of each state of a service

test('decisions are those of the model', () => {
  const seed = printedSeed('decisions against the reference');
  const dice = createDice(seed);
  const database = writeMmdb(DATABASE);
  const seen = { decisions: 0, shed: 0, relaxed: 0 };
  for (let round = 0; round < DECIDED_WORLDS; round++) {
    const world = randomWorld(dice, SERVICES);
    const server = answering({ ...world.files, 'place.mmdb': database }, {}, seed);
    const { steerer } = server.state;
    // The same with an answer of all that the steps leave: the whole random order is compared then.
    const services = steerer.plan.services.slice();
    for (let row = 0; row < services.length; row += SERVICE.WORDS) services[row + SERVICE.ANSWERS] = MAX_VIPS;
    const wideSteerer: Steerer = { ...steerer, plan: { ...steerer.plan, services } };
    for (const { name, model } of world.services) {
      const { service, firstSlot } = slotsOf(server, name);
      const clients = Array.from({ length: CLIENTS }, () => clientOf(randomClient(dice), server, firstSlot));
      for (let state = 0; state < STATES; state++) {
        const share = dice.chance(0.3);
        const states = model.vips.map(() => ({ ...randomHealth(dice), ...(share ? { probed: 'up' as const } : {}) }));
        const health = new Map(model.vips.map((vip, index) => [vip.name, states[index] ?? randomHealth(dice)]));
        applyHealth(server, firstSlot, states);
        const families = (['a', 'aaaa', 'cname', 'txt', 'mx'] as const).filter((each) =>
          model.vips.some((vip) => vip[each] !== undefined),
        );
        const family = dice.pick(families);
        const has = bitOf(steerer, service, family);
        const wide = dice.chance(0.5);
        const used = wide ? wideSteerer : steerer;
        used.observer = dice.chance(0.2) ? () => undefined : undefined;
        for (const client of clients) {
          const expected = decide(model, world.regions, health, family, client);
          const bits = client.address.length * 8;
          const located = locateClient(used, service, has, client.address, bits);
          steer(used, service, has, located, client.address, bits);
          seen.decisions++;
          const { shedLimit, scopeBits } = used.decision;
          if (shedLimit >= 0) seen.shed++;
          if (shedLimit > 0) seen.relaxed++;
          const problem =
            wrongDecision(used, expected, model, wide) ??
            (shedLimit >= 0 && scopeBits < (bits === 32 ? 24 : 56)
              ? `scope ${scopeBits} with shed clients`
              : undefined) ??
            wrongScope(used, model, expected);
          if (problem === undefined) continue;
          const told = { seed, round, name, family, wide, client, health: Object.fromEntries(health) };
          const all = { ...told, regions: world.regions, model, located, limit: shedLimit, scopeBits };
          expect.fail(`${problem}\n${JSON.stringify(all, undefined, 1)}`);
        }
      }
    }
  }
  expect(seen.decisions).toBe(DECIDED_WORLDS * SERVICES * STATES * CLIENTS);
  expect(seen.shed, 'shed').toBeGreaterThan(moreThan(800 * DECIDED_WORLDS));
  expect(seen.relaxed, 'relaxed').toBeGreaterThan(moreThan(80 * DECIDED_WORLDS));
});

test('a shortcut changes no decision', () => {
  const seed = printedSeed('shortcuts');
  const dice = createDice(seed);
  const database = writeMmdb(DATABASE);
  for (let round = 0; round < trials(5); round++) {
    const world = randomWorld(dice, SERVICES);
    const server = answering({ ...world.files, 'place.mmdb': database }, {}, seed);
    const { steerer } = server.state;
    for (const { name, model } of world.services) {
      // Chance decides anew in each decision.
      if (model.steps.some(({ kind }) => kind === 'weighted')) continue;
      const { service, firstSlot } = slotsOf(server, name);
      for (let state = 0; state < STATES; state++) {
        applyHealth(server, firstSlot, model.vips.map(() => ({ ...randomHealth(dice), ...(state % 2 === 0 ? { probed: 'up' as const, forced: 'none' as const, pressure: 0 } : {}) }))); // prettier-ignore
        const client = randomClient(dice);
        const bits = client.length * 8;
        const has = dice.pick([HAS.A, HAS.AAAA]);
        const located = locateClient(steerer, service, has, client, bits);
        // With an observer, as in explain, no shortcut is taken.
        const [short, long] = [undefined, () => undefined].map((observer) => {
          steerer.observer = observer;
          steer(steerer, service, has, located, client, bits);
          const { candidates, count, result, ttlSeconds, scopeBits } = steerer.decision;
          return `VIPs ${candidates.subarray(0, count).join()} result ${result} TTL ${ttlSeconds} scope ${scopeBits}`;
        });
        if (short !== long) expect(short, `${seed} ${round} ${name} ${state}`).toBe(long);
      }
    }
  }
});

test('answers of services with VIPs that are services are possible ones of the model', () => {
  const seed = printedSeed('services as VIPs against the reference');
  const dice = createDice(seed);
  const database = writeMmdb(DATABASE);
  const kinds = new Map<string, number>();
  let nested = 0;
  for (let round = 0; round < WORLDS * 2; round++) {
    const world = randomWorld(dice, 6, 0.4);
    const server = answering({ ...world.files, 'place.mmdb': database }, {}, seed);
    const services = new Map(world.services.map(({ name, model }) => [name, model]));
    for (let query = 0; query < 60; query++) {
      const share = dice.chance(0.5);
      const health = new Map(
        world.services.map(({ name, model }) => [
          name,
          new Map(model.vips.map((vip) => [vip.name, { ...randomHealth(dice), ...(share && dice.chance(0.7) ? { probed: 'up' as const, forced: 'none' as const } : {}) }])), // prettier-ignore
        ]),
      );
      for (const [name, states] of health) applyHealth(server, slotsOf(server, name).firstSlot, [...states.values()]);
      const { name, model } = dice.pick(world.services);
      const address = randomClient(dice);
      const asked = dice.pick(['a', 'aaaa', 'txt', 'mx'] as const);
      const family = model.vips[0]?.cname === undefined ? asked : 'cname';
      const tree = { services, health, regions: world.regions };
      const clientAt = (service: string): RefClient => clientOf(address, server, slotsOf(server, service).firstSlot);
      const possible = model.vips.some((vip) => vip[family] !== undefined)
        ? decideNested(tree, name, family, clientAt)
        : [{ service: model, answer: { kind: 'empty' as const } }];
      for (const observer of [undefined, () => undefined]) {
        server.state.steerer.observer = observer;
        const response = server.ask(`${name}.example.com`, TYPES[asked], { from: clientText(address) });
        const problems = possible.map(({ service, answer }) =>
          wrong(answer, response, asked, family, answer.kind === 'static' ? (answer.ttl ?? -1) : service.ttl.min),
        );
        const fits = problems.indexOf(undefined);
        if (fits >= 0) {
          const { service, answer } = possible[fits] ?? { service: model, answer: { kind: 'empty' as const } };
          kinds.set(answer.kind, (kinds.get(answer.kind) ?? 0) + 1);
          if (service !== model) nested++;
          continue;
        }
        const states = Object.fromEntries([...health].map(([each, those]) => [each, Object.fromEntries(those)]));
        const told = { seed, round, name, asked, client: clientAt(name), states, regions: world.regions };
        expect.fail(
          `${problems.join('\nor ')}\n${JSON.stringify(told, undefined, 1)}\n${world.files['zones/example.com.yaml'] ?? ''}`,
        );
      }
    }
  }
  for (const kind of ['vips', 'static', 'empty']) expect(kinds.get(kind) ?? 0, kind).toBeGreaterThan(moreThan(50));
  expect(nested).toBeGreaterThan(moreThan(500));
});
