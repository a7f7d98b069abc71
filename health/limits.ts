/**
 * Limits of the health room, each with its reason. Units are in the names.
 */
import { MAX_MATCHED_OCTETS } from '../config/limits.ts';

/** `body` is searched for in the first 64 KiB (docs/health.md#checks), so no probe reads or keeps more. */
export const MAX_BODY_OCTETS = MAX_MATCHED_OCTETS;
/**
 * Processor time that the expression of a check may take over what one probe received. Most expressions take well below
 * 1 ms for 64 KiB, and some 5 ms on first use, several times that before V8 has compiled them. `[ab]*a[ab]{500}$` over
 * a text made for it would take 1 s. While an expression runs, this thread serves no other probe, so deadlines fire
 * late by as much; more than LATE_TIMER_MS is given back.
 */
export const MAX_MATCH_MS = 100;
/** Texts up to this length are matched without a limit: an expression of 1000 steps takes some 20 ms at worst. */
export const MAX_UNLIMITED_MATCH_CHARACTERS = 1024;
/**
 * How often a match is tried when other processes used most of its wall-clock time. With four busy processes per core,
 * one match in a hundred is stopped for that reason. A try that was stopped starts again, so the second has twice the
 * wall-clock time, the third three times: all eight take 36 × MAX_MATCH_MS = 3.6 s at most, on a machine that lets this
 * thread run for less than MAX_MATCH_MS in each.
 */
export const MAX_MATCH_TURNS = 8;
/** Octets of an HTTP response before its body; the same limit as in node:http. */
export const MAX_HEAD_OCTETS = 16 * 1024;
/** Octets of a gRPC health response: one small number, and its trailers. */
export const MAX_GRPC_ANSWER_OCTETS = 1024;
/** Commands of `exec` checks that run at once: each is a process with its own memory. */
export const MAX_COMMANDS_AT_ONCE = 16;
/** Octets that a command may write; a command that writes more is stopped, and its check fails. */
export const MAX_COMMAND_OUTPUT_OCTETS = 64 * 1024;
/** How long to wait for a killed command to end; one in an uninterruptible system call ends later. */
export const KILLED_WAIT_MS = 25;
/** Octets that a watched connection may send between two probes. One that sends more is closed: it costs too much. */
export const MAX_IDLE_OCTETS = 64 * 1024;
/**
 * Probes in flight at once. More are never needed; with MAX_WATCHED_OF_ADDRESS it is far below the 28,000 ports that
 * Linux has for connections to one address. Never more than a quarter of this process's file descriptors.
 */
export const MAX_PROBES_IN_FLIGHT = 4096;
/** Probes of one target in flight at once, while its first has no response. */
export const MAX_PROBES_OF_TARGET = 5;
/** Further probes of silent targets in flight, in all: a busy machine, on which all are slow, must not get busier. */
export const MAX_EXTRA_PROBES = 512;
/** Probes that are started before the sockets are read again: some 5 ms of work at most. */
export const MAX_STARTS_AT_ONCE = 32;
/**
 * Connections held open between probes. Each takes 1 KB in this process, over TLS 5 KB and more, and 5 KB in the
 * kernel; in return, an HTTP probe over a held connection costs less than over a new one. 30,000 targets must fit into
 * 400 MB, which they would not if all were watched. Never more than a quarter of this process's file descriptors.
 */
export const MAX_WATCHED = 8192;
/**
 * After this many closes in a row that were each followed by a passed probe, a close after an equally long idle time
 * counts as the target's habit and starts no probe.
 */
export const MAX_HARMLESS_CLOSES = 3;
/** Connections to one address and port held open between probes, over all of its checks. */
export const MAX_WATCHED_OF_ADDRESS = 4096;
/**
 * How long a connection is used for probes. After that, a new connection shows that the target still accepts
 * connections, and that new flows still reach it.
 */
export const REUSE_MS = 30_000;
/** The first probe of a new target starts within this time, so that the first round ends within `health.wait`. */
export const FIRST_ROUND_MS = 1000;
/** Least time between the starts of two probes of one target, for any `fast`. */
export const MIN_GAP_MS = 20;
/** A deadline that fires this late shows a busy machine, not a slow target: the probe gets the time back, once. */
export const LATE_TIMER_MS = 100;
/** Changes of state within this time are written to disk together. */
export const STATE_DEBOUNCE_MS = 250;
/** How long a write may take. A file system that hangs (NFS) may never respond; the server continues without it. */
export const SAVE_LIMIT_MS = 5000;
/** How long after a failed write the next is tried. */
export const SAVE_RETRY_MS = 5000;
/** How often the weight of a VIP that ramps is written: a hundredth of the shortest useful ramp. */
export const RAMP_TICK_MS = 1000;
/** How often the state of a VIP that `flap` holds down is written: the time left bounds its TTL. */
export const FLAP_TICK_MS = 1000;
/** How often overrides with an end are checked, so that a step of the wall clock is noticed. */
export const OVERRIDE_TICK_MS = 1000;
/** Octets of a state file that are read; Pharos writes no larger one. */
export const MAX_STATE_FILE_OCTETS = 64 * 1024 * 1024;
/** Name look-ups in flight: getaddrinfo blocks one of libuv's four threads, and disk writes need some of them too. */
export const MAX_LOOKUPS = 2;
/** How long a looked-up address is used before it is looked up again. */
export const LOOKUP_FRESH_MS = 10_000;
/** How long an old address is used when look-ups fail: a broken resolver must not take targets down. */
export const LOOKUP_STALE_MS = 3_600_000;
/**
 * `suspect`: failures that came this long before the first failed probe of the check in question count as "at once".
 * The time within which that check can have been probed is added.
 */
export const SUSPECT_WINDOW_MS = 1000;
/**
 * `suspect`: the longest time that a check which would go down waits for probes of other checks. With the default
 * `fast` and `timeout` all have a result after 3 s.
 */
export const SUSPECT_PATIENCE_MS = 5000;
/** `suspect`: results that come within this time of each other are counted together. */
export const SUSPECT_RECHECK_MS = 20;
/**
 * `suspect`: least number of healthy addresses. With fewer, a fault of all of them is as likely as one of this node.
 */
export const SUSPECT_WITNESSES = 3;
/**
 * `suspect`: this many VIPs must have a result, or half of the healthy ones if that is less. A share measured over 100
 * VIPs is true to some 15 %.
 */
export const SUSPECT_SAMPLE = 100;
/** `suspect`: the longest freeze, even if all VIPs still fail: by then they are more likely dead than unreachable. */
export const SUSPECT_HOLD_MS = 300_000;
/**
 * `suspect`: the longest freeze once the network is seen to work: some VIP passes, or targets that fail do respond. The
 * freeze does not end at once, since a firewall of this node responds too, and states are frozen for every kind of
 * failure (docs/health.md#suspect).
 */
export const SUSPECT_PARTIAL_HOLD_MS = 30_000;
/** Checks that are probed when one begins to fail, so that within two rounds it is known whether others fail too. */
export const SURVEY_CHECKS = 8;
/** The same per second, over all failing checks: when a large region fails, other checks are probed gradually. */
export const MAX_SURVEYED_A_SECOND = 500;
/** Checks that are probed at once when a freeze ends; the others follow within their interval. */
export const MAX_ASKED_AGAIN = 1000;
/** How long the state of this machine's links and routes is cached; it is read only when probes fail. */
export const LINKS_FRESH_MS = 500;
/** A longer routing table (500 routes) is a router's and is not read: each failure searches all of it. */
export const MAX_ROUTES_OCTETS = 64 * 1024;
