/**
 * Serials of a fleet: nodes over a simulated network, with random deployments, restarts and partitions, and a secondary
 * that transfers from all of them.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createSerialExchange, ZONES_PER_MESSAGE, type SerialExchange } from '../../../fleet/serial-exchange.ts';
import type { Clock } from '../../../health/clock.ts';
import { isLaterSerial } from '../../../wire/serial.ts';
import { agreedSerial } from '../../../zones/agree-serial.ts';
import { createDice, printedSeed, trials, type Dice } from '../../support/random.ts';

const ZONE = 'example.com';
const dice = createDice(printedSeed('serials of a fleet'));

type Served = { readonly content: string; readonly serial: number };
type Node = {
  readonly name: string;
  exchange: SerialExchange;
  /** In force; undefined while the node starts. */
  served: Served | undefined;
  /** What it keeps over restarts. */
  saved: { readonly served: Served | undefined; readonly memory: unknown };
  isRunning: boolean;
};

const NOTHING: ReadonlyMap<string, number> = new Map();

/** Nodes that serve one zone. */
function createFleet(names: readonly string[], random: Dice, loss = 0) {
  let nowMs = 0;
  let run = 0;
  let groupOf: (name: string) => number = () => 0;
  const events: { readonly dueMs: number; readonly do: () => void }[] = [];
  const faults: string[] = [];
  const after = (ms: number, act: () => void): void => {
    events.push({ dueMs: nowMs + ms, do: act });
    events.sort((a, b) => a.dueMs - b.dueMs);
  };
  const clock: Clock = {
    now: () => nowMs,
    wall: () => nowMs,
    after: (ms, act) => {
      let isOff = false;
      after(ms, () => {
        if (!isOff) act();
      });
      return () => {
        isOff = true;
      };
    },
  };
  const nodes = new Map<string, Node>();
  const hears = (a: string, b: string): boolean =>
    groupOf(a) === groupOf(b) && nodes.get(a)?.isRunning === true && nodes.get(b)?.isRunning === true;
  const carry = (from: string, to: string, arrive: (node: Node) => void): void => {
    if (!hears(from, to) || random.chance(loss)) return;
    after(20 + random.below(60), () => {
      const node = nodes.get(to);
      if (node?.isRunning === true) arrive(node);
    });
  };
  /** Puts a content in force, with the serial that the rule gives it. */
  const load = (node: Node, content: string, ofFiles = 1): void => {
    const known = node.exchange.known().get(ZONE) ?? NOTHING;
    const before = node.served ?? node.saved.served;
    const serial = agreedSerial({ content, before, known, ofFiles });
    if (before?.content === content && before.serial === serial && node.served) return;
    if (before && before.serial !== serial && !isLaterSerial(serial, before.serial)) {
      faults.push(`${node.name}: ${before.content} ${before.serial} → ${content} ${serial}`);
    }
    if (before && before.content !== content && before.serial === serial) faults.push(`${node.name}: ${serial} twice`);
    node.served = { content, serial };
    node.exchange.serve(new Map([[ZONE, node.served]]));
    node.saved = { served: node.served, memory: node.exchange.toSave() };
  };
  const open = (name: string): SerialExchange => {
    const own = String((run += 1));
    let isDue = false;
    const exchange = createSerialExchange({
      node: name,
      run: own,
      clock,
      saved: nodes.get(name)?.saved.memory,
      send: (message) => {
        for (const to of nodes.keys()) {
          if (to !== name) carry(name, to, (node) => { node.exchange.hear(message); }); // prettier-ignore
        }
      },
      ask: (peer, request) =>
        new Promise((resolve) => {
          after(2000, () => {
            resolve(undefined);
          });
          carry(name, peer, (node) => {
            const page = node.exchange.page(request);
            carry(peer, name, () => {
              resolve(page);
            });
          });
        }),
      learned: () => {
        if (isDue) return;
        isDue = true;
        after(300, () => {
          isDue = false;
          const node = nodes.get(name);
          if (node?.exchange !== exchange || !node.isRunning) return;
          node.saved = { ...node.saved, memory: exchange.toSave() };
          if (node.served) load(node, node.served.content);
        });
      },
    });
    return exchange;
  };
  const start = (name: string, content: string, ofFiles?: number, keepsState = true): void => {
    const saved = (keepsState ? nodes.get(name)?.saved : undefined) ?? { served: undefined, memory: undefined };
    const node: Node = { name, saved, served: undefined, isRunning: true, exchange: open(name) };
    nodes.set(name, node);
    if (!keepsState) node.exchange = open(name);
    node.exchange.greet();
    after(800, () => {
      if (nodes.get(name) === node && node.isRunning && !node.served) load(node, content, ofFiles);
    });
  };
  const beat = (name: string): void => {
    const node = nodes.get(name);
    if (node?.isRunning === true) {
      node.exchange.tick(
        new Set(names.filter((peer) => peer !== name && hears(name, peer))),
        names.filter((peer) => peer !== name),
      );
    }
    after(1000, () => {
      beat(name);
    });
  };
  for (const name of names) {
    after(random.below(1000), () => {
      beat(name);
    });
  }

  /** It asks a node at random, and transfers what is later than its own. */
  let secondary: Served | undefined;
  const poll = (): void => {
    const { served } = nodes.get(random.pick(names)) ?? {};
    if (served && (secondary === undefined || isLaterSerial(served.serial, secondary.serial))) secondary = served;
    after(700, poll);
  };
  after(700, poll);

  return {
    nodes,
    faults,
    start,
    load,
    stop: (name: string) => {
      const node = nodes.get(name);
      if (!node) return;
      node.isRunning = false;
      node.served = undefined;
    },
    partition: (group: (name: string) => number) => {
      groupOf = group;
    },
    /** From now on every message arrives. */
    heal: () => {
      groupOf = () => 0;
      loss = 0;
    },
    /** Whether the first node keeps what the node serves. */
    isKept: (name: string): boolean => {
      const served = nodes.get(name)?.saved.served;
      const memory = new Map(nodes.get(names[0] ?? '')?.saved.memory as [string, [string, number][]][] | undefined);
      const kept = new Map(memory.get(ZONE)).get(served?.content ?? '');
      return name !== names[0] && (served === undefined || kept === served.serial);
    },
    secondary: () => secondary,
    served: () => [...nodes.values()].map(({ served }) => served),
    advance: async (ms: number): Promise<void> => {
      const untilMs = nowMs + ms;
      for (let next = events[0]; next !== undefined && next.dueMs <= untilMs; next = events[0]) {
        events.shift();
        nowMs = next.dueMs;
        next.do();
        // Requests are promises.
        await turn();
      }
      nowMs = untilMs;
    },
  };
}

