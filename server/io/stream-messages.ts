/**
 * One connection: receives octets, has complete messages answered, and sends responses as fast as the client reads.
 */
import type { Clock } from '../../health/clock.ts';
import { TCP_OCTETS } from '../../wire/limits.ts';
import { packetOf, TRANSPORT, type Link, type Packet } from '../contract.ts';
import { COUNTER, count, countResponse } from '../counters.ts';
import { LENGTH_OCTETS, append, discard, eachMessage } from './frames.ts';
import type { StreamClients, Connection } from './stream-clients.ts';
import type { Turns } from './turns.ts';

export type StreamContext = {
  readonly clients: StreamClients;
  readonly link: Link;
  readonly clock: Clock;
  /** All responses are written into its buffer, after room for the length, then copied. */
  readonly packet: Packet;
  /** Connections with more messages than one turn answers. */
  readonly turns: Turns<Connection>;
};

/**
 * Messages of one connection per turn. Without this limit, clients that send a thousand messages at once would make new
 * clients wait.
 */
const TURN_MESSAGES = 32;

/**
 * Maximum of long answers under way on one connection. At this limit the connection is not read until one is complete.
 */
const MAX_LONG_ANSWERS = 8;

/** Creates the packet record that all connections share. */
export function createStreamPacket(): Packet {
  const tx = new Uint8Array(LENGTH_OCTETS + TCP_OCTETS);
  const packet = packetOf(new Uint8Array(0), new Uint8Array(4), TRANSPORT.TCP, tx);
  packet.txAt = LENGTH_OCTETS;
  return packet;
}

/** Handles received octets: answers the complete messages and keeps the rest. */
export function receive(context: StreamContext, connection: Connection, chunk: Uint8Array): void {
  const { pending } = connection;
  if (connection.isOver) return;
  if (pending.length > 0 || isHeld(connection)) {
    append(pending, chunk, 0);
    answerPending(context, connection);
    return;
  }
  const rest = answerMessages(context, connection, chunk, chunk.length);
  if (rest >= 0 && rest < chunk.length) append(pending, chunk, rest);
}

/** The client has closed its sending side: send the outstanding responses, then close. */
export function endWhenDone(connection: Connection): void {
  connection.hasEnded = true;
  if (!isHeld(connection) && connection.longAnswers === 0) connection.socket.end();
}

/** The client has read: continue at its next turn. */
export function unblock(context: StreamContext, connection: Connection): void {
  if (!connection.isBlocked) return;
  connection.isBlocked = false;
  context.clients.touch(connection);
  waitForTurn(context, connection);
  wake(connection);
}

/** Wakes all work that waits for the client. */
export function wake(connection: Connection): void {
  for (const woken of connection.waiting.splice(0)) woken();
}

/** Sends one message of a long answer; see StreamClient. */
export async function send(context: StreamContext, connection: Connection, message: Uint8Array): Promise<boolean> {
  const { socket } = connection;
  await room(connection);
  if (!socket.writable) return false;
  const framed = Buffer.allocUnsafe(LENGTH_OCTETS + message.length);
  framed.set(message, LENGTH_OCTETS);
  countResponse(context.link.counters, message, 0, message.length);
  write(connection, framed);
  context.clients.touch(connection);
  // Lets other connections have a turn: with a fast reader, the sending loop would not yield.
  await new Promise(setImmediate);
  return socket.writable;
}

/** Resolves when the client can receive, or has disconnected. */
async function room(connection: Connection): Promise<void> {
  while (connection.isBlocked && !connection.socket.destroyed) {
    await new Promise<void>((woken) => void connection.waiting.push(woken));
  }
}

function isHeld({ isBlocked, isWaiting, longAnswers }: Connection): boolean {
  return isBlocked || isWaiting || longAnswers >= MAX_LONG_ANSWERS;
}

function waitForTurn(context: StreamContext, connection: Connection): void {
  if (connection.isWaiting) return;
  connection.isWaiting = true;
  context.turns.wait(connection);
}

/** Runs the turn of a waiting connection. */
export function takeTurn(context: StreamContext, connection: Connection): void {
  connection.isWaiting = false;
  if (!connection.socket.destroyed) proceed(context, connection);
}

