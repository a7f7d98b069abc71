/**
 * The differences of Pharos, BIND and Knot in dynamic updates that are meant (docs/conformance.md#dynamic-updates).
 */
import { T } from '../support/message.ts';
import type { SentUpdate } from '../support/update-client.ts';

export type Verdict = {
  readonly peer: string;
  readonly message: SentUpdate;
  /** Of Pharos and of the peer. */
  readonly rcodes: readonly (number | undefined)[];
  /** The records afterwards. */
  readonly ours: readonly string[];
  readonly theirs: readonly string[];
};

const [NOERROR, FORMERR, REFUSED, NOTAUTH, NOTZONE] = [0, 1, 5, 9, 10];
/** NXDOMAIN, YXDOMAIN, YXRRSET, NXRRSET. */
const UNMET = [3, 6, 7, 8];

export const MEANT: readonly { readonly title: string; readonly applies: (verdict: Verdict) => boolean }[] = [
  {
    title: 'Pharos refuses SOA and the NS of the zone itself',
    applies: ({ message, rcodes: [ours] }) =>
      ours === REFUSED &&
      message.updates.some(({ name, type }) => type === T.SOA || (type === T.NS && name === message.zone)),
  },
  {
    title: 'BIND scans the update before it checks the prerequisites (RFC 2136 3: afterwards)',
    applies: ({ peer, rcodes: [ours, theirs] }) =>
      peer === 'BIND' && UNMET.includes(ours ?? 0) && (theirs === FORMERR || theirs === NOTZONE),
  },
  {
    title: 'BIND answers FORMERR where the zone is unknown too',
    applies: ({ peer, rcodes: [ours, theirs] }) => peer === 'BIND' && ours === NOTAUTH && theirs === FORMERR,
  },
  {
    title: 'a wrong record and a name outside the zone in one message: RFC 2136 leaves open which is reported',
    applies: ({ message, rcodes, ...zones }) =>
      rcodes.includes(FORMERR) &&
      rcodes.includes(NOTZONE) &&
      zones.ours.join() === zones.theirs.join() &&
      [...(message.prerequisites ?? []), ...message.updates].some(({ name }) => !name.endsWith(message.zone)),
  },
  {
    title: 'Knot ignores a record of a meta type or another class in an update (RFC 2136 3.4.1: FORMERR)',
    applies: ({ peer, rcodes: [ours, theirs] }) => peer === 'Knot' && ours === FORMERR && theirs === NOERROR,
  },
  {
    title: 'Knot keeps the TTL of a set when a record is added with another TTL (RFC 2136 3.4.2.2: replaced)',
    applies: ({ peer, rcodes: [ours, theirs], ...zones }) =>
      peer === 'Knot' && ours === NOERROR && theirs === NOERROR && isSameButTtl(zones.ours, zones.theirs),
  },
];

function isSameButTtl(ours: readonly string[], theirs: readonly string[]): boolean {
  const without = (records: readonly string[]): string =>
    records
      .map((each) => each.replace(/ \d+/, ''))
      .sort()
      .join('\n');
  return without(ours) === without(theirs);
}
