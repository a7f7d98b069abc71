/**
 * The decision for one client, told (SPEC 4, Explain). Made by the code that answers packets, through an
 * observer; plain JSON, so that the command line, the API and `_explain.` show the same.
 */
export type Trace = {
  /** What was asked: `www.example.com`, `A`. */
  readonly name: string;
  readonly type: string;
  readonly zone: string;
  /** The steered service behind the name, the last one where a CNAME led through several; undefined for static data. */
  readonly service: string | undefined;
  readonly client: TraceClient;
  /** The decisions of the services whose CNAMEs led to `service`, that of the name asked for first. */
  readonly via: readonly TraceDecision[];
  /** One a VIP of the service that has the type; empty for static data. */
  readonly candidates: readonly TraceCandidate[];
  readonly steps: readonly TraceStep[];
  /** What `when_all_down` did, when no candidate was left; undefined otherwise. */
  readonly allDown: string | undefined;
  readonly answer: {
    /** `NOERROR`, `NXDOMAIN`, ... */
    readonly rcode: string;
    readonly records: readonly {
      readonly name: string;
      readonly type: string;
      readonly ttl: number;
      readonly data: string;
    }[];
    /** VIP names, in the order served. */
    readonly vips: readonly string[];
  };
  readonly ttl: { readonly seconds: number; readonly why: string };
  readonly scope: { readonly bits: number; readonly why: string };
};

/** One service's part in an answer. */
export type TraceDecision = Pick<Trace, 'candidates' | 'steps' | 'allDown' | 'ttl' | 'scope'> & {
  readonly service: string;
  /** VIP names, in the order served. */
  readonly vips: readonly string[];
};

export type TraceClient = {
  /** The address steering used; undefined when only a place was given. */
  readonly address: string | undefined;
  /** Where it came from. */
  readonly source: 'subnet' | 'resolver' | 'place';
  readonly country: string;
  readonly subdivision: string;
  readonly continent: string;
  readonly latitude: number | undefined;
  readonly longitude: number | undefined;
  readonly asn: number;
  /** How it was located, in words. */
  readonly how: string;
};

export type TraceCandidate = {
  readonly vip: string;
  readonly target: string;
  readonly region: string;
  readonly data: string;
  /** Without what a ramp takes away from it. */
  readonly weight: number;
  /** The share of its weight that it has: below 1 while it comes back (`ramp`). */
  readonly ramp: number;
  /** The share of its clients that it gives up for its load (`shed`), 0 to 1. */
  readonly shed: number;
  readonly probed: 'up' | 'down' | 'unknown';
  readonly forced: 'up' | 'down' | 'drain' | undefined;
  readonly available: boolean;
  /** Why it is or is not a candidate, in words: `up`, `down: status 503`, `region seoul has 40% of its weight up, needs 50%`. */
  readonly why: string;
};

export type TraceStep = {
  /** `geo`, `weighted`, ... */
  readonly step: string;
  /** VIP names that it left, in order. */
  readonly kept: readonly string[];
  /** `KR -> seoul`, `virginia is 1,100 km away, the nearest with a candidate`. */
  readonly why: string;
};

/** `client` is an address, `country` or `at` stand in its place; `down` are targets taken as down for this question. */
export type ExplainRequest = {
  readonly name: string;
  readonly type: string;
  readonly client?: string;
  readonly resolver?: string;
  readonly country?: string;
  readonly at?: string;
  readonly down?: readonly string[];
};

/** `parameter` names what was wrong with the request. */
export type Explained =
  | { readonly ok: true; readonly trace: Trace }
  | { readonly ok: false; readonly parameter: string; readonly message: string };
