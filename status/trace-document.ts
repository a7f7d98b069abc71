/**
 * A trace as JSON, for `pharos explain --json` and the API, with snake_case keys and null for missing values.
 */
import type { Trace, TraceCandidate, TraceDecision, TraceStep } from '../steering/trace.ts';
import type { VotesDocument } from './fleet-document.ts';

export type TraceDocument = {
  readonly name: string;
  readonly type: string;
  readonly zone: string;
  /** The names that the ALIAS of the name leads over; null if it has none. */
  readonly alias: readonly string[] | null;
  readonly service: string | null;
  readonly client: {
    readonly address: string | null;
    readonly source: 'subnet' | 'resolver' | 'place';
    readonly country: string;
    readonly subdivision: string;
    readonly city: string;
    readonly continent: string;
    readonly latitude: number | null;
    readonly longitude: number | null;
    readonly asn: number;
    readonly how: string;
  };
  /** The services whose CNAMEs led to `service`. */
  readonly via: readonly (Pick<TraceDocument, 'candidates' | 'steps' | 'all_down' | 'ttl' | 'scope'> &
    Pick<TraceDecision, 'service' | 'vips'>)[];
  readonly candidates: readonly (Omit<TraceCandidate, 'forced'> & {
    readonly forced: 'up' | 'down' | 'drain' | null;
    /** The votes of the fleet; null without a fleet, and for a VIP that is not checked. */
    readonly votes: VotesDocument | null;
  })[];
  readonly steps: readonly TraceStep[];
  readonly all_down: string | null;
  readonly answer: Trace['answer'];
  readonly ttl: Trace['ttl'];
  readonly scope: Trace['scope'];
  /** How the answer is signed for a query with DO; null if the zone is not signed. */
  readonly signing: {
    readonly key_tags: readonly number[];
    readonly valid_until: string | null;
    readonly how: string;
  } | null;
};

/** The votes of a fleet on a target; undefined where there are none. */
export type VotesOn = (target: string) => VotesDocument | undefined;

export function traceDocument(trace: Trace, votesOn: VotesOn = () => undefined): TraceDocument {
  const { client, signing } = trace;
  return {
    name: trace.name,
    type: trace.type,
    zone: trace.zone,
    alias: trace.alias.length === 0 ? null : trace.alias,
    service: trace.service ?? null,
    client: {
      address: client.address ?? null,
      source: client.source,
      country: client.country,
      subdivision: client.subdivision,
      city: client.city,
      continent: client.continent,
      latitude: client.latitude ?? null,
      longitude: client.longitude ?? null,
      asn: client.asn,
      how: client.how,
    },
    via: trace.via.map((decision) => ({
      service: decision.service,
      candidates: candidatesOf(decision, votesOn),
      steps: decision.steps,
      all_down: decision.allDown ?? null,
      vips: decision.vips,
      ttl: decision.ttl,
      scope: decision.scope,
    })),
    candidates: candidatesOf(trace, votesOn),
    steps: trace.steps,
    all_down: trace.allDown ?? null,
    answer: trace.answer,
    ttl: trace.ttl,
    scope: trace.scope,
    signing: signing ? { key_tags: signing.keyTags, valid_until: signing.validUntil ?? null, how: signing.how } : null,
  };
}

function candidatesOf({ candidates }: Pick<Trace, 'candidates'>, votesOn: VotesOn): TraceDocument['candidates'] {
  return candidates.map((candidate) => ({
    ...candidate,
    forced: candidate.forced ?? null,
    votes: votesOn(candidate.target) ?? null,
  }));
}

/** Whether a value from the network has the members that rendering reads. */
export function isTraceDocument(value: unknown): value is TraceDocument {
  if (typeof value !== 'object' || value === null) return false;
  const { client, via, candidates, steps, answer, ttl, scope } = value as Readonly<Record<string, unknown>>;
  const isObject = (part: unknown): boolean => typeof part === 'object' && part !== null;
  return [client, answer, ttl, scope].every(isObject) && [via, candidates, steps].every(Array.isArray);
}
