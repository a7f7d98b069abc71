/**
 * The state with which one thread answers the queries of one generation: views of shared memory, and records that are
 * filled anew for each packet.
 */
import type { Steerer } from '../../steering/decision.ts';
import type { Prefix } from '../../wire/address.ts';
import type { Query } from '../../wire/query.ts';
import type { Response } from '../../wire/response.ts';
import type { Search } from '../../zones/image/find-node.ts';
import type { Image } from '../../zones/image/image.ts';
import type { Sampler } from './client-samples.ts';
import type { Cookies } from './cookies.ts';
import type { Online } from './online-cache.ts';
import type { PacketClock } from './packet-time.ts';
import type { Proofs } from './proofs.ts';
import type { RareSets } from './rare-sets.ts';
import type { Limiter } from './rrl.ts';

export type Answerer = {
  readonly image: Image;
  readonly steerer: Steerer;
  readonly query: Query;
  readonly response: Response;
  /** The name to look up: first the question's, then each target of a chain. Shares the query's memory. */
  readonly search: Search;
  /** By link of a chain: its mark (MARK in sections.ts), which reveals loops. */
  readonly visited: Int32Array;
  /** By link through a CNAME or DNAME: position in the message of the owner or of the synthesized CNAME's data. */
  readonly visitedAt: Int32Array;
  /** For signed zones. */
  readonly proofs: Proofs;
  /** Undefined: no zone has compact denial. */
  readonly online: Online | undefined;
  /** Undefined: no service of a signed zone has sets that are not signed beforehand. */
  readonly rareSets: RareSets | undefined;
  /** The client address that steering uses, in network order; `clientBits` is 32 or 128. */
  readonly client: Uint8Array;
  clientBits: number;
  /** Whether `client` came in EDNS Client Subnet. */
  clientIsSubnet: boolean;
  /** Whether the query had a client subnet that has no location, so that the resolver's address is used. */
  isSubnetSetAside: boolean;
  /** The row from which the RRset columns of the current service count: that of the zone of the name. */
  answersFrom: number;
  /** Answers that contained each VIP, by slot. This thread is the only writer. */
  readonly served: Float64Array;
  /** Queries by the place of their zone in the catalog. This thread is the only writer. */
  readonly zoneQueries: Float64Array;
  /** Undefined: clients are not counted by country. */
  readonly sampler: Sampler | undefined;
  readonly nsid: Uint8Array;
  /** TXT data for version.bind in class CH. Empty: such queries are refused. */
  readonly version: Uint8Array;
  /** This thread's block. */
  readonly counters: Float64Array;
  readonly clock: PacketClock;
  /** Undefined: the COOKIE option is ignored. */
  readonly cookies: Cookies | undefined;
  /** Undefined: responses are not rate limited. */
  readonly limiter: Limiter | undefined;
  /** Undefined: there is no catalog zone. */
  readonly listing: Listing | undefined;
};

/** The catalog zone, which only those who may transfer zones can query (RFC 9432 8). */
export type Listing = {
  readonly zone: number;
  readonly peers: readonly Prefix[];
  /** Whether the client of the current query is one of them. */
  isOpen: boolean;
};
