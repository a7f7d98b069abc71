/**
 * Replies assembled from octets. Large documents consist of pieces that are already encoded: copying these takes a
 * fraction of the time of joining texts and encoding the whole. The buffers are reused: new blocks of this size for
 * each reply would make the garbage collector scan the whole heap again and again.
 */
import type { FastifyReply } from 'fastify';

export type Octets = {
  add(octets: Uint8Array): void;
  /** As UTF-8. */
  text(text: string): void;
  /** Everything added so far. Valid until `release`. */
  all(): Buffer;
  /** Ends the use of `all()`: another reply may take the buffer. */
  release(): void;
};

/** Hands out empty octets. */
export type OctetsPool = { take(): Octets };

const FIRST_OCTETS = 64 * 1024;
/** Number and size of the buffers kept for later replies. More would be memory that is rarely used. */
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
          // A code unit of UTF-16 has at most three octets in UTF-8.
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

/** Sends the octets. Releases them when the reply is sent or the connection has closed. */
export function sendOctets(reply: FastifyReply, contentType: string, octets: Octets): FastifyReply {
  reply.raw.once('close', () => {
    octets.release();
  });
  return reply.type(contentType).send(octets.all());
}

/** Longest turn of the control thread: no probe waits longer. */
const TURN_MS = 2;
/** Items between two readings of the clock. */
const ITEMS_PER_CHECK = 16;

/** Calls `look` for each item in order, and lets the event loop run after each turn. */
export async function inTurns<T>(items: readonly T[], look: (item: T) => void): Promise<void> {
  let endMs = performance.now() + TURN_MS;
  for (const [index, item] of items.entries()) {
    if (index % ITEMS_PER_CHECK === ITEMS_PER_CHECK - 1 && performance.now() >= endMs) {
      await new Promise((turned) => setImmediate(turned));
      endMs = performance.now() + TURN_MS;
    }
    look(item);
  }
}
