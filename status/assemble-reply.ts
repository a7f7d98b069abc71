/**
 * Replies put together from octets. The large documents are made of pieces that are there already: copied, they take a
 * fraction of what it takes to join their texts and encode the whole. And they are put together in memory that is used
 * again: blocks of that size, new for each reply, would have the garbage collector go over the whole heap all the time.
 */
import type { FastifyReply } from 'fastify';

export type Octets = {
  add(octets: Uint8Array): void;
  /** As UTF-8. */
  text(text: string): void;
  /** All that was added, until `release`. */
  all(): Buffer;
  /** Nobody looks at them any more: another reply may have their place. */
  release(): void;
};

/** Gives empty octets. */
export type OctetsPool = { take(): Octets };

const FIRST_OCTETS = 64 * 1024;
/** Of blocks that wait for the next reply: how many, and how large. More would be memory that is hardly ever used. */
const MAX_FREE = 4;
const MAX_FREE_OCTETS = 4 * 1024 * 1024;

export function createOctetsPool(): OctetsPool {
  const free: Buffer[] = [];
  return {
    take() {
      let buffer = free.pop() ?? Buffer.allocUnsafeSlow(FIRST_OCTETS);
      let used = 0;
      const makeRoom = (more: number): void => {
        if (used + more <= buffer.length) return;
        const larger = Buffer.allocUnsafeSlow(Math.max(buffer.length * 2, used + more));
        larger.set(buffer.subarray(0, used));
        buffer = larger;
      };
      return {
        add(octets) {
          makeRoom(octets.length);
          buffer.set(octets, used);
          used += octets.length;
        },
        text(text) {
          // A code unit of UTF-16 is three octets at most.
          makeRoom(text.length * 3);
          used += buffer.write(text, used);
        },
        all: () => buffer.subarray(0, used),
        release() {
          if (free.length < MAX_FREE && buffer.length <= MAX_FREE_OCTETS) free.push(buffer);
        },
      };
    },
  };
}

/** Sends them, and releases them once the system has them all, or the reader has gone. */
export function sendOctets(reply: FastifyReply, contentType: string, octets: Octets): FastifyReply {
  reply.raw.once('close', () => {
    octets.release();
  });
  return reply.type(contentType).send(octets.all());
}

/** How long one turn of the control thread may take: no probe waits for longer. */
const TURN_MS = 2;
/** Items between two looks at the clock. */
const ITEMS_A_LOOK = 16;

/** Has each looked at, one after the other, and lets others have their turn between. */
export async function inTurns<T>(items: readonly T[], look: (item: T) => void): Promise<void> {
  let endMs = performance.now() + TURN_MS;
  for (const [index, item] of items.entries()) {
    if (index % ITEMS_A_LOOK === ITEMS_A_LOOK - 1 && performance.now() >= endMs) {
      await new Promise((turned) => setImmediate(turned));
      endMs = performance.now() + TURN_MS;
    }
    look(item);
  }
}
