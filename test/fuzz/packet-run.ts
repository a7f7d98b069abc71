/**
 * Very many packets through `answer`, by a loop that does little else: packets of a pool, changed by a few octets.
 * Every packet is answered by two threads with different pasts, the second time in the reverse order and beside other
 * packets: their responses must be equal. One thread's memory is measured, and the time of each call of the other.
 *
 *     batch     one buffer with all packets, one after the other; so what follows a packet is another packet
 *     answers   one buffer with all responses of a thread
 */
import { getHeapStatistics } from 'node:v8';
import * as fc from 'fast-check';
import type { Answerer } from '../../server/answer/answer-state.ts';
import { answer } from '../../server/answer/answer.ts';
import { TRANSPORT, type Packet } from '../../server/contract.ts';
import { TCP_OCTETS, UDP_OCTETS } from '../../wire/limits.ts';
import { createDice, type Dice } from '../support/random.ts';
import { keepCrasher } from './fuzz-target.ts';
import { MESSAGES } from './packet-inputs.ts';
import { createPacketWorld, type PacketWorld } from './packet-world.ts';
import { judgeResponse, limitOf, seedPacket } from './targets/packets.ts';

const BATCH = 50_000;
const POOL = 20_000;
/** Longer packets of the pool are left out: they are rare. */
const MAX_PACKET = 700;
/** Every so many packets, the response is read by a slow reader, and its records are compared with the zones'. */
const READ_EVERY = 61;
/** Packets over TCP and TLS: their answers take much room. */
const STREAM_EVERY = 97;
/**
 * No call takes longer. A busy machine may suspend the process during a call, so a late call is made again: only if it
 * is late each time does it count.
 */
const MAX_MS = 1;
const TRIES = 8;
/** As in the allocation test: the smallest object takes 16 octets. */
const MAX_ALLOCATED = 6;
const REPORT_MS = 60_000;

export type PacketRunLimits = {
  readonly seed: number;
  readonly count: number;
  readonly minutes: number | undefined;
};

type Batch = {
  readonly octets: Buffer;
  readonly at: Int32Array;
  readonly length: Int32Array;
  readonly transport: Uint8Array;
  readonly random: Int32Array;
  readonly peer: Buffer;
};

/** Offset and length of each response. */
type Answers = { readonly octets: Buffer; readonly at: Int32Array; readonly length: Int32Array };

/** Returns the exit code. */
export function runPackets({ seed, count, minutes }: PacketRunLimits): number {
  const world = createPacketWorld();
  const dice = createDice(seed);
  const pool = fc.sample(MESSAGES, { seed, numRuns: POOL }).filter(({ length }) => length <= MAX_PACKET);
  const allDown = (seed & 1) === 0;
  const [first, second] = [world.answering({ allDown }).state, world.answering({ allDown }).state];
  const batches = [createBatch(), createBatch()] as const;
  const answers = [createAnswers(), createAnswers()] as const;
  const untilMs = minutes === undefined ? Infinity : performance.now() + minutes * 60_000;
  const beganCpu = process.cpuUsage();
  let done = 0;
  let allocated = 0;
  let allocatedOver = 0;
  let lateFirst = 0;
  let reportAtMs = performance.now() + REPORT_MS;
  console.log(`packets: seed ${seed}`);
  const tell = (): void => {
    const { user, system } = process.cpuUsage(beganCpu);
    const bytes = allocatedOver === 0 ? 0 : allocated / allocatedOver;
    console.log(
      `packets: ${done} answered twice, ${((user + system) / 1e6).toFixed(0)} s of CPU time, ${bytes.toFixed(2)} octets allocated per packet, ${lateFirst} calls made again`,
    );
  };
  while (done < count && performance.now() < untilMs) {
    fillBatch(batches[0], pool, dice);
    reverse(batches[0], batches[1]);
    const isWarm = done >= 4 * BATCH;
    const before = allocatedOctets();
    answerBatch(first, batches[0], answers[0]);
    if (isWarm) {
      allocated += allocatedOctets() - before;
      allocatedOver += BATCH;
    }
    lateFirst += answerTimed(second, batches[1], answers[1], isWarm);
    const problem = compare(world, first, batches[0], answers);
    if (problem) {
      const { index, error } = problem;
      const input = inputOf(batches[0], index);
      tell();
      console.log(`packets: ${error}: ${input.message.toString('hex')}`);
      console.log(`packets: kept as ${keepCrasher('packets', { input, error }, seed)}`);
      return 1;
    }
    done += BATCH;
    clearRings(first, second);
    if (performance.now() > reportAtMs) {
      tell();
      reportAtMs += REPORT_MS;
    }
  }
  tell();
  if (allocatedOver > 0 && allocated / allocatedOver >= MAX_ALLOCATED) {
    console.log('packets: answer() allocates');
    return 1;
  }
  console.log('packets: no failure');
  return 0;
}

