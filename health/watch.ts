/**
 * Connections that passed probes left open (SPEC 5, `watch`): when the other side closes or resets one, its
 * target is probed at once. They carry nothing; every probe makes its own connection, so that a target that no
 * longer accepts any is noticed too.
 */
import type { Socket } from 'node:net';
import { MAX_IDLE_OCTETS } from './limits.ts';

export type Watch = {
  /** Holds a connection in place of the one the key had. */
  keep(key: string, connection: Socket): void;
  /** Closes what is held for the key. */
  drop(key: string): void;
  /** How many are held. */
  size(): number;
  /** Closes all; what comes later is closed at once. */
  stop(): void;
};

/** `lost` is called when the other side ended a held connection, by FIN or by RST. */
export function createWatch(lost: (key: string) => void): Watch {
  const held = new Map<string, Socket>();
  let stopped = false;

  const drop = (key: string): void => {
    const connection = held.get(key);
    held.delete(key);
    connection?.destroy();
  };

  return {
    keep(key, connection) {
      drop(key);
      if (stopped) {
        connection.destroy();
        return;
      }
      held.set(key, connection);
      const ended = (): void => {
        if (held.get(key) !== connection) return;
        held.delete(key);
        connection.destroy();
        lost(key);
      };
      let octets = 0;
      // An 'error' that nobody hears ends the process.
      connection.on('error', ended);
      connection.on('end', ended);
      connection.on('close', ended);
      connection.on('data', (chunk: Buffer) => {
        octets += chunk.length;
        if (octets > MAX_IDLE_OCTETS && held.get(key) === connection) drop(key);
      });
      connection.resume();
      // It is a courtesy to the server, and shall not hold this process up.
      connection.unref();
      if (connection.destroyed || connection.readableEnded) ended();
    },
    drop,
    size: () => held.size,
    stop() {
      stopped = true;
      for (const key of [...held.keys()]) drop(key);
    },
  };
}
