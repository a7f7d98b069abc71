/**
 * Limits of the health room, each with its reason. Units are in the names.
 */
import { MAX_MATCHED_OCTETS } from '../config/limits.ts';

/** SPEC 5: `body` is looked for in the first 64 KiB, so no probe reads or keeps more. */
export const MAX_BODY_OCTETS = MAX_MATCHED_OCTETS;
/**
 * Processor time for the expression of a check in what one probe received. Most take well below a millisecond for 64 KiB,
 * and some 5 ms the first time (several times that before the engine has compiled it); `[ab]*a[ab]{500}$` over a text made for it would take a second. This thread has other
 * probes to see to, whose deadlines hold to within 50 ms.
 */
export const MAX_MATCH_MS = 100;
/** Up to so many characters are matched without a limit: an expression of 1000 steps takes some 20 ms at worst. */
export const MAX_UNLIMITED_MATCH_CHARACTERS = 1024;
/**
 * How often it is looked for anew where others had the processor for most of that time: on a machine with four who want
 * each of its cores, one in a hundred is stopped so. Eight turns are 400 ms at most.
 */
export const MAX_MATCH_TURNS = 8;
/** Octets of an HTTP response before its body, as in node:http. */
export const MAX_HEAD_OCTETS = 16 * 1024;
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
/**
 * Probes in flight at once: far above what is ever needed, and with MAX_WATCHED_OF_ADDRESS far below the 28,000 ports
 * that Linux has for connections to one address. Never more than a quarter of the files this process may have open.
 */
export const MAX_PROBES_IN_FLIGHT = 4096;
/** Probes of one target at the same time, while the first is without an answer. */
export const MAX_PROBES_OF_TARGET = 5;
/** Of those beside a first one, of all targets: a busy machine, on which all are slow, must not be made busier. */
export const MAX_EXTRA_PROBES = 512;
/** Probes that are started before the sockets are read again: some 5 ms of work at most. */
export const MAX_STARTS_AT_ONCE = 32;
/**
 * Connections that are held open between probes. Each takes some 5 KB here and as much in the kernel; an HTTP probe
 * over one that is used again takes less than over a new one. 30,000 targets shall do with 400 MB, all of them watched
 * they would not. Never more than a quarter of the files.
 */
export const MAX_WATCHED = 8192;
/**
 * Closes in a row after which the target was found well: from then on a close after as long a time is taken for the
 * target's habit, and costs no probe.
 */
export const MAX_HARMLESS_CLOSES = 3;
/** Connections to one address and port that are held open between probes, however many checks it has. */
export const MAX_WATCHED_OF_ADDRESS = 4096;
/**
 * How long a connection may be used for probes: after that a new one shows that the target still accepts any, and that
 * new flows still find their way to it.
 */
export const REUSE_MS = 30_000;
/** The first probe of a new target comes within this time, so that the first round ends within `health.wait`. */
export const FIRST_ROUND_MS = 1000;
/** Least time between the starts of two probes of one target, whatever `fast` says. */
export const MIN_GAP_MS = 20;
/** A deadline that fires this late tells of a busy machine, not of a slow target: the probe gets the time back once. */
export const LATE_TIMER_MS = 100;
/** Changes of state within this time are written to disk together. */
export const STATE_DEBOUNCE_MS = 250;
/** How long a write may take. A file system that hangs (NFS) may never answer; the server then works on without it. */
export const SAVE_LIMIT_MS = 5000;
/** How long a write that failed waits for its next try. */
export const SAVE_RETRY_MS = 5000;
/** How often the weight of a VIP that ramps is written: a step of a hundredth of the shortest ramp worth having. */
export const RAMP_TICK_MS = 1000;
/** How often the state of a VIP that `flap` holds down is written: the rest of the hold is what its TTL may be. */
export const FLAP_TICK_MS = 1000;
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
/**
 * `suspect`: failures that came this long before the first failed probe of the check that asks still count as "at once",
 * and longer by the time in which that check can have been probed.
 */
export const SUSPECT_WINDOW_MS = 1000;
/**
 * `suspect`: a check that would go down waits no longer than this for those that have been asked and have not answered.
 * With the default `fast` and `timeout` all have answered or failed after 3 s.
 */
export const SUSPECT_PATIENCE_MS = 5000;
/** `suspect`: results that come within this time of another are looked at together. */
export const SUSPECT_RECHECK_MS = 20;
/** `suspect`: least addresses that were up. Of fewer, a fault that they share is as likely as one of ours. */
export const SUSPECT_WITNESSES = 3;
/** `suspect`: so many VIPs, or half of those that were up, must have been heard; a share of 100 is true to some 15 %. */
export const SUSPECT_SAMPLE = 100;
/** `suspect`: states hold no longer than this, though all fail: what nobody can reach is rather dead than far. */
export const SUSPECT_HOLD_MS = 300_000;
/**
 * `suspect`: nor longer than this where the network is seen to be there: some VIP passes, or those that fail say so
 * themselves. Not at once: a firewall of ours refuses too, and SPEC 5 has states hold whatever the failure.
 */
export const SUSPECT_PARTIAL_HOLD_MS = 30_000;
/** Checks that are asked when one begins to fail, so that within two rounds it is known whether it is alone. */
export const SURVEY_CHECKS = 8;
/** And in all: a region of thousands that fails must not have all others asked at the same moment. */
export const MAX_SURVEYED_A_SECOND = 500;
/** Checks that are probed at the same moment when a hold ends; the others follow within their interval. */
export const MAX_ASKED_AGAIN = 1000;
/** How long what was seen of this machine's links and routes is used: they are looked at only when probes fail. */
export const LINKS_FRESH_MS = 500;
/** A routing table that is longer (500 routes) is a router's, and not read: each failure goes through all of it. */
export const MAX_ROUTES_OCTETS = 64 * 1024;
