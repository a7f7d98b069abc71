/**
 * A connection that a probe makes. It may be held after the probe, and be used by the next one (watch.ts). Probes and
 * the watch own it in turn; each gets the events while it is the owner.
 *
 * There are two kinds: one over a socket of Node.js, and one without (plain-connection.ts), which costs less.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

export type Owner = {
  /** It is established; over TLS, the handshake is done. */
  opened?(): void;
  /** The octets may be overwritten after the call. */
  received(octets: Buffer): void;
  /** The other side has closed it, perhaps some time ago. */
  ended(): void;
  /** It is broken, or could not be made. */
  failed(error: NodeJS.ErrnoException): void;
};

export type ProbeConnection = {
  owner: Owner;
  /** Its owner while it is held; only the watch writes and reads this. */
  held: Owner | undefined;
  /** Whether octets may still be sent and received. */
  isOpen(): boolean;
  /** Sends the text in latin1, after what was sent before. */
  send(text: string): void;
  /**
   * Closes it, by a reset where possible. After an orderly close, its port would be in use for a minute (TIME-WAIT,
   * RFC 9293 3.6.1), and thousands of probes of one address would use up the ports. No event comes after that.
   */
  hangUp(): void;
  /** The address and port of the other side. */
  peer(): string;
  /** `true`: no data is expected for now, so the connection must not keep the process alive. */
  rest(isIdle: boolean): void;
  /**
   * The system may pick a port of this machine without a listener as the source port of the connection to that port.
   * TCP then connects to itself (RFC 9293 3.5, simultaneous open).
   */
  isToItself(): boolean;
};

/** The owner of a connection whose events are ignored. */
export const NO_OWNER: Owner = { received: () => undefined, ended: () => undefined, failed: () => undefined };

/** The connection over a socket of Node.js. */
export function overSocket(socket: Socket): ProbeConnection {
  const connection: ProbeConnection = {
    owner: NO_OWNER,
    held: undefined,
    isOpen: () => socket.writable && !socket.destroyed && !socket.readableEnded,
    send: (text) => {
      // The socket buffers this until it is connected, and the TLS handshake is done.
      socket.write(text, 'latin1');
    },
    hangUp: () => {
      connection.owner = NO_OWNER;
      if (!(socket instanceof TLSSocket) && socket.writable && !socket.connecting) socket.resetAndDestroy();
      else socket.destroy();
    },
    peer: () => `${socket.remoteAddress ?? ''} ${String(socket.remotePort)}`,
    rest: (isIdle) => {
      if (isIdle) socket.unref();
      else socket.ref();
    },
    isToItself: () => socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress,
  };
  const ended = (): void => {
    connection.owner.ended();
  };
  // This listener stays until the socket ends: an 'error' event without a listener ends the process.
  socket.on('error', (error) => {
    connection.owner.failed(error);
  });
  socket.on('data', (octets: Buffer) => {
    connection.owner.received(octets);
  });
  socket.on('end', ended);
  socket.on('close', ended);
  socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', () => {
    connection.owner.opened?.();
  });
  return connection;
}
