/**
 * The settings of pharos.yaml (docs/configuration.md#pharosyaml) with all defaults filled in. `config/read-settings.ts`
 * reads them. Plain data: it crosses threads.
 */
import type { Endpoint, Prefix } from '../wire/address.ts';
import type { Name } from '../wire/name.ts';
import type { TsigKey } from '../wire/tsig.ts';
import type { CheckSpec } from './check-kinds.ts';
import type { Place } from './diagnostics.ts';
import type { ShownPath } from './environment.ts';
import type { CheckedKeyPair } from './key-pair.ts';

export type StatusSettings = {
  readonly listen: Endpoint;
  readonly token: string | undefined;
  /** Whether programs on this machine may read without the token. */
  readonly openReading: boolean;
  /** Absolute path of the file with named tokens; undefined without one. */
  readonly tokensFile: string | undefined;
  /** The content of that file. */
  readonly credentials: readonly Credential[];
  /** Undefined: the status server speaks HTTP without TLS. */
  readonly tls: { readonly keyPair: CheckedKeyPair; readonly clientCa: string | undefined } | undefined;
};

/** What a credential permits. Each role includes reading. */
export const ROLES = ['read', 'operate', 'update'] as const;
export type Role = (typeof ROLES)[number];
/** The name of `status.token` in rules, in the audit log, in events and overrides. */
export const TOKEN_NAME = 'status.token';

/** A named credential for the status server. It has a digest or a certificate. */
export type Credential = {
  readonly name: string;
  readonly roles: readonly Role[];
  /** SHA-256 of the token, in hexadecimal. */
  readonly sha256: string | undefined;
  /** A common name or DNS name, mail address or URI of a client certificate, in lower case. */
  readonly certificate: string | undefined;
};

export type Settings = {
  /** Absolute path of pharos.yaml; undefined when the server runs on defaults. */
  readonly file: string | undefined;
  /** UDP and TCP. */
  readonly listen: readonly Endpoint[];
  /** DNS over TLS; undefined when it is off. */
  readonly tls: { readonly listen: readonly Endpoint[]; readonly keyPair: CheckedKeyPair } | undefined;
  /** Answering threads, already resolved from `auto`. */
  readonly workers: number;
  /** Absolute paths, sorted. */
  readonly zoneFiles: readonly string[];
  /**
   * Folders named in `zones`. The real path of a zone file found in one must be in it, after symbolic links are
   * followed.
   */
  readonly zoneFolders: readonly string[];
  /** The files a zone may name: those below its folder, or any. */
  readonly files: 'own-folder' | 'anywhere';
  readonly stateDir: string;
  /** Environment variables that hold secrets of this server: no zone file may use them. */
  readonly secretVariables: ReadonlySet<string>;
  /** Absolute paths from environment variables, each with the text that messages show for it. */
  readonly shownPaths: readonly ShownPath[];
  /** The user that a server started as root switches to; undefined: the user `pharos` if it exists. */
  readonly user: string | undefined;
  readonly reload: {
    /** Share of its records, 0 to 1, that a zone may lose in one reload. */
    readonly maxShrink: number;
  };
  readonly geo: GeoSettings;
  /** By name. Zones may define more. */
  readonly regions: ReadonlyMap<string, RegionSpec>;
  readonly checks: ReadonlyMap<string, CheckSpec>;
  /** Names of regions and checks whose definitions have reported errors: using one is not a second error. */
  readonly misread?: { readonly regions: ReadonlySet<string>; readonly checks: ReadonlySet<string> };
  readonly health: {
    /** Longest time to wait for the first round of probes before sockets open. */
    readonly waitMs: number;
    /** Share (0 to 1) of the healthy VIPs that must fail at once for states to be frozen. */
    readonly suspect: number;
    /** Where state changes are sent; undefined: nowhere. */
    readonly notify: NotifySettings | undefined;
  };
  /** Undefined when the status server is off. */
  readonly status: StatusSettings | undefined;
  readonly limits: {
    /** Responses per second to a client network; 0: no limit. */
    readonly rrl: number;
    /** One in `slip` rate-limited responses is sent truncated; 0: none. */
    readonly slip: number;
    readonly tcpClients: number;
  };
  readonly dns: {
    readonly nsid: string | undefined;
    readonly version: string | undefined;
    /** 16 octets each. The first makes cookies; all of them verify. Empty: a random secret of this process. */
    readonly cookieSecrets: readonly Uint8Array[];
    readonly explainFrom: readonly Prefix[];
  };
  readonly transfer: TransferSettings;
  /** For names outside the zones that aliases lead to; empty: those of /etc/resolv.conf. */
  readonly resolvers: readonly Endpoint[];
  /** Undefined: no dynamic updates. */
  readonly updates?: readonly UpdateRule[] | undefined;
  /** Undefined: this node is not part of a fleet. */
  readonly fleet: FleetSettings | undefined;
  /** Undefined: browsers measure nothing. */
  readonly beacon: BeaconSettings | undefined;
  readonly log: {
    readonly level: LogLevel;
    readonly queries: number;
    /** The unix socket of a collector, and the share of queries that it gets; undefined: dnstap is off. */
    readonly dnstap?: { readonly socket: string; readonly share: number } | undefined;
    /** Absolute path; undefined: no audit log. Pharos rotates only its own file, in the state folder. */
    readonly audit?: { readonly file: string; readonly isRotated: boolean } | undefined;
  };
  readonly shutdown: {
    /** How long the server continues to answer after SIGTERM while /readyz returns 503. Undefined: not set. */
    readonly graceMs: number | undefined;
  };
  readonly schedules: readonly ScheduleSpec[];
};