function createBatch(): Batch {
  return {
    octets: Buffer.alloc(BATCH * MAX_PACKET + 64),
    at: new Int32Array(BATCH),
    length: new Int32Array(BATCH),
    transport: new Uint8Array(BATCH),
    random: new Int32Array(BATCH),
    peer: Buffer.alloc(BATCH * 16),
  };
}

function createAnswers(): Answers {
  const streams = Math.ceil(BATCH / STREAM_EVERY);
  return {
    octets: Buffer.alloc(BATCH * UDP_OCTETS + streams * 16_384 + 2 * TCP_OCTETS),
    at: new Int32Array(BATCH),
    length: new Int32Array(BATCH),
  };
}

const OCTETS = [0, 1, 0x0c, 0x29, 0x3f, 0x40, 0x80, 0xc0, 0xff];

function fillBatch({ octets, at, length, transport, random, peer }: Batch, pool: readonly Buffer[], dice: Dice): void {
  let end = 0;
  for (let index = 0; index < BATCH; index++) {
    const base = pool[dice.below(pool.length)] ?? Buffer.alloc(0);
    base.copy(octets, end);
    let octetsOf = base.length;
    if (octetsOf > 0) {
      for (let edits = dice.below(5); edits > 0; edits--) {
        const where = dice.chance(0.3) ? dice.below(Math.min(12, octetsOf)) : dice.below(octetsOf);
        octets[end + where] = dice.chance(0.5) ? dice.pick(OCTETS) : dice.below(256);
      }
      // The start of one packet and the end of another.
      if (dice.chance(0.05)) {
        const other = pool[dice.below(pool.length)] ?? base;
        const from = dice.below(other.length + 1);
        const kept = dice.below(octetsOf + 1);
        const more = Math.min(other.length - from, MAX_PACKET - kept);
        other.copy(octets, end + kept, from, from + more);
        octetsOf = kept + more;
      } else if (dice.chance(0.06)) octetsOf = dice.below(octetsOf + 1);
    }
    at[index] = end;
    length[index] = octetsOf;
    transport[index] = index % STREAM_EVERY === 0 ? 1 + dice.below(2) : TRANSPORT.UDP;
    random[index] = dice.below(0x7fff_ffff);
    for (let octet = 0; octet < 16; octet++) peer[index * 16 + octet] = dice.below(256);
    end += octetsOf;
  }
}

/** The same packets with the last one first; the packets have the same index in both. */
function reverse(from: Batch, to: Batch): void {
  let end = 0;
  for (let index = BATCH - 1; index >= 0; index--) {
    const at = from.at[index] ?? 0;
    const length = from.length[index] ?? 0;
    from.octets.copy(to.octets, end, at, at + length);
    to.at[index] = end;
    end += length;
  }
  to.length.set(from.length);
  to.transport.set(from.transport);
  to.random.set(from.random);
  to.peer.set(from.peer);
}

function packetIn(batch: Batch, answers: Answers): Packet {
  return {
    ...{ rx: batch.octets, rxAt: 0, length: 0, transport: 0, tx: answers.octets, txAt: 0 },
    ...{ peer: batch.peer, peerAt: 0, peerOctets: 4 },
  };
}

function setPacket(packet: Packet, batch: Batch, index: number, txAt: number): void {
  packet.rxAt = batch.at[index] ?? 0;
  packet.length = batch.length[index] ?? 0;
  packet.transport = batch.transport[index] ?? 0;
  packet.peerAt = index * 16;
  packet.peerOctets = ((batch.random[index] ?? 0) & 1) === 0 ? 4 : 16;
  packet.txAt = txAt;
}

