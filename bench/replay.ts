/**
 * Sends the packets of the benchmark's cases through `answer()` in this process, without sockets: for answer.bench.ts,
 * and for cost.ts, which counts instructions. `node bench/replay.ts FOLDER MODULE` answers what `saveReplay` wrote
 * there, with the answerer of this URL.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createHealthTable } from '../health/health-table.ts';
import type { AnswererPayload } from '../server/answer/answerer.ts';
import { createClientRing } from '../server/answer/client-samples.ts';
import { packetOf, TRANSPORT, type Answer, type AnswererModule } from '../server/contract.ts';
import { createCounters } from '../server/counters.ts';
import { inlineMore } from '../server/inline-more.ts';
import { SLOT_OCTETS } from '../server/io/message-vector.ts';
import { loadAnswerer } from '../server/threads/thread.ts';
import { RCODE } from '../wire/types.ts';

/** Queries per batch: as many as are in flight in the benchmark. */
export const BATCH_QUERIES = 200;
/** Batches of each case before the first that is counted: by then, all code is compiled. */
const WARM_UP = 300;
/** How often the batches of a case are counted, and how many batches that are. */
const ROUNDS = 9;
export const COUNTED_BATCHES = 10;
/** Packets of each case: all that the program answers are different, where the case has as many. */
export const PACKETS = (WARM_UP + ROUNDS) * BATCH_QUERIES;

/** A compiled configuration, and the queries of each case. */
export type ReplayInput = {
  readonly arena: SharedArrayBuffer;
  readonly root: number;
  readonly plan: SharedArrayBuffer;
  readonly atlas: SharedArrayBuffer;
  /** Number of VIPs in the health table, and the weight of each by its slot. */
  readonly weights: readonly number[];
  readonly cases: readonly { readonly name: string; readonly packets: readonly Uint8Array[] }[];
};

export type Replay = {
  readonly name: string;
  /** Puts the next queries into place. Not measured. */
  readonly fill: () => void;
  /** Answers them. */
  readonly answer: () => void;
  /** Whether the last response is an answer. An answerer older than the input refuses all queries. */
  readonly isAnswered: () => boolean;
};

const MEMORIES = ['arena', 'plan', 'atlas'] as const;

/** Writes the input to files, so that a program that is counted need not compile it. */
export function saveReplay(folder: string, input: ReplayInput): void {
  for (const name of MEMORIES) writeFileSync(join(folder, name), new Uint8Array(input[name]));
  const { root, weights, cases } = input;
  const packets = cases.map(({ name, packets }) => ({ name, lengths: packets.map(({ length }) => length) }));
  writeFileSync(join(folder, 'index'), JSON.stringify({ root, weights, cases: packets }));
  for (const { name, packets } of cases) writeFileSync(join(folder, `packets-${name}`), Buffer.concat(packets));
}

function readReplay(folder: string): ReplayInput {
  const index = JSON.parse(readFileSync(join(folder, 'index'), 'utf8')) as Pick<ReplayInput, 'root' | 'weights'> & {
    readonly cases: readonly { readonly name: string; readonly lengths: readonly number[] }[];
  };
  const [arena, plan, atlas] = MEMORIES.map((name) => {
    const octets = readFileSync(join(folder, name));
    const memory = new SharedArrayBuffer(octets.length);
    new Uint8Array(memory).set(octets);
    return memory;
  }) as [SharedArrayBuffer, SharedArrayBuffer, SharedArrayBuffer];
  const cases = index.cases.map(({ name, lengths }) => {
    const octets = readFileSync(join(folder, `packets-${name}`));
    let at = 0;
    return { name, packets: lengths.map((length) => octets.subarray(at, (at += length))) };
  });
  return { arena, plan, atlas, root: index.root, weights: index.weights, cases };
}

/** One replay per case. `answererModule` is a URL, as for a thread. */
export async function createReplays(input: ReplayInput, answererModule: string): Promise<Replay[]> {
  inlineMore();
  const clients = createClientRing();
  const heads = new Int32Array(clients, 0, 2);
  const answer = createAnswer(await loadAnswerer(answererModule), input, clients);
  const slots = new Uint8Array(BATCH_QUERIES * SLOT_OCTETS);
  const responses = new Uint8Array(slots.length);
  const lengths = new Int32Array(BATCH_QUERIES);
  const packet = packetOf(slots, Uint8Array.of(127, 0, 0, 1), TRANSPORT.UDP, responses);
  return input.cases.map(({ name, packets }) => {
    let next = 0;
    return {
      name,
      fill: () => {
        // All samples are taken from the ring (server/answer/ring.ts), at almost no cost: with a full ring, samples
        // would look too cheap.
        heads[1] = heads[0] ?? 0;
        for (let slot = 0; slot < BATCH_QUERIES; slot++) {
          const packet = packets[next++ % packets.length] ?? new Uint8Array(0);
          slots.set(packet, slot * SLOT_OCTETS);
          lengths[slot] = packet.length;
        }
      },
      answer: () => {
        for (let slot = 0; slot < BATCH_QUERIES; slot++) {
          const at = slot * SLOT_OCTETS;
          packet.rxAt = at;
          packet.length = lengths[slot] ?? 0;
          packet.txAt = at;
          answer(packet);
        }
      },
      isAnswered: () => {
        const rcode = (responses[packet.txAt + 3] ?? 0) & 15;
        return rcode === RCODE.NOERROR || rcode === RCODE.NXDOMAIN;
      },
    };
  });
}

/** The answerer of an answering thread, with every VIP available. */
function createAnswer(module: AnswererModule, input: ReplayInput, clients: SharedArrayBuffer): Answer {
  const slots = input.weights.length;
  const health = createHealthTable(slots);
  new Int32Array(health).set(input.weights, slots);
  const payload: AnswererPayload = {
    image: { arena: input.arena, root: input.root, plan: input.plan },
    atlas: input.atlas,
    health,
    served: [new SharedArrayBuffer(slots * 8)],
    clients: [clients],
    nsid: new Uint8Array(0),
    version: new Uint8Array(0),
  };
  return module.createAnswerer({ generation: 1, payload }, createCounters(), 0);
}

/** Makes a call that a counter outside this process recognizes (cost.ts): reading it calls getppid(2). */
function mark(): number {
  return process.ppid;
}

if (import.meta.main) {
  const [folder = '', answererModule = '', rounds = ROUNDS, warmUp = WARM_UP] = process.argv.slice(2);
  const replays = await createReplays(readReplay(folder), answererModule);
  // All cases take turns, as in use: code that has seen only one case would be too specialized.
  for (let batch = 0; batch < Number(warmUp); batch++) {
    for (const { name, fill, answer, isAnswered } of replays) {
      fill();
      answer();
      if (!isAnswered()) throw new Error(`no answer to ${name}; is ${answererModule} older than the sources?`);
    }
  }
  for (let round = 0; round < Number(rounds); round++) {
    for (const { fill, answer } of replays) {
      fill();
      mark();
      for (let batch = 0; batch < COUNTED_BATCHES; batch++) answer();
      mark();
    }
  }
}
