/**
 * The queries of a soak, in a process of their own: at a fixed rate from several ports, each answer judged. The parent
 * says which answers are right from now on; a query is judged by what was true when it was sent, or has become true
 * since.
 *
 * Usage (fork): soak-load.ts PORT RATE SEED
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { encodeQuery as encodePlain } from '../../bench/packets.ts';
import { readResponse } from '../../bench/read-response.ts';
import { decodeMessage, encodeQuery, T } from '../support/message.ts';
import { createDice } from '../support/random.ts';
import { isNumberBetween, SOAK, type SoakReport, type SoakTruth } from './soak-world.ts';

/** A query without an answer after this time is lost. Generous: a busy machine may take seconds. */
const LOST_MS = 15_000;
const SOCKETS = 8;
const IDS = 0x1_0000;
const TICK_MS = 2;
const RECEIVE_BUFFER_OCTETS = 4 * 1024 * 1024;
/**
 * No more are sent while this many wait for an answer. They fit into receive buffers of 4 MB, the server's and those
 * of this process, so the kernel drops none if one of them gets no CPU time for seconds.
 */
const MOST_WAITING = 5000;

const [port = 0, rate = 0, seed = 0] = process.argv.slice(2).map(Number);
const dice = createDice(seed);

const KINDS = ['static', 'nothing', 'steered', 'geo', 'signed', 'text', 'generation'] as const;
type Kind = (typeof KINDS)[number];
const QUERIES: Readonly<Record<Kind, Buffer>> = {
  static: encodePlain(SOAK.staticName, 'A'),
  nothing: encodeQuery(`n0000000.${SOAK.zone}`, T.A),
  steered: encodePlain(SOAK.service, 'A'),
  geo: encodePlain(SOAK.geoService, 'A', [1, 2, 3]),
  signed: encodePlain(SOAK.signedService, 'A', undefined, true),
  text: encodeQuery(SOAK.textName, T.TXT),
  generation: encodePlain(SOAK.generationName, 'A'),
};

/** A query in flight, with the truth of the moment when it was sent. */
type Sent = { readonly kind: Kind; readonly atMs: number; readonly truth: SoakTruth };

let truth: SoakTruth | undefined;
let sent = 0;
let answered = 0;
let lost = 0;
/** Not sent, because too many waited. */
let leftOut = 0;
const wrong: string[] = [];
let wrongs = 0;
const inFlight = Array.from({ length: SOCKETS }, () => new Map<number, Sent>());
let isEnding = false;

/** What is wrong with an answer; undefined if it is right. */
function judge({ kind, truth: then }: Sent, message: Buffer): string | undefined {
  const now = truth ?? then;
  const { rcode, addresses, authoritative, authorities } = readResponse(message);
  if (kind === 'nothing')
    return rcode === 3 && authorities === 1 ? undefined : `RCODE ${rcode} for a name that is not there`;
  if (rcode !== 0 || !authoritative) return `RCODE ${rcode}, AA ${authoritative}`;
  switch (kind) {
    case 'static':
      return addresses.join() === SOAK.staticAddress ? undefined : `${addresses.join()} for a static name`;
    case 'generation': {
      const [, , high = 0, low = 0] = addresses[0]?.split('.').map(Number) ?? [];
      return isNumberBetween(high * 256 + low, then.generation[0], now.generation[1]) ? undefined : `generation ${high * 256 + low}, not ${then.generation[0]} to ${now.generation[1]}`; // prettier-ignore
    }
    case 'text': {
      const text = decodeMessage(message).answer.find(({ type }) => type === T.TXT)?.data ?? '';
      const number = Number(Buffer.from(text, 'hex').subarray(1).toString());
      return isNumberBetween(number, then.text[0], now.text[1])
        ? undefined
        : `text ${number}, not ${then.text[0]} to ${now.text[1]}`;
    }
    case 'signed': {
      const now32 = Date.now() / 1000;
      const signature = decodeMessage(message).answer.find(({ type }) => type === 46)?.data;
      if (signature === undefined) return 'no signature';
      if (Number.parseInt(signature.slice(16, 24), 16) <= now32) return 'an expired signature';
      break;
    }
    case 'steered':
    case 'geo':
      break;
  }
  const allowed: readonly string[] = kind === 'signed' ? SOAK.signedAddresses : SOAK.addresses;
  if (addresses.length === 0) return 'no address';
  const bad = addresses.find((address) => !allowed.includes(address) || (then.forbidden.includes(address) && now.forbidden.includes(address))); // prettier-ignore
  return bad === undefined ? undefined : `${bad} of ${kind}, which must not be in an answer`;
}

