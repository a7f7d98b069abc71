/**
 * Messages that nodes send each other over core NATS: heartbeats with votes. A message is
 *
 *     octet 0      version; receivers ignore versions that they do not know
 *     octets 1..4  length of the head, big-endian
 *     head         JSON, UTF-8: the sender, and its changed votes
 *     body         in full heartbeats: two bits per target, first target in the lowest bits; else empty
 *
 * The targets of a body are in the order of the sender's target list, which peers ask for once per list (`list` is its
 * digest). The body for 30,000 targets has 7.5 KB.
 */
import { recordIn } from '../config/unknown-values.ts';
import { VOTE, type Stand, type Vote } from './count.ts';

export const VOTE_MESSAGE_VERSION = 1;
/** Offset of the head. */
const HEAD_AT = 5;

/** Targets, as the first 16 hexadecimal digits of SHA-256 over check and address (`target-digest.ts`). */
export type TargetDigest = string;

export type DrainAcknowledged = readonly [key: string, revision: number, remainingMs: number | null];

export type Head = {
  readonly node: string;
  readonly region: string;
  /** Random per process, so that a restart is noticed. */
  readonly run: string;
  /** Increases with each message of a process, so that receivers notice overtaken messages. */
  readonly seq: number;
  /** The sender's wall clock in milliseconds since 1970. */
  readonly wallMs: number;
  /** True in the last message of a server that stops. */
  readonly leaving?: boolean;
  /** Digest of the target list that a body refers to. */
  readonly list: string;
  readonly targets: number;
  /** How many of them it probes. */
  readonly probed?: number | undefined;
  /**
   * Whether the node abstains because it suspects its own network. If false, abstentions are due to a late event loop.
   */
  readonly suspect?: boolean | undefined;
  /** Digest of the configuration. */
  readonly config: string;
  readonly version: string;
  /** Votes that changed since the last message, each with the reason of the last result. */
  readonly changes?: readonly (readonly [TargetDigest, Vote, reason: string])[];
  /** In full heartbeats: verdicts of targets whose count is a tie. */
  readonly held?: readonly (readonly [TargetDigest, Stand])[];
  /** The highest revision of an order that the node has applied. */
  readonly applied: number;
  /**
   * Drains that the node applied: the order's key, its revision, and the time for which cached answers may still name
   * the target, or null while new answers name it.
   */
  readonly drains?: readonly DrainAcknowledged[];
};

export type VoteMessage = { readonly head: Head; readonly votes: Uint8Array };

/** Votes of many targets, two bits each. */
export function packVotes(votes: readonly Vote[]): Uint8Array {
  const packed = new Uint8Array(Math.ceil(votes.length / 4));
  votes.forEach((vote, at) => {
    packed[at >> 2] = (packed[at >> 2] ?? 0) | (vote << ((at & 3) * 2));
  });
  return packed;
}

/** The vote on the target at an index of a packed body; unknown beyond the end of the body. */
export function packedVote(packed: Uint8Array, at: number): Vote {
  // A vote has two bits, so every value is one of the four votes.
  return (((packed[at >> 2] ?? VOTE.UNKNOWN) >> ((at & 3) * 2)) & 3) as Vote;
}

export function writeVoteMessage({ head, votes }: VoteMessage): Uint8Array {
  const text = Buffer.from(JSON.stringify(head));
  const start = Buffer.alloc(HEAD_AT);
  start.writeUInt8(VOTE_MESSAGE_VERSION);
  start.writeUInt32BE(text.length, 1);
  return Buffer.concat([start, text, votes]);
}

/** Undefined for a message of another version or of another form: it is ignored, and counted by the caller. */
export function readVoteMessage(octets: Uint8Array): VoteMessage | undefined {
  const { buffer, byteOffset, length } = octets;
  if (length < HEAD_AT || octets[0] !== VOTE_MESSAGE_VERSION) return undefined;
  const end = HEAD_AT + new DataView(buffer, byteOffset).getUint32(1);
  if (end > length) return undefined;
  const head: unknown = recordIn(octets.subarray(HEAD_AT, end));
  return isHead(head) ? { head, votes: octets.subarray(end) } : undefined;
}

function isHead(value: unknown): value is Head {
  if (typeof value !== 'object' || value === null) return false;
  const head = value as Partial<Record<keyof Head, unknown>>;
  return (
    [head.node, head.region, head.run, head.list, head.config, head.version].every(isShortText) &&
    [head.seq, head.wallMs, head.targets, head.applied].every((number) => Number.isSafeInteger(number)) &&
    (head.probed === undefined || Number.isSafeInteger(head.probed)) &&
    (head.suspect === undefined || typeof head.suspect === 'boolean') &&
    (head.leaving === undefined || typeof head.leaving === 'boolean') &&
    isListOf(
      head.changes,
      ([digest, vote, reason]) => isShortText(digest) && isVote(vote) && typeof reason === 'string',
    ) &&
    isListOf(head.held, ([digest, stand]) => isShortText(digest) && (stand === VOTE.UP || stand === VOTE.DOWN)) &&
    isListOf(
      head.drains,
      ([key, revision, remaining]) =>
        typeof key === 'string' && Number.isSafeInteger(revision) && (remaining === null || Number.isFinite(remaining)),
    )
  );
}

const MAX_TEXT = 255;

function isShortText(value: unknown): boolean {
  return typeof value === 'string' && value.length <= MAX_TEXT;
}

function isVote(value: unknown): boolean {
  return value === VOTE.UNKNOWN || value === VOTE.UP || value === VOTE.DOWN || value === VOTE.ABSTAIN;
}

function isListOf(value: unknown, isRow: (row: readonly unknown[]) => boolean): boolean {
  return value === undefined || (Array.isArray(value) && value.every((row) => Array.isArray(row) && isRow(row)));
}