function answerBatch(state: Answerer, batch: Batch, answers: Answers): void {
  const packet = packetIn(batch, answers);
  let end = 0;
  for (let index = 0; index < BATCH; index++) {
    setPacket(packet, batch, index, end);
    seedPacketWords(state, batch.random[index] ?? 0);
    answers.at[index] = end;
    const length = answer(state, packet);
    answers.length[index] = length;
    end += length;
  }
}

/** `seedPacket` without its array. */
function seedPacketWords(state: Answerer, random: number): void {
  const words = state.steerer.random.state;
  words[0] = random;
  words[1] = random ^ 0x9e37_79b9;
  words[2] = 0x6a09_e667;
  words[3] = 1;
}

/** From the last packet to the first. Returns how many calls were made again because they were late. */
function answerTimed(state: Answerer, batch: Batch, answers: Answers, isWarm: boolean): number {
  const packet = packetIn(batch, answers);
  let end = 0;
  let again = 0;
  for (let index = BATCH - 1; index >= 0; index--) {
    setPacket(packet, batch, index, end);
    let shortestMs = Infinity;
    let length = 0;
    for (let tries = 0; tries < TRIES && shortestMs > MAX_MS; tries++) {
      if (tries > 0) again++;
      seedPacket(state, batch.random[index] ?? 0);
      const before = performance.now();
      length = answer(state, packet);
      shortestMs = Math.min(shortestMs, performance.now() - before);
    }
    if (isWarm && shortestMs > MAX_MS) throw new Error(`packet ${index} takes ${shortestMs.toFixed(2)} ms`);
    answers.at[index] = end;
    answers.length[index] = length;
    end += length;
  }
  return again;
}

type Problem = { readonly index: number; readonly error: string };

function compare(
  world: PacketWorld,
  state: Answerer,
  batch: Batch,
  [one, two]: readonly [Answers, Answers],
): Problem | undefined {
  const packet = packetIn(batch, { ...one, octets: Buffer.alloc(TCP_OCTETS) });
  for (let index = 0; index < BATCH; index++) {
    const [at, other] = [one.at[index] ?? 0, two.at[index] ?? 0];
    const length = one.length[index] ?? 0;
    const isSame =
      length === two.length[index] && one.octets.compare(two.octets, other, other + length, at, at + length) === 0;
    if (!isSame) return { index, error: 'octets that are neither of the query nor of the zones' };
    if (length > (batch.transport[index] === TRANSPORT.UDP ? UDP_OCTETS : TCP_OCTETS)) return { index, error: `a response of ${length} octets` }; // prettier-ignore
    if (index % READ_EVERY !== 0) continue;
    try {
      const decoded = judgeResponse(
        messageOf(batch, index),
        one.octets.subarray(at, at + length),
        batch.transport[index] ?? 0,
      );
      if (decoded) world.judgeRecords(decoded);
    } catch (error) {
      return { index, error: String(error) };
    }
    // What the query asked for is known only while its thread has it.
    setPacket(packet, batch, index, 0);
    answer(state, packet);
    if (length > limitOf(state, packet.transport)) return { index, error: `a response of ${length} octets` };
  }
  return undefined;
}

function messageOf(batch: Batch, index: number): Buffer {
  const at = batch.at[index] ?? 0;
  return Buffer.from(batch.octets.subarray(at, at + (batch.length[index] ?? 0)));
}

function inputOf(batch: Batch, index: number) {
  const random = batch.random[index] ?? 0;
  const octets = (random & 1) === 0 ? 4 : 16;
  const peer = Buffer.from(batch.peer.subarray(index * 16, index * 16 + octets));
  return { message: messageOf(batch, index), transport: batch.transport[index] ?? 0, peer, random };
}

/** The control thread's part: the samples of clients are taken. */
function clearRings(...states: readonly Answerer[]): void {
  for (const { sampler } of states) {
    const heads = sampler?.ring.heads;
    if (heads) heads[1] = heads[0] ?? 0;
  }
}

/** Octets that this process has ever allocated on the heap, if Node.js knows; otherwise those in use. */
function allocatedOctets(): number {
  const statistics: { total_allocated_bytes?: number; used_heap_size: number } = getHeapStatistics();
  return statistics.total_allocated_bytes ?? statistics.used_heap_size;
}
