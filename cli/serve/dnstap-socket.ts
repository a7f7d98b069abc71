/**
 * Sends dnstap frames to the unix socket of a collector (`log.dnstap`), and connects again when it is gone. Frames that
 * the collector does not take in time are dropped and counted.
 */
import { connect, type Socket } from 'node:net';
import { CONTROL, controlFrame, controlTypeOf, dataFrame } from './dnstap-message.ts';

export type DnstapSocket = {
  readonly send: (frames: readonly Uint8Array[]) => void;
  /** Frames dropped since the start. */
  readonly dropped: () => number;
  /** Connects to another socket; undefined: to none. */
  readonly use: (path: string | undefined) => void;
  /** Ends the stream, with STOP if there is one. */
  readonly stop: () => void;
};

const RETRY_MS = 1000;
/** Octets that the collector may leave unread. */
const MAX_UNREAD_OCTETS = 1024 * 1024;
/** How long the collector has for its FINISH. */
const FINISH_MS = 1000;
/** Of what a collector sends before the stream begins. */
const MAX_REPLY_OCTETS = 4096;

export function createDnstapSocket(warn: (message: string) => void): DnstapSocket {
  let path: string | undefined;
  let socket: Socket | undefined;
  let isOpen = false;
  let isWarned = false;
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;

  const again = (why: string): void => {
    if (!isWarned) warn(`dnstap: ${String(path)}: ${why}; trying again every second`);
    isWarned = true;
    timer = setTimeout(open, RETRY_MS).unref();
  };
  const open = (): void => {
    if (path === undefined) return;
    const own = (socket = connect(path));
    let received = Buffer.alloc(0);
    let why = 'the collector closed the connection';
    own.unref();
    own.on('connect', () => own.write(controlFrame(CONTROL.READY)));
    own.on('data', (octets: Buffer) => {
      if (isOpen && socket === own) return;
      received = Buffer.concat([received, octets]);
      const type = controlTypeOf(received);
      if (type === CONTROL.ACCEPT) {
        own.write(controlFrame(CONTROL.START));
        isOpen = true;
        isWarned = false;
      } else if (type !== undefined || received.length > MAX_REPLY_OCTETS) {
        own.destroy(new Error('the collector does not accept dnstap'));
      }
    });
    own.on('error', (error) => {
      why = error.message;
    });
    own.on('close', () => {
      if (socket !== own) return;
      socket = undefined;
      isOpen = false;
      again(why);
    });
  };
  const end = (): void => {
    clearTimeout(timer);
    const own = socket;
    socket = undefined;
    if (own === undefined) return;
    if (isOpen) own.end(controlFrame(CONTROL.STOP));
    isOpen = false;
    setTimeout(() => own.destroy(), FINISH_MS).unref();
  };
  return {
    send: (frames) => {
      for (const frame of frames) {
        if (socket === undefined || !isOpen || socket.writableLength > MAX_UNREAD_OCTETS) dropped += 1;
        else socket.write(dataFrame(frame));
      }
    },
    dropped: () => dropped,
    use: (next) => {
      if (next === path) return;
      end();
      path = next;
      isWarned = false;
      open();
    },
    stop: () => {
      path = undefined;
      end();
    },
  };
}
