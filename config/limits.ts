/**
 * Limits for configuration files, each with its reason. Names include units.
 */

/** A zone file of this size has a million records, which belong in master files (`include`). */
export const MAX_YAML_BYTES = 64 * 1024 * 1024;
/**
 * A master file, latency table or database, before and after decompression. It must fit one buffer; a billion octets
 * are some 20 million records.
 */
export const MAX_DATA_OCTETS = 2 ** 31;
/** A file that a command reads as text: the longest string of JavaScript. */
export const MAX_TEXT_OCTETS = 512 * 1024 * 1024;
/** Deepest nesting of a file; documented configurations need 7 levels. */
export const MAX_YAML_DEPTH = 50;
/** Nodes that aliases may expand to, counted at every use: bounds "a billion laughs". */
export const MAX_ALIASED_NODES = 100_000;
/** Syntax errors shown per file: later ones are mostly consequences of the first. */
export const MAX_SYNTAX_ERRORS = 10;

/** A shorter interval makes a check a load test. */
export const MIN_CHECK_INTERVAL_MS = 100;
export const MAX_CHECK_INTERVAL_MS = 24 * 3_600_000;
export const MIN_CHECK_TIMEOUT_MS = 10;
export const MAX_CHECK_TIMEOUT_MS = 60_000;
/** Largest `rise` and `fall`. */
export const MAX_RISE_OR_FALL = 100;
/** `flap`: largest `changes`. For each check that flaps, the times of that many changes are kept. */
export const MAX_FLAP_CHANGES = 100;
/** `flap`: the longest `within` and `hold`. An operator can force a VIP down for longer. */
export const MAX_FLAP_MS = 86_400_000;
/** Probes of one check with all its members: they run at the same time. */
export const MAX_COMPOUND_PROBES = 32;
/** Deepest nesting of checks that combine checks. */
export const MAX_COMPOUND_DEPTH = 8;
/** Largest `min_days_left`: far more than any authority signs. */
export const MAX_DAYS_LEFT = 3650;
/** Nodes of a fleet that `quorum` and `probers` may name. */
export const MAX_FLEET_NODES = 1000;
/** `fleet.wait`: peers answer within seconds, or not at all. */
export const MAX_FLEET_WAIT_MS = 600_000;
/** CA/Browser Forum, ballot SC-081v3: the longest validity of public certificates from March 2026 on. */
export const PUBLIC_CERTIFICATE_DAYS = 200;
/** `body` and `expect` are searched in the first 64 KiB (docs/health.md#checks). */
export const MAX_MATCHED_OCTETS = 64 * 1024;
/** RFC 6298 2: TCP sends a lost SYN again after this time. */
export const SYN_AGAIN_MS = 1000;

/** `weight` has 16 bits (docs/configuration.md#services). */
export const MAX_WEIGHT = 65_535;
/** A VIP below its weight for longer than a day is not recovering: set its `weight` instead. */
export const MAX_RAMP_MS = 24 * 3_600_000;
/** The range of Route 53's bias; at 100 a region would be everywhere (docs/steering.md#nearest). */
export const MAX_BIAS = 99;
/** Half of the Earth's circumference: the largest distance between two points. */
export const MAX_DISTANCE_KM = 20_038;
/** Names between an ALIAS and its addresses (docs/alias.md): as many as a resolver follows CNAMEs at least. */
export const MAX_ALIAS_LINKS = 8;
/** Answering threads: more than any machine has cores. */
export const MAX_WORKERS = 1024;
/** Connections of one process. */
export const MAX_TCP_CLIENTS = 1_000_000;
/** A file of certificates or a key: a long chain has some 20 KB. */
export const MAX_PEM_OCTETS = 1024 * 1024;
/**
 * 128 bits: not guessable. RFC 8945 8 asks for as many bits as the algorithm's output; not all keys in use have them.
 */
export const MIN_TSIG_SECRET_OCTETS = 16;
/** RFC 5001 2.3 sets no limit. This one leaves room for the response. */
export const MAX_NSID_OCTETS = 128;
/** RFC 9018 5: two during a rollover. Each further one costs one more hash per forged cookie. */
export const MAX_COOKIE_SECRETS = 4;
/** RFC 1035 3.3: a character string of TXT. */
export const MAX_STRING_OCTETS = 255;
/** Regions that a browser measures: each costs every visitor a few requests. */
export const MAX_BEACON_REGIONS = 64;
/** Timed requests per region. */
export const MAX_BEACON_TRIES = 20;
/** Longest time that a sample counts: networks change. */
export const MAX_BEACON_WINDOW_MS = 31 * 86_400_000;
/** Largest `min_sources`: no more sources are kept per network (geo/beacon-samples.ts). */
export const MAX_BEACON_SOURCES = 32;
/** `shutdown.grace`: service managers and load balancers move traffic much sooner. */
export const MAX_GRACE_MS = 600_000;
/** Log lines that wait for a slow reader of the log. Later lines are dropped and counted. */
export const MAX_LOG_BACKLOG_OCTETS = 1024 * 1024;
