/** Sizes of the messages of a fleet, as a member sends them. */
import { VOTE } from '../../fleet/count.ts';
import { createMember, HEARTBEAT_MS } from '../../fleet/member.ts';
import { memberTarget } from './fleet-network.ts';
import type { WeekReport } from './fleet-week.ts';
import type { WorldSize } from './fleet-world.ts';

/** `short` without votes, `full` with all; each changed vote adds `change`, each stand on a tie `held`. */
export type MessageSizes = {
  readonly short: number;
  readonly full: number;
  readonly change: number;
  readonly held: number;
};

const USUAL_NAMES = { node: 'node100', region: 'region10', run: '0123456789abcdef', version: '0.1.0', config: '0123456789abcdef' }; // prettier-ignore

/** In octets. */
export function messageSizes(targets: number, names: Partial<typeof USUAL_NAMES> = {}): MessageSizes {
  const { config, ...identity } = { ...USUAL_NAMES, ...names };
  const sent: number[] = [];
  const member = createMember({
    ...identity,
    clock: { now: () => 0, wall: () => 1_700_000_000_000, after: () => () => undefined },
    send: ({ length }) => {
      sent.push(length);
    },
    askList: () => undefined,
    changed: () => undefined,
    hasten: () => undefined,
    probing: () => undefined,
  });
  const digests = Array.from({ length: targets }, (_, at) => at.toString(16).padStart(16, '0'));
  member.describe(config);
  member.configure(digests.map((digest) => memberTarget(digest)));
  sent.length = 0;
  member.beat();
  member.beat();
  member.vote(digests[0] ?? '', VOTE.DOWN, 'connect refused');
  const [full = 0, short = 0, changed = 0] = sent;
  return { short, full, change: changed - short, held: JSON.stringify([digests[0], VOTE.UP]).length + 1 };
}

export type Traffic = {
  /** Sent by all nodes together. */
  readonly messages: number;
  readonly octets: number;
};

/** What all nodes send: heartbeats, every other one with all votes, and what changes. */
export function trafficOf(size: WorldSize, report: WeekReport, sizes: MessageSizes): Traffic {
  const heartbeats = (size.nodes * size.durationMs) / HEARTBEAT_MS;
  const { changes, changeMessages, extraFulls, held } = report;
  return {
    messages: heartbeats + changeMessages + extraFulls,
    octets:
      (heartbeats / 2) * (sizes.short + sizes.full) +
      changeMessages * sizes.short +
      changes * sizes.change +
      extraFulls * sizes.full +
      held * sizes.held,
  };
}
