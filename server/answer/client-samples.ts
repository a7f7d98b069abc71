/**
 * Which service whose clients ask for: an answering thread puts one of some 64 steered queries, the service and the
 * client's address alone, into a ring of its own (ring.ts); the control thread looks up the country, counts it
 * (client-counts.ts), and keeps no address.
 *
 *     slot     0  i32  service, by its number in the generation       8  address
 *              4  u8   octets of the address, 4 or 16
 *
 * A ring belongs to one generation, so a number never means two services.
 */
import { createRandom, next32, type Random } from '../../steering/random.ts';
import { COUNTER, count } from '../counters.ts';
import { copyOctets, createRing, nextSlot, putSlot, takeSlots, viewRing, type Ring } from './ring.ts';

/**
 * A gap between samples is 1 to this many queries, each as likely: clients that come in turns, in whatever period, are
 * then sampled alike. A power of 2.
 */
const LONGEST_GAP = 128;

/** Queries that a sample stands for. */
export const QUERIES_A_SAMPLE = (1 + LONGEST_GAP) / 2;

/**
 * What waits for the control thread, which looks four times a second: 8,192 samples a second and thread, more than half
 * a million steered queries.
 */
const SHAPE = { slots: 2048, slotOctets: 24 } as const;
const OCTETS_AT = 4;
const ADDRESS_AT = 8;

/** A thread's own. */
export type Sampler = {
  /** Steered queries up to the next sample, that one included. */
  left: number;
  readonly ring: Ring;
  readonly random: Random;
  readonly counters: Float64Array;
};

export type ClientSample = {
  /** Number in the generation's catalog. */
  readonly service: number;
  /** The one that steering went by, in network order; 4 or 16 octets. */
  readonly address: Uint8Array;
};

/** A ring for one thread, empty. */
export function createClientRing(): SharedArrayBuffer {
  return createRing(SHAPE);
}

/** `memory` is made by `createClientRing`; what it has no room for is counted in `counters`. */
export function createSampler(memory: SharedArrayBuffer, counters: Float64Array, seed: number): Sampler {
  const random = createRandom(seed);
  return { left: nextGap(random), ring: viewRing(memory, SHAPE), random, counters };
}

/** For the query at which `left` has come to 0. PACKET PATH */
export function sampleClient(sampler: Sampler, service: number, client: Uint8Array, clientBits: number): void {
  const { ring, counters } = sampler;
  sampler.left = nextGap(sampler.random);
  const at = nextSlot(ring);
  if (at < 0) {
    count(counters, COUNTER.CLIENT_SAMPLES_DROPPED);
    return;
  }
  const octets = clientBits >>> 3;
  ring.view.setInt32(at, service, true);
  ring.bytes[at + OCTETS_AT] = octets;
  copyOctets(client, 0, octets, ring.bytes, at + ADDRESS_AT);
  putSlot(ring);
}

/** The samples in the ring, each taken out as it is given. For the control thread alone. */
export function* takeClients(memory: SharedArrayBuffer): Generator<ClientSample> {
  const ring = viewRing(memory, SHAPE);
  for (const at of takeSlots(ring)) {
    const slot = ring.bytes.subarray(at, at + SHAPE.slotOctets);
    const service = ring.view.getInt32(at, true);
    const address = Uint8Array.from(slot.subarray(ADDRESS_AT, ADDRESS_AT + (slot[OCTETS_AT] ?? 0)));
    // Whose address it is need not be found here later.
    slot.fill(0);
    yield { service, address };
  }
}

function nextGap(random: Random): number {
  return 1 + (next32(random) & (LONGEST_GAP - 1));
}
