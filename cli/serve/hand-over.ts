/**
 * A running server's side of a takeover (server/threads/takeover.ts): work that only one process may do stops, so that
 * the other server can do it. It resumes if the other server fails to start. This server continues to answer queries.
 */
import type { Logger } from 'pino';
import type { Server } from '../../server/threads/supervisor.ts';
import { listenForTakeover, type OpenSockets, type TakeoverListener } from '../../server/threads/takeover.ts';
import type { Measured } from './beacon-latency.ts';
import type { Calendar } from './calendar.ts';
import type { Current } from './generation.ts';
import type { HistoryKeeper } from './history-file.ts';
import type { Reloads } from './reload.ts';
import type { SerialKeeper } from './serial-keeper.ts';
import type { StatusListener } from './status-listener.ts';
import type { Updates } from './updates.ts';
import type { ZoneHistories } from './zone-histories.ts';

export type HandOver = {
  /** From now on another server may take over. */
  readonly open: () => Promise<void>;
  /** Whether another server writes the files of the state folder. */
  readonly isReleased: () => boolean;
  /** Resolves when another server has taken over. */
  readonly replaced: Promise<void>;
  /** The last step: tells the server that took over that this one has stopped. */
  readonly close: () => void;
};

export type HandOverParts = {
  readonly stateDir: string;
  readonly current: () => Current;
  readonly server: () => Server | undefined;
  readonly reloads: Reloads;
  readonly updates: Pick<Updates, 'hold' | 'reopen'>;
  readonly histories: Pick<ZoneHistories, 'flushed' | 'reopen'>;
  readonly serials: Pick<SerialKeeper, 'flushed'>;
  readonly calendar: Calendar;
  readonly status: StatusListener;
  readonly measured: Measured;
  readonly history: HistoryKeeper;
  readonly health: { readonly stop: () => Promise<void>; readonly restart: () => void };
  readonly log: Logger;
};

export function createHandOver(parts: HandOverParts): HandOver {
  const { stateDir, current, server, reloads, calendar, status, measured, history, health, log } = parts;
  const { updates, histories, serials } = parts;
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
    // From now on no update is kept.
    await updates.hold();
    await reloads.hold();
    await history.stop();
    await Promise.all([serials.flushed(), histories.flushed()]);
    released = true;
    await calendar.close();
    // HTTP stops before its input is written: measurements of browsers, and overrides.
    await status.release();
    await measured.stop();
    await health.stop();
  };
  const resume = async (): Promise<void> => {
    health.restart();
    await calendar.configure(current().settings);
    measured.start(reloads.reload);
    released = false;
    void history.start();
    histories.reopen();
    updates.reopen();
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
