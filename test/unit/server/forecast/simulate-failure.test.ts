/** Compares the result of simulate with answers to packets. */
import { describe, expect, test } from 'vitest';
import { viewAtlas } from '../../../../geo/atlas-view.ts';
import { lookupClass } from '../../../../geo/find-class.ts';
import { placeAt } from '../../../../geo/location.ts';
import { FORCED, forcedOf, isForcedOut, PROBED } from '../../../../health/health-table.ts';
import { isInhabited } from '../../../../server/forecast/address-space.ts';
import { simulateFrom, type SimulateRequest, type Simulation } from '../../../../server/forecast/simulate-failure.ts';
import { NODATA, STATIC, type Traffic } from '../../../../server/forecast/traffic.ts';
import { formatAddress } from '../../../../wire/address.ts';
import { formatRdata } from '../../../../wire/rdata.ts';
import { typeNumber, typeText } from '../../../../wire/types.ts';
import { expectShare } from '../../../support/chance.ts';
import { readName, T } from '../../../support/message.ts';
import { writeMmdb } from '../../../support/mmdb.ts';
import { answering, type Answering } from '../../../support/pharos.ts';
import { createDice, moreThan, printedSeed, trials, type Dice } from '../../../support/random.ts';
import { DATABASE, randomWorld } from '../../steering/random-services.ts';

/** KR has 3/4 of the known addresses, IE 1/4. */
const GEOGRAPHY = {
  'pharos.yaml': 'geo: { databases: [small.mmdb] }\nregions: { seoul: { at: KR }, dublin: { at: IE } }\n',
  'small.mmdb': writeMmdb([
    ['20.0.0.0/9', { country: { iso_code: 'KR' } }],
    ['20.128.0.0/10', { country: { iso_code: 'KR' } }],
    ['20.192.0.0/10', { country: { iso_code: 'IE' } }],
  ]),
};

function zone(services: string): Answering {
  return answering({
    ...GEOGRAPHY,
    'zones/example.com.yaml': `zone: example.com\nnameservers: [ns.example.net.]\nservices:\n${services}`,
  });
}

function simulate(
  server: Answering,
  down: string[],
  more: Partial<SimulateRequest> = {},
  served?: number[],
): Simulation {
  const live = {
    health: { memory: server.health.states.buffer as SharedArrayBuffer, reasonOf: () => undefined },
    served: Float64Array.from(server.generation.catalog.vips, (_, slot) => served?.[slot] ?? 0),
  };
  const simulated = simulateFrom(server.generation, { down, weigh: 'auto', ...more }, live);
  if (!simulated.ok) throw new Error(simulated.message);
  return simulated.simulation;
}

function only(simulation: Simulation): Traffic {
  const [traffic] = simulation.services;
  if (!traffic || simulation.services.length > 1) throw new Error(`${simulation.services.length} services`);
  return traffic;
}

const GEO = 'steer: [{ geo: { KR: [seoul, dublin], default: [dublin, seoul] } }, weighted]';