/** Same content, same serial; other content, another serial. */
function expectAgreement(served: readonly (Served | undefined)[], faults: readonly string[]): void {
  const pairs = new Set(served.map((each) => `${each?.content ?? 'none'} ${String(each?.serial)}`));
  const contents = new Set(served.map((each) => each?.content));
  const serials = new Set(served.map((each) => each?.serial));
  expect([contents.size, serials.size], [...pairs].join(', ')).toEqual([pairs.size, pairs.size]);
  expect(faults).toEqual([]);
}

describe('nodes of a fleet', () => {
  test('that load the same content at the same time come to the latest serial', async () => {
    const fleet = createFleet(['a', 'b', 'c'], dice);
    fleet.start('a', 'first', 100);
    fleet.start('b', 'first', 300);
    fleet.start('c', 'first', 200);
    await fleet.advance(20_000);
    expect(fleet.served().map((each) => each?.serial)).toEqual([300, 300, 300]);
  });

  test('a content that comes back gets a new serial', async () => {
    const fleet = createFleet(['a', 'b'], dice);
    fleet.start('a', 'first', 100);
    fleet.start('b', 'first', 100);
    for (const content of ['second', 'first']) {
      await fleet.advance(20_000);
      for (const node of fleet.nodes.values()) fleet.load(node, content, 0);
    }
    await fleet.advance(20_000);
    expect(fleet.served()).toEqual([{ content: 'first', serial: 102 }, { content: 'first', serial: 102 }]); // prettier-ignore
  });

  test('a newcomer without state takes the serial of the fleet, and lags with the old content', async () => {
    const fleet = createFleet(['a', 'b', 'c'], dice);
    for (const name of ['a', 'b']) fleet.start(name, 'first', 100);
    await fleet.advance(20_000);
    const [a, b] = ['a', 'b'].map((name) => fleet.nodes.get(name));
    if (a && b) {
      fleet.load(a, 'second', 200);
      await fleet.advance(20_000);
      fleet.start('c', 'first', 5000, false);
      await fleet.advance(100_000);
      expect(fleet.served().map((each) => each?.serial)).toEqual([200, 100, 100]);
      fleet.load(b, 'second', 9000);
      fleet.start('c', 'second', 9000, false);
      await fleet.advance(20_000);
    }
    expect(fleet.served().map((each) => each?.serial)).toEqual([200, 200, 200]);
  });

  test('a content that all nodes take back by losing their state reaches a secondary', async () => {
    const fleet = createFleet(['a', 'b'], dice);
    for (const name of ['a', 'b']) fleet.start(name, 'first', 100);
    await fleet.advance(20_000);
    for (const node of fleet.nodes.values()) fleet.load(node, 'second', 200);
    await fleet.advance(20_000);
    expect(fleet.secondary()).toEqual({ content: 'second', serial: 200 });
    fleet.start('a', 'first', 100, false);
    await fleet.advance(20_000);
    fleet.start('b', 'first', 100, false);
    await fleet.advance(120_000);
    expectAgreement(fleet.served(), []);
    expect(fleet.secondary()?.content).toBe('first');
  });

  test(`agree on ${ZONES_PER_MESSAGE * 3} zones`, async () => {
    const fleet = createFleet(['a', 'b'], dice);
    for (const name of ['a', 'b']) fleet.start(name, 'first', 100);
    await fleet.advance(2000);
    const [a, b] = [fleet.nodes.get('a'), fleet.nodes.get('b')];
    const names = Array.from({ length: ZONES_PER_MESSAGE * 3 }, (_, index) => `zone-${String(index)}`);
    a?.exchange.serve(new Map(names.map((name, index) => [name, { content: name, serial: index }])));
    await fleet.advance(30_000);
    expect(names.every((name, index) => b?.exchange.known().get(name)?.get(name) === index)).toBe(true);
    expect(b?.exchange.servedBy('a')?.size).toBe(names.length);
    expect(b?.exchange.hasHeard(['a'])).toBe(true);
  });

  test('whatever happens, a serial never goes back, and a secondary gets what all nodes serve in the end', async () => {
    for (let trial = 0; trial < trials(150); trial++) {
      const names = ['a', 'b', 'c', 'd'].slice(0, 2 + dice.below(3));
      const contents = ['k', 'l', 'm', 'n'];
      // Near the end of the numbers, so that serials wrap around.
      const base = dice.chance(0.3) ? 0xffff_fff8 : 1000;
      const fleet = createFleet(names, dice, dice.pick([0, 0.05, 0.3]));
      for (const name of names) fleet.start(name, 'k', base + dice.below(4));
      for (let step = 0; step < 12; step++) {
        await fleet.advance(dice.pick([50, 400, 3000, 15_000]));
        const name = dice.pick(names);
        const node = fleet.nodes.get(name);
        const ofFiles = base + dice.below(4);
        const what = dice.below(6);
        if (what <= 1 && node?.served) fleet.load(node, dice.pick(contents), ofFiles);
        else if (what === 2) {
          const content = dice.pick(contents);
          for (const each of fleet.nodes.values()) if (each.served) fleet.load(each, content, ofFiles);
        } else if (what === 3) fleet.stop(name);
        else if (what === 4) {
          // What no node remembers cannot be known.
          const keepsState = !fleet.isKept(name) || dice.chance(0.5);
          fleet.start(name, dice.pick(contents), ofFiles, keepsState);
        } else {
          const split = dice.below(2) === 0 ? names.length : 1 + dice.below(names.length);
          fleet.partition((each) => (names.indexOf(each) < split ? 0 : 1));
        }
      }
      fleet.heal();
      for (const name of names) if (fleet.nodes.get(name)?.isRunning !== true) fleet.start(name, 'k', base);
      await fleet.advance(60_000);
      expectAgreement(fleet.served(), fleet.faults);
      for (const each of fleet.nodes.values()) fleet.load(each, 'k', base);
      await fleet.advance(180_000);
      expectAgreement(fleet.served(), fleet.faults);
      expect(fleet.secondary()).toEqual(fleet.served()[0]);
    }
  });
});

test('messages of another version or form are ignored', () => {
  const sent: Uint8Array[] = [];
  const exchange = createSerialExchange({
    node: 'a',
    run: '1',
    clock: { now: () => 0, wall: () => 0, after: () => () => undefined },
    send: (message) => sent.push(message),
    ask: () => Promise.resolve(undefined),
    learned: expect.unreachable,
  });
  const message = { version: 1, node: 'b', run: '1', edition: 1, changes: [[ZONE, [['k', 1]]]] };
  const bad = [
    { ...message, version: 2 },
    { ...message, node: 'x'.repeat(300) },
    { ...message, edition: -1 },
    { ...message, changes: [[ZONE, [['k', 2 ** 32]]]] },
    { ...message, changes: [[ZONE, 'k']] },
    { ...message, changes: {} },
    'text',
  ];
  for (const each of bad) exchange.hear(Buffer.from(JSON.stringify(each)));
  exchange.hear(Buffer.from('{'));
  expect(exchange.known().size).toBe(0);
  expect(sent).toEqual([]);
});