/** `fleet`: this node's part in a fleet, and the NATS servers that connect it. Files have been read. */
export type FleetSettings = {
  readonly name: string;
  readonly servers: readonly string[];
  /** The JetStream domain that keeps the orders; undefined: that of the servers. */
  readonly domain: string | undefined;
  /** Unique in the fleet. */
  readonly node: string;
  /** The name of a region of this file. */
  readonly region: string;
  /** How long the votes of peers are waited for at the start. */
  readonly waitMs: number;
  readonly login: {
    /** The content of a credentials file. */
    readonly credentials: string | undefined;
    readonly user: string | undefined;
    readonly password: string | undefined;
    readonly token: string | undefined;
    /** The seed of an nkey. */
    readonly nkey: string | undefined;
  };
  /** PEM. */
  readonly tls:
    | { readonly ca: string | undefined; readonly cert: string | undefined; readonly key: string | undefined }
    | undefined;
};

/** `health.notify`. The URL may contain a secret, as those of chat systems do. */
export type NotifySettings = {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly token: string | undefined;
};

/** Latency measured in users' browsers. */
export type BeaconSettings = {
  /** The URL that a browser requests, by region. */
  readonly urls: ReadonlyMap<string, string>;
  /** Timed requests per URL. */
  readonly tries: number;
  /** How long a sample counts. */
  readonly windowMs: number;
  /** Sources needed for a figure. */
  readonly minSources: number;
  /** Time between two applications of changed figures. */
  readonly applyMs: number;
  /** Proxies whose X-Forwarded-For is trusted. */
  readonly proxies: readonly Prefix[];
  /** Origins of the web pages that may report; empty: all. */
  readonly origins: readonly string[];
};

/** Changes made at the times of a cron line. */
export type ScheduleSpec = {
  /** A valid cron line. */
  readonly at: string;
  /** IANA name; undefined: the server's time zone. */
  readonly timezone: string | undefined;
  readonly set: readonly ScheduledChange[];
};

/**
 * Has a weight, a state, or both. `auto` restores the weight of the zone file, or lets health checks decide the state.
 */
export type ScheduledChange = {
  readonly target: string;
  readonly weight: number | 'auto' | undefined;
  readonly state: 'up' | 'down' | 'drain' | 'auto' | undefined;
  readonly place: Place;
};

/** Outgoing zone transfers: refused unless `allow` permits them. */
export type TransferSettings = {
  readonly keys: readonly TsigKey[];
  readonly allow: readonly AllowedPeer[];
  readonly notify: readonly Endpoint[];
  /** The apex of the catalog zone; undefined: there is none. */
  readonly catalog: { readonly name: Name; readonly place: Place } | undefined;
};

/** Who may transfer zones. */
export type AllowedPeer = {
  readonly from: Prefix;
  /** The label of one of the keys; undefined: the address alone decides. */
  readonly key: string | undefined;
  /** Whether its transfers have the steered records of services, or leave them out. */
  readonly steered: 'default' | 'omit';
};

/** What a key may change by dynamic updates (RFC 2136). */
export type UpdateRule = {
  /** The label of one of `transfer.keys`; undefined: the rule is for a token. */
  readonly key: string | undefined;
  /** The name of a token, for changes over HTTP; undefined: the rule is for a key. */
  readonly token: string | undefined;
  /** Apexes (`nameKey`); undefined: all zones. */
  readonly zones: readonly string[] | undefined;
  /** Patterns of names relative to the zone, as labels: `*` is one label, `**` any number of them. Undefined: all. */
  readonly names: readonly (readonly string[])[] | undefined;
  /** Undefined: all types. */
  readonly types: readonly number[] | undefined;
  /** Undefined: all addresses. */
  readonly from: readonly Prefix[] | undefined;
};

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

export type GeoSettings = {
  /** Absolute paths of mmdb files; the first with data on a network wins. Empty: the bundled database. */
  readonly databases: readonly { readonly path: string; readonly place: Place }[];
  /** A valid cron line; undefined: files are read only on reload. */
  readonly refresh: string | undefined;
  /** Your own networks; they take precedence over databases. */
  readonly networks: readonly { readonly prefix: Prefix; readonly at: At }[];
};

/** Names of continents in zone files and databases. */
export const CONTINENTS = [
  'africa',
  'antarctica',
  'asia',
  'europe',
  'north-america',
  'oceania',
  'south-america',
] as const;
export type Continent = (typeof CONTINENTS)[number];

/** A location: a country (ISO 3166-1 alpha-2, upper case) or a point in degrees. */
export type At =
  | { readonly kind: 'country'; readonly country: string }
  | { readonly kind: 'point'; readonly latitude: number; readonly longitude: number };

export type RegionSpec = {
  readonly name: string;
  readonly at: At | undefined;
  /** `at` is present but invalid, which has been reported. */
  readonly isMisplaced?: boolean;
  /** Share of its weight, 0 to 1, that must be up for the region to be a candidate. */
  readonly minHealthy: number;
  /** The check of its VIPs in place of their service's; `none`: they are not checked. Undefined: their service's. */
  readonly check?: CheckSpec | 'none';
  readonly place: Place;
};
