/**
 * The interface through which the health room gets the verdicts of a fleet. Without a fleet, a unit's own state is the
 * verdict. `fleet/start-fleet.ts` has an implementation.
 */
import type { CheckSpec } from '../config/check-kinds.ts';
import type { Probed } from './health-table.ts';

/** A check at an address, as the electorate gets it. */
export type Voted = {
  /** The address and a digest of the check, without its name. */
  readonly key: string;
  /** The key with values as written in the files: equal on nodes with the same files. */
  readonly inFiles: string;
  readonly check: CheckSpec;
  /** The VIPs that share it. */
  readonly members: readonly { readonly target: string }[];
  /** The verdict that holds until votes say otherwise: the state that the last run saved. */
  readonly before: Probed;
};

export type ElectorateEvents = {
  /** The verdict on a check changed. */
  readonly changed: (key: string) => void;
  /** Another node sees another state: probe now, and then every `fast`, until a state is settled. */
  readonly doubted: (key: string) => void;
  /** A probe of another node has read its load. */
  readonly loaded?: (key: string, load: number) => void;
  /** The fleet has changed whether this node probes the check. */
  readonly probing: (key: string) => void;
};

export type Electorate = {
  /** Call once, before `configure`. */
  listen(events: ElectorateEvents): void;
  configure(voted: readonly Voted[]): void;
  /** This node's own state, after rise and fall. */
  vote(key: string, state: Probed, reason: string): void;
  /** A probe of this node has read its load. */
  load?(key: string, load: number): void;
  /** Says whether this node suspects its own network: while it does, its votes are not counted. */
  abstain(abstains: boolean): void;
  verdict(key: string): Probed;
  /** Why the verdict differs from this node's state; undefined if it does not. */
  dissent(key: string): string | undefined;
  /** Whether this node probes it. */
  isProbing(key: string): boolean;
};