describe('an order has the effect of what the control thread writes for it', () => {
  const [s1, s2, d] = ['www.example.com/s1', 'www.example.com/s2', 'www.example.com/d'];
  type Set = Parameters<Answering['set']>;
  test.each<
    [title: string, before: Set[], order: NonNullable<SimulateRequest['order']>, written: Set[], shares: number[]]
  >([
    ['drain', [], { target: s1, state: 'drain' }, [[s1, { forced: FORCED.DRAIN, weight: 3 }]], [0, 0.75, 0.25]],
    [
      'down, a region',
      [],
      { target: '@seoul', state: 'down' },
      [
        [s1, { forced: FORCED.DOWN, weight: 3 }],
        [s2, { forced: FORCED.DOWN }],
      ],
      [0, 0, 1],
    ],
    [
      'up, a VIP that is down',
      [[s1, { probed: PROBED.DOWN, weight: 3 }]],
      { target: s1, state: 'up' },
      [[s1, { probed: PROBED.DOWN, forced: FORCED.UP, weight: 3 }]],
      [0.5625, 0.1875, 0.25],
    ],
    [
      'auto, a drained VIP that is well',
      [[s1, { forced: FORCED.DRAIN, weight: 3 }]],
      { target: s1, state: 'auto' },
      [[s1, { weight: 3 }]],
      [0.5625, 0.1875, 0.25],
    ],
    [
      'auto, a VIP forced up that is down',
      [[d, { probed: PROBED.DOWN, forced: FORCED.UP }]],
      { target: d, state: 'auto' },
      [[d, { probed: PROBED.DOWN }]],
      [0.75, 0.25, 0],
    ],
    ['a weight', [], { target: s1, weight: 1 }, [[s1, { weight: 1 }]], [0.375, 0.375, 0.25]],
    ['standby', [], { target: s1, weight: 0 }, [[s1, { weight: 0 }]], [0, 0.75, 0.25]],
    [
      'the weight of the file',
      [[s1, { weight: 9 }]],
      { target: s1, weight: null },
      [[s1, { weight: 3 }]],
      [0.5625, 0.1875, 0.25],
    ],
    [
      'the last VIPs: serve_all serves them all the same',
      [[d, { forced: FORCED.DRAIN }]],
      { target: '@seoul', state: 'drain' },
      [
        [s1, { forced: FORCED.DRAIN, weight: 3 }],
        [s2, { forced: FORCED.DRAIN }],
      ],
      [0.5625, 0.1875, 0.25],
    ],
  ])('%s', (_title, before, order, written, shares) => {
    const server = zone(
      `  www: { vips: { s1: { region: seoul, A: 203.0.113.1, weight: 3 }, s2: { region: seoul, A: 203.0.113.2 }, d: { region: dublin, A: 203.0.113.3 } }, ${GEO} }\n`,
    );
    for (const each of before) server.set(...each);
    const simulation = simulate(server, [], { order });
    expect(simulation).toMatchObject({ down: [], order });
    const predicted = only(simulation).vips.map(({ after }) => after);
    for (const each of written) server.set(...each);
    const happened = only(simulate(server, [d])).vips.map((vip) => vip.before);
    expect(predicted).toEqual(happened);
    expect(happened).toEqual(shares);
  });

  test('an unknown target', () => {
    const server = zone('  www: { vips: { a: { A: 203.0.113.1 } } }\n');
    const order = { target: 'www.example.com/b', state: 'up' } as const;
    expect(simulateFrom(server.generation, { down: [], order, weigh: 'auto' })).toMatchObject({
      ok: false,
      parameter: 'order',
    });
  });
});

