/**
 * Limits of the health room, each with its reason. Units are in the names.
 */

/** SPEC 5: `body` is looked for in the first 64 KiB, so no probe reads or keeps more. */
export const MAX_BODY_OCTETS = 64 * 1024;
/** Octets of a gRPC health answer: it is one small number, and what trailers say beside it. */
export const MAX_GRPC_ANSWER_OCTETS = 1024;
/** Commands of `exec` checks at once: each is a process, with memory of its own. */
export const MAX_COMMANDS_AT_ONCE = 16;
/** Octets that a command may write; one that writes more is not a check. */
export const MAX_COMMAND_OUTPUT_OCTETS = 64 * 1024;
/** How long a killed command is waited for; one in an uninterruptible call dies when it can. */
export const KILLED_WAIT_MS = 25;
/** Octets a watched connection may send between two probes; one that streams is let go, since it costs more than it tells. */
export const MAX_IDLE_OCTETS = 64 * 1024;
/** Probes in flight at once: far above what is ever needed, below the number of files a process may have open. */
export const MAX_PROBES_IN_FLIGHT = 4096;
/** The first probe of a new target comes within this time, so that the first round ends within `health.wait`. */
export const FIRST_ROUND_MS = 1000;
/** Least time between the starts of two probes of one target, whatever `fast` says. */
export const MIN_GAP_MS = 20;
/** A deadline that fires this late tells of a busy machine, not of a slow target: the probe gets the time back once. */
export const LATE_TIMER_MS = 100;
/** Changes of state within this time are written to disk together. */
export const STATE_DEBOUNCE_MS = 250;
/** How long a write that failed waits for its next try. */
export const SAVE_RETRY_MS = 5000;
/** How often overrides that end by themselves are looked at, so that a step of the wall clock is noticed. */
export const OVERRIDE_TICK_MS = 1000;
/** Octets of a state file that are read at most; a larger one is not ours. */
export const MAX_STATE_FILE_OCTETS = 64 * 1024 * 1024;
/** Name look-ups in flight: getaddrinfo blocks one of libuv's four threads, and the disk needs some of them too. */
export const MAX_LOOKUPS = 2;
/** How long a looked-up address is used before it is asked for again. */
export const LOOKUP_FRESH_MS = 10_000;
/** How long an old address is still used when no new one can be had: a lame resolver must not take targets down. */
export const LOOKUP_STALE_MS = 3_600_000;
