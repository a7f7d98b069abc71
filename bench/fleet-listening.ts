/** Measures the CPU time that a fleet costs one node: a real member hears the heartbeats of all others. */
import { VOTE } from '../fleet/count.ts';
import { createMember, HEARTBEAT_MS } from '../fleet/member.ts';
import { packVotes, readVoteMessage, writeVoteMessage, type Head } from '../fleet/vote-message.ts';
import { memberTarget } from '../test/support/fleet-network.ts';
import { createDice } from '../test/support/random.ts';

const REGIONS = 20;
const SECONDS = 10;
/** The share of a region's targets that a node probes: three of ten nodes. */
const PROBED = 0.3;

export type ListeningCost = { readonly joinMs: number; readonly secondMs: number; readonly lostMs: number };

/** In milliseconds of CPU time: for the first heartbeats of all, for a second of heartbeats, for the loss of a node. */
export function measureListening(nodes: number, targets: number): ListeningCost {
  const dice = createDice(1);
  let nowMs = 0;
  const sent: Uint8Array[] = [];
  const timers: (() => void)[] = [];
  const member = createMember({
    node: 'node0',
    region: 'region0',
    run: '0',
    version: '0.1.0',
    clock: {
      now: () => nowMs,
      wall: () => nowMs,
      after: (_, run) => {
        timers.push(run);
        return () => undefined;
      },
    },
    send: (message) => {
      sent.push(message);
    },
    askList: () => undefined,
    changed: () => undefined,
    hasten: () => undefined,
    probing: () => undefined,
  });
  member.configure(Array.from({ length: targets }, (_, at) => memberTarget(at.toString(16).padStart(16, '0'))));
  const head = sent[0] && readVoteMessage(sent[0])?.head;
  if (head === undefined) throw new Error('the member sent nothing');
  const bodies = Array.from({ length: nodes - 1 }, () =>
    packVotes(Array.from({ length: targets }, () => (dice.chance(PROBED) ? VOTE.UP : VOTE.UNKNOWN))),
  );
  const messages = (seq: number, isFull: boolean): Uint8Array[] =>
    bodies.map((votes, at): Uint8Array => {
      const { held, ...rest } = head;
      const name = { node: `node${at + 1}`, region: `region${(at + 1) % REGIONS}`, run: '1', seq };
      const peer: Head = { ...rest, ...name, ...(isFull ? { held: held ?? [] } : { changes: [] }) };
      return writeVoteMessage({ head: peer, votes: isFull ? votes : new Uint8Array(0) });
    });
  const hear = (octets: readonly Uint8Array[]): number =>
    cpuMs(() => {
      for (const message of octets) member.hear(message);
    });

  const first = messages(1, true);
  const joinMs = hear(first) + cpuMs(() => { timers.splice(0).forEach((run) => { run(); }); }); // prettier-ignore
  let secondsMs = 0;
  for (let second = 0; second < SECONDS; second++) {
    nowMs += HEARTBEAT_MS;
    const octets = messages(second + 2, second % 2 === 0);
    secondsMs += hear(octets) + cpuMs(member.beat);
  }
  nowMs += 3 * HEARTBEAT_MS;
  hear(messages(SECONDS + 2, false).slice(1));
  nowMs += HEARTBEAT_MS;
  return { joinMs, secondMs: secondsMs / SECONDS, lostMs: cpuMs(member.beat) };
}

function cpuMs(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
