/** The thread of simulate: its results, waiting requests, and what stops it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createHealthTable } from '../../../../health/health-table.ts';
import { NOBODY } from '../../../../server/forecast/client-counts.ts';
import { simulateFrom } from '../../../../server/forecast/simulate-failure.ts';
import {
  createSimulateThread,
  type SimulatedServer,
  type SimulateOutcome,
  type SimulateThread,
  type SimulateThreadOptions,
} from '../../../../server/forecast/simulate-thread.ts';
import { packGeneration, unpackGeneration } from '../../../../zones/packed-generation.ts';
import { loadPacked, NO_GEOGRAPHY, payloadOf } from '../../../support/pharos.ts';
import { createManualClock } from '../../health/support.ts';

const SERVICES = Array.from(
  { length: 40 },
  (_, n) =>
    `  s${n}: { vips: { a: { region: seoul, A: 203.0.113.${n} }, b: { region: dublin, A: 198.51.100.${n} } }, steer: [weighted] }\n`,
).join('');
const loaded = loadPacked({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': `zone: example.com\nnameservers: [ns.example.net.]\nregions: { seoul: { at: KR }, dublin: { at: IE } }\nservices:\n${SERVICES}`,
});
const health = payloadOf(loaded).health;
const request = { down: ['@seoul'], weigh: 'served' } as const;
/** A thread that never replies, as one that computes without end. */
const SILENT = new URL('data:text/javascript,setInterval(() => undefined, 1e6)');
const BROKEN = new URL('data:text/javascript,throw new Error("broken")');

let asked: number[];
let threads: SimulateThread[];
beforeEach(() => {
  asked = [];
  threads = [];
});
afterEach(() => {
  for (const thread of threads) thread.stop();
});

function open(more: Partial<SimulateThreadOptions> = {}): SimulateThread {
  const server: SimulatedServer = {
    generation: loaded.packed,
    health,
    factsOf: (service) => {
      asked.push(service);
      return { clients: NOBODY, served: [3, 1], loads: [undefined, undefined] };
    },
  };
  const thread = createSimulateThread({ server: () => server, ...more });
  threads.push(thread);
  return thread;
}

const kindOf = async (reply: ReturnType<SimulateThread['simulate']>): Promise<SimulateOutcome['kind']> =>
  (await reply).outcome.kind;

test('a packed generation is the same when it is unpacked', () => {
  const { catalog, image, atlas, locations } = loaded;
  expect(unpackGeneration(packGeneration(loaded))).toEqual({
    ...{ catalog: { ...catalog, zones: [] }, image, atlas, locations },
  });
});

test('it gives the result of the calling thread, and asks only for affected services', async () => {
  const thread = open();
  const served = Float64Array.from(loaded.catalog.vips, (_, slot) => (slot % 2 === 0 ? 3 : 1));
  const live = { health: { memory: health, reasonOf: () => undefined }, served };
  const { outcome, leave } = await thread.simulate(request);
  leave();
  const here = simulateFrom(loaded, request, live);
  if (outcome.kind !== 'done' || !here.ok) throw new Error(outcome.kind);
  const there: unknown = JSON.parse(new TextDecoder().decode(outcome.json));
  expect(there).toEqual(here.simulation);
  expect(here.simulation.services[0]).toMatchObject({ weighed: 'served', moved: 0.75 });
  expect(asked).toEqual(Array.from({ length: 40 }, (_, service) => service));
  asked = [];
  expect(await kindOf(thread.simulate({ down: ['s7.example.com/a'], weigh: 'auto' }))).toBe('done');
  expect(asked).toEqual([7]);
});

test('a request with an unknown target is rejected with the message of simulate', async () => {
  const { outcome } = await open().simulate({ down: ['@seol'], weigh: 'auto' });
  expect(outcome).toMatchObject({ kind: 'refused', parameter: 'down' });
});

