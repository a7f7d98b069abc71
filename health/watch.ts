/**
 * Connections that passed probes left open (SPEC 5, `watch`): when the other side closes or resets one, its
 * target is probed at once. They carry nothing; every probe makes its own connection, so that a target that no
 * longer accepts any is noticed too.
 */
import type { Socket } from 'node:net';
import { MAX_IDLE_OCTETS } from './limits.ts';

export type Watch = {
  /** Holds a connection beside those that the key has: a check that is made of several leaves several. */
  keep(key: string, connection: Socket): void;
  /** Closes all that is held for the key. */
  drop(key: string): void;
  /** How many connections are held. */
  size(): number;
  /** Closes all; what comes later is closed at once. */
  stop(): void;
};

/** `lost` is called when the other side ended a held connection, by FIN or by RST. */
export function createWatch(lost: (key: string) => void): Watch {
  const held = new Map<string, Set<Socket>>();
  let connections = 0;
  let stopped = false;

  /** Lets one go; false when it was not held any more. */
  const release = (key: string, connection: Socket): boolean => {
    const those = held.get(key);
    if (those?.delete(connection) !== true) return false;
    if (those.size === 0) held.delete(key);
    connections -= 1;
    connection.destroy();
    return true;
  };
  const drop = (key: string): void => {
    for (const connection of held.get(key) ?? []) release(key, connection);
  };

  return {
    keep(key, connection) {
      if (stopped) {
        connection.destroy();
        return;
      }
      const those = held.get(key) ?? new Set();
      held.set(key, those.add(connection));
      connections += 1;
      const ended = (): void => {
        if (release(key, connection)) lost(key);
      };
      let octets = 0;
      // An 'error' that nobody hears ends the process.
      connection.on('error', ended);
      connection.on('end', ended);
      connection.on('close', ended);
      connection.on('data', (chunk: Buffer) => {
        octets += chunk.length;
        if (octets > MAX_IDLE_OCTETS) release(key, connection);
      });
      connection.resume();
      // It is a courtesy to the server, and shall not hold this process up.
      connection.unref();
      if (connection.destroyed || connection.readableEnded) ended();
    },
    drop,
    size: () => connections,
    stop() {
      stopped = true;
      for (const key of [...held.keys()]) drop(key);
    },
  };
}
