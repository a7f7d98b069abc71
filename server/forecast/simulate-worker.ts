/**
 * The thread of simulate: one generation, one request at a time. It unpacks the catalog, asks the control thread for
 * the facts that only the control thread has, and posts the reply as octets that are ready to send.
 */
import { constants, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { unpackGeneration, type ForecastGeneration } from '../../zones/packed-generation.ts';
import { NOBODY, type CountedClients } from './client-counts.ts';
import { servicesTouched, simulateFrom, slotsOfRequest, type SimulateRequest } from './simulate-failure.ts';
import {
  SERVICES_A_QUESTION,
  type FromSimulateThread,
  type ServiceFacts,
  type ToSimulateThread,
} from './simulate-thread.ts';
import { mapFrom, serviceNumber, type MapRequest } from './who-serves.ts';

// Answering threads have precedence. Only Linux has priorities per thread; elsewhere this would change the whole
// process.
if (process.platform === 'linux') setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);

type Start = Extract<ToSimulateThread, { readonly kind: 'start' }>;
type Ask = Extract<ToSimulateThread, { readonly kind: 'ask' }>;

let generation: ForecastGeneration | undefined;
let health: SharedArrayBuffer | undefined;
let hear: ((facts: readonly ServiceFacts[]) => void) | undefined;

parentPort?.on('message', (message: ToSimulateThread) => {
  switch (message.kind) {
    case 'start':
      start(message);
      break;
    case 'ask':
      void answer(message);
      break;
    case 'facts':
      hear?.(message.facts);
      break;
  }
});

function start(message: Start): void {
  generation = unpackGeneration(message.generation);
  ({ health } = message);
}

async function answer({ request }: Ask): Promise<void> {
  if (generation === undefined || health === undefined) throw new Error('no generation was posted');
  const made =
    'map' in request ? await drawMap(generation, health, request) : await simulateRequest(generation, health, request);
  if ('message' in made) {
    post({ kind: 'refused', parameter: made.parameter, message: made.message });
    return;
  }
  const json = new TextEncoder().encode(JSON.stringify(made.document));
  post({ kind: 'done', json }, [json.buffer]);
}

type Made = { readonly document: object } | { readonly parameter: string; readonly message: string };

async function simulateRequest(
  known: ForecastGeneration,
  memory: SharedArrayBuffer,
  request: SimulateRequest,
): Promise<Made> {
  const slots = slotsOfRequest(known, request);
  if ('message' in slots) return slots;
  const live = await learn(known, servicesTouched(known, slots));
  const simulated = simulateFrom(known, request, { health: { memory, reasonOf: () => undefined }, ...live });
  return simulated.ok ? { document: simulated.simulation } : simulated;
}

async function drawMap(known: ForecastGeneration, memory: SharedArrayBuffer, request: MapRequest): Promise<Made> {
  const service = serviceNumber(known, request.map);
  const live = await learn(known, service === undefined ? [] : [service]);
  const mapped = mapFrom(known, request, { health: { memory, reasonOf: () => undefined }, ...live });
  return mapped.ok ? { document: mapped.map } : mapped;
}

type Learnt = {
  readonly served: Float64Array;
  readonly clients: (service: string) => CountedClients;
  readonly loadOf: (vip: { readonly slot: number }) => number | undefined;
};

/** Asks the control thread for facts about these services, a few at a time, so that it is never busy for long. */
async function learn({ catalog }: ForecastGeneration, touched: readonly number[]): Promise<Learnt> {
  const served = new Float64Array(catalog.vips.length);
  const loads = new Map<number, number>();
  const clients = new Map<string, CountedClients>();
  for (let at = 0; at < touched.length; at += SERVICES_A_QUESTION) {
    const services = touched.slice(at, at + SERVICES_A_QUESTION);
    const facts = await new Promise<readonly ServiceFacts[]>((resolve) => {
      hear = resolve;
      post({ kind: 'need', services });
    });
    for (const [index, fact] of facts.entries()) {
      const info = catalog.services[services[index] ?? -1];
      if (info === undefined) continue;
      clients.set(info.name, fact.clients);
      served.set(fact.served, info.firstSlot);
      for (const [vip, load] of fact.loads.entries()) if (load !== undefined) loads.set(info.firstSlot + vip, load);
    }
  }
  return { served, clients: (name) => clients.get(name) ?? NOBODY, loadOf: ({ slot }) => loads.get(slot) };
}

function post(message: FromSimulateThread, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}