describe('simulate', () => {
  const www = `  www: { vips: { s1: { region: seoul, A: 203.0.113.1, weight: 3 }, s2: { region: seoul, A: 203.0.113.2 }, d: { region: dublin, A: 203.0.113.3 } }, ${GEO} }\n`;

  test('a VIP that fails leaves its clients to the others of its region', () => {
    const traffic = only(simulate(zone(www), ['www.example.com/s1']));
    expect(traffic.moved).toBe(0.5625);
    expect(traffic.vips.map(({ vip, before, after }) => [vip, before, after])).toEqual([
      ['s1', 0.5625, 0],
      ['s2', 0.1875, 0.75],
      ['d', 0.25, 0.25],
    ]);
    expect(traffic.moves).toEqual([{ from: 's1', to: 's2', share: 0.5625 }]);
    expect(traffic.regions).toEqual([]);
    expect(traffic.countries).toEqual([
      { country: 'KR', clients: 0.75, moved: 0.5625, moves: [{ from: 's1', to: 's2', share: 0.5625 }] },
    ]);
  });

  test('a region that fails leaves them to the next region', () => {
    const traffic = only(simulate(zone(www), ['@seoul']));
    expect(traffic.moved).toBe(0.75);
    expect(traffic.regions).toEqual([{ from: 'seoul', to: 'dublin', share: 0.75 }]);
    expect(traffic.stranded).toEqual({ before: 0, after: 0 });
  });

  test('a VIP that is down already has no clients to lose', () => {
    const server = zone(www);
    server.set('www.example.com/s1', { probed: PROBED.DOWN });
    expect(only(simulate(server, ['www.example.com/s1']))).toMatchObject({ moved: 0, moves: [], countries: [] });
  });

  test('a drained VIP that fails moves no clients, and the others count as they are forced', () => {
    const server = zone(www);
    server.set('www.example.com/d', { forced: FORCED.DRAIN });
    const traffic = only(simulate(server, ['www.example.com/s2']));
    expect(traffic.vips.map(({ before, after }) => [before, after])).toEqual([
      [0.75, 1],
      [0.25, 0],
      [0, 0],
    ]);
  });

  test.each<[fallback: string, to: string]>([
    ['serve_all', 'v'],
    ['none', NODATA],
    ['{ A: 192.0.2.99 }', STATIC],
  ])('when_all_down: %s is reported for clients without a candidate', (fallback, to) => {
    const server = zone(`  www: { vips: { v: { A: 203.0.113.1 } }, when_all_down: ${fallback} }\n`);
    const traffic = only(simulate(server, ['www.example.com/v']));
    expect(traffic.stranded).toEqual({ before: 0, after: 1 });
    expect(traffic.vips.filter(({ after }) => after > 0).map(({ vip }) => vip)).toEqual([to]);
  });

  test('a standby takes over', () => {
    const server = zone(
      '  www: { vips: { a: { A: 203.0.113.1 }, b: { A: 203.0.113.2, weight: 0 } }, steer: [weighted] }\n',
    );
    expect(only(simulate(server, ['www.example.com/a'])).moves).toEqual([{ from: 'a', to: 'b', share: 1 }]);
  });

  test('of several answers, a client takes any', () => {
    const vips = '{ a: { A: 203.0.113.1 }, b: { A: 203.0.113.2 }, c: { A: 203.0.113.3 }, e: { A: 203.0.113.4 } }';
    const server = zone(
      `  www: { vips: ${vips}, steer: [{ failover: [a, b] }, all], answers: 2 }\n  any: { vips: ${vips}, steer: [all], answers: 2 }\n`,
    );
    expect(only(simulate(server, ['any.example.com/a'])).moves).toEqual([{ from: 'a', to: 'c', share: 0.5 }]);
  });

  test('types are separate only if their VIPs are', () => {
    const server = zone(
      `  both: { vips: { v: { A: 203.0.113.1, AAAA: '2001:db8::1' }, w: { A: 203.0.113.2, AAAA: '2001:db8::2' } } }
  some: { vips: { v: { A: 203.0.113.1, AAAA: '2001:db8::1' }, w: { A: 203.0.113.2 } } }
  name: { vips: { v: { CNAME: v.example.net. }, w: { CNAME: w.example.net. } } }\n`,
    );
    const types = (name: string): unknown =>
      simulate(server, [`${name}.example.com/v`]).services.map(({ types: own, moved }) => [own.join('+'), moved]);
    expect([types('both'), types('some'), types('name')]).toEqual([
      [['A+AAAA', 0.5]],
      [
        ['A', 0.5],
        ['AAAA', 0],
      ],
      [['CNAME', 0.5]],
    ]);
  });

  test('services without such a VIP are counted', () => {
    const server = zone(`${www}  other: { vips: { v: { A: 203.0.113.9 } } }\n`);
    expect(simulate(server, ['www.example.com/d'])).toMatchObject({ targets: ['www.example.com/d'], untouched: 1 });
  });

  test.each<[text: string, message: RegExp]>([
    ['www.example.com/s3', /has no VIP "s3"; did you mean "s1"\?/],
    ['@seol', /no VIP is in a region "seol"; did you mean "seoul"\?/],
    ['ww.example.com/s1', /no service is called "ww.example.com"; did you mean "www.example.com"\?/],
  ])('%s is unknown: the nearest target is named', (text, message) => {
    const simulated = simulateFrom(zone(www).generation, { down: [text], weigh: 'auto' });
    expect(simulated).toMatchObject({
      ok: false,
      parameter: 'down',
      message: expect.stringMatching(message) as unknown,
    });
  });
});

