/**
 * A ring buffer in shared memory, with slots of equal size. One answering thread puts slots in; the control thread
 * takes them out. Neither waits: when the ring is full, the answering thread drops the sample.
 *
 *     0  u32  slots put, by the answering thread       64  slots
 *     4  u32  slots taken, by the control thread
 */

/** `slotOctets` is a multiple of 8, `slots` a power of 2. */
export type RingShape = { readonly slots: number; readonly slotOctets: number };

export type Ring = RingShape & {
  readonly heads: Int32Array;
  readonly bytes: Uint8Array;
  readonly view: DataView;
};

const HEAD_OCTETS = 64;
const PUT = 0;
const TAKEN = 1;

/** Creates an empty ring for one thread. */
export function createRing({ slots, slotOctets }: RingShape): SharedArrayBuffer {
  return new SharedArrayBuffer(HEAD_OCTETS + slots * slotOctets);
}

/** `shape` must be the shape that the ring was made with. */
export function viewRing(memory: SharedArrayBuffer, shape: RingShape): Ring {
  const heads = new Int32Array(memory, 0, 2);
  return { ...shape, heads, bytes: new Uint8Array(memory), view: new DataView(memory) };
}

/** The offset of the next free slot; -1 when the ring is full. PACKET PATH */
export function nextSlot(ring: Ring): number {
  const put = Atomics.load(ring.heads, PUT);
  if (((put - Atomics.load(ring.heads, TAKEN)) | 0) >= ring.slots) return -1;
  return slotAt(ring, put);
}

/** Publishes the slot from `nextSlot`, once it is written. PACKET PATH */
export function putSlot({ heads }: Ring): void {
  Atomics.store(heads, PUT, (Atomics.load(heads, PUT) + 1) | 0);
}

/** Yields the offset of each filled slot. A slot is free again when the next one is requested. */
export function* takeSlots(ring: Ring): Generator<number> {
  const { heads } = ring;
  for (let taken = Atomics.load(heads, TAKEN); taken !== Atomics.load(heads, PUT); taken = (taken + 1) | 0) {
    try {
      yield slotAt(ring, taken);
    } finally {
      Atomics.store(heads, TAKEN, (taken + 1) | 0);
    }
  }
}

function slotAt({ slots, slotOctets }: Ring, number: number): number {
  return HEAD_OCTETS + (number & (slots - 1)) * slotOctets;
}
