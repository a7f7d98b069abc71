/**
 * A program: asks one server for the A record of a name at a steady rate, from several ports, and prints which servers
 * answer, by the last octet of the address in the answer, whenever that has changed and settled. After SIGUSR2 it
 * pauses and prints what was lost since the last SIGUSR2.
 *
 * Usage: steady-client.ts ADDRESS PORT NAME INTERVAL_MS SOCKETS
 */
import { createSocket } from 'node:dgram';
import { encodeQuery } from '../../bench/packets.ts';
import { readResponse } from '../../bench/read-response.ts';

/** A query without an answer after this time is lost. */
const LOST_MS = 2000;
/** Answers without a change after which the servers are printed. */
const SETTLED_ANSWERS = 50;

const [address = '', port = '', name = '', intervalMs = '', count = ''] = process.argv.slice(2);
const query = encodeQuery(name, 'A');
const sentAt = new Map<number, number>();
/** When the queries of this count were sent that got no answer. */
let lostAt: number[] = [];
let sent = 0;
let isCounting = false;
const from: string[] = [];
/** Answers since one came from another server than the one before on its port. */
let since = 0;

const sockets = Array.from({ length: Number(count) }, (_, index) => {
  const socket = createSocket('udp4');
  // With a connected socket, a closed port is reported; the query counts as lost all the same.
  socket.on('error', () => undefined);
  socket.on('message', (message) => {
    if (!sentAt.delete(message.readUInt16BE(0))) return;
    const server = readResponse(message).addresses[0]?.split('.').at(-1) ?? '?';
    since = from[index] === server ? since + 1 : 0;
    from[index] = server;
    if (since !== SETTLED_ANSWERS) return;
    console.log(`answers from ${[...new Set(from)].sort().join(' and ')}`);
  });
  socket.connect(Number(port), address);
  return socket;
});

let id = 0;
const ask = (): void => {
  if (isCounting) return;
  id = (id + 1) % 65_536;
  query.writeUInt16BE(id, 0);
  sentAt.set(id, performance.now());
  sent++;
  sockets[id % sockets.length]?.send(Buffer.from(query), () => undefined);
};
const sweep = (): void => {
  const before = performance.now() - LOST_MS;
  for (const [each, at] of sentAt) {
    if (at > before) break;
    sentAt.delete(each);
    lostAt.push(at);
  }
  if (!isCounting || sentAt.size > 0) return;
  const spanMs = lostAt.length === 0 ? 0 : Math.round((lostAt.at(-1) ?? 0) - (lostAt[0] ?? 0) + Number(intervalMs));
  console.log(`count ${JSON.stringify({ sent, lost: lostAt.length, spanMs })}`);
  lostAt = [];
  sent = 0;
  isCounting = false;
};
setInterval(ask, Number(intervalMs));
setInterval(sweep, 50);
process.on('SIGUSR2', () => {
  isCounting = true;
});
console.log('asking');