describe('weighted by answers', () => {
  const www = `  www: { vips: { s: { region: seoul, A: 203.0.113.1 }, d: { region: dublin, A: 203.0.113.3 } }, ${GEO} }\n`;

  test.each<[title: string, served: number[], more: Partial<SimulateRequest>, weighed: string, moved: number]>([
    ['if there are many', [1000, 9000], {}, 'served', 0.1],
    ['not if there are few', [1, 9], {}, 'addresses', 0.75],
    ['if that is requested', [1, 9], { weigh: 'served' }, 'served', 0.1],
    ['not if addresses are requested', [1000, 9000], { weigh: 'addresses' }, 'addresses', 0.75],
  ])('%s', (_title, served, more, weighed, moved) => {
    expect(only(simulate(zone(www), ['@seoul'], more, served))).toMatchObject({ weighed, moved });
  });

  test('answers that named a VIP while it was up say nothing about where its clients are now', () => {
    const server = zone(www);
    server.set('www.example.com/s', { probed: PROBED.DOWN });
    const traffic = only(simulate(server, ['@dublin'], {}, [50_000, 2000]));
    expect(traffic.vips.map(({ before }) => before)).toEqual([0, 1]);
  });
});

test('a VIP whose clients all have IPv6 addresses gets the weight 0', () => {
  const server = zone(
    `  www: { vips: { s: { region: seoul, A: 203.0.113.1 }, d: { region: dublin, A: 203.0.113.3 } }, steer: [{ geo: { '2001:db8::/32': dublin, default: seoul } }] }\n`,
  );
  const traffic = only(simulate(server, ['www.example.com/d'], {}, [5000, 2000]));
  expect(traffic).toMatchObject({ weighed: 'served', moved: 0, ipv6: true, moves: [], countries: [] });
  expect(traffic.vips.map(({ before }) => before)).toEqual([1, 0]);
});

/** Addresses that the database knows, all with equal probability. */
function randomClients({ generation }: Answering, count: number, dice: Dice): Uint8Array[] {
  const { nodes, v4Root } = viewAtlas(generation.atlas);
  const clients: Uint8Array[] = [];
  for (let tried = 0; clients.length < count; tried++) {
    if (tried === 1000 * count) throw new Error('the database knows too few addresses');
    const address = Uint8Array.of(dice.below(256), dice.below(256), dice.below(256), dice.below(256));
    const location = placeAt(generation.locations, lookupClass(nodes, v4Root, address, 0, 32) >>> 8);
    if (isInhabited(location)) clients.push(address);
  }
  return clients;
}

/** Data of the answer; NODATA, or STATIC. */
function landing(server: Answering, name: string, type: number, client: Uint8Array): string[] {
  const { answer } = server.ask(name, type, { from: formatAddress(client) });
  const { vips } = server.generation.catalog;
  const texts = answer.map((record) => formatRdata(record.type, Buffer.from(record.data, 'hex')));
  // A VIP may have several records of another type: they are one.
  const found = vips.flatMap(({ target, records = [] }) => {
    const own = records.find((each) => each.type === typeText(type))?.data;
    return own && target.startsWith(`${name}/`) && own.every((text) => texts.includes(text)) ? [own.join('; ')] : [];
  });
  if (found.length > 0) return found;
  const data = answer.map((record) => {
    const octets = Buffer.from(record.data, 'hex');
    if (record.type === T.TXT) return octets.subarray(1).toString('latin1');
    return record.type === T.CNAME ? readName(octets, 0).name.slice(0, -1) : formatAddress(octets);
  });
  if (data.length === 0) return [NODATA];
  return data.map((text) =>
    ['192.0.2.99', '2001:db8::99', 'sorry.example.net', 'sorry'].includes(text) ? STATIC : text,
  );
}