/** Continues with pending octets unless the connection is held. */
function proceed(context: StreamContext, connection: Connection): void {
  if (!answerPending(context, connection)) return;
  if (connection.hasEnded) endWhenDone(connection);
  connection.socket.resume();
}

/** Answers pending messages. Returns false when the connection is held. */
function answerPending(context: StreamContext, connection: Connection): boolean {
  const { pending } = connection;
  if (isHeld(connection)) return false;
  const rest = answerMessages(context, connection, pending.bytes, pending.length);
  if (rest > 0) discard(pending, rest);
  return !isHeld(connection);
}

/**
 * Answers the complete messages in `bytes` up to `to`, as far as the client reads. Returns the position of the rest, -1
 * at an invalid length.
 */
function answerMessages(context: StreamContext, connection: Connection, bytes: Uint8Array, to: number): number {
  const { socket } = connection;
  // Sends all responses to one segment together.
  socket.cork();
  let left = TURN_MESSAGES;
  const rest = eachMessage(bytes, 0, to, (from, at, length) => {
    handle(context, connection, from, at, length);
    left--;
    return left > 0 && !isHeld(connection);
  });
  if (left === 0 && rest < to && !isHeld(connection)) {
    socket.pause();
    waitForTurn(context, connection);
  }
  socket.uncork();
  if (rest > 0) {
    connection.hasAsked = true;
    context.clients.touch(connection);
  }
  if (rest < 0) {
    count(context.link.counters, COUNTER.TCP_BAD_LENGTH);
    discard(connection.pending, connection.pending.length);
    connection.isOver = true;
    // RFC 9293 3.10.4: closing with unread octets would reset the connection, and responses could be lost.
    endWhenDone(connection);
  }
  return rest;
}

/** Passes one complete message to the AnswerLong, or answers it at once if that does not take it. */
function handle(context: StreamContext, connection: Connection, bytes: Uint8Array, at: number, length: number): void {
  const { link } = context;
  countQuery(link.counters, connection, length);
  try {
    const work = link.currentLong()?.(connection.client, bytes, at, length);
    if (work) void follow(context, connection, work);
    else answerOne(context, connection, bytes, at, length);
  } catch (error) {
    link.threw(error);
  }
}

async function follow(context: StreamContext, connection: Connection, work: Promise<void>): Promise<void> {
  connection.longAnswers++;
  if (isHeld(connection)) connection.socket.pause();
  try {
    await work;
  } catch (error) {
    context.link.threw(error);
    // RFC 5936 2.2: closing tells the client that the transfer is incomplete.
    connection.socket.destroy();
  }
  connection.longAnswers--;
  context.clients.touch(connection);
  proceed(context, connection);
}

function answerOne(
  { link, packet }: StreamContext,
  connection: Connection,
  bytes: Uint8Array,
  at: number,
  length: number,
): void {
  const { peer, transport } = connection.client;
  const { tx } = packet;
  packet.rx = bytes;
  packet.rxAt = at;
  packet.length = length;
  packet.peer = peer.bytes;
  packet.peerAt = peer.at;
  packet.peerOctets = peer.octets;
  packet.transport = transport;
  const written = link.current()(packet);
  countResponse(link.counters, tx, LENGTH_OCTETS, written);
  if (written <= 0) return;
  if (!connection.socket.writable) {
    count(link.counters, COUNTER.SEND_ERRORS);
    return;
  }
  write(connection, Buffer.from(tx.subarray(0, LENGTH_OCTETS + written)));
}

/** Writes a message with its length. Pauses reading when the client must read first. */
function write(connection: Connection, framed: Buffer): void {
  framed.writeUInt16BE(framed.length - LENGTH_OCTETS);
  if (connection.socket.write(framed)) return;
  connection.isBlocked = true;
  connection.socket.pause();
}

function countQuery(counters: Float64Array, { client: { peer, transport } }: Connection, length: number): void {
  const [v4, v6] =
    transport === TRANSPORT.TLS
      ? ([COUNTER.QUERIES_TLS4, COUNTER.QUERIES_TLS6] as const)
      : ([COUNTER.QUERIES_TCP4, COUNTER.QUERIES_TCP6] as const);
  count(counters, peer.octets === 4 ? v4 : v6);
  count(counters, COUNTER.OCTETS_IN, length);
}
