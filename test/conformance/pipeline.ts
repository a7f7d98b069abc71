/**
 * Many queries in flight over UDP: the same queries to several servers, with the responses returned together.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Endpoint } from '../../wire/address.ts';

/** In flight at once: few enough that no socket buffer overflows (200 KiB hold some 250 packets). */
const WINDOW = 100;
/** After this long without any response, missing queries are sent again; loopback loses packets if a buffer is full. */
const RESEND_MS = 400;
const GIVE_UP_AFTER_RESENDS = 12;

/** The identifier of `query` is overwritten. `responses` are in the order of the servers, valid during the call. */
export type Settled = (index: number, responses: readonly Buffer[]) => void;

/** Sends `next(0)`, `next(1)` and so on, up to `count`, to every server. Rejects if a server stops answering. */
export async function askAll(
  servers: readonly Endpoint[],
  count: number,
  next: (index: number) => Buffer,
  settled: Settled,
): Promise<void> {
  const sockets = await Promise.all(servers.map(connected));
  type Slot = { index: number; query: Buffer; responses: (Buffer | undefined)[]; missing: number };
  const slots: (Slot | undefined)[] = new Array<Slot | undefined>(0x1_0000).fill(undefined);
  let sent = 0;
  let done = 0;
  try {
    await new Promise<void>((resolve, reject) => {
      let quietSince = performance.now();
      let resends = 0;
      const fill = (): void => {
        while (sent < count && sent - done < WINDOW && !slots[sent & 0xffff]) {
          const query = next(sent);
          query.writeUInt16BE(sent & 0xffff, 0);
          slots[sent & 0xffff] = {
            index: sent,
            query,
            responses: servers.map(() => undefined),
            missing: servers.length,
          };
          for (const socket of sockets) socket.send(query);
          sent++;
        }
      };
      const timer = setInterval(() => {
        if (performance.now() - quietSince < RESEND_MS) return;
        if (++resends > GIVE_UP_AFTER_RESENDS) {
          const slot = slots.find((each) => each !== undefined);
          const silent = slot?.responses.flatMap((response, server) => (response ? [] : [server])).join();
          finish(new Error(`no response of server ${silent ?? ''} to ${slot?.query.toString('hex') ?? ''}`));
        }
        quietSince = performance.now();
        for (const slot of slots) {
          slot?.responses.forEach((response, server) => {
            if (!response) sockets[server]?.send(slot.query);
          });
        }
      }, RESEND_MS / 4);
      const finish = (error?: Error): void => {
        clearInterval(timer);
        if (error === undefined) resolve();
        else reject(error);
      };
      sockets.forEach((socket, server) => {
        socket.on('error', finish);
        socket.on('message', (message) => {
          quietSince = performance.now();
          resends = 0;
          if (message.length < 12) return;
          const id = message.readUInt16BE(0);
          const slot = slots[id];
          if (!slot || slot.responses[server]) return;
          slot.responses[server] = message;
          if (--slot.missing > 0) return;
          slots[id] = undefined;
          done++;
          try {
            settled(slot.index, slot.responses as Buffer[]);
          } catch (error) {
            finish(error instanceof Error ? error : new Error('not an error', { cause: error }));
            return;
          }
          if (done === count) finish();
          else fill();
        });
      });
      if (count === 0) finish();
      fill();
    });
  } finally {
    for (const socket of sockets) socket.close();
  }
}

async function connected({ host, port }: Endpoint): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20, sendBufferSize: 1 << 20 });
  socket.connect(port, host);
  await once(socket, 'connect');
  return socket;
}
