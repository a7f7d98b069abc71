/**
 * However a stream is divided, mixed and ended: every complete message before its end gets its response, in order
 * except for the slow ones, and nothing else is sent.
 */
import { expect, test } from 'vitest';
import type { AnswerLong } from '../../server/contract.ts';
import { COUNTER } from '../../server/counters.ts';
import { makeCertificate } from '../support/certificate.ts';
import { createDice, deepTrials, printedSeed, type Dice } from '../support/random.ts';
import { DO, LONG_OCTETS } from '../unit/server/answer/answerer.ts';
import { framed, query, until } from '../unit/server/client.ts';
import { serveStream } from '../unit/server/io/stream-server.ts';

const ROUNDS = deepTrials(20, 60);
const CLIENTS = 6;
/** A message that begins like this is answered later, with as many messages as the next octet says. */
const LATER = 'L'.charCodeAt(0);
/** Where the body of a query is in the response. */
const BODY_AT = 32;

/** What a client sends, and the responses that it must get. */
type Script = {
  readonly octets: Buffer;
  /** Messages that are answered at once, in order. */
  readonly now: readonly Buffer[];
  /** IDs of the others, once for each message of the response. */
  readonly later: readonly number[];
  readonly messages: number;
  readonly throws: number;
  /** A half-close, an impossible length followed by more octets, or a disconnect in the middle. */
  readonly end: 'close' | 'bad length' | 'gone';
};

function randomScript(dice: Dice): Script {
  const parts: Buffer[] = [];
  const now: Buffer[] = [];
  const later: number[] = [];
  let throws = 0;
  const messages = dice.below(40);
  for (let id = 0; id < messages; id++) {
    const what = dice.pick([DO.ECHO, DO.ECHO, DO.ECHO, DO.STAY_SILENT, DO.THROW, DO.ANSWER_LONG, LATER]);
    const octets = dice.chance(0.1) ? dice.below(65_000) : dice.below(40);
    const copies = what === LATER ? 1 + dice.below(3) : dice.below(256);
    const message = Buffer.concat([query(id, what), Buffer.of(copies), Buffer.alloc(octets, dice.below(256))]);
    parts.push(framed(message));
    if (what === LATER) for (let copy = 0; copy < copies; copy++) later.push(id);
    else if (what === DO.THROW) throws++;
    else if (what !== DO.STAY_SILENT) now.push(message);
  }
  const end = dice.pick(['close', 'close', 'bad length', 'gone'] as const);
  if (end === 'bad length') parts.push(Buffer.of(0, dice.below(12)), Buffer.alloc(dice.below(100_000), 0xff));
  else if (dice.chance(0.3)) parts.push(framed(query(0xffff, DO.ECHO, 'half')).subarray(0, 1 + dice.below(15)));
  return { octets: Buffer.concat(parts), now, later, messages, throws, end };
}

type Client = {
  readonly socket: {
    write(octets: Buffer): unknown;
    end(): unknown;
    destroy(): unknown;
    pause(): unknown;
    resume(): unknown;
  };
  readonly receive: () => Promise<Buffer | undefined>;
};

async function play(dice: Dice, { socket, receive }: Client, script: Script, told: string): Promise<void> {
  const { octets, now, later, end } = script;
  const isWhole = end !== 'gone';
  const until = isWhole ? octets.length : dice.below(octets.length + 1);
  const write = async (): Promise<void> => {
    for (let at = 0; at < until;) {
      const to = Math.min(until, at + dice.pick([1, 2, 3, 13, 14, 100, 5000, 100_000]));
      socket.write(octets.subarray(at, to));
      at = to;
      if (dice.chance(0.02)) socket.pause();
      if (dice.chance(0.2)) await new Promise(setImmediate);
      if (dice.chance(0.1)) socket.resume();
    }
    if (end === 'close') socket.end();
    else if (end === 'gone') socket.destroy();
    socket.resume();
  };
  const read = async (): Promise<void> => {
    let next = 0;
    const left = [...later];
    for (;;) {
      const response = await receive();
      if (!response) break;
      const id = response.readUInt16BE(0);
      if (response[2] === 0) {
        if (!left.includes(id)) expect.fail(`${told}: nobody asked for ${id} to be answered later`);
        left.splice(left.indexOf(id), 1);
        continue;
      }
      const asked = now[next++];
      if (asked?.readUInt16BE(0) !== id)
        expect.fail(`${told}: ${id} in place of ${asked?.readUInt16BE(0) ?? 'the end'}`);
      if (asked[12] === DO.ANSWER_LONG) expect(response.length, told).toBe(LONG_OCTETS);
      else if (!response.subarray(BODY_AT).equals(asked.subarray(12, 65_535 - BODY_AT + 12))) {
        expect.fail(`${told}: another body for ${id}`);
      }
    }
    if (isWhole) expect([next, left], told).toEqual([now.length, []]);
    socket.end();
  };
  await Promise.all([write(), read()]);
}

/** A number of turns of the event loop before each message. */
const long: AnswerLong = ({ send }, rx, at, length) => {
  if (rx[at + 12] !== LATER) return undefined;
  const message = Buffer.from(rx.subarray(at, at + length));
  return (async () => {
    for (let copies = message[13] ?? 0; copies > 0; copies--) {
      for (let turns = message[1] ?? 0; turns > 0; turns--) await new Promise(setImmediate);
      if (!(await send(message))) return;
    }
  })();
};

test.each(['TCP', 'TLS'])('streams over %s', async (transport) => {
  const dice = createDice(printedSeed(`fuzz: streams over ${transport}`));
  await using served = await serveStream({ tls: makeCertificate(), long, clients: 4 * CLIENTS });
  const { counters, thrown } = served;
  const asked = (): number => (counters[COUNTER.QUERIES_TCP4] ?? 0) + (counters[COUNTER.QUERIES_TLS4] ?? 0);
  for (let round = 0; round < ROUNDS; round++) {
    const scripts = Array.from({ length: CLIENTS }, () => randomScript(dice));
    const [askedBefore, thrownBefore] = [asked(), thrown.length];
    await Promise.all(
      scripts.map(async (script, client) => {
        const connected = transport === 'TLS' ? await served.tlsClient() : await served.client();
        await play(dice, connected, script, `round ${round}, client ${client}, ${script.end}`);
      }),
    );
    await until(() => counters[COUNTER.TCP_OPEN] === 0);
    if (scripts.some(({ end }) => end === 'gone')) continue;
    const sum = (of: (script: Script) => number): number => scripts.reduce((total, script) => total + of(script), 0);
    expect([asked() - askedBefore, thrown.length - thrownBefore], `round ${round}`).toEqual([
      sum(({ messages }) => messages),
      sum(({ throws }) => throws),
    ]);
  }
  expect(thrown.filter((error) => !String(error).includes('this query is bad'))).toEqual([]);
  expect([counters[COUNTER.TCP_EVICTED], counters[COUNTER.TCP_IDLE]]).toEqual([0, 0]);
});
