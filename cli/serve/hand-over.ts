/**
 * A running server's side of a takeover (server/threads/takeover.ts): what one process at a time may do ends here, so that the
 * other server can do it, and begins again where that one does not make it. Answering goes on all the while.
 */
import type { Logger } from 'pino';
import type { Server } from '../../server/threads/supervisor.ts';
import { listenForTakeover, type OpenSockets, type TakeoverListener } from '../../server/threads/takeover.ts';
import type { Calendar } from './calendar.ts';
import type { Current } from './generation.ts';
import type { Measured } from './beacon-latency.ts';
import type { Reloads } from './reload.ts';
import type { StatusListener } from './status-listener.ts';

export type HandOver = {
  /** Lets another server take over from now on. */
  readonly open: () => Promise<void>;
  /** Whether the files of the state folder are another server's to write. */
  readonly isReleased: () => boolean;
  /** Resolves when another server has taken this one's place. */
  readonly replaced: Promise<void>;
  /** Last of all: the server that took over hears that this one has stopped. */
  readonly close: () => void;
};

export type HandOverParts = {
  readonly stateDir: string;
  readonly current: () => Current;
  readonly server: () => Server | undefined;
  readonly reloads: Reloads;
  readonly calendar: Calendar;
  readonly status: StatusListener;
  readonly measured: Measured;
  readonly health: { readonly stop: () => Promise<void>; readonly restart: () => void };
  readonly log: Logger;
};

export function createHandOver(parts: HandOverParts): HandOver {
  const { stateDir, current, server, reloads, calendar, status, measured, health, log } = parts;
  const replaced = Promise.withResolvers<undefined>();
  let released = false;
  let listener: TakeoverListener | undefined;
  let sayStopped = (): void => undefined;

  const sockets = (): OpenSockets => {
    const { udp = [], stream = [] } = server()?.sockets() ?? {};
    return { udp, stream, status: status.sockets() };
  };
  const release = async (): Promise<void> => {
    log.info('another server takes over');
    await reloads.hold();
    released = true;
    await calendar.close();
    // Before what it takes in is written: browsers' measurements, and what operators set.
    await status.release();
    await measured.stop();
    await health.stop();
  };
  const resume = async (): Promise<void> => {
    health.restart();
    await calendar.configure(current().settings);
    measured.start(reloads.reload);
    released = false;
    reloads.goOn();
    await status.resume();
  };

  return {
    open: async () => {
      listener = await listenForTakeover(stateDir, {
        sockets,
        release,
        resume,
        replaced: (done) => {
          sayStopped = done;
          replaced.resolve(undefined);
        },
        tell: (message) => {
          log.info(message);
        },
      });
    },
    isReleased: () => released,
    replaced: replaced.promise,
    close: () => {
      void listener?.close();
      sayStopped();
    },
  };
}