async function openSocket(index: number): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER_OCTETS });
  // A closed port is reported; the query counts as lost.
  socket.on('error', () => undefined);
  socket.on('message', (message) => {
    const id = message.readUInt16BE(0);
    const query = inFlight[index]?.get(id);
    if (!query) return;
    inFlight[index]?.delete(id);
    answered++;
    let problem: string | undefined;
    try {
      problem = judge(query, message);
    } catch (error) {
      problem = `${String(error)} in ${message.toString('hex')}`;
    }
    if (problem === undefined) return;
    wrongs++;
    if (wrong.length < 20) wrong.push(problem);
  });
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

function send(socket: Socket, index: number, id: number, now: SoakTruth): void {
  const kind = KINDS[sent % KINDS.length] ?? 'static';
  const query = Buffer.from(QUERIES[kind]);
  query.writeUInt16BE(id, 0);
  if (kind === 'nothing') query.write(String(1_000_000 + dice.below(9_000_000)), 14, 'latin1');
  if (kind === 'geo') for (let octet = 1; octet <= 3; octet++) query[query.length - octet] = 1 + dice.below(223);
  inFlight[index]?.set(id, { kind, atMs: performance.now(), truth: now });
  socket.send(query, () => undefined);
  sent++;
}

function sweep(): void {
  const before = performance.now() - LOST_MS;
  for (const queries of inFlight) {
    for (const [id, { atMs }] of queries) {
      // Maps keep the order in which the queries were sent.
      if (atMs > before) break;
      queries.delete(id);
      lost++;
    }
  }
}

function countWaiting(): number {
  return inFlight.reduce((sum, { size }) => sum + size, 0);
}

function report(): SoakReport {
  return { sent, answered, lost, leftOut, wrongs, wrong, waiting: countWaiting() };
}

const sockets = await Promise.all(Array.from({ length: SOCKETS }, (_, index) => openSocket(index)));
const beganMs = performance.now();
let owed = 0;
let lastMs = beganMs;
let turn = 0;
const nextId = new Uint16Array(SOCKETS);
const timer = setInterval(() => {
  const nowMs = performance.now();
  // After a pause of this process the queries of the pause are left out: a burst would be another test.
  owed += Math.min(nowMs - lastMs, 50) * (rate / 1000);
  lastMs = nowMs;
  if (truth === undefined || isEnding) owed = 0;
  const room = MOST_WAITING - countWaiting();
  if (owed > room) {
    leftOut += Math.floor(owed - room);
    owed = room;
  }
  for (; owed >= 1 && truth !== undefined; owed--) {
    const index = turn++ % SOCKETS;
    const socket = sockets[index];
    const id = nextId[index] ?? 0;
    nextId[index] = (id + 1) % IDS;
    if (socket) send(socket, index, id, truth);
  }
  sweep();
}, TICK_MS);

process.on('message', (message: { readonly id: number; readonly truth?: SoakTruth; readonly end?: boolean }) => {
  if (message.truth) truth = message.truth;
  if (message.end === true) isEnding = true;
  process.send?.({ id: message.id, report: report() });
});
process.on('disconnect', () => {
  clearInterval(timer);
  for (const socket of sockets) socket.close();
});