describe('requests that wait', () => {
  test('are four; one more is rejected, and a place is free when a reply was sent', async () => {
    const thread = open();
    const five = Array.from({ length: 5 }, () => thread.simulate(request));
    expect(await kindOf(thread.simulate(request))).toBe('busy');
    const replies = await Promise.all(five);
    expect(replies.map(({ outcome }) => outcome.kind)).toEqual(Array(5).fill('done'));
    // Computed, but not sent: the memory is still taken.
    expect(await kindOf(thread.simulate(request))).toBe('busy');
    replies[0]?.leave();
    replies[0]?.leave();
    expect(await kindOf(thread.simulate(request))).toBe('done');
    expect(await kindOf(thread.simulate(request))).toBe('busy');
  });

  test('are computed one after the other, also if an earlier one takes too long', async () => {
    const clock = createManualClock();
    const thread = open({ entry: SILENT, clock });
    const order: number[] = [];
    const three = [0, 1, 2].map(async (number) => {
      const { outcome } = await thread.simulate(request);
      order.push(number);
      return outcome;
    });
    for (const ended of [1, 2, 3]) {
      await clock.advance(29_999);
      expect(order).toHaveLength(ended - 1);
      await clock.advance(1);
      expect(order).toHaveLength(ended);
    }
    const tooLong = { kind: 'too-long', seconds: 30 };
    expect(await Promise.all(three)).toEqual([tooLong, tooLong, tooLong]);
    expect(order).toEqual([0, 1, 2]);
  });
});

describe('a thread that computes without end is stopped', () => {
  test('when the client has disconnected; the next request follows', async () => {
    let made = 0;
    const server: SimulatedServer = { generation: loaded.packed, health, factsOf: () => ({ clients: NOBODY, served: [], loads: [] }) }; // prettier-ignore
    const thread = open({ entry: SILENT, server: () => (made++, server) });
    const gone = [new AbortController(), new AbortController()];
    const replies = gone.map(({ signal }) => kindOf(thread.simulate(request, signal)));
    gone[0]?.abort();
    expect(await replies[0]).toBe('cancelled');
    expect(made).toBe(2);
    gone[1]?.abort();
    expect(await replies[1]).toBe('cancelled');
    expect(await kindOf(thread.simulate(request, AbortSignal.abort()))).toBe('cancelled');
  });

  test('when its generation is replaced', async () => {
    const thread = open({ entry: SILENT });
    const reply = kindOf(thread.simulate(request));
    thread.replaced();
    expect(await reply).toBe('replaced');
  });

  test('when the server stops', async () => {
    const thread = open({ entry: SILENT });
    const replies = [kindOf(thread.simulate(request)), kindOf(thread.simulate(request))];
    thread.stop();
    expect(await Promise.all(replies)).toEqual(['cancelled', 'cancelled']);
    expect(await kindOf(thread.simulate(request))).toBe('cancelled');
  });
});

test('a thread that fails rejects its request, and the next has a thread again', async () => {
  const entries = [BROKEN, BROKEN];
  const thread = open({ entry: entries[0] ?? BROKEN });
  await expect(thread.simulate(request)).rejects.toThrow('broken');
  await expect(thread.simulate(request)).rejects.toThrow('broken');
});

test('after a replaced generation the next request is about the new one', async () => {
  const other = loadPacked({
    ...NO_GEOGRAPHY,
    'zones/example.com.yaml':
      'zone: example.com\nnameservers: [ns.example.net.]\nservices: { x: { vips: { a: { A: 192.0.2.1 } } } }\n',
  });
  let packed = loaded.packed;
  const facts = { clients: NOBODY, served: [0, 0], loads: [] };
  const thread = open({ server: () => ({ generation: packed, health: createHealthTable(200), factsOf: () => facts }) });
  expect(await kindOf(thread.simulate({ down: ['x.example.com/a'], weigh: 'auto' }))).toBe('refused');
  packed = other.packed;
  thread.replaced();
  facts.served = [0];
  expect(await kindOf(thread.simulate({ down: ['x.example.com/a'], weigh: 'auto' }))).toBe('done');
});
