/**
 * Sends the packets of the benchmark's cases through `answer()` in this process, without sockets: for answer.bench.ts,
 * and for cost.ts, which counts instructions. `node bench/replay.ts N` answers N batches of each case.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHealthTable } from '../health/health-table.ts';
import { createAnswerer, type AnswererPayload } from '../server/answer/answerer.ts';
import { createClientRing } from '../server/answer/client-samples.ts';
import { packetOf, TRANSPORT, type Answer } from '../server/contract.ts';
import { createCounters } from '../server/counters.ts';
import { inlineMore } from '../server/inline-more.ts';
import { SLOT_OCTETS } from '../server/io/message-vector.ts';
import { loadGeneration } from '../zones/load-generation.ts';
import { findCase } from './cases.ts';
import { writePharosConfiguration } from './peers/pharos.ts';

/** Queries per batch: as many as are in flight in the benchmark. */
export const BATCH_QUERIES = 200;

export type Replay = {
  readonly name: string;
  /** Puts the next queries into place. Not measured. */
  readonly fill: () => void;
  /** Answers them. */
  readonly answer: () => void;
};

/** The cases that are fast to set up. */
export const REPLAYED = ['static', 'weighted', 'geo', 'random', 'mix'];

/** When run as a program, new queries are filled in after this many batches, because filling must not count. */
const REFILL = 50;

/** One replay per case. */
export function createReplays(): Replay[] {
  inlineMore();
  const clients = createClientRing();
  const heads = new Int32Array(clients, 0, 2);
  const answer = createAnswer(clients);
  const slots = new Uint8Array(BATCH_QUERIES * SLOT_OCTETS);
  const responses = new Uint8Array(slots.length);
  const lengths = new Int32Array(BATCH_QUERIES);
  const packet = packetOf(slots, Uint8Array.of(127, 0, 0, 1), TRANSPORT.UDP, responses);
  return REPLAYED.map((name) => {
    const { questions } = findCase(name);
    const packets = questions().map(({ packet }) => packet);
    let next = 0;
    return {
      name,
      fill: () => {
        // All samples are taken from the ring (server/answer/ring.ts), at almost no cost: with a full ring, samples
        // would look too cheap.
        heads[1] = heads[0] ?? 0;
        for (let slot = 0; slot < BATCH_QUERIES; slot++) {
          const packet = packets[next++ % packets.length] ?? Buffer.alloc(0);
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
    };
  });
}

/** The answerer of an answering thread, for the benchmark's zones, with every VIP available. */
function createAnswer(clients: SharedArrayBuffer): Answer {
  const folder = mkdtempSync(join(tmpdir(), 'pharos-replay-'));
  const file = writePharosConfiguration(folder, 5300, 5301);
  const loaded = loadGeneration({ file, cwd: folder, env: {}, cores: 2 });
  rmSync(folder, { recursive: true, force: true });
  if (!loaded.ok) throw new Error(loaded.diagnostics.map(({ message }) => message).join('\n'));
  const { image, atlas, catalog } = loaded.value;
  const health = createHealthTable(catalog.vips.length);
  const weights = new Int32Array(health, catalog.vips.length * 4);
  for (const { slot, weight } of catalog.vips) weights[slot] = weight;
  const payload: AnswererPayload = {
    image,
    atlas,
    health,
    served: [new SharedArrayBuffer(catalog.vips.length * 8)],
    clients: [clients],
    nsid: new Uint8Array(0),
    version: new Uint8Array(0),
  };
  return createAnswerer({ generation: 1, payload }, createCounters(), 0);
}

if (import.meta.main) {
  for (const { fill, answer } of createReplays()) {
    for (let batch = 0; batch < Number(process.argv[2]); batch++) {
      if (batch % REFILL === 0) fill();
      answer();
    }
  }
}
