/**
 * The explanation of one decision (docs/commands.md#pharos-explain-name-type). An observer records it in the code that
 * answers packets. It is plain JSON, so that the command line, the API and `_explain.` show the same.
 */
export type Trace = {
  /** Name and type of the query: `www.example.com`, `A`. */
  readonly name: string;
  readonly type: string;
  readonly zone: string;
  /**
   * If the name has an ALIAS: the names that it leads over, the last of which has the addresses. Empty if it has none.
   */
  readonly alias: readonly string[];
  /**
   * The steered service that gave the answer, after CNAMEs of other services if there are any; undefined for static
   * data.
   */
  readonly service: string | undefined;
  readonly client: TraceClient;
  /** The decisions of the services whose CNAMEs led to `service`, in order from the name of the query. */
  readonly via: readonly TraceDecision[];
  /** One per VIP of the service that has the type; empty for static data. */
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
  /** How the answer is signed for a query with DO; undefined if the zone is not signed. */
  readonly signing: TraceSigning | undefined;
};

export type TraceSigning = {
  /** The tags of the keys that signed it. */
  readonly keyTags: readonly number[];
  /** ISO 8601: the earliest end of its signatures; undefined if it has none. */
  readonly validUntil: string | undefined;
  readonly how: string;
};

/** One service's part in an answer. */
export type TraceDecision = Pick<Trace, 'candidates' | 'steps' | 'allDown' | 'ttl' | 'scope'> & {
  readonly service: string;
  /** VIP names, in the order served. */
  readonly vips: readonly string[];
};

export type TraceClient = {
  /** The address that steering used; undefined when only a place was given. */
  readonly address: string | undefined;
  /** The source of the address. */
  readonly source: 'subnet' | 'resolver' | 'place';
  readonly country: string;
  readonly subdivision: string;
  readonly city: string;
  readonly continent: string;
  readonly latitude: number | undefined;
  readonly longitude: number | undefined;
  readonly asn: number;
  /** How the client was located, in words. */
  readonly how: string;
};

export type TraceCandidate = {
  readonly vip: string;
  readonly target: string;
  readonly region: string;
  readonly data: string;
  /** The full weight, without the effect of a ramp. */
  readonly weight: number;
  /** The share of its weight that is in effect: below 1 during a ramp. */
  readonly ramp: number;
  /** The share of its clients that it sheds because of its load, 0 to 1. */
  readonly shed: number;
  readonly probed: 'up' | 'down' | 'unknown';
  readonly forced: 'up' | 'down' | 'drain' | undefined;
  readonly available: boolean;
  /**
   * Why it is or is not a candidate, in words: `up`, `down: HTTP 503 (expected 200-399)`, `region seoul has 40% of its
   * weight up, needs 50%`.
   */
  readonly why: string;
};

export type TraceStep = {
  /** `geo`, `weighted`, ... */
  readonly step: string;
  /** Names of the VIPs that the step left, in order. */
  readonly kept: readonly string[];
  /** `KR -> seoul`, `virginia is 1,100 km away, the nearest with a candidate`. */
  readonly why: string;
};

/** `client` is an address; `country` or `at` replace it. `down` are targets that count as down for this request. */
export type ExplainRequest = {
  readonly name: string;
  readonly type: string;
  readonly client?: string;
  readonly resolver?: string;
  readonly country?: string;
  readonly at?: string;
  readonly down?: readonly string[];
};

/** `parameter` is the name of the invalid parameter. */
export type Explained =
  | { readonly ok: true; readonly trace: Trace }
  | { readonly ok: false; readonly parameter: string; readonly message: string };
