/**
 * Samples of clients per service. An answering thread puts the service and the client's address of about one in 64
 * steered queries into its ring (ring.ts). The control thread looks up the country, counts it (client-counts.ts), and
 * discards the address.
 *
 *     slot     0  i32  service, by its number in the generation       8  address
 *              4  u8   octets of the address, 4 or 16
 *
 * A ring belongs to one generation, so a service number is unambiguous.
 */
import { createRandom, next32, type Random } from '../../steering/random.ts';
import { copyOctets, get8 } from '../../wire/octets.ts';
import { COUNTER, count } from '../counters.ts';
import { createRing, nextSlot, putSlot, takeSlots, viewRing, type Ring } from './ring.ts';

/**
 * The gap between two samples is 1 to this many queries, uniformly distributed, so that clients that alternate in a
 * fixed period are sampled equally. A power of 2.
 */
const LONGEST_GAP = 128;

/** The mean gap: the number of queries that one sample represents. */
export const QUERIES_A_SAMPLE = (1 + LONGEST_GAP) / 2;

/**
 * The control thread empties the ring four times per second. This allows 8,192 samples per second and thread, which is
 * more than half a million steered queries.
 */
const SHAPE = { slots: 2048, slotOctets: 24 } as const;
const OCTETS_AT = 4;
const ADDRESS_AT = 8;

/** State of one thread. */
export type Sampler = {
  /** Steered queries until the next sample, including the sampled one. */
  left: number;
  readonly ring: Ring;
  readonly random: Random;
  readonly counters: Float64Array;
};

export type ClientSample = {
  /** Number of the service in the generation's catalog. */
  readonly service: number;
  /** The address that steering used, in network order; 4 or 16 octets. */
  readonly address: Uint8Array;
};

/** Creates an empty ring for one thread. */
export function createClientRing(): SharedArrayBuffer {
  return createRing(SHAPE);
}

/** `memory` is made by `createClientRing`. Samples that do not fit are counted in `counters`. */
export function createSampler(memory: SharedArrayBuffer, counters: Float64Array, seed: number): Sampler {
  const random = createRandom(seed);
  return { left: nextGap(random), ring: viewRing(memory, SHAPE), random, counters };
}

/** Takes a sample. Called for the query at which `left` reaches 0. PACKET PATH */
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

/** Takes the samples out of the ring. Only for the control thread. */
export function* takeClients(memory: SharedArrayBuffer): Generator<ClientSample> {
  const ring = viewRing(memory, SHAPE);
  for (const at of takeSlots(ring)) {
    const slot = ring.bytes.subarray(at, at + SHAPE.slotOctets);
    const service = ring.view.getInt32(at, true);
    const address = Uint8Array.from(slot.subarray(ADDRESS_AT, ADDRESS_AT + get8(slot, OCTETS_AT)));
    // Privacy: client addresses do not remain in memory.
    slot.fill(0);
    yield { service, address };
  }
}

function nextGap(random: Random): number {
  return 1 + (next32(random) & (LONGEST_GAP - 1));
}