test('simulated shares are those of answers to random addresses', () => {
  const seed = printedSeed('simulate against packets');
  const dice = createDice(seed);
  const ASKED = Math.max(500, trials(2500));
  let compared = 0;
  for (let round = 0; round < trials(6); round++) {
    const world = randomWorld(dice, 8);
    const server = answering({ ...world.files, 'place.mmdb': writeMmdb(DATABASE) }, {}, seed);
    const { vips } = server.generation.catalog;
    for (const vip of vips) {
      const probed = dice.pick([PROBED.UP, PROBED.UP, PROBED.UNKNOWN, PROBED.DOWN]);
      const forced = dice.chance(0.9) ? FORCED.NONE : dice.pick([FORCED.UP, FORCED.DOWN, FORCED.DRAIN]);
      server.set(vip.target, { probed, forced, weight: dice.pick([0, 1, 1, 2, 7]) });
    }
    const clients = randomClients(server, ASKED, dice);
    for (const { name, model } of world.services) {
      // Few large networks are few draws: results are far from the probabilities that simulate shows.
      if (model.steps.some((step) => step.kind === 'sticky' && step.v4Bits < 24)) continue;
      const own = vips.filter(({ target }) => target.startsWith(`${name}.example.com/`));
      const down = dice.sample(own, 1 + dice.below(2)).map(({ target }) => target);
      const simulation = simulate(server, down);
      for (const traffic of simulation.services) {
        const type = traffic.types[0] === 'CNAME' ? T.A : (typeNumber(traffic.types[0] ?? '') ?? 0);
        const ask = (): string[][] => clients.map((client) => landing(server, `${name}.example.com`, type, client));
        const before = ask();
        const states = server.health.states.slice();
        for (const { target, slot } of own) {
          // A VIP that an operator took out also stays out when it fails.
          const forced = isForcedOut(states[slot] ?? 0) ? forcedOf(states[slot] ?? 0) : FORCED.NONE;
          if (down.includes(target)) server.set(target, { probed: PROBED.DOWN, forced });
        }
        const after = ask();
        server.health.states.set(states);
        const steps = model.steps.map(({ kind }) => kind);
        const where = `${name} ${traffic.types.join('+')} without ${down.join()}, ${steps.join()}, seed ${seed}`;
        for (const { data, before: was, after: is } of traffic.vips) {
          near(shareAt(before, data), was, ASKED, `before: ${data} of ${where}`);
          near(shareAt(after, data), is, ASKED, `after: ${data} of ${where}`);
          compared += 2;
        }
        const moved = movedBetween(before, after);
        // Draws also move clients that need not move; sticky moves some more if VIPs are added while others go.
        if (steps.includes('weighted') || steps.includes('sticky'))
          near(Math.min(moved, traffic.moved), traffic.moved, ASKED, `moved: ${where}`);
        else near(moved, traffic.moved, ASKED, `moved: ${where}`);
      }
    }
  }
  expect(compared).toBeGreaterThan(moreThan(200));
});

test('sticky: only the clients of a VIP that fails move', () => {
  const seed = printedSeed('simulate sticky');
  const dice = createDice(seed);
  const server = zone(
    '  w: { vips: { a: { A: 203.0.113.1, weight: 5 }, b: { A: 203.0.113.2, weight: 3 }, c: { A: 203.0.113.3 } }, steer: [sticky] }\n',
  );
  const clients = randomClients(server, 4000, dice);
  const before = clients.map((client) => landing(server, 'w.example.com', T.A, client));
  const { moved, moves } = only(simulate(server, ['w.example.com/b']));
  server.set('w.example.com/b', { probed: PROBED.DOWN });
  const after = clients.map((client) => landing(server, 'w.example.com', T.A, client));
  near(movedBetween(before, after), moved, clients.length, `seed ${seed}`);
  expect(moves.map(({ from, to }) => `${from} ${to}`)).toEqual(['b a', 'b c']);
  expect(moved).toBe(0.333333);
});

function shareAt(landings: readonly (readonly string[])[], data: string): number {
  const share = landings.reduce((sum, one) => sum + one.filter((text) => text === data).length / one.length, 0);
  return share / landings.length;
}

function movedBetween(before: readonly (readonly string[])[], after: readonly (readonly string[])[]): number {
  const moved = before.reduce((sum, from, index) => {
    const to = after[index] ?? [];
    return (
      sum +
      from.reduce((lost, data) => lost + Math.max(0, 1 / from.length - (to.includes(data) ? 1 / to.length : 0)), 0)
    );
  }, 0);
  return moved / before.length;
}

/** Simulate writes six digits. */
const ROUNDED = 1e-6;

function near(observed: number, simulated: number, count: number, where: string): void {
  expectShare(observed, Math.min(1 - ROUNDED, Math.max(ROUNDED, simulated)), count, where);
}
