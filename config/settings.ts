/**
 * What pharos.yaml says (SPEC 2), as values with every default filled in. `config/read-settings.ts`
 * makes them. Plain data: it crosses threads.
 */
import type { Endpoint, Prefix } from '../wire/address.ts';
import type { TsigKey } from '../wire/tsig.ts';
import type { CheckSpec } from './check-kinds.ts';
import type { Place } from './diagnostics.ts';
import type { ShownPath } from './environment.ts';
import type { CheckedKeyPair } from './key-pair.ts';

export type StatusSettings = {
  readonly listen: Endpoint;
  readonly token: string | undefined;
  /** Whether programs on this machine read without the token. */
  readonly openReading: boolean;
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
  /** Folders that `zones` names. A zone file found in one must really be there, whatever symbolic links say. */
  readonly zoneFolders: readonly string[];
  /** Which files a zone may name: those below its own folder, or any. */
  readonly files: 'own-folder' | 'anywhere';
  readonly stateDir: string;
  /** Environment variables that hold secrets of this server: no zone file may use them. */
  readonly secretVariables: ReadonlySet<string>;
  /** Paths that came from the environment, absolute, and what messages show in their place. */
  readonly shownPaths: readonly ShownPath[];
  /** The user that a server becomes that was started as root; undefined: the user `pharos`, where there is one. */
  readonly user: string | undefined;
  readonly reload: {
    /** Share of its records, 0 to 1, that a zone may lose in one reload. */
    readonly maxShrink: number;
  };
  readonly geo: GeoSettings;
  /** Those of pharos.yaml by name; zones add their own. */
  readonly regions: ReadonlyMap<string, RegionSpec>;
  readonly checks: ReadonlyMap<string, CheckSpec>;
  /** Names of regions and checks that are there and wrong, which has been reported: to use one is no second mistake. */
  readonly misread?: { readonly regions: ReadonlySet<string>; readonly checks: ReadonlySet<string> };
  readonly health: {
    /** How long the sockets stay closed at most, for the first round of probes. */
    readonly waitMs: number;
    /** Share of the VIPs that were up, 0 to 1, whose failing at once raises doubt. */
    readonly suspect: number;
    /** Where changes of state are posted; undefined: nowhere. */
    readonly notify: NotifySettings | undefined;
  };
  /** Undefined when the status server is off. */
  readonly status: StatusSettings | undefined;
  readonly limits: {
    /** Responses a second to a client network; 0 for no limit. */
    readonly rrl: number;
    /** Every so many-th limited response is sent, cut short; 0 for none. */
    readonly slip: number;
    readonly tcpClients: number;
  };
  readonly dns: {
    readonly nsid: string | undefined;
    readonly version: string | undefined;
    /** Of 16 octets each: the first makes cookies, all verify. Empty: one that nobody else knows. */
    readonly cookieSecrets: readonly Uint8Array[];
    readonly explainFrom: readonly Prefix[];
  };
  readonly transfer: TransferSettings;
  /** Undefined where users' browsers measure nothing. */
  readonly beacon: BeaconSettings | undefined;
  readonly log: { readonly level: LogLevel; readonly queries: number };
  readonly shutdown: {
    /** How long answers continue after SIGTERM while /readyz says 503. Undefined: the file says nothing. */
    readonly graceMs: number | undefined;
  };
  readonly schedules: readonly ScheduleSpec[];
};

/** `health.notify`. The URL may hold a secret, as those of chat systems do. */
export type NotifySettings = {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly token: string | undefined;
};

/** Latency measured in users' browsers. */
export type BeaconSettings = {
  /** By region of pharos.yaml: what a browser asks for. */
  readonly urls: ReadonlyMap<string, string>;
  /** Requests to each that are timed. */
  readonly tries: number;
  /** How long a sample counts. */
  readonly windowMs: number;
  /** Sources that a figure needs. */
  readonly minSources: number;
  /** How often changed figures are put to use. */
  readonly applyMs: number;
  /** Whose X-Forwarded-For is believed. */
  readonly proxies: readonly Prefix[];
  /** Web pages that may report; empty for all. */
  readonly origins: readonly string[];
};

/** Calendar work. */
export type ScheduleSpec = {
  /** A cron line, checked. */
  readonly at: string;
  /** IANA; undefined for the server's own. */
  readonly timezone: string | undefined;
  readonly set: readonly ScheduledChange[];
};

/** At least one of the two; `auto` gives back to the file, or to the probes. */
export type ScheduledChange = {
  readonly target: string;
  readonly weight: number | 'auto' | undefined;
  readonly state: 'up' | 'down' | 'drain' | 'auto' | undefined;
  readonly place: Place;
};

/** Transfers out: nobody may unless `allow` says so. */
export type TransferSettings = {
  readonly keys: readonly TsigKey[];
  /** `key` is the label of one of `keys`; undefined: the address alone decides. */
  readonly allow: readonly { readonly from: Prefix; readonly key: string | undefined }[];
  readonly notify: readonly Endpoint[];
};

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

export type GeoSettings = {
  /** Absolute paths of mmdb files, the first that knows a thing wins; empty for the bundled one. */
  readonly databases: readonly { readonly path: string; readonly place: Place }[];
  /** A cron line, checked; undefined when files are only read on reload. */
  readonly refresh: string | undefined;
  /** The operator's own networks, ahead of any database. */
  readonly networks: readonly { readonly prefix: Prefix; readonly at: At }[];
};

/** Names that zone files and databases know continents by. */
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

/** Where something is: a country (ISO 3166-1 alpha-2, upper case) or a point in degrees. */
export type At =
  | { readonly kind: 'country'; readonly country: string }
  | { readonly kind: 'point'; readonly latitude: number; readonly longitude: number };

export type RegionSpec = {
  readonly name: string;
  readonly at: At | undefined;
  /** `at` is there and wrong, which was reported. */
  readonly isMisplaced?: boolean;
  /** Share of its weight, 0 to 1, that must be up for the region to be a candidate. */
  readonly minHealthy: number;
  readonly place: Place;
};
