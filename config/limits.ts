/**
 * Limits of what configuration files may say, each with its reason. Units are in the names.
 */

/** A zone file of this size has a million records, which belong into master files (`include`). */
export const MAX_YAML_BYTES = 64 * 1024 * 1024;
/** A master file, latency table or database, before and after it is unpacked. One buffer holds it; a billion octets are some 20 million records. */
export const MAX_DATA_OCTETS = 2 ** 31;
/** A file that a command reads as text: JavaScript has no longer strings. */
export const MAX_TEXT_OCTETS = 512 * 1024 * 1024;
/** Deepest nesting of a file; the deepest that SPEC shows is 7. */
export const MAX_YAML_DEPTH = 50;
/** Nodes that aliases may stand for, counted at every use: bounds "a billion laughs". */
export const MAX_ALIASED_NODES = 100_000;
/** Syntax errors shown for one file: what follows the first ones is mostly their echo. */
export const MAX_SYNTAX_ERRORS = 10;

/** More often than this a check is a load test. */
export const MIN_CHECK_INTERVAL_MS = 100;
export const MAX_CHECK_INTERVAL_MS = 24 * 3_600_000;
export const MIN_CHECK_TIMEOUT_MS = 10;
export const MAX_CHECK_TIMEOUT_MS = 60_000;
/** Results in a row that a state can wait for. */
export const MAX_RISE_OR_FALL = 100;
/** `flap`: changes of the state that it counts; as many times are kept for each check that flaps. */
export const MAX_FLAP_CHANGES = 100;
/** `flap`: the longest `within` and `hold`. What is to be down for longer is an operator's to force. */
export const MAX_FLAP_MS = 86_400_000;
/** Probes that one check may be made of, through all its members: they run at the same time. */
export const MAX_COMPOUND_PROBES = 32;
/** How deep checks may be made of checks. */
export const MAX_COMPOUND_DEPTH = 8;
/** Days that a certificate can be asked to be valid for: far beyond what any authority signs. */
export const MAX_DAYS_LEFT = 3650;
/** CA/Browser Forum, ballot SC-081v3: what a public authority signs from March 2026 on. */
export const PUBLIC_CERTIFICATE_DAYS = 200;
/** SPEC 5: `body` and `expect` are looked for in the first 64 KiB. */
export const MAX_MATCHED_OCTETS = 64 * 1024;
/** RFC 6298 2: TCP sends a lost SYN again after this time. */
export const SYN_AGAIN_MS = 1000;

/** SPEC 3: `weight` has 16 bits. */
export const MAX_WEIGHT = 65_535;
/** A VIP that is a day under its weight is no longer recovering: that is what `weight` is for. */
export const MAX_RAMP_MS = 24 * 3_600_000;
/** SPEC 4: bias as Route 53 has it; at 100 a region would be everywhere. */
export const MAX_BIAS = 99;
/** Half of the Earth's circumference: nothing is farther. */
export const MAX_DISTANCE_KM = 20_038;
/** Threads that answer; more than any machine has cores. */
export const MAX_WORKERS = 1024;
/** Connections that one process may hold. */
export const MAX_TCP_CLIENTS = 1_000_000;
/** A file of certificates or a key: a long chain has some 20 KB. */
export const MAX_PEM_OCTETS = 1024 * 1024;
/** 128 bits: what nobody guesses. RFC 8945 8 asks for as many as the algorithm gives, which not all keys in use have. */
export const MIN_TSIG_SECRET_OCTETS = 16;
/** RFC 5001 2.3 sets no limit; one that leaves a response room. */
export const MAX_NSID_OCTETS = 128;
/** RFC 9018 5: two while a secret is rolled. Each one more is a hash more for a forged cookie. */
export const MAX_COOKIE_SECRETS = 4;
/** RFC 1035 3.3: a character string of TXT. */
export const MAX_STRING_OCTETS = 255;
/** Regions that a browser measures: each is a few requests of every visitor. */
export const MAX_BEACON_REGIONS = 64;
/** Requests to each region. */
export const MAX_BEACON_TRIES = 20;
/** How long a sample may count: networks change. */
export const MAX_BEACON_WINDOW_MS = 31 * 86_400_000;
/** Sources that a figure can be asked to have: no more are kept of a network (geo/beacon-samples.ts). */
export const MAX_BEACON_SOURCES = 32;
/** `shutdown.grace`: service managers and load balancers have moved traffic long before. */
export const MAX_GRACE_MS = 600_000;
/** Log lines that wait for a slow reader of the log. Later lines are dropped and counted. */
export const MAX_LOG_BACKLOG_OCTETS = 1024 * 1024;
